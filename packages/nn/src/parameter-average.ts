/** Averages of parameters over the steps of training, which often generalise better than the last. */
import { ArgumentError, np, tree, type NDArray } from '@adjoint/core'
import { checkOptions, isFloating } from '@adjoint/core/internal'

export interface ParameterAverageState<P> {
  readonly average: P
  /** How many updates there were. */
  readonly count: NDArray
  /** How much of where it began is still in it. */
  readonly remaining: NDArray
}

export interface ParameterAverage {
  init<P>(params: P): ParameterAverageState<P>
  update<P>(state: ParameterAverageState<P>, params: P): ParameterAverageState<P>
  /** The averaged parameters, for evaluation. */
  params<P>(state: ParameterAverageState<P>): P
}

export interface ParameterAverageOptions {
  /** What remains of the average at each step. */
  readonly decay: number
  /**
   * `'copy'` (the default) starts at the initial parameters. `'debias'` leaves them out and divides
   * by the sum of weights, as Adam does (Kingma & Ba 2015, section 3).
   */
  readonly start?: 'copy' | 'debias'
  /** Lets the decay begin low: `min(decay, (1 + n) / (10 + n))` at step n. */
  readonly warmup?: boolean
}

/**
 * The exponential moving average of parameters. Polyak & Juditsky 1992; the warm-up is TensorFlow's.
 * 16-bit floats are averaged in float32, where small steps are not lost. Traces under `jit`.
 *
 * @param options.decay for example 0.999
 * @example
 * const ema = parameterAverage({ decay: 0.999 })
 * const params = { w: np.ones([2]) }
 * let average = ema.init(params)
 * average = ema.update(average, { w: np.zeros([2]) })
 * ema.params(average).w.shape // [ 2 ]
 */
export function parameterAverage(options: ParameterAverageOptions): ParameterAverage {
  const op = 'parameterAverage(options)'
  const {
    decay,
    start = 'copy',
    warmup = false,
  } = checkOptions(op, options, ['decay', 'start', 'warmup'])
  if (!(decay >= 0 && decay <= 1)) {
    throw new ArgumentError({
      op,
      problem: `decay is ${decay}`,
      rule: 'it is what remains of the average at each step, from 0 to 1',
    })
  }
  const debias = start === 'debias'
  const rateAt = (count: NDArray): NDArray => {
    const n = count.astype('float32')
    return warmup
      ? np.minimum(decay, np.divide(np.add(n, 1), np.add(n, 10)))
      : np.array(decay, { dtype: 'float32' })
  }
  return {
    init: (params) => ({
      average: mapFloats((p) => (debias ? np.zerosLike(wide(p)) : wide(p)), params),
      count: np.zeros([], { dtype: 'int32' }),
      remaining: np.ones([]),
    }),
    update: ({ average, count, remaining }, params) => {
      const rate = rateAt(count)
      const next = mapFloats(
        (p, a) => {
          const [value, weight] = [wide(p), rate.astype(a.dtype)]
          return np.add(a, np.multiply(np.subtract(1, weight), np.subtract(value, a)))
        },
        params,
        average,
      )
      return { average: next, count: np.add(count, 1), remaining: np.multiply(remaining, rate) }
    },
    params: ({ average, remaining }) => {
      if (!debias) return average
      const total = np.subtract(1, remaining)
      return mapFloats((a) => np.divide(a, total.astype(a.dtype)), average)
    },
  }
}

const wide = (x: NDArray): NDArray =>
  x.dtype === 'float16' || x.dtype === 'bfloat16' ? x.astype('float32') : x

/** Leaves that are no floats (keys, counts) are not averaged but kept up to date. */
const mapFloats = <P>(f: (x: NDArray, y: NDArray) => NDArray, params: P, other: P = params): P =>
  tree.map((x: NDArray, y: NDArray) => (isFloating(x.dtype) ? f(x, y) : x), params, other) as P
