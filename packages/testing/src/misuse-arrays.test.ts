/** What array functions refuse, and in which words. */
import { lax, linalg, np, random, setDevice, special } from '@adjoint/core'
import { beforeEach, describe, expect, it } from 'vitest'
import { f32, i32, like, refused, untyped } from './misuse.fixture'

beforeEach(() => {
  setDevice('wasm')
})

describe('shapes that do not fit', () => {
  it('add', () => {
    expect(refused(() => np.add(like(2, 3), like(4, 3)))).toMatchInlineSnapshot(`
      "ShapeError: add(a, b): shapes cannot be broadcast together
        a: f32[2,3]   axis 0 is 2
        b: f32[4,3]   axis 0 is 4
        rule: aligned at the last axis, sizes are equal or one of them is 1
        hint: add axes of size 1 with np.expandDims or x.get(..., null) where the shapes should align"
    `)
  })
  it('the method add', () => {
    expect(refused(() => like(2, 3).add(like(2)))).toMatchInlineSnapshot(`
      "ShapeError: add(a, b): shapes cannot be broadcast together
        a: f32[2,3]   axis 1 is 3
        b: f32[2]     axis 0 is 2
        rule: aligned at the last axis, sizes are equal or one of them is 1
        hint: add axes of size 1 with np.expandDims or x.get(..., null) where the shapes should align"
    `)
  })
  it('maximum', () => {
    expect(refused(() => np.maximum(like(3), like(4)))).toMatchInlineSnapshot(`
      "ShapeError: maximum(a, b): shapes cannot be broadcast together
        a: f32[3]   axis 0 is 3
        b: f32[4]   axis 0 is 4
        rule: aligned at the last axis, sizes are equal or one of them is 1
        hint: add axes of size 1 with np.expandDims or x.get(..., null) where the shapes should align"
    `)
  })
  it('a comparison', () => {
    expect(refused(() => np.less(like(3), i32([1, 2])))).toMatchInlineSnapshot(`
      "ShapeError: less(a, b): shapes cannot be broadcast together
        a: f32[3]   axis 0 is 3
        b: f32[2]   axis 0 is 2
        rule: aligned at the last axis, sizes are equal or one of them is 1
        hint: add axes of size 1 with np.expandDims or x.get(..., null) where the shapes should align"
    `)
  })
  it('where', () => {
    expect(refused(() => np.where(np.array([true, false]), like(3), 0))).toMatchInlineSnapshot(`
      "ShapeError: where(a, b, c): shapes cannot be broadcast together
        a: bool[2]   axis 0 is 2
        b: f32[3]    axis 0 is 3
        c: f32[]
        rule: aligned at the last axis, sizes are equal or one of them is 1
        hint: add axes of size 1 with np.expandDims or x.get(..., null) where the shapes should align"
    `)
  })
  it('matmul', () => {
    expect(refused(() => np.matmul(like(2, 3), like(4, 3)))).toMatchInlineSnapshot(`
      "ShapeError: matmul(a, b): contracting dimensions differ
        a: f32[2,3]   axis 1 is 3
        b: f32[4,3]   axis 0 is 4
        rule: a.shape[1] === b.shape[0]
        hint: b.T has shape [3,4]"
    `)
  })
  it('matmul of a scalar', () => {
    expect(refused(() => np.matmul(like(2, 3), 2))).toMatchInlineSnapshot(`
      "ShapeError: matmul(a, b): an operand is a scalar
        a: f32[2,3]
        b: i32[]
        rule: every operand has at least one axis
        hint: np.multiply scales by a scalar"
    `)
  })
  it('matmul of batches', () => {
    expect(refused(() => np.matmul(like(2, 3, 4), like(5, 4, 3)))).toMatchInlineSnapshot(`
      "ShapeError: matmul(a, b): batch dimensions cannot be broadcast together
        a: f32[2,3,4]   axis 0 is 2
        b: f32[5,4,3]   axis 0 is 5
        rule: all axes before the last two are equal, aligned at the last, or one of them is 1
        hint: add axes of size 1 with np.expandDims or x.get(..., null) where the batches should align"
    `)
  })
  it('matmul of a vector', () => {
    expect(refused(() => np.matmul(like(3), like(2, 3)))).toMatchInlineSnapshot(`
      "ShapeError: matmul(a, b): contracting dimensions differ
        a: f32[3]     axis 0 is 3
        b: f32[2,3]   axis 0 is 2
        rule: a.shape[0] === b.shape[0]
        hint: b.T has shape [3,2]"
    `)
  })
  it('dot', () => {
    expect(refused(() => np.dot(like(2, 3), like(2)))).toMatchInlineSnapshot(`
      "ShapeError: dot(a, b): contracting dimensions differ
        a: f32[2,3]   axis 1 is 3
        b: f32[2]     axis 0 is 2
        rule: a.shape[1] === b.shape[0]
        hint: transpose or reshape an operand so that these sizes agree"
    `)
  })
  it('inner', () => {
    expect(refused(() => np.inner(like(2, 3), like(2)))).toMatchInlineSnapshot(`
      "ShapeError: inner(a, b): contracting dimensions differ
        a: f32[2,3]   axis 1 is 3
        b: f32[2]     axis 0 is 2
        rule: a.shape[1] === b.shape[0]
        hint: transpose or reshape an operand so that these sizes agree"
    `)
  })
  it('vdot', () => {
    expect(refused(() => np.vdot(like(2), like(3)))).toMatchInlineSnapshot(`
      "ShapeError: vdot(a, b): the operands have 2 and 3 elements
        a: f32[2]
        b: f32[3]
        rule: vdot flattens both, which then have the same number of elements"
    `)
  })
  it('tensordot', () => {
    expect(refused(() => np.tensordot(like(2, 3), like(2, 4), 1))).toMatchInlineSnapshot(`
      "ShapeError: tensordot(a, b): contracting dimensions differ
        a: f32[2,3]   axis 1 is 3
        b: f32[2,4]   axis 0 is 2
        rule: a.shape[1] === b.shape[0]
        hint: transpose or reshape an operand so that these sizes agree"
    `)
  })
  it('einsum', () => {
    expect(refused(() => np.einsum('ij,jk->ik', like(2, 3), like(4, 5)))).toMatchInlineSnapshot(`
      "ShapeError: einsum('ij,jk->ik'): axes 'j' have sizes 3 and 4
        a: f32[2,3]
        b: f32[4,5]   axis 0 is 4
        rule: axes with the same letter have the same size, or 1"
    `)
  })
  it('einsum with another number of operands', () => {
    expect(refused(() => np.einsum('ij,jk', like(2, 3)))).toMatchInlineSnapshot(`
      "ArgumentError: einsum('ij,jk'): 2 terms for 1 operands
        a: f32[2,3]
        hint: one term per operand, separated by commas"
    `)
  })
  it('einsum with a result index from nowhere', () => {
    expect(refused(() => np.einsum('ij->ik', like(2, 3)))).toMatchInlineSnapshot(`
      "ArgumentError: einsum('ij->ik'): 'k' of the result stands in no operand
        a: f32[2,3]"
    `)
  })
  it('einsum of too few axes', () => {
    expect(refused(() => np.einsum('ijk->i', like(2, 3)))).toMatchInlineSnapshot(`
      "ShapeError: einsum('ijk->i'): 'ijk' names 3 axes of operand 0, which has 2
        a: f32[2,3]
        rule: one letter per axis, or ... for those not named"
    `)
  })
  it('lax.dotGeneral', () => {
    expect(
      refused(() =>
        lax.dotGeneral(like(2, 3), like(2, 3), [
          [[1], [0]],
          [[], []],
        ]),
      ),
    ).toMatchInlineSnapshot(`
      "ShapeError: dotGeneral: contracting dimensions differ
        lhs: f32[2,3]   contracts [1], batches []
        rhs: f32[2,3]   contracts [0], batches []
        rule: paired axes have equal sizes, and no axis is used twice"
    `)
  })
  it('lax.add, which does not broadcast', () => {
    expect(refused(() => lax.add(like(2, 3), like(3)))).toMatchInlineSnapshot(`
      "ShapeError: add: operands have different shapes
        operand 0: f32[2,3]
        operand 1: f32[3]
        rule: elementwise primitives take operands of one shape
        hint: the functions of np broadcast for you"
    `)
  })
  it('lax.mul of two dtypes', () => {
    expect(refused(() => lax.mul(like(2), i32([1, 2])))).toMatchInlineSnapshot(`
      "DTypeError: mul: operands have different dtypes
        operand 0: f32[2]
        operand 1: i32[2]
        rule: elementwise primitives take operands of one dtype
        hint: the functions of np promote for you; astype converts explicitly"
    `)
  })
  it('concatenate', () => {
    expect(refused(() => np.concatenate([like(2, 3), like(2, 4)]))).toMatchInlineSnapshot(`
      "ShapeError: concatenate(a, b): shapes differ outside the joined axis
        a: f32[2,3]
        b: f32[2,4]
        rule: all sizes except those of axis 0 are equal"
    `)
  })
  it('concatenate of ranks', () => {
    expect(refused(() => np.concatenate([like(2, 3), like(3)]))).toMatchInlineSnapshot(`
      "ShapeError: concatenate(a, b): shapes differ outside the joined axis
        a: f32[2,3]
        b: f32[3]
        rule: all sizes except those of axis 0 are equal
        hint: np.stack joins along a new axis"
    `)
  })
  it('concatenate of nothing', () => {
    expect(refused(() => np.concatenate([]))).toMatchInlineSnapshot(`
      "ArgumentError: concatenate(arrays): there is nothing to join
        rule: at least one array"
    `)
  })
  it('concatenate of scalars', () => {
    expect(refused(() => np.concatenate([f32(1), f32(2)]))).toMatchInlineSnapshot(`
      "ShapeError: concatenate(a, b): a scalar has no axis to join along
        a: f32[]
        b: f32[]
        rule: every array has the joined axis
        hint: np.stack makes a vector of scalars"
    `)
  })
  it('stack', () => {
    expect(refused(() => np.stack([like(2), like(3)]))).toMatchInlineSnapshot(`
      "ShapeError: stack(a, b): shapes differ
        a: f32[2]
        b: f32[3]
        rule: all arrays have the same shape
        hint: np.concatenate joins along an axis whose sizes may differ"
    `)
  })
  it('reshape', () => {
    expect(refused(() => np.reshape(like(2, 3), [4]))).toMatchInlineSnapshot(`
      "ShapeError: reshape(a, shape): cannot give 6 elements the shape [4]
        a: f32[2,3]
        rule: the sizes multiply to the number of elements; one of them may be -1"
    `)
  })
  it('reshape with one size unknown', () => {
    expect(refused(() => like(2, 3).reshape([4, -1]))).toMatchInlineSnapshot(`
      "ShapeError: reshape(a, shape): cannot give 6 elements the shape [4, -1]
        a: f32[2,3]
        rule: the sizes multiply to the number of elements; one of them may be -1"
    `)
  })
  it('reshape with two sizes unknown', () => {
    expect(refused(() => like(2, 3).reshape([-1, -1]))).toMatchInlineSnapshot(`
      "ArgumentError: reshape(a, shape): [-1, -1] leaves more than one size open
        a: f32[2,3]
        rule: at most one size is -1; it is computed from the others"
    `)
  })
  it('broadcastTo', () => {
    expect(refused(() => np.broadcastTo(like(2, 3), [2, 4]))).toMatchInlineSnapshot(`
      "ShapeError: broadcastTo(a, shape): cannot broadcast to [2,4]
        a: f32[2,3]
        rule: aligned at the last axis, each size is 1 or that of the new shape"
    `)
  })
  it('broadcastTo fewer axes', () => {
    expect(refused(() => np.broadcastTo(like(2, 3), [3]))).toMatchInlineSnapshot(`
      "ShapeError: broadcastTo(a, shape): cannot broadcast to [3]
        a: f32[2,3]
        rule: aligned at the last axis, each size is 1 or that of the new shape"
    `)
  })
  it('transpose', () => {
    expect(refused(() => np.transpose(like(2, 3), [0, 1, 2]))).toMatchInlineSnapshot(`
      "ShapeError: transpose: axis 2 is out of range for 2 dimensions
        a: f32[2,3]
        rule: an axis is from -2 to 1
        hint: the last axis is 1 or -1"
    `)
  })
  it('transpose naming an axis twice', () => {
    expect(refused(() => np.transpose(like(2, 3), [0, 0]))).toMatchInlineSnapshot(`
      "ShapeError: transpose(a, axes): [0, 0] is not a permutation of the axes
        a: f32[2,3]
        rule: axes holds each of the 2 axes once
        hint: np.moveaxis moves some axes and leaves the others in order"
    `)
  })
  it('squeeze', () => {
    expect(refused(() => np.squeeze(like(2, 3), 0))).toMatchInlineSnapshot(`
      "ShapeError: squeeze(a, axis): axis 0 has size 2
        a: f32[2,3]
        rule: only axes of size 1 can be dropped
        hint: np.sum, np.mean or x.get(..., 0) remove larger axes"
    `)
  })
  it('split', () => {
    expect(refused(() => np.split(like(5), 2))).toMatchInlineSnapshot(`
      "ShapeError: split(a, sections): 5 elements do not make 2 equal parts
        a: f32[5]
        hint: np.arraySplit allows parts of different sizes"
    `)
  })
  it('conv with other channels', () => {
    expect(
      refused(() => lax.convGeneralDilated(like(1, 3, 8, 8), like(4, 2, 3, 3), [1, 1], 'SAME')),
    ).toMatchInlineSnapshot(`
      "ShapeError: convGeneralDilated: the filters take 2 features in 1 groups, and there are 3
        lhs: f32[1,3,8,8]   batch, feature, spatial axes [0,1,2,3]
        rhs: f32[4,2,3,3]   out, in, spatial axes [0,1,2,3]
        rule: lhs features = rhs input features × featureGroupCount"
    `)
  })
  it('conv of another rank', () => {
    expect(refused(() => lax.convGeneralDilated(like(3, 8, 8), like(4, 3, 3, 3), [1, 1], 'SAME')))
      .toMatchInlineSnapshot(`
      "ShapeError: convGeneralDilated(lhs, rhs): input, filters and dimension numbers differ in rank
        lhs: f32[3,8,8]
        rhs: f32[4,3,3,3]
        rule: a batch axis, a feature axis and the same number of spatial axes in both"
    `)
  })
  it('conv with strides for another rank', () => {
    expect(refused(() => lax.convGeneralDilated(like(1, 3, 8, 8), like(4, 3, 3, 3), [1], 'SAME')))
      .toMatchInlineSnapshot(`
      "ShapeError: convGeneralDilated: the operands, windows and dimension numbers have different ranks
        lhs: f32[1,3,8,8]   batch, feature, spatial axes [0,1,2,3]
        rhs: f32[4,3,3,3]   out, in, spatial axes [0,1,2,3]
        rule: both operands have one rank, and windows one entry per spatial axis"
    `)
  })
  it('conv with unreadable dimension numbers', () => {
    expect(
      refused(() =>
        lax.convGeneralDilated(like(1, 8, 8, 3), like(3, 3, 3, 4), [1, 1], 'SAME', {
          dimensionNumbers: ['NHWC', 'HWXO', 'NHWC'],
        }),
      ),
    ).toMatchInlineSnapshot(`
      "ArgumentError: convGeneralDilated(…, { dimensionNumbers }): cannot read ['NHWC', 'HWXO', 'NHWC']
        rule: N and C in lhs and out, O and I in rhs, and the same spatial letters in all three
        hint: for example ['NHWC', 'HWIO', 'NHWC']"
    `)
  })
  it('conv with groups that do not divide', () => {
    expect(
      refused(() =>
        lax.convGeneralDilated(like(1, 4, 8, 8), like(6, 2, 3, 3), [1, 1], 'SAME', {
          featureGroupCount: 3,
        }),
      ),
    ).toMatchInlineSnapshot(`
      "ShapeError: convGeneralDilated: the filters take 2 features in 3 groups, and there are 4
        lhs: f32[1,4,8,8]   batch, feature, spatial axes [0,1,2,3]
        rhs: f32[6,2,3,3]   out, in, spatial axes [0,1,2,3]
        rule: lhs features = rhs input features × featureGroupCount"
    `)
  })
  it('conv with an unknown padding', () => {
    expect(
      refused(() =>
        lax.convGeneralDilated(like(1, 3, 8, 8), like(4, 3, 3, 3), [1, 1], untyped('same')),
      ),
    ).toMatchInlineSnapshot(`
      "ArgumentError: convGeneralDilated(…, { padding }): unknown padding 'same'
        rule: padding is 'SAME', 'SAME_LOWER', 'VALID' or a list of [low, high]"
    `)
  })
  it('reduceWindow', () => {
    expect(refused(() => lax.reduceWindow(like(4, 4), 0, lax.add, [2], [1], 'VALID')))
      .toMatchInlineSnapshot(`
      "ShapeError: reduceWindow(operand, …, windowDimensions, windowStrides): windows of 1 axes over 2
        operand: f32[4,4]
        rule: one window size and one stride per axis"
    `)
  })
  it('dynamicSlice larger than the array', () => {
    expect(refused(() => lax.dynamicSlice(like(4), [0], [5]))).toMatchInlineSnapshot(`
      "ShapeError: dynamicSlice: a block of [5] does not fit
        x:       f32[4]
        start 0: i32[]
        rule: one integer scalar per axis, and a block no larger than the operand"
    `)
  })
  it('dynamicSlice with too few starts', () => {
    expect(refused(() => lax.dynamicSlice(like(4, 4), [0], [2, 2]))).toMatchInlineSnapshot(`
      "ArgumentError: dynamicSlice(operand, startIndices): 1 start indices for 2 axes
        operand: f32[4,4]
        rule: one start index per axis"
    `)
  })
  it('dynamicUpdateSlice larger than the array', () => {
    expect(refused(() => lax.dynamicUpdateSlice(like(4), like(5), [0]))).toMatchInlineSnapshot(`
      "ShapeError: dynamicUpdateSlice: a block of [5] does not fit
        x:       f32[4]
        start 0: i32[]
        rule: one integer scalar per axis, and a block no larger than the operand"
    `)
  })
  it('cholesky', () => {
    expect(refused(() => linalg.cholesky(like(2, 3)))).toMatchInlineSnapshot(`
      "ShapeError: cholesky(a): the last two axes are not square matrices
        a: f32[2,3]
        rule: a is [..., n, n]"
    `)
  })
  it('triangularSolve', () => {
    expect(refused(() => linalg.triangularSolve(like(3, 3), like(2, 2)))).toMatchInlineSnapshot(`
      "ShapeError: triangularSolve: the right-hand side does not fit the matrix
        a: f32[3,3]
        b: f32[2,2]
        rule: a is [..., n, n] and b is [..., m, n], of one dtype"
    `)
  })
  it('max of nothing', () => {
    expect(refused(() => np.max(np.zeros([0])))).toMatchInlineSnapshot(`
      "ShapeError: max(a): the extremum of no elements does not exist
        a: f32[0]   axis 0 is 0
        rule: reduced axes are not empty
        hint: give a starting value: { initial }"
    `)
  })
  it('argmin of nothing', () => {
    expect(refused(() => np.argmin(np.zeros([0, 3]), 0))).toMatchInlineSnapshot(`
      "ShapeError: argmin(a): the extremum of no elements does not exist
        a: f32[0,3]   axis 0 is 0
        rule: reduced axes are not empty"
    `)
  })
  it('at().set with a value that does not fit', () => {
    expect(refused(() => like(4).at('0:2').set(like(3)))).toMatchInlineSnapshot(`
      "ShapeError: at(...).set(value): the value does not broadcast to the indexed part [2]
        value: f32[3]
        rule: aligned at the last axis, each size of the value is 1 or that of the part"
    `)
  })
  it('topK of more than there is', () => {
    expect(refused(() => lax.topK(like(3), 4))).toMatchInlineSnapshot(`
      "ShapeError: topK: there are no 4 elements along axis 0
        x: f32[3]
        rule: 0 <= k <= size of the axis"
    `)
  })
})

