/**
 * `jit`: trace once per signature, compile, call.
 *
 * A call whose arguments look like the last one's takes the short way: one walk collects and checks
 * the leaves, and the compiled program runs. Everything else goes through the cache of signatures.
 */
import {
  ArgumentError,
  type Aval,
  type Backend,
  backendFor,
  backendNamed,
  checkOptions,
  compiled,
  type CostSummary,
  currentInterpreter,
  type DeviceName,
  dispose,
  type Executable,
  execute,
  hasEffects,
  NDArray,
  stage,
  type TextFormat,
  textOf,
  TransformationError,
  tree,
} from '@adjoint/core/internal'
import { ClosedJaxpr } from '../closed-jaxpr'
import {
  callName,
  flattenArrays,
  leafToArray,
  refusePromise,
  requireFunction,
} from '../flat-function'
import type { RefuseAsync } from '../function-types'
import { axisEnvironment } from '../vmap'
import { explainTraces, type TraceLog } from './explain'
import { type Exported, type ExportOptions, exportProgram } from './export'
import { callJit } from './primitive'
import { type Profile, profileProgram, type ProfileSource } from './profile'
import { collectLeaves, type Signature, signatureKey } from './signature'

export interface JitOptions {
  /** Positions of arguments that are part of the program: any values, compared by content. */
  readonly staticArgnums?: number | readonly number[]
  /** Positions of arguments whose memory the program may reuse; they are deleted by the call. */
  readonly donateArgnums?: number | readonly number[]
  /** Where the program runs; by default where its arguments are. */
  readonly device?: DeviceName
  /** The name in jaxprs and messages; by default the function's own. */
  readonly name?: string
}

/** A program that was traced and not run. */
export interface Lowered<A extends readonly unknown[], R> {
  readonly jaxpr: ClosedJaxpr
  /** The program as a jaxpr, as loops, or as the device's own code. */
  text(format?: TextFormat): string
  cost(): CostSummary
  /** Compiles now, and answers a function for arguments of exactly these types. */
  compile(): (...args: A) => R
  /**
   * The program as one `.wasm` file, with a loader of less than 3 KB that runs it in Node or in a
   * page without this library.
   *
   * @throws ArgumentError on devices whose programs are not WebAssembly
   * @example
   * const double = jit((x: NDArray) => np.multiply(x, 2))
   * const { wasm, loader } = double.lower(np.ones([3])).export()
   * WebAssembly.validate(wasm) // true
   * loader.length < 3072 // true
   */
  export(options?: ExportOptions): Exported
}

export interface Jitted<A extends readonly unknown[], R> {
  (...args: A): R
  /** Traces for arguments of these types and shows the program, without running it. */
  lower(...args: A): Lowered<A, R>
}

interface Program {
  readonly signature: Signature
  readonly closed: ClosedJaxpr
  readonly outStructure: tree.TreeStructure
  readonly outAvals: readonly Aval[]
  /** Per operand: constants first, then the leaves of the arguments. */
  readonly donated: readonly boolean[]
  /** A closed-over tracer ends with its transformation, and the program with it. */
  readonly hasTracers: boolean
  /** A program with effects is not run at once but called, which runs it in parts. */
  readonly hasEffects: boolean
  backend: Backend | null
  executable: Executable | null
}

interface Call {
  readonly program: Program
  readonly leaves: readonly NDArray[]
}

const PROGRAMS_KEPT = 1024
/** A function that is traced anew by every call must not remember all of them. */
const TRACES_REMEMBERED = 256

const tracers = new WeakMap<object, Inspected>()

/** What can be asked of a jitted function from outside. */
interface Inspected extends TraceLog {
  source(args: readonly unknown[]): ProfileSource
}

/** Programs of one function, by signature. */
class Tracer<A extends readonly unknown[], R> {
  private readonly programs = new Map<string, Program>()
  traceCount = 0
  /** The newest ones. */
  readonly traces: Signature[] = []
  private last: Program | null = null
  readonly op: string
  readonly name: string

