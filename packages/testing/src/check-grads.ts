/** Derivatives against finite differences in double precision, and against each other. */
import { ArgumentError, type NDArray, tree } from '@adjoint/core'
import {
  asArray,
  Aval,
  bind,
  type Equation,
  fromHostArray,
  hostArray,
  isFloating,
  makeScalar,
  toHostArray,
  withDevice,
} from '@adjoint/core/internal'
import { jvp, makeJaxpr, vjp } from '@adjoint/transforms'
import { largestDifference } from './compare'
import { blaming, CheckError, culpritOf, type Culprit, problemOf } from './culprit'
import { runsInside } from './programs-inside'
import { differenceTolerance, type Tolerance } from './tolerance'

/** What is checked, and how closely. */
export interface CheckGradsOptions {
  /** 1 checks the first derivative, 2 also the derivative of that, and so on. Default 1. */
  readonly order?: number
  /** Both unless given: forward mode, and reverse mode against it. */
  readonly modes?: readonly ('forward' | 'reverse')[]
  /** How far derivatives may be from differences; `differenceTolerance` unless given. */
  readonly tolerance?: Tolerance
  /** Step of the central difference; 1e-5 unless given. */
  readonly step?: number
  /** Names the function in messages. */
  readonly name?: string
}

type ArrayFunction = (...args: never[]) => unknown

/** A function of flat lists of floating arrays, with doubles in and out. */
type DoubleFunction = (inputs: readonly NDArray[]) => readonly NDArray[]

const doubles = (x: NDArray): Float64Array => Float64Array.from(toHostArray(x).data)

const ofDoubles = (aval: Aval, data: Float64Array): NDArray => fromHostArray(hostArray(aval, data))

/** Reproducible pseudo-random directions: a linear congruential sequence is random enough here. */
function direction(like: NDArray, seed: number): NDArray {
  const data = new Float64Array(like.size)
  let state = seed * 7919 + 12345
  for (let i = 0; i < data.length; i++) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0
    data[i] = state / 2 ** 31 - 1
  }
  return ofDoubles(new Aval(like.shape, like.dtype), data)
}

const along = (x: NDArray, v: NDArray, t: number): NDArray => {
  const [a, b] = [doubles(x), doubles(v)]
  return ofDoubles(
    x.aval,
    a.map((value, i) => value + t * (b[i] ?? 0)),
  )
}

const inner = (xs: readonly NDArray[], ys: readonly NDArray[]): number =>
  xs.reduce((sum, x, i) => {
    const [a, b] = [doubles(x), doubles(ys[i])]
    return a.reduce((s, value, k) => s + value * (b[k] ?? 0), sum)
  }, 0)

function check(
  what: string,
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: Tolerance,
): void {
  const difference = largestDifference(actual, expected, tolerance)
  if (difference && difference.excess > 1) {
    throw new CheckError(
      `${what}: element ${difference.where} is ${difference.actual}, but ${difference.expected} was expected ` +
        `(${difference.excess.toPrecision(3)} times what is allowed)`,
    )
  }
}

function checkFlat(
  f: DoubleFunction,
  inputs: readonly NDArray[],
  options: Required<CheckGradsOptions>,
): void {
  const { order, modes, tolerance, step, name } = options
  const vs = inputs.map((x, i) => direction(x, i + order))
  const forward = inputs.map((x, i) => along(x, vs[i] ?? x, step))
  const backward = inputs.map((x, i) => along(x, vs[i] ?? x, -step))
  const [plus, minus, plain] = [f(forward), f(backward), f(inputs)]
  const numeric = plus.map((y, i) => {
    const [a, b] = [doubles(y), doubles(minus[i] ?? y)]
    return a.map((value, k) => (value - (b[k] ?? 0)) / (2 * step))
  })
  const yBars = plain.map((y, i) => direction(y, 100 + i + order))
  const numericPairing = numeric.reduce((sum, d, i) => {
    const yBar = doubles(yBars[i] ?? plain[0])
    return d.reduce((s, value, k) => s + value * (yBar[k] ?? 0), sum)
  }, 0)
  const spread =
    (f: (...xs: NDArray[]) => readonly NDArray[]): ((...xs: NDArray[]) => NDArray[]) =>
    (...xs) => [...f(...xs)]
  const flat = spread((...xs) => f(xs))

  if (modes.includes('forward')) {
    const [ys, yDots] = jvp(flat, [...inputs], vs)
    ys.forEach((y, i) =>
      check(`${name}: value under jvp`, doubles(y), doubles(plain[i] ?? y), tolerance),
    )
    yDots.forEach((yDot, i) =>
      check(
        `${name}: jvp against finite differences, output ${i}`,
        doubles(yDot),
        numeric[i] ?? [],
        tolerance,
      ),
    )
    if (order > 1) {
      const derivative: DoubleFunction = (xs) => jvp(flat, [...xs], vs)[1]
      checkFlat(derivative, inputs, { ...options, order: order - 1, name: `jvp of ${name}` })
    }
  }
  if (modes.includes('reverse')) {
    const [ys, pullback] = vjp(flat, ...inputs)
    ys.forEach((y, i) =>
      check(`${name}: value under vjp`, doubles(y), doubles(plain[i] ?? y), tolerance),
    )
    const xBars = pullback([...yBars]) as readonly NDArray[]
    check(
      `${name}: ⟨vjp, v⟩ against finite differences`,
      [inner(xBars, vs)],
      [numericPairing],
      tolerance,
    )
    if (order > 1) {
      const derivative: DoubleFunction = (xs) => vjp(flat, ...xs)[1]([...yBars])
      checkFlat(derivative, inputs, { ...options, order: order - 1, name: `vjp of ${name}` })
    }
  }
}