describe('axes', () => {
  it('out of range in sum', () => {
    expect(refused(() => np.sum(like(2, 3), 2))).toMatchInlineSnapshot(`
      "ShapeError: sum: axis 2 is out of range for 2 dimensions
        a: f32[2,3]
        rule: an axis is from -2 to 1
        hint: the last axis is 1 or -1"
    `)
  })
  it('named twice in sum', () => {
    expect(refused(() => np.sum(like(2, 3), [0, -2]))).toMatchInlineSnapshot(`
      "ShapeError: sum: axis [0, -2] names the same axis twice
        a: f32[2,3]
        rule: every axis appears at most once"
    `)
  })
  it('out of range in mean', () => {
    expect(refused(() => np.mean(like(2, 3), { axis: -3 }))).toMatchInlineSnapshot(`
      "ShapeError: mean: axis -3 is out of range for 2 dimensions
        a: f32[2,3]
        rule: an axis is from -2 to 1
        hint: the last axis is 1 or -1"
    `)
  })
  it('out of range in argmax', () => {
    expect(refused(() => np.argmax(like(2), 1))).toMatchInlineSnapshot(`
      "ShapeError: argmax: axis 1 is out of range for 1 dimension
        a: f32[2]
        rule: an axis is from -1 to 0
        hint: the last axis is 0 or -1"
    `)
  })
  it("out of range in softmax's relative logsumexp", () => {
    expect(refused(() => special.logsumexp(like(2), 1))).toMatchInlineSnapshot(`
      "ShapeError: logsumexp: axis 1 is out of range for 1 dimension
        a: f32[2]
        rule: an axis is from -1 to 0
        hint: the last axis is 0 or -1"
    `)
  })
  it('out of range in concatenate', () => {
    expect(refused(() => np.concatenate([like(2), like(2)], 1))).toMatchInlineSnapshot(`
      "ShapeError: concatenate: axis 1 is out of range for 1 dimension
        a: f32[2]
        rule: an axis is from -1 to 0
        hint: the last axis is 0 or -1"
    `)
  })
  it('out of range in stack', () => {
    expect(refused(() => np.stack([like(2), like(2)], 2))).toMatchInlineSnapshot(`
      "ShapeError: stack: axis 2 is out of range for 2 dimensions
        a: f32[2]
        rule: an axis is from -2 to 1
        hint: the last axis is 1 or -1"
    `)
  })
  it('out of range in expandDims', () => {
    expect(refused(() => np.expandDims(like(2), 3))).toMatchInlineSnapshot(`
      "ShapeError: expandDims: axis 3 is out of range for 2 dimensions
        a: f32[2]
        rule: an axis is from -2 to 1
        hint: the last axis is 1 or -1"
    `)
  })
  it('out of range in sort', () => {
    expect(refused(() => np.sort(like(2), 1))).toMatchInlineSnapshot(`
      "ShapeError: sort: axis 1 is out of range for 1 dimension
        a: f32[2]
        rule: an axis is from -1 to 0
        hint: the last axis is 0 or -1"
    `)
  })
  it('out of range in cumsum', () => {
    expect(refused(() => np.cumsum(like(2), 1))).toMatchInlineSnapshot(`
      "ShapeError: cumsum: axis 1 is out of range for 1 dimension
        a: f32[2]
        rule: an axis is from -1 to 0
        hint: the last axis is 0 or -1"
    `)
  })
  it('out of range in take', () => {
    expect(refused(() => np.take(like(2), 0, 1))).toMatchInlineSnapshot(`
      "ShapeError: take: axis 1 is out of range for 1 dimension
        a: f32[2]
        rule: an axis is from -1 to 0
        hint: the last axis is 0 or -1"
    `)
  })
  it('out of range in swapaxes', () => {
    expect(refused(() => np.swapaxes(like(2, 3), 0, 2))).toMatchInlineSnapshot(`
      "ShapeError: swapaxes: axis 2 is out of range for 2 dimensions
        a: f32[2,3]
        rule: an axis is from -2 to 1
        hint: the last axis is 1 or -1"
    `)
  })
  it('of a scalar', () => {
    expect(refused(() => np.sum(f32(1), 0))).toMatchInlineSnapshot(`
      "ShapeError: sum: axis 0 is out of range for 0 dimensions
        a: f32[]
        rule: a scalar has no axes
        hint: leave axis out"
    `)
  })
  it('not an integer', () => {
    expect(refused(() => np.sum(like(2, 3), 0.5))).toMatchInlineSnapshot(`
      "ArgumentError: sum: axis must be an integer, not 0.5
        a: f32[2,3]
        rule: an axis is an integer from -2 to 1"
    `)
  })
  it('a string', () => {
    expect(refused(() => np.sum(like(2, 3), untyped('rows')))).toMatchInlineSnapshot(`
      "ArgumentError: sum: axis must be an integer, not rows
        a: f32[2,3]
        rule: an axis is an integer from -2 to 1"
    `)
  })
})

