/** The one class of value: concrete arrays and tracers alike. */
import { describe, type Interpreter } from '../trace/interpreter'
import type { Aval, Shape } from '../types/aval'
import type { DType } from '../types/dtype'
import { Splat } from './content'
import type { ArrayMethods } from './methods'

/**
 * An immutable n-dimensional array.
 *
 * Its methods (`ArrayMethods`) stand on the prototype, put there by `methods.ts`, which lies above
 * the operations that they call.
 */
// eslint-disable-next-line typescript/no-unsafe-declaration-merging -- installed by methods.ts
export interface NDArray extends ArrayMethods {}

// eslint-disable-next-line typescript/no-unsafe-declaration-merging -- installed by methods.ts
export class NDArray {
  constructor(
    readonly aval: Aval,
    /** The interpreter whose tracer this is; null for a concrete array. */
    readonly owner: Interpreter | null,
    /** A tracer's meaning to its owner, or a concrete array's `ArrayContent`. */
    readonly content: unknown,
  ) {}

  get shape(): Shape {
    return this.aval.shape
  }
  get dtype(): DType {
    return this.aval.dtype
  }
  /** Number of axes. */
  get ndim(): number {
    return this.aval.ndim
  }
  /** Number of elements. */
  get size(): number {
    return this.aval.size
  }

  /** The value of a scalar that lives on the host only: staging writes it as a literal. */
  get scalarLiteral(): number | boolean | null {
    const { content } = this
    return this.owner === null && this.ndim === 0 && content instanceof Splat ? content.value : null
  }

  /** `Tracer<f32[3,4]>` with its transformation, or what NumPy prints. */
  toString(): string {
    return this.owner === null
      ? this.describeElements()
      : `Tracer<${String(this.aval)}> of ${describe(this.owner)}`
  }
}
