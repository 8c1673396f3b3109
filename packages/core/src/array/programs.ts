/** Compiled programs of each device: of whole jaxprs, and of single operations. */
import type { Backend, Executable } from '../backends/backend'
import type { Jaxpr } from '../jaxpr/ir'
import { jaxprKey, paramsEqual, paramsKey } from '../jaxpr/key'
import { optimize } from '../jaxpr/passes'
import type { Params, Primitive } from '../trace/primitive'
import { type Aval, avalKey, avalsEqual } from '../types/aval'
import { DTypeError } from '../types/errors'
import { Splat } from './content'
import type { NDArray } from './ndarray'
import { Newest } from './newest'

export function requireSupport(op: string, backend: Backend, avals: readonly Aval[]): void {
  for (const aval of avals) {
    if (!backend.supports(aval.dtype)) {
      throw new DTypeError({
        op,
        problem: `the ${backend.name} device has no ${aval.dtype}`,
        operands: [{ name: 'x', aval }],
        hint: `convert with astype, or choose another device with setDevice`,
      })
    }
  }
}

const PROGRAMS_KEPT = 2048

/** What the program of one operation depends on. */
interface OperationProgram {
  readonly params: Params
  readonly avals: readonly Aval[]
  /** Operands with equal elements, which enter as scalars. */
  readonly splats: readonly boolean[]
  readonly executable: Executable
}

interface Programs {
  readonly byIdentity: WeakMap<Jaxpr, Map<string, Executable>>
  readonly byStructure: EqualPrograms
  readonly bySignature: Newest<string, OperationProgram>
  /** The last programs of an operation, found by comparing and without making a key. */
  readonly recent: WeakMap<Primitive, OperationProgram[]>
}

/**
 * Executables by what their jaxprs compute. The key of a long program is as long as the program, so
 * one is made only where two programs look alike at a glance.
 */
class EqualPrograms {
  private readonly alike = new Newest<string, Alike>(PROGRAMS_KEPT)

  find(jaxpr: Jaxpr, donation: string, compile: () => Executable): Executable {
    const { inputs, equations, outputs } = jaxpr
    const ends = [equations[0], equations[equations.length - 1]]
    const names = ends.map((equation) => equation?.primitive.name ?? '')
    const glance = `${donation} ${inputs.length} ${equations.length} ${outputs.length} ${names.join(' ')}`
    const alike = this.alike.get(glance)
    if (alike === undefined) {
      const only = { jaxpr, executable: compile() }
      this.alike.set(glance, { first: only, byKey: null })
      return only.executable
    }
    if (alike.byKey === null) {
      alike.byKey = new Newest(PROGRAMS_KEPT)
      alike.byKey.set(jaxprKey(alike.first.jaxpr), alike.first.executable)
    }
    const key = jaxprKey(jaxpr)
    let executable = alike.byKey.get(key)
    if (executable === undefined) alike.byKey.set(key, (executable = compile()))
    return executable
  }
}

interface Alike {
  readonly first: { readonly jaxpr: Jaxpr; readonly executable: Executable }
  byKey: Newest<string, Executable> | null
}

const programsOf = new WeakMap<Backend, Programs>()
function programs(backend: Backend): Programs {
  let known = programsOf.get(backend)
  if (!known) {
    known = {
      byIdentity: new WeakMap(),
      byStructure: new EqualPrograms(),
      bySignature: new Newest(PROGRAMS_KEPT),
      recent: new WeakMap(),
    }
    programsOf.set(backend, known)
  }
  return known
}

/** The executable of a jaxpr on a device: optimised and compiled once, also for equal jaxprs. */
export function compiled(
  jaxpr: Jaxpr,
  backend: Backend,
  donated: readonly boolean[] = [],
): Executable {
  const { byIdentity, byStructure } = programs(backend)
  const donation = donated.map(Number).join('')
  let perDonation = byIdentity.get(jaxpr)
  if (!perDonation) byIdentity.set(jaxpr, (perDonation = new Map()))
  const known = perDonation.get(donation)
  if (known) return known
  requireSupport(jaxpr.name || 'program', backend, jaxpr.inAvals)
  requireSupport(jaxpr.name || 'program', backend, jaxpr.outAvals)
  const executable = byStructure.find(jaxpr, donation, () => {
    const flags = jaxpr.inputs.map((_, i) => donated[i] ?? false)
    return backend.compile(optimize(jaxpr), { donated: flags, name: jaxpr.name })
  })
  perDonation.set(donation, executable)
  return executable
}

// --- single operations -------------------------------------------------------------------------------

const RECENT = 8

/** The executable of one operation; `build` makes its jaxpr when there is none yet. */
export function operationProgram(
  backend: Backend,
  primitive: Primitive,
  operands: readonly NDArray[],
  params: Params,
  build: () => Jaxpr,
): Executable {
  const { bySignature, recent } = programs(backend)
  let candidates = recent.get(primitive)
  if (candidates === undefined) recent.set(primitive, (candidates = []))
  for (const candidate of candidates) {
    if (fits(candidate, operands, params)) return candidate.executable
  }
  let key = primitive.name + paramsKey(params)
  for (const { aval, content } of operands) {
    key += (content instanceof Splat ? '=' : ' ') + avalKey(aval)
  }
  let program = bySignature.get(key)
  if (program === undefined) {
    program = {
      params,
      avals: operands.map((x) => x.aval),
      splats: operands.map((x) => x.content instanceof Splat),
      executable: compiled(build(), backend),
    }
    bySignature.set(key, program)
  }
  candidates.unshift(program)
  if (candidates.length > RECENT) candidates.pop()
  return program.executable
}

function fits(
  { params, avals, splats }: OperationProgram,
  operands: readonly NDArray[],
  given: Params,
): boolean {
  if (operands.length !== avals.length) return false
  for (let i = 0; i < operands.length; i++) {
    const { aval, content } = operands[i]
    if (aval !== avals[i] && !avalsEqual(aval, avals[i])) return false
    if (content instanceof Splat !== splats[i]) return false
  }
  return paramsEqual(params, given)
}
