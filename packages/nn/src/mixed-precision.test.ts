import { np, random, tree, type NDArray } from '@adjoint/core'
import { grad, jit } from '@adjoint/transforms'
import { describe, expect, it } from 'vitest'
import { activation, sequential } from './layer'
import { linear } from './linear'
import { allFinite, type LossScale, mixedPrecision } from './mixed-precision'
import { batchNorm } from './normalization'

const model = sequential(linear(4, 16), activation(np.tanh), linear(16, 1))
const { params, state } = model.init(random.key(0))
type Params = typeof params
const x = random.normal(random.key(1), [32, 4])
const y = np.tanh(np.sum(x, -1))

describe.each(['float16', 'bfloat16'] as const)('mixed precision in %s', (compute) => {
  const precision = mixedPrecision(compute)
  const layer = precision.layer(model)
  const loss = (p: Params, inputs: NDArray, targets: NDArray): NDArray =>
    np.mean(np.square(layer.apply({ params: p, state }, inputs)[0].squeeze(-1).sub(targets)))

  it('computes in 16 bits and answers in 32', () => {
    let seen = ''
    const spy = precision.layer(
      activation((input) => {
        seen = input.dtype
        return input
      }),
    )
    const [out] = spy.apply({ params: null, state: null }, x)
    expect([seen, out.dtype]).toEqual([compute, 'float32'])
  })

  it('has the gradients of float32 up to rounding, for 32-bit parameters', () => {
    const exact = grad((p: Params) =>
      np.mean(np.square(model.apply({ params: p, state }, x)[0].squeeze(-1).sub(y))),
    )(params)
    const { grads, finite, value } = precision.valueAndGrad(loss)(precision.init(), params, x, y)
    expect(finite.item()).toBe(true)
    expect(value.dtype).toBe('float32')
    const eps = compute === 'float16' ? 2 ** -11 : 2 ** -8
    tree.map(
      (g: NDArray, e: NDArray) => {
        expect(g.dtype).toBe('float32')
        expect(Number(np.max(np.abs(g.sub(e))))).toBeLessThan(20 * eps)
      },
      grads,
      exact,
    )
  })

  it('trains', () => {
    const step = jit((p: Params, lossScale: LossScale) => {
      const found = precision.valueAndGrad(loss)(lossScale, p, x, y)
      const stepped = tree.map(
        (w: NDArray, g: NDArray) => w.sub(g.mul(0.3)),
        p,
        found.grads,
      ) as Params
      return [precision.select(found.finite, stepped, p), found.lossScale, found.value] as const
    })
    let [p, lossScale] = [params, precision.init()]
    const losses = Array.from({ length: 60 }, () => {
      const [next, nextScale, value] = step(p, lossScale)
      ;[p, lossScale] = [next, nextScale]
      return Number(value)
    })
    expect(losses[59]).toBeLessThan(0.25 * losses[0])
  })
})

describe('a dynamic loss scale', () => {
  const precision = mixedPrecision({
    compute: 'float16',
    lossScale: { initial: 2 ** 15, period: 2, factor: 4 },
  })
  const step = jit((lossScale: LossScale, w: NDArray, slope: NDArray) => {
    const loss = (p: NDArray): NDArray => np.sum(precision.castToCompute(p).mul(slope))
    const found = precision.valueAndGrad(loss)(lossScale, w)
    return { ...found, w: precision.select(found.finite, w.sub(found.grads), w) }
  })
  const run = (slopes: readonly number[]): { scales: number[]; finite: boolean[]; w: number } => {
    let [lossScale, w] = [precision.init(), np.ones([])]
    const [scales, finite]: [number[], boolean[]] = [[], []]
    for (const slope of slopes) {
      const found = step(lossScale, w, np.array(slope, { dtype: 'float16' }))
      lossScale = found.lossScale
      w = found.w
      scales.push(Math.log2(Number(lossScale.scale)))
      finite.push(Boolean(found.finite.item()))
    }
    return { scales, finite, w: Number(w) }
  }

  it('shrinks when gradients overflow, skips the step, and grows after a while', () => {
    // 16 · 2^15 is more than float16 holds, 1 · 2^15 is not, 1 · 2^17 is again.
    expect(run([16, 1, 1, 1, 1, 1])).toEqual({
      scales: [13, 13, 15, 15, 17, 15],
      finite: [false, true, true, true, true, false],
      w: 1 - 4,
    })
    expect(run([NaN]).w).toBe(1)
  })

  it('keeps gradients that float16 alone would lose', () => {
    const tiny = 2 ** -30
    const loss = (w: NDArray): NDArray =>
      np.sum(np.multiply(w.astype('float16'), 1).astype('float32').mul(tiny))
    expect(grad(loss)(np.ones([])).item()).toBe(0)
    expect(precision.valueAndGrad(loss)(precision.init(), np.ones([])).grads.item()).toBe(tiny)
  })

  it('may be constant', () => {
    const constant = mixedPrecision({ compute: 'float16', lossScale: 8 })
    const { lossScale, grads } = constant.valueAndGrad((w: NDArray) => w.mul(3))(
      constant.init(),
      np.ones([]),
    )
    expect([lossScale.scale.item(), grads.item()]).toEqual([8, 3])
  })
})

it('state keeps its dtype', () => {
  const layer = mixedPrecision('bfloat16').layer(batchNorm(4))
  const variables = layer.init(random.key(0))
  const [, next] = layer.apply(variables, x, { train: true })
  expect(tree.leaves<NDArray>(next).map((leaf) => leaf.dtype)).toEqual(
    tree.leaves<NDArray>(variables.state).map((leaf) => leaf.dtype),
  )
})

it('policies are of floating dtypes', () => {
  expect(() => mixedPrecision('int8' as 'float16')).toThrow('int8 is not a floating dtype')
})

it('allFinite', () => {
  const trees = [{}, { a: np.ones([2]) }, [np.ones([2]), np.array([1, NaN])], [np.array(Infinity)]]
  expect(trees.map((value) => allFinite(value).item())).toEqual([true, true, false, false])
})
