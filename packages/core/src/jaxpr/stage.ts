/** Staging: running a function on tracers that record what is done to them. */
import type { NDArray } from '../array/ndarray'
import type { Aval } from '../types/aval'
import {
  bind,
  currentInterpreter,
  type Interpreter,
  makeTracer,
  runInterpreter,
  underParent,
} from '../trace/interpreter'
import type { Params, Primitive } from '../trace/primitive'
import { type Atom, type Equation, Jaxpr, Literal, Var } from './ir'

/**
 * Records every bind as an equation. Values from outside (concrete arrays, tracers of outer
 * transformations) become constants: extra inputs of the jaxpr, in order of first use.
 */
export class StagingInterpreter implements Interpreter {
  readonly parent: Interpreter
  active = true
  readonly equations: Equation[] = []
  private readonly constants = new Map<NDArray, Var>()

  constructor(
    readonly name: string,
    readonly subject: string,
    /** `dependent`: equations that use none of our tracers are run in the parent instead. */
    readonly records: 'everything' | 'dependent' = 'everything',
  ) {
    this.parent = currentInterpreter()
  }

  process<P extends Params>(
    primitive: Primitive<P>,
    operands: readonly NDArray[],
    params: P,
  ): readonly NDArray[] {
    if (this.records === 'dependent' && !operands.some((operand) => operand.owner === this)) {
      return underParent(this, () => bind(primitive, operands, params))
    }
    const inputs = operands.map((operand) => this.atomOf(operand))
    const outAvals = primitive.abstractEval(
      inputs.map((a) => a.aval),
      params,
    )
    const outputs = outAvals.map((aval) => new Var(aval))
    this.equations.push({ primitive, inputs, outputs, params })
    return outputs.map((v) => this.tracer(v))
  }

  tracer(atom: Atom): NDArray {
    return makeTracer(atom.aval, this, atom)
  }

  input(aval: Aval): { variable: Var; tracer: NDArray } {
    const variable = new Var(aval)
    return { variable, tracer: this.tracer(variable) }
  }

  atomOf(value: NDArray): Atom {
    if (value.owner === this) return value.content as Atom
    const scalar = value.scalarLiteral
    if (scalar !== null) return new Literal(scalar, value.aval)
    const known = this.constants.get(value)
    if (known) return known
    const variable = new Var(value.aval)
    this.constants.set(value, variable)
    return variable
  }

  /** The values closed over so far and the inputs that stand for them. */
  get closedOver(): { readonly variables: readonly Var[]; readonly values: readonly NDArray[] } {
    return { variables: [...this.constants.values()], values: [...this.constants.keys()] }
  }
}

export interface Staged {
  /** Inputs: first one per constant, then one per entry of `inAvals`. */
  readonly jaxpr: Jaxpr
  readonly constants: readonly NDArray[]
}

/** Records `f`, a function of flat lists, on inputs of the given avals. */
export function stage(
  f: (inputs: readonly NDArray[]) => readonly NDArray[],
  inAvals: readonly Aval[],
  name = 'jit',
  subject = '',
): Staged {
  const interpreter = new StagingInterpreter(name, subject)
  return runInterpreter(interpreter, () => {
    const inputs = inAvals.map((aval) => interpreter.input(aval))
    const results = f(inputs.map((i) => i.tracer))
    const outputs = results.map((r) => interpreter.atomOf(r))
    const { variables, values } = interpreter.closedOver
    const jaxpr = new Jaxpr(
      [...variables, ...inputs.map((i) => i.variable)],
      interpreter.equations,
      outputs,
      subject,
    )
    return { jaxpr, constants: values }
  })
}
