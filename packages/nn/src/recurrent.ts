/** Networks that read a sequence step by step. */
import {
  np,
  random,
  ShapeError,
  type DType,
  type Key,
  type NDArray,
  type Shape,
} from '@adjoint/core'
import { checkOptions } from '@adjoint/core/internal'
import { type Carry as Carried, scan } from '@adjoint/transforms'
import { sigmoid } from './activations'
import { glorotUniform, type Initializer, orthogonal } from './initializers'
import { type Layer, requireParams } from './layer'
import { type LinearParams, requireFeatures, type WeightParams } from './linear'

/** What a recurrent network does at each step. */
export interface Cell<P, Carry> {
  init(key: Key): P
  /** The carry before the first step, for these leading axes. */
  start(batch: Shape, dtype?: DType): Carry
  /** What can be computed of all inputs at once, before the first step: `[..., features]`. */
  project(params: P, x: NDArray): NDArray
  /** One step: takes the carry and a projected input, answers the next carry and the output. */
  step(params: P, carry: Carry, projected: NDArray): [carry: Carry, y: NDArray]
}

export interface RecurrentOptions {
  /** Read from the last step to the first; outputs stand where their inputs stand. */
  readonly reverse?: boolean
  readonly unroll?: number
}

export interface RecurrentLayer<P, Carry> extends Layer<P, Carry | null> {
  /**
   * Reads a whole sequence `[..., time, features]` from a carry.
   *
   * @param carry where to start; the cell's own start unless given
   * @returns the outputs `[..., time, outputs]` and the last carry
   */
  run(params: P, x: NDArray, carry?: Carry): [y: NDArray, carry: Carry]
}

/**
 * A cell over a sequence, as one loop: `[..., time, features]` to `[..., time, outputs]`. Each
 * `apply` starts anew, unless the state holds a carry (see `withCache`): then it continues.
 *
 * @example
 * const reader = recurrent(lstm(8, 32))
 * const { params } = reader.init(random.key(0))
 * const [outputs, last] = reader.run(params, np.ones([5, 7, 8]))
 * outputs.shape // [ 5, 7, 32 ]
 * last.hidden.shape // [ 5, 32 ]
 */
export function recurrent<P, Carry>(
  cell: Cell<P, Carry>,
  options: RecurrentOptions = {},
): RecurrentLayer<P, Carry> {
  checkOptions('recurrent(cell)', options, ['reverse', 'unroll'])
  const run = (params: P, x: NDArray, carry?: Carry): [NDArray, Carry] => {
    if (x.ndim < 2) {
      throw new ShapeError({
        op: 'recurrent(cell)',
        problem: 'x has fewer than 2 axes',
        operands: [{ name: 'x', aval: x.aval }],
        rule: 'x has shape [..., time, inputs]',
      })
    }
    const projected = np.moveaxis(cell.project(params, x), -2, 0)
    const first = carry ?? cell.start(x.shape.slice(0, -2), x.dtype)
    const step = (now: Carry, input: NDArray): [Carry, NDArray] => cell.step(params, now, input)
    const [last, ys] = scan(step as CarriedStep<Carry>, first, projected, options)
    return [np.moveaxis(ys, 0, -2), last as Carry]
  }
  return {
    init: (key) => ({ params: cell.init(key), state: null }),
    run,
    apply: ({ params, state }, x) => {
      requireParams('recurrent(cell)', params)
      if (!state) return [run(params, x)[0], null]
      return run(params, x, state)
    },
    withCache: (_state, { batch = [], dtype }) => cell.start(batch, dtype),
  }
}

/** The step as `scan` wants it: a carry of arrays is the same tree in a loop. */
type CarriedStep<C> = (carry: Carried<C>, x: NDArray) => readonly [Carried<C>, NDArray]

export interface CellOptions {
  readonly weightInit?: Initializer
  /** Of the weights from step to step, gate by gate; orthogonal unless given. */
  readonly recurrentInit?: Initializer
}

/** `count` matrices `[rows, columns]` side by side. */
function gates(init: Initializer, key: Key, rows: number, columns: number, count: number): NDArray {
  const keys = random.split(key, count)
  return np.concatenate(
    Array.from({ length: count }, (_, i) => init(keys.get(i), [rows, columns])),
    1,
  )
}

const gate = (x: NDArray, index: number, size: number): NDArray =>
  x.get('...', `${index * size}:${(index + 1) * size}`)

const affine = (x: NDArray, { weight, bias }: LinearParams): NDArray =>
  np.add(np.matmul(x, weight), bias)

export interface LstmParams {
  /** `[inputs, 4 · hidden]`: input gate, forget gate, cell, output gate, as PyTorch orders them. */
  readonly input: LinearParams
  /** `[hidden, 4 · hidden]` */
  readonly recurrent: WeightParams
}

