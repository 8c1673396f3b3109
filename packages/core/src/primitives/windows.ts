/** Sums and extrema over sliding windows. */
import type { NDArray } from '../array/ndarray'
import type { Monoid } from '../compiler/context'
import { type Shape, withShape } from '../types/aval'
import { DTypeError } from '../types/errors'
import { reductionMonoid } from '../types/monoid'
import { dilated, range } from '../types/shape'
import { bind1 } from '../trace/interpreter'
import {
  definePrimitive,
  isZero,
  type JvpRule,
  nonlinear,
  type Primitive,
  type TransposeRule,
  zeroLike,
} from '../trace/primitive'
import { full } from './constants'
import { linearJvp, linearTranspose } from './linear'
import { operation, type Operation } from './operation'
import { anyDType, type DTypeSet, numeric } from './pointwise'
import { selectAndGatherAdd, type SelectPrim } from './pooling'
import { pad } from './slicing'
import { allocateHost, hostArray } from './strided'
import {
  forEachWindow,
  padTensor,
  type PaddingPairs,
  windowedShape,
  windowPadding,
  type WindowParams,
  windowView,
  withMappedWindow,
} from './window-geometry'

export interface WindowOptions {
  readonly windowDimensions: Shape
  readonly windowStrides?: Shape
  readonly padding?: PaddingPairs
  readonly baseDilation?: Shape
  readonly windowDilation?: Shape
}

type WindowOperation = Operation<[x: NDArray, options: WindowOptions], WindowParams>

interface WindowRules {
  readonly monoid: Monoid
  /** The monoid for bools, where it has another name. */
  readonly onBools?: Monoid
  readonly accepts: DTypeSet
  readonly jvp: JvpRule<WindowParams>
  readonly transpose: TransposeRule<WindowParams>
}

function windowReduction(name: string, rules: WindowRules): WindowOperation {
  const apply = (x: NDArray, params: WindowParams): NDArray => bind1(primitive, [x], params)
  const primitive: Primitive<WindowParams> = definePrimitive<WindowParams>({
    name,
    abstractEval: ([x], params) => {
      if (!rules.accepts.has(x.dtype)) {
        throw new DTypeError({
          op: name,
          problem: `does not take ${x.dtype}`,
          operands: [{ name: 'x', aval: x }],
          rule: `the operand is ${rules.accepts.name}`,
        })
      }
      return [withShape(x, windowedShape(name, x, params))]
    },
    jvp: rules.jvp,
    transpose: rules.transpose,
    batch: (_axis, [x], [dim], params) => {
      if (dim === null) return { outputs: [apply(x, params)], dims: [null] }
      return { outputs: [apply(x, withMappedWindow(params, dim))], dims: [dim] }
    },
    evaluate: ([x], params, [aval]) => {
      const { concat, empty } = reductionMonoid(rules.monoid, aval.dtype)
      const data = allocateHost(aval.dtype, aval.size).fill(empty)
      forEachWindow(x.aval.shape, aval.shape, params, (positions, flat) => {
        for (const position of positions) data[flat] = concat(data[flat], x.data[position])
      })
      return [hostArray(aval, data)]
    },
    lower: (context, [x], params, [aval]) => {
      const { dtype } = aval
      const identity = reductionMonoid(rules.monoid, dtype).empty
      const padded = padTensor(
        context,
        x,
        windowPadding(params),
        dtype === 'bool' ? identity !== 0 : identity,
      )
      const view = windowView(context, padded, aval.shape, params)
      const monoid = dtype === 'bool' ? (rules.onBools ?? rules.monoid) : rules.monoid
      return [context.reduce(monoid, view, range(aval.ndim, 2 * aval.ndim), aval)]
    },
  })
  return operation(primitive, (x: NDArray, options: WindowOptions) =>
    apply(x, windowParams(options)),
  )
}

/** Strides and dilations of 1 and no padding, where nothing else is said. */
export const windowParams = (options: WindowOptions): WindowParams => {
  const ones = options.windowDimensions.map(() => 1)
  return {
    windowDimensions: options.windowDimensions,
    windowStrides: options.windowStrides ?? ones,
    padding: options.padding ?? ones.map((): readonly [number, number] => [0, 0]),
    baseDilation: options.baseDilation ?? ones,
    windowDilation: options.windowDilation ?? ones,
  }
}

/** The sum over every window. */
export const reduceWindowSum: WindowOperation = windowReduction('reduce_window_sum', {
  monoid: 'sum',
  accepts: numeric,
  jvp: linearJvp((x, params) => reduceWindowSum(x, params)),
  // The same windows slide over ȳ, with strides and holes exchanged.
  transpose: linearTranspose((yBar, x, params) => {
    const { windowDimensions, windowStrides, padding, baseDilation, windowDilation } = params
    const paddingConfig = x.shape.map((size, a): readonly [number, number, number] => {
      const reach = dilated(windowDimensions[a], windowDilation[a])
      const before = reach - 1 - padding[a][0]
      const spread = dilated(yBar.shape[a], windowStrides[a])
      const after = dilated(size, baseDilation[a]) + reach - 1 - spread - before
      return [before, after, windowStrides[a] - 1]
    })
    return reduceWindowSum(
      pad(yBar, full([], 0, yBar.dtype, yBar.aval.weakType), { paddingConfig }),
      {
        windowDimensions,
        windowStrides: baseDilation,
        windowDilation,
      },
    )
  }),
})

/** The tangent is the one at the window's first extremum. */
const extremumJvp =
  (
    apply: (x: NDArray, params: WindowParams) => NDArray,
    selectPrim: SelectPrim,
  ): JvpRule<WindowParams> =>
  ([x], [xDot], params) => {
    const y = apply(x, params)
    if (isZero(xDot)) return { primals: [y], tangents: [zeroLike(y)] }
    return { primals: [y], tangents: [selectAndGatherAdd(xDot, x, { ...params, selectPrim })] }
  }

/** The largest element of every window. */
export const reduceWindowMax: WindowOperation = windowReduction('reduce_window_max', {
  monoid: 'max',
  onBools: 'or',
  accepts: anyDType,
  jvp: extremumJvp((x, params) => reduceWindowMax(x, params), 'ge'),
  transpose: nonlinear,
})

/** The smallest element of every window. */
export const reduceWindowMin: WindowOperation = windowReduction('reduce_window_min', {
  monoid: 'min',
  onBools: 'and',
  accepts: anyDType,
  jvp: extremumJvp((x, params) => reduceWindowMin(x, params), 'le'),
  transpose: nonlinear,
})
