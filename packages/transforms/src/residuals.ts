/**
 * What a backward pass keeps of the forward one: the fewest bytes.
 *
 * A residual that a few instructions make of something smaller, or of something that is kept anyway,
 * is not kept: the linear program makes it again. So a scalar is not kept as a broadcast array, `2 x`
 * and `1 − x` not beside `x`, and a constant not at all. This is the cut of Chen et al. 2016 ("Training
 * deep nets with sublinear memory cost"), taken greedily from the results towards the operands.
 */
import { type Atom, bytesOf, type Equation, isVar, Jaxpr, Var } from '@adjoint/core/internal'

/** Primitives of a few instructions for each element of their result, without programs in them. */
const cheap: ReadonlySet<string> = new Set([
  'abs',
  'add',
  'and',
  'broadcast_in_dim',
  'convert_element_type',
  'copy',
  'div',
  'eq',
  'ge',
  'gt',
  'integer_pow',
  'iota',
  'le',
  'lt',
  'max',
  'min',
  'mul',
  'ne',
  'neg',
  'not',
  'or',
  'reshape',
  'select_n',
  'sign',
  'square',
  'squeeze',
  'stop_gradient',
  'sub',
  'transpose',
])

/** How many equations in a row may be written again to reach something smaller. */
const DEEPEST = 6

const bytes = ({ aval }: Var): number => aval.size * bytesOf(aval.dtype)

export interface ResidualCut {
  /** What is kept instead, in the terms of the forward program. */
  readonly residuals: readonly Var[]
  /** The linear program that takes these residuals, then its tangents. */
  readonly linear: Jaxpr
}

/**
 * Chooses what to keep.
 *
 * @param equations of the forward program
 * @param residuals what the linear program takes, in the terms of the forward program
 * @param linear takes the residuals, then tangents
 */
export function cutResiduals(
  equations: readonly Equation[],
  residuals: readonly Atom[],
  linear: Jaxpr,
): ResidualCut {
  const madeBy = new Map<Var, { readonly equation: Equation; readonly index: number }>()
  equations.forEach((equation, index) => {
    if (!cheap.has(equation.primitive.name)) return
    for (const v of equation.outputs) madeBy.set(v, { equation, index })
  })
  const kept = new Set(residuals.filter(isVar))

  /** What would have to be kept to make a variable again, beyond what is kept anyway. */
  const needed = (v: Var, depth: number): ReadonlySet<Var> => {
    const found = new Set<Var>()
    const equation = madeBy.get(v)?.equation
    if (!equation) return found.add(v)
    for (const operand of equation.inputs) {
      if (!isVar(operand) || kept.has(operand)) continue
      const beyond =
        depth < DEEPEST && madeBy.has(operand) ? needed(operand, depth + 1) : new Set([operand])
      const less = total(beyond) < bytes(operand) ? beyond : [operand]
      for (const each of less) found.add(each)
    }
    return found
  }

  // Later results first: each is replaced by earlier ones, so this comes to an end.
  for (let i = equations.length - 1; i >= 0; i--) {
    for (const v of equations[i].outputs) {
      if (!kept.has(v) || madeBy.get(v)?.index !== i) continue
      const instead = needed(v, 0)
      if (total(instead) > bytes(v)) continue
      kept.delete(v)
      for (const each of instead) kept.add(each)
    }
  }
  return rewritten(madeBy, kept, residuals, linear)
}

const total = (variables: Iterable<Var>): number => {
  let sum = 0
  for (const v of variables) sum += bytes(v)
  return sum
}

/** The linear program, with the equations in front that make its old residuals of the kept ones. */
function rewritten(
  madeBy: ReadonlyMap<Var, { readonly equation: Equation }>,
  kept: ReadonlySet<Var>,
  residuals: readonly Atom[],
  linear: Jaxpr,
): ResidualCut {
  if (residuals.every((atom) => isVar(atom) && kept.has(atom)) && kept.size === residuals.length) {
    return { residuals: [...kept], linear }
  }
  const own = new Map<Var, Var>([...kept].map((v) => [v, new Var(v.aval)]))
  const made: Equation[] = []
  const inLinear = (atom: Atom): Atom => {
    if (!isVar(atom)) return atom
    const known = own.get(atom)
    if (known) return known
    const equation = madeBy.get(atom)?.equation
    if (!equation) throw new Error('a residual is made of what is not kept')
    const inputs = equation.inputs.map(inLinear)
    const outputs = equation.outputs.map((v) => new Var(v.aval))
    equation.outputs.forEach((v, i) => own.set(v, outputs[i]))
    made.push({ ...equation, inputs, outputs })
    return own.get(atom) ?? atom
  }
  const renamed = new Map<Atom, Atom>()
  residuals.forEach((atom, i) => renamed.set(linear.inputs[i], inLinear(atom)))
  const rename = (atom: Atom): Atom => renamed.get(atom) ?? atom
  const inputs = [...kept].map((v) => own.get(v)).filter((v) => v !== undefined)
  return {
    residuals: [...kept],
    linear: new Jaxpr(
      [...inputs, ...linear.inputs.slice(residuals.length)],
      [
        ...made,
        ...linear.equations.map((equation) => ({
          ...equation,
          inputs: equation.inputs.map(rename),
        })),
      ],
      linear.outputs.map(rename),
      linear.name,
    ),
  }
}
