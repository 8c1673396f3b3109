/** A jitted training step and what it is called with. */
import type { NDArray } from '@adjoint/core'
import * as optim from '@adjoint/optim'
import { jit, type Jitted } from '@adjoint/transforms'

type Data = readonly [x: NDArray, y: NDArray]
type Step<P> = (
  params: P,
  state: optim.OptState,
  x: NDArray,
  y: NDArray,
) => readonly [P, optim.OptState, NDArray]

export interface Training<P> {
  readonly step: Jitted<Parameters<Step<P>>, ReturnType<Step<P>>>
  /** The arguments of the first call. */
  readonly first: Parameters<Step<P>>
  /** Trains on, and answers the loss. */
  next(): NDArray
}

export function trainingOf<P>(model: {
  readonly lossAndGradient: (params: P, x: NDArray, y: NDArray) => readonly [NDArray, P]
  readonly params: P
  readonly optimiser: optim.GradientTransformation
  readonly data: Data
}): Training<P> {
  const { lossAndGradient, optimiser, data } = model
  const trainStep: Step<P> = (params, state, x, y) => {
    const [value, gradient] = lossAndGradient(params, x, y)
    const [updates, next] = optimiser.update(gradient, state, params)
    return [optim.applyUpdates(params, updates), next, value]
  }
  const step = jit(trainStep, { donateArgnums: [0, 1] })
  const first: Parameters<Step<P>> = [model.params, optimiser.init(model.params), ...data]
  let [params, state] = first
  return {
    step,
    first,
    next: () => {
      const [nextParams, nextState, value] = step(params, state, ...data)
      params = nextParams
      state = nextState
      return value
    },
  }
}
