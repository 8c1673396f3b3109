import { np, random, type NDArray } from '@adjoint/core'
import { requireClose } from '@adjoint/testing'
import { grad, jit } from '@adjoint/transforms'
import { describe, expect, it } from 'vitest'
import * as optim from './index'
import { loss, type Params, params } from './optimisers.fixture'

const climb = optim.chain(optim.normalize(), optim.sgd(0.05))

describe('sam', () => {
  it('with one adversarial step is the formula of the paper', () => {
    const optimiser = optim.sam(optim.sgd(0.1), climb, { opaqueMode: true })
    const gradient = grad(loss)(params)
    const [updates] = optimiser.update(gradient, optimiser.init(params), params, {
      gradFn: grad(loss),
    })
    const norm = optim.globalNorm(gradient)
    const higher = (p: NDArray, g: NDArray): NDArray =>
      np.add(p, np.multiply(0.05, np.divide(g, norm)))
    const there = grad(loss)({
      weight: higher(params.weight, gradient.weight),
      bias: higher(params.bias, gradient.bias),
    })
    requireClose('updates', updates, {
      weight: np.multiply(-0.1, there.weight),
      bias: np.multiply(-0.1, there.bias),
    })
  })

  it.each([2, 3])('does in one update of a whole period what it does in %i', (syncPeriod) => {
    const make = (opaqueMode: boolean) =>
      optim.sam(optim.adam(0.1), climb, { syncPeriod, opaqueMode })
    const [opaque, visible] = [make(true), make(false)]
    const whole = jit((p: Params, state: optim.OptState) => {
      const [updates, next] = opaque.update(grad(loss)(p), state, p, { gradFn: grad(loss) })
      return [optim.applyUpdates(p, updates), next] as const
    })
    const part = jit((p: Params, state: optim.OptState) => {
      const [updates, next] = visible.update(grad(loss)(p), state, p)
      return [optim.applyUpdates(p, updates), next] as const
    })
    let [one, oneState] = [params, opaque.init(params)]
    let [other, otherState] = [params, visible.init(params)]
    for (let step = 0; step < 4; step++) {
      ;[one, oneState] = whole(one, oneState)
      for (let i = 0; i < syncPeriod; i++) [other, otherState] = part(other, otherState)
      requireClose(`step ${step}`, other, one, { tolerance: { relative: 1e-4, absolute: 1e-5 } })
    }
  })

  it('says what it needs', () => {
    expect(() => optim.sam(optim.sgd(1), climb, { syncPeriod: 0 })).toThrow('the period is 0')
    const opaque = optim.sam(optim.sgd(1), climb, { opaqueMode: true })
    expect(() => opaque.update(params, opaque.init(params), params)).toThrow(
      'needs the extra argument gradFn',
    )
  })
})

describe('sophia', () => {
  const curvature = np.array([0.5, 3, 20, -1], { dtype: 'float32' })
  const bowl = (w: NDArray): NDArray =>
    np.multiply(0.5, np.sum(np.multiply(curvature, np.square(w))))
  const w = np.ones([4])

  it('estimates a diagonal Hessian without error', () => {
    const estimator = optim.hutchinsonEstimatorDiagHessian(random.key(3))
    const [diagonal] = estimator.update(w, estimator.init(w), w, { objFn: bowl })
    requireClose('diagonal', diagonal, curvature)
  })

  it('estimates others without bias', () => {
    const matrix = np.array([
      [2, -1, 0.5],
      [-1, 3, 1],
      [0.5, 1, 4],
    ])
    const quadratic = (v: NDArray): NDArray => np.multiply(0.5, np.dot(v, np.matmul(matrix, v)))
    const estimator = optim.hutchinsonEstimatorDiagHessian(0)
    const draw = jit((state: optim.OptState) =>
      estimator.update(np.ones([3]), state, np.ones([3]), { objFn: quadratic }),
    )
    let state = estimator.init(np.ones([3]))
    let sum = np.zeros([3])
    for (let i = 0; i < 400; i++) {
      const [diagonal, next] = draw(state)
      ;[sum, state] = [np.add(sum, diagonal), next]
    }
    requireClose('mean', np.divide(sum, 400), np.array([2, 3, 4], { dtype: 'float32' }), {
      tolerance: { relative: 0, absolute: 0.25 },
    })
  })

  it('goes down a bowl of very different curvatures', () => {
    const positive = (v: NDArray): NDArray =>
      np.multiply(0.5, np.sum(np.multiply(np.abs(curvature), np.square(v))))
    const optimiser = optim.sophia(0.05, { weightDecay: 0, gamma: 1 })
    const step = jit((v: NDArray, state: optim.OptState) => {
      const [updates, next] = optimiser.update(grad(positive)(v), state, v, { objFn: positive })
      return [optim.applyUpdates(v, updates), next] as const
    })
    let [v, state] = [w, optimiser.init(w)]
    for (let i = 0; i < 200; i++) [v, state] = step(v, state)
    expect(Number(positive(v).item())).toBeLessThan(0.05)
  })
})

describe('prodigy', () => {
  it('finds the size of its steps', () => {
    const bowl = (v: NDArray): NDArray => np.sum(np.square(np.subtract(v, 30)))
    const optimiser = optim.prodigy()
    const step = jit((v: NDArray, state: optim.OptState) => {
      const [updates, next] = optimiser.update(grad(bowl)(v), state, v)
      return [optim.applyUpdates(v, updates), next] as const
    })
    let [v, state] = [np.zeros([3]), optimiser.init(np.zeros([3]))]
    for (let i = 0; i < 400; i++) [v, state] = step(v, state)
    expect(Number(bowl(v).item())).toBeLessThan(0.1)
  })

  it('waits while there is no gradient', () => {
    const optimiser = optim.prodigy()
    const zeros = np.zeros([3])
    let state = optimiser.init(zeros)
    for (let i = 0; i < 3; i++) {
      const [updates, next] = optimiser.update(zeros, state, zeros)
      state = next
      expect(np.all(np.equal(updates, 0)).item()).toBe(true)
    }
    const [updates] = optimiser.update(np.ones([3]), state, zeros)
    expect(np.all(np.isfinite(updates)).item()).toBe(true)
  })
})
