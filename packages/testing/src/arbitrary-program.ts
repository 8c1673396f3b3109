/**
 * Random well-typed programs.
 *
 * A program is a list of steps over a stack of values. Every step is well-typed whatever the stack
 * holds, because operands are chosen modulo its height and shapes are made to fit; so programs
 * shrink by dropping steps. All functions are smooth almost everywhere and keep values near size 1,
 * so that derivatives to any order stay comparable.
 */
import { np, special, type NDArray, type Shape } from '@adjoint/core'
import { checkpoint, type ClosedJaxpr, cond, jit, makeJaxpr, scan, vmap } from '@adjoint/transforms'
import fc from 'fast-check'
import { arbitraryShape } from './arbitraries'

/** Functions of one array: elementwise, moving elements, and reductions. */
const unaries = {
  sin: np.sin,
  cos: np.cos,
  tanh: np.tanh,
  logistic: special.expit,
  negative: np.negative,
  gaussian: (x: NDArray) => np.exp(np.negative(np.square(x))),
  squareRoot: (x: NDArray) => np.sqrt(np.add(1, np.square(x))),
  logarithm: (x: NDArray) => np.log1p(np.square(x)),
  cumulativeMean: (x: NDArray) =>
    x.ndim === 0 ? x : np.divide(np.cumsum(x, x.ndim - 1), x.shape.at(-1) ?? 1),
  transpose: (x: NDArray) => np.transpose(x),
  flip: (x: NDArray) => (x.ndim === 0 ? x : np.flip(x, 0)),
  ravel: (x: NDArray) => np.ravel(x),
  newAxis: (x: NDArray) => (x.ndim < 3 ? np.expandDims(x, 0) : x),
  meanOfLast: (x: NDArray) => np.mean(x, x.ndim === 0 ? null : -1),
  maxOfFirst: (x: NDArray) => (x.ndim === 0 ? x : np.max(x, 0)),
  logSumExp: (x: NDArray) => (x.ndim === 0 ? x : special.logsumexp(x, { axis: 0 })),
  firstRow: (x: NDArray) => (x.ndim === 0 ? x : x.get('0:1')),
  pad: (x: NDArray) => (x.ndim === 0 || x.size > 40 ? x : np.pad(x, 1)),
  gram: (x: NDArray) => (x.ndim === 2 ? np.divide(np.matmul(x, x.T), x.shape[1] ?? 1) : x),
  // The gaps between sorted elements are not differentiable where two are equal; shifting each
  // element by its own amount keeps that from being likely.
  sorted: (x: NDArray) =>
    x.ndim === 0
      ? x
      : np.sort(np.add(x, np.multiply(0.37, np.sin(np.arange(x.shape.at(-1) ?? 0)))), -1),
} as const satisfies Record<string, (x: NDArray) => NDArray>

/** Functions of two arrays that broadcast together. */
const binaries = {
  add: (x: NDArray, y: NDArray) => np.multiply(0.5, np.add(x, y)),
  subtract: (x: NDArray, y: NDArray) => np.multiply(0.5, np.subtract(x, y)),
  multiply: np.multiply,
  divide: (x: NDArray, y: NDArray) => np.divide(x, np.add(1, np.square(y))),
  maximum: np.maximum,
  select: (x: NDArray, y: NDArray) => np.where(np.greater(x, y), np.sin(x), np.cos(y)),
} as const satisfies Record<string, (x: NDArray, y: NDArray) => NDArray>

/** Bodies are endomorphisms of one array: they get a value and answer one of the same shape. */
const wrappers = {
  jit: (body: Endomorphism) => jit(body),
  checkpoint: (body: Endomorphism) => checkpoint(body),
  scan: (body: Endomorphism) => (x: NDArray) =>
    scan((carry: NDArray, _: null): [NDArray, null] => [body(carry), null], x, null, {
      length: 3,
    })[0],
  cond: (body: Endomorphism) => (x: NDArray) =>
    cond(np.greater(np.sum(x), 0.1), body, (y: NDArray) => np.sin(y), x),
  vmap: (body: Endomorphism) => (x: NDArray) => (x.ndim === 0 ? body(x) : vmap(body)(x)),
} as const satisfies Record<string, (body: Endomorphism) => Endomorphism>

type Endomorphism = (x: NDArray) => NDArray

/** One operation; operands are counted from the top of the stack, modulo its height. */
export type Step =
  | { readonly kind: 'unary'; readonly op: keyof typeof unaries; readonly x: number }
  | {
      readonly kind: 'binary'
      readonly op: keyof typeof binaries
      readonly x: number
      readonly y: number
    }
  | {
      readonly kind: 'wrapper'
      readonly op: keyof typeof wrappers
      readonly x: number
      readonly body: readonly Step[]
    }

/** NumPy's rule decides; what does not broadcast is averaged to a scalar. */
function compatible(x: NDArray, y: NDArray): boolean {
  const [a, b] = [[...x.shape].reverse(), [...y.shape].reverse()]
  return a.every((n, i) => b[i] === undefined || n === b[i] || n === 1 || b[i] === 1)
}

