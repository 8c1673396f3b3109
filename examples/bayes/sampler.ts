/**
 * Hamiltonian Monte Carlo. Neal, "MCMC using Hamiltonian dynamics" (2011), figure 2; the step size
 * is found by dual averaging, Hoffman & Gelman, "The No-U-Turn Sampler" (2014), algorithm 5.
 */
import { type Key, np, random, type NDArray } from '@adjoint/core'
import { foriLoop, scan, valueAndGrad } from '@adjoint/transforms'

/** Where a chain is, and what it has learnt about step sizes. */
export interface ChainState {
  readonly position: NDArray
  readonly logDensity: NDArray
  readonly slope: NDArray
  readonly logStep: NDArray
  /** The averaged step size, which is used after the warm-up. */
  readonly logStepMean: NDArray
  /** Sum of the differences between the acceptance wanted and what there was. */
  readonly shortfall: NDArray
  readonly count: NDArray
}

export interface Draw {
  readonly position: NDArray
  /** The probability with which the proposal was accepted. */
  readonly acceptance: NDArray
  readonly stepSize: NDArray
  /** Whether the energy was lost: the step is too large for the place. */
  readonly diverged: NDArray
}

export interface SamplerOptions {
  /** Half steps, full steps and half steps of one proposal. */
  readonly leapfrogs: number
  readonly targetAcceptance: number
}

// Hoffman & Gelman's constants.
const [gamma, t0, kappa] = [0.05, 10, 0.75]
const firstStep = 0.1
/** Stan's bound: an error in the energy that no good trajectory makes. */
const largestError = 1000

export function sampler(logDensity: (position: NDArray) => NDArray, options: SamplerOptions) {
  const densityAndSlope = valueAndGrad(logDensity)

  const start = (position: NDArray): ChainState => {
    const [value, slope] = densityAndSlope(position)
    const zero = np.zeros([])
    return {
      position,
      logDensity: value,
      slope,
      logStep: np.asarray(Math.log(firstStep), { dtype: 'float32' }),
      logStepMean: np.asarray(Math.log(firstStep), { dtype: 'float32' }),
      shortfall: zero,
      count: zero,
    }
  }

  /** A trajectory of constant energy, but for the error of its steps. */
  function trajectory(state: ChainState, momentum: NDArray, step: NDArray) {
    type Point = readonly [position: NDArray, momentum: NDArray, slope: NDArray, value: NDArray]
    const [position, last, slope, value] = foriLoop(
      0,
      options.leapfrogs,
      (_i, [q, p, g]: Point): Point => {
        const half = p.add(g.mul(step.mul(0.5)))
        const moved = q.add(half.mul(step))
        const [nextValue, nextSlope] = densityAndSlope(moved)
        return [moved, half.add(nextSlope.mul(step.mul(0.5))), nextSlope, nextValue]
      },
      [state.position, momentum, state.slope, state.logDensity] as Point,
    )
    return { position, momentum: last, slope, logDensity: value }
  }

  /** One proposal, accepted or not. */
  function transition(state: ChainState, key: Key, isWarmup: boolean): [ChainState, Draw] {
    const [momentumKey, stepKey, chanceKey] = random.split(key, 3)
    // Lengths that differ keep trajectories from coming back to where they began.
    const jitter = random.uniform(stepKey, [], { minval: 0.6, maxval: 1.1 })
    const stepSize = np.exp(isWarmup ? state.logStep : state.logStepMean)
    const momentum = random.normal(momentumKey, state.position.shape)
    const end = trajectory(state, momentum, stepSize.mul(jitter))
    const kinetic = (p: NDArray): NDArray => np.sum(np.square(p)).mul(0.5)
    const gain = end.logDensity
      .sub(kinetic(end.momentum))
      .sub(state.logDensity.sub(kinetic(momentum)))
    const acceptance = np.where(np.isnan(gain), 0, np.exp(np.minimum(gain, 0)))
    const isAccepted = np.less(random.uniform(chanceKey, []), acceptance)
    const choose = (yes: NDArray, no: NDArray): NDArray => np.where(isAccepted, yes, no)
    const moved = {
      ...state,
      position: choose(end.position, state.position),
      logDensity: choose(end.logDensity, state.logDensity),
      slope: choose(end.slope, state.slope),
    }
    return [
      isWarmup ? adapted(moved, acceptance) : moved,
      {
        position: moved.position,
        acceptance,
        stepSize,
        diverged: np.logicalNot(np.greater(gain, -largestError)),
      },
    ]
  }

  /** The next step size: smaller when proposals are refused too often. */
  function adapted(state: ChainState, acceptance: NDArray): ChainState {
    const count = state.count.add(1)
    const shortfall = state.shortfall.add(np.subtract(options.targetAcceptance, acceptance))
    const logStep = np.subtract(
      Math.log(10 * firstStep),
      shortfall.div(gamma).mul(np.sqrt(count).div(count.add(t0))),
    )
    const weight = np.power(count, -kappa)
    const logStepMean = weight.mul(logStep).add(np.subtract(1, weight).mul(state.logStepMean))
    return { ...state, count, shortfall, logStep, logStepMean }
  }

  /** A piece of a chain: one loop over its keys. */
  const run = (state: ChainState, keys: Key, isWarmup: boolean): readonly [ChainState, Draw] =>
    scan((s: ChainState, key: Key) => transition(s, key, isWarmup), state, keys)

  return { start, run }
}
