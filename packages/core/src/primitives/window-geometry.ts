/** Sliding windows: how many there are, and how their elements are read. */
import type { LoweringContext, Tensor } from '../compiler/context'
import { Aval, type Shape } from '../types/aval'
import { ShapeError } from '../types/errors'
import { range, windowCount, withAxis } from '../types/shape'
import { pad, type PaddingConfig } from './slicing'
import { forEachIndex, rowMajorStrides } from './strided'

export type PaddingPairs = readonly (readonly [low: number, high: number])[]

export type WindowParams = {
  readonly windowDimensions: Shape
  readonly windowStrides: Shape
  readonly padding: PaddingPairs
  /** Holes between the operand's elements. */
  readonly baseDilation: Shape
  /** Holes between the window's elements. */
  readonly windowDilation: Shape
}

export function windowedShape(op: string, x: Aval, params: WindowParams): Shape {
  const lists = [
    params.windowDimensions,
    params.windowStrides,
    params.padding,
    params.baseDilation,
    params.windowDilation,
  ]
  const positive = [
    params.windowDimensions,
    params.windowStrides,
    params.baseDilation,
    params.windowDilation,
  ].every((list) => list.every((n) => n >= 1))
  if (!positive || lists.some((list) => list.length !== x.ndim)) {
    throw new ShapeError({
      op,
      problem: `windows of [${params.windowDimensions.join(',')}] do not fit the operand`,
      operands: [{ name: 'x', aval: x }],
      rule: 'window sizes, strides, paddings and dilations have one entry per axis, at least 1',
    })
  }
  return x.shape.map((size, a) =>
    windowCount(
      size,
      params.windowDimensions[a],
      params.windowStrides[a],
      { low: params.padding[a][0], high: params.padding[a][1] },
      params.baseDilation[a],
      params.windowDilation[a],
    ),
  )
}

/** The same windows with an axis of windows of size 1 inserted. */
export const withMappedWindow = (params: WindowParams, dim: number): WindowParams => ({
  windowDimensions: withAxis(params.windowDimensions, dim, 1),
  windowStrides: withAxis(params.windowStrides, dim, 1),
  padding: [...params.padding.slice(0, dim), [0, 0], ...params.padding.slice(dim)],
  baseDilation: withAxis(params.baseDilation, dim, 1),
  windowDilation: withAxis(params.windowDilation, dim, 1),
})

/** The padding that puts the operand into the middle of what the windows slide over. */
export const windowPadding = ({ padding, baseDilation }: WindowParams): PaddingConfig =>
  padding.map(([low, high], a) => [low, high, baseDilation[a] - 1])

/**
 * For every window, the positions in the operand of those of its elements that are not padding, in
 * row-major order; with `keepPadding` of all of them, where −1 stands for padding.
 */
export function forEachWindow(
  operand: Shape,
  result: Shape,
  { windowDimensions, windowStrides, padding, baseDilation, windowDilation }: WindowParams,
  visit: (positions: readonly number[], flat: number) => void,
  keepPadding = false,
): void {
  const strides = rowMajorStrides(operand)
  forEachIndex(result, (at, flat) => {
    const positions: number[] = []
    forEachIndex(windowDimensions, (within) => {
      let position = 0
      for (let a = 0; a < operand.length; a++) {
        const place = at[a] * windowStrides[a] + within[a] * windowDilation[a] - padding[a][0]
        const index = place / baseDilation[a]
        if (place < 0 || index >= operand[a] || place % baseDilation[a] !== 0) {
          if (keepPadding) positions.push(-1)
          return
        }
        position += index * strides[a]
      }
      positions.push(position)
    })
    visit(positions, flat)
  })
}

/** A view of a padded operand with the window's axes after the result's: `[...result, ...window]`. */
export function windowView(
  context: LoweringContext,
  padded: Tensor,
  result: Shape,
  { windowDimensions, windowStrides, windowDilation }: WindowParams,
): Tensor {
  const ndim = result.length
  return context.reindex(
    padded,
    new Aval([...result, ...windowDimensions], padded.aval.dtype),
    range(ndim).map((a) => {
      const strides = new Array<number>(2 * ndim).fill(0)
      strides[a] = windowStrides[a]
      strides[ndim + a] = windowDilation[a]
      return { offset: 0, strides }
    }),
  )
}

/** What the `pad` primitive lowers to, with a constant. */
export function padTensor(
  context: LoweringContext,
  x: Tensor,
  paddingConfig: PaddingConfig,
  value: number | boolean,
): Tensor {
  if (paddingConfig.every((config) => config.every((n) => n === 0))) return x
  const constant = context.constant(new Aval([], x.aval.dtype), value)
  const avals = pad.primitive.abstractEval([x.aval, constant.aval], { paddingConfig })
  return pad.primitive.lower(context, [x, constant], { paddingConfig }, avals)[0]
}
