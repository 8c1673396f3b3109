/** Whole programs give the numbers that JAX gives, on every device. */
import { np, setDevice, tree, type NDArray } from '@adjoint/core'
import { grad, hessian, jit, jvp, scan, valueAndGrad, vmap, whileLoop } from '@adjoint/transforms'
import { afterEach, describe, expect, it } from 'vitest'
import golden from '../test-data/programs.json'
import { requireClose } from './compare'

type Nested = number | readonly Nested[]
const isNested = (value: unknown): boolean => Array.isArray(value)

/** Lists of numbers in the data become float32 arrays; the objects around them stay. */
const arrays = (data: unknown): never =>
  tree.unflatten(
    tree.flatten(data, isNested).structure,
    tree
      .flatten<Nested>(data, isNested)
      .leaves.map((leaf) => np.array(leaf as number[], { dtype: 'float32' })),
  ) as never

afterEach(() => {
  setDevice('wasm')
})

describe.each(['wasm', 'reference'] as const)(
  `on %s, as JAX ${golden.jax} computes it`,
  (device) => {
    const agree = (actual: unknown, expected: unknown, relative = 2e-5): void => {
      requireClose('program', actual, arrays(expected), {
        tolerance: { relative, absolute: relative / 2 },
      })
    }

    it('an RNN trained through scan', () => {
      setDevice(device)
      const { inputs, outputs } = golden.cases.rnn
      interface Params {
        wh: NDArray
        wx: NDArray
        b: NDArray
        wo: NDArray
      }
      const { params, xs, ys }: { params: Params; xs: NDArray; ys: NDArray } = arrays(inputs)
      const loss = (p: Params, xs: NDArray, ys: NDArray): NDArray => {
        const cell = (h: NDArray, x: NDArray): [NDArray, NDArray] => {
          const next = np.tanh(np.matmul(h, p.wh).add(np.matmul(x, p.wx)).add(p.b))
          return [next, np.matmul(next, p.wo)]
        }
        const [, out] = scan(cell, np.zeros([4, 5]), xs)
        return np.mean(np.square(out.sub(ys)))
      }
      const step = jit(valueAndGrad(loss))
      let p = params
      const losses: NDArray[] = []
      for (let i = 0; i < 5; i++) {
        const [value, g] = step(p, xs, ys)
        losses.push(value)
        p = tree.map((a: NDArray, b: NDArray) => a.sub(b.mul(0.5)), p, g)
      }
      agree({ losses: np.stack(losses), params: p }, outputs)
    })

    it('one gradient per example', () => {
      setDevice(device)
      const { inputs, outputs } = golden.cases.per_example_gradients
      const { w1, w2, x, y }: Record<'w1' | 'w2' | 'x' | 'y', NDArray> = arrays(inputs)
      const loss = (params: [NDArray, NDArray], x: NDArray, y: NDArray): NDArray =>
        np.square(
          np
            .matmul(np.tanh(np.matmul(x, params[0])), params[1])
            .sub(y)
            .get(0),
        )
      const [g1, g2] = jit(vmap(grad(loss), { inAxes: [null, 0, 0] }))([w1, w2], x, y)
      agree({ w1: g1, w2: g2 }, outputs)
    })

    it('the Hessian of logistic regression', () => {
      setDevice(device)
      const { inputs, outputs } = golden.cases.logistic_hessian
      const { w, x, y }: Record<'w' | 'x' | 'y', NDArray> = arrays(inputs)
      const loss = (w: NDArray): NDArray => {
        const z = np.matmul(x, w)
        return np.mean(np.logaddexp(0, z).sub(y.mul(z)))
      }
      agree({ hessian: hessian(loss)(w) }, outputs)
      agree({ hessian: jit(hessian(loss))(w) }, outputs)
    })

    it("Newton's method in a while loop under vmap, and its derivative", () => {
      setDevice(device)
      const { inputs, outputs } = golden.cases.newton
      const { a }: { a: NDArray } = arrays(inputs)
      const root = (a: NDArray): [NDArray, NDArray] => {
        const [x, , n] = whileLoop(
          ([x, previous, n]: [NDArray, NDArray, NDArray]) =>
            np.logicalAnd(np.greater(np.abs(x.sub(previous)), np.abs(x).mul(1e-6)), np.less(n, 50)),
          ([x, , n]: [NDArray, NDArray, NDArray]): [NDArray, NDArray, NDArray] => [
            x.sub(x.pow(3).sub(a).div(x.pow(2).mul(3))),
            x,
            n.add(1),
          ],
          [a.div(3).add(1), np.zerosLike(a), np.array(0)] as [NDArray, NDArray, NDArray],
        )
        return [x, n]
      }
      const [roots, iterations] = jit(vmap(root))(a)
      const slope = (a: NDArray): NDArray =>
        jvp((t: NDArray) => root(t)[0], [a], [np.onesLike(a)])[1]
      agree({ roots, slopes: vmap(slope)(a) }, { roots: outputs.roots, slopes: outputs.slopes })
      // The last iteration depends on rounding, which differs in double precision.
      const counts = (iterations.toArray() as number[]).map((n, i) =>
        Math.abs(n - (outputs.iterations[i] ?? 0)),
      )
      expect(Math.max(...counts)).toBeLessThanOrEqual(1)
    })

    it('an ODE solve differentiated through scan', () => {
      setDevice(device)
      const { inputs, outputs } = golden.cases.ode
      const { y0, theta }: Record<'y0' | 'theta', NDArray> = arrays(inputs)
      const end = (y0: NDArray, theta: NDArray): NDArray => {
        const f = (y: NDArray): NDArray =>
          np.stack([
            y.get(1),
            theta
              .get(0)
              .neg()
              .mul(np.sin(y.get(0)))
              .sub(theta.get(1).mul(y.get(1))),
          ])
        const step = (y: NDArray, _: null): [NDArray, NDArray] => {
          const h = 0.0625
          const k1 = f(y)
          const k2 = f(y.add(k1.mul(h / 2)))
          const k3 = f(y.add(k2.mul(h / 2)))
          const k4 = f(y.add(k3.mul(h)))
          const slope = k1.add(k2.mul(2)).add(k3.mul(2)).add(k4)
          return [y.add(slope.mul(h / 6)), y.get(0)]
        }
        const [y, path] = scan(step, y0, null, { length: 32 })
        return np.square(y.get(0)).add(np.sum(path).div(32))
      }
      const [value, [gradY0, gradTheta]] = jit(valueAndGrad(end, { argnums: [0, 1] }))(y0, theta)
      agree({ value, y0: gradY0, theta: gradTheta }, outputs)
    })
  },
)
