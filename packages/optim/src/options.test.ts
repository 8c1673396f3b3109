/** Options that nobody reads are refused: a misspelt one would otherwise change nothing, in silence. */
import { AdjointError, np, type NDArray } from '@adjoint/core'
import { describe, expect, it } from 'vitest'
import * as optim from './index'

type Call = (...args: readonly unknown[]) => unknown
const named = (name: string): Call => {
  const found: unknown = new Map<string, unknown>(Object.entries(optim)).get(name)
  if (typeof found !== 'function') throw new Error(`there is no ${name}`)
  return found as Call
}

const logits = np.array([
  [1, 2, 0.5],
  [0, -1, 2],
])
const integers = np.array([2, 0])
const sgd = optim.sgd(0.1)

const words = (list: string): readonly string[] => list.trim().split(/\s+/)

/** Functions with options by what stands before them. */
const groups: readonly (readonly [args: readonly unknown[], names: readonly string[]])[] = [
  [
    [0.1],
    words(`
      sgd adam nadam adamw nadamw adamax adamaxw amsgrad radam adabelief adan yogi lion
      lamb lars novograd rmsprop adagrad adadelta adafactor signum noisySgd optimisticAdam
      rprop sm3 fromage optimisticGradientDescent ademamix prodigy sophia muon lbfgs
      scheduleFreeSgd scheduleFreeAdamw scaleByLearningRate trace ema addDecayedWeights
      adaptiveGradClip scaleByRprop scaleByZoomLinesearch scaleByBacktrackingLinesearch
    `),
  ],
  [
    [],
    words(`
      polyakSgd scaleByAdam scaleByAmsgrad scaleByAdamax scaleByRadam scaleByBelief
      scaleByYogi scaleByAdan scaleByLion scaleByNovograd scaleByRms scaleByStddev
      scaleByRss scaleByAdadelta scaleByFactoredRms scaleByParamBlockNorm
      scaleByParamBlockRms scaleByTrustRatio scaleByPolyak normalizeByUpdateNorm
      scaleByOptimisticGradient scaleByMuon scaleByShape scaleByLbfgs scaleBySm3
      scaleBySophia scaleByAdemamix reduceOnPlateau applyEvery
    `),
  ],
  [
    [1, 0.1, 5],
    ['linearSchedule', 'exponentialDecay'],
  ],
  [
    [1, 0.1, 2, 5],
    ['polynomialSchedule', 'warmupCosineDecay'],
  ],
  [[0, 1, 2, 5, 0.5], ['warmupExponentialDecay']],
  [
    [10, 1],
    ['cosineDecay', 'linearOnecycle', 'cosineOnecycle'],
  ],
  [[sgd, 2], ['multiSteps']],
  [[sgd, sgd], ['sam']],
  [[sgd, 0.1], ['scheduleFree']],
  [[sgd, 2, 0.5], ['lookahead']],
  [[optim.sgd], ['injectHyperparams']],
  [[np.eye(2)], ['orthogonalizeViaNewtonSchulz']],
  [
    [logits, logits],
    words(`
      softmaxCrossEntropy polyLossCrossEntropy sigmoidFocalLoss klDivergence
      klDivergenceWithLogTargets generalizedKlDivergence rankingSoftmaxLoss huber
      cosineSimilarity cosineDistance
    `),
  ],
  [
    [logits, integers],
    ['softmaxCrossEntropyWithIntegerLabels', 'ntxent'],
  ],
  [[logits, 0.1], ['smoothLabels']],
  [[logits, logits, logits], ['tripletMarginLoss']],
  [
    [np.ones([1, 2, 3]), np.zeros([1, 2]), np.array([[1]]), np.zeros([1, 1])],
    ['ctcLoss', 'ctcLossWithForwardProbs'],
  ],
  [[np.ones([1, 2, 3]), np.ones([1, 2, 3])], ['diceLoss']],
]

const refusal = (call: () => unknown): string => {
  try {
    call()
  } catch (error) {
    expect(error).toBeInstanceOf(AdjointError)
    return error instanceof Error ? error.message : ''
  }
  return 'no error'
}

describe('an option that does not exist', () => {
  it.each(groups.flatMap(([args, names]) => names.map((name) => [name, args] as const)))(
    '%s refuses it and lists those that do',
    (name, args) => {
      const message = refusal(() => named(name)(...args, { misspelt: 1 }))
      expect(message).toMatch(/there is no option 'misspelt'[^]*the options are \{ .*\}/)
      expect(message.startsWith(name)).toBe(true)
    },
  )

  it('is corrected where it is nearly right', () => {
    expect(refusal(() => named('adamw')(0.1, { weight_decay: 0.1 }))).toMatchInlineSnapshot(`
      "adamw: there is no option 'weight_decay'
        rule: the options are { b1, b2, eps, epsRoot, muDtype, nesterov, weightDecay, mask }
        hint: did you mean 'weightDecay'?"
    `)
    expect(refusal(() => named('adam')(0.1, { beta1: 0.1 }))).toMatchInlineSnapshot(`
      "adam: there is no option 'beta1'
        rule: the options are { b1, b2, eps, epsRoot, muDtype, nesterov }"
    `)
  })
})

describe('nothing', () => {
  it('may be null, as in Optax it is None', () => {
    const params = { w: np.array([1, 2]) }
    const updated = (optimiser: optim.GradientTransformation): unknown =>
      optimiser.update(params, optimiser.init(params), params)[0].w.toArray()
    expect(updated(optim.sgd(0.1, { momentum: null }))).toEqual(updated(optim.sgd(0.1)))
    expect(updated(optim.rmsprop(0.1, { momentum: null }))).toEqual(updated(optim.rmsprop(0.1)))
    expect(updated(optim.addDecayedWeights(0.1, { mask: null }))).toEqual(
      updated(optim.addDecayedWeights(0.1)),
    )
    const without = { momentum: null, weightDecayRate: null, clippingThreshold: null }
    expect(updated(optim.adafactor(0.1, without))).toEqual(
      updated(optim.adafactor(0.1, { clippingThreshold: null })),
    )
  })
})

describe('arguments that cannot be meant', () => {
  const w = np.ones([2])
  const any = (value: unknown): never => value as never
  it.each<readonly [string, () => unknown, RegExp]>([
    ['half a step', () => optim.multiSteps(sgd, 2.5), /gradients of 2\.5 steps/],
    ['half a period', () => optim.lookahead(sgd, 1.5, 0.5), /the period is 1\.5/],
    [
      'one kind of parameters for lookahead',
      () => optim.lookahead(sgd, 2, 0.5).init(any({ w })),
      /hint: begin with lookaheadParams/,
    ],
    [
      'a state of something else',
      () => optim.hasUpdated(optim.adam(1).init(w)),
      /hasUpdated\(state\): the state is not that of multiSteps/,
    ],
    [
      'integer labels for distributions',
      () => optim.softmaxCrossEntropy(logits, integers),
      /softmaxCrossEntropy\(logits, labels\)[^]*softmaxCrossEntropyWithIntegerLabels/,
    ],
  ])('%s', (_name, call, message) => {
    expect(refusal(call)).toMatch(message)
  })

  it('constants are schedules', () => {
    const joined = optim.joinSchedules([0.5, optim.linearSchedule(1, 0, 4), 0.25], [2, 4])
    const values = [0, 1, 2, 3, 4, 9].map((n): NDArray => joined(n))
    expect(values.map((v) => v.item())).toEqual([0.5, 0.5, 1, 0.75, 0.25, 0.25])
  })
})
