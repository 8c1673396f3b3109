/**
 * A primitive is one value that carries all of its rules.
 *
 * Every field is required. A rule that does not exist is written down as such (`discreteResult`,
 * `nonlinear`), so a forgotten rule is a type error here and never a surprise at a call.
 *
 * Primitives are strict: operands of elementwise primitives have equal shapes and dtypes. `ops/`
 * inserts broadcasts and conversions before binding.
 */
import type { NDArray } from '../array/ndarray'
import type { HostArray } from '../backends/reference/host-array'
import type { LoweringContext, Tensor } from '../compiler/context'
import type { Equation, Jaxpr } from '../jaxpr/ir'
import { type Aval, tangentAval } from '../types/aval'
import { DifferentiationError } from '../types/errors'

/** Parameters are plain immutable data: numbers, strings, booleans, tuples, dtypes, jaxprs. */
export type ParamValue =
  | number
  | string
  | boolean
  | null
  | undefined
  | Jaxpr
  | ((...args: never[]) => unknown)
  | readonly ParamValue[]
  | { readonly [key: string]: ParamValue }
export type Params = { readonly [key: string]: ParamValue }

/**
 * A rule as a method type: methods are bivariant in their parameters, so that a `Primitive` of some
 * parameters is a `Primitive` of any, which is how equations and interpreters hold it.
 */
type Rule<Arguments extends readonly unknown[], Result> = {
  rule(...args: Arguments): Result
}['rule']

/** A tangent or cotangent known to be zero: it costs nothing and most rules never see it. */
export class Zero {
  /** Sets the class apart from arrays, which have an aval too, so that `isZero` narrows. */
  readonly kind = 'zero'
  constructor(readonly aval: Aval) {}
}
export type Tangent = NDArray | Zero
export const isZero = (t: unknown): t is Zero => t instanceof Zero
export const zeroLike = (x: { readonly aval: Aval }): Zero => new Zero(tangentAval(x.aval))

/** Stands for an operand that a linear program is linear in, while it is being transposed. */
export class LinearOperand {
  readonly kind = 'linear'
  constructor(readonly aval: Aval) {}
}
export type TransposeOperand = NDArray | LinearOperand
export const isLinear = (x: unknown): x is LinearOperand => x instanceof LinearOperand

export interface JvpResult {
  readonly primals: readonly NDArray[]
  readonly tangents: readonly Tangent[]
}

/** Output tangents from input tangents. At least one input tangent is not a `Zero`. */
export type JvpRule<P> = Rule<
  [primals: readonly NDArray[], tangents: readonly Tangent[], params: P],
  JvpResult
>

/**
 * Cotangents of the operands from cotangents of the results. `operands[i]` is a `LinearOperand`
 * where the program is linear in it (a cotangent is wanted) and a value elsewhere (answer null).
 * At least one cotangent is not a `Zero`.
 */
export type TransposeRule<P> = Rule<
  [cotangents: readonly Tangent[], operands: readonly TransposeOperand[], params: P],
  readonly (Tangent | null)[]
>

/** The axis being mapped by a `vmap`. */
export interface MappedAxis {
  readonly size: number
  readonly name: string | null
}
/** Where the mapped axis stands in an operand; null when the operand is not mapped. */
export type BatchDim = number | null

export interface BatchResult {
  readonly outputs: readonly NDArray[]
  readonly dims: readonly BatchDim[]
}

/** Runs one interpreter further out, on operands that carry the mapped axis at `dims[i]`. */
export type BatchRule<P> = Rule<
  [axis: MappedAxis, operands: readonly NDArray[], dims: readonly BatchDim[], params: P],
  BatchResult
>

/**
 * For primitives that hold programs: how to split into a known part, run now, and a linear part.
 * Given primals and which of them carry tangents, returns the primal results and a function that,
 * called while a linear program is being recorded, maps input tangents to output tangents.
 * Primitives without programs say `'jvp'`: their jvp rule is partially evaluated instead.
 */
export type LinearizeRule<P> = Rule<
  [primals: readonly NDArray[], tangentIn: readonly boolean[], params: P],
  {
    readonly primals: readonly NDArray[]
    /** Whether each result's tangent may be nonzero. */
    readonly tangentOut: readonly boolean[]
    readonly linear: (tangents: readonly Tangent[]) => readonly Tangent[]
  }
>

/** Double-precision evaluation on the host: the meaning of the primitive. */
export type EvaluateRule<P> = Rule<
  [operands: readonly HostArray[], params: P, outputs: readonly Aval[]],
  readonly HostArray[]
>

/** Translation into loop nodes. */
export type LowerRule<P> = Rule<
  [context: LoweringContext, operands: readonly Tensor[], params: P, outputs: readonly Aval[]],
  readonly Tensor[]
>

/**
 * Removes unused results: new parameters, which operands are still needed and which results still
 * come out (a loop may need a carry that nobody outside reads), or null when the equation must stay
 * as it is. `'all-or-nothing'` for primitives without programs inside.
 */
