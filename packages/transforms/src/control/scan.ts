/** `scan` and the loops that are scans: `map`, and `foriLoop` with static bounds. */
import {
  add,
  ArgumentError,
  Aval,
  checkOptions,
  full,
  type NDArray,
  stage,
  TransformationError,
  tree,
} from '@adjoint/core/internal'
import {
  callName,
  type FlatArguments,
  flattenArrays,
  refusePromise,
  requireFunction,
} from '../flat-function'
import { likeCarry, promotedCarry, requireSameCarry, sameStructure, withAvals } from './carry'
import { bindScan } from './scan-primitive'

export interface ScanOptions {
  /** Number of steps; needed when there are no xs. */
  readonly length?: number
  /** From the last slice to the first; ys stand where their xs stood. */
  readonly reverse?: boolean
  /**
   * How many steps may be written out together, or true for all: a hint, kept in the program. The
   * compiled loop costs so little per step that no step is written out twice.
   */
  readonly unroll?: number | boolean
}

/**
 * A tree with a leading axis added to every leaf (numbers become arrays). Arrays have no shape in
 * their type, so this is the tree itself.
 */
export type Stacked<T> = T extends number | boolean
  ? NDArray
  : T extends NDArray | null | undefined
    ? T
    : T extends object
      ? { [K in keyof T]: Stacked<T[K]> }
      : T

/** What a carry is inside and after a loop: arrays where numbers were given. */
export type Carry<T> = Stacked<T>

/**
 * Runs `f` once per slice of `xs`, passing a carry along: a loop that compiles to one loop and that
 * can be differentiated in both directions.
 *
 * @param f takes the carry and a slice of `xs`, answers `[carry, y]`; the carry keeps its type
 * @param init the first carry, a tree of arrays
 * @param xs a tree of arrays with a common leading axis, or null
 * @param options.length number of steps, where `xs` does not say it
 * @param options.reverse from the last slice to the first
 * @returns `[carry, ys]`: the last carry, and the ys stacked along a new leading axis
 * @throws TransformationError when the carry changes its type, with the path of the leaf
 * @example
 * scan((sum, x) => [sum.add(x), sum], 0, np.array([1, 2, 3]))
 * // [ Array(6, dtype=int32), Array([0, 1, 3], dtype=int32) ]
 */
export function scan<C, X, Y>(
  f: (carry: Carry<C>, x: X) => readonly [carry: Carry<C>, y: Y],
  init: C,
  xs: X,
  options: ScanOptions = {},
): [Carry<C>, Stacked<Y>] {
  return scanFor('scan', f, init, xs, options)
}

/** A scan in the name of what the user called. `carryAt` says where the user's carry stands in `C`. */
function scanFor<C, X, Y>(
  name: string,
  f: (carry: Carry<C>, x: X) => readonly [carry: Carry<C>, y: Y],
  init: C,
  xs: X,
  options: ScanOptions,
  carryAt = '',
): [Carry<C>, Stacked<Y>] {
  requireFunction(name, f)
  const op = callName(name, f)
  checkOptions(op, options, ['length', 'reverse', 'unroll'])
  const scanned = flattenArrays(op, xs, 'xs')
  const length = scanLength(op, scanned, options.length)
  const start = flattenArrays(op, init, 'init')
  const sliceAvals = scanned.arrays.map(
    ({ aval }) => new Aval(aval.shape.slice(1), aval.dtype, aval.weakType),
  )
  let result = traceBody(op, name, f, start, scanned.structure, sliceAvals)
  const carryAvals = promotedCarry(
    start.arrays.map((x) => x.aval),
    result.carryOut,
  )
  const arrays = withAvals(start.arrays, carryAvals)
  if (arrays.some((x, i) => x !== start.arrays[i])) {
    result = traceBody(op, name, f, { ...start, arrays }, scanned.structure, sliceAvals)
  }
  requireSameCarry(op, { structure: start.structure, avals: carryAvals }, result.newCarry, carryAt)
  const numCarry = arrays.length
  const outputs = bindScan([...result.constants, ...arrays, ...scanned.arrays], {
    jaxpr: result.jaxpr,
    length,
    numCarry,
    numConsts: result.constants.length,
    reverse: options.reverse ?? false,
    unroll: unrolled(op, options.unroll ?? 1, length),
  })
  return [
    tree.unflatten(start.structure, outputs.slice(0, numCarry)) as Carry<C>,
    tree.unflatten(result.yStructure, outputs.slice(numCarry)) as Stacked<Y>,
  ]
}

/** As many steps as there are for `true`, one for `false`. */
function unrolled(op: string, unroll: number | boolean, length: number): number {
  if (typeof unroll === 'boolean') return unroll ? Math.max(length, 1) : 1
  if (Number.isInteger(unroll) && unroll > 0) return unroll
  throw new ArgumentError({
    op,
    problem: `unroll is ${unroll}`,
    rule: 'unroll is a positive integer or a boolean',
  })
}

