/** The one class of value: concrete arrays and tracers alike. */
import type { Interpreter } from '../trace/interpreter'
import type { Aval, Shape } from '../types/aval'
import type { DType } from '../types/dtype'
import { Splat } from './content'

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
  get ndim(): number {
    return this.aval.ndim
  }
  get size(): number {
    return this.aval.size
  }

  /** The value of a scalar that lives on the host only: staging writes it as a literal. */
  get scalarLiteral(): number | boolean | null {
    const { owner, content } = this
    return owner === null && content instanceof Splat && this.ndim === 0 ? content.value : null
  }
}
