import { type NDArray, np } from '@adjoint/core'
import { expect, test } from 'vitest'
import { cond, grad, jit, profile, scan, whileLoop } from '../index'

const loss = (w: NDArray, x: NDArray): NDArray => np.sum(np.tanh(np.matmul(x, w)))
const [w, x] = [np.ones([48, 32]), np.ones([64, 48])]

/** The heads of the loops in the text form. */
const headsOf = (text: string): string[] =>
  [...text.matchAll(/^\d+\. (.*) — /gm)].map(([, head]) => head)

test('measures the loops that the text form shows, in order', () => {
  const slope = jit(grad(loss))
  const { loops, milliseconds } = profile(slope, w, x)
  const lowered = slope.lower(w, x)
  const titles = loops.map(({ title }) => title.replace(/: [^:]*$/, ''))
  expect(titles).toEqual(headsOf(lowered.text('loops')))
  expect(loops.every((loop) => loop.milliseconds >= 0)).toBe(true)
  expect(milliseconds).toBeCloseTo(
    loops.reduce((sum, loop) => sum + loop.milliseconds, 0),
    12,
  )
  expect(loops.reduce((sum, { flops }) => sum + flops, 0)).toBe(lowered.cost().flops)
})

test('leaves donated arguments as they are', () => {
  const step = jit((w: NDArray, x: NDArray) => np.sub(w, grad(loss)(w, x)), { donateArgnums: 0 })
  profile(step, w, x)
  expect(w.sum().item()).toBe(48 * 32)
})

test('counts a scan as one loop, and leaves the function as it was', () => {
  const f = jit((x: NDArray) => {
    const [total] = scan((c: NDArray, row: NDArray) => [c.add(row), null], np.zeros([48]), x)
    return np.cumsum(np.sort(np.negative(total)))
  })
  expect(profile(f, x).loops.filter(({ title }) => title.startsWith('scan'))).toHaveLength(1)
  expect(f(x).get(-1).item()).toBe(-48 * 64)
})

test('says what runs inside of a scan, and how often', () => {
  const f = jit((x: NDArray) => {
    const step = (c: NDArray, row: NDArray): [NDArray, null] => {
      const [inner] = scan((d: NDArray) => [np.sin(d), null], c, null, { length: 3 })
      return [np.sort(np.add(inner, row)), null]
    }
    return scan(step, np.zeros([48]), x)[0]
  })
  const measured = profile(f, x)
  const [outer] = measured.loops.filter(({ title }) => title.startsWith('scan'))
  const inner = outer.inside.find(({ title }) => title.startsWith('scan of 3'))
  expect(outer).toMatchObject({ runs: 1 })
  expect(inner).toMatchObject({ runs: 64 })
  expect(inner?.inside.map(({ runs }) => runs)).toEqual([192])
  expect(inner?.inside[0].title).toContain('sin')
  expect(outer.inside.map(({ runs }) => runs)).toEqual(outer.inside.map(() => 64))
  const sum = (loops: readonly { milliseconds: number }[]): number =>
    loops.reduce((total, { milliseconds }) => total + milliseconds, 0)
  expect(sum(outer.inside)).toBeGreaterThan(0)
  expect(inner?.milliseconds).toBeGreaterThanOrEqual(inner?.inside[0].milliseconds ?? Infinity)
  expect(String(measured)).toMatch(/^ *\d\.\d\.1 .* {6}map over .*: sin, 192 times$/m)
})

test('says what runs inside of a while and a branch', () => {
  type Carry = readonly [NDArray, NDArray]
  const f = jit((x: NDArray) => {
    const start: Carry = [np.array(0), x]
    const step = ([n, y]: Carry): Carry => [
      np.add(n, 1),
      cond(
        np.less(n, 2),
        (v: NDArray) => np.sin(v),
        (v: NDArray) => np.cumsum(v),
        y,
      ),
    ]
    return whileLoop(([n]: Carry) => np.less(n, 5), step, start)[1]
  })
  const text = String(profile(f, np.ones([40])))
  expect(text).toMatch(/sin, 2 times$/m)
  expect(text).toMatch(/cumulative sum .*, 3 times$/m)
  expect(text).toMatch(/branch on .*, 5 times$/m)
})

test('prints a table with a line for each loop', () => {
  const measured = profile(jit(loss, { name: 'loss' }), w, x)
  const [head, columns, ...rows] = String(measured).split('\n')
  expect(head).toMatch(/^loss: [\d.]+ ms in \d+ loops, medians of \d+ runs$/)
  expect(columns).toMatch(/loop +ms +share +GFLOP\/s +GB\/s/)
  expect(rows).toHaveLength(measured.loops.length)
  expect(String(measured)).toContain('tanh')
})

test('refuses what it cannot measure', () => {
  const plain = Object.assign((x: NDArray) => x, { lower: jit((x: NDArray) => x).lower })
  expect(() => profile(plain, w)).toThrow(/is not jitted/)
  expect(() => profile(jit(loss, { device: 'reference' }), w, x)).toThrow(/does not measure/)
})
