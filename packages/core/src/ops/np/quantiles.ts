/** Order statistics: quantiles and the median. */
import type { NDArray } from '../../array/ndarray'
import * as prim from '../../primitives'
import { sizeOf } from '../../types/aval'
import { ArgumentError, ShapeError } from '../../types/errors'
import { range, withoutAxes } from '../../types/shape'
import { type Axes, axisOptions, canonicalAxes } from '../arguments'
import {
  type ArrayLike,
  asArray,
  broadcastTo,
  choose,
  convert,
  filledLike,
  operandReports,
  promoteDTypesInexact,
} from '../promotion'
import { gatherSlices } from '../gathering'
import { any, restoreAxes } from './reductions'

export type QuantileMethod = 'linear' | 'lower' | 'higher' | 'midpoint' | 'nearest'
export interface QuantileOptions {
  readonly axis?: Axes
  readonly keepdims?: boolean
  /** What to do when the quantile falls between two elements. */
  readonly method?: QuantileMethod
}

const quantileKeys = ['axis', 'keepdims', 'method'] as const

/**
 * The `q`-th quantiles, `q` from 0 to 1: a scalar, or a vector whose axis comes first in the
 * result. NaN anywhere among the reduced elements makes the result NaN.
 */
export function quantile(
  x: ArrayLike,
  q: ArrayLike,
  axisOrOptions?: Axes | QuantileOptions,
  rest?: QuantileOptions,
): NDArray {
  const {
    axis,
    keepdims,
    method = 'linear',
  } = axisOptions('quantile', quantileKeys, axisOrOptions, rest) ?? {}
  const [a] = promoteDTypesInexact('quantile', [x])
  const at = convert(asArray('quantile', q), a.dtype)
  if (at.ndim > 1) {
    throw new ShapeError({
      op: 'quantile(a, q)',
      problem: 'q has more than one axis',
      operands: operandReports([a, at]),
      rule: 'q is a scalar or a vector',
    })
  }
  const axes = canonicalAxes('quantile', axis, a)
  const kept = range(a.ndim).filter((i) => !axes.includes(i))
  const keptShape = withoutAxes(a.shape, axes)
  const count = sizeOf(axes.map((i) => a.shape[i]))
  if (count === 0) {
    throw new ShapeError({
      op: 'quantile(a, q)',
      problem: 'there are no elements to choose from',
      operands: operandReports([a]),
      rule: 'reduced axes are not empty',
    })
  }
  // [...kept, count], sorted along the last axis.
  const flat = prim.reshape(prim.transpose(a, { permutation: [...kept, ...axes] }), {
    newSizes: [...keptShape, count],
  })
  const poisoned = any(prim.ne(flat, flat), { axis: -1, keepdims: true })
  const clean = choose(broadcastTo(poisoned, flat.shape), filledLike(flat, NaN), flat)
  const [sorted] = prim.sort([clean], { dimension: clean.ndim - 1, numKeys: 1, isStable: true })

  const position = prim.mul(at, filledLike(at, count - 1))
  const low = prim.floor(position)
  const high = prim.ceil(position)
  const highWeight = prim.sub(position, low)
  const lowWeight = prim.sub(filledLike(highWeight, 1), highWeight)
  // Quantiles in front: one row of `sorted` per q.
  const resultShape = [...at.shape, ...keptShape]
  const element = (index: NDArray): NDArray => elementsAt(sorted, index, count, resultShape)
  const spread = (v: NDArray): NDArray =>
    prim.broadcastInDim(v, { shape: resultShape, broadcastDimensions: range(at.ndim) })

  const combine: { readonly [M in QuantileMethod]: () => NDArray } = {
    linear: () =>
      prim.add(
        prim.mul(element(low), spread(lowWeight)),
        prim.mul(element(high), spread(highWeight)),
      ),
    lower: () => element(low),
    higher: () => element(high),
    midpoint: () => {
      const sum = prim.add(element(low), element(high))
      return prim.mul(sum, filledLike(sum, 0.5))
    },
    nearest: () => {
      const nearLow = prim.le(highWeight, filledLike(highWeight, 0.5))
      return choose(spread(nearLow), element(low), element(high))
    },
  }
  if (!Object.hasOwn(combine, method)) {
    throw new ArgumentError({
      op: 'quantile(a, q, { method })',
      problem: `unknown method '${method}'`,
      rule: `method is one of ${Object.keys(combine).join(', ')}`,
    })
  }
  const result = combine[method]()
  return restoreAxes(
    result,
    axes.map((i) => i + at.ndim),
    keepdims,
  )
}

/** The elements of the last axis of `sorted` at clamped positions, positions in front. */
function elementsAt(
  sorted: NDArray,
  position: NDArray,
  count: number,
  resultShape: readonly number[],
): NDArray {
  const limit = filledLike(position, count - 1)
  const clamped = prim.min(prim.max(position, filledLike(position, 0)), limit)
  const index = convert(clamped, 'int32')
  const last = sorted.ndim - 1
  const rows = gatherSlices(sorted, { axes: [last], indices: [index], position: 0, mode: 'clip' })
  return prim.reshape(rows, { newSizes: resultShape })
}

export const percentile = (
  x: ArrayLike,
  q: ArrayLike,
  axisOrOptions?: Axes | QuantileOptions,
  options?: QuantileOptions,
): NDArray => {
  const [percent] = promoteDTypesInexact('percentile', [q])
  const fraction = prim.div(percent, filledLike(percent, 100))
  return quantile(x, fraction, axisOptions('percentile', quantileKeys, axisOrOptions, options))
}

/** The middle element, or the mean of the two in the middle. */
export const median = (
  x: ArrayLike,
  axisOrOptions?: Axes | QuantileOptions,
  options?: QuantileOptions,
): NDArray => {
  const { axis, keepdims } =
    axisOptions('median', ['axis', 'keepdims'], axisOrOptions, options) ?? {}
  return quantile(x, 0.5, { axis, keepdims, method: 'midpoint' })
}
