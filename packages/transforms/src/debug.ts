/** Looking at values inside transformed functions: JAX's `debug`. */
import {
  ArgumentError,
  bind,
  decoded,
  definePrimitive,
  fromHostArray,
  hostArray,
  moveAxis,
  NDArray,
  nonlinear,
  type Primitive,
  readAsync,
  register,
  tree,
} from '@adjoint/core/internal'
import { flattenArrays, requireFunction } from './flat-function'

type CallbackParams = {
  /** Takes the values of the operands. */
  readonly callback: (operands: readonly NDArray[]) => void
}

/**
 * Calls back with the values that its operands have when it is their turn. It has no results: it
 * stands in programs for its own sake, and derivatives pass it by.
 */
const callbackPrimitive: Primitive<CallbackParams> = register(
  definePrimitive<CallbackParams>({
    name: 'debug_callback',
    abstractEval: () => [],
    jvp: (primals, _tangents, params) => {
      bind(callbackPrimitive, primals, params)
      return { primals: [], tangents: [] }
    },
    transpose: nonlinear,
    // Once for each example, in their order.
    batch: (axis, operands, dims, { callback }) => {
      const front = operands.map((x, i) => {
        const dim = dims[i]
        return dim === null ? x : moveAxis(x, dim, 0)
      })
      const eachExample = (values: readonly NDArray[]): void => {
        for (let lane = 0; lane < axis.size; lane++) {
          callback(values.map((x, i) => (dims[i] === null ? x : x.get(lane))))
        }
      }
      return { outputs: bind(callbackPrimitive, front, { callback: eachExample }), dims: [] }
    },
    call: (operands, { callback }) => {
      callback(operands)
      return []
    },
    evaluate: () => [],
    lower: () => [],
    effect: true,
    opaque: true,
  }),
)

/**
 * Calls a function with the values that arrays have when a program gets there: each time it runs,
 * under `jit` and in loops as well, and once per example under `vmap`. Derivatives pass it by.
 *
 * A compiled program cannot stop in the middle: one with callbacks runs in parts, and loops around
 * callbacks run step by step. Take them out again where speed matters.
 *
 * @param callback gets trees of concrete arrays; what it returns is ignored
 * @param args trees of arrays
 * @example
 * const seen: unknown[] = []
 * const f = jit((x: NDArray) => {
 *   debug.callback((y: NDArray) => { seen.push(y.item()) }, np.sum(x))
 *   return np.sin(x)
 * })
 * f(np.arange(4))
 * seen // [ 6 ]
 */
export function callback<A extends readonly unknown[]>(
  callback: (...args: NoInfer<A>) => void,
  ...args: A
): void {
  const op = 'debug.callback'
  requireFunction(op, callback)
  const { arrays, structure } = flattenArrays(op, args, 'args')
  bind(callbackPrimitive, arrays, {
    callback: (values) => {
      callback(...(tree.unflatten(structure, values) as A))
    },
  })
}

// --- print --------------------------------------------------------------------------------------

type Writer = (line: string) => void

const writeToConsole: Writer = (line) => {
  // oxlint-disable-next-line no-console -- printing is what was asked for
  console.log(line)
}

let write: Writer = writeToConsole

/**
 * Where `debug.print` writes: the console, unless another function is given.
 *
 * @returns the function that was used until now
 */
export function setOutput(writer: Writer = writeToConsole): Writer {
  const before = write
  write = writer
  return before
}

/** What is being printed on devices that cannot be read at once: lines stay in order. */
let pending: Promise<void> = Promise.resolve()

