/** Linear functions as values: the derivative at a point, and transposes. */
import {
  DifferentiationError,
  evaluateJaxpr,
  instantiate,
  LinearOperand,
  stage,
  tree,
  zeroLike,
} from '@adjoint/core/internal'
import {
  callName,
  differentiable,
  flattenArrays,
  flattenFunction,
  isDifferentiable,
  requireFunction,
} from './flat-function'
import type { Cotangents, Pullback, RefuseAsync, Tangents } from './function-types'
import { matchCotangent } from './grad'
import { matchTangents } from './jvp'
import { linearizeFlat } from './linearize'
import { backwardPass } from './transpose'
import { withZeros } from './zeros'

/**
 * The value of a function at a point, and its derivative there as a linear function.
 *
 * Unlike `jvp`, the function is run once, however many directions the derivative is applied to.
 *
 * @param f a function of trees of arrays
 * @param primals the point
 * @returns `[f(...primals), fLinear]`; `fLinear(...tangents)` is ∂f(primals)·tangents
 * @example
 * const [y, fLinear] = linearize((x: NDArray) => np.sin(x), np.array(0.5))
 * fLinear(np.array(2.5)) // Array(2.1939564, dtype=float32, weak_type=True)
 */
export function linearize<A extends readonly unknown[], R>(
  f: ((...args: A) => R) & RefuseAsync<R>,
  ...primals: A
): [R, (...tangents: Tangents<A>) => R] {
  requireFunction('linearize', f)
  const op = callName('linearize', f)
  const point = flattenArrays(op, primals, 'primals', differentiable)
  const flat = flattenFunction<A>(op, f, point.structure)
  const tangentIn = point.arrays.map(isDifferentiable)
  const {
    primals: values,
    linear,
    tangentOut,
  } = linearizeFlat(flat.call, point.arrays, tangentIn, {
    subject: f.name,
  })
  const structure = flat.structure()
  return [
    tree.unflatten(structure, values) as R,
    (...tangents) => {
      const dots = matchTangents(`the derivative of ${f.name || 'f'}`, point, tangents)
      const operands = dots.filter((_, i) => tangentIn[i]).map(instantiate)
      const results = evaluateJaxpr(linear.jaxpr, [...linear.residuals, ...operands])
      const full = withZeros(
        results,
        tangentOut,
        values.map((v) => v.aval),
      )
      return tree.unflatten(structure, full.map(instantiate)) as R
    },
  ]
}

/**
 * The transpose of a linear function.
 *
 * @param f a function that is linear in its arguments
 * @param examples arguments of the types that `f` takes; their values do not matter
 * @returns maps a tree like the result of `f` to a tuple with one tree per argument
 * @throws DifferentiationError when `f` is not linear
 * @example
 * linearTranspose((x: NDArray) => x.mul(3), np.array(0.5))(np.array(2.5))
 * // [ Array(7.5, dtype=float32, weak_type=True) ]
 */
export function linearTranspose<A extends readonly unknown[], R>(
  f: ((...args: A) => R) & RefuseAsync<R>,
  ...examples: A
): Pullback<A, R> {
  requireFunction('linearTranspose', f)
  const op = callName('linearTranspose', f)
  const point = flattenArrays(op, examples, 'examples', differentiable)
  const discrete = point.arrays.findIndex((x) => !isDifferentiable(x))
  if (discrete >= 0) {
    const path = tree.structurePaths(point.structure, 'examples')[discrete]
    throw new DifferentiationError({
      op,
      problem: 'an argument is not floating point',
      operands: [{ name: path, aval: point.arrays[discrete].aval }],
      path,
      rule: 'linear functions are functions of floating point arrays',
      hint: 'close over integers instead of passing them',
    })
  }
  const flat = flattenFunction<A>(op, f, point.structure)
  const { jaxpr, constants } = stage(
    flat.call,
    point.arrays.map((x) => x.aval),
    'linearTranspose',
    f.name,
  )
  const structure = flat.structure()
  return (cotangent) => {
    const yBars = matchCotangent(op, cotangent, structure, jaxpr.outAvals)
    const operands = [...constants, ...point.arrays.map((x) => new LinearOperand(x.aval))]
    const xBars = backwardPass(jaxpr, operands, yBars).slice(constants.length)
    return tree.unflatten(
      point.structure,
      xBars.map((xBar, i) => instantiate(xBar ?? zeroLike(point.arrays[i]))),
    ) as Cotangents<A>
  }
}
