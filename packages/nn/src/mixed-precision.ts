/**
 * Training in 16 bits with 32-bit parameters. Micikevicius et al., "Mixed Precision Training" (ICLR
 * 2018): compute in half precision, keep master weights in single, and scale the loss so that small
 * gradients do not vanish. Policies are those of DeepMind's jmp (https://github.com/google-deepmind/jmp).
 */
import { ArgumentError, np, tree, type NDArray } from '@adjoint/core'
import { checkOptions, isFloating } from '@adjoint/core/internal'
import { valueAndGrad } from '@adjoint/transforms'
import type { Layer } from './layer'

export type FloatDType = 'float16' | 'bfloat16' | 'float32' | 'float64'

export interface DynamicLossScale {
  /** What the loss is multiplied with at first: 2¹⁵ unless given. */
  readonly initial?: number
  /** After so many finite steps the scale grows: 2000 unless given. */
  readonly period?: number
  /** By this factor, by which it shrinks at once when a gradient overflows: 2 unless given. */
  readonly factor?: number
  /** The smallest scale: 1 unless given. */
  readonly least?: number
}

export interface PrecisionPolicy {
  /** In which layers compute. */
  readonly compute: FloatDType
  /** Of the parameters that are trained: float32 unless given. */
  readonly params?: FloatDType
  /** Of what layers return: float32 unless given. */
  readonly output?: FloatDType
  /** A number is a constant scale. By default float16 has a dynamic one, and other dtypes have none. */
  readonly lossScale?: DynamicLossScale | number
}

/** The loss scale and for how many steps it has held: a tree to carry along and to save. */
export interface LossScale {
  readonly scale: NDArray
  readonly streak: NDArray
}

export interface ScaledGradients<P> {
  readonly value: NDArray
  /** Of the loss itself, in the dtypes of the parameters. */
  readonly grads: P
  /** Whether all of them are finite: if not, the step is to be skipped. */
  readonly finite: NDArray
  /** For the next step. */
  readonly lossScale: LossScale
}

export interface MixedPrecision {
  /** Floats of a tree in the dtype for computing; other leaves stay. */
  castToCompute<T>(value: T): T
  castToParams<T>(value: T): T
  castToOutput<T>(value: T): T
  /** A layer that computes in the policy's dtype, and keeps parameters and state in theirs. */
  layer<P, S>(layer: Layer<P, S>): Layer<P, S>
  /** The loss scale to begin with. */
  init(): LossScale
  /** `valueAndGrad` of the loss, computed from the scaled loss. */
  valueAndGrad<P, A extends readonly unknown[]>(
    loss: (params: P, ...args: A) => NDArray,
  ): (lossScale: LossScale, params: P, ...args: A) => ScaledGradients<P>
  /** The first tree where `finite`, otherwise the second: skips steps, leaf by leaf. */
  select<T>(finite: NDArray, stepped: T, kept: T): T
}

/**
 * Mixed precision by a policy, with loss scaling that skips steps whose gradients overflow.
 *
 * @param policy dtypes for computing, parameters and results, and the loss scale; a dtype alone is
 *   the one for computing
 * @example
 * const precision = mixedPrecision('float16')
 * const model = precision.layer(linear(3, 1))
 * const { params, state } = model.init(random.key(0))
 * const loss = (p: typeof params, x: NDArray): NDArray =>
 *   np.mean(np.square(model.apply({ params: p, state }, x)[0]))
 * const optimiser = optim.adam(1e-3)
 * const step = jit((p, optState, lossScale, x) => {
 *   const { grads, finite, ...next } = precision.valueAndGrad(loss)(lossScale, p, x)
 *   const [updates, stepped] = optimiser.update(grads, optState, p)
 *   const after = [optim.applyUpdates(p, updates), stepped]
 *   return [...precision.select(finite, after, [p, optState]), next.lossScale, next.value]
 * })
 */
