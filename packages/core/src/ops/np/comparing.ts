/** Whether arrays are equal, or close to it. */
import type { NDArray } from '../../array/ndarray'
import * as prim from '../../primitives'
import { shapesEqual } from '../../types/aval'
import { ShapeError } from '../../types/errors'
import { checkOptions } from '../arguments'
import { type ArrayLike, asArray, convert, full, promoteInexact } from '../promotion'
import { add, multiply } from './elementwise'
import { equal, isfinite, isnan, lessEqual, logicalAnd, logicalOr } from './logic'
import { all } from './reductions'

export interface ClosenessOptions {
  /** Relative to the magnitude of `y`. */
  readonly rtol?: ArrayLike
  readonly atol?: ArrayLike
  readonly equalNan?: boolean
}

/** Where |x − y| ≤ atol + rtol·|y|; equal infinities are close. */
export function isclose(x: ArrayLike, y: ArrayLike, options: ClosenessOptions = {}): NDArray {
  const {
    rtol = 1e-5,
    atol = 1e-8,
    equalNan = false,
  } = checkOptions('isclose', options, ['rtol', 'atol', 'equalNan'])
  const [a, b] = promoteInexact('isclose', [x, y])
  const tolerance = (t: ArrayLike): NDArray => convert(asArray('isclose', t), a.dtype)
  const allowed = add(tolerance(atol), multiply(tolerance(rtol), prim.abs(b)))
  const near = logicalAnd(isfinite(b), lessEqual(prim.abs(prim.sub(a, b)), allowed))
  const close = logicalOr(prim.eq(a, b), near)
  return equalNan ? logicalOr(close, prim.and(isnan(a), isnan(b))) : close
}

/** Whether all elements are close. */
export const allclose = (x: ArrayLike, y: ArrayLike, options?: ClosenessOptions): NDArray =>
  all(isclose(x, y, options))

/** Whether shapes and all elements are equal. */
export function arrayEqual(
  x: ArrayLike,
  y: ArrayLike,
  options: { readonly equalNan?: boolean } = {},
): NDArray {
  const { equalNan = false } = checkOptions('arrayEqual', options, ['equalNan'])
  const [a, b] = [asArray('arrayEqual', x), asArray('arrayEqual', y)]
  if (!shapesEqual(a.shape, b.shape)) return full([], false, 'bool')
  const same = equal(a, b)
  return all(equalNan ? logicalOr(same, logicalAnd(isnan(a), isnan(b))) : same)
}

/** Whether all elements are equal after broadcasting; false when shapes do not broadcast. */
export function arrayEquiv(x: ArrayLike, y: ArrayLike): NDArray {
  try {
    return all(equal(x, y))
  } catch (error) {
    if (error instanceof ShapeError) return full([], false, 'bool')
    throw error
  }
}
