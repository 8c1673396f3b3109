/** What line searches are told. */
import { type ArrayLike, type DType, np, tree, type NDArray } from '@adjoint/core'
import { type ExtraArgs, requireExtra, requireParams } from './transformation'

export interface SearchArguments {
  readonly params: unknown
  /** The loss at the parameters, its gradient there, and the loss as a function of them. */
  readonly value: NDArray
  readonly grad: unknown
  readonly valueFn: (params: unknown) => NDArray
  /** A number in the dtype of the search. */
  readonly number: (x: ArrayLike) => NDArray
}

/** The dtype of losses and step sizes: that of the first parameter. */
export const searchDType = (params: unknown): DType =>
  tree.leaves<NDArray>(params)[0]?.dtype ?? 'float32'

/**
 * @param op the search, as the user called it
 * @throws ArgumentError when the parameters or one of the extra arguments is missing
 */
export function searchArguments(
  op: string,
  dtype: DType,
  given: unknown,
  extra: ExtraArgs,
): SearchArguments {
  const params = requireParams(op, given)
  const { value, grad, valueFn } = requireExtra(op, extra, 'value', 'grad', 'valueFn')
  const number = (x: ArrayLike): NDArray => np.asarray(x).astype(dtype)
  return { params, value: number(value), grad, valueFn: (p) => valueFn(p), number }
}