describe('making arrays', () => {
  it('of an unknown dtype', () => {
    expect(refused(() => np.zeros([2], { dtype: untyped('float') }))).toMatchInlineSnapshot(`
      "DTypeError: zeros: unknown dtype 'float'
        rule: a dtype is one of dtypes.*, or its name
        hint: use 'float32' or 'float64'"
    `)
  })
  it("of NumPy's int64", () => {
    expect(refused(() => np.zeros([2], { dtype: untyped('int64') }))).toMatchInlineSnapshot(`
      "DTypeError: zeros: unknown dtype 'int64'
        rule: a dtype is one of dtypes.*, or its name
        hint: 64-bit integers do not exist here; use 'int32'"
    `)
  })
  it('astype an unknown dtype', () => {
    expect(refused(() => like(2).astype(untyped('f32')))).toMatchInlineSnapshot(`
      "DTypeError: astype: unknown dtype 'f32'
        rule: a dtype is one of dtypes.*, or its name
        hint: for example 'float32', 'int32' or 'bool'"
    `)
  })
  it('from a buffer of another length', () => {
    expect(refused(() => np.array(new Float32Array(5), { shape: [2, 3] }))).toMatchInlineSnapshot(`
      "ShapeError: array(data, { shape }): the data has 5 elements, the shape [2,3] needs 6
        data: f32[5]
        rule: the sizes multiply to the number of elements
        hint: np.reshape takes one size of -1, which is computed"
    `)
  })
  it('from ragged lists', () => {
    expect(
      refused(() =>
        np.array([
          [1, 2, 3],
          [4, 5],
        ]),
      ),
    ).toMatchInlineSnapshot(`
      "ShapeError: array(data): the lists are ragged: a list of 2 stands where a list of 3 is needed
        at: data[1]
        rule: lists at the same depth have the same length"
    `)
  })
  it('from lists of different depths', () => {
    expect(refused(() => np.array([[1, 2], 3]))).toMatchInlineSnapshot(`
      "ShapeError: array(data): the lists are ragged: a scalar stands where a list of 2 is needed
        at: data[1]
        rule: lists at the same depth have the same length"
    `)
  })
  it('from strings', () => {
    expect(refused(() => np.array(untyped(['1', '2'])))).toMatchInlineSnapshot(`
      "ArgumentError: array(data): takes arrays and scalars, but was given a string
        rule: an operand is an NDArray, a number or a boolean
        hint: pass an NDArray, a number or a boolean"
    `)
  })
  it('from undefined', () => {
    expect(refused(() => np.array(untyped(undefined)))).toMatchInlineSnapshot(`
      "ArgumentError: array(data): takes arrays and scalars, but was given undefined
        rule: an operand is an NDArray, a number or a boolean
        hint: pass an NDArray, a number or a boolean"
    `)
  })
  it('from lists with holes', () => {
    expect(refused(() => np.array(untyped([1, undefined, 3])))).toMatchInlineSnapshot(`
      "ArgumentError: array(data): takes arrays and scalars, but was given undefined
        rule: an operand is an NDArray, a number or a boolean
        hint: pass an NDArray, a number or a boolean"
    `)
  })
  it('from objects', () => {
    expect(refused(() => np.array(untyped([{ x: 1 }])))).toMatchInlineSnapshot(`
      "ArgumentError: array(data): takes arrays and scalars, but was given an object
        rule: an operand is an NDArray, a number or a boolean
        hint: map over its arrays with tree.map"
    `)
  })
  it('with a negative size', () => {
    expect(refused(() => np.zeros([2, -1]))).toMatchInlineSnapshot(`
      "ArgumentError: zeros: shape [2, -1] contains -1
        rule: a shape is a list of nonnegative integers
        hint: a size that was computed may be NaN, negative or a fraction by mistake"
    `)
  })
  it('with a NaN size', () => {
    expect(refused(() => np.ones([NaN]))).toMatchInlineSnapshot(`
      "ArgumentError: ones: shape [NaN] contains NaN
        rule: a shape is a list of nonnegative integers
        hint: a size that was computed may be NaN, negative or a fraction by mistake"
    `)
  })
  it('with a fractional size', () => {
    expect(refused(() => np.ones([2.5]))).toMatchInlineSnapshot(`
      "ArgumentError: ones: shape [2.5] contains 2.5
        rule: a shape is a list of nonnegative integers
        hint: a size that was computed may be NaN, negative or a fraction by mistake"
    `)
  })
  it('with an infinite size', () => {
    expect(refused(() => np.ones([Infinity]))).toMatchInlineSnapshot(`
      "ArgumentError: ones: shape [Infinity] contains Infinity
        rule: a shape is a list of nonnegative integers
        hint: a size that was computed may be NaN, negative or a fraction by mistake"
    `)
  })
  it('with an array for a size', () => {
    expect(refused(() => np.zeros(untyped([f32(3), 2])))).toMatchInlineSnapshot(`
      "ArgumentError: zeros: shape [an array, 2] contains an array
        rule: a shape is a list of nonnegative integers
        hint: shapes are static: no array, traced or not, can be a size"
    `)
  })
  it('with sizes as separate arguments', () => {
    expect(refused(() => np.zeros(untyped(2), untyped(3)))).toMatchInlineSnapshot(`
      "ArgumentError: zeros: options are an object, not 3
        rule: a shape is one list of sizes, and options are { dtype }
        hint: for example zeros([2, 3], { dtype: 'int32' })"
    `)
  })
  it('of a size of NaN in arange', () => {
    expect(refused(() => np.arange(NaN))).toMatchInlineSnapshot(`
      "ArgumentError: arange(start, stop, step): needs finite JavaScript numbers, was given NaN
        rule: the length of the result is static
        hint: for a traced start use np.add(start, np.arange(n))"
    `)
  })
  it('with step 0 in arange', () => {
    expect(refused(() => np.arange(0, 10, 0))).toMatchInlineSnapshot(`
      "ArgumentError: arange(start, stop, step): step is 0
        rule: step is not 0"
    `)
  })
  it('with a negative number in linspace', () => {
    expect(refused(() => np.linspace(0, 1, -1))).toMatchInlineSnapshot(`
      "ArgumentError: linspace(start, stop, { num }): num is -1
        rule: the number of samples is a nonnegative integer"
    `)
  })
  it('with a negative size in eye', () => {
    expect(refused(() => np.eye(-1))).toMatchInlineSnapshot(`
      "ArgumentError: eye: shape [-1, -1] contains -1
        rule: a shape is a list of nonnegative integers
        hint: a size that was computed may be NaN, negative or a fraction by mistake"
    `)
  })
  it('full of a list', () => {
    expect(refused(() => np.full([2, 2], untyped([1, 2, 3])))).toMatchInlineSnapshot(`
      "ArgumentError: full: takes arrays and scalars, but was given a JavaScript array
        rule: an operand is an NDArray, a number or a boolean
        hint: make it an array first: np.array([...])"
    `)
  })
})

