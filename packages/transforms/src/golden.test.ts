/** Transformed programs against the values that JAX computes for them. */
import { readFileSync } from 'node:fs'
import { type NDArray, np, setDevice } from '@adjoint/core'
import { checkPasses } from '@adjoint/core/internal'
import { describe, expect, it } from 'vitest'
import {
  allGather,
  axisIndex,
  cond,
  grad,
  hessian,
  hvp,
  jacfwd,
  jacrev,
  jit,
  jvp,
  pmax,
  ppermute,
  psum,
  scan,
  stopGradient,
  vmap,
  whileLoop,
} from './index'

checkPasses(true)

const golden = JSON.parse(
  readFileSync(new URL('../test-data/transformations.json', import.meta.url), 'utf8'),
) as Readonly<Record<string, unknown>>

const f32 = (x: number | readonly unknown[]): NDArray => np.array(x as number, { dtype: 'float32' })
const flat = (x: unknown): number[] =>
  Array.isArray(x)
    ? x.flatMap(flat)
    : typeof x === 'object' && x !== null
      ? Object.keys(x)
          .sort()
          .flatMap((k) => flat((x as Record<string, unknown>)[k]))
      : [Number(x)]
const arrays = (x: unknown): unknown =>
  x instanceof Object && 'toArray' in x
    ? (x as NDArray).toArray()
    : Array.isArray(x)
      ? x.map(arrays)
      : Object.fromEntries(Object.entries(x as object).map(([k, v]) => [k, arrays(v)]))

// float32 sums of a few dozen terms, in another order than JAX's.
const TOLERANCE = 2e-5
function check(name: string, actual: unknown): void {
  const [a, e] = [flat(arrays(actual)), flat(golden[name])]
  expect(a.length).toBe(e.length)
  a.forEach((x, i) => expect(Math.abs(x - e[i])).toBeLessThan(TOLERANCE * (1 + Math.abs(e[i]))))
}

const f = (x: NDArray): NDArray =>
  np.add(
    np.sum(np.multiply(np.tanh(x), np.exp(np.negative(np.multiply(x, x))))),
    np.prod(np.sin(x)),
  )
type Params = { readonly w1: NDArray; readonly b1: NDArray; readonly w2: NDArray }
const mlp = (p: Params, x: NDArray): NDArray =>
  np.sum(np.square(np.matmul(np.tanh(np.add(np.matmul(x, p.w1), p.b1)), p.w2)))
const rnn = (w: NDArray, xs: NDArray): NDArray => {
  const [c, ys] = scan(
    (c: NDArray, x: NDArray) => [np.tanh(np.add(np.matmul(w, c), x)), np.sum(np.square(c))],
    np.zeros([2]),
    xs,
  )
  return np.add(np.sum(c), np.sum(ys))
}
const newton = (a: NDArray): NDArray =>
  whileLoop(
    (x: NDArray) => np.greater(np.abs(np.subtract(np.multiply(x, x), a)), 1e-6),
    (x: NDArray) => np.multiply(0.5, np.add(x, np.divide(a, x))),
    a,
  )
const branches = (x: NDArray): NDArray =>
  cond(
    np.greater(x, 0.5),
    (y: NDArray) => np.multiply(np.log(y), y),
    (y: NDArray) => np.power(y, 3),
    x,
  )
const soft = (x: NDArray): NDArray =>
  np.add(np.divide(x, psum(x, 'i')), np.multiply(pmax(stopGradient(x), 'i'), axisIndex('i')))

for (const device of ['reference', 'wasm'] as const) {
  describe(`JAX's values on ${device}`, () => {
    setDevice(device)
    const x = f32([0.3, -0.7, 1.1])
    const xs = np.linspace(-1, 1, 8).reshape([4, 2])
    const p: Params = {
      w1: np.linspace(-1, 1, 6).reshape([2, 3]),
      b1: f32([0.1, 0.2, -0.3]),
      w2: np.linspace(0.5, -0.5, 3).reshape([3, 1]),
    }
    const w = f32([
      [0.5, -0.2],
      [0.1, 0.9],
    ])
    const here = (name: string, compute: () => unknown): void => {
      it(name.replace(/ .*/, '') === name ? name : name, () => {
        setDevice(device)
        check(name.replace(/ .*/, ''), compute())
      })
    }
    here('grad', () => grad(f)(x))
    here('grad (jit)', () => jit(grad(f))(x))
    here('hessian', () => hessian(f)(x))
    here('hessian (jacrev of jacfwd)', () => jacrev(jacfwd(f))(x))
    here('hessian (jit)', () => jit(hessian(f))(x))
    here('third', () =>
      grad((y: NDArray) => np.sum(grad((z: NDArray) => np.sum(np.multiply(grad(f)(z), z)))(y)))(x),
    )
    here('hvp', () => hvp(f, [x], [f32([1, 2, 3])])[0])
    here('mlp', () => grad(mlp)(p, xs))
    here('mlp (jit)', () => jit(grad(jit(mlp)))(p, xs))
    here('mlpVmap', () => vmap((row: NDArray) => grad(mlp)(p, row).w1)(xs))
    here(
      'mlpVmap (vmap of jit of grad)',
      () => vmap(jit(grad(mlp)), { inAxes: [null, 0] })(p, xs).w1,
    )
    here('rnn', () => grad(rnn)(w, xs))
    here('rnn (jit)', () => jit(grad(rnn))(w, xs))
    here('rnnHess', () => hessian(rnn)(w, xs))
    here('newton', () => jacfwd(newton)(f32(3)))
    here('vmapNewton', () => vmap((a: NDArray) => jvp(newton, [a], [f32(1)])[1])(f32([2, 3, 10])))
    here('cond', () => vmap(grad(branches))(f32([0.2, 0.7, -1])))
    here('cond2', () => vmap(grad(grad(branches)))(f32([0.2, 0.7, -1])))
    here('cond2 (jit)', () => jit(vmap(grad(grad(branches))))(f32([0.2, 0.7, -1])))
    here('psum', () => vmap(soft, { axisName: 'i' })(f32([1, 3, 4])))
    here('psum (jit)', () => vmap(jit(soft), { axisName: 'i' })(f32([1, 3, 4])))
    here('psumJac', () => jacrev(vmap(soft, { axisName: 'i' }))(f32([1, 3, 4])))
    here('ppermute', () =>
      vmap(
        (v: NDArray) =>
          ppermute(v, 'i', [
            [0, 1],
            [1, 2],
            [2, 0],
          ]),
        { axisName: 'i' },
      )(f32([1, 2, 3])),
    )
    here('allGather', () =>
      jacrev(
        vmap((v: NDArray) => np.multiply(np.sum(np.square(allGather(v, 'i'))), v), {
          axisName: 'i',
        }),
      )(f32([1, 2, 3])),
    )
  })
}
