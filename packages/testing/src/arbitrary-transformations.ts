/** How deep stacks are. */
export interface TransformationOptions {
  /** Most layers; 4 unless given. */
  readonly maxDepth?: number
  /** How many of them may be derivatives; 2 unless given. */
  readonly maxOrder?: number
}

/**
 * Random stacks of transformations, with what they mean.
 *
 * Every layer turns an endomorphism of one array into another one, so layers nest in any order. A
 * layer knows two things: the transformation as the library does it, and its plain meaning, in which
 * `jit` and `checkpoint` are left out, `vmap` and `scan` are loops of JavaScript, `cond` is an `if`
 * and derivatives of derived rules are derivatives of the function itself.
 */
import { np, type NDArray } from '@adjoint/core'
import {
  checkpoint,
  cond,
  customJvp,
  customVjp,
  foriLoop,
  grad,
  hvp,
  jit,
  jvp,
  linearize,
  scan,
  switchCase,
  vjp,
  vmap,
  whileLoop,
} from '@adjoint/transforms'
import fc from 'fast-check'

/** A function from one array to another of the same shape and dtype. */
export type Endomorphism = (x: NDArray) => NDArray

/** What a layer asks of the derivatives taken outside of it. */
type Differentiation = 'any' | 'forward only' | 'reverse next'

export interface Layer {
  /** The transformation as the library does it. */
  readonly transform: (f: Endomorphism) => Endomorphism
  /** What it means, without the transformation where that is possible. */
  readonly meaning: (f: Endomorphism) => Endomorphism
  /** Whether the layer takes a derivative, and in which mode. */
  readonly derivative: 'none' | 'forward' | 'reverse'
  /** `while` has no reverse mode; a custom vjp has none but reverse mode. */
  readonly outside: Differentiation
}

/** Fixed weights of an array's elements, all different. */
const weights = (x: NDArray): NDArray =>
  np.reshape(np.add(np.multiply(np.cos(np.multiply(np.arange(x.size), 0.7)), 0.6), 0.3), x.shape)

const weightedSum =
  (f: Endomorphism): Endomorphism =>
  (x) => {
    const y = f(x)
    return np.sum(np.multiply(y, weights(y)))
  }

const tangentAt = (x: NDArray): NDArray => np.add(np.multiply(np.sin(x), 0.5), 0.25)
const neighbour = (x: NDArray): NDArray => np.add(np.multiply(x, 0.75), 0.125)
/**
 * Keeps loops from growing. Unlike tanh it tells large values apart in single precision too: a
 * function with extrema in it would see ties that others do not.
 */
const bounded = (x: NDArray): NDArray => np.divide(x, np.sqrt(np.add(1, np.square(x))))

const isLarge = (x: NDArray): NDArray => np.greater(np.sum(np.multiply(x, weights(x))), 0.21)

const derivativeOf =
  (f: Endomorphism): Endomorphism =>
  (x) =>
    jvp(f, [x], [tangentAt(x)])[1]

const same = (f: Endomorphism): Endomorphism => f
const plain = { derivative: 'none', outside: 'any' } as const

