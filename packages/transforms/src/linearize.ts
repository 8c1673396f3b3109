/**
 * Linearization: the value of a function now, its derivative as a linear program for later.
 *
 * A jvp rule is run under an interpreter that records only what depends on tangents and computes
 * everything else at once. That is partial evaluation of forward mode: primals are known, tangents
 * are not, and what the recorded equations need of the primals becomes a constant of the linear
 * program, a residual. The primals are concrete outside `jit`, so JavaScript's control flow on them
 * works. (Radul et al., "You only linearize once", POPL 2023.)
 */
import {
  type Atom,
  bind,
  currentInterpreter,
  evaluateJaxpr,
  instantiate,
  type Interpreter,
  isZero,
  Jaxpr,
  makeTracer,
  type NDArray,
  type Params,
  type Primitive,
  pruneJaxpr,
  runInterpreter,
  StagingInterpreter,
  type Tangent,
  tangentAval,
  underParent,
  withInterpreter,
  zeroLike,
} from '@adjoint/core/internal'
import { type ClosedProgram, derivedOnce, flagsKey, stageWith } from './derived'
import type { FlatFunction } from './flat-function'
import { cutResiduals } from './residuals'
import { present } from './zeros'

interface Linearized {
  readonly primal: NDArray
  /** A tracer of the recorder, or zero. */
  readonly tangent: Tangent
}

export class LinearizeInterpreter implements Interpreter {
  readonly parent: Interpreter = currentInterpreter()
  /** Records what depends on tangents; its parent is ours, so all else is computed there. */
  readonly recorder: StagingInterpreter
  active = true

  constructor(
    readonly name: string,
    readonly subject: string,
  ) {
    this.recorder = new StagingInterpreter(name, subject, 'dependent')
  }

  process<P extends Params>(
    primitive: Primitive<P>,
    operands: readonly NDArray[],
    params: P,
  ): readonly NDArray[] {
    const split = operands.map((operand) => this.split(operand))
    const primals = split.map((s) => s.primal)
    const tangents = split.map((s) => s.tangent)
    if (tangents.every(isZero)) return underParent(this, () => bind(primitive, primals, params))
    const rule = primitive.linearize
    if (rule === 'jvp') {
      const result = withInterpreter(this.recorder, () => primitive.jvp(primals, tangents, params))
      return result.primals.map((primal, i) => this.pair(primal, result.tangents[i]))
    }
    const known = underParent(this, () => rule(primals, present(tangents), params))
    const outputs = withInterpreter(this.recorder, () => known.linear(tangents))
    return known.primals.map((primal, i) => this.pair(primal, outputs[i]))
  }

  pair(primal: NDArray, tangent: Tangent): NDArray {
    return isZero(tangent) ? primal : makeTracer(primal.aval, this, { primal, tangent })
  }

  split(value: NDArray): Linearized {
    return value.owner === this
      ? (value.content as Linearized)
      : { primal: value, tangent: zeroLike(value) }
  }
}

/** A program that is linear in its inputs, apart from the residuals that come first. */
export interface LinearProgram {
  /** Inputs: residuals, then the tangents that may be nonzero. Outputs: likewise. */
  readonly jaxpr: Jaxpr
  readonly residuals: readonly NDArray[]
}

export interface Linearization {
  readonly primals: readonly NDArray[]
  readonly linear: LinearProgram
  /** Whether each output's tangent may be nonzero, and so is an output of the linear program. */
  readonly tangentOut: readonly boolean[]
}

/**
 * The value of `f` and its derivative as a program.
 *
 * @param tangentIn which inputs carry a tangent
 * @param forceOut which outputs get a tangent even where it is zero
 */
