/** Jacobians of functions that pass something along. */
import { np, type NDArray } from '@adjoint/core'
import { describe, expect, it } from 'vitest'
import { hessian, jacfwd, jacrev, jit } from './index'

const x = np.array([1.5, 2])
const y = np.array([3.5, 1])

describe('hasAux', () => {
  const f = (a: NDArray, b: NDArray): [NDArray, { kept: NDArray }] => [
    np.multiply(a, np.square(b)),
    { kept: np.add(a, b) },
  ]
  it('keeps aux beside a Jacobian, as it is', () => {
    for (const jacobian of [
      jacfwd(f, { hasAux: true, argnums: 1 }),
      jacrev(f, { hasAux: true, argnums: 1 }),
    ]) {
      for (const each of [jacobian, jit(jacobian)]) {
        const [j, { kept }] = each(x, y)
        expect(j.toArray()).toEqual([
          [10.5, 0],
          [0, 4],
        ])
        expect(kept.toArray()).toEqual([5, 3])
      }
    }
  })

  it('keeps aux beside a Hessian', () => {
    const loss = (a: NDArray): [NDArray, NDArray] => [np.sum(np.power(a, 3)), np.multiply(a, 2)]
    const [h, doubled] = hessian(loss, { hasAux: true })(x)
    expect(h.toArray()).toEqual([
      [9, 0],
      [0, 12],
    ])
    expect(doubled.toArray()).toEqual([3, 4])
  })

  it('asks for a pair', () => {
    const wrong = (a: NDArray): NDArray => a
    expect(() => jacfwd(wrong as never, { hasAux: true } as never)(x)).toThrow(
      /jacfwd.*hasAux is true, but the function did not return a pair/,
    )
  })
})
