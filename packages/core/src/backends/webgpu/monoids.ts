/** What reductions keep while they run, and how two such states become one. */
import {
  accumulator,
  binary,
  type BinaryOp,
  constant,
  type Scalar,
  select,
  unary,
} from '../../compiler/expr'
import { identityElement } from '../../compiler/identity'
import type { Reduction } from '../../compiler/nodes'
import type { DType } from '../../types/dtype'
import { isFloating } from '../../types/dtype'

/**
 * The registers of a reduction: the combined value, or the best value and its position. `combine`
 * has one expression per register, over accumulators: the registers of the left state, then those of
 * the right one, whose elements come later.
 */
export interface State {
  readonly dtypes: readonly DType[]
  readonly empty: readonly Scalar[]
  readonly combine: readonly Scalar[]
  /** Which register is the result. */
  readonly result: number
}

/** A position that loses against every other one. */
const NOWHERE = 2 ** 31 - 1

export function stateOf({ monoid, value: { dtype } }: Reduction): State {
  if (monoid === 'argmax' || monoid === 'argmin') return extremumState(monoid, dtype)
  const op = operations[monoid]
  return {
    dtypes: [dtype],
    empty: [constant(dtype, identityElement(monoid, dtype))],
    combine: [binary(op, dtype, accumulator(dtype, 0), accumulator(dtype, 1))],
    result: 0,
  }
}

const operations: { readonly [M in Exclude<Reduction['monoid'], 'argmax' | 'argmin'>]: BinaryOp } =
  {
    sum: 'add',
    prod: 'mul',
    max: 'max',
    min: 'min',
    and: 'and',
    or: 'or',
  }

/** The first position of the extremum; NaN counts as the most extreme value. */
function extremumState(which: 'argmax' | 'argmin', dtype: DType): State {
  const [x, i, y, j] = [
    accumulator(dtype, 0),
    accumulator('int32', 1),
    accumulator(dtype, 2),
    accumulator('int32', 3),
  ]
  const and = (a: Scalar, b: Scalar): Scalar => binary('and', 'bool', a, b)
  const or = (a: Scalar, b: Scalar): Scalar => binary('or', 'bool', a, b)
  const beats = binary(which === 'argmax' ? 'gt' : 'lt', 'bool', y, x)
  const earlier = binary('lt', 'bool', j, i)
  const equal = binary('eq', 'bool', x, y)
  let right = or(beats, and(equal, earlier))
  if (isFloating(dtype)) {
    const nan = (v: Scalar): Scalar => binary('ne', 'bool', v, v)
    right = or(right, and(nan(y), or(unary('not', 'bool', nan(x)), earlier)))
  }
  return {
    dtypes: [dtype, 'int32'],
    empty: [
      constant(dtype, identityElement(which === 'argmax' ? 'max' : 'min', dtype)),
      constant('int32', NOWHERE),
    ],
    combine: [select(right, y, x), select(right, j, i)],
    result: 1,
  }
}
