/** Programs so small that only the way to them counts. */
import { np, type NDArray } from '@adjoint/core'
import { jit } from '@adjoint/transforms'
import type { Array as JaxArray } from '@jax-js/jax'
import type { Case, Program } from '../case'
import { jaxJs } from '../jax-js'
import { numbers } from '../numbers'

const [a, b] = [numbers(8, 1, 1), numbers(8, 1, 2)]

const javascript = (): Program => {
  let kept = new Float32Array(8)
  const run = (): void => {
    kept = new Float32Array(8)
    for (let i = 0; i < 8; i++) kept[i] = a[i] + b[i]
  }
  run()
  return { run, result: () => kept }
}

function additionCase(name: string, what: string, compiled: boolean): Case {
  return {
    name,
    what,
    tolerance: 1e-6,
    programs: {
      adjoint: () => {
        const [x, y] = [np.array(a), np.array(b)]
        const plain = (x: NDArray, y: NDArray): NDArray => np.add(x, y)
        const f = compiled ? jit(plain) : plain
        return {
          run: () => {
            f(x, y).dataSync()
          },
          result: () => f(x, y).dataSync(),
        }
      },
      'jax-js': async () => {
        const { jit, numpy } = await jaxJs()
        const [x, y] = [numpy.array(a), numpy.array(b)]
        const plain = (x: JaxArray, y: JaxArray): JaxArray => numpy.add(x, y)
        const f = compiled ? jit(plain) : plain
        return {
          run: () => {
            f(x.ref, y.ref).dataSync()
          },
          result: () => f(x.ref, y.ref).dataSync(),
        }
      },
      javascript,
    },
  }
}

export const overheadCases: readonly Case[] = [
  additionCase('jit-add-8', 'a compiled addition of 8 numbers, read back', true),
  additionCase('eager-add-8', 'an eager addition of 8 numbers, read back', false),
]
