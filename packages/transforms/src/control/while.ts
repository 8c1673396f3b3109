/** `whileLoop`, and `foriLoop` whose bounds are traced. */
import {
  add,
  type ArrayLike,
  type Aval,
  convert,
  DeviceError,
  full,
  lt,
  readElements,
  stage,
  TransformationError,
  tree,
  type NDArray,
} from '@adjoint/core/internal'
import {
  callName,
  type FlatArguments,
  flattenArrays,
  leafToArray,
  refusePromise,
  requireFunction,
} from '../flat-function'
import { likeCarry, promotedCarry, requireSameCarry, sameStructure, withAvals } from './carry'
import { type Carry, staticLoop } from './scan'
import { bindWhile } from './while-primitive'

/**
 * Runs `body` as long as `condition` holds. Forward mode differentiates it; reverse mode cannot,
 * because the number of steps is not known: use `scan` or a static `foriLoop` there.
 *
 * Under `vmap`, the loop runs while any example is active, and the others keep their values.
 *
 * @param condition takes the carry, answers a boolean scalar
 * @param body takes the carry, answers the next one, of the same type
 * @param init the first carry, a tree of arrays
 * @returns the last carry
 * @throws TransformationError when the carry changes its type, with the path of the leaf
 * @example
 * whileLoop((x) => x.less(100), (x) => x.mul(2), 3) // Array(192, dtype=int32, weak_type=True)
 */
export function whileLoop<C>(
  condition: (carry: Carry<C>) => ArrayLike,
  body: (carry: Carry<C>) => Carry<C>,
  init: C,
): Carry<C> {
  return whileFor('whileLoop', condition, body, init)
}

/** A loop in the name of what the user called. `carryAt` says where the user's carry stands in `C`. */
function whileFor<C>(
  name: string,
  condition: (carry: Carry<C>) => ArrayLike,
  body: (carry: Carry<C>) => Carry<C>,
  init: C,
  carryAt = '',
): Carry<C> {
  requireFunction(name, condition)
  requireFunction(name, body)
  const op = callName(name, body)
  const start = flattenArrays(op, init, 'init')
  let traced = traceBody(op, name, body, start)
  const avals = promotedCarry(
    start.arrays.map((x) => x.aval),
    traced.newCarry.arrays.map((x) => x.aval),
  )
  const arrays = withAvals(start.arrays, avals)
  if (arrays.some((x, i) => x !== start.arrays[i])) {
    traced = traceBody(op, name, body, { ...start, arrays })
  }
  requireSameCarry(op, { structure: start.structure, avals }, traced.newCarry, carryAt)
  const test = stage(
    (inputs) => {
      const answer: unknown = condition(tree.unflatten(start.structure, inputs) as Carry<C>)
      refusePromise(op, answer)
      return [requirePredicate(op, answer)]
    },
    avals,
    name,
    condition.name,
  )
  const outputs = bindWhile([...test.constants, ...traced.constants, ...arrays], {
    bodyJaxpr: traced.jaxpr,
    bodyNconsts: traced.constants.length,
    condJaxpr: test.jaxpr,
    condNconsts: test.constants.length,
  })
  return tree.unflatten(start.structure, outputs) as Carry<C>
}

function traceBody(
  op: string,
  name: string,
  body: (carry: never) => unknown,
  start: FlatArguments,
) {
  const avals: readonly Aval[] = start.arrays.map((x) => x.aval)
  const found: { newCarry?: FlatArguments } = {}
  const staged = stage(
    (inputs) => {
      const answer: unknown = body(tree.unflatten(start.structure, inputs) as never)
      refusePromise(op, answer)
      found.newCarry = flattenArrays(op, answer, 'carry')
      return likeCarry(found.newCarry.arrays, avals)
    },
    avals,
    name,
    body.name,
  )
  if (found.newCarry === undefined) throw new Error('the body was not traced')
  return { ...staged, newCarry: found.newCarry }
}

function requirePredicate(op: string, answer: unknown): NDArray {
  const test = leafToArray(op, answer, 'the condition')
  if (test.ndim === 0 && test.dtype === 'bool') return test
  throw new TransformationError({
    op,
    problem: 'the condition is not a boolean scalar',
    operands: [{ name: 'condition', aval: test.aval }],
    rule: 'the condition answers one boolean',
    hint: 'compare, or reduce with np.any or np.all',
  })
}

/**
 * Runs `body(i, carry)` for `i` from `lower` up to, not including, `upper`.
 *
 * With bounds that are known while tracing this is a `scan`, which reverse mode can go through; with
 * traced bounds it is a `whileLoop`.
 *
 * @param lower first index, an integer
 * @param upper end of the range, an integer
 * @param body takes the index (an int32 scalar) and the carry, answers the next carry
 * @param init the first carry, a tree of arrays
 * @returns the last carry
 * @example
 * foriLoop(0, 5, (i, sum) => sum.add(i), 0) // Array(10, dtype=int32, weak_type=True)
 */
export function foriLoop<C>(
  lower: ArrayLike,
  upper: ArrayLike,
  body: (i: NDArray, carry: Carry<C>) => Carry<C>,
  init: C,
): Carry<C> {
  requireFunction('foriLoop', body)
  const op = callName('foriLoop', body)
  const bounds = [lower, upper].map((bound, i) => requireBound(op, bound, i))
  const [from, to] = bounds.map(knownBound)
  if (from !== null && to !== null) return staticLoop(from, to, body, init)
  const [first, end] = bounds
  const flat = flattenArrays(op, init, 'init')
  type State = readonly [i: NDArray, end: NDArray, carry: Carry<C>]
  const counted = ([i, stop, carry]: State): State => [
    add(i, full([], 1, 'int32')),
    stop,
    requireCarry(body(i, carry)),
  ]
  Object.defineProperty(counted, 'name', { value: body.name })
  const start: State = [first, end, tree.unflatten(flat.structure, flat.arrays) as Carry<C>]
  const requireCarry = sameStructure(op, flat.structure)
  const [, , last] = whileFor<State>(
    'foriLoop',
    (([i, stop]: State) => lt(i, stop)) as (state: Carry<State>) => NDArray,
    counted as (state: Carry<State>) => Carry<State>,
    start,
    '[2]',
  ) as State
  return last
}

/** A bound that is known while tracing; null where it is traced, or cannot be read at once. */
function knownBound(bound: NDArray): number | null {
  if (bound.owner !== null) return null
  try {
    return Number(readElements(bound, 'foriLoop')[0])
  } catch (error) {
    if (error instanceof DeviceError) return null
    throw error
  }
}

function requireBound(op: string, bound: ArrayLike, position: number): NDArray {
  const array = leafToArray(op, bound, position === 0 ? 'lower' : 'upper')
  if (array.ndim === 0 && array.dtype !== 'bool' && !array.dtype.includes('float')) {
    return convert(array, 'int32')
  }
  throw new TransformationError({
    op,
    problem: `the ${position === 0 ? 'lower' : 'upper'} bound ${typeof bound === 'number' ? `${bound} is not an integer` : 'is not an integer scalar'}`,
    operands: [{ name: position === 0 ? 'lower' : 'upper', aval: array.aval }],
    rule: 'foriLoop counts integers',
  })
}
