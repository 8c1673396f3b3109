/** For tests: records the linear equations that a jvp rule binds, and transposes them. */
import type { NDArray } from '../array/ndarray'
import {
  currentInterpreter,
  type Interpreter,
  makeTracer,
  withInterpreter,
} from '../trace/interpreter'
import {
  isZero,
  LinearOperand,
  type Params,
  type Primitive,
  type Tangent,
  type TransposeOperand,
  Zero,
} from '../trace/primitive'
import { type Aval, tangentAval } from '../types/aval'
import { addTangents } from './constants'

interface Entry {
  readonly transpose: (cotangents: readonly Tangent[]) => readonly (Tangent | null)[]
  readonly inputs: readonly (NDArray | null)[]
  readonly outputs: readonly NDArray[]
}

/** Evaluates what does not depend on its tracers and records what does. */
export class Tape implements Interpreter {
  readonly name = 'tape'
  readonly subject = ''
  readonly parent = currentInterpreter()
  active = true
  private readonly entries: Entry[] = []

  process<P extends Params>(
    primitive: Primitive<P>,
    operands: readonly NDArray[],
    params: P,
  ): readonly NDArray[] {
    const linear = operands.map((operand) => operand.owner === this)
    if (!linear.includes(true)) {
      return withInterpreter(this.parent, () => this.parent.process(primitive, operands, params))
    }
    const avals = primitive.abstractEval(
      operands.map((o) => o.aval),
      params,
    )
    const outputs = avals.map((aval) => makeTracer(aval, this, null))
    const seen = operands.map((o, i): TransposeOperand =>
      linear[i] ? new LinearOperand(o.aval) : o,
    )
    this.entries.push({
      transpose: (cotangents) => primitive.transpose(cotangents, seen, params),
      inputs: operands.map((o, i) => (linear[i] ? o : null)),
      outputs,
    })
    return outputs
  }

  tracer(aval: Aval): NDArray {
    return makeTracer(aval, this, null)
  }

  /** Cotangents of `inputs` from those of `results`. */
  pullback(
    results: readonly Tangent[],
    cotangents: readonly NDArray[],
    inputs: readonly NDArray[],
  ): readonly Tangent[] {
    const bars = new Map<NDArray, Tangent>()
    const accumulate = (x: NDArray, bar: Tangent): void => {
      bars.set(x, addTangents(bars.get(x) ?? new Zero(tangentAval(x.aval)), bar))
    }
    results.forEach((result, i) => {
      if (!isZero(result) && result.owner === this) accumulate(result, cotangents[i])
    })
    for (const { transpose, inputs: operands, outputs } of [...this.entries].reverse()) {
      const outputBars = outputs.map((o) => bars.get(o) ?? new Zero(tangentAval(o.aval)))
      if (outputBars.every(isZero)) continue
      transpose(outputBars).forEach((bar, i) => {
        const operand = operands[i]
        if (operand !== null && bar !== null) accumulate(operand, bar)
      })
    }
    return inputs.map((x) => bars.get(x) ?? new Zero(tangentAval(x.aval)))
  }
}
