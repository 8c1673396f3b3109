/** Branches of derived conditionals: all branches take the same operands and give the same results. */
import {
  type Aval,
  evaluateJaxpr,
  type Jaxpr,
  type MappedAxis,
  type NDArray,
  pruneJaxpr,
  Var,
  zerosLike,
} from '@adjoint/core/internal'
import { flagsKey, stageWith } from '../derived'
import { jvpJaxpr } from '../jvp'
import { type LinearizedProgram, linearizeJaxpr } from '../linearize'
import { transposeJaxpr } from '../transpose'
import { batchJaxpr } from '../vmap'
import { either, joinConstants, none, reordered } from './groups'

export interface Branches {
  readonly branches: readonly Jaxpr[]
  /** First operands of all branches. */
  readonly constants: readonly NDArray[]
}

/** Remembers results per list of branches. */
function derivedBranches<Args extends readonly unknown[], R extends Branches>(
  keyOf: (...args: Args) => string,
  derive: (branches: readonly Jaxpr[], ...args: Args) => R,
): (branches: readonly Jaxpr[], ...args: Args) => R {
  const known = new WeakMap<readonly Jaxpr[], Map<string, R>>()
  return (branches, ...args) => {
    let ofBranches = known.get(branches)
    if (!ofBranches) known.set(branches, (ofBranches = new Map<string, R>()))
    const key = keyOf(...args)
    const found = ofBranches.get(key)
    if (found) return found
    const result = derive(branches, ...args)
    if (result.constants.every((c) => c.owner === null)) ofBranches.set(key, result)
    return result
  }
}

const anyOf = (flags: readonly (readonly boolean[])[]): readonly boolean[] => flags.reduce(either)

export interface JvpBranches extends Branches {
  readonly tangentOut: readonly boolean[]
}

/** A result has a tangent if it has one in some branch. */
export const jvpBranches = derivedBranches(
  flagsKey,
  (branches, tangentIn: readonly boolean[]): JvpBranches => {
    const free = none(branches[0].outputs.length)
    const tangentOut = anyOf(branches.map((b) => jvpJaxpr(b, tangentIn, free).tangentOut))
    const joined = joinConstants(branches.map((b) => jvpJaxpr(b, tangentIn, tangentOut)))
    return { branches: joined.jaxprs, constants: joined.constants, tangentOut }
  },
)

export interface LinearizedBranches extends Branches {
  readonly tangentOut: readonly boolean[]
  /** Operands that are residuals as they are. */
  readonly operandResiduals: readonly number[]
  /** How many results after the primal ones are residuals. */
  readonly numResiduals: number
  /** Operands: residual results, residual operands, tangents. */
  readonly linear: readonly Jaxpr[]
}

/**
 * Each branch saves its own residuals, into places that branches share when the types agree; a
 * branch that is not taken fills them with zeros.
 */
export const linearizedBranches = derivedBranches(
  flagsKey,
  (branches, tangentIn: readonly boolean[]): LinearizedBranches => {
    const free = none(branches[0].outputs.length)
    const tangentOut = anyOf(branches.map((b) => linearizeJaxpr(b, tangentIn, free).tangentOut))
    const programs = branches.map((b) => linearizeJaxpr(b, tangentIn, tangentOut))
    const numOut = branches[0].outputs.length

    const places: Aval[] = []
    const placesOf = programs.map((program) => {
      const taken = new Set<number>()
      return program.residuals.map(({ from, index }) => {
        if (from === 'input') return null
        const aval = program.jaxpr.outAvals[index]
        let place = places.findIndex((a, i) => !taken.has(i) && String(a) === String(aval))
        if (place < 0) place = places.push(aval) - 1
        taken.add(place)
        return place
      })
    })
    const operandResiduals = [
      ...new Set(
        programs.flatMap((p) => p.residuals.flatMap((r) => (r.from === 'input' ? [r.index] : []))),
      ),
    ].sort((a, b) => a - b)

    const primal = programs.map((program, b) => {
      const staged = stageWith(
        (inputs) => {
          const results = evaluateJaxpr(program.jaxpr, inputs)
          const saved = places.map((aval, place) => {
            const r = placesOf[b].indexOf(place)
            return r < 0 ? zerosLike({ aval }) : results[program.residuals[r].index]
          })
          return { outputs: [...results.slice(0, numOut), ...saved], facts: null }
        },
        program.jaxpr.inAvals,
        'linearize',
        program.jaxpr.name,
      )
      return { jaxpr: staged.jaxpr, constants: [...staged.constants, ...program.constants] }
    })
    const joined = joinConstants(primal)
    return {
      branches: joined.jaxprs,
      constants: joined.constants,
      tangentOut,
      operandResiduals,
      numResiduals: places.length,
      linear: programs.map((program, b) =>
        linearBranch(program, placesOf[b], places, operandResiduals),
      ),
    }
  },
)

