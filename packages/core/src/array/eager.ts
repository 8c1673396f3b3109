/**
 * The root interpreter: binding a primitive on concrete arrays computes it.
 *
 * An eager operation is a program of one equation, compiled once per signature and kept. There is
 * no second way to compute anything.
 */
import type { Backend, DeviceData, Executable, Storage } from '../backends/backend'
import { equationHasEffects, hasEffects, partsOf } from '../jaxpr/effects'
import { type Atom, type Equation, isVar, Jaxpr, Var } from '../jaxpr/ir'
import { broadcastInDim } from '../primitives'
import {
  currentInterpreter,
  type Elements,
  installArray,
  installRoot,
  type Interpreter,
  leaked,
  makeScalar,
} from '../trace/interpreter'
import type { Params, Primitive } from '../trace/primitive'
import { Aval } from '../types/aval'
import type { DType } from '../types/dtype'
import { elementBits, elementData, elementOf } from '../types/element'
import {
  ConcretizationError,
  DeletedArrayError,
  DeviceError,
  DifferentiationError,
} from '../types/errors'
import { bitsToBfloat16, bitsToFloat16 } from '../types/float-formats'
import { type ArrayContent, Content, Splat, Stored } from './content'
import { currentBackend } from './device'
import { NDArray } from './ndarray'
import { Newest } from './newest'
import { compiled, operationProgram, requireSupport } from './programs'

// --- arrays and storage ------------------------------------------------------------------------------

/** A concrete array around a device's storage. */
export function wrap(storage: Storage, aval: Aval, committed: boolean): NDArray {
  return new NDArray(aval, null, tracked(storage, committed))
}

/** The content that a storage ends with. */
function tracked(storage: Storage, committed: boolean): Stored {
  const content = new Stored(storage, committed)
  storage.backend.track(content, storage)
  return content
}

/** An array on the current device from host data in memory form (16-bit floats as bits). */
export function fromData(aval: Aval, data: DeviceData): NDArray {
  const backend = currentBackend()
  requireSupport('array', backend, [aval])
  return wrap(backend.fromHost(aval, data), aval, false)
}

/** An array whose elements are all `value`; takes memory only when a program needs it there. */
export const splat = (aval: Aval, value: number | boolean): NDArray =>
  new NDArray(aval, null, new Splat(elementOf(value, aval.dtype)))

/** Element values in memory form. Values that already are in it are not copied. */
function memoryForm(values: Elements, dtype: DType): DeviceData {
  const data = elementData(dtype, values.length)
  const isBits = dtype === 'float16' || dtype === 'bfloat16'
  if (!isBits && dtype !== 'bool' && ArrayBuffer.isView(values)) {
    if (Object.getPrototypeOf(values) === Object.getPrototypeOf(data)) return values as DeviceData
  }
  const bits = dtype === 'bool' ? (v: number | boolean) => Number(Boolean(v)) : elementBits
  for (let i = 0; i < data.length; i++) data[i] = bits(values[i] ?? 0, dtype)
  return data
}

/** Memory form as numbers. */
export function decoded(data: DeviceData, dtype: DType): Elements {
  if (dtype === 'float16') return Float32Array.from(data, bitsToFloat16)
  if (dtype === 'bfloat16') return Float32Array.from(data, bitsToBfloat16)
  return data
}

/** Whether an interpreter is the current one, or around it. */
function isUnder(interpreter: Interpreter): boolean {
  for (let i: Interpreter | null = currentInterpreter(); i !== null; i = i.parent) {
    if (i === interpreter) return true
  }
  return false
}