export function linearizeFlat(
  f: FlatFunction,
  primals: readonly NDArray[],
  tangentIn: readonly boolean[],
  options: {
    readonly name?: string
    readonly subject?: string
    readonly forceOut?: readonly boolean[]
  } = {},
): Linearization {
  const interpreter = new LinearizeInterpreter(options.name ?? 'linearize', options.subject ?? '')
  const { recorder } = interpreter
  try {
    const inputs = primals.map((primal, i) =>
      tangentIn[i] ? recorder.input(tangentAval(primal.aval)) : null,
    )
    const results = runInterpreter(interpreter, () => {
      const outputs = f(
        primals.map((primal, i) => {
          const input = inputs[i]
          return input ? interpreter.pair(primal, input.tracer) : primal
        }),
      )
      return outputs.map((output) => interpreter.split(output))
    })
    const tangents = results.map(({ tangent }, i) =>
      isZero(tangent) && options.forceOut?.[i]
        ? underParent(recorder, () => instantiate(tangent))
        : tangent,
    )
    const outputs = tangents.filter((t): t is NDArray => !isZero(t)).map((t) => recorder.atomOf(t))
    const { variables, values } = recorder.closedOver
    const jaxpr = new Jaxpr(
      [...variables, ...inputs.flatMap((input) => (input ? [input.variable] : []))],
      recorder.equations,
      outputs,
      options.subject,
    )
    return {
      primals: results.map((r) => r.primal),
      linear: dropUnusedResiduals({ jaxpr, residuals: values }),
      tangentOut: present(tangents),
    }
  } finally {
    recorder.active = false
  }
}

/** Equations that lead to no output would keep their residuals alive for nothing. */
function dropUnusedResiduals({ jaxpr, residuals }: LinearProgram): LinearProgram {
  const pruned = pruneJaxpr(
    jaxpr,
    jaxpr.outputs.map(() => true),
    (i) => i >= residuals.length,
  )
  return { jaxpr: pruned.jaxpr, residuals: residuals.filter((_, i) => pruned.usedInputs[i]) }
}

/** Where a residual comes from: an operand, a result of the program, or an extra result. */
export type ResidualSource =
  | { readonly from: 'input'; readonly index: number }
  | { readonly from: 'output'; readonly index: number }

export interface LinearizedProgram extends ClosedProgram {
  /** `jaxpr` (inherited) computes the primal outputs, then the residuals that must be computed. */
  readonly residuals: readonly ResidualSource[]
  /** Inputs: one per residual, then the tangents that may be nonzero. Outputs: likewise. */
  readonly linear: Jaxpr
  readonly tangentOut: readonly boolean[]
}

/**
 * A program split into its value and its derivative. Residuals that are operands or results anyway
 * are named, not computed again.
 */
export const linearizeJaxpr = derivedOnce(
  (tangentIn: readonly boolean[], forceOut: readonly boolean[]) =>
    `${flagsKey(tangentIn)}|${flagsKey(forceOut)}`,
  (jaxpr, tangentIn, forceOut): LinearizedProgram => {
    const staged = stageWith(
      (inputs) => {
        const { primals, linear, tangentOut } = linearizeFlat(
          (xs) => evaluateJaxpr(jaxpr, xs),
          inputs,
          tangentIn,
          { subject: jaxpr.name, forceOut },
        )
        return {
          outputs: [...primals, ...linear.residuals],
          facts: { linear: linear.jaxpr, tangentOut },
        }
      },
      jaxpr.inAvals,
      'linearize',
      jaxpr.name,
    )
    const { inputs, outputs, equations } = staged.jaxpr
    const numPrimals = jaxpr.outputs.length
    const kept: Atom[] = outputs.slice(0, numPrimals)
    const cut = cutResiduals(equations, outputs.slice(numPrimals), staged.facts.linear)
    const residuals = cut.residuals.map((atom): ResidualSource => {
      const input = inputs.findIndex((v) => v === atom) - staged.constants.length
      if (input >= 0) return { from: 'input', index: input }
      const output = kept.indexOf(atom)
      if (output >= 0) return { from: 'output', index: output }
      kept.push(atom)
      return { from: 'output', index: kept.length - 1 }
    })
    return {
      jaxpr: new Jaxpr(inputs, equations, kept, jaxpr.name),
      constants: staged.constants,
      residuals,
      linear: cut.linear,
      tangentOut: staged.facts.tangentOut,
    }
  },
)

/** The values of residuals, given a linearized program's operands and results. */
export const residualValues = (
  program: LinearizedProgram,
  operands: readonly NDArray[],
  results: readonly NDArray[],
): readonly NDArray[] =>
  program.residuals.map(({ from, index }) => (from === 'input' ? operands : results)[index])
