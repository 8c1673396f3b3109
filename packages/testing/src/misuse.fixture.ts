/** For the misuse suites: the text of a refusal, and proof that nothing is lost by it. */
import { AdjointError, type NDArray, np } from '@adjoint/core'
import { currentInterpreter } from '@adjoint/core/internal'
import { grad, jit, vmap } from '@adjoint/transforms'
import { expect } from 'vitest'

export const f32 = (x: unknown): NDArray => np.array(x as number[], { dtype: 'float32' })
export const i32 = (x: unknown): NDArray => np.array(x as number[], { dtype: 'int32' })
/** float32 of this shape. */
export const like = (...shape: number[]): NDArray => np.ones(shape, { dtype: 'float32' })

/** What a program in plain JavaScript may pass although the types forbid it. */
export const untyped = (x: unknown): never => x as never

/** The error that `misuse` throws, which must be one of the library's own. */
export function refusal(misuse: () => unknown): AdjointError {
  let thrown: unknown
  try {
    misuse()
  } catch (error) {
    thrown = error
  }
  if (thrown === undefined) throw new Error('nothing was refused')
  if (!(thrown instanceof AdjointError)) throw thrown
  return thrown
}

/** jit(vmap(grad(x²·sin x))), with the misuse attempted and caught in the innermost function. */
function worksOn(misuse: () => unknown): void {
  const f = (x: NDArray): NDArray => {
    const before = currentInterpreter()
    refusal(misuse)
    expect(currentInterpreter()).toBe(before)
    return np.square(x).mul(np.sin(x))
  }
  const result = jit(vmap(grad(f)))(f32([0.5, 1])).toArray() as number[]
  const expected = [0.5, 1].map((x) => 2 * x * Math.sin(x) + x * x * Math.cos(x))
  result.forEach((value, i) => {
    expect(value).toBeCloseTo(expected[i] ?? NaN, 5)
  })
}

/** The text of the refusal of what can only go wrong outside of programs: arrays that are gone. */
export function refusedEagerly(misuse: () => unknown): string {
  const top = currentInterpreter()
  const error = refusal(misuse)
  expect(currentInterpreter()).toBe(top)
  const value = jit(vmap(grad((x: NDArray) => np.square(x))))(f32([1, 2]))
  expect(value.toArray()).toEqual([2, 4])
  return String(error)
}

/**
 * The text of the refusal. The misuse is tried at the top, where afterwards no transformation may
 * be left open, and again inside jit of vmap of grad, which have to go on as if nothing had been.
 */
export function refused(misuse: () => unknown): string {
  const top = currentInterpreter()
  const error = refusal(misuse)
  expect(currentInterpreter()).toBe(top)
  worksOn(misuse)
  expect(currentInterpreter()).toBe(top)
  return String(error)
}