function contentOf(array: NDArray, op: string): ArrayContent {
  const { content, owner } = array
  if (owner !== null) {
    if (!owner.active) throw leaked(op, owner, array.aval)
    // Its own interpreter has handed the operation on: to a custom rule that knows nothing of it.
    if (!isUnder(owner)) {
      throw new DifferentiationError({
        op,
        problem: `a custom rule closes over a value that ${owner.name} differentiates`,
        operands: [{ name: 'closed-over value', aval: array.aval }],
        rule: 'a custom rule says how to differentiate with respect to the arguments only',
        hint: 'pass the value as an argument',
      })
    }
    throw new ConcretizationError({
      op,
      problem: `needs a concrete array, got a tracer of ${owner.name}`,
      operands: [{ name: 'x', aval: array.aval }],
      rule: 'while a function is being transformed its values are not known',
      hint: 'return the value and read it outside, or use cond, where and scan instead of JavaScript control flow',
    })
  }
  if (!(content instanceof Splat || content instanceof Stored)) {
    throw new Error('an array without content')
  }
  if (content.deleted) {
    throw new DeletedArrayError({
      op,
      problem: 'the array was disposed of, or donated to a compiled program',
      operands: [{ name: 'x', aval: array.aval }],
      hint: 'use the result of the program instead, or do not donate this argument',
    })
  }
  return content
}

type Scalars = Newest<number | boolean | '-0', Stored>

const scalarsOf = new WeakMap<Backend, Map<DType, Scalars>>()
const SCALARS_KEPT = 512

/**
 * Scalars recur (learning rates, constants of formulas): each value is uploaded once. One that is
 * forgotten goes when it is collected and not at once, because a program may be about to read it.
 */
function scalarStorage(backend: Backend, aval: Aval, value: number | boolean): Storage {
  let byDType = scalarsOf.get(backend)
  if (!byDType) scalarsOf.set(backend, (byDType = new Map()))
  let scalars = byDType.get(aval.dtype)
  if (!scalars) byDType.set(aval.dtype, (scalars = new Newest(SCALARS_KEPT)))
  // A map takes 0 and -0 for the same key.
  const key = Object.is(value, -0) ? '-0' : value
  const known = scalars.get(key)
  if (known && !known.primary.deleted) return known.primary
  const storage = uploadSplat(backend, new Aval([], aval.dtype), value)
  scalars.set(key, tracked(storage, false))
  return storage
}

function uploadSplat(backend: Backend, aval: Aval, value: number | boolean): Storage {
  return backend.filled(aval, elementBits(value, aval.dtype))
}

/** The elements of an array on a device, brought there if need be. */
export function storageOn(backend: Backend, array: NDArray, op: string): Storage {
  const content = contentOf(array, op)
  if (content instanceof Splat && array.ndim === 0) {
    return scalarStorage(backend, array.aval, content.value)
  }
  const here = content.on(backend)
  if (here) return here
  requireSupport(op, backend, [array.aval])
  const copy =
    content instanceof Splat
      ? uploadSplat(backend, array.aval, content.value)
      : backend.fromHost(array.aval, content.primary.backend.read(content.primary))
  backend.track(content, copy)
  content.remember(copy)
  return copy
}

/** The elements in memory form, synchronously. */
export function readSync(array: NDArray, op = 'dataSync'): DeviceData {
  const content = contentOf(array, op)
  if (content instanceof Splat) {
    return elementData(array.dtype, array.size).fill(elementBits(content.value, array.dtype))
  }
  return content.primary.backend.read(content.primary)
}

/** The elements in memory form. */
export async function readAsync(array: NDArray, op = 'data'): Promise<DeviceData> {
  const content = contentOf(array, op)
  return content instanceof Splat
    ? readSync(array, op)
    : content.primary.backend.readAsync(content.primary)
}

/** Ends an array early. Using it afterwards is an error; disposing twice is not. */
export function dispose(array: NDArray): void {
  const { content } = array
  if (!(content instanceof Content) || content.deleted) return
  content.deleted = true
  for (const storage of content.storages) storage.backend.release(storage)
}

