/** What people get wrong, and what they are told. */
import { np } from '@adjoint/core'
import { describe, expect, it } from 'vitest'
import * as optim from './index'

const params = { w: np.ones([2]), b: np.ones([3]) }
const untyped = (f: unknown): ((...args: readonly unknown[]) => unknown) => f as never

describe('updates', () => {
  const adam = optim.adam(0.1)
  const state = adam.init(params)

  it('want trees that belong together', () => {
    const grads = { w: np.ones([2]), bias: np.ones([3]) }
    expect(() => untyped(adam.update)(grads, state, params)).toThrowErrorMatchingInlineSnapshot(`
      [TreeError: update(grads, state, params): params and grads have different tree structures: missing there
        at: .b
        rule: params is {b: *, w: *}, grads is {bias: *, w: *}
        hint: give both trees the same keys and lengths]
    `)
    expect(() => untyped(adam.update)(grads, state)).toThrowErrorMatchingInlineSnapshot(`
      [TreeError: update(grads, state, params): the state does not fit the gradients
        at: .bias
        rule: the state is what init, or the last update, of this optimiser made of such parameters]
    `)
    const broadcast = { w: np.ones([2]), b: np.ones([1]) }
    expect(() => adam.update(broadcast, state, params)).toThrowErrorMatchingInlineSnapshot(`
      [ShapeError: update(grads, state, params): params and grads have different shapes
        params: f32[3]
        grads:  f32[1]
        at: .b
        rule: corresponding leaves have one shape]
    `)
    expect(() => optim.applyUpdates(params, broadcast)).toThrow(
      'applyUpdates(params, updates): params and updates have different shapes',
    )
  })

  it('want the state of the optimiser second', () => {
    expect(() => adam.update(params, params, params)).toThrowErrorMatchingInlineSnapshot(`
      [ArgumentError: update(grads, state, params): this is not a state of the optimiser
        rule: the second argument is what init, or the last update, returned]
    `)
    const other = optim.sgd(0.1).init(params)
    expect(() => adam.update(params, other, params)).toThrow('the state does not fit the gradients')
  })
})

describe('optimisers', () => {
  it('want a learning rate', () => {
    expect(() => untyped(optim.adam)()).toThrow('the learning rate is undefined')
    expect(() => untyped(optim.sgd)({ momentum: 0.9 })).toThrowErrorMatchingInlineSnapshot(`
      [ArgumentError: scaleByLearningRate(learningRate): the learning rate is an object
        rule: it is a number, an array or a schedule
        hint: it stands first: adam(1e-3, { b1: 0.95 }), or adam(cosineDecay(1e-3, 1000))]
    `)
  })

  it('are made before they are chained', () => {
    expect(() => untyped(optim.chain)(optim.clip, optim.sgd(1)))
      .toThrowErrorMatchingInlineSnapshot(`
      [ArgumentError: chain(...transformations): link 0 is a function, and no gradient transformation
        rule: a gradient transformation has init and update
        hint: call what makes it: chain(clipByGlobalNorm(1), adam(1e-3))]
    `)
    expect(optim.chain(optim.identity, optim.identity()).init(params)).toEqual([[], []])
  })

  it('say which of their numbers make no sense', () => {
    expect(() => optim.multiSteps(optim.sgd(1), 0)).toThrow('gradients of 0 steps')
    expect(() => optim.reduceOnPlateau({ factor: 2 })).toThrow('the factor is 2')
    expect(() => optim.reduceOnPlateau({ rtol: 0 })).toThrow('rtol is 0 and atol is 0')
  })

  it('work on nothing', () => {
    for (const optimiser of [optim.flatten(optim.adam(0.1)), optim.sm3(0.1), optim.rprop(0.1)]) {
      expect(optimiser.update({}, optimiser.init({}), {})[0]).toEqual({})
    }
  })
})

describe('losses', () => {
  it('want one target for each prediction', () => {
    expect(() => optim.l2Loss(np.ones([3]), np.ones([3, 1]))).toThrowErrorMatchingInlineSnapshot(`
      [ShapeError: l2Loss(predictions, targets): there is not one target for each prediction
        predictions: f32[3]
        targets:     f32[3,1]
        rule: both have one shape
        hint: squeeze or reshape one of them; np.broadcastTo repeats on purpose]
    `)
    expect(() => optim.squaredError(np.ones([3]), np.ones([1]))).toThrow('squaredError')
    expect(optim.l2Loss(np.ones([2]), np.array(3)).toArray()).toEqual([2, 2])
  })

  it('want one integer for each row of logits', () => {
    const loss = optim.softmaxCrossEntropyWithIntegerLabels
    expect(() => loss(np.zeros([2, 3]), np.array([0, 1, 2]))).toThrowErrorMatchingInlineSnapshot(`
      [ShapeError: softmaxCrossEntropyWithIntegerLabels(logits, labels): there is not one label for each row of logits
        logits: f32[2,3]
        labels: i32[3]
        rule: labels are integers of shape [2], the numbers of classes
        hint: labels have no axis of classes]
    `)
    expect(() => loss(np.zeros([2, 3]), np.zeros([2, 3]))).toThrow('labels are no integers')
  })
})
