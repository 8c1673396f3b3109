import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type NDArray, np } from '@adjoint/core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Exported, grad, jit, scan } from '../index'

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'adjoint-export-'))
})
afterAll(() => {
  rmSync(folder, { recursive: true })
})

/** Runs lines of JavaScript in a process that has the two files and nothing else. */
function elsewhere({ wasm, loader }: Exported, lines: string): unknown {
  writeFileSync(join(folder, 'program.wasm'), wasm)
  writeFileSync(join(folder, 'loader.mjs'), loader)
  writeFileSync(
    join(folder, 'main.mjs'),
    `import { readFile } from 'node:fs/promises'
    import { load } from './loader.mjs'
    const { run, manifest } = await load(readFile('program.wasm'))
    const plain = (x) => (ArrayBuffer.isView(x) ? Array.from(x) : Array.isArray(x) ? x.map(plain)
      : x && typeof x === 'object' ? Object.fromEntries(Object.entries(x).map(([k, v]) => [k, plain(v)])) : x)
    ${lines}
    console.log(JSON.stringify(plain(answer)))`,
  )
  const output = execFileSync(process.execPath, ['main.mjs'], { cwd: folder, encoding: 'utf8' })
  return JSON.parse(output)
}

const weights = np.array([
  [0.5, -1],
  [2, 0.25],
  [1, 1],
])
const predict = (x: NDArray): NDArray => np.tanh(np.matmul(x, weights))

describe('an exported program', () => {
  test('computes what it computes here, with what it closes over', () => {
    const x = np.array([
      [1, 2, 3],
      [-1, 0.5, 0],
    ])
    const exported = jit(predict).lower(x).export()
    const answer = elsewhere(exported, 'const answer = run([1, 2, 3, -1, 0.5, 0])')
    expect(answer).toEqual(Array.from(jit(predict)(x).ravel().dataSync()))
  })

  test('takes and answers trees, scalars and booleans', () => {
    interface State {
      readonly at: NDArray
      readonly history: readonly NDArray[]
    }
    const f = jit(({ at, history }: State, rate: NDArray | number, none: null) => ({
      at: np.add(at, np.multiply(rate, history[0])),
      isPositive: np.greater(np.sum(at), 0),
      none,
      total: [np.sum(history[0]), history[1].astype('int32')],
    }))
    const state = { at: np.array([1, 2]), history: [np.array([3, 4]), np.array(2.75)] }
    const exported = f.lower(state, 0.5, null).export()
    expect(exported.manifest.arguments).toEqual([{ at: 0, history: [1, 2] }, 3, null])
    expect(exported.manifest.inputs.map(({ shape, dtype }) => ({ shape, dtype }))).toEqual([
      { shape: [2], dtype: 'int32' },
      { shape: [2], dtype: 'int32' },
      { shape: [], dtype: 'float32' },
      { shape: [], dtype: 'float32' },
    ])
    const answer = elsewhere(
      exported,
      'const answer = run({ at: [1, 2], history: [[3, 4], 2.75] }, 0.5, null)',
    )
    expect(answer).toEqual({ at: [2.5, 4], isPositive: true, none: null, total: [7, 2] })
  })

  test('is called again with its own results', () => {
    const loss = (w: NDArray, x: NDArray): NDArray => np.sum(np.square(np.sub(np.dot(x, w), 1)))
    const step = (w: NDArray, x: NDArray): NDArray => np.sub(w, np.multiply(0.05, grad(loss)(w, x)))
    const [w, x] = [np.array([0.5, -0.5]), np.eye(2)]
    const exported = jit(step, { donateArgnums: 0 }).lower(w, x).export()
    const answer = elsewhere(
      exported,
      'let answer = [0.5, -0.5]\nfor (let i = 0; i < 20; i++) answer = run(answer, [1, 0, 0, 1])',
    )
    let here = w
    for (let i = 0; i < 20; i++) here = step(here, x)
    expect(answer).toEqual(Array.from(here.dataSync()))
  })

  test('has loops and branches', () => {
    const f = jit((x: NDArray) =>
      scan((c: NDArray, x: NDArray) => [c.add(x), c.mul(x)], x.sum(), x),
    )
    const answer = elsewhere(f.lower(np.array([1, 2, 3])).export(), 'const answer = run([1, 2, 3])')
    expect(answer).toEqual([12, [6, 14, 27]])
  })

  test('says what it was not given', () => {
    const answer = elsewhere(
      jit(predict)
        .lower(np.ones([2, 3]))
        .export(),
      'let answer\ntry { run([1, 2, 3]) } catch (error) { answer = String(error) }',
    )
    expect(answer).toBe('TypeError: args.0 is not an array of 6: float32[2,3]')
  })

  test('has a loader of at most 3 KB', () => {
    const { loader } = jit(predict)
      .lower(np.ones([2, 3]))
      .export()
    expect(new TextEncoder().encode(loader).length).toBeLessThanOrEqual(3072)
  })

  test('is WebAssembly', () => {
    const { wasm } = jit(predict)
      .lower(np.ones([2, 3]))
      .export()
    expect(WebAssembly.validate(wasm)).toBe(true)
    const reference = jit(predict, { device: 'reference' }).lower(np.ones([2, 3]))
    expect(() => reference.export()).toThrow(/cannot leave it/)
  })
})
