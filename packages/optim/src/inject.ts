/** Hyperparameters kept in the state, where they can be seen and changed between steps. */
import { ArgumentError, NDArray, np, tree } from '@adjoint/core'
import { checkOptions } from '@adjoint/core/internal'
import { increment, type Scalar, zeroCount } from './hyperparameters'
import type { Schedule } from './schedules'
import { type GradientTransformation, type OptState, transformation } from './transformation'

interface InjectState {
  readonly count: NDArray
  readonly hyperparams: Readonly<Record<string, NDArray>>
  readonly innerState: OptState
}

/** The place of one hyperparameter among the arguments. */
interface Place {
  readonly name: string
  readonly value: Scalar | Schedule
  /** The position of the argument, and the key in it when it is an options object. */
  readonly position: number
  readonly key: string | null
}

const isHyperparameter = (value: unknown): value is Scalar | Schedule =>
  typeof value === 'number' || typeof value === 'function' || value instanceof NDArray

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype

/** An object of options, and not a transformation. */
const isOptions = (value: unknown): value is Readonly<Record<string, unknown>> =>
  isRecord(value) && typeof value['update'] !== 'function'

/** Options of this package's optimisers that are no hyperparameters: functions of something else, and sizes. */
const shaping: readonly string[] = [
  'mask',
  'weightDecayMask',
  'trustRatioMask',
  'matrices',
  'memorySize',
  'minDimSizeToFactor',
  'nsSteps',
  'warmupSteps',
  'syncPeriod',
  'updateInterval',
  'key',
  // Of reduceOnPlateau, which counts and compares.
  'factor',
  'patience',
  'rtol',
  'atol',
  'cooldown',
  'accumulationSize',
]

/**
 * Makes numbers that an optimiser is made with part of its state: a learning rate can be changed
 * without compiling anew, read while a schedule drives it, or differ within a batch of optimisers.
 *
 * Every number, array and schedule among the arguments is taken, under its name in the options
 * object; positional arguments are called `options.names`.
 *
 * @param options.names what the positional arguments are called: by default the first is `learningRate`
 * @param options.staticArgs names of more numbers that shape the program (sizes, counts), and of
 *   functions that are no schedules: they are left as they are, as are masks and sizes of this
 *   package's optimisers
 * @example
 * const optimiser = injectHyperparams(adam)(1e-3, { b1: 0.95 })
 * let state = optimiser.init({ w: np.ones([2]) })
 * state = withHyperparams(state, { learningRate: 1e-4 })
 */
export function injectHyperparams<Args extends readonly unknown[]>(
  factory: (...args: Args) => GradientTransformation,
  options: { readonly names?: readonly string[]; readonly staticArgs?: readonly string[] } = {},
): (...args: Args) => GradientTransformation {
  checkOptions('injectHyperparams', options, ['names', 'staticArgs'])
  const { names = ['learningRate'], staticArgs = [] } = options
  return (...args) => {
    const places = args
      .flatMap((argument, position): (Omit<Place, 'value'> & { value: unknown })[] =>
        isOptions(argument)
          ? Object.entries(argument).map(([key, value]) => ({ name: key, value, position, key }))
          : [{ name: names[position] ?? `arg${position}`, value: argument, position, key: null }],
      )
      .filter(
        (place): place is Place =>
          isHyperparameter(place.value) && ![...shaping, ...staticArgs].includes(place.name),
      )
    /** The hyperparameters before the first step: as exact as the most exact parameter. */
    const first = (count: NDArray, params: unknown): Record<string, NDArray> => {
      const isDouble = tree.leaves<NDArray>(params).some((leaf) => leaf.dtype === 'float64')
      const dtype = isDouble ? 'float64' : 'float32'
      return Object.fromEntries(
        places.map(({ name, value }) => {
          const now = typeof value === 'function' ? value(count) : value
          return [name, np.asarray(now, { dtype })]
        }),
      )
    }
    /** The hyperparameters of a later step: those that have a schedule follow it. */
    const later = ({ count, hyperparams }: InjectState): Record<string, NDArray> =>
      Object.fromEntries(
        places.map(({ name, value }) => {
          const old = hyperparams[name]
          return [name, typeof value === 'function' ? value(count).astype(old.dtype) : old]
        }),
      )
    const made = (hyperparams: Readonly<Record<string, NDArray>>): GradientTransformation => {
      const filled: unknown[] = args.map((argument) =>
        isOptions(argument) ? { ...argument } : argument,
      )
      for (const { name, position, key } of places) {
        const target = filled[position]
        if (key === null) filled[position] = hyperparams[name]
        else (target as Record<string, unknown>)[key] = hyperparams[name]
      }
      return factory(...(filled as [...Args]))
    }
    return transformation<InjectState>({
      init: (params) => {
        const count = zeroCount()
        const hyperparams = first(count, params)
        return { count, hyperparams, innerState: made(hyperparams).init(params) }
      },
      update: (grads, state, params, extra) => {
        const hyperparams = later(state)
        const [updates, innerState] = made(hyperparams).update(
          grads,
          state.innerState,
          params,
          extra,
        )
        return [updates, { count: increment(state.count), hyperparams, innerState }]
      },
    })
  }
}

