/** What users read when an operation cannot be done: reviewed as prose. */
import { expect, test } from 'vitest'
import { install } from '../install'
import * as lax from './lax'
import * as np from './np'

install()

const a = np.ones([2, 3])
const b = np.ones([4, 3])

test('shapes', () => {
  expect(() => np.matmul(a, b)).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: matmul(a, b): contracting dimensions differ
      a: f32[2,3]   axis 1 is 3
      b: f32[4,3]   axis 0 is 4
      rule: a.shape[1] === b.shape[0]
      hint: b.T has shape [3,4]]
  `)
  expect(() => np.add(a, b)).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: add(a, b): shapes cannot be broadcast together
      a: f32[2,3]   axis 0 is 2
      b: f32[4,3]   axis 0 is 4
      rule: aligned at the last axis, sizes are equal or one of them is 1
      hint: add axes of size 1 with np.expandDims or x.get(..., null) where the shapes should align]
  `)
  expect(() => np.reshape(a, [4, -1])).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: reshape(a, shape): cannot give 6 elements the shape [4, -1]
      a: f32[2,3]
      rule: the sizes multiply to the number of elements; one of them may be -1]
  `)
  expect(() => np.array(new Float32Array(5), { shape: [2, 3] }))
    .toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: array(data, { shape }): the data has 5 elements, the shape [2,3] needs 6
      data: f32[5]
      rule: the sizes multiply to the number of elements
      hint: np.reshape takes one size of -1, which is computed]
  `)
  expect(() => np.array([[1, 2], [3]])).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: array(data): the lists are ragged: a list of 1 stands where a list of 2 is needed
      at: data[1]
      rule: lists at the same depth have the same length]
  `)
  expect(() => np.concatenate([a, np.ones([2])])).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: concatenate(a, b): shapes differ outside the joined axis
      a: f32[2,3]
      b: f32[2]
      rule: all sizes except those of axis 0 are equal
      hint: np.stack joins along a new axis]
  `)
  expect(() => np.einsum('ij,jk->ik', a, b)).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: einsum('ij,jk->ik'): axes 'j' have sizes 3 and 4
      a: f32[2,3]
      b: f32[4,3]   axis 0 is 4
      rule: axes with the same letter have the same size, or 1]
  `)
  expect(() => np.max(np.zeros([0]))).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: max(a): the extremum of no elements does not exist
      a: f32[0]   axis 0 is 0
      rule: reduced axes are not empty
      hint: give a starting value: { initial }]
  `)
})

test('axes', () => {
  expect(() => np.sum(a, 2)).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: sum: axis 2 is out of range for 2 dimensions
      a: f32[2,3]
      rule: an axis is from -2 to 1
      hint: the last axis is 1 or -1]
  `)
  expect(() => np.sum(a, [0, -2])).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: sum: axis [0, -2] names the same axis twice
      a: f32[2,3]
      rule: every axis appears at most once]
  `)
  expect(() => np.transpose(a, [0, 0])).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: transpose(a, axes): [0, 0] is not a permutation of the axes
      a: f32[2,3]
      rule: axes holds each of the 2 axes once
      hint: np.moveaxis moves some axes and leaves the others in order]
  `)
  expect(() => np.squeeze(a, 1)).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: squeeze(a, axis): axis 1 has size 3
      a: f32[2,3]
      rule: only axes of size 1 can be dropped
      hint: np.sum, np.mean or x.get(..., 0) remove larger axes]
  `)
})

test('dtypes and operands', () => {
  expect(() => np.zeros([2], { dtype: 'int64' as 'int32' })).toThrowErrorMatchingInlineSnapshot(`
    [DTypeError: zeros: unknown dtype 'int64'
      rule: a dtype is one of dtypes.*, or its name
      hint: 64-bit integers do not exist here; use 'int32']
  `)
  expect(() => np.subtract(true, false)).toThrowErrorMatchingInlineSnapshot(`
    [DTypeError: subtract(a, b): is not defined for booleans
      a: bool[]
      b: bool[]
      hint: use np.logicalXor for the difference of truth values]
  `)
  expect(() => np.bitwiseAnd(a, 1)).toThrowErrorMatchingInlineSnapshot(`
    [DTypeError: bitwiseAnd(a, b): is not defined for float32
      a: f32[2,3]
      b: f32[2,3]
      rule: operands are integers or booleans
      hint: convert first, with x.astype('int32')]
  `)
  expect(() => np.power(np.array([1, 2]), -1)).toThrowErrorMatchingInlineSnapshot(`
    [ArgumentError: power(a, b): integers cannot be raised to negative powers
      a: i32[2]
      b: i32[]
      hint: convert the base to a float first: np.power(a.astype('float32'), b)]
  `)
  expect(() => Reflect.apply(np.add, null, [[1, 2], 3])).toThrowErrorMatchingInlineSnapshot(`
    [ArgumentError: add(a, b): takes arrays and scalars, but was given a JavaScript array
      rule: an operand is an NDArray, a number or a boolean
      hint: make it an array first: np.array([...])]
  `)
  expect(() => Reflect.apply(np.add, null, [undefined, 3])).toThrowErrorMatchingInlineSnapshot(`
    [ArgumentError: add(a, b): takes arrays and scalars, but was given undefined
      rule: an operand is an NDArray, a number or a boolean
      hint: pass an NDArray, a number or a boolean]
  `)
  expect(() => lax.add(a, np.ones([3]))).toThrow('add')
})
