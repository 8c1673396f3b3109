/** The type checker of jaxprs: every pass and every transformation must leave them well-typed. */
import { avalsMatch } from '../types/aval'
import { JaxprTypeError } from '../types/errors'
import { type Atom, type Equation, isVar, Jaxpr, type Var } from './ir'
import { printJaxpr } from './print'

/**
 * Throws a JaxprTypeError unless every variable is defined once and before its use, every
 * equation's results have the types its primitive's shape rule gives, and programs in parameters
 * are well-typed themselves.
 */
export function checkJaxpr(jaxpr: Jaxpr): void {
  const defined = new Set<Var>()
  const define = (v: Var, where: string): void => {
    if (defined.has(v))
      throw illTyped(jaxpr, `${where} defines a variable of type ${v.aval} a second time`)
    defined.add(v)
  }
  const use = (atom: Atom, where: string): void => {
    if (isVar(atom)) {
      if (!defined.has(atom))
        throw illTyped(jaxpr, `${where} uses an undefined variable of type ${atom.aval}`)
    } else if (atom.aval.ndim !== 0) {
      throw illTyped(jaxpr, `${where} uses a literal of type ${atom.aval}; literals are scalars`)
    }
  }
  for (const v of jaxpr.inputs) define(v, 'the list of inputs')
  jaxpr.equations.forEach((equation, i) => {
    const where = `equation ${i} (${equation.primitive.name})`
    for (const atom of equation.inputs) use(atom, where)
    checkResults(jaxpr, equation, where)
    checkPrograms(equation)
    for (const v of equation.outputs) define(v, where)
  })
  for (const atom of jaxpr.outputs) use(atom, 'the result')
}

function checkResults(
  jaxpr: Jaxpr,
  { primitive, inputs, outputs, params }: Equation,
  where: string,
): void {
  const expected = primitive.abstractEval(
    inputs.map((a) => a.aval),
    params,
  )
  const agrees =
    expected.length === outputs.length &&
    expected.every((aval, i) => {
      const actual = outputs[i]
      return actual !== undefined && avalsMatch(aval, actual.aval)
    })
  if (!agrees) {
    throw illTyped(
      jaxpr,
      `${where} has results (${outputs.map((v) => v.aval).join(', ')}), but its rule gives (${expected.join(', ')})`,
    )
  }
}

function checkPrograms({ params }: Equation): void {
  for (const value of Object.values(params)) {
    for (const program of Array.isArray(value) ? value : [value]) {
      if (program instanceof Jaxpr) checkJaxpr(program)
    }
  }
}

const illTyped = (jaxpr: Jaxpr, problem: string): JaxprTypeError =>
  new JaxprTypeError({
    op: jaxpr.name ? `program ${jaxpr.name}` : 'program',
    problem,
    hint: `the program is\n${printJaxpr(jaxpr)}`,
  })
