/**
 * Forward mode: every value carries a tangent along.
 *
 * f(x), ∂f(x)·ẋ are computed together, primitive by primitive. The rules run one interpreter
 * further out, so a jvp inside a jvp differentiates the inner one's arithmetic, and tangents of the
 * two are kept apart because each interpreter recognises its own tracers only.
 */
import {
  ArgumentError,
  avalsMatch,
  bind,
  currentInterpreter,
  evaluateJaxpr,
  instantiate,
  type Interpreter,
  isFloating,
  isZero,
  makeScalar,
  makeTracer,
  type NDArray,
  type Params,
  type Primitive,
  runInterpreter,
  type Tangent,
  tangentAval,
  TransformationError,
  tree,
  underParent,
  zeroLike,
} from '@adjoint/core/internal'
import { type ClosedProgram, derivedOnce, flagsKey, stageWith } from './derived'
import {
  callName,
  differentiable,
  type FlatArguments,
  flattenArrays,
  flattenFunction,
  type FlatFunction,
  leafToArray,
  requireFunction,
} from './flat-function'
import type { RefuseAsync, Tangents } from './function-types'
import { nonzeros, present, withZeros } from './zeros'

interface Dual {
  readonly primal: NDArray
  readonly tangent: Tangent
}

export class JvpInterpreter implements Interpreter {
  readonly parent: Interpreter = currentInterpreter()
  active = true

  constructor(
    readonly name: string,
    readonly subject: string,
  ) {}

  process<P extends Params>(
    primitive: Primitive<P>,
    operands: readonly NDArray[],
    params: P,
  ): readonly NDArray[] {
    const duals = operands.map((operand) => this.split(operand))
    const primals = duals.map((d) => d.primal)
    const tangents = duals.map((d) => d.tangent)
    return underParent(this, () => {
      if (tangents.every(isZero)) return bind(primitive, primals, params)
      const result = primitive.jvp(primals, tangents, params)
      return result.primals.map((primal, i) => this.pair(primal, result.tangents[i]))
    })
  }

  pair(primal: NDArray, tangent: Tangent): NDArray {
    return isZero(tangent) ? primal : makeTracer(primal.aval, this, { primal, tangent })
  }

  split(value: NDArray): Dual {
    return value.owner === this
      ? (value.content as Dual)
      : { primal: value, tangent: zeroLike(value) }
  }
}

export interface JvpOutputs {
  readonly primals: readonly NDArray[]
  readonly tangents: readonly Tangent[]
}

/** The value of `f` and its derivative along `tangents`. */
export function jvpFlat(
  f: FlatFunction,
  primals: readonly NDArray[],
  tangents: readonly Tangent[],
  name = 'jvp',
  subject = '',
): JvpOutputs {
  const interpreter = new JvpInterpreter(name, subject)
  return runInterpreter(interpreter, () => {
    const outputs = f(primals.map((primal, i) => interpreter.pair(primal, tangents[i])))
    const duals = outputs.map((output) => interpreter.split(output))
    return { primals: duals.map((d) => d.primal), tangents: duals.map((d) => d.tangent) }
  })
}

export interface JvpProgram extends ClosedProgram {
  /** Which outputs have a tangent that may be nonzero, and so is an output too. */
  readonly tangentOut: readonly boolean[]
}

/**
 * The jvp of a program, as a program. Inputs: the primals, then the tangents that may be nonzero.
 * Outputs: likewise.
 *
 * @param tangentIn which inputs carry a tangent
 * @param forceOut outputs that get a tangent even where it is zero
 */
