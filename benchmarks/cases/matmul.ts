import { np, type NDArray } from '@adjoint/core'
import { jit } from '@adjoint/transforms'
import type { Array as JaxArray } from '@jax-js/jax'
import type { Case } from '../case'
import { jaxJs } from '../jax-js'
import { numbers } from '../numbers'

function matmulCase(n: number): Case {
  const [a, b] = [numbers(n * n, 1, 1), numbers(n * n, 1, 2)]
  return {
    name: `matmul-${n}`,
    what: `a product of two ${n} by ${n} matrices`,
    flops: 2 * n ** 3,
    tolerance: 1e-4,
    programs: {
      adjoint: () => {
        const [x, y] = [np.array(a).reshape([n, n]), np.array(b).reshape([n, n])]
        const f = jit((x: NDArray, y: NDArray) => np.matmul(x, y))
        return {
          run: () => {
            f(x, y).dispose()
          },
          result: () => f(x, y).dataSync(),
        }
      },
      'jax-js': async () => {
        const { numpy, jit } = await jaxJs()
        const [x, y] = [numpy.array(a).reshape([n, n]), numpy.array(b).reshape([n, n])]
        const f = jit((x: JaxArray, y: JaxArray) => numpy.matmul(x, y))
        return {
          run: async () => {
            const z = f(x.ref, y.ref)
            await z.blockUntilReady()
            z.dispose()
          },
          result: () => f(x.ref, y.ref).data(),
        }
      },
    },
  }
}

export const matmulCases: readonly Case[] = [256, 512, 1024].map(matmulCase)