/** A branch's linear program on the residuals of all branches. */
function linearBranch(
  { linear, residuals, jaxpr, constants }: LinearizedProgram,
  placeOf: readonly (number | null)[],
  places: readonly Aval[],
  operandResiduals: readonly number[],
): Jaxpr {
  const own = residuals.length
  const inPlaces = places.map((aval, place) => {
    const r = placeOf.indexOf(place)
    return r < 0 ? new Var(aval) : linear.inputs[r]
  })
  const fromOperands = operandResiduals.map((index) => {
    const r = residuals.findIndex((s) => s.from === 'input' && s.index === index)
    return r < 0 ? new Var(jaxpr.inAvals[constants.length + index]) : linear.inputs[r]
  })
  return reordered(linear, [...inPlaces, ...fromOperands, ...linear.inputs.slice(own)])
}

export interface TransposedBranches extends Branches {
  readonly cotangentOut: readonly boolean[]
}

export const transposedBranches = derivedBranches(
  (linear: readonly boolean[], cotangentIn: readonly boolean[]) =>
    `${flagsKey(linear)}|${flagsKey(cotangentIn)}`,
  (branches, linear, cotangentIn): TransposedBranches => {
    const free = none(linear.filter(Boolean).length)
    const cotangentOut = anyOf(
      branches.map((b) => transposeJaxpr(b, linear, cotangentIn, free).cotangentOut),
    )
    const joined = joinConstants(
      branches.map((b) => transposeJaxpr(b, linear, cotangentIn, cotangentOut)),
    )
    return { branches: joined.jaxprs, constants: joined.constants, cotangentOut }
  },
)

export interface BatchedBranches extends Branches {
  readonly mappedOut: readonly boolean[]
}

/** @param all every result is mapped, as when different examples take different branches */
export const batchedBranches = derivedBranches(
  (axis: MappedAxis, mappedIn: readonly boolean[], all: boolean) =>
    `${axis.size}|${axis.name ?? ''}|${flagsKey(mappedIn)}|${all}`,
  (branches, axis, mappedIn, all): BatchedBranches => {
    const numOut = branches[0].outputs.length
    const mappedOut = all
      ? none(numOut).map(() => true)
      : anyOf(branches.map((b) => batchJaxpr(b, axis, mappedIn, none(numOut)).mappedOut))
    const joined = joinConstants(branches.map((b) => batchJaxpr(b, axis, mappedIn, mappedOut)))
    return { branches: joined.jaxprs, constants: joined.constants, mappedOut }
  },
)

export interface PrunedBranches {
  readonly branches: readonly Jaxpr[]
  readonly usedInputs: readonly boolean[]
}

/** An operand is needed if some branch needs it. */
export function prunedBranches(
  branches: readonly Jaxpr[],
  usedOutputs: readonly boolean[],
): PrunedBranches {
  const usedInputs = anyOf(branches.map((b) => pruneJaxpr(b, usedOutputs).usedInputs))
  const kept = branches.map((b) => pruneJaxpr(b, usedOutputs, (i) => usedInputs[i]).jaxpr)
  const same = kept.every((b, i) => b === branches[i])
  return { branches: same ? branches : kept, usedInputs }
}
