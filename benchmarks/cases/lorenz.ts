/** The Lorenz system, 10,000 steps of Runge–Kutta: a long loop with next to nothing in it. */
import { np, type NDArray } from '@adjoint/core'
import { jit, scan } from '@adjoint/transforms'
import type { Array as JaxArray } from '@jax-js/jax'
import type { Case } from '../case'
import { jaxJs } from '../jax-js'

const [steps, h] = [10_000, 0.001]
const [sigma, rho, beta] = [10, 28, 8 / 3]
const start = [1, 1, 1]

type Vector = readonly number[]

function plainStep(y: Vector): number[] {
  const f = ([x, y, z]: Vector): Vector => [sigma * (y - x), x * (rho - z) - y, x * y - beta * z]
  const along = (k: Vector, t: number): number[] => y.map((v, i) => v + k[i] * t)
  const k1 = f(y)
  const k2 = f(along(k1, h / 2))
  const k3 = f(along(k2, h / 2))
  const k4 = f(along(k3, h))
  return y.map((v, i) => v + (h / 6) * (k1[i] + 2 * k2[i] + 2 * k3[i] + k4[i]))
}

export const lorenzCases: readonly Case[] = [
  {
    name: 'lorenz',
    what: 'Lorenz system, 10,000 Runge–Kutta steps: scan; without a scan, a loop of jitted steps',
    // The system is chaotic: single and double precision part by this much in 10 units of time.
    tolerance: 0.05,
    programs: {
      adjoint: () => {
        const f = ([x, y, z]: NDArray[]): NDArray[] => [
          y.sub(x).mul(sigma),
          x.mul(np.subtract(rho, z)).sub(y),
          x.mul(y).sub(z.mul(beta)),
        ]
        const step = (y: NDArray[], _: null): [NDArray[], null] => {
          const along = (k: NDArray[], t: number): NDArray[] => y.map((v, i) => v.add(k[i].mul(t)))
          const k1 = f(y)
          const k2 = f(along(k1, h / 2))
          const k3 = f(along(k2, h / 2))
          const k4 = f(along(k3, h))
          const slope = k1.map((k, i) => k.add(k2[i].mul(2)).add(k3[i].mul(2)).add(k4[i]))
          return [along(slope, h / 6), null]
        }
        const solve = jit((y: NDArray[]) => np.stack(scan(step, y, null, { length: steps })[0]))
        const initial = start.map((v) => np.array(v, { dtype: 'float32' }))
        return {
          run: () => {
            solve(initial)
          },
          result: () => solve(initial).dataSync(),
        }
      },
      'jax-js': async () => {
        const { jit, numpy } = await jaxJs()
        const f = ([x, y, z]: JaxArray[]): JaxArray[] => [
          y.ref.sub(x.ref).mul(sigma),
          x.ref.mul(z.ref.mul(-1).add(rho)).sub(y.ref),
          x.mul(y).sub(z.mul(beta)),
        ]
        const step = jit((y: JaxArray[]) => {
          const along = (k: JaxArray[], t: number): JaxArray[] =>
            y.map((v, i) => v.ref.add(k[i].ref.mul(t)))
          const k1 = f(y.map((v) => v.ref))
          const k2 = f(along(k1, h / 2))
          const k3 = f(along(k2, h / 2))
          const k4 = f(along(k3, h))
          return y.map((v, i) => {
            const slope = k1[i].add(k2[i].mul(2)).add(k3[i].mul(2)).add(k4[i])
            return v.add(slope.mul(h / 6))
          })
        })
        const solve = async (): Promise<number[]> => {
          let y = start.map((v) => numpy.array(v, { dtype: numpy.float32 }))
          for (let i = 0; i < steps; i++) {
            y = step(y)
            // Work that nobody waits for queues up there, and a long queue makes every step slow.
            for (const v of y) await v.blockUntilReady()
          }
          const ends: number[] = []
          for (const v of y) ends.push((await v.data())[0])
          return ends
        }
        return {
          run: async () => {
            await solve()
          },
          result: solve,
        }
      },
      javascript: () => {
        const solve = (): number[] => {
          let y = start
          for (let i = 0; i < steps; i++) y = plainStep(y)
          return y
        }
        return {
          run: () => {
            solve()
          },
          result: solve,
        }
      },
    },
  },
]