/** The transformations with their meanings. */
const layers = {
  jit: { ...plain, transform: (f) => jit(f), meaning: same },
  checkpoint: { ...plain, transform: (f) => checkpoint(f), meaning: same },
  vmap: {
    ...plain,
    // The mapped axis stands last on the way in, and in the middle of the way out.
    transform: (f) => (x) => {
      const rows = vmap(f, { inAxes: -1, outAxes: 0 })(np.stack([x, neighbour(x)], -1))
      return np.subtract(rows.get(0), np.multiply(rows.get(1), 0.5))
    },
    meaning: (f) => (x) => np.subtract(f(x), np.multiply(f(neighbour(x)), 0.5)),
  },
  closedOverVmap: {
    ...plain,
    // The function closes over the unmapped array.
    transform: (f) => (x) => {
      const scales = np.array([0.5, -1])
      return np.sum(vmap((s: NDArray) => f(np.multiply(x, s)))(scales), 0)
    },
    meaning: (f) => (x) => np.add(f(np.multiply(x, 0.5)), f(np.negative(x))),
  },
  scan: {
    ...plain,
    transform: (f) => (x) => {
      const step = (carry: NDArray, s: NDArray): [NDArray, NDArray] => {
        const y = f(np.add(carry, np.multiply(s, x)))
        return [bounded(y), np.multiply(y, s)]
      }
      const [last, ys] = scan(step, x, np.array([0.5, -0.25, 0.125]))
      return np.add(last, np.sum(ys, 0))
    },
    meaning: (f) => (x) => {
      let [carry, sum] = [x, np.zerosLike(x)]
      for (const s of [0.5, -0.25, 0.125]) {
        const y = f(np.add(carry, np.multiply(x, s)))
        carry = bounded(y)
        sum = np.add(sum, np.multiply(y, s))
      }
      return np.add(carry, sum)
    },
  },
  foriLoop: {
    ...plain,
    transform: (f) => (x) =>
      foriLoop(0, 2, (i, c: NDArray) => bounded(np.add(f(c), np.multiply(i, x))), x),
    meaning: (f) => (x) => bounded(np.add(f(bounded(f(x))), x)),
  },
  whileLoop: {
    derivative: 'none',
    outside: 'forward only',
    transform: (f) => (x) =>
      whileLoop(
        ([i]: [NDArray, NDArray]) => np.less(i, 2),
        ([i, c]: [NDArray, NDArray]): [NDArray, NDArray] => [np.add(i, 1), bounded(f(c))],
        [np.array(0), x] as [NDArray, NDArray],
      )[1],
    meaning: (f) => (x) => bounded(f(bounded(f(x)))),
  },
  cond: {
    ...plain,
    transform: (f) => (x) =>
      cond(
        isLarge(x),
        (y: NDArray) => f(y),
        (y: NDArray) => np.multiply(np.sin(y), x),
        x,
      ),
    meaning: (f) => (x) => (isLarge(x).item() ? f(x) : np.multiply(np.sin(x), x)),
  },
  switchCase: {
    ...plain,
    transform: (f) => (x) =>
      switchCase(
        np.add(np.multiply(isLarge(x), 1), 1),
        [
          (y: NDArray) => np.cos(y),
          (y: NDArray) => bounded(f(y)),
          (y: NDArray) => f(np.multiply(y, 0.5)),
        ],
        x,
      ),
    meaning: (f) => (x) => (isLarge(x).item() ? f(np.multiply(x, 0.5)) : bounded(f(x))),
  },
  jvp: { derivative: 'forward', outside: 'any', transform: derivativeOf, meaning: derivativeOf },
  linearize: {
    derivative: 'forward',
    outside: 'any',
    transform: (f) => (x) => linearize(f, x)[1](tangentAt(x)),
    meaning: derivativeOf,
  },
  grad: {
    derivative: 'reverse',
    outside: 'any',
    transform: (f) => (x) => grad(weightedSum(f))(x),
    meaning: (f) => (x) => grad(weightedSum(f))(x),
  },
  vjp: {
    derivative: 'reverse',
    outside: 'any',
    transform: (f) => (x) => {
      const [y, pullback] = vjp(f, x)
      return np.add(pullback(weights(y))[0], y)
    },
    meaning: (f) => (x) => np.add(grad(weightedSum(f))(x), f(x)),
  },
  hvp: {
    derivative: 'reverse',
    outside: 'any',
    transform: (f) => (x) => hvp(weightedSum(f), [x], [tangentAt(x)])[0],
    meaning: (f) => derivativeOf((x) => grad(weightedSum(f))(x)),
  },
  perExampleGradients: {
    derivative: 'reverse',
    outside: 'any',
    transform: (f) => (x) => np.sum(vmap(grad(weightedSum(f)))(np.stack([x, neighbour(x)])), 0),
    meaning: (f) => (x) => np.add(grad(weightedSum(f))(x), grad(weightedSum(f))(neighbour(x))),
  },
  customJvp: {
    ...plain,
    transform: (f) => customJvp((x: NDArray) => f(x)).defjvp(([x], [xDot]) => jvp(f, [x], [xDot])),
    meaning: same,
  },
  customVjp: {
    derivative: 'none',
    outside: 'reverse next',
    transform: (f) =>
      customVjp((x: NDArray) => f(x)).defvjp(
        (x) => [f(x), x],
        (x: NDArray, yBar: NDArray) => [vjp(f, x)[1](yBar)[0]],
      ),
    meaning: same,
  },
} as const satisfies Record<string, Layer>