function applyStep(step: Step, stack: readonly NDArray[]): NDArray {
  const at = (i: number): NDArray => {
    const value = stack[stack.length - 1 - (i % stack.length)]
    if (value === undefined) throw new Error('a program needs at least one input')
    return value
  }
  switch (step.kind) {
    case 'unary':
      return unaries[step.op](at(step.x))
    case 'binary': {
      const [x, y] = [at(step.x), at(step.y)]
      return binaries[step.op](x, compatible(x, y) ? y : np.mean(y))
    }
    case 'wrapper': {
      const body: Endomorphism = (x) => {
        const y = runSteps(step.body, [x])
        return np.tanh(np.add(x, y.shape.join() === x.shape.join() ? y : np.mean(y)))
      }
      return wrappers[step.op](body)(at(step.x))
    }
  }
}

function runSteps(steps: readonly Step[], inputs: readonly NDArray[]): NDArray {
  const stack = [...inputs]
  for (const step of steps) stack.push(applyStep(step, stack))
  const last = stack.at(-1)
  if (last === undefined) throw new Error('a program needs at least one input')
  return last
}

/** A random program. */
export interface ArbitraryProgram {
  /** Shapes of its arguments, which are float32. */
  readonly inputShapes: readonly Shape[]
  /** What it does, one operation after the other. */
  readonly steps: readonly Step[]
  /** The program as a function of arrays of the input shapes. */
  readonly f: (...inputs: NDArray[]) => NDArray
  toString(): string
}

/** How large programs are. */
export interface ProgramOptions {
  /** Most operations; 6 unless given. */
  readonly maxSteps?: number
  /** Most arguments; 2 unless given. */
  readonly maxInputs?: number
  /** How deeply jit, scan, cond, checkpoint and vmap may nest; 2 unless given. */
  readonly maxDepth?: number
}

const operand = fc.nat({ max: 3 })
const keysOf = <K extends string>(record: Record<K, unknown>): K[] => Object.keys(record) as K[]

function arbitrarySteps(depth: number, maxSteps: number): fc.Arbitrary<Step[]> {
  const unary = fc.record({
    kind: fc.constant('unary' as const),
    op: fc.constantFrom(...keysOf(unaries)),
    x: operand,
  })
  const binary = fc.record({
    kind: fc.constant('binary' as const),
    op: fc.constantFrom(...keysOf(binaries)),
    x: operand,
    y: operand,
  })
  if (depth === 0) return fc.array(fc.oneof(unary, binary), { minLength: 1, maxLength: maxSteps })
  const wrapper = fc.record({
    kind: fc.constant('wrapper' as const),
    op: fc.constantFrom(...keysOf(wrappers)),
    x: operand,
    body: arbitrarySteps(depth - 1, Math.ceil(maxSteps / 2)),
  })
  return fc.array(
    fc.oneof(
      { weight: 3, arbitrary: unary },
      { weight: 3, arbitrary: binary },
      { weight: 2, arbitrary: wrapper },
    ),
    { minLength: 1, maxLength: maxSteps },
  )
}

const describeSteps = (steps: readonly Step[]): string =>
  steps
    .map((s) =>
      s.kind === 'unary'
        ? `${s.op}(${s.x})`
        : s.kind === 'binary'
          ? `${s.op}(${s.x}, ${s.y})`
          : `${s.op}{${describeSteps(s.body)}}(${s.x})`,
    )
    .join('; ')

/**
 * Random well-typed programs of float32 arrays.
 *
 * `f` runs the program under any transformation and on any device, and `String(program)` names its
 * steps. A failing program shrinks by dropping steps.
 *
 * @example
 * fc.assert(
 *   fc.property(arbitraryProgram({ maxSteps: 3 }), ({ f, inputShapes }) => {
 *     checkJit(f, inputShapes.map((shape) => np.full(shape, 0.5)))
 *   }),
 *   { numRuns: 3 },
 * )
 */
export function arbitraryProgram(options: ProgramOptions = {}): fc.Arbitrary<ArbitraryProgram> {
  const { maxSteps = 6, maxInputs = 2, maxDepth = 2 } = options
  return fc
    .record({
      inputShapes: fc.array(arbitraryShape({ maxRank: 2, maxSize: 3 }), {
        minLength: 1,
        maxLength: maxInputs,
      }),
      steps: arbitrarySteps(maxDepth, maxSteps),
    })
    .map(({ inputShapes, steps }) => ({
      inputShapes,
      steps,
      f: (...inputs: NDArray[]) => runSteps(steps, inputs),
      toString: () =>
        `${inputShapes.map((s) => `[${s.join()}]`).join(' ')} → ${describeSteps(steps)}`,
    }))
}

/**
 * The jaxpr of a random program.
 *
 * @example
 * const [program] = fc.sample(arbitraryProgram(), 1)
 * jaxprOf(program).inAvals.length === program.inputShapes.length // true
 */
export const jaxprOf = (program: ArbitraryProgram): ClosedJaxpr =>
  makeJaxpr(program.f)(...program.inputShapes.map((shape) => np.zeros(shape)))
