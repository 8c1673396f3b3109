/** Running a jaxpr: binding its equations one by one under the current interpreter. */
import type { NDArray } from '../array/ndarray'
import { bind, makeScalar } from '../trace/interpreter'
import { type Atom, isVar, type Jaxpr, type Var } from './ir'

export function evaluateJaxpr(jaxpr: Jaxpr, operands: readonly NDArray[]): readonly NDArray[] {
  if (operands.length !== jaxpr.inputs.length) {
    throw new Error(`jaxpr takes ${jaxpr.inputs.length} inputs, got ${operands.length}`)
  }
  const environment = new Map<Var, NDArray>()
  jaxpr.inputs.forEach((v, i) => environment.set(v, operands[i]))
  const read = (atom: Atom): NDArray => {
    if (!isVar(atom)) return makeScalar(atom.value, atom.aval)
    const value = environment.get(atom)
    if (value === undefined) throw new Error(`unbound variable of type ${atom.aval}`)
    return value
  }
  for (const { primitive, inputs, outputs, params } of jaxpr.equations) {
    const results = bind(primitive, inputs.map(read), params)
    outputs.forEach((v, i) => environment.set(v, results[i]))
  }
  return jaxpr.outputs.map(read)
}
