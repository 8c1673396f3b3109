/** Functions of as many equations as asked for: what tracing and compiling cost for each. */
import { np, type NDArray } from '@adjoint/core'
import { grad } from '@adjoint/transforms'
import { unrolled } from '../../models/small'
import { numbers } from '../../numbers'

/** A long function without a loop. */
export const chain =
  (equations: number) =>
  (x: NDArray): NDArray => {
    let y = x
    for (let i = 0; i < equations; i += 2) y = np.multiply(np.sin(y), 1 + i / equations)
    return y
  }

/** The gradient of a recurrent network that is written out step by step. */
export const unrolledGradient = (steps: number): ((weight: NDArray, x: NDArray) => NDArray) =>
  grad((weight: NDArray, x: NDArray) => {
    let h = x
    for (let i = 0; i < steps; i++) h = np.tanh(np.add(np.matmul(h, weight), x))
    return np.sum(h)
  })

export function unrolledStart(): readonly [weight: NDArray, x: NDArray] {
  const { width, batch } = unrolled
  return [
    np.array(numbers(width * width, 1 / Math.sqrt(width), 1)).reshape([width, width]),
    np.array(numbers(batch * width, 1, 2)).reshape([batch, width]),
  ]
}
