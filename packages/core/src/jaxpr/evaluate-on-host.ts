/** Running a jaxpr on host arrays, equation by equation: the meaning of every program. */
import { type Atom, isVar, type Jaxpr, type Var } from './ir'
import { type HostArray, hostScalar } from '../backends/reference/host-array'

export function evaluateOnHost(jaxpr: Jaxpr, operands: readonly HostArray[]): readonly HostArray[] {
  const environment = new Map<Var, HostArray>()
  jaxpr.inputs.forEach((v, i) => environment.set(v, required(operands[i], v)))
  const read = (atom: Atom): HostArray =>
    isVar(atom)
      ? required(environment.get(atom), atom)
      : hostScalar(atom.aval.dtype, Number(atom.value))
  for (const { primitive, inputs, outputs, params } of jaxpr.equations) {
    const results = primitive.evaluate(
      inputs.map(read),
      params,
      outputs.map((v) => v.aval),
    )
    outputs.forEach((v, i) => environment.set(v, required(results[i], v)))
  }
  return jaxpr.outputs.map(read)
}

function required(value: HostArray | undefined, variable: Var): HostArray {
  if (value === undefined) throw new Error(`no value for a variable of type ${variable.aval}`)
  return value
}