/** The device an array is on; the current one for tracers and constants. */
export const deviceOf = (array: NDArray): string =>
  array.content instanceof Stored ? array.content.primary.backend.name : currentBackend().name

/** A copy of the array that stays on the device: programs that use it run there. */
export function place(array: NDArray, backend: Backend): NDArray {
  requireSupport('devicePut', backend, [array.aval])
  const content = contentOf(array, 'devicePut')
  if (content instanceof Stored && content.committed && content.primary.backend === backend)
    return array
  const data = readSync(array, 'devicePut')
  return wrap(backend.fromHost(array.aval, data), array.aval, true)
}

// --- where a program runs ----------------------------------------------------------------------------

/** Programs follow arrays that were placed; otherwise they run on the current device. */
export function backendFor(op: string, operands: readonly NDArray[]): Backend {
  let placed: NDArray | null = null
  let backend: Backend | null = null
  for (const operand of operands) {
    const { content } = operand
    if (!(content instanceof Stored) || !content.committed) continue
    const here = content.primary.backend
    if (backend !== null && backend !== here) {
      throw new DeviceError({
        op,
        problem: 'operands were placed on different devices',
        operands: [placed ?? operand, operand].map((x) => ({
          name: 'x',
          aval: x.aval,
          note: `on ${deviceOf(x)}`,
        })),
        hint: 'devicePut brings arrays to one device',
      })
    }
    backend = here
    placed = operand
  }
  return backend ?? currentBackend()
}

function isCommitted(operands: readonly NDArray[]): boolean {
  for (const { content } of operands) {
    if (content instanceof Stored && content.committed) return true
  }
  return false
}

// --- running programs --------------------------------------------------------------------------------

/** Runs a compiled program on concrete arrays. Donated arrays are ended. */
export function execute(
  executable: Executable,
  backend: Backend,
  operands: readonly NDArray[],
  outAvals: readonly Aval[],
  op: string,
  donated: readonly boolean[] = [],
): NDArray[] {
  const inputs: Storage[] = []
  for (const operand of operands) inputs.push(storageOn(backend, operand, op))
  const outputs = executable.run(inputs)
  const committed = isCommitted(operands)
  for (let i = 0; i < donated.length; i++) {
    const content = operands[i]?.content
    if (donated[i] && content instanceof Content) content.deleted = true
  }
  return wrapAll(outputs, outAvals, committed)
}

function wrapAll(
  storages: readonly Storage[],
  avals: readonly Aval[],
  committed: boolean,
): NDArray[] {
  const arrays: NDArray[] = []
  for (let i = 0; i < storages.length; i++) arrays.push(wrap(storages[i], avals[i], committed))
  return arrays
}

// --- the interpreter -----------------------------------------------------------------------------------

/** The program of one equation. Operands with equal elements enter as scalars. */
function oneEquation<P extends Params>(
  primitive: Primitive<P>,
  operands: readonly NDArray[],
  params: P,
): Jaxpr {
  const inputs: Var[] = []
  const equations: Equation[] = []
  const atoms: Atom[] = operands.map(({ aval, content }) => {
    if (!(content instanceof Splat) || aval.ndim === 0) {
      const input = new Var(aval)
      inputs.push(input)
      return input
    }
    const scalar = new Var(new Aval([], aval.dtype, aval.weakType))
    const full = new Var(aval)
    inputs.push(scalar)
    equations.push({
      primitive: broadcastInDim.primitive,
      inputs: [scalar],
      outputs: [full],
      params: { shape: aval.shape, broadcastDimensions: [] },
    })
    return full
  })
  const outputs = primitive
    .abstractEval(
      operands.map((o) => o.aval),
      params,
    )
    .map((aval) => new Var(aval))
  equations.push({ primitive, inputs: atoms, outputs, params })
  return new Jaxpr(inputs, equations, outputs, primitive.name)
}

class EvaluatingInterpreter implements Interpreter {
  readonly name = 'evaluation'
  readonly subject = ''
  readonly parent = null
  readonly active = true

