import { np, random, tree, type NDArray } from '@adjoint/core'
import { checkpointPolicies, grad, jit, makeJaxpr, valueAndGrad } from '@adjoint/transforms'
import { describe, expect, it } from 'vitest'
import { accumulateGradients, checkpointed } from './accumulation'
import { dropout } from './dropout'
import { activation, sequential } from './layer'
import { linear } from './linear'

const model = sequential(linear(3, 8), activation(np.tanh), linear(8, 1))
const { params, state } = model.init(random.key(0))
type Params = typeof params
const [x, y] = [random.normal(random.key(1), [12, 3]), random.normal(random.key(2), [12])]
const loss = (p: Params, inputs: NDArray, targets: { readonly y: NDArray }): NDArray =>
  np.mean(np.square(model.apply({ params: p, state }, inputs)[0].squeeze(-1).sub(targets.y)))

const close = (a: unknown, b: unknown): void => {
  tree.map(
    (p: NDArray, q: NDArray) => {
      expect(Number(np.max(np.abs(p.sub(q))))).toBeLessThan(1e-6)
    },
    a,
    b,
  )
}

describe('accumulateGradients', () => {
  const whole = valueAndGrad(loss)(params, x, { y })

  it.each([1, 3, 4, 12])('in %i parts has the gradient of the whole batch', (parts) => {
    close(accumulateGradients(loss, parts)(params, x, { y }), whole)
    close(jit(accumulateGradients(loss, parts))(params, x, { y }), whole)
  })

  it('is one loop, however many parts', () => {
    const equations = (parts: number): number =>
      makeJaxpr(accumulateGradients(loss, parts))(params, x, { y }).jaxpr.equations.length
    expect(equations(12)).toBe(equations(3))
  })

  it('refuses what cannot be divided', () => {
    expect(() => accumulateGradients(loss, 5)(params, x, { y }))
      .toThrowErrorMatchingInlineSnapshot(`
      [ShapeError: accumulateGradients(loss, 5): an array of the batch cannot be divided
        x: f32[12,3]
        rule: the leading axis is a multiple of 5
        hint: leave the rest of the batch out, or close over arrays that belong to all examples]
    `)
    expect(() => accumulateGradients(loss, 1.5)).toThrow('not a positive integer')
  })
})

describe('checkpointed', () => {
  const dropping = sequential(linear(3, 8), activation(np.tanh), dropout(0.5), linear(8, 1))
  const context = { train: true, key: random.key(5) }
  const variables = dropping.init(random.key(0))

  it.each([undefined, checkpointPolicies.dotsSaveable])(
    'has the same values and gradients, keys included',
    (policy) => {
      const recomputing = checkpointed(dropping, { policy })
      const through =
        (layer: typeof dropping) =>
        (p: typeof variables.params): NDArray =>
          np.sum(np.square(layer.apply({ ...variables, params: p }, x, context)[0]))
      close(grad(through(recomputing))(variables.params), grad(through(dropping))(variables.params))
      close(
        jit(grad(through(recomputing)))(variables.params),
        grad(through(dropping))(variables.params),
      )
      expect(String(makeJaxpr(grad(through(recomputing)))(variables.params))).toContain('remat')
    },
  )
})
