/** Loops over a million numbers: what memory and one arithmetic unit can do. */
import { np, type NDArray } from '@adjoint/core'
import { jit } from '@adjoint/transforms'
import type { Array as JaxArray } from '@jax-js/jax'
import type { Case } from '../case'
import { jaxJs } from '../jax-js'
import { numbers } from '../numbers'

const million = 2 ** 20

type Jax = Awaited<ReturnType<typeof jaxJs>>

/** One array in, one array or number out. */
function unaryCase(
  about: Pick<Case, 'name' | 'what' | 'bytes' | 'tolerance'>,
  ours: (x: NDArray) => NDArray,
  theirs: (jax: Jax) => (x: JaxArray) => JaxArray,
  plain: (x: Float32Array) => Float32Array,
  drop: (y: NDArray) => void = (y) => {
    y.dispose()
  },
): Case {
  const data = numbers(million)
  return {
    ...about,
    programs: {
      adjoint: () => {
        const x = np.array(data)
        const f = jit(ours)
        return {
          run: () => {
            drop(f(x))
          },
          result: () => f(x).dataSync(),
        }
      },
      'jax-js': async () => {
        const jax = await jaxJs()
        const x = jax.numpy.array(data)
        const f = jax.jit(theirs(jax))
        return {
          run: async () => {
            const y = f(x.ref)
            await y.blockUntilReady()
            y.dispose()
          },
          result: () => f(x.ref).data(),
        }
      },
      javascript: () => {
        let kept = plain(data)
        return {
          run: () => {
            kept = plain(data)
          },
          result: () => kept,
        }
      },
    },
  }
}

const affine = (x: Float32Array): Float32Array => {
  const y = new Float32Array(x.length)
  for (let i = 0; i < x.length; i++) y[i] = x[i] * 2 + 1
  return y
}

export const elementwiseCases: readonly Case[] = [
  unaryCase(
    { name: 'x*2+1', what: 'x*2+1 of 2^20 numbers', bytes: 8 * million, tolerance: 1e-6 },
    (x) => x.mul(2).add(1),
    () => (x) => x.mul(2).add(1),
    affine,
  ),
  unaryCase(
    {
      name: 'x*2+1-dropped',
      what: 'the same, with results that nobody disposes (jax-js has to)',
      bytes: 8 * million,
      tolerance: 1e-6,
    },
    (x) => x.mul(2).add(1),
    () => (x) => x.mul(2).add(1),
    affine,
    () => {},
  ),
  unaryCase(
    { name: 'exp', what: 'exp of 2^20 numbers', bytes: 8 * million, tolerance: 1e-5 },
    (x) => np.exp(x),
    (jax) => (x) => jax.numpy.exp(x),
    (x) => {
      const y = new Float32Array(x.length)
      for (let i = 0; i < x.length; i++) y[i] = Math.exp(x[i])
      return y
    },
  ),
  unaryCase(
    // With one accumulator in single precision, the rounding of a million additions shows.
    { name: 'sum', what: 'the sum of 2^20 squares', bytes: 4 * million, tolerance: 1e-3 },
    (x) => np.sum(np.square(x)),
    (jax) => (x) => jax.numpy.sum(jax.numpy.square(x)),
    (x) => {
      let sum = 0
      for (let i = 0; i < x.length; i++) sum += x[i] * x[i]
      return Float32Array.of(sum)
    },
  ),
]