/** `jit`, `vmap`, `scan`, `grad`, …: the name of a layer. */
export type LayerName = keyof typeof layers

/** The modes of differentiation that a layer brings; the rules of custom functions differentiate too. */
const modeOf = (name: LayerName): readonly ('forward' | 'reverse')[] => {
  const { derivative }: Layer = layers[name]
  if (name === 'customJvp') return ['forward']
  if (name === 'customVjp') return ['reverse']
  return derivative === 'none' ? [] : [derivative]
}

/**
 * Whether every layer's derivatives exist under the layers around it; innermost first. The forward
 * function of a custom vjp calls its body outside of the rule, where a second one would be found by
 * forward mode.
 */
function isDifferentiable(names: readonly LayerName[]): boolean {
  if (names.filter((name) => name === 'customVjp').length > 1) return false
  return names.every((name, i) => {
    const layer: Layer = layers[name]
    if (layer.outside === 'any') return true
    const around = names.slice(i + 1).flatMap(modeOf)
    return layer.outside === 'forward only' ? !around.includes('reverse') : around[0] !== 'forward'
  })
}

/** A stack of transformations: what it makes of a function, and what that means. */
export interface TransformationStack {
  /** Innermost first. */
  readonly names: readonly LayerName[]
  readonly transform: (f: Endomorphism) => Endomorphism
  readonly meaning: (f: Endomorphism) => Endomorphism
  toString(): string
}

/**
 * The stack of these layers.
 *
 * @param names innermost first
 * @example
 * const { transform, meaning } = transformationStack(['scan', 'grad', 'jit'])
 * requireClose('sin', transform(np.sin)(np.array([0.3])), meaning(np.sin)(np.array([0.3])))
 */
export const transformationStack = (names: readonly LayerName[]): TransformationStack => ({
  names,
  transform: (f) => names.reduce<Endomorphism>((g, name) => layers[name].transform(g), f),
  meaning: (f) => names.reduce<Endomorphism>((g, name) => layers[name].meaning(g), f),
  toString: () => names.reduce<string>((text, name) => `${name}(${text})`, 'f'),
})

/**
 * Random stacks of transformations of functions from an array to one of its shape.
 *
 * `transform` applies `jit`, `grad`, `vmap`, `scan`, custom rules and so on in random order;
 * `meaning` says the same with loops, branches and calls of JavaScript, and derivatives.
 *
 * @example
 * fc.assert(
 *   fc.property(arbitraryTransformations({ maxDepth: 2, maxOrder: 1 }), ({ transform, meaning }) => {
 *     const x = np.array([0.3, -0.2])
 *     requireClose('sin', transform(np.sin)(x), meaning(np.sin)(x), {
 *       tolerance: { relative: 1e-3, absolute: 1e-3 },
 *     })
 *   }),
 *   { numRuns: 2 },
 * )
 */
export function arbitraryTransformations(
  options: TransformationOptions = {},
): fc.Arbitrary<TransformationStack> {
  const { maxDepth = 4, maxOrder = 2 } = options
  const order = (names: readonly LayerName[]): number =>
    names.reduce(
      (n, name) => n + (name === 'hvp' ? 2 : layers[name].derivative === 'none' ? 0 : 1),
      0,
    )
  return fc
    .array(fc.constantFrom(...(Object.keys(layers) as LayerName[])), { maxLength: maxDepth })
    .filter((names) => order(names) <= maxOrder && isDifferentiable(names))
    .map(transformationStack)
}
