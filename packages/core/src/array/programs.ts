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
  readonly byStructure: Newest<string, Executable>
  readonly bySignature: Newest<string, OperationProgram>
  /** The last programs of an operation, found by comparing and without making a key. */
  readonly recent: WeakMap<Primitive, OperationProgram[]>
}
const programsOf = new WeakMap<Backend, Programs>()
function programs(backend: Backend): Programs {
  let known = programsOf.get(backend)
  if (!known) {
    known = {
      byIdentity: new WeakMap(),
      byStructure: new Newest(PROGRAMS_KEPT),
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
  const key = `${donation}|${jaxprKey(jaxpr)}`
  let executable = byStructure.get(key)
  if (!executable) {
    const flags = jaxpr.inputs.map((_, i) => donated[i] ?? false)
    executable = backend.compile(optimize(jaxpr), { donated: flags, name: jaxpr.name })
    byStructure.set(key, executable)
  }
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