/** One trace of the body, on carries of the types of `start`. */
function traceBody(
  op: string,
  name: string,
  f: (carry: never, x: never) => unknown,
  start: FlatArguments,
  xStructure: tree.TreeStructure,
  sliceAvals: readonly Aval[],
) {
  const carryAvals = start.arrays.map((x) => x.aval)
  const found: { newCarry?: FlatArguments; ys?: FlatArguments } = {}
  const { jaxpr, constants } = stage(
    (inputs) => {
      const carry = tree.unflatten(start.structure, inputs.slice(0, carryAvals.length))
      const x = tree.unflatten(xStructure, inputs.slice(carryAvals.length))
      const answer: unknown = f(carry as never, x as never)
      refusePromise(op, answer)
      const [next, y] = requirePair(op, answer)
      found.newCarry = flattenArrays(op, next, 'carry')
      found.ys = flattenArrays(op, y, 'y')
      return [...likeCarry(found.newCarry.arrays, carryAvals), ...found.ys.arrays]
    },
    [...carryAvals, ...sliceAvals],
    name,
    f.name,
  )
  const { newCarry, ys } = found
  if (newCarry === undefined || ys === undefined) throw new Error('the body was not traced')
  return {
    jaxpr,
    constants,
    newCarry,
    carryOut: newCarry.arrays.map((x) => x.aval),
    yStructure: ys.structure,
  }
}

function requirePair(op: string, answer: unknown): readonly [unknown, unknown] {
  if (Array.isArray(answer) && answer.length === 2) return [answer[0], answer[1]]
  throw new TransformationError({
    op,
    problem: `the body returned ${
      Array.isArray(answer) ? `an array of ${answer.length}` : 'something that is not a pair'
    }`,
    rule: 'the body of a scan returns [carry, y]',
    hint: 'return [carry, null] when there is nothing to collect',
  })
}

/** The number of steps: the leading axis of all xs, or the option. */
function scanLength(op: string, xs: FlatArguments, length: number | undefined): number {
  const paths = tree.structurePaths(xs.structure, 'xs')
  const scalar = xs.arrays.findIndex((x) => x.ndim === 0)
  if (scalar >= 0) {
    throw new TransformationError({
      op,
      problem: `${paths[scalar]} is a scalar and has no axis to scan over`,
      operands: [{ name: paths[scalar], aval: xs.arrays[scalar].aval }],
      path: paths[scalar],
      rule: 'every leaf of xs has a leading axis, one slice per step',
      hint: 'close over values that are the same in all steps',
    })
  }
  const steps = length ?? xs.arrays[0]?.shape[0]
  if (steps === undefined) {
    throw new TransformationError({
      op,
      problem: 'the number of steps is unknown',
      rule: 'xs has at least one array, or length is given',
      hint: 'scan(f, init, null, { length: 10 })',
    })
  }
  if (!Number.isInteger(steps) || steps < 0) {
    throw new ArgumentError({
      op,
      problem: `length ${steps} is not a number of steps`,
      rule: 'length is a nonnegative integer',
    })
  }
  if (xs.arrays.some((x) => x.shape[0] !== steps)) {
    throw new TransformationError({
      op,
      problem:
        length === undefined
          ? 'the leading axes of xs have different sizes'
          : `the leading axes of xs disagree with length ${length}`,
      operands: xs.arrays.map((x, i) => ({
        name: paths[i],
        aval: x.aval,
        note: `axis 0 is ${x.shape[0]}`,
      })),
      rule: 'all leaves of xs have the same leading axis, the number of steps',
    })
  }
  return steps
}

/**
 * Applies `f` to each slice of `xs` along the leading axis, one after the other: `vmap` in less
 * memory.
 *
 * @param f takes a slice, a tree of arrays
 * @param xs a tree of arrays with a common leading axis
 * @returns the results, stacked along a leading axis
 * @example
 * map((x: NDArray) => np.sum(np.square(x)), np.array([[1, 2], [3, 4]]))
 * // Array([ 5, 25], dtype=int32)
 */
export function map<X, Y>(f: (x: X) => Y, xs: X): Stacked<Y> {
  requireFunction('map', f)
  const step = (_carry: null, x: X): readonly [null, Y] => [null, f(x)]
  Object.defineProperty(step, 'name', { value: f.name })
  const [, ys] = scanFor<null, X, Y>('map', step, null, xs, {})
  return ys
}

/** `foriLoop` with bounds that are known while tracing: a scan, which reverse mode can go through. */
export function staticLoop<C>(
  lower: number,
  upper: number,
  body: (i: NDArray, carry: Carry<C>) => Carry<C>,
  init: C,
): Carry<C> {
  const length = Math.max(0, upper - lower)
  const counted = ([i, carry]: LoopState<C>, _x: null): readonly [LoopState<C>, null] => [
    [add(i, full([], 1, 'int32', i.aval.weakType)), requireCarry(body(i, carry))],
    null,
  ]
  Object.defineProperty(counted, 'name', { value: body.name })
  const first = flattenArrays('foriLoop', init, 'init')
  const start = tree.unflatten(first.structure, first.arrays) as Carry<C>
  const requireCarry = sameStructure(callName('foriLoop', body), first.structure)
  const [[, last]] = scanFor<LoopState<C>, null, null>(
    'foriLoop',
    counted as LoopBody<C>,
    [full([], lower, 'int32', true), start],
    null,
    { length },
    '[1]',
  ) as [LoopState<C>, null]
  return last
}

/** The counter and the carry. */
type LoopState<C> = readonly [NDArray, Carry<C>]
type LoopBody<C> = (carry: Carry<LoopState<C>>, x: null) => readonly [Carry<LoopState<C>>, null]
