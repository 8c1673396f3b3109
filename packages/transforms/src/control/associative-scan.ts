/** All prefix combinations of an associative operation, in logarithmic depth. */
import {
  canonicalAxis,
  checkOptions,
  concatenate,
  expandDims,
  type NDArray,
  reshape,
  rev,
  shapesEqual,
  slice,
  TransformationError,
  tree,
} from '@adjoint/core/internal'
import { callName, flattenArrays, refusePromise, requireFunction } from '../flat-function'

export interface AssociativeScanOptions {
  /** Combine from the last element to the first. */
  readonly reverse?: boolean
  readonly axis?: number
}

type Combine = (a: readonly NDArray[], b: readonly NDArray[]) => readonly NDArray[]

/** Every second element, or a range, along one axis. */
function sliceAxis(x: NDArray, axis: number, start: number, limit: number, stride = 1): NDArray {
  const at = (value: number, otherwise: (i: number) => number): number[] =>
    x.shape.map((_, i) => (i === axis ? value : otherwise(i)))
  return slice(x, {
    startIndices: at(start, () => 0),
    limitIndices: at(Math.max(start, limit), (i) => x.shape[i]),
    strides: at(stride, () => 1),
  })
}

/** even[0], odd[0], even[1], odd[1], …; `even` may have one more. */
function interleave(even: NDArray, odd: NDArray, axis: number): NDArray {
  const pairs = odd.shape[axis]
  const first = sliceAxis(even, axis, 0, pairs)
  const stacked = concatenate([expandDims(first, [axis + 1]), expandDims(odd, [axis + 1])], {
    dimension: axis + 1,
  })
  const newSizes = odd.shape.map((n, i) => (i === axis ? 2 * n : n))
  const merged = reshape(stacked, { newSizes })
  return even.shape[axis] === pairs
    ? merged
    : concatenate([merged, sliceAxis(even, axis, pairs, pairs + 1)], { dimension: axis })
}

/**
 * Combines neighbours to pairs, scans the pairs, and fills in the elements between: Blelloch,
 * "Prefix sums and their applications", 1990.
 */
function scanPairs(
  combine: Combine,
  elements: readonly NDArray[],
  axis: number,
): readonly NDArray[] {
  const n = elements[0].shape[axis]
  if (n < 2) return elements
  const every = (start: number, limit: number, stride: number) =>
    elements.map((x) => sliceAxis(x, axis, start, limit, stride))
  const pairs = combine(every(0, n - 1, 2), every(1, n, 2))
  const odd = scanPairs(combine, pairs, axis)
  const count = odd[0].shape[axis]
  const before = n % 2 === 0 ? odd.map((x) => sliceAxis(x, axis, 0, count - 1)) : odd
  const rest = n > 2 ? combine(before, every(2, n, 2)) : null
  return odd.map((x, i) => {
    const first = sliceAxis(elements[i], axis, 0, 1)
    const even = rest === null ? first : concatenate([first, rest[i]], { dimension: axis })
    return interleave(even, x, axis)
  })
}

/**
 * The running combination of elements along an axis, for an associative function: like a cumulative
 * sum, with `f` in the place of the addition.
 *
 * @param f combines two trees of arrays, elementwise along the axis; must be associative
 * @param elements a tree of arrays of one size along the axis
 * @param options.reverse combine from the end
 * @param options.axis the axis (0)
 * @returns a tree like `elements`
 * @example
 * associativeScan((a: NDArray, b: NDArray) => np.add(a, b), np.array([1, 2, 3]))
 * // Array([1, 3, 6], dtype=int32)
 */
export function associativeScan<T>(
  f: (a: T, b: T) => T,
  elements: T,
  options: AssociativeScanOptions = {},
): T {
  requireFunction('associativeScan', f)
  const op = callName('associativeScan', f)
  checkOptions(op, options, ['reverse', 'axis'])
  const { arrays, structure } = flattenArrays(op, elements, 'elements')
  if (arrays.length === 0) return elements
  const axis = canonicalAxis(op, options.axis ?? 0, arrays[0])
  if (arrays.some((x) => x.shape[axis] !== arrays[0].shape[axis])) {
    const paths = tree.structurePaths(structure, 'elements')
    throw new TransformationError({
      op,
      problem: `the leaves have different sizes along axis ${axis}`,
      operands: arrays.map((x, i) => ({ name: paths[i], aval: x.aval })),
      axis,
      rule: 'all leaves have the same size along the scanned axis',
    })
  }
  const flip = (list: readonly NDArray[]): readonly NDArray[] =>
    options.reverse === true ? list.map((x) => rev(x, { dimensions: [axis] })) : list
  const combine: Combine = (a, b) => {
    const result = f(tree.unflatten(structure, a) as T, tree.unflatten(structure, b) as T)
    refusePromise(op, result)
    const flat = flattenArrays(op, result, 'the combination')
    tree.requireSameStructure(op, structure, flat.structure, {
      expected: 'the elements',
      actual: 'their combination',
      root: 'elements',
    })
    const changed = flat.arrays.findIndex((x, i) => !shapesEqual(x.shape, a[i].shape))
    if (changed >= 0) {
      const path = tree.structurePaths(structure, 'elements')[changed]
      throw new TransformationError({
        op,
        problem: `the combination of ${path} has another shape`,
        operands: [
          { name: 'a', aval: a[changed].aval },
          { name: 'f(a, b)', aval: flat.arrays[changed].aval },
        ],
        path,
        rule: 'f combines elementwise along the scanned axis: a, b and f(a, b) have one shape',
      })
    }
    return flat.arrays
  }
  return tree.unflatten(structure, flip(scanPairs(combine, flip(arrays), axis))) as T
}
