/** `vmap` against a loop, and `jit` against no `jit`. */
import { np, type NDArray, tree } from '@adjoint/core'
import { jit, vmap } from '@adjoint/transforms'
import { type CompareOptions, requireClose } from './compare'

type ArrayFunction = (...args: NDArray[]) => unknown

/**
 * Checks that `vmap(f)` is the stack of `f` over rows.
 *
 * @param f a function of trees of arrays
 * @param args trees whose leaves all have the mapped axis in front, with one common size
 * @param options.tolerance how far results may be apart; by dtype unless given
 * @throws Error that says where the two differ
 * @example
 * checkVmap((x: NDArray) => np.cumsum(x), [np.array([[1, 2], [3, 4]])])
 */
export function checkVmap(
  f: ArrayFunction,
  args: readonly unknown[],
  options: CompareOptions = {},
): void {
  const { leaves, structure } = tree.flatten<NDArray>(args)
  const size = leaves[0]?.shape[0] ?? 0
  const row = (i: number): unknown =>
    f(
      ...(tree.unflatten(
        structure,
        leaves.map((x) => x.get(i)),
      ) as NDArray[]),
    )
  const rows = Array.from({ length: size }, (_, i) => row(i))
  const expected = tree.map((...xs: NDArray[]) => np.stack(xs), rows[0], ...rows.slice(1))
  const actual = vmap(f)(...(args as readonly NDArray[]))
  requireClose(`vmap of ${f.name || 'f'}`, actual, expected, options)
}

/**
 * Checks that compiling a function does not change what it computes on the current device.
 *
 * @param f a function of trees of arrays
 * @param args its arguments
 * @param options.tolerance how far results may be apart; by dtype unless given
 * @throws Error that says where the two differ
 * @example
 * checkJit((x: NDArray) => np.sum(np.exp(x)), [np.array([0.1, 0.2])])
 */
export function checkJit(
  f: ArrayFunction,
  args: readonly unknown[],
  options: CompareOptions = {},
): void {
  const operands = args as readonly NDArray[]
  requireClose(`jit of ${f.name || 'f'}`, jit(f)(...operands), f(...operands), options)
}
