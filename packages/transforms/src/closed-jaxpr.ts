/** A staged program with the values it closes over: what users see of a jaxpr. */
import { type Aval, type Jaxpr, type NDArray, printJaxpr } from '@adjoint/core/internal'

/**
 * A program and the arrays it closes over. `String(closed)` prints it as JAX does.
 *
 * @example
 * const closed = makeJaxpr((x: NDArray) => np.sin(x))(np.array(0.5))
 * closed.outAvals.map(String) // [ 'f32[]' ]
 */
export class ClosedJaxpr {
  constructor(
    /** Its first inputs stand for the constants. */
    readonly jaxpr: Jaxpr,
    readonly constants: readonly NDArray[],
  ) {}

  /** Types of the arguments' leaves. */
  get inAvals(): readonly Aval[] {
    return this.jaxpr.inAvals.slice(this.constants.length)
  }

  get outAvals(): readonly Aval[] {
    return this.jaxpr.outAvals
  }

  /** The program as JAX prints it: `{ lambda ; a:f32[]. let b:f32[] = sin a in (b,) }`. */
  toString(): string {
    return printJaxpr(this.jaxpr, this.constants.length)
  }
}