export type PruneRule<P> = Rule<
  [params: P, usedOutputs: readonly boolean[]],
  {
    readonly params: P
    readonly usedInputs: readonly boolean[]
    readonly keptOutputs: readonly boolean[]
  } | null
>

/**
 * Running it step by step: what it does with the programs that it holds, given how to run one. For
 * programs that cannot be run at once because somebody watches what happens in them.
 */
export type StepsRule<P> = Rule<
  [
    operands: readonly NDArray[],
    params: P,
    run: (jaxpr: Jaxpr, operands: readonly NDArray[]) => readonly NDArray[],
  ],
  readonly NDArray[]
>

/** Evaluation outside of any transformation, for primitives that hold functions, not programs. */
export type CallRule<P> = Rule<[operands: readonly NDArray[], params: P], readonly NDArray[]>

/**
 * When every operand has one and the same element everywhere: the element that every result has.
 * Lets constants travel without memory and without compiling anything.
 */
export type SplatRule<P> = Rule<
  [elements: readonly (number | boolean)[], params: P, operands: readonly Aval[], output: Aval],
  number | boolean
>

/**
 * Algebra of views: what this equation is when its operand is the result of `producer` (null when
 * the operand is a program's input). `'identity'` when it changes nothing, new parameters applied
 * to the producer's own operand when the two are one view, null when there is nothing to gain.
 */
export type ComposeRule<P> = Rule<
  [params: P, operand: Aval, producer: Equation | null],
  { readonly params: P } | 'identity' | null
>

export interface Primitive<P extends Params = Params> {
  /** JAX's name for it, in snake_case, as printed in jaxprs. */
  readonly name: string
  /** The shape rule: result avals, or an error that says why there are none. */
  readonly abstractEval: Rule<[operands: readonly Aval[], params: P], readonly Aval[]>
  readonly jvp: JvpRule<P>
  readonly linearize: 'jvp' | LinearizeRule<P>
  readonly transpose: TransposeRule<P>
  readonly batch: BatchRule<P>
  readonly evaluate: EvaluateRule<P>
  readonly lower: LowerRule<P>
  /** The program that this equation merely calls (jit), or null: what the inlining pass asks. */
  readonly callee: Rule<[params: P], Jaxpr | null>
  readonly prune: 'all-or-nothing' | PruneRule<P>
  /** Null for primitives that hold no programs, or merely call one. */
  readonly steps: StepsRule<P> | null
  /** Null for all primitives that are compiled, which is what their evaluation means. */
  readonly call: CallRule<P> | null
  /** Null where equal elements in do not give equal elements out, or nobody needs the shortcut. */
  readonly splat: SplatRule<P> | null
  readonly compose: ComposeRule<P> | null
  /** True for barriers: no pass may merge, fold or look through these equations. */
  readonly opaque: boolean
  /** True for what is done for its own sake: no pass removes it, though nobody reads its results. */
  readonly effect: boolean
}

type Optional =
  'linearize' | 'callee' | 'prune' | 'steps' | 'call' | 'splat' | 'compose' | 'opaque' | 'effect'

/** Defines a primitive. Only fields that most primitives answer in the same way have defaults. */
export function definePrimitive<P extends Params>(
  rules: Omit<Primitive<P>, Optional> & Partial<Pick<Primitive<P>, Optional>>,
): Primitive<P> {
  const primitive: Primitive<P> = {
    linearize: 'jvp',
    callee: () => null,
    prune: 'all-or-nothing',
    steps: null,
    call: null,
    splat: null,
    compose: null,
    opaque: false,
    effect: false,
    ...rules,
  }
  return Object.freeze(primitive)
}

// --- rules that do not exist, with their reasons ---------------------------------------------------

/** The primitive is not linear in any operand, so no linear program contains it. */
export const nonlinear: TransposeRule<Params> = (_cotangents, operands) => {
  throw new DifferentiationError({
    op: 'transpose',
    problem: 'this operation is not linear in the operand whose cotangent is asked for',
    operands: operands.map((o, i) => ({ name: `operand ${i}`, aval: o.aval })),
    rule: 'only linear programs can be transposed',
    hint: 'use vjp or grad for functions that are not linear',
  })
}

/** Derivative is zero or undefined by nature: outputs are integers or booleans. */
export const discreteResult =
  <P extends Params>(
    bindPrimal: (primals: readonly NDArray[], params: P) => readonly NDArray[],
  ): JvpRule<P> =>
  (primals, _tangents, params) => {
    const out = bindPrimal(primals, params)
    return { primals: out, tangents: out.map(zeroLike) }
  }

// --- the registry ----------------------------------------------------------------------------------

const registry = new Map<string, Primitive>()

/**
 * Makes a primitive known to the registry walk: the laws of the test suite, the support table and
 * the conformance suite of a backend visit every registered primitive. Computation never asks it.
 */
export function register<P extends Params>(primitive: Primitive<P>): Primitive<P> {
  registry.set(primitive.name, primitive)
  return primitive
}

export const registeredPrimitives = (): readonly Primitive[] => [...registry.values()]
