/** Whatever numbers an optimiser is made with, keeping them in the state changes nothing. */
import { np, type NDArray } from '@adjoint/core'
import { requireClose } from '@adjoint/testing'
import { grad, jit } from '@adjoint/transforms'
import { describe, it } from 'vitest'
import * as optim from './index'

const loss = (w: NDArray): NDArray => np.sum(np.square(w))
const start = np.array(
  [
    [1, 2],
    [3, 4],
  ],
  { dtype: 'float32' },
)

const trained = (optimiser: optim.GradientTransformation): NDArray => {
  const step = jit((w: NDArray, state: optim.OptState) => {
    const extra = { value: loss(w), objFn: loss }
    const [updates, next] = optimiser.update(grad(loss)(w), state, w, extra)
    return [optim.applyUpdates(w, updates), next] as const
  })
  let [w, state] = [start, optimiser.init(start)]
  for (let i = 0; i < 4; i++) [w, state] = step(w, state)
  return w
}

type Make = (...args: never[]) => optim.GradientTransformation
const sgd = optim.sgd(0.1)

const made: Readonly<Record<string, readonly [make: Make, ...args: readonly unknown[]]>> = {
  sgd: [optim.sgd, 0.01, { momentum: 0.9 }],
  adamw: [optim.adamw, 0.1, { b1: 0.8, weightDecay: 0.1 }],
  sophia: [optim.sophia, 0.1, { updateInterval: 2 }],
  prodigy: [optim.prodigy, 1, { estimLr0: 1e-3 }],
  ademamix: [optim.ademamix, 1e-3, { b3: 0.99 }],
  muon: [optim.muon, 0.1, { nsSteps: 3 }],
  adafactor: [optim.adafactor, 0.1, { minDimSizeToFactor: 2 }],
  scheduleFreeAdamw: [optim.scheduleFreeAdamw, 0.1, { warmupSteps: 3 }],
  noisySgd: [optim.noisySgd, 0.1, { key: 3 }],
  lbfgs: [optim.lbfgs, 0.1, { memorySize: 3, linesearch: null }],
  polyakSgd: [optim.polyakSgd, { scaling: 0.5 }],
  reduceOnPlateau: [optim.reduceOnPlateau, { patience: 2, factor: 0.5, rtol: 0.1 }],
  sam: [optim.sam, sgd, sgd, { syncPeriod: 2 }],
  applyIfFinite: [optim.applyIfFinite, sgd, 3],
}

describe('injectHyperparams', () => {
  it.each(Object.entries(made))('of %s', (_name, [make, ...args]) => {
    const injected = optim.injectHyperparams(make)(...(args as never[]))
    const tolerance = { relative: 1e-5, absolute: 1e-5 }
    requireClose('injected', trained(injected), trained(make(...(args as never[]))), { tolerance })
  })
})
