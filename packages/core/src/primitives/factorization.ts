/**
 * Factorisations as loops over whole matrices.
 *
 * A routine of LAPACK walks through one matrix, element by element. Here a step of the algorithm is
 * written with primitives, for all matrices of a batch at once; a compiler sees a loop like any
 * other, so every backend has the factorisation, and its reference evaluation is the same algorithm.
 */
import type { NDArray } from '../array/ndarray'
import { useControlFlow, useWholePrograms } from '../backends/wasm/rare'
import type { HostArray } from '../backends/reference/host-array'
import type { Tensor } from '../compiler/context'
import { evaluateOnHost } from '../jaxpr/evaluate-on-host'
import { type Atom, Jaxpr, Literal } from '../jaxpr/ir'
import { stage } from '../jaxpr/stage'
import { bind, readElements } from '../trace/interpreter'
import {
  definePrimitive,
  isZero,
  type JvpResult,
  nonlinear,
  type Params,
  type Primitive,
  zeroLike,
} from '../trace/primitive'
import { Aval } from '../types/aval'
import { hostArray } from './strided'
import { moveAxis } from './movement'

/** A loop that makes new carries out of old ones, and what makes its first ones. */
export interface Phase<P> {
  readonly start: (previous: readonly NDArray[], params: P) => readonly NDArray[]
  readonly length: (carries: readonly Aval[]) => number
  /** `k` is an int32 scalar that counts the steps. */
  readonly step: (carries: readonly NDArray[], k: NDArray) => readonly NDArray[]
}

interface Factorization<P extends Params> {
  /** JAX's name. */
  readonly name: string
  readonly abstractEval: (operand: Aval, params: P) => readonly Aval[]
  /** One after the other: the carries of the last step of one are what the next starts from. */
  readonly phases: readonly Phase<P>[]
  readonly finish: (carries: readonly NDArray[], params: P, operand: Aval) => readonly NDArray[]
  /** Tangents of the results, from the results and the tangent of the matrix. */
  readonly tangents: (
    results: readonly NDArray[],
    xDot: NDArray,
    x: NDArray,
    params: P,
  ) => readonly (NDArray | null)[]
}

/** A program of these operands; the scalars that it closes over are written into it. */
function program(
  name: string,
  f: (operands: readonly NDArray[]) => readonly NDArray[],
  avals: readonly Aval[],
): Jaxpr {
  const { jaxpr, constants } = stage(f, avals, name, name)
  if (constants.length === 0) return jaxpr
  const literals = new Map<Atom, Literal>()
  constants.forEach((constant, i) => {
    const [value] = Array.from(readElements(constant, name))
    literals.set(jaxpr.inputs[i], new Literal(value, constant.aval))
  })
  const written = (atoms: readonly Atom[]): Atom[] => atoms.map((a) => literals.get(a) ?? a)
  return new Jaxpr(
    jaxpr.inputs.slice(constants.length),
    jaxpr.equations.map((equation) => ({ ...equation, inputs: written(equation.inputs) })),
    written(jaxpr.outputs),
    name,
  )
}

interface Loop {
  readonly start: Jaxpr
  /** Null where there is nothing to do: a step of an empty matrix may not even exist. */
  readonly step: Jaxpr | null
  readonly length: number
}

function programs<P extends Params>(
  { name, phases, finish }: Factorization<P>,
  operand: Aval,
  params: P,
): { readonly loops: readonly Loop[]; readonly finish: Jaxpr } {
  let avals: readonly Aval[] = [operand]
  const loops = phases.map((phase): Loop => {
    const start = program(name, (xs) => phase.start(xs, params), avals)
    avals = start.outAvals
    const length = phase.length(avals)
    const counted = [...avals, new Aval([], 'int32')]
    const step = (xs: readonly NDArray[]): readonly NDArray[] =>
      phase.step(xs.slice(0, -1), xs[xs.length - 1])
    return { start, step: length > 0 ? program(name, step, counted) : null, length }
  })
  return { loops, finish: program(name, (xs) => finish(xs, params, operand), avals) }
}

/** The primitive of a factorisation: of one operand, `[..., m, n]`. */
export function factorization<P extends Params>(rules: Factorization<P>): Primitive<P> {
  const primitive: Primitive<P> = definePrimitive<P>({
    name: rules.name,
    abstractEval: ([x], params) => rules.abstractEval(x, params),
    jvp: ([x], [xDot], params): JvpResult => {
      const results = bind(primitive, [x], params)
      if (isZero(xDot)) return { primals: results, tangents: results.map(zeroLike) }
      const tangents = rules.tangents(results, xDot, x, params)
      return { primals: results, tangents: tangents.map((t, i) => t ?? zeroLike(results[i])) }
    },
    transpose: nonlinear,
    batch: (_axis, [x], [dim], params) => {
      const outputs = bind(primitive, [dim === null ? x : moveAxis(x, dim, 0)], params)
      return { outputs, dims: outputs.map(() => (dim === null ? null : 0)) }
    },
    evaluate: ([x], params) => {
      const { loops, finish } = programs(rules, x.aval, params)
      let carries: readonly HostArray[] = [x]
      for (const { start, step, length } of loops) {
        carries = evaluateOnHost(start, carries)
        for (let k = 0; step !== null && k < length; k++) {
          const counter = hostArray(new Aval([], 'int32'), Int32Array.of(k))
          carries = evaluateOnHost(step, [...carries, counter])
        }
      }
      return evaluateOnHost(finish, carries)
    },
    lower: (context, [x], params) => {
      useControlFlow()
      useWholePrograms()
      const { loops, finish } = programs(rules, x.aval, params)
      let carries: readonly Tensor[] = [x]
      for (const { start, step, length } of loops) {
        carries = context.inline(start, carries)
        if (step === null) continue
        const counter = context.iota(new Aval([length], 'int32'), 0)
        carries = context.scan({
          body: step,
          constants: [],
          carries,
          xs: [counter],
          length,
          reverse: false,
        })
      }
      return context.inline(finish, carries)
    },
  })
  return primitive
}
