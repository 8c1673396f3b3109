import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { install } from '../install'
import { stage } from '../jaxpr/stage'
import * as np from '../ops/np'
import { Aval } from '../types/aval'
import type { NDArray } from './ndarray'

install()

/** Runs `f` on a tracer of this shape. */
const traced = (shape: readonly number[], f: (x: NDArray) => void): void => {
  stage(
    ([x]) => {
      f(x)
      return [x]
    },
    [new Aval(shape, 'float32')],
    'jit',
    'loss',
  )
}

describe('methods', () => {
  const x = np.array([
    [1, 2],
    [3, 4],
  ])

  test('are the functions of the same name', () => {
    expect(x.add(1).toArray()).toEqual(np.add(x, 1).toArray())
    expect(x.sum(0, { keepdims: true }).toArray()).toEqual([[4, 6]])
    expect(x.reshape(4).toArray()).toEqual(x.reshape([4]).toArray())
    expect(x.transpose(1, 0).toArray()).toEqual(x.T.toArray())
    expect(x.var({ ddof: 1 }).item()).toBeCloseTo(5 / 3, 6)
  })

  test('rows come by iteration, numbers by conversion', () => {
    expect([...x].map((row) => row.toArray())).toEqual([
      [1, 2],
      [3, 4],
    ])
    expect(Number(np.array(2.5))).toBe(2.5)
    expect(JSON.stringify({ x })).toBe('{"x":[[1,2],[3,4]]}')
  })

  test('read what was put in, for every shape', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 4 }),
        fc.array(fc.integer({ min: -99, max: 99 }), { minLength: 81, maxLength: 81 }),
        async (shape, values) => {
          const size = shape.reduce((n, m) => n * m, 1)
          const data = Int32Array.from(values.slice(0, size))
          const a = np.array(data, { shape })
          expect(await a.data()).toEqual(data)
          expect(a.dataSync()).toEqual(data)
          if (size > 0) expect(np.array(a.toArray()).shape).toEqual(shape)
        },
      ),
      { numRuns: 50 },
    )
  })

  test('an array that was disposed of is refused', () => {
    const a = np.add(np.array([1, 2]), 1)
    a.dispose()
    a.dispose()
    expect(() => a.toArray()).toThrowErrorMatchingInlineSnapshot(`
      [DeletedArrayError: toArray(): the array was disposed of, or donated to a compiled program
        x: i32[2]
        hint: use the result of the program instead, or do not donate this argument]
    `)
    expect(String(a)).toBe('Array(i32[2]: disposed of, or donated)')
  })

  test('JavaScript operators are refused where they can be seen', () => {
    expect(() => Number(x)).toThrowErrorMatchingInlineSnapshot(`
      [ConcretizationError: conversion to a JavaScript number: the array has 4 elements
        x: i32[2,2]
        rule: only an array of one element is a number
        hint: use x.add(y), x.mul(y), np.less(x, y) …: JavaScript operators do not work on arrays]
    `)
    expect(() => x.item()).toThrowErrorMatchingInlineSnapshot(`
      [IndexingError: item(): the array has 4 elements
        x: i32[2,2]
        rule: item reads the only element of an array
        hint: choose one with x.get(i).item(), or read all with x.toArray()]
    `)
    traced([3, 4], (t) => {
      expect(String(t)).toBe('Tracer<f32[3,4]> of jit of loss')
      expect(() => Number(t)).toThrowErrorMatchingInlineSnapshot(`
        [ConcretizationError: conversion to a JavaScript number: a tracer of jit of loss has no value yet
          x: f32[3,4]
          rule: while a function is being transformed its values are not known
          hint: use np.where or cond instead of if and ?:, np functions instead of + - * / < >, or mark the argument static
          inside: jit of loss]
      `)
      expect(() => t.toArray()).toThrow('needs a concrete array')
      expect(() => t.get(t.greater(0))).toThrowErrorMatchingInlineSnapshot(`
        [ConcretizationError: get(mask): the mask is traced, so the shape of the result is not known
          x:    f32[3,4]
          mask: bool[3,4]
          rule: boolean masks must be concrete
          hint: np.where(mask, x, 0) keeps the shape; np.nonzero(mask, { size }) fixes it
          inside: jit of loss]
      `)
      expect(() => np.nonzero(t)).toThrowErrorMatchingInlineSnapshot(`
        [ConcretizationError: nonzero(a): the size of the result depends on traced values
          x: f32[3,4]
          rule: shapes are static
          hint: np.nonzero(a, { size }) fixes it
          inside: jit of loss]
      `)
    })
  })
})