export const jvpJaxpr = derivedOnce(
  (tangentIn: readonly boolean[], forceOut: readonly boolean[]) =>
    `${flagsKey(tangentIn)}|${flagsKey(forceOut)}`,
  (jaxpr, tangentIn, forceOut): JvpProgram => {
    const { inAvals } = jaxpr
    const staged = stageWith(
      (inputs) => {
        const result = jvpFlat(
          (xs) => evaluateJaxpr(jaxpr, xs),
          inputs.slice(0, inAvals.length),
          withZeros(inputs.slice(inAvals.length), tangentIn, inAvals),
          'jvp',
          jaxpr.name,
        )
        const tangents = result.tangents.map((t, i) => (forceOut[i] ? instantiate(t) : t))
        return {
          outputs: [...result.primals, ...nonzeros(tangents)],
          facts: present(tangents),
        }
      },
      [...inAvals, ...inAvals.filter((_, i) => tangentIn[i]).map(tangentAval)],
      'jvp',
      jaxpr.name,
    )
    return { jaxpr: staged.jaxpr, constants: staged.constants, tangentOut: staged.facts }
  },
)

/**
 * The value of a function and its derivative along a direction.
 *
 * @param f a function of trees of arrays
 * @param primals the point: a list of arguments
 * @param tangents the direction: a list of trees like the primals
 * @returns `[f(...primals), ∂f(primals)·tangents]`
 * @throws TreeError, TransformationError when tangents do not fit the primals
 * @example
 * jvp((x: NDArray) => np.sin(x), [np.array(0.5)], [np.ones([])])
 * // [ Array(0.47942555, dtype=float32, weak_type=True), Array(0.87758255, dtype=float32) ]
 */
export function jvp<A extends readonly unknown[], R>(
  f: ((...args: A) => R) & RefuseAsync<R>,
  primals: A,
  tangents: Tangents<A>,
): [R, R] {
  requireFunction('jvp', f)
  const op = callName('jvp', f)
  requireLists(op, primals, tangents)
  const point = flattenArrays(op, primals, 'primals', differentiable)
  const dots = matchTangents(op, point, tangents)
  const flat = flattenFunction<A>(op, f, point.structure)
  const result = jvpFlat(flat.call, point.arrays, dots, 'jvp', f.name)
  return [
    tree.unflatten(flat.structure(), result.primals) as R,
    tree.unflatten(flat.structure(), result.tangents.map(instantiate)) as R,
  ]
}

/** Refuses arguments and directions that are not lists. */
export function requireLists(op: string, primals: unknown, directions: unknown): void {
  if (Array.isArray(primals) && Array.isArray(directions)) return
  const name = op.replace(/\(.*/, '')
  const direction = name === 'jvp' ? 'tangents' : 'vectors'
  throw new ArgumentError({
    op,
    problem: `${Array.isArray(primals) ? direction : 'primals'} is not a list`,
    rule: `primals and ${direction} are lists, with one entry per argument of the function`,
    hint: `${name}(f, [x], [${name === 'jvp' ? 'xDot' : 'v'}])`,
  })
}

/** Tangents checked against their primals; numbers take the primal's type. */
export function matchTangents(op: string, point: FlatArguments, tangents: unknown): Tangent[] {
  const { leaves, structure } = tree.flatten(tangents)
  tree.requireSameStructure(op, point.structure, structure, {
    expected: 'primals',
    actual: 'tangents',
    root: 'tangents',
  })
  const paths = tree.structurePaths(structure, 'tangents')
  return leaves.map((leaf, i): Tangent => {
    const { aval } = point.arrays[i]
    const expected = tangentAval(aval)
    if (typeof leaf === 'number' && aval.ndim === 0 && isFloating(aval.dtype)) {
      return makeScalar(leaf, expected)
    }
    const array = leafToArray(op, leaf, paths[i])
    if (!avalsMatch(array.aval, expected)) {
      throw new TransformationError({
        op,
        problem: 'a tangent does not fit its primal',
        operands: [
          { name: paths[i].replace('tangents', 'primals'), aval },
          { name: paths[i], aval: array.aval },
        ],
        path: paths[i],
        rule: 'a tangent has the shape and dtype of its primal, and float0 for integers',
        hint: isFloating(aval.dtype)
          ? `make it ${expected}`
          : 'close over integers instead of differentiating with respect to them',
      })
    }
    return isFloating(aval.dtype) ? array : zeroLike({ aval })
  })
}
