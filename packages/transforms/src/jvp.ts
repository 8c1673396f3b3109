/**
 * Forward mode: every value carries a tangent along.
 *
 * f(x), ∂f(x)·ẋ are computed together, primitive by primitive. The rules run one interpreter
 * further out, so a jvp inside a jvp differentiates the inner one's arithmetic, and tangents of the
 * two are kept apart because each interpreter recognises its own tracers only.
 */
import {
  bind,
  currentInterpreter,
  evaluateJaxpr,
  instantiate,
  type Interpreter,
  isZero,
  makeTracer,
  type NDArray,
  type Params,
  type Primitive,
  runInterpreter,
  type Tangent,
  tangentAval,
  underParent,
  zeroLike,
} from '@adjoint/core/internal'
import { type ClosedProgram, derivedOnce, flagsKey, stageWith } from './derived'
import type { FlatFunction } from './flat-function'
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