  constructor(
    private readonly f: (...args: A) => R,
    private readonly statics: readonly number[],
    private readonly donations: readonly number[],
    private readonly device: DeviceName | undefined,
    name: string | undefined,
  ) {
    this.name = name ?? (f.name || '<lambda>')
    this.op = callName('jit', { name: name ?? f.name })
  }

  call(args: A): R {
    const { program, leaves } = this.recall(args) ?? this.find(args)
    const { constants } = program.closed
    const operands = constants.length === 0 ? leaves : [...constants, ...leaves]
    const isOutermost = currentInterpreter().parent === null
    const outputs =
      isOutermost && !program.hasEffects
        ? this.run(program, operands)
        : callJit(this.name, program.closed.jaxpr, operands)
    if (isOutermost && program.hasEffects) endDonated(operands, program.donated, outputs)
    return (
      program.outStructure.kind === 'leaf'
        ? outputs[0]
        : tree.unflatten(program.outStructure, outputs)
    ) as R
  }

  private run(program: Program, operands: readonly NDArray[]): readonly NDArray[] {
    const backend = this.backendOf(operands)
    if (program.executable === null || program.backend !== backend) {
      program.executable = compiled(program.closed.jaxpr, backend, program.donated)
      program.backend = backend
    }
    return execute(
      program.executable,
      backend,
      operands,
      program.outAvals,
      this.op,
      program.donated,
    )
  }

  private backendOf(operands: readonly NDArray[]): Backend {
    return this.device === undefined
      ? backendFor(this.op, operands)
      : backendNamed(this.device, this.op)
  }

  /** The last program again, if these arguments fit it. */
  private recall(args: A): Call | null {
    const program = this.last
    if (program === null || this.statics.length > 0 || !isUsable(program)) return null
    const { structure, avals, axes } = program.signature
    const leaves: NDArray[] = []
    if (!collectLeaves(structure, args, avals, leaves) || axes !== axisEnvironment()) return null
    return program.signature.device === this.deviceKey(leaves) ? { program, leaves } : null
  }

  private deviceKey(leaves: readonly NDArray[]): string {
    return this.backendOf(leaves).name
  }

  find(args: A): Call {
    const isStatic = (i: number): boolean => this.statics.includes(i)
    const array = this.statics.find((i) => args[i] instanceof NDArray)
    if (array !== undefined) {
      throw new ArgumentError({
        op: this.op,
        problem: `static argument ${array} is an array`,
        operands: [{ name: `args[${array}]`, aval: (args[array] as NDArray).aval }],
        rule: 'static arguments are compared by value, and choose among compiled programs',
        hint: 'leave it out of staticArgnums, or pass x.item() or x.toArray()',
      })
    }
    const dynamic = args.filter((_, i) => !isStatic(i))
    const { arrays, structure } = flattenArrays(this.op, dynamic, 'args', abstractLeaf)
    const signature: Signature = {
      structure,
      avals: arrays.map((x) => x.aval),
      statics: this.statics.map((i) => args[i]),
      device: this.deviceKey(arrays),
      axes: axisEnvironment(),
    }
    const key = signatureKey(signature)
    let program = this.programs.get(key)
    if (program === undefined || !isUsable(program)) {
      program = this.trace(signature, args.length)
      if (this.programs.size >= PROGRAMS_KEPT) {
        const oldest = this.programs.keys().next()
        if (!oldest.done) this.programs.delete(oldest.value)
      }
      this.programs.set(key, program)
    }
    this.last = program
    return { program, leaves: arrays }
  }

