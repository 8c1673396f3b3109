/** The Moore–Penrose inverse, with a derivative of its own. */
import type { NDArray } from '../array/ndarray'
import { bind1 } from '../trace/interpreter'
import { Aval } from '../types/aval'
import { add, div, mul, neg, sub } from './arithmetic'
import { gt } from './comparison'
import { full, zerosLike } from './constants'
import { factorization } from './factorization'
import { checkMatrix, identityLike, matmul, matrixTranspose, perColumn, spread } from './matrices'
import { operation, type Operation } from './operation'
import { reduceMax } from './reductions'
import { select } from './select'
import { svd } from './svd'

export type PinvParams = {
  /** Singular values up to so much of the largest count as zero. */
  readonly cutoff: number
}

const bindPinv = (a: NDArray, params: PinvParams): NDArray => bind1(pinvPrimitive, [a], params)

const pinvPrimitive = factorization<PinvParams>({
  name: 'pinv',
  abstractEval: (x) => {
    checkMatrix('pinv', x)
    const [m, n] = x.shape.slice(-2)
    return [new Aval([...x.shape.slice(0, -2), n, m], x.dtype, x.weakType)]
  },
  phases: [],
  finish: ([a], { cutoff }) => {
    const [m, n] = a.shape.slice(-2)
    const [s, u, v] = svd(m < n ? matrixTranspose(a) : a, { fullMatrices: false })
    const largest = reduceMax(s, { axes: [s.ndim - 1] })
    const least = mul(spread(largest, s.shape), full(s.shape, cutoff, s.dtype))
    const kept = gt(s, least)
    const one = full(s.shape, 1, s.dtype)
    const inverse = select(kept, div(one, select(kept, s, one)), zerosLike(s))
    const result = matmul(mul(v, perColumn(inverse, v.shape)), matrixTranspose(u))
    return [m < n ? matrixTranspose(result) : result]
  },
  // Ṗ = −P Ȧ P + P Pᵀ Ȧᵀ (1 − A P) + (1 − P A) Ȧᵀ Pᵀ P, where the rank does not change (Golub & Pereyra,
  // "The differentiation of pseudo-inverses", SIAM J. Numer. Anal. 10:2, 1973, equation 4.12). The
  // derivative of the singular value decomposition would not do: it has poles where values are equal.
  tangents: ([p], xDot, a) => {
    const [pt, dt] = [matrixTranspose(p), matrixTranspose(xDot)]
    const [ap, pa] = [matmul(a, p), matmul(p, a)]
    const through = neg(matmul(matmul(p, xDot), p))
    const left = matmul(matmul(matmul(p, pt), dt), sub(identityLike(ap), ap))
    const right = matmul(matmul(sub(identityLike(pa), pa), dt), matmul(pt, p))
    return [add(through, add(left, right))]
  },
})

/** The matrix P with A P A = A, P A P = P, and A P and P A symmetric. */
export const pinv: Operation<[a: NDArray, params: PinvParams], PinvParams> = operation(
  pinvPrimitive,
  bindPinv,
)
