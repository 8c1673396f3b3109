/** What must compile, and what must not. */
import type { NDArray } from '@adjoint/core'
import { describe, expectTypeOf, it } from 'vitest'
import * as optim from './index'

interface Params {
  readonly layers: readonly { readonly weight: NDArray; readonly bias: NDArray }[]
}
declare const params: Params
declare const array: NDArray

describe('updates', () => {
  it('have the type of the gradients', () => {
    const optimiser = optim.adam(1e-3)
    const [updates, state] = optimiser.update(params, optimiser.init(params), params)
    expectTypeOf(updates).toEqualTypeOf<Params>()
    expectTypeOf(state).toEqualTypeOf<optim.OptState>()
    expectTypeOf(optim.applyUpdates(params, updates)).toEqualTypeOf<Params>()
  })

  it('take a loss of the parameters', () => {
    const optimiser = optim.lbfgs()
    const state = optimiser.init(params)
    const extra = { value: array, grad: params }
    optimiser.update(params, state, params, { ...extra, valueFn: (p: Params) => p.layers[0].bias })
    const ofText = (text: string): NDArray => array.add(text.length)
    // @ts-expect-error: a loss of something else
    optimiser.update(params, state, params, { ...extra, valueFn: ofText })
  })

  it('of lookahead are of both kinds of parameters', () => {
    const optimiser = optim.lookahead(optim.sgd(0.1), 5, 0.5)
    const both = optim.lookaheadParams(params)
    expectTypeOf(optimiser.update(params, optimiser.init(both), both)[0]).toEqualTypeOf<
      optim.LookaheadParams<Params>
    >()
  })

  it('may be those of a transformation of one’s own', () => {
    const own: optim.GradientTransformation = {
      init: () => null,
      update: (grads, state) => [grads, state],
    }
    expectTypeOf(optim.chain(own, optim.sgd(1))).toEqualTypeOf<optim.GradientTransformation>()
  })
})

describe('hyperparameters', () => {
  it('are numbers, arrays or schedules', () => {
    optim.sgd(0.1)
    optim.sgd(array, { momentum: array })
    optim.adamw(optim.cosineDecay(0.1, 10), { weightDecay: optim.linearSchedule(1, 0, 5) })
    // @ts-expect-error: Optax's name is b1
    optim.adam(0.1, { beta1: 0.9 })
    // @ts-expect-error: a learning rate is no string
    optim.sgd('fast')
  })

  it('keep their places when they are injected', () => {
    const injected = optim.injectHyperparams(optim.sgd)
    expectTypeOf(injected).parameters.toEqualTypeOf<Parameters<typeof optim.sgd>>()
  })

  it('have masks of trees or functions', () => {
    optim.freeze({ layers: [true, { weight: false, bias: true }] })
    optim.freeze(optim.byPath((path, leaf) => leaf.ndim > 1 && path !== ''))
    // @ts-expect-error: a mask is no number
    optim.freeze({ layers: 1 })
    optim.partition({ a: optim.identity }, { layers: 'a' })
  })
})
