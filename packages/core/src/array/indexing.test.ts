/** Indexing against JAX's recorded reads and updates, and the errors of indices that cannot be. */
import { describe, expect, test } from 'vitest'
import recording from '../../test-data/indexing.json'
import { install } from '../install'
import { decode, expectRecorded, type Recorded } from '../ops/golden.fixture'
import * as np from '../ops/np'
import { slice } from '../ops/slice'
import { devices, withDevice } from './device'
import type { Index, IndexUpdate } from './indexing'
import type { NDArray } from './ndarray'

install()

interface Read {
  readonly index: readonly Recorded[]
  readonly mode?: 'fill' | 'clip'
  readonly result: Recorded
}
interface Update extends Read {
  readonly op: 'set' | 'add' | 'multiply' | 'min' | 'max'
  readonly value: Recorded
}
const recorded: { operand: Recorded; reads: Read[]; updates: Update[] } = JSON.parse(
  JSON.stringify(recording),
)
const { reads, updates } = recorded

const named = (index: readonly Recorded[], error: unknown): Error =>
  new Error(`at ${JSON.stringify(index)}`, { cause: error })

for (const { name: device } of devices()) {
  describe(`indexing on ${device}`, () => {
    const operand = (): NDArray => decode(recorded.operand) as NDArray
    const decoded = (index: readonly Recorded[]): Index[] => index.map((e) => decode(e) as Index)

    test('reads are those of JAX', () => {
      withDevice(device, () => {
        const x = operand()
        for (const { index, mode, result } of reads) {
          try {
            const read = mode ? x.at(...decoded(index)).get({ mode }) : x.get(...decoded(index))
            expectRecorded(read, result)
          } catch (error) {
            throw named([mode ?? 'plain', ...index], error)
          }
        }
      })
    })

    test('updates are those of JAX', () => {
      withDevice(device, () => {
        const x = operand()
        for (const { index, mode, op, value, result } of updates) {
          try {
            const at: IndexUpdate = x.at(...decoded(index))
            expectRecorded(at[op](decode(value) as NDArray, mode ? { mode } : {}), result)
          } catch (error) {
            throw named([op, mode ?? 'plain', ...index], error)
          }
        }
      })
    })
  })
}

describe('indices', () => {
  const x = np.reshape(np.arange(12), [3, 4])

  test('are written as strings, slices, lists and typed arrays alike', () => {
    const expected = [
      [1, 3],
      [9, 11],
    ]
    expect(x.get('::2', '1::2').toArray()).toEqual(expected)
    expect(x.get(slice(null, null, 2), slice(1, null, 2)).toArray()).toEqual(expected)
    expect(
      x
        .get([0, 2])
        .get('...', new Int32Array([1, 3]))
        .toArray(),
    ).toEqual(expected)
    expect(x.get([true, false, true], [false, true, false, true]).toArray()).toEqual([1, 11])
    expect(x.get(slice(2)).toArray()).toEqual(x.get(':2').toArray())
  })

  test('that cannot be say why', () => {
    expect(() => x.get(0, 1, 2)).toThrowErrorMatchingInlineSnapshot(`
      [IndexingError: get(...index): 3 indices for 2 axes
        x: i32[3,4]
        rule: at most one index per axis]
    `)
    expect(() => x.get(0.5)).toThrowErrorMatchingInlineSnapshot(`
      [IndexingError: get(...index): 0.5 is not an integer
        x: i32[3,4]
        rule: positions are integers]
    `)
    expect(() => x.get('1-3')).toThrowErrorMatchingInlineSnapshot(`
      [IndexingError: get(...index): cannot read the index '1-3'
        x: i32[3,4]
        rule: a slice is written 'start:stop:step', with any part left out]
    `)
    expect(() => x.get('...', '...')).toThrowErrorMatchingInlineSnapshot(`
      [IndexingError: get(...index): '...' stands more than once
        x: i32[3,4]
        rule: '...' stands at most once]
    `)
    expect(() => x.get(np.array([0.5]))).toThrowErrorMatchingInlineSnapshot(`
      [IndexingError: get(...index): an index array has dtype float32
        index: f32[1]
        rule: index arrays hold integers, or are boolean masks
        hint: convert it: index.astype('int32')]
    `)
    expect(() => x.get(np.array([true, false]))).toThrowErrorMatchingInlineSnapshot(`
      [IndexingError: get(mask): the mask does not fit the array
        x:    i32[3,4]   axes from 0: [3]
        mask: bool[2]
        rule: a mask has the shape of the axes that it selects from]
    `)
    expect(() => x.get(slice(0, 2, 0))).toThrowErrorMatchingInlineSnapshot(`
      [IndexingError: slice: the step is 0
        rule: a step is not 0]
    `)
    expect(() => x.at(0).set(np.ones([3]))).toThrowErrorMatchingInlineSnapshot(`
      [ShapeError: at(...).set(value): the value does not broadcast to the indexed part [4]
        value: i32[3]
        rule: aligned at the last axis, each size of the value is 1 or that of the part]
    `)
  })
})

describe('updates under all their names', () => {
  const x = np.array([1, 2, 4, 8], { dtype: 'float32' })
  test('sub, div and power do what JAX does', () => {
    expect(x.at([1, 1]).sub(3).toArray()).toEqual([1, -4, 4, 8])
    expect(x.at([1, 1]).subtract(3).toArray()).toEqual([1, -4, 4, 8])
    expect(x.at(3).div(4).toArray()).toEqual([1, 2, 4, 2])
    expect(x.at('2:').power(2).toArray()).toEqual([1, 2, 16, 64])
  })
  test('unknown options are refused', () => {
    const options = { fill: 3 } as object
    expect(() => x.at(0).get(options)).toThrow(
      /at\(...\).get: there is no option 'fill'[^]*did you mean 'fillValue'/,
    )
    expect(() => x.at(0).set(1, options)).toThrow(/at\(...\).set: there is no option 'fill'/)
  })
})