  private trace(signature: Signature, numArgs: number): Program {
    this.traceCount++
    this.traces.push(signature)
    if (this.traces.length > TRACES_REMEMBERED) this.traces.shift()
    let outStructure: tree.TreeStructure | null = null
    const { jaxpr, constants } = stage(
      (inputs) => {
        const dynamic = tree.unflatten(signature.structure, inputs) as unknown[]
        const args: unknown[] = []
        let next = 0
        for (let i = 0; i < numArgs; i++) {
          const at = this.statics.indexOf(i)
          args.push(at >= 0 ? signature.statics[at] : dynamic[next++])
        }
        const result = this.f(...(args as readonly unknown[] as A))
        refusePromise(this.op, result)
        const flat = flattenArrays(this.op, result, 'the result')
        outStructure = flat.structure
        return flat.arrays
      },
      signature.avals,
      'jit',
      this.name,
    )
    if (outStructure === null) throw new Error('the function was not traced')
    return {
      signature,
      closed: new ClosedJaxpr(jaxpr, constants),
      outStructure,
      outAvals: jaxpr.outAvals,
      donated: this.donatedLeaves(signature, constants.length, numArgs),
      hasTracers: constants.some((c) => c.owner !== null),
      hasEffects: hasEffects(jaxpr),
      backend: null,
      executable: null,
    }
  }

  private donatedLeaves(
    { structure }: Signature,
    numConstants: number,
    numArgs: number,
  ): readonly boolean[] {
    if (this.donations.length === 0) return []
    const flags: boolean[] = new Array<boolean>(numConstants).fill(false)
    const children = structure.kind === 'tuple' ? structure.children : []
    let next = 0
    for (let i = 0; i < numArgs; i++) {
      if (this.statics.includes(i)) continue
      const { size } = children[next++]
      for (let k = 0; k < size; k++) flags.push(this.donations.includes(i))
    }
    return flags
  }

  /** The program for these arguments, with what it takes to run it. */
  source(args: A): ProfileSource {
    const { program, leaves } = this.find(args)
    const operands = [...program.closed.constants, ...leaves]
    const backend = this.backendOf(operands)
    const { donated } = program
    const executable = compiled(program.closed.jaxpr, backend, donated)
    return { op: 'profile', name: this.name, backend, executable, operands, donated }
  }

  lower(args: A): Lowered<A, R> {
    const { program, leaves } = this.find(args)
    const { closed } = program
    const executable = (): Executable => {
      const backend = this.backendOf(leaves.filter((x) => x.owner === null))
      return compiled(closed.jaxpr, backend, program.donated)
    }
    return {
      jaxpr: closed,
      text: (format = 'jaxpr') =>
        format === 'jaxpr' ? String(closed) : textOf(executable(), format),
      cost: () => executable().cost(),
      compile: () => {
        executable()
        return (...again) => {
          const call = this.find(again)
          if (call.program !== program) {
            throw new TransformationError({
              op: this.op,
              problem: 'a compiled program was called with arguments of other types',
              operands: call.leaves.map((x, i) => ({
                name: `leaf ${i}`,
                aval: x.aval,
                note: `compiled for ${program.signature.avals[i] ?? 'no such argument'}`,
              })),
              hint: 'call the jitted function itself, which compiles for each type it meets',
            })
          }
          return this.call(again)
        }
      },
      export: (options = {}) =>
        exportProgram(
          {
            op: this.op,
            name: this.name,
            executable: executable(),
            constants: closed.constants,
            argumentStructure: program.signature.structure,
            resultStructure: program.outStructure,
          },
          options,
        ),
    }
  }
}

const isUsable = (program: Program): boolean =>
  !program.hasTracers || program.closed.constants.every((c) => c.owner === null || c.owner.active)

/** A leaf of an argument; `lower` and `evalShape` also take types in place of arrays. */
/** A program that runs in parts reuses nothing, but what was donated to it ends as it always does. */
function endDonated(
  operands: readonly NDArray[],
  donated: readonly boolean[],
  outputs: readonly NDArray[],
): void {
  const kept = new Set(outputs.map((x) => x.content))
  donated.forEach((isDonated, i) => {
    if (isDonated && !kept.has(operands[i].content)) dispose(operands[i])
  })
}

const abstractLeaf = leafToArray

const positions = (argnums: number | readonly number[] | undefined): readonly number[] =>
  argnums === undefined ? [] : typeof argnums === 'number' ? [argnums] : argnums