describe('operands that are not arrays', () => {
  it('a string', () => {
    expect(refused(() => np.add(like(2), untyped('1')))).toMatchInlineSnapshot(`
      "ArgumentError: add(a, b): takes arrays and scalars, but was given a string
        rule: an operand is an NDArray, a number or a boolean
        hint: pass an NDArray, a number or a boolean"
    `)
  })
  it('undefined', () => {
    expect(refused(() => np.add(like(2), untyped(undefined)))).toMatchInlineSnapshot(`
      "ArgumentError: add(a, b): takes arrays and scalars, but was given undefined
        rule: an operand is an NDArray, a number or a boolean
        hint: pass an NDArray, a number or a boolean"
    `)
  })
  it('null', () => {
    expect(refused(() => np.multiply(untyped(null), 2))).toMatchInlineSnapshot(`
      "ArgumentError: multiply(a, b): takes arrays and scalars, but was given null
        rule: an operand is an NDArray, a number or a boolean
        hint: use 0 or np.zerosLike where there is nothing"
    `)
  })
  it('a list', () => {
    expect(refused(() => np.add(untyped([1, 2]), like(2)))).toMatchInlineSnapshot(`
      "ArgumentError: add(a, b): takes arrays and scalars, but was given a JavaScript array
        rule: an operand is an NDArray, a number or a boolean
        hint: make it an array first: np.array([...])"
    `)
  })
  it('a typed array', () => {
    expect(refused(() => np.exp(untyped(new Float32Array(2))))).toMatchInlineSnapshot(`
      "ArgumentError: exp(a): takes arrays and scalars, but was given a typed array
        rule: an operand is an NDArray, a number or a boolean
        hint: make it an array first: np.array(data)"
    `)
  })
  it('an object', () => {
    expect(refused(() => np.sum(untyped({ x: like(2) })))).toMatchInlineSnapshot(`
      "ArgumentError: sum: takes arrays and scalars, but was given an object
        rule: an operand is an NDArray, a number or a boolean
        hint: map over its arrays with tree.map"
    `)
  })
  it('a function', () => {
    expect(refused(() => np.sin(untyped(Math.sin)))).toMatchInlineSnapshot(`
      "ArgumentError: sin(a): takes arrays and scalars, but was given a function
        rule: an operand is an NDArray, a number or a boolean
        hint: call it, or transform it instead"
    `)
  })
  it('a BigInt', () => {
    expect(refused(() => np.add(like(2), untyped(1n)))).toMatchInlineSnapshot(`
      "ArgumentError: add(a, b): takes arrays and scalars, but was given a bigint
        rule: an operand is an NDArray, a number or a boolean
        hint: convert it with Number(x)"
    `)
  })
  it('bitwise operations of floats', () => {
    expect(refused(() => np.bitwiseAnd(like(2), 1))).toMatchInlineSnapshot(`
      "DTypeError: bitwiseAnd(a, b): is not defined for float32
        a: f32[2]
        b: f32[2]
        rule: operands are integers or booleans
        hint: convert first, with x.astype('int32')"
    `)
  })
  it('the logical shift of floats', () => {
    expect(refused(() => np.leftShift(like(2), 1))).toMatchInlineSnapshot(`
      "DTypeError: leftShift(a, b): is not defined for float32
        a: f32[2]
        b: f32[2]
        rule: operands are integers
        hint: convert first, with x.astype('int32')"
    `)
  })
  it('a mask of floats for where', () => {
    expect(refused(() => lax.select(like(2), like(2), like(2)))).toMatchInlineSnapshot(`
      "DTypeError: select(a, b, c): the mask is float32, not bool
        a: f32[2]
        b: f32[2]
        c: f32[2]
        rule: a mask holds truth values
        hint: compare first, for example np.greater(mask, 0); np.where takes any number as a mask"
    `)
  })
  it('negation of booleans', () => {
    expect(refused(() => np.negative(np.array([true])))).toMatchInlineSnapshot(`
      "DTypeError: negative(a): is not defined for booleans
        a: bool[1]
        hint: use np.logicalNot"
    `)
  })
  it('subtraction of booleans', () => {
    expect(refused(() => np.subtract(np.array([true]), np.array([true])))).toMatchInlineSnapshot(`
      "DTypeError: subtract(a, b): is not defined for booleans
        a: bool[1]
        b: bool[1]
        hint: use np.logicalXor for the difference of truth values"
    `)
  })
  it('an integer to a negative integer power', () => {
    expect(refused(() => lax.integerPow(i32([2]), -1))).toMatchInlineSnapshot(`
      "DTypeError: integerPow(x, y): an integer cannot be raised to the power -1
        x: i32[1]
        rule: negative powers are those of floating point numbers
        hint: convert first: x.astype('float32')"
    `)
  })
})