export interface LstmCarry {
  readonly cell: NDArray
  readonly hidden: NDArray
}

/**
 * Long short-term memory. Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000,
 * which starts out open (its bias is 1; Jozefowicz et al. 2015).
 *
 *     i, f, o = σ(x Wᵢ + h Uᵢ + bᵢ), …    g = tanh(x W_g + h U_g + b_g)
 *     c' = f c + i g                      h' = o tanh(c')
 *
 * @example
 * const reader = recurrent(lstm(3, 5))
 * reader.apply(reader.init(random.key(0)), np.ones([2, 7, 3]))[0].shape // [ 2, 7, 5 ]
 */
export function lstm(
  inputs: number,
  hidden: number,
  options: CellOptions = {},
): Cell<LstmParams, LstmCarry> {
  const op = `lstm(${inputs}, ${hidden})`
  checkOptions(op, options, ['weightInit', 'recurrentInit'])
  const { weightInit = glorotUniform(), recurrentInit = orthogonal() } = options
  return {
    init: (key) => {
      const [inputKey, recurrentKey] = random.split(key)
      const zeros = np.zeros([hidden])
      return {
        input: {
          weight: gates(weightInit, inputKey, inputs, hidden, 4),
          bias: np.concatenate([zeros, np.ones([hidden]), zeros, zeros]),
        },
        recurrent: { weight: gates(recurrentInit, recurrentKey, hidden, hidden, 4) },
      }
    },
    start: (batch, dtype = 'float32') => ({
      cell: np.zeros([...batch, hidden], { dtype }),
      hidden: np.zeros([...batch, hidden], { dtype }),
    }),
    project: (params, x) => {
      requireFeatures(op, x, inputs, 'time, inputs')
      return affine(x, params.input)
    },
    step: (params, carry, projected) => {
      const all = np.add(projected, np.matmul(carry.hidden, params.recurrent.weight))
      const [i, f, o] = [0, 1, 3].map((index) => sigmoid(gate(all, index, hidden)))
      const candidate = np.tanh(gate(all, 2, hidden))
      const cell = np.add(np.multiply(f, carry.cell), np.multiply(i, candidate))
      const output = np.multiply(o, np.tanh(cell))
      return [{ cell, hidden: output }, output]
    },
  }
}

export interface GruParams {
  /** `[inputs, 3 · hidden]`: reset gate, update gate, candidate, as PyTorch orders them. */
  readonly input: LinearParams
  /** `[hidden, 3 · hidden]`; the bias `[hidden]` is the candidate's, inside of the reset gate. */
  readonly recurrent: LinearParams
}

/**
 * Gated recurrent unit. Cho et al. 2014, in the form that PyTorch, Flax and cuDNN compute.
 *
 *     r, z = σ(x W + h U + b)     n = tanh(x Wₙ + bₙ + r (h Uₙ + cₙ))     h' = (1 − z) n + z h
 *
 * @example
 * const reader = recurrent(gru(3, 5))
 * reader.apply(reader.init(random.key(0)), np.ones([2, 7, 3]))[0].shape // [ 2, 7, 5 ]
 */
export function gru(
  inputs: number,
  hidden: number,
  options: CellOptions = {},
): Cell<GruParams, NDArray> {
  const op = `gru(${inputs}, ${hidden})`
  checkOptions(op, options, ['weightInit', 'recurrentInit'])
  const { weightInit = glorotUniform(), recurrentInit = orthogonal() } = options
  return {
    init: (key) => {
      const [inputKey, recurrentKey] = random.split(key)
      return {
        input: {
          weight: gates(weightInit, inputKey, inputs, hidden, 3),
          bias: np.zeros([3 * hidden]),
        },
        recurrent: {
          weight: gates(recurrentInit, recurrentKey, hidden, hidden, 3),
          bias: np.zeros([hidden]),
        },
      }
    },
    start: (batch, dtype = 'float32') => np.zeros([...batch, hidden], { dtype }),
    project: (params, x) => {
      requireFeatures(op, x, inputs, 'time, inputs')
      return affine(x, params.input)
    },
    step: (params, h, projected) => {
      const own = np.matmul(h, params.recurrent.weight)
      const [r, z] = [0, 1].map((index) =>
        sigmoid(np.add(gate(projected, index, hidden), gate(own, index, hidden))),
      )
      const inner = np.add(gate(own, 2, hidden), params.recurrent.bias)
      const candidate = np.tanh(np.add(gate(projected, 2, hidden), np.multiply(r, inner)))
      const next = np.add(np.multiply(np.subtract(1, z), candidate), np.multiply(z, h))
      return [next, next]
    },
  }
}