export function mixedPrecision(policy: PrecisionPolicy | FloatDType): MixedPrecision {
  const full: PrecisionPolicy = typeof policy === 'string' ? { compute: policy } : policy
  const op = 'mixedPrecision(policy)'
  checkOptions(op, full, ['compute', 'params', 'output', 'lossScale'])
  const { compute, params = 'float32', output = 'float32' } = full
  for (const dtype of [compute, params, output]) {
    if (isFloating(dtype)) continue
    throw new ArgumentError({
      op,
      problem: `${dtype} is not a floating dtype`,
      rule: 'compute, params and output are float16, bfloat16, float32 or float64',
    })
  }
  const scaling = lossScaling(full.lossScale ?? (compute === 'float16' ? {} : 1))
  const castTo =
    (dtype: FloatDType) =>
    <T>(value: T): T =>
      tree.map((x: NDArray) => (isFloating(x.dtype) ? x.astype(dtype) : x), value) as T
  const castToCompute = castTo(compute)
  const castToOutput = castTo(output)

  return {
    castToCompute,
    castToParams: castTo(params),
    castToOutput,
    layer: <P, S>(layer: Layer<P, S>): Layer<P, S> => ({
      ...layer,
      init: (key) => {
        const variables = layer.init(key)
        return { ...variables, params: castTo(params)(variables.params) }
      },
      apply: (variables, x, context) => {
        const [y, state] = layer.apply(
          { params: castToCompute(variables.params), state: variables.state },
          castToCompute(x),
          context,
        )
        return [castToOutput(y), likeIn(state, variables.state)]
      },
    }),
    init: scaling.init,
    valueAndGrad:
      <P, A extends readonly unknown[]>(loss: (params: P, ...args: A) => NDArray) =>
      (lossScale: LossScale, at: P, ...args: A) => {
        const scaled = (p: P): [NDArray, NDArray] => {
          const value = loss(p, ...args)
          const wide = value.dtype === 'float64' ? value : value.astype('float32')
          return [np.multiply(wide, lossScale.scale.astype(wide.dtype)), wide]
        }
        const [[, value], scaledGrads] = valueAndGrad(scaled, { hasAux: true })(at)
        // A power of two unless the user chose otherwise: dividing is exact.
        const grads = tree.map(
          (g: NDArray) => np.divide(g, lossScale.scale.astype(g.dtype)),
          scaledGrads,
        ) as P
        const finite = allFinite(grads)
        return { value, grads, finite, lossScale: scaling.next(lossScale, finite) }
      },
    select: selectTree,
  }
}

/**
 * Whether every element of every leaf is finite: a scalar.
 *
 * @example
 * allFinite({ w: np.array([1, Infinity]) }) // Array(False, dtype=bool)
 */
export function allFinite(value: unknown): NDArray {
  const each = tree.leaves<NDArray>(value).map((leaf) => np.all(np.isfinite(leaf)))
  return each.length === 0 ? np.array(true) : np.all(np.stack(each))
}

function selectTree<T>(chosen: NDArray, first: T, second: T): T {
  return tree.map((a: NDArray, b: NDArray) => np.where(chosen, a, b), first, second) as T
}

/** State keeps its dtypes, so that statistics are not collected in half precision. */
const likeIn = <S>(state: S, before: S): S => {
  const same = tree.structureEq.equals(tree.structure(state), tree.structure(before))
  return same
    ? (tree.map((now: NDArray, old: NDArray) => now.astype(old.dtype), state, before) as S)
    : state
}

interface LossScaling {
  readonly init: () => LossScale
  readonly next: (current: LossScale, finite: NDArray) => LossScale
}

function lossScaling(options: DynamicLossScale | number): LossScaling {
  const constant = typeof options === 'number'
  if (!constant) {
    checkOptions('mixedPrecision({ lossScale })', options, ['initial', 'period', 'factor', 'least'])
  }
  const { initial = 2 ** 15, period = 2000, factor = 2, least = 1 } = constant ? {} : options
  const first = constant ? options : initial
  return {
    init: () => ({
      scale: np.full([], first, { dtype: 'float32' }),
      streak: np.zeros([], { dtype: 'int32' }),
    }),
    next: (current, finite) => {
      if (constant) return current
      const { scale, streak } = current
      const due = np.greaterEqual(np.add(streak, 1), period)
      const grown = np.where(due, np.multiply(scale, factor), scale)
      const shrunk = np.maximum(np.divide(scale, factor), least)
      return {
        // Growing past the largest float would end every step thereafter.
        scale: np.where(finite, np.where(np.isfinite(grown), grown, scale), shrunk),
        streak: np.where(np.logicalAnd(finite, np.logicalNot(due)), np.add(streak, 1), 0),
      }
    },
  }
}
