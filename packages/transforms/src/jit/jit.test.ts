import { type NDArray, np, setDevice } from '@adjoint/core'
import { checkPasses } from '@adjoint/core/internal'
import { describe, expect, it } from 'vitest'
import { explainRetrace, grad, jit, traceCount, vmap } from '../index'

setDevice('wasm')
checkPasses(true)

const f32 = (x: number | readonly unknown[]): NDArray => np.array(x as number, { dtype: 'float32' })
const item = (x: NDArray): number => Number(x.item())

describe('jit traces', () => {
  it('once per shape, dtype, weakness, structure, static value and device, and never otherwise', () => {
    const f = jit(function f(x: { a: NDArray | number; b?: NDArray }) {
      return np.multiply(x.a, 2)
    })
    const count = () => traceCount(f)
    f({ a: f32([1, 2]) })
    f({ a: f32([3, 4]) })
    f({ a: np.zeros([2]) })
    expect(count()).toBe(1)
    f({ a: f32([1, 2, 3]) })
    expect(count()).toBe(2)
    f({ a: np.array([1, 2]) })
    expect(count()).toBe(3)
    f({ a: 1.5 })
    f({ a: 2.5 })
    expect(count()).toBe(4)
    f({ a: f32(1.5) })
    expect(count()).toBe(5)
    f({ a: f32([1, 2]), b: f32(1) })
    expect(count()).toBe(6)
    setDevice('reference')
    f({ a: f32([1, 2]) })
    setDevice('wasm')
    expect(count()).toBe(7)
    f({ a: f32([1, 2]) })
    f({ a: f32([1, 2, 3]) })
    expect(count()).toBe(7)
    expect(explainRetrace(f)).toMatchInlineSnapshot(`
      "f was traced 7 times
      trace 1: first call, with (f32[2])
      trace 2:
        args[0].a: was f32[2], now f32[3]
      trace 3:
        args[0].a: was f32[3], now i32[2]
      trace 4:
        args[0].a: was i32[2], now f32[]
      trace 5:
        args[0].a: was f32[] (weakly typed), now f32[]
      trace 6:
        args[0].b: the tree structure changed (missing here)
      trace 7:
        device: was wasm, now reference"
    `)
  })
  it('without end, remembering the newest', () => {
    const f = jit((x: NDArray, n: number) => np.multiply(x, n), { staticArgnums: 1 })
    for (let i = 0; i < 300; i++) f.lower(f32(1), i)
    expect(traceCount(f)).toBe(300)
    const lines = explainRetrace(f).split('\n')
    expect(lines[0]).toMatch(/was traced 300 times/)
    expect(lines[1]).toBe('trace 45, with (f32[])')
    expect(lines.slice(-2)).toEqual(['trace 300:', '  static argument 0: was 298, now 299'])
  })
  it('with static values compared by content', () => {
    const f = jit(
      (x: NDArray, axes: readonly number[], mode: string) =>
        mode === 'sum' ? np.sum(x, { axis: axes }) : x,
      { staticArgnums: [1, 2] },
    )
    expect(
      f(
        f32([
          [1, 2],
          [3, 4],
        ]),
        [0],
        'sum',
      ).toArray(),
    ).toEqual([4, 6])
    expect(
      f(
        f32([
          [1, 2],
          [3, 5],
        ]),
        [0],
        'sum',
      ).toArray(),
    ).toEqual([4, 7])
    expect(traceCount(f)).toBe(1)
    expect(
      f(
        f32([
          [1, 2],
          [3, 4],
        ]),
        [1],
        'sum',
      ).toArray(),
    ).toEqual([3, 7])
    expect(traceCount(f)).toBe(2)
  })
  it('inner functions once, also when they are transformed', () => {
    let traces = 0
    const inner = jit((x: NDArray) => {
      traces++
      return np.sin(x)
    })
    const outer = jit((x: NDArray) => np.add(inner(x), inner(np.multiply(x, 2))))
    outer(f32(1))
    grad(outer)(f32(1))
    vmap(grad(outer))(f32([1, 2]))
    inner(f32(3))
    expect(traces).toBe(1)
  })
})

