/** Where in a sequence a vector stands: tables to add, and rotations of queries and keys. */
import { np, ShapeError, type NDArray } from '@adjoint/core'
import { checkOptions } from '@adjoint/core/internal'
import { type Initializer, normal } from './initializers'
import { type Layer, requireParams } from './layer'
import { requireFeatures } from './linear'

/** The angles `position · base^(−2i / features)` for i < features / 2: `[..., features / 2]`. */
function angles(positions: NDArray, features: number, base: number): NDArray {
  const frequencies = Array.from({ length: features / 2 }, (_, i) => base ** ((-2 * i) / features))
  return np.multiply(
    np.expandDims(positions, -1).astype('float32'),
    np.array(frequencies, { dtype: 'float32' }),
  )
}

function requireEven(op: string, features: number): void {
  if (features % 2 === 0) return
  throw new ShapeError({
    op,
    problem: `${features} is odd`,
    rule: 'features come in pairs: a sine and a cosine',
  })
}

/**
 * Sines and cosines of positions, in turn: `[length, features]`. Vaswani et al. 2017, section 3.5.
 *
 * @param length how many positions, or an integer array of positions of any shape
 * @example
 * sinusoidalPositions(2, 4)
 * // Array([[0.        , 1.        , 0.        , 1.        ],
 * //        [0.84147096, 0.5403023 , 0.00999983, 0.99995   ]], dtype=float32)
 */
export function sinusoidalPositions(
  length: number | NDArray,
  features: number,
  options: { readonly base?: number } = {},
): NDArray {
  const op = 'sinusoidalPositions(length, features)'
  requireEven(op, features)
  const { base = 10000 } = checkOptions(op, options, ['base'])
  const at = typeof length === 'number' ? np.arange(length) : length
  const angle = angles(at, features, base)
  return np.stack([np.sin(angle), np.cos(angle)], -1).reshape([...at.shape, features])
}

export interface RotaryOptions {
  /** The longest wavelength is 2π base; 10000 unless given. */
  readonly base?: number
  /** Pairs are neighbours, as in the paper, and not a half of the features apart, as in LLaMA. */
  readonly interleaved?: boolean
}

/**
 * Turns pairs of features by angles proportional to the position, so that products of queries and
 * keys depend on their distance. Su et al. 2021.
 *
 * @param x `[..., positions, heads, features]`
 * @param positions integers `[positions]`, or with the leading axes of `x`; 0, 1, … unless given
 * @example
 * const x = np.ones([2, 1, 4])
 * rotary(x).get(0, 0) // Array([1., 1., 1., 1.], dtype=float32)
 */
export function rotary(x: NDArray, positions?: NDArray, options: RotaryOptions = {}): NDArray {
  const features = x.shape.at(-1) ?? 0
  requireEven('rotary(x)', features)
  const { base = 10000, interleaved = false } = checkOptions('rotary(x)', options, [
    'base',
    'interleaved',
  ])
  const at = positions ?? np.arange(x.shape.at(-3) ?? 1)
  const angle = np.expandDims(angles(at, features, base), -2)
  const [cos, sin] = [np.cos(angle).astype(x.dtype), np.sin(angle).astype(x.dtype)]
  const half = features / 2
  const pairs = interleaved
    ? x.reshape([...x.shape.slice(0, -1), half, 2])
    : x.reshape([...x.shape.slice(0, -1), 2, half])
  const [a, b] = interleaved
    ? [pairs.get('...', 0), pairs.get('...', 1)]
    : [pairs.get('...', 0, ':'), pairs.get('...', 1, ':')]
  const turned = [
    np.subtract(np.multiply(a, cos), np.multiply(b, sin)),
    np.add(np.multiply(a, sin), np.multiply(b, cos)),
  ]
  return np.stack(turned, interleaved ? -1 : -2).reshape(x.shape)
}

export interface PositionParams {
  /** `[length, features]` */
  readonly table: NDArray
}

/** How much of the sequence has been read; null while whole sequences are. */
export interface Position {
  readonly position: NDArray
}

/** Reads the table where the sequence stands and adds it: `[..., time, features]`. */
function added(
  op: string,
  x: NDArray,
  table: NDArray,
  state: Position | null,
): [NDArray, Position | null] {
  const [length, features] = table.shape
  requireFeatures(op, x, features, 'time, features')
  const time = x.shape.at(-2) ?? 0
  if (x.ndim < 2 || time > length) {
    throw new ShapeError({
      op,
      problem: x.ndim < 2 ? 'x has no axis of time' : `a sequence of ${time} is too long`,
      operands: [{ name: 'x', aval: x.aval }],
      rule: `x has shape [..., time, ${features}] with time up to ${length}`,
    })
  }
  if (!state) return [np.add(x, table.get(`:${time}`)), null]
  const at = np.add(state.position, np.arange(time))
  return [np.add(x, np.take(table, at, 0)), { position: np.add(state.position, time) }]
}

const startPosition = (): Position => ({ position: np.zeros([], { dtype: 'int32' }) })

/**
 * Adds a learned vector for each position, up to `length`: shape `[..., time, features]`.
 *
 * @example
 * const layer = learnedPositions(16, 4)
 * layer.apply(layer.init(random.key(0)), np.ones([5, 4]))[0].shape // [ 5, 4 ]
 */
export function learnedPositions(
  length: number,
  features: number,
  options: { readonly tableInit?: Initializer } = {},
): Layer<PositionParams, Position | null> {
  const op = `learnedPositions(${length}, ${features})`
  const { tableInit = normal(0.02) } = checkOptions(op, options, ['tableInit'])
  return {
    init: (key) => ({ params: { table: tableInit(key, [length, features]) }, state: null }),
    apply: ({ params, state }, x) => {
      requireParams(op, params)
      return added(op, x, params.table, state)
    },
    withCache: startPosition,
  }
}
