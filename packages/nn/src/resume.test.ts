import { np, random, tree, type Key, type NDArray } from '@adjoint/core'
import { jit } from '@adjoint/transforms'
import { expect, it } from 'vitest'
import { relu } from './activations'
import { dropout } from './dropout'
import { activation, sequential } from './layer'
import { linear } from './linear'
import { type LossScale, mixedPrecision } from './mixed-precision'
import { batchNorm } from './normalization'
import { parameterAverage } from './parameter-average'
import { encodeSafetensors, loadSafetensors } from './safetensors'

const precision = mixedPrecision({ compute: 'float16', lossScale: { period: 3, initial: 2 ** 20 } })
const model = precision.layer(
  sequential(linear(8, 16), batchNorm(16), activation(relu), dropout(0.3), linear(16, 1)),
)
const ema = parameterAverage({ decay: 0.9 })
const initial = model.init(random.key(0))
type Params = typeof initial.params

const map = <T>(f: (...leaves: NDArray[]) => NDArray, first: T, ...rest: readonly unknown[]): T =>
  tree.map(f, first, ...rest) as T

/** Everything that a step needs. */
const begin = () => ({
  params: initial.params,
  state: initial.state,
  momentum: map((p) => np.zerosLike(p), initial.params),
  average: ema.init(initial.params),
  lossScale: precision.init(),
  key: random.key(42),
  step: 0,
})
type Run = ReturnType<typeof begin>

const update = jit(
  (params: Params, momentum: Params, lossScale: LossScale, state: Run['state'], key: Key) => {
    const [next, own, data] = random.split(key, 3)
    const x = random.normal(data, [32, 8])
    const y = np.sin(np.sum(x, -1))
    const loss = (p: Params): NDArray => {
      const [out] = model.apply({ params: p, state }, x, { train: true, key: own })
      return np.mean(np.square(out.squeeze(-1).sub(y)))
    }
    const [, nextState] = model.apply({ params, state }, x, { train: true, key: own })
    const found = precision.valueAndGrad(loss)(lossScale, params)
    const nextMomentum = map((m, g) => m.mul(0.9).add(g), momentum, found.grads)
    const stepped = map((p, m) => p.sub(m.mul(0.05)), params, nextMomentum)
    const [p, m] = precision.select(found.finite, [stepped, nextMomentum], [params, momentum])
    return [p, m, found.lossScale, nextState, next, found.value] as const
  },
)

function train(run: Run, steps: number): { run: Run; losses: number[] } {
  const losses: number[] = []
  let current = run
  for (let i = 0; i < steps; i++) {
    const { params: p, momentum: m, lossScale: s, state: t, key: k } = current
    const [params, momentum, lossScale, state, key, value] = update(p, m, s, t, k)
    const average = ema.update(current.average, params)
    current = { params, momentum, lossScale, state, key, average, step: current.step + 1 }
    losses.push(Number(value))
  }
  return { run: current, losses }
}

it('a run that is saved, stopped and resumed gives the same numbers, bit for bit', async () => {
  const whole = train(begin(), 12)
  const first = train(begin(), 5)
  const file = await encodeSafetensors(first.run)
  const restored = await loadSafetensors(file, { into: begin() })
  expect(restored.step).toBe(5)
  const second = train(restored, 7)
  expect([...first.losses, ...second.losses]).toEqual(whole.losses)
  const bits = (run: Run): Buffer[] =>
    tree.leaves<NDArray | number>(run).map((leaf) => {
      if (typeof leaf === 'number') return Buffer.from(String(leaf))
      const { buffer, byteOffset, byteLength } = leaf.dataSync()
      return Buffer.from(buffer, byteOffset, byteLength)
    })
  expect(bits(second.run)).toEqual(bits(whole.run))
  // Losses that were too large at first were skipped, so the scale is part of what was restored.
  expect(Number(second.run.lossScale.scale)).toBeLessThan(2 ** 20)
})
