/** A learning rate that falls when the loss does not. */
import { ArgumentError, np, tree, type NDArray } from '@adjoint/core'
import { checkOptions } from '@adjoint/core/internal'
import { increment, type Scalar, zeroCount } from './hyperparameters'
import {
  type GradientTransformation,
  mapLeaves,
  requireExtra,
  transformation,
} from './transformation'

export interface PlateauOptions {
  /** What the scale is multiplied by at a plateau, between 0 and 1. */
  readonly factor?: number
  /** How many values without improvement make a plateau. */
  readonly patience?: number
  /** By which part, and by how much, a value has to be less to be an improvement. */
  readonly rtol?: number
  readonly atol?: number
  /** How many values are not counted after the scale fell. */
  readonly cooldown?: number
  /** How many losses are averaged to one value. */
  readonly accumulationSize?: number
  /** The scale falls no lower. */
  readonly minScale?: Scalar
}

interface State {
  readonly scale: NDArray
  readonly bestValue: NDArray
  readonly plateauCount: NDArray
  readonly cooldownCount: NDArray
  readonly count: NDArray
  readonly avgValue: NDArray
}

const OP = 'reduceOnPlateau'

function requireSensible({ factor = 0.1, rtol = 1e-4, atol = 0 }: PlateauOptions): void {
  const problem =
    factor > 0 && factor < 1
      ? rtol >= 0 && rtol <= 1 && atol >= 0 && rtol + atol > 0
        ? null
        : `rtol is ${rtol} and atol is ${atol}`
      : `the factor is ${factor}`
  if (problem === null) return
  throw new ArgumentError({
    op: OP,
    problem,
    rule: 'factor is between 0 and 1; rtol, up to 1, and atol are not negative, and one is positive',
  })
}

/**
 * Multiplies updates by a scale that falls each time the loss has not improved for a while; wants the
 * extra argument `value`. Stands last in a chain. PyTorch's `ReduceLROnPlateau`.
 *
 * @example
 * const optimiser = chain(adam(1e-3), reduceOnPlateau({ factor: 0.5, patience: 5 }))
 * const params = np.ones([2])
 * optimiser.update(params, optimiser.init(params), params, { value: 0.3 })
 */
export function reduceOnPlateau(options: PlateauOptions = {}): GradientTransformation {
  checkOptions('reduceOnPlateau', options, [
    'factor',
    'patience',
    'rtol',
    'atol',
    'cooldown',
    'accumulationSize',
    'minScale',
  ])
  requireSensible(options)
  const { factor = 0.1, patience = 10, rtol = 1e-4, atol = 0 } = options
  const { cooldown = 0, accumulationSize = 1, minScale = 0 } = options

  /** What a whole value changes. */
  const judged = (state: State): State => {
    const bound = np.subtract(np.multiply(1 - rtol, state.bestValue), atol)
    const improved = np.less(state.avgValue, bound)
    const waiting = np.where(improved, 0, increment(state.plateauCount))
    const isCooling = np.greater(state.cooldownCount, 0)
    const falls = np.logicalAnd(np.logicalNot(isCooling), np.equal(waiting, patience))
    const lowered = np.maximum(np.multiply(state.scale, factor), minScale)
    const cooled = np.where(isCooling, np.subtract(state.cooldownCount, 1), 0)
    return {
      scale: np.where(falls, lowered, state.scale).astype(state.scale.dtype),
      bestValue: np.where(improved, state.avgValue, state.bestValue),
      plateauCount: np.where(np.logicalOr(isCooling, falls), 0, waiting).astype('int32'),
      cooldownCount: np.where(falls, cooldown, cooled).astype('int32'),
      count: zeroCount(),
      avgValue: np.zerosLike(state.avgValue),
    }
  }

  return transformation<State>({
    init: (params) => {
      const isDouble = tree.leaves<NDArray>(params).some((p) => p.dtype === 'float64')
      const dtype = isDouble ? 'float64' : 'float32'
      return {
        scale: np.ones([], { dtype }),
        bestValue: np.full([], Infinity, { dtype }),
        plateauCount: zeroCount(),
        cooldownCount: zeroCount(),
        count: zeroCount(),
        avgValue: np.zeros([], { dtype }),
      }
    },
    update: (grads, state, _params, extra) => {
      const { value } = requireExtra(OP, extra, 'value')
      const count = increment(state.count)
      const sum = np.add(np.multiply(state.count, state.avgValue), value)
      const collected: State = {
        ...state,
        count,
        avgValue: np.divide(sum, count).astype(state.avgValue.dtype),
      }
      const isWhole = np.equal(count, accumulationSize)
      const next = mapLeaves(
        (whole, part) => np.where(isWhole, whole, part),
        judged(collected),
        collected,
      ) as State
      return [mapLeaves((g) => np.multiply(g, next.scale).astype(g.dtype), grads), next]
    },
  })
}