  process<P extends Params>(
    primitive: Primitive<P>,
    operands: readonly NDArray[],
    params: P,
  ): readonly NDArray[] {
    if (primitive.call !== null) return primitive.call(operands, params)
    const callee = primitive.callee(params)
    if (callee && hasEffects(callee)) return this.runInParts(callee, operands)
    if (primitive.steps !== null && equationHasEffects({ primitive, params })) {
      return primitive.steps(operands, params, (jaxpr, xs) => this.runInParts(jaxpr, xs))
    }
    const backend = backendFor(primitive.name, operands)
    if (callee) {
      return execute(compiled(callee, backend), backend, operands, callee.outAvals, primitive.name)
    }
    const constant = this.splat(primitive, operands, params)
    if (constant) return constant

    const executable = operationProgram(backend, primitive, operands, params, () => {
      // Before compiling, so that a misuse costs nothing and is not kept.
      for (const operand of operands) contentOf(operand, primitive.name)
      return oneEquation(primitive, operands, params)
    })
    const inputs: Storage[] = []
    for (const operand of operands) {
      const content = contentOf(operand, primitive.name)
      inputs.push(
        content instanceof Splat
          ? scalarStorage(backend, operand.aval, content.value)
          : storageOn(backend, operand, primitive.name),
      )
    }
    return wrapAll(executable.run(inputs), executable.outAvals, isCommitted(operands))
  }

  /** A program with effects, equation by equation or, where there are none, many at once. */
  private runInParts(jaxpr: Jaxpr, operands: readonly NDArray[]): readonly NDArray[] {
    const values = new Map<Var, NDArray>()
    jaxpr.inputs.forEach((v, i) => values.set(v, operands[i]))
    const read = (atom: Atom): NDArray => {
      const value = isVar(atom) ? values.get(atom) : makeScalar(atom.value, atom.aval)
      if (value === undefined) throw new Error(`unbound variable of type ${atom.aval}`)
      return value
    }
    for (const part of partsOf(jaxpr)) {
      if (part.kind === 'pure') {
        const inputs = part.jaxpr.inputs.map(read)
        const backend = backendFor(jaxpr.name, inputs)
        const program = compiled(part.jaxpr, backend)
        const results = execute(program, backend, inputs, part.jaxpr.outAvals, jaxpr.name)
        part.jaxpr.outputs.forEach((v, i) => isVar(v) && values.set(v, results[i]))
      } else {
        const { primitive, inputs, outputs, params } = part.equation
        const results = this.process(primitive, inputs.map(read), params)
        outputs.forEach((v, i) => values.set(v, results[i]))
      }
    }
    return jaxpr.outputs.map(read)
  }

  private splat<P extends Params>(
    primitive: Primitive<P>,
    operands: readonly NDArray[],
    params: P,
  ): readonly NDArray[] | null {
    if (primitive.splat === null || operands.length === 0) return null
    const elements: (number | boolean)[] = []
    for (const operand of operands) {
      const content = contentOf(operand, primitive.name)
      if (!(content instanceof Splat)) return null
      elements.push(content.value)
    }
    const avals = operands.map((o) => o.aval)
    const outputs = primitive.abstractEval(avals, params)
    const [output] = outputs
    if (outputs.length !== 1 || output === undefined) return null
    return [splat(output, primitive.splat(elements, params, avals, output))]
  }
}

/** Makes the array class and evaluation known to the layers below. Called by the package's index. */
export function installEvaluation(): void {
  installArray({
    tracer: (aval, owner, content) => new NDArray(aval, owner, content),
    scalar: (value, aval) => splat(aval, value),
    elements: (values, aval) => fromData(aval, memoryForm(values, aval.dtype)),
    read: (array, op) => decoded(readSync(array, op), array.dtype),
  })
  installRoot(new EvaluatingInterpreter())
}
