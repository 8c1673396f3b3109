/** The intermediate representation: a jaxpr is a list of equations over typed variables. */
import type { Params, Primitive } from '../trace/primitive'
import type { Aval } from '../types/aval'

/** A variable: identity is object identity; printed names are given by the printer. */
export class Var {
  readonly kind = 'var'
  constructor(readonly aval: Aval) {}
}

/** A scalar constant written into the program. Non-scalar constants are closed-over inputs. */
export class Literal {
  readonly kind = 'literal'
  constructor(
    readonly value: number | boolean,
    readonly aval: Aval,
  ) {}
}

export type Atom = Var | Literal

export interface Equation<P extends Params = Params> {
  readonly primitive: Primitive<P>
  readonly inputs: readonly Atom[]
  readonly outputs: readonly Var[]
  readonly params: P
}

/**
 * A closed program has all its inputs in `inputs`: values it closes over are lifted to leading
 * inputs by whoever stages it, so a jaxpr in an equation's parameters never refers to outer variables.
 */
export class Jaxpr {
  constructor(
    readonly inputs: readonly Var[],
    readonly equations: readonly Equation[],
    readonly outputs: readonly Atom[],
    /** Name of the function it was staged from; empty if it has none. */
    readonly name: string = '',
  ) {}

  get inAvals(): readonly Aval[] {
    return this.inputs.map((v) => v.aval)
  }

  get outAvals(): readonly Aval[] {
    return this.outputs.map((v) => v.aval)
  }
}

export const isVar = (atom: Atom): atom is Var => atom.kind === 'var'
export const isLiteral = (atom: Atom): atom is Literal => atom.kind === 'literal'
