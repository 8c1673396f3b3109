/**
 * What functions with custom rules share.
 *
 * Such a function is bound as one equation. Outside of any staging, the equation holds the functions
 * themselves, so that JavaScript's control flow on values works in them. While a program is being
 * recorded, and under vmap, function and rules are staged first, and what they close over becomes
 * operands: then they may use tracers of outer transformations.
 */
import {
  ArgumentError,
  type Aval,
  currentInterpreter,
  evaluateJaxpr,
  evaluateOnHost,
  type Interpreter,
  type Jaxpr,
  type NDArray,
  type Primitive,
  stage,
  StagingInterpreter,
} from '@adjoint/core/internal'
import type { FlatFunction } from './flat-function'
import { backwardPass } from './transpose'
import { BatchInterpreter } from './vmap'

/** What every equation of such a function holds. */
export type CallParams = {
  readonly name: string
  /** The staged function, or the function itself outside of staging. */
  readonly callJaxpr: Jaxpr | FlatFunction
}

export const callOf = (f: Jaxpr | FlatFunction): FlatFunction =>
  typeof f === 'function' ? f : (inputs) => evaluateJaxpr(f, inputs)

type CallRules = 'abstractEval' | 'call' | 'transpose' | 'evaluate' | 'lower' | 'callee'

/** The rules that no custom rule replaces: they are those of the function itself. */
export const callRules: Pick<Primitive<CallParams>, CallRules> = {
  abstractEval: (operands, { callJaxpr }) =>
    typeof callJaxpr === 'function'
      ? stage(callJaxpr, operands).jaxpr.outAvals
      : callJaxpr.outAvals,
  call: (operands, { callJaxpr }) => callOf(callJaxpr)(operands),
  transpose: (cotangents, operands, { callJaxpr }) => {
    if (typeof callJaxpr !== 'function') return backwardPass(callJaxpr, operands, cotangents)
    const avals = operands.map((x) => x.aval)
    const { jaxpr, constants } = stage(callJaxpr, avals)
    return backwardPass(jaxpr, [...constants, ...operands], cotangents).slice(constants.length)
  },
  evaluate: (operands, { callJaxpr }) => {
    if (typeof callJaxpr === 'function') throw new Error('a function is called, not evaluated')
    return evaluateOnHost(callJaxpr, operands)
  },
  lower: (context, operands, { callJaxpr }) => {
    if (typeof callJaxpr === 'function') throw new Error('a function is called, not compiled')
    return context.inline(callJaxpr, operands)
  },
  callee: ({ callJaxpr }) => (typeof callJaxpr === 'function' ? null : callJaxpr),
}

/**
 * Whether a call with these operands is going to be recorded in a program, or mapped: then what the
 * function closes over may be mapped too, whether or not its operands are.
 */
export function isRecording(operands: readonly NDArray[]): boolean {
  const hasTracers = operands.some((x) => x.owner !== null)
  for (let i: Interpreter | null = currentInterpreter(); i !== null; i = i.parent) {
    if (i instanceof BatchInterpreter) return true
    if (i instanceof StagingInterpreter && (i.records === 'everything' || hasTracers)) return true
  }
  return false
}

/** A function that is called with constants first: values that it closed over when it was staged. */
export interface Lifted {
  readonly call: FlatFunction
  readonly jaxpr: Jaxpr | null
  readonly constants: readonly NDArray[]
  readonly outAvals: readonly Aval[]
}

/** Stages a function, so that it closes over nothing. */
export function lift(
  f: FlatFunction,
  avals: readonly Aval[],
  name: string,
  subject: string,
): Lifted {
  const { jaxpr, constants } = stage(f, avals, name, subject)
  return {
    jaxpr,
    constants,
    outAvals: jaxpr.outAvals,
    call: (inputs) => evaluateJaxpr(jaxpr, inputs),
  }
}

/** Positions of arguments that take no part in differentiation. */
export function splitNondiff(
  op: string,
  args: readonly unknown[],
  nondiffArgnums: readonly number[],
): {
  readonly fixed: readonly unknown[]
  readonly active: readonly unknown[]
  readonly merge: (active: readonly unknown[]) => unknown[]
} {
  const bad = nondiffArgnums.find((i) => !Number.isInteger(i) || i < 0 || i >= args.length)
  if (bad !== undefined) {
    throw new ArgumentError({
      op,
      problem: `nondiffArgnums names argument ${bad}, but the call has ${args.length}`,
      rule: 'nondiffArgnums are positions of arguments of the call',
    })
  }
  return {
    fixed: nondiffArgnums.map((i) => args[i]),
    active: args.filter((_, i) => !nondiffArgnums.includes(i)),
    merge: (active) => {
      let next = 0
      return args.map((arg, i) => (nondiffArgnums.includes(i) ? arg : active[next++]))
    },
  }
}

export const argnumsOf = (argnums: number | readonly number[] | undefined): readonly number[] =>
  argnums === undefined ? [] : typeof argnums === 'number' ? [argnums] : argnums

/** Rules that are being recorded right now. */
const recorded = new Set<object>()

/**
 * Records a rule, or answers null where it has to be kept as it is and run when it is needed: inside
 * itself, because a rule may call its own function and recording it once more would never end; and
 * where it cannot be traced, which is nobody's business until a derivative is asked for.
 */
export function recordRule<T>(rule: object, record: () => T): T | null {
  if (recorded.has(rule)) return null
  recorded.add(rule)
  try {
    return record()
  } catch {
    return null
  } finally {
    recorded.delete(rule)
  }
}