/** Some operands of a function, while the others stay. */
function restricted(
  f: (all: readonly NDArray[]) => readonly NDArray[],
  all: readonly NDArray[],
): { readonly f: DoubleFunction; readonly inputs: readonly NDArray[] } {
  const varied = all.map((x) => isFloating(x.dtype))
  return {
    f: (inputs) => {
      let next = 0
      return f(all.map((x, i) => (varied[i] ? inputs[next++] : x))).filter((y) =>
        isFloating(y.dtype),
      )
    },
    inputs: all.filter((_, i) => varied[i]),
  }
}

/** The first equation of the program whose derivative, or that of its derivative, is wrong. */
function wronglyDifferentiated(
  f: DoubleFunction,
  inputs: readonly NDArray[],
  options: Required<CheckGradsOptions>,
): Culprit | null {
  const run = ({ primitive, params }: Equation, operands: readonly NDArray[]) =>
    bind(primitive, operands, params)
  const { jaxpr, constants } = makeJaxpr((...xs: NDArray[]) => [...f(xs)])(...inputs)
  return culpritOf<NDArray>(jaxpr, [...constants, ...inputs], {
    literal: ({ value, aval }) => makeScalar(value, aval),
    run,
    complaint: (equation, operands) => {
      const own = restricted((all) => run(equation, all), operands)
      if (own.inputs.length === 0) return null
      const { name } = equation.primitive
      return problemOf(() => checkFlat(own.f, own.inputs, { ...options, name }))
    },
    inside: runsInside,
    shown: String,
  })
}

/**
 * Checks the derivatives of a function at a point, in double precision on the reference device.
 *
 * Forward mode is compared with central differences along a fixed pseudo-random direction, reverse
 * mode by ⟨ȳ, J v⟩ = ⟨Jᵀ ȳ, v⟩, and for `order > 1` the derivatives themselves are checked in turn.
 *
 * @param f a function of trees of arrays; its floating results are checked
 * @param args where to check; floating leaves are varied, the others are kept
 * @param options.order how often to differentiate: 1 unless given
 * @throws CheckError that says which derivative differs, where and by how much, and names the first
 *   equation of the program of which that is true by itself
 * @throws ArgumentError when there is nothing to differentiate
 * @example
 * checkGrads((x: NDArray) => np.sum(np.sin(x)), [np.array([0.1, 0.2])], { order: 2 })
 */
export function checkGrads(
  f: ArrayFunction,
  args: readonly unknown[],
  options: CheckGradsOptions = {},
): void {
  const name = options.name ?? (f.name || 'f')
  const full: Required<CheckGradsOptions> = {
    order: options.order ?? 1,
    modes: options.modes ?? ['forward', 'reverse'],
    tolerance: options.tolerance ?? differenceTolerance,
    step: options.step ?? 1e-5,
    name,
  }
  const { leaves, structure } = tree.flatten<NDArray | number | boolean>(args)
  const results = (xs: readonly NDArray[]): readonly NDArray[] =>
    tree
      .leaves<NDArray | number | boolean>(f(...(tree.unflatten(structure, xs) as never[])))
      .map((y) => asArray(`checkGrads(${name}, args)`, y))
  withDevice('reference', () => {
    const all = leaves.map((leaf) => {
      const x = asArray(`checkGrads(${name}, args)`, leaf)
      return isFloating(x.dtype) ? ofDoubles(x.aval, doubles(x)) : x
    })
    requireSomething(name, 'argument', all)
    const { f: flat, inputs } = restricted(results, all)
    requireSomething(name, 'result', results(all))
    blaming(
      () => checkFlat(flat, inputs, full),
      () => wronglyDifferentiated(flat, inputs, full),
    )
  })
}

/** A check that checks nothing would pass whatever the function. */
function requireSomething(name: string, what: string, arrays: readonly NDArray[]): void {
  if (arrays.some((x) => isFloating(x.dtype))) return
  throw new ArgumentError({
    op: `checkGrads(${name}, args)`,
    problem: `there is no floating ${what}, so nothing to differentiate`,
    operands: arrays.map((x, i) => ({ name: `${what} ${i}`, aval: x.aval })),
    rule: 'derivatives are those of floating results by floating arguments',
    hint: "np.array([1, 2]) holds integers; np.array([1, 2], { dtype: 'float32' }) does not",
  })
}
