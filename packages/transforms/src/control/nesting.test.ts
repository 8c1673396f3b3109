/** Control flow inside of control flow, under every transformation, on every device. */
import { type NDArray, np, setDevice } from '@adjoint/core'
import { checkPasses } from '@adjoint/core/internal'
import { describe, expect, it } from 'vitest'
import {
  checkpoint,
  cond,
  foriLoop,
  grad,
  hessian,
  jacfwd,
  jacrev,
  jit,
  scan,
  vmap,
  whileLoop,
} from '../index'

checkPasses(true)

const f32 = (x: number | readonly number[]): NDArray => np.array(x, { dtype: 'float32' })
const as = [0.5, -1.2, 0.8, 1.5]

/** One step: a branch on the carry, an inner loop with a static bound, a slice of a closed-over array. */
const step = (w: number, c: number, a: number): number => {
  let inner = c
  for (let i = 0; i < 2; i++) inner = inner * Math.cos(a * w) + 0.1 * i
  return c * a > 0 ? Math.sin(inner) * w : inner * inner * 0.3 + w
}
const plain = (w: number): number => {
  let c = 0.7
  let total = 0
  for (const a of as) {
    c = step(w, c, a)
    total += c * c
  }
  return c + total
}
const body =
  (w: NDArray) =>
  (c: NDArray, a: NDArray): [NDArray, NDArray] => {
    const inner = foriLoop(
      0,
      2,
      (i, v: NDArray) => np.add(np.multiply(v, np.cos(np.multiply(a, w))), np.multiply(0.1, i)),
      c,
    )
    const next = cond(
      np.greater(np.multiply(c, a), 0),
      (v: NDArray) => np.multiply(np.sin(v), w),
      (v: NDArray) => np.add(np.multiply(np.multiply(v, v), 0.3), w),
      inner,
    )
    return [next, np.multiply(next, next)]
  }
const looped =
  (wrap: (f: ReturnType<typeof body>) => ReturnType<typeof body>) =>
  (w: NDArray): NDArray => {
    const [c, ys] = scan(wrap(body(w)), f32(0.7), f32(as))
    return np.add(c, np.sum(ys))
  }
const derivative =
  (f: (x: number) => number, h = 1e-4) =>
  (x: number): number =>
    (f(x + h) - f(x - h)) / (2 * h)
const first = derivative(plain)
const second = derivative(first, 1e-3)

const bodies = {
  plain: (f: ReturnType<typeof body>) => f,
  jit: (f: ReturnType<typeof body>) => jit(f),
  checkpoint: (f: ReturnType<typeof body>) => checkpoint(f),
}

for (const device of ['reference', 'wasm'] as const) {
  describe.each(Object.entries(bodies))(
    `a loop over branches and loops on ${device}, body %s`,
    (_name, wrap) => {
      const at = 0.9
      const near = (x: NDArray, expected: number, digits = 3): void =>
        expect(Number(x.item())).toBeCloseTo(expected, digits)
      const f = looped(wrap)
      it('has values and derivatives of all kinds', () => {
        setDevice(device)
        const w = f32(at)
        near(f(w), plain(at))
        near(jit(f)(w), plain(at))
        type Derivative = (g: (x: NDArray) => NDArray) => (x: NDArray) => NDArray
        const derivatives: readonly Derivative[] = [
          (g) => grad(g),
          (g) => jacfwd(g),
          (g) => jacrev(g),
        ]
        for (const d of derivatives) {
          near(d(f)(w), first(at))
          near(jit(d(f))(w), first(at))
          near(d(jit(f))(w), first(at))
        }
        near(hessian(f)(w), second(at), 2)
        near(grad(jit(grad(f)))(w), second(at), 2)
      })
      it('maps, where examples take different branches', () => {
        setDevice(device)
        const points = [0.9, -0.4, 1.7]
        const ws = f32(points)
        const all = (x: NDArray, expected: readonly number[]): void => {
          const values = x.dataSync()
          expect(values).toHaveLength(expected.length)
          expected.forEach((y, i) => expect(values[i]).toBeCloseTo(y, 3))
        }
        all(vmap(f)(ws), points.map(plain))
        all(vmap(grad(f))(ws), points.map(first))
        all(jit(vmap(jit(grad(f))))(ws), points.map(first))
        all(grad((v: NDArray) => np.sum(vmap(f)(v)))(ws), points.map(first))
        all(vmap(jacfwd(f))(ws), points.map(first))
      })
    },
  )
  it(`a loop of unknown length around a scan, on ${device}`, () => {
    setDevice(device)
    const f = (x: NDArray): NDArray =>
      whileLoop(
        (c: { n: NDArray; v: NDArray }) => np.less(c.v, 5),
        (c) => ({
          n: np.add(c.n, 1),
          v: np.add(
            c.v,
            scan((s: NDArray, _x: null) => [np.multiply(s, x), null], x, null, { length: 2 })[0],
          ),
        }),
        { n: np.array(0), v: f32(0) },
      ).v
    // v grows by x³ until it reaches 5.
    expect(vmap(jit(f))(f32([1, 1.5, 2])).toArray() as number[]).toEqual([5, 6.75, 8])
    expect(vmap(jacfwd(f))(f32([1, 1.5, 2])).toArray() as number[]).toEqual([15, 13.5, 12])
  })
}