describe('jit', () => {
  it('takes what it closes over as operands', () => {
    const w = np.arange(1000).astype('float32')
    const f = jit((x: NDArray) => np.multiply(x, w))
    const { jaxpr } = f.lower(f32(1))
    expect(jaxpr.constants.length).toBe(1)
    expect(jaxpr.constants[0]).toBe(w)
    expect(f(f32(2)).get(3).item()).toBe(6)
  })
  it('passes trees, numbers, null and forwarded arguments', () => {
    const f = jit((x: { a: NDArray; n: null }, k: number) => ({
      out: [x.a, np.multiply(x.a, k)] as const,
      n: x.n,
      k: 3,
    }))
    const y = f({ a: f32([1, 2]), n: null }, 2)
    expect(y.out.map((v) => v.toArray())).toEqual([
      [1, 2],
      [2, 4],
    ])
    expect(y.n).toBe(null)
    expect(f({ a: f32([5, 6]), n: null }, 3).out[1].toArray()).toEqual([15, 18])
  })
  it('donates', () => {
    const f = jit((x: NDArray, y: NDArray) => np.add(x, y), { donateArgnums: 0 })
    const [x, y] = [f32([1, 2]), f32([3, 4])]
    expect(f(x, y).toArray()).toEqual([4, 6])
    expect(() => np.add(x, 1)).toThrow(/donated/)
    expect(y.toArray()).toEqual([3, 4])
  })
  it('donates arrays that are passed twice, handed through, or filled with one value', () => {
    const twice = jit((x: NDArray, y: NDArray) => [np.add(x, 1), np.multiply(y, 2)] as const, {
      donateArgnums: [0, 1],
    })
    const x = f32([1, 2])
    expect(twice(x, x).map((y) => y.toArray())).toEqual([
      [2, 3],
      [2, 4],
    ])
    expect(() => x.toArray()).toThrow(/donated/)
    const swap = jit((a: NDArray, b: NDArray) => [b, a] as const, { donateArgnums: [0, 1] })
    expect(swap(f32([1, 2]), f32([3, 4])).map((y) => y.toArray())).toEqual([
      [3, 4],
      [1, 2],
    ])
    const turn = jit((a: NDArray) => [a, a.T] as const, { donateArgnums: 0 })
    expect(
      turn(
        f32([
          [1, 2],
          [3, 4],
        ]),
      ).map((y) => y.toArray()),
    ).toEqual([
      [
        [1, 2],
        [3, 4],
      ],
      [
        [1, 3],
        [2, 4],
      ],
    ])
    const zeros = np.zeros([3])
    expect(jit((a: NDArray) => np.add(a, 1), { donateArgnums: 0 })(zeros).toArray()).toEqual([
      1, 1, 1,
    ])
    expect(() => zeros.toArray()).toThrow(/donated/)
  })
  it('answers results that end apart from each other', () => {
    const x = f32([1, 2])
    const [a, b] = jit((y: NDArray) => [y, y] as const)(x)
    a.dispose()
    expect(b.toArray()).toEqual([1, 2])
    expect(x.toArray()).toEqual([1, 2])
  })
  it('takes more numbers than scalars are kept', () => {
    const total = jit((...xs: readonly number[]) =>
      xs.reduce<NDArray>((sum, x) => np.add(sum, x), f32(0)),
    )
    const xs = Array.from({ length: 700 }, (_, i) => i)
    expect(item(total(...xs))).toBe((700 * 699) / 2)
  })
  it('lowers and shows the program', () => {
    const f = jit(function scaled(x: NDArray) {
      return np.multiply(np.exp(x), 2)
    })
    const lowered = f.lower(f32([1, 2]))
    expect(lowered.text()).toMatch(/exp/)
    expect(lowered.text('loops')).toMatch(/exp/)
    expect(lowered.text('wat')).toMatch(/func/)
    expect(lowered.cost().loops).toBe(1)
    const compiled = lowered.compile()
    expect(compiled(f32([0, 0])).toArray()).toEqual([2, 2])
    expect(() => compiled(f32([0]))).toThrow(/other types/)
    expect(traceCount(f)).toBe(2)
  })
  it('closes over tracers of outer transformations', () => {
    const outer = (w: NDArray): NDArray =>
      jit((x: NDArray) => np.multiply(x, np.multiply(w, w)))(f32(3))
    expect(item(grad(outer)(f32(2)))).toBe(12)
    expect(item(jit(grad(outer))(f32(2)))).toBe(12)
    expect(vmap(outer)(f32([1, 2])).toArray()).toEqual([3, 12])
  })
  it('runs on a device of its own', () => {
    const f = jit((x: NDArray) => np.add(x, 1), { device: 'reference' })
    expect(f(f32(1)).device).toBe('reference')
  })
})
