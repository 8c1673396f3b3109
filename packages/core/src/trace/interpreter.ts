/**
 * The one current interpreter, and `bind`.
 *
 * A program is a sequence of `bind`s. What a bind does is decided by the current interpreter:
 * evaluation computes, staging records, jvp/linearize/vmap apply a rule and bind again one level
 * further out. An interpreter knows its parent and runs its rules there, and it recognises its own
 * tracers by identity; every other value is a constant to it. So perturbations cannot mix, and no
 * level numbers are needed.
 */
import type { NDArray } from '../array/ndarray'
import type { Aval } from '../types/aval'
import { LeakedTracerError, onDescribeNesting } from '../types/errors'
import type { Params, Primitive } from './primitive'

export interface Interpreter {
  /** What the user called: `grad`, `vmap`, `jit`; used by errors and by printed tracers. */
  readonly name: string
  /** The name of the function being transformed, if it has one. */
  readonly subject: string
  readonly parent: Interpreter | null
  /** False once the transformation has returned: its tracers are then refused. */
  active: boolean
  process<P extends Params>(
    primitive: Primitive<P>,
    operands: readonly NDArray[],
    params: P,
  ): readonly NDArray[]
}

let current: Interpreter | null = null

/** What the array class tells this layer, which lies below it. */
export interface ArrayConstructors {
  tracer(aval: Aval, owner: Interpreter, content: unknown): NDArray
  /** A concrete scalar held on the host: costs no device memory, and staging writes it as a literal. */
  scalar(value: number | boolean, aval: Aval): NDArray
  /** A concrete array of these elements, in row-major order. */
  elements(values: Elements, aval: Aval): NDArray
  /** The elements of a concrete array; a tracer is refused in the name of `op`. */
  read(array: NDArray, op: string): Elements
}

/** Element values as JavaScript holds them: 16-bit floats decoded, booleans also as 0 and 1. */
export interface Elements {
  readonly length: number
  readonly [index: number]: number | boolean
}

let constructors: ArrayConstructors | null = null

/** Called once, by the package's index: the root interpreter evaluates. */
export function installRoot(root: Interpreter): void {
  current ??= root
}

/** Called once, by the array class: how values are made. */
export function installArray(make: ArrayConstructors): void {
  constructors = make
}

function arrays(): ArrayConstructors {
  if (constructors === null)
    throw new Error('no array class installed: import the package index first')
  return constructors
}

export function currentInterpreter(): Interpreter {
  if (current === null) throw new Error('no interpreter installed: import the package index first')
  return current
}

/** Runs `f` with `interpreter` as the current one, and restores the old one whatever happens. */
export function withInterpreter<T>(interpreter: Interpreter, f: () => T): T {
  const saved = current
  current = interpreter
  try {
    return f()
  } finally {
    current = saved
  }
}

/**
 * Runs `f` under `interpreter` and retires it afterwards, so that tracers which escaped are refused.
 */
export function runInterpreter<T>(interpreter: Interpreter, f: () => T): T {
  try {
    return withInterpreter(interpreter, f)
  } finally {
    interpreter.active = false
  }
}

/** Runs `f` one level out: where an interpreter's rules run. */
export function underParent<T>(interpreter: Interpreter, f: () => T): T {
  return withInterpreter(interpreter.parent ?? interpreter, f)
}

/** A value that belongs to `owner`; its `content` is the owner's own business. */
export function makeTracer(aval: Aval, owner: Interpreter, content: unknown): NDArray {
  return arrays().tracer(aval, owner, content)
}

/** A scalar constant. `aval.shape` is `[]`. */
export function makeScalar(value: number | boolean, aval: Aval): NDArray {
  return arrays().scalar(value, aval)
}

/** A concrete array of these elements, in row-major order. */
export function makeArray(values: Elements, aval: Aval): NDArray {
  return arrays().elements(values, aval)
}

/** The elements of a concrete array, for what needs to know values: masks, sizes, printing. */
export function readElements(array: NDArray, op: string): Elements {
  return arrays().read(array, op)
}

/** Applies a primitive under the current interpreter. */
export function bind<P extends Params>(
  primitive: Primitive<P>,
  operands: readonly NDArray[],
  params: P,
): readonly NDArray[] {
  for (let i = 0; i < operands.length; i++) {
    const { owner } = operands[i]
    if (owner !== null && !owner.active) throw leaked(primitive.name, owner, operands[i].aval)
  }
  return currentInterpreter().process(primitive, operands, params)
}

/** `bind` for primitives with one result. */
export function bind1<P extends Params>(
  primitive: Primitive<P>,
  operands: readonly NDArray[],
  params: P,
): NDArray {
  const results = bind(primitive, operands, params)
  if (results.length === 0) throw new Error(`${primitive.name} has no result`)
  return results[0]
}

export function leaked(op: string, owner: Interpreter, aval: Aval): LeakedTracerError {
  return new LeakedTracerError({
    op,
    problem: `a tracer of ${describe(owner)} is used after it has finished`,
    operands: [{ name: 'tracer', aval }],
    rule: 'values made inside a transformed function live only while it runs',
    hint: 'return the value from the function (hasAux helps), and do not keep it in outer variables',
  })
}

/** Programs print functions without a name as JAX does; a sentence leaves them out. */
const subjectOf = ({ subject }: Interpreter): string => (subject === '<lambda>' ? '' : subject)

export const describe = (interpreter: Interpreter): string =>
  subjectOf(interpreter) ? `${interpreter.name} of ${interpreter.subject}` : interpreter.name

/** `vmap of grad of loss`, outermost first; empty when nothing is being transformed. */
export function describeNesting(): string {
  const names: string[] = []
  let subject = ''
  for (let i = current; i !== null && i.parent !== null; i = i.parent) {
    names.push(i.name)
    subject ||= subjectOf(i)
  }
  if (names.length === 0) return ''
  return [...names.reverse(), subject].filter(Boolean).join(' of ')
}
onDescribeNesting(describeNesting)
