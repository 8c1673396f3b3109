import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { wasmFeatures } from '../emit/index'
import { emitCholesky, emitTriangularSolve } from './linear-algebra'
import { compileNode, expectAsInterpreted, newBuffer, nextRandom } from './run-node'

const floats = fc.constantFrom('float32' as const, 'float64' as const)
const relaxed = fc.constantFrom(...(wasmFeatures().relaxed ? [true, false] : [false]))
const tolerance = { float32: 2e-4, float64: 1e-10 }

describe('cholesky', () => {
  it('factors positive definite matrices', () => {
    const cases = fc.record({
      dtype: floats,
      batch: fc.integer({ min: 0, max: 3 }),
      n: fc.integer({ min: 0, max: 24 }),
      relaxed,
    })
    fc.assert(
      fc.property(cases, ({ dtype, batch, n, relaxed: fused }) => {
        const size = batch * n * n
        const [source, target] = [newBuffer(dtype, size), newBuffer(dtype, size)]
        expectAsInterpreted(
          emitCholesky,
          { kind: 'cholesky', batch, n, source, target },
          {
            relaxed: fused,
            tolerance: tolerance[dtype],
            fill: (buffer, cells) => {
              if (buffer !== source) return
              // Diagonally dominant, hence positive definite.
              for (let i = 0; i < size; i++) {
                const [row, column] = [Math.floor(i / n) % n, i % n]
                cells.set(i, row === column ? n + 1 : nextRandom())
              }
            },
          },
        )
      }),
      { numRuns: 80 },
    )
  })

  it('is NaN below the diagonal where the matrix is not positive definite', () => {
    const [source, target] = [newBuffer('float32', 27), newBuffer('float32', 27)]
    const node = { kind: 'cholesky', batch: 3, n: 3, source, target } as const
    const compiled = compileNode(emitCholesky, node)
    const good = [4, 0, 0, 2, 5, 0, 0, 0, 1]
    compiled.data(source).set([...good, 4, 0, 0, 2, -1, 0, 0, 0, 1, ...good])
    compiled.run()
    const result = [...compiled.data(target)]
    const factor = [2, 0, 0, 1, 2, 0, 0, 0, 1]
    expect(result.slice(0, 9)).toEqual(factor)
    expect(result.slice(9, 18)).toEqual([NaN, 0, 0, NaN, NaN, 0, NaN, NaN, NaN])
    expect(result.slice(18)).toEqual(factor)
  })
})

describe('triangularSolve', () => {
  it('substitutes forward and backward, transposed or not, with any number of columns', () => {
    const cases = fc.record({
      dtype: floats,
      batch: fc.integer({ min: 0, max: 3 }),
      n: fc.integer({ min: 0, max: 12 }),
      columns: fc.integer({ min: 0, max: 40 }),
      lower: fc.boolean(),
      transpose: fc.boolean(),
      unitDiagonal: fc.boolean(),
    })
    fc.assert(
      fc.property(cases, ({ dtype, ...flags }) => {
        const { batch, n, columns } = flags
        const a = newBuffer(dtype, batch * n * n)
        const [b, target] = [
          newBuffer(dtype, batch * n * columns),
          newBuffer(dtype, batch * n * columns),
        ]
        expectAsInterpreted(
          emitTriangularSolve,
          { kind: 'triangularSolve', ...flags, a, b, target },
          {
            tolerance: tolerance[dtype],
            fill: (buffer, cells) => {
              for (let i = 0; i < cells.size; i++) {
                const onDiagonal = buffer === a && Math.floor(i / n) % n === i % n
                cells.set(i, onDiagonal ? 3 + nextRandom() : nextRandom() / 2 - 0.25)
              }
            },
          },
        )
      }),
      { numRuns: 200 },
    )
  })
})
