import { type Equation, isVar, Jaxpr, type Var } from '../ir'
import { equationHasEffects } from '../effects'
import { definePass } from './pass'

export interface Pruned {
  /** Unused outputs are gone, and so are inputs that nothing reads. */
  readonly jaxpr: Jaxpr
  readonly usedInputs: readonly boolean[]
}

/**
 * The program without what its used outputs do not need. An equation is needed if and only if it has
 * effects or one of its results is read by an output or by a needed equation; equations that hold
 * programs drop their own unused results.
 *
 * @param keepInput inputs that stay even when nothing reads them
 */
export function pruneJaxpr(
  jaxpr: Jaxpr,
  usedOutputs: readonly boolean[],
  keepInput: (index: number) => boolean = () => false,
): Pruned {
  const live = new Set<Var>()
  const outputs = jaxpr.outputs.filter((_, i) => usedOutputs[i])
  for (const atom of outputs) if (isVar(atom)) live.add(atom)
  const kept: Equation[] = []
  for (let i = jaxpr.equations.length - 1; i >= 0; i--) {
    const equation = jaxpr.equations[i]
    const hasEffects = equationHasEffects(equation)
    if (!hasEffects && !equation.outputs.some((v) => live.has(v))) continue
    const needed = hasEffects ? equation : pruneEquation(equation, live)
    for (const atom of needed.inputs) if (isVar(atom)) live.add(atom)
    kept.push(needed)
  }
  kept.reverse()
  const usedInputs = jaxpr.inputs.map((v, i) => live.has(v) || keepInput(i))
  // The same object where nothing changed, so that what is remembered about it stays known.
  const unchanged =
    outputs.length === jaxpr.outputs.length &&
    usedInputs.every(Boolean) &&
    kept.length === jaxpr.equations.length &&
    kept.every((e, i) => e === jaxpr.equations[i])
  if (unchanged) return { jaxpr, usedInputs }
  const inputs = jaxpr.inputs.filter((_, i) => usedInputs[i])
  return { jaxpr: new Jaxpr(inputs, kept, outputs, jaxpr.name), usedInputs }
}

/** Removes equations whose results nobody uses, and unused results of loops and branches. */
export const eliminateDeadCode = definePass(
  'dead code',
  (jaxpr) =>
    pruneJaxpr(
      jaxpr,
      jaxpr.outputs.map(() => true),
      () => true,
    ).jaxpr,
)

function pruneEquation(equation: Equation, live: ReadonlySet<Var>): Equation {
  const { primitive, params, inputs, outputs } = equation
  if (primitive.prune === 'all-or-nothing') return equation
  const used = outputs.map((v) => live.has(v))
  const answer = primitive.prune(params, used)
  if (answer === null || answer.params === params) return equation
  return {
    primitive,
    params: answer.params,
    inputs: inputs.filter((_, i) => answer.usedInputs[i]),
    outputs: outputs.filter((_, i) => answer.keptOutputs[i]),
  }
}
