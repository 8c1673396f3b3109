/** `whileLoop`, and `foriLoop` whose bounds are traced. */
import {
  add,
  ArgumentError,
  type ArrayLike,
  type Aval,
  convert,
  full,
  lt,
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
import { likeCarry, promotedCarry, requireSameCarry, withAvals } from './carry'
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
  requireFunction('whileLoop', condition)
  requireFunction('whileLoop', body)
  const op = callName('whileLoop', body)
  const start = flattenArrays(op, init, 'init')
  let traced = traceBody(op, body, start)
  const avals = promotedCarry(
    start.arrays.map((x) => x.aval),
    traced.newCarry.arrays.map((x) => x.aval),
  )
  const arrays = withAvals(start.arrays, avals)
  if (arrays.some((x, i) => x !== start.arrays[i])) {
    traced = traceBody(op, body, { ...start, arrays })
  }
  requireSameCarry(op, { structure: start.structure, avals }, traced.newCarry)
  const test = stage(
    (inputs) => {
      const answer: unknown = condition(tree.unflatten(start.structure, inputs) as Carry<C>)
      refusePromise(op, answer)
      return [requirePredicate(op, answer)]
    },
    avals,
    'whileLoop',
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

function traceBody(op: string, body: (carry: never) => unknown, start: FlatArguments) {
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
    'whileLoop',
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
 * With bounds that are JavaScript numbers this is a `scan`, which reverse mode can go through; with
 * traced or computed bounds it is a `whileLoop`.
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
  if (typeof lower === 'number' && typeof upper === 'number') {
    if (!Number.isInteger(lower) || !Number.isInteger(upper)) {
      throw new ArgumentError({
        op,
        problem: `the bounds ${lower} and ${upper} are not both integers`,
        rule: 'foriLoop counts integers',
      })
    }
    return staticLoop(lower, upper, body, init)
  }
  const [first, end] = [lower, upper].map((bound, i) => requireBound(op, bound, i))
  const flat = flattenArrays(op, init, 'init')
  type State = readonly [i: NDArray, end: NDArray, carry: Carry<C>]
  const counted = ([i, stop, carry]: State): State => [
    add(i, full([], 1, 'int32')),
    stop,
    body(i, carry),
  ]
  Object.defineProperty(counted, 'name', { value: body.name })
  const start: State = [first, end, tree.unflatten(flat.structure, flat.arrays) as Carry<C>]
  const [, , last] = whileLoop<State>(
    (([i, stop]: State) => lt(i, stop)) as (state: Carry<State>) => NDArray,
    counted as (state: Carry<State>) => Carry<State>,
    start,
  ) as State
  return last
}

function requireBound(op: string, bound: ArrayLike, position: number): NDArray {
  const array = leafToArray(op, bound, position === 0 ? 'lower' : 'upper')
  if (array.ndim === 0 && array.dtype !== 'bool' && !array.dtype.includes('float')) {
    return convert(array, 'int32')
  }
  throw new TransformationError({
    op,
    problem: `the ${position === 0 ? 'lower' : 'upper'} bound is not an integer scalar`,
    operands: [{ name: position === 0 ? 'lower' : 'upper', aval: array.aval }],
    rule: 'foriLoop counts integers',
  })
}
