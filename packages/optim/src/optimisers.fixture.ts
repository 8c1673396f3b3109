/** Optimisers, parameters and a loss for tests of what holds for every optimiser. */
import { np, random, tree, type NDArray } from '@adjoint/core'
import { expect } from 'vitest'
import * as optim from './index'

/** Optimisers that take a learning rate, which may be traced. */
export const byRate: Readonly<
  Record<string, (rate: NDArray | number) => optim.GradientTransformation>
> = {
  sgd: (rate) => optim.sgd(rate, { momentum: 0.9, nesterov: true }),
  adam: (rate) => optim.adam(rate),
  adamw: (rate) => optim.adamw(rate, { mask: optim.byPath(/weight$/) }),
  adamax: (rate) => optim.adamax(rate),
  nadam: (rate) => optim.nadam(rate),
  nadamw: (rate) => optim.nadamw(rate),
  radam: (rate) => optim.radam(rate),
  amsgrad: (rate) => optim.amsgrad(rate),
  rmsprop: (rate) => optim.rmsprop(rate, { momentum: 0.5 }),
  adagrad: (rate) => optim.adagrad(rate),
  adadelta: (rate) => optim.adadelta(rate),
  adafactor: (rate) => optim.adafactor(rate, { minDimSizeToFactor: 2 }),
  adabelief: (rate) => optim.adabelief(rate),
  adan: (rate) => optim.adan(rate),
  lion: (rate) => optim.lion(rate),
  lamb: (rate) => optim.lamb(rate),
  lars: (rate) => optim.lars(rate),
  novograd: (rate) => optim.novograd(rate, { weightDecay: 0.1 }),
  yogi: (rate) => optim.yogi(rate),
  signSgd: (rate) => optim.signSgd(rate),
  noisySgd: (rate) => optim.noisySgd(rate),
  muon: (rate) => optim.muon(rate),
  rprop: (rate) => optim.rprop(rate),
  sm3: (rate) => optim.sm3(rate),
  fromage: (rate) => optim.fromage(rate),
  optimisticAdam: (rate) => optim.optimisticAdam(rate),
  scheduleFree: (rate) => optim.scheduleFreeAdamw(rate),
  multiSteps: (rate) => optim.multiSteps(optim.adam(rate), 2),
  'multiSteps, lazy': (rate) => optim.multiSteps(optim.adam(rate), 2, { lazy: true }),
  applyIfFinite: (rate) => optim.applyIfFinite(optim.adam(rate), 3),
  injected: (rate) => optim.injectHyperparams(optim.adam)(rate),
  partition: (rate) =>
    optim.partition({ w: optim.adam(rate), b: optim.setToZero() }, { weight: 'w', bias: 'b' }),
  chain: (rate) =>
    optim.chain(optim.clipByGlobalNorm(1), optim.adaptiveGradClip(0.1), optim.adam(rate)),
  ademamix: (rate) => optim.ademamix(rate, { weightDecay: 0.1 }),
  prodigy: (rate) => optim.prodigy(rate, { estimLr0: 1e-3 }),
  sam: (rate) => optim.sam(optim.adam(rate), optim.chain(optim.normalize(), optim.sgd(0.05))),
  sophia: (rate) => {
    const optimiser = optim.sophia(rate, { updateInterval: 2 })
    return {
      init: optimiser.init,
      // The loss is always the same here.
      update: <P>(g: P, s: optim.OptState, p?: P) =>
        optimiser.update<P>(g, s, p, { objFn: lossOfAny }),
    }
  },
  flatten: (rate) => optim.flatten(optim.adam(rate)),
}

export interface Params {
  readonly weight: NDArray
  readonly bias: NDArray
}
export const params: Params = {
  weight: random.normal(random.key(0), [3, 4]),
  bias: np.array([0.5, -1, 2, 0.25]),
}
const x = random.normal(random.key(1), [8, 3])
export const loss = ({ weight, bias }: Params): NDArray =>
  np.mean(np.square(np.tanh(np.add(np.matmul(x, weight), bias)).sub(0.5)))

/** The loss for optimisers that evaluate it themselves. */
const lossOfAny = (p: unknown): NDArray => loss(p as Params)

export const near = (actual: unknown, expected: unknown): void => {
  const wanted = tree.leaves<NDArray>(expected)
  tree.leaves<NDArray>(actual).forEach((leaf, i) => {
    expect(np.allclose(leaf, wanted[i], { rtol: 2e-5, atol: 2e-6 }).item(), `leaf ${i}`).toBe(true)
  })
}
