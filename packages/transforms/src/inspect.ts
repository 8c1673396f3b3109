/** Looking at programs without running them: their jaxprs, and the types of their results. */
import { Aval, type DType, type NDArray, type Shape, stage, tree } from '@adjoint/core/internal'
import { ClosedJaxpr } from './closed-jaxpr'
import { callName, flattenFunction, leafToArray, requireFunction } from './flat-function'
import type { RefuseAsync } from './function-types'

/** A shape and a dtype: what `evalShape` answers, and takes in place of an array. */
export interface ShapeAndDType {
  readonly shape: Shape
  readonly dtype: DType
}

/** A tree of types in place of arrays. */
export type ShapesOf<T> = T extends NDArray | number | boolean
  ? ShapeAndDType
  : T extends object
    ? { [K in keyof T]: ShapesOf<T[K]> }
    : T

interface AbstractArguments {
  readonly avals: readonly Aval[]
  readonly structure: tree.TreeStructure
}

/** Types of the leaves; an `Aval` is its own type. */
function abstractArguments(op: string, args: readonly unknown[]): AbstractArguments {
  const { leaves, structure } = tree.flatten(args)
  const paths = tree.structurePaths(structure, 'args')
  return {
    structure,
    avals: leaves.map((leaf, i) =>
      leaf instanceof Aval ? leaf : leafToArray(op, leaf, paths[i]).aval,
    ),
  }
}

/**
 * The program that a function is.
 *
 * @param f a function of trees of arrays
 * @returns a function of the same arguments (or their types) that answers the jaxpr; its text is
 *   JAX's
 * @example
 * String(makeJaxpr((x: NDArray) => np.sin(x))(np.array(1.5)))
 * // { lambda ; a:f32[]. let b:f32[] = sin a in (b,) }
 */
export function makeJaxpr<A extends readonly unknown[], R>(
  f: ((...args: A) => R) & RefuseAsync<R>,
): (...args: A) => ClosedJaxpr {
  requireFunction('makeJaxpr', f)
  const op = callName('makeJaxpr', f)
  return (...args) => {
    const { avals, structure } = abstractArguments(op, args)
    const { jaxpr, constants } = stage(
      flattenFunction<A>(op, f, structure).call,
      avals,
      'makeJaxpr',
      f.name,
    )
    return new ClosedJaxpr(jaxpr, constants)
  }
}

/**
 * The shapes and dtypes of a function's result, without computing it.
 *
 * @param f a function of trees of arrays
 * @param args arrays, or `Aval`s in their place
 * @returns a tree like the result, of `{ shape, dtype }`
 * @example
 * evalShape((x: NDArray, y: NDArray) => np.matmul(x, y), np.zeros([2, 3]), np.zeros([3, 4]))
 * // Aval { shape: [ 2, 4 ], dtype: 'float32', weakType: false }
 */
export function evalShape<A extends readonly unknown[], R>(
  f: ((...args: A) => R) & RefuseAsync<R>,
  ...args: A
): ShapesOf<R> {
  requireFunction('evalShape', f)
  const op = callName('evalShape', f)
  const { avals, structure } = abstractArguments(op, args)
  const flat = flattenFunction<A>(op, f, structure)
  const { jaxpr } = stage(flat.call, avals, 'evalShape', f.name)
  return tree.unflatten(flat.structure(), jaxpr.outAvals) as ShapesOf<R>
}
