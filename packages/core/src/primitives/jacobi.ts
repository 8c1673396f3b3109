/**
 * Jacobi's rotations, half as many at a time as there are columns.
 *
 * The columns stand in two halves; column i of the left and of the right half are rotated together,
 * then all move on by one place, as players at a tournament in which each meets each (Brent & Luk,
 * "The solution of singular-value and symmetric eigenvalue problems on multiprocessor arrays", SIAM
 * J. Sci. Stat. Comput. 6:1, 1985). After one sweep of n − 1 steps they are back where they began.
 */
import type { NDArray } from '../array/ndarray'
import { abs, add, div, mul, rsqrt, sqrt, sub } from './arithmetic'
import { ge } from './comparison'
import { full, zerosLike } from './constants'
import { select } from './select'
import { concatenate, sliceInAxis } from './slicing'

/**
 * Steps until nothing changes: convergence is quadratic after about log₂ n sweeps (Golub & Van Loan,
 * section 8.5.5), and a few more bring double precision.
 *
 * @param n an even number of columns
 */
export const jacobiSteps = (n: number): number =>
  n < 2 ? 0 : (n - 1) * (6 + 2 * Math.ceil(Math.log2(n)))

/** An even number of columns: one more where there are an odd number. */
export const evenSize = (n: number): number => n + (n % 2)

/** Zeros behind the last entry of an axis, up to a size. */
export function extended(x: NDArray, axis: number, size: number): NDArray {
  if (x.shape[axis] === size) return x
  const missing = x.shape.map((n, i) => (i === axis ? size - n : n))
  return concatenate([x, full(missing, 0, x.dtype)], { dimension: axis })
}

export const halves = (x: NDArray, axis: number): readonly [NDArray, NDArray] => {
  const size = x.shape[axis]
  return [sliceInAxis(x, axis, 0, size / 2), sliceInAxis(x, axis, size / 2, size)]
}

/** Cosine and sine of the angle below 45° that makes the off-diagonal element zero. */
export function rotation(
  first: NDArray,
  off: NDArray,
  second: NDArray,
  negligible: NDArray,
): readonly [cosine: NDArray, sine: NDArray] {
  const one = full(off.shape, 1, off.dtype)
  const two = full(off.shape, 2, off.dtype)
  const zero = zerosLike(off)
  // Golub & Van Loan, algorithm 8.5.1.
  const tau = div(sub(second, first), mul(two, select(negligible, one, off)))
  const size = add(abs(tau), sqrt(add(one, mul(tau, tau))))
  const tangent = select(ge(tau, zero), div(one, size), div(full(off.shape, -1, off.dtype), size))
  const t = select(negligible, zero, tangent)
  const cosine = rsqrt(add(one, mul(t, t)))
  return [cosine, mul(t, cosine)]
}

/** The two halves of an axis rotated against one another, and every entry one place further. */
export function rotated(x: NDArray, axis: number, cosine: NDArray, sine: NDArray): NDArray {
  const [first, second] = halves(x, axis)
  const left = sub(mul(cosine, first), mul(sine, second))
  const right = add(mul(sine, first), mul(cosine, second))
  return movedOn(left, right, axis)
}

/** The first entry stays; of the others, the left half moves right and the right half moves left. */
function movedOn(left: NDArray, right: NDArray, axis: number): NDArray {
  const h = left.shape[axis]
  const part = (x: NDArray, start: number, limit: number): NDArray =>
    sliceInAxis(x, axis, start, limit)
  return concatenate(
    h === 1
      ? [left, right]
      : [
          part(left, 0, 1),
          part(right, 0, 1),
          part(left, 1, h - 1),
          part(right, 1, h),
          part(left, h - 1, h),
        ].filter((piece) => piece.shape[axis] > 0),
    { dimension: axis },
  )
}