const isNamed = (value: unknown): value is Readonly<Record<string, unknown>> => {
  if (typeof value !== 'object' || value === null || value instanceof NDArray) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

/**
 * Prints values when a program gets there, also under `jit`, `vmap` and in loops. See `callback`.
 *
 * @param format text in which `{}` stands for the next value, `{name}` for a named one, and `{{` and
 *   `}}` for braces
 * @param values arrays in the order of their places; an object at the end holds named ones
 * @throws ArgumentError when places and values do not correspond
 * @example
 * const lines: string[] = []
 * debug.setOutput((line) => { lines.push(line) })
 * jit((x: NDArray) => debug.print('{} of {all}', x, { all: 8 }))(np.array(5))
 * debug.setOutput()
 * lines // [ '5 of 8' ]
 */
export function print(format: string, ...values: readonly unknown[]): void {
  const op = 'debug.print'
  const last = values.at(-1)
  const named = isNamed(last) ? last : {}
  const positional = isNamed(last) ? values.slice(0, -1) : values
  const pieces = parse(op, format)
  requireCorrespondence(op, format, pieces, positional.length, Object.keys(named))
  callback(
    (list: readonly unknown[], byName: Readonly<Record<string, unknown>>) => {
      const valueOf = (place: string | number): unknown =>
        typeof place === 'number' ? list[place] : byName[place]
      const shown = pieces.map((piece) =>
        typeof piece === 'string' ? piece : shownValue(valueOf(piece.place)),
      )
      if (shown.every((piece) => typeof piece === 'string')) {
        write(shown.join(''))
        return
      }
      const line = Promise.all(shown.map(async (piece) => piece))
      pending = pending.then(async () => {
        write((await line).join(''))
      })
    },
    positional,
    named,
  )
}

interface Place {
  readonly place: string | number
}

/** Text and places of a format; unnamed places are numbered. */
function parse(op: string, format: string): readonly (string | Place)[] {
  const pieces: (string | Place)[] = []
  let unnamed = 0
  let at = 0
  for (const match of format.matchAll(/\{\{|\}\}|\{(\w*)\}|[{}]/g)) {
    pieces.push(format.slice(at, match.index))
    at = match.index + match[0].length
    const name = match[1]
    if (name !== undefined) pieces.push({ place: name === '' ? unnamed++ : name })
    else if (match[0].length === 2) pieces.push(match[0].slice(0, 1))
    else {
      throw new ArgumentError({
        op,
        problem: `a brace stands alone in ${JSON.stringify(format)}`,
        rule: '{} and {name} are places for values, {{ and }} are braces',
      })
    }
  }
  pieces.push(format.slice(at))
  return pieces.filter((piece) => piece !== '')
}

function requireCorrespondence(
  op: string,
  format: string,
  pieces: readonly (string | Place)[],
  count: number,
  names: readonly string[],
): void {
  const places = pieces.flatMap((piece) => (typeof piece === 'string' ? [] : [piece.place]))
  const unnamed = places.filter((place) => typeof place === 'number').length
  const problem =
    unnamed === count
      ? (places
          .filter((place) => typeof place === 'string' && !names.includes(place))
          .map((name) => `no value is named ${name}`)[0] ??
        names
          .filter((name) => !places.includes(name))
          .map((name) => `the format has no place for ${name}`)[0])
      : `the format has ${unnamed} unnamed places, but there are ${count} values`
  if (problem === undefined) return
  throw new ArgumentError({
    op: `${op}(${JSON.stringify(format)}, …)`,
    problem,
    rule: 'each {} takes the next value, each {name} that of the object at the end',
  })
}

/** A value as text, or a promise of it where the device cannot be read at once. */
function shownValue(value: unknown): string | Promise<string> {
  if (!(value instanceof NDArray)) {
    const parts = tree.leaves(value).map(shownValue)
    const texts = tree.unflatten(tree.structure(value), parts)
    return parts.every((part) => typeof part === 'string')
      ? JSON.stringify(texts).replaceAll('"', '')
      : Promise.all(parts.map(async (part) => part)).then((each) => each.join(', '))
  }
  try {
    return shownArray(value)
  } catch {
    return readAsync(value, 'debug.print').then((data) =>
      shownArray(onHost(value, decoded(data, value.dtype))),
    )
  }
}

/** The elements on the device that can always be read. */
function onHost({ aval }: NDArray, elements: ArrayLike<number | boolean>): NDArray {
  const host = hostArray(aval)
  for (let i = 0; i < elements.length; i++) host.data[i] = Number(elements[i])
  return fromHostArray(host)
}

/** What is inside of `Array(…, dtype=float32)`. */
const shownArray = (x: NDArray): string =>
  String(x)
    .replace(/^Array\(/, '')
    .replace(/,\s+(?:shape=.*, )?dtype=\w+(?:, weak_type=True)?\)$/, '')
    .replaceAll(/\n {6}/g, '\n')
