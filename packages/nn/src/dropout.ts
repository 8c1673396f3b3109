/** Dropout: noise that keeps a network from relying on any one feature. */
import { ArgumentError, np, random, type Key, type NDArray } from '@adjoint/core'
import { checkOptions } from '@adjoint/core/internal'
import type { Context, Layer } from './layer'

/**
 * While training, zeroes each element with probability `rate` and scales the others by
 * `1 / (1 − rate)`; otherwise the identity. Srivastava et al. 2014. Needs a key in the context.
 *
 * @param options.broadcastAxes axes along which one decision holds for all elements
 * @example
 * const layer = dropout(0.5)
 * const context = { train: true, key: random.key(0) }
 * layer.apply({ params: null, state: null }, np.ones([4]), context)[0].shape // [ 4 ]
 */
export function dropout(
  rate: number,
  options: { readonly broadcastAxes?: readonly number[] } = {},
): Layer<null> {
  const op = `dropout(${rate})`
  requireRate(op, rate)
  const { broadcastAxes = [] } = checkOptions(op, options, ['broadcastAxes'])
  return {
    init: () => ({ params: null, state: null }),
    apply: (_variables, x, context = {}) => {
      if (!context.train || rate === 0) return [x, null]
      const key = requireKey(op, context)
      const shared = broadcastAxes.map((axis) => (axis < 0 ? axis + x.ndim : axis))
      const shape = x.shape.map((n, axis) => (shared.includes(axis) ? 1 : n))
      return [dropped(key, rate, x, shape), null]
    },
  }
}

/** `x` with elements zeroed at `rate` and the others scaled. */
export function dropped(
  key: Key,
  rate: number,
  x: NDArray,
  shape: readonly number[] = x.shape,
): NDArray {
  // Nothing is left to be scaled, and 1 / 0 would be the derivative.
  if (rate === 1) return np.zerosLike(x)
  const keep = random.bernoulli(key, 1 - rate, shape)
  return np.where(keep, np.divide(x, 1 - rate), 0)
}

/** Refuses a rate that is no probability. */
export function requireRate(op: string, rate: number): void {
  if (rate >= 0 && rate <= 1) return
  throw new ArgumentError({
    op,
    problem: `the rate of dropout is ${rate}`,
    rule: 'it is a probability, from 0 to 1',
  })
}

/** The context's key, or an error that says how to give one. */
export function requireKey(op: string, context: Context): Key {
  if (context.key) return context.key
  throw new ArgumentError({
    op,
    problem: 'needs a key while training',
    hint: 'apply(variables, x, { train: true, key })',
  })
}