/**
 * Compiles a function of trees of arrays.
 *
 * The function is run once per signature (shapes, dtypes, tree structures, static values, device)
 * on traced values; afterwards the compiled program is called. Arrays that it closes over become
 * arguments of the program. Side effects happen when it is traced, and not when it is called.
 *
 * @param f a function of trees of arrays
 * @param options.staticArgnums arguments that are values for the program, not arrays
 * @param options.donateArgnums arguments whose memory may be reused; they are deleted
 * @param options.device where to run
 * @throws TransformationError when `f` is async
 * @example
 * const norm = jit((x: NDArray) => np.sqrt(np.sum(np.square(x))))
 * norm(np.array([3, 4])) // Array(5., dtype=float32)
 */
export function jit<A extends readonly unknown[], R>(
  f: ((...args: A) => R) & RefuseAsync<R>,
  options: JitOptions = {},
): Jitted<A, R> {
  requireFunction('jit', f)
  checkOptions(callName('jit', f), options, ['staticArgnums', 'donateArgnums', 'device', 'name'])
  const statics = positions(options.staticArgnums)
  const donations = positions(options.donateArgnums)
  for (const i of [...statics, ...donations]) {
    if (!Number.isInteger(i) || i < 0) {
      throw new ArgumentError({
        op: callName('jit', f),
        problem: `${i} is not the position of an argument`,
        rule: 'staticArgnums and donateArgnums are nonnegative integers',
      })
    }
  }
  const both = donations.find((i) => statics.includes(i))
  if (both !== undefined) {
    throw new ArgumentError({
      op: callName('jit', f),
      problem: `argument ${both} is both static and donated`,
      rule: 'only arrays can be donated',
    })
  }
  const tracer = new Tracer<A, R>(f, statics, donations, options.device, options.name)
  const jitted: Jitted<A, R> = Object.assign((...args: A): R => tracer.call(args), {
    lower: (...args: A) => tracer.lower(args),
  })
  Object.defineProperty(jitted, 'name', { value: tracer.name })
  tracers.set(jitted, {
    name: tracer.name,
    get traceCount() {
      return tracer.traceCount
    },
    traces: tracer.traces,
    source: (args) => tracer.source(args as A),
  })
  return jitted
}

/**
 * How often a jitted function has been traced.
 *
 * @throws ArgumentError when the function is not the result of `jit`
 * @example
 * const f = jit((x: NDArray) => x.add(1))
 * f(np.ones([2]))
 * f(np.zeros([2]))
 * f(np.ones([3]))
 * traceCount(f) // 2
 */
export const traceCount = (jitted: (...args: never[]) => unknown): number =>
  inspected('traceCount', jitted).traceCount

/**
 * Says for each time that a jitted function was traced what was new about the call.
 *
 * @throws ArgumentError when the function is not the result of `jit`
 * @example
 * const f = jit((x: NDArray) => x.add(1))
 * f(np.ones([2]))
 * f(np.ones([3]))
 * explainRetrace(f).includes('was f32[2], now f32[3]') // true
 */
export const explainRetrace = (jitted: (...args: never[]) => unknown): string => {
  return explainTraces(inspected('explainRetrace', jitted))
}

/**
 * Measures how long each loop of a compiled program takes, as medians of several runs.
 *
 * The loops are those of `jitted.lower(...args).text('loops')`, in that order. A scan, a while or a
 * branch is one of them, and has the loops inside of it as `inside`: the time of all their runs, and
 * how many there were. Donated arguments stay as they are. The result prints as a table.
 *
 * @throws ArgumentError when the function is not the result of `jit`, or the device cannot tell
 * @example
 * const f = jit((x: NDArray) => np.sum(np.sin(x)))
 * profile(f, np.ones([1000])).loops.length // 1
 */
export const profile = <A extends readonly unknown[]>(
  jitted: Jitted<A, unknown>,
  ...args: A
): Profile => profileProgram(inspected('profile', jitted).source(args))

function inspected(op: string, jitted: (...args: never[]) => unknown): Inspected {
  const tracer = tracers.get(jitted)
  if (tracer) return tracer
  throw new ArgumentError({
    op,
    problem: `${jitted.name || 'the function'} is not jitted`,
    hint: 'pass the function that jit returned',
  })
}
