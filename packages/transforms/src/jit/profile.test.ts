import { type NDArray, np } from '@adjoint/core'
import { expect, test } from 'vitest'
import { grad, jit, profile, scan } from '../index'

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