describe('indices', () => {
  it('too many', () => {
    expect(refused(() => like(2, 3).get(0, 0, 0))).toMatchInlineSnapshot(`
      "IndexingError: get(...index): 3 indices for 2 axes
        x: f32[2,3]
        rule: at most one index per axis"
    `)
  })
  it('two ellipses', () => {
    expect(refused(() => like(2, 3).get('...', '...'))).toMatchInlineSnapshot(`
      "IndexingError: get(...index): '...' stands more than once
        x: f32[2,3]
        rule: '...' stands at most once"
    `)
  })
  it('a slice that is no slice', () => {
    expect(refused(() => like(4).get('1-3'))).toMatchInlineSnapshot(`
      "IndexingError: get(...index): cannot read the index '1-3'
        x: f32[4]
        rule: a slice is written 'start:stop:step', with any part left out"
    `)
  })
  it('a slice with letters', () => {
    expect(refused(() => like(4).get('a:b'))).toMatchInlineSnapshot(`
      "IndexingError: get(...index): cannot read the index 'a:b'
        x: f32[4]
        rule: a slice is written 'start:stop:step', with any part left out"
    `)
  })
  it('a slice with four parts', () => {
    expect(refused(() => like(4).get('1:2:3:4'))).toMatchInlineSnapshot(`
      "IndexingError: get(...index): cannot read the index '1:2:3:4'
        x: f32[4]
        rule: a slice is written 'start:stop:step', with any part left out"
    `)
  })
  it('a slice with step 0', () => {
    expect(refused(() => like(4).get('::0'))).toMatchInlineSnapshot(`
      "IndexingError: slice: the step is 0
        rule: a step is not 0"
    `)
  })
  it('a fraction', () => {
    expect(refused(() => like(4).get(1.5))).toMatchInlineSnapshot(`
      "IndexingError: get(...index): 1.5 is not an integer
        x: f32[4]
        rule: positions are integers"
    `)
  })
  it('a NaN', () => {
    expect(refused(() => like(4).get(NaN))).toMatchInlineSnapshot(`
      "IndexingError: get(...index): NaN is not an integer
        x: f32[4]
        rule: positions are integers"
    `)
  })
  it('an array of floats', () => {
    expect(refused(() => like(4).get(f32([0, 1])))).toMatchInlineSnapshot(`
      "IndexingError: get(...index): an index array has dtype float32
        index: f32[2]
        rule: index arrays hold integers, or are boolean masks
        hint: convert it: index.astype('int32')"
    `)
  })
  it('index arrays that do not broadcast', () => {
    expect(refused(() => like(4, 4).get(i32([0, 1]), i32([0, 1, 2])))).toMatchInlineSnapshot(`
      "ShapeError: get(a, b): shapes cannot be broadcast together
        a: i32[2]   axis 0 is 2
        b: i32[3]   axis 0 is 3
        rule: aligned at the last axis, sizes are equal or one of them is 1
        hint: add axes of size 1 with np.expandDims or x.get(..., null) where the shapes should align"
    `)
  })
  it('a mask of another shape', () => {
    expect(refused(() => like(4).get(np.array([true, false])))).toMatchInlineSnapshot(`
      "IndexingError: get(mask): the mask does not fit the array
        x:    f32[4]    axes from 0: [4]
        mask: bool[2]
        rule: a mask has the shape of the axes that it selects from"
    `)
  })
  it('undefined', () => {
    expect(refused(() => like(4).get(untyped(undefined)))).toMatchInlineSnapshot(`
      "IndexingError: get(...index): undefined is not an index
        x: f32[4]
        rule: an index is an integer, a slice like '1:4', '...', null, or an array of integers or booleans"
    `)
  })
  it('an object', () => {
    expect(refused(() => like(4).get(untyped({ start: 1 })))).toMatchInlineSnapshot(`
      "IndexingError: get(...index): a value of type object is not an index
        x: f32[4]
        rule: an index is an integer, a slice like '1:4', '...', null, or an array of integers or booleans"
    `)
  })
  it('at() with an unknown mode', () => {
    expect(
      refused(() =>
        like(4)
          .at(1)
          .set(0, untyped({ mode: 'wrap' })),
      ),
    ).toMatchInlineSnapshot(`
      "ArgumentError: at(...).set(value, { mode }): unknown mode 'wrap'
        rule: mode is 'clip', 'fill', 'drop' or 'promiseInBounds'"
    `)
  })
  it('x[0], which is no element', () => {
    expect(refused(() => np.add(untyped(Reflect.get(like(4), 0)), 1))).toMatchInlineSnapshot(`
      "ArgumentError: add(a, b): takes arrays and scalars, but was given undefined
        rule: an operand is an NDArray, a number or a boolean
        hint: pass an NDArray, a number or a boolean"
    `)
  })
})

