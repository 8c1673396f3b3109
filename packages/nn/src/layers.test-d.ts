import { random, type NDArray } from '@adjoint/core'
import { grad } from '@adjoint/transforms'
import { describe, expectTypeOf, it } from 'vitest'
import {
  activation,
  type AttentionCache,
  batchNorm,
  type BatchNormState,
  type BiasParams,
  conv2d,
  embedding,
  groupNorm,
  type Layer,
  layerNorm,
  linear,
  type LinearParams,
  multiHeadAttention,
  type NoParams,
  type NormOptions,
  type NormParams,
  parallel,
  relu,
  repeat,
  residual,
  rmsNorm,
  type ScaleParams,
  sequential,
  type TransformerParams,
  transformerBlock,
  type WeightParams,
} from './index'

const key = random.key(0)

describe('parameters and state have the type of the layer', () => {
  it('in sequence', () => {
    const model = sequential(linear(2, 3), activation(relu), batchNorm(3))
    const { params, state } = model.init(key)
    expectTypeOf(params).toEqualTypeOf<readonly [LinearParams, null, NormParams]>()
    expectTypeOf(state).toEqualTypeOf<readonly [null, null, BatchNormState]>()
    expectTypeOf(params[0].weight).toEqualTypeOf<NDArray>()
    // @ts-expect-error an activation has no parameters
    void params[1].weight
  })

  it('in branches, sums and stacks', () => {
    const branches = parallel([linear(2, 3), conv2d(2, 3, 3)])
    expectTypeOf(branches.init(key).params).toEqualTypeOf<readonly [LinearParams, LinearParams]>()
    expectTypeOf(residual(batchNorm(2))).toExtend<Layer<NormParams, BatchNormState>>()
    const shortcut = residual(linear(2, 3), linear(2, 3, { useBias: false }))
    expectTypeOf(shortcut.init(key).params.shortcut).toEqualTypeOf<WeightParams>()
    const stack = repeat(transformerBlock(8, { heads: 2 }), 2)
    expectTypeOf(stack).toEqualTypeOf<Layer<TransformerParams, AttentionCache | null>>()
  })

  it('without a bias', () => {
    expectTypeOf(linear(2, 3, { useBias: false }).init(key).params).toEqualTypeOf<WeightParams>()
    expectTypeOf(conv2d(2, 3, 1, { useBias: false }).init(key).params).toEqualTypeOf<WeightParams>()
    // @ts-expect-error there is no bias
    void linear(2, 3, { useBias: false }).init(key).params.bias
  })

  it('without a scale or a shift', () => {
    expectTypeOf(layerNorm(3).init(key).params).toEqualTypeOf<NormParams>()
    expectTypeOf(layerNorm(3, { eps: 1e-3 }).init(key).params).toEqualTypeOf<NormParams>()
    expectTypeOf(layerNorm(3, { useBias: false }).init(key).params).toEqualTypeOf<ScaleParams>()
    expectTypeOf(batchNorm(3, { useScale: false }).init(key).params).toEqualTypeOf<BiasParams>()
    expectTypeOf(rmsNorm(3).init(key).params).toEqualTypeOf<ScaleParams>()
    const none = groupNorm(1, 3, { useScale: false, useBias: false })
    expectTypeOf(none.init(key).params).toEqualTypeOf<NoParams>()
    // Only a run will tell.
    const options: NormOptions = { useBias: false }
    expectTypeOf(layerNorm(3, options).init(key).params).toEqualTypeOf<Partial<NormParams>>()
  })

  it('also as gradients', () => {
    const layer = embedding(4, 2)
    const { params } = layer.init(key)
    const loss = (own: typeof params, x: NDArray): NDArray => layer.attend(own, x).sum()
    expectTypeOf(grad(loss)).returns.toEqualTypeOf<WeightParams>()
  })

  it('and of nothing else', () => {
    const layer = multiHeadAttention(8, { heads: 2 })
    // @ts-expect-error these are the parameters of another layer
    void (() => layer.apply({ params: linear(8, 8).init(key).params, state: null }, key))
  })
})