const isInjectState = (state: unknown): state is InjectState =>
  isRecord(state) && isRecord(state['hyperparams']) && 'innerState' in state

/** Replaces the injected states inside a state; others stay as they are. */
function mapInjected(state: OptState, f: (injected: InjectState) => InjectState): OptState {
  if (isInjectState(state)) return f(state)
  if (Array.isArray(state)) return state.map((part: unknown) => mapInjected(part, f))
  if (!isRecord(state)) return state
  return Object.fromEntries(Object.entries(state).map(([key, part]) => [key, mapInjected(part, f)]))
}

function firstInjected(op: string, state: OptState): InjectState {
  const found: InjectState[] = []
  mapInjected(state, (injected) => {
    found.push(injected)
    return injected
  })
  const [first] = found
  if (first === undefined) {
    throw new ArgumentError({
      op,
      problem: 'there are no hyperparameters in this state',
      hint: 'make the optimiser with injectHyperparams',
    })
  }
  return first
}

/**
 * The hyperparameters that the last step used; of the first `injectHyperparams` inside a chain.
 *
 * @example
 * const optimiser = injectHyperparams(adam)(1e-3)
 * hyperparamsOf(optimiser.init(np.ones([2]))).learningRate // Array(0.001, dtype=float32)
 */
export const hyperparamsOf = (state: OptState): Readonly<Record<string, NDArray>> =>
  firstInjected('hyperparamsOf', state).hyperparams

/**
 * A state with other hyperparameters. Those that have a schedule are set by it in the next step.
 *
 * @example
 * const optimiser = injectHyperparams(sgd)(0.5)
 * const state = withHyperparams(optimiser.init(np.ones([1])), { learningRate: 0.25 })
 * optimiser.update(np.ones([1]), state)[0] // Array([-0.25], dtype=float32)
 */
export function withHyperparams(
  state: OptState,
  changes: Readonly<Record<string, Scalar>>,
): OptState {
  const known = firstInjected('withHyperparams', state).hyperparams
  const unknown = Object.keys(changes).find((name) => !Object.hasOwn(known, name))
  if (unknown !== undefined) {
    throw new ArgumentError({
      op: 'withHyperparams',
      problem: `there is no hyperparameter ${unknown}`,
      rule: `the hyperparameters are ${Object.keys(known).join(', ')}`,
    })
  }
  const values = Object.fromEntries(
    Object.entries(changes).map(([name, value]) => [
      name,
      np.asarray(value, { dtype: known[name].dtype }),
    ]),
  )
  let changed = false
  return mapInjected(state, (injected) => {
    if (changed) return injected
    changed = true
    return { ...injected, hyperparams: { ...injected.hyperparams, ...values } }
  })
}