describe('random numbers', () => {
  it('with a number for a key', () => {
    expect(refused(() => random.normal(untyped(0), [2]))).toMatchInlineSnapshot(`
      "ArgumentError: normal(key): a number is no key
        rule: randomness is explicit: the first argument is a key
        hint: random.key(0) makes one"
    `)
  })
  it('with an ordinary array for a key', () => {
    expect(refused(() => random.normal(untyped(like(3)), [2]))).toMatchInlineSnapshot(`
      "ShapeError: normal(key): this is not one key
        key: f32[3]
        rule: a key is u32[2]
        hint: random.key(seed) makes one, random.split(key) more of them"
    `)
  })
  it('without a key', () => {
    expect(refused(() => random.uniform(untyped([2, 3])))).toMatchInlineSnapshot(`
      "ArgumentError: uniform(key): a list is no key
        rule: randomness is explicit: the first argument is a key
        hint: random.key(0) makes one"
    `)
  })
  it('with several keys', () => {
    expect(refused(() => random.normal(random.split(random.key(0)), [2]))).toMatchInlineSnapshot(`
      "ShapeError: normal(key): this is not one key
        key: u32[2,2]
        rule: a key is u32[2]
        hint: these are several keys: take one with keys.get(i), or use vmap"
    `)
  })
  it('with a fractional seed', () => {
    expect(refused(() => random.key(0.5))).toMatchInlineSnapshot(`
      "ArgumentError: key(seed): 0.5 is not an integer
        rule: a seed is an integer between -2^53 and 2^53"
    `)
  })
  it('with a negative size', () => {
    expect(refused(() => random.normal(random.key(0), [-1]))).toMatchInlineSnapshot(`
      "ArgumentError: normal: shape [-1] contains -1
        rule: a shape is a list of nonnegative integers
        hint: a size that was computed may be NaN, negative or a fraction by mistake"
    `)
  })
  it('of an integer dtype for normal', () => {
    expect(refused(() => random.normal(random.key(0), [2], { dtype: 'int32' })))
      .toMatchInlineSnapshot(`
      "DTypeError: normal(key, shape, { dtype }): int32 is not a floating dtype
        hint: random.randint and random.bits give integers"
    `)
  })
  it('choosing more than there is without replacement', () => {
    expect(refused(() => random.choice(random.key(0), 3, [4], { replace: false })))
      .toMatchInlineSnapshot(`
      "ArgumentError: choice(key, a, shape): 4 draws from 3 elements
        rule: without replacement there are at most as many draws as elements"
    `)
  })
  it('splitting into a negative number', () => {
    expect(refused(() => random.split(random.key(0), -1))).toMatchInlineSnapshot(`
      "ArgumentError: split: shape [-1] contains -1
        rule: a shape is a list of nonnegative integers
        hint: a size that was computed may be NaN, negative or a fraction by mistake"
    `)
  })
  it('randint of floats', () => {
    expect(
      refused(() => random.randint(random.key(0), [2], 0, 10, { dtype: untyped('float32') })),
    ).toMatchInlineSnapshot(
      `"DTypeError: randint(key, shape, minval, maxval, { dtype }): float32 is not an integer dtype"`,
    )
  })
})
