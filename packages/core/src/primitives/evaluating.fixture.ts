/** For tests: a root interpreter that computes with the primitives' own evaluation rules. */
import { NDArray } from '../array/ndarray'
import { installArray, installRoot, type Interpreter, withInterpreter } from '../trace/interpreter'
import type { Params, Primitive } from '../trace/primitive'
import { type HostArray, hostArray } from './strided'

/** Runs `f` with every bind evaluated on host arrays. */
export function evaluating<T>(f: () => T): T {
  return withInterpreter(root, f)
}

const root: Interpreter = {
  name: 'evaluate',
  subject: '',
  parent: null,
  active: true,
  process: <P extends Params>(primitive: Primitive<P>, operands: readonly NDArray[], params: P) => {
    const outputs = primitive.abstractEval(
      operands.map((o) => o.aval),
      params,
    )
    return primitive.evaluate(operands.map(toHost), params, outputs).map(fromHost)
  },
}

export const fromHost = (x: HostArray): NDArray => new NDArray(x.aval, null, x)
export const toHost = (x: NDArray): HostArray => x.content as HostArray

installRoot(root)
installArray({
  tracer: (aval, owner, content) => new NDArray(aval, owner, content),
  scalar: (value, aval) => {
    const x = hostArray(aval)
    x.data[0] = Number(value)
    return fromHost(x)
  },
  elements: (values, aval) => fromHost(hostArray(aval, Float64Array.from(values, Number))),
  read: (array) => [...toHost(array).data],
})
