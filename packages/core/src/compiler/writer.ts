/**
 * Tensors and memory: the list of nodes as it grows, the buffers they write, and the decision to
 * write a tensor instead of computing it again.
 */
import { type Aval, shapesEqual, withDType } from '../types/aval'
import type { DType } from '../types/dtype'
import type { Tensor } from './context'
import { type Affine, type Buffer, constant, convert, load, type Scalar } from './expr'
import { measure } from './measure'
import type { LoopNode } from './nodes'
import { affineEqualOn, loadsOf, reindexScalar, rowMajor } from './views'

/** What may be computed again by every consumer instead of being written and read. */
export const recomputeBudget = 2

export class Writer {
  readonly nodes: LoopNode[] = []
  /** Buffers made here, in order. */
  readonly own = new Set<Buffer>()
  /** Expressions that have been written, under the shape they were written in. */
  private readonly written = new Map<Scalar, Tensor>()
  /** Buffers that a contraction or reduction makes: elementwise work on them can be its epilogue. */
  readonly accumulated = new Set<Buffer>()
  /** Those, and what is written element for element from them. */
  readonly epilogues = new Set<Buffer>()

  /** What expressions are views of, by the expression. */
  private readonly behind = new Map<
    Scalar,
    { readonly tensor: Tensor; readonly source: readonly Affine[] }
  >()

  constructor(private readonly allocate: (dtype: DType, size: number) => Buffer) {}

  newBuffer(aval: Aval): Buffer {
    const buffer = this.allocate(aval.dtype, aval.size)
    this.own.add(buffer)
    return buffer
  }

  /** The tensor as it can be read most cheaply now: from memory if it has been written meanwhile. */
  current(x: Tensor): Tensor {
    if (x.value.kind === 'const' || x.value.kind === 'index') return x
    const known = this.written.get(x.value)
    return known !== undefined && shapesEqual(known.aval.shape, x.aval.shape) ? known : x
  }

  materialize(x: Tensor): Tensor {
    const tensor = this.current(x)
    if (bufferOf(tensor) !== null) return tensor
    const target = this.newBuffer(tensor.aval)
    this.fill(target, tensor)
    if (continues(tensor, this.epilogues)) this.epilogues.add(target)
    const result = stored(target, tensor.aval)
    this.written.set(tensor.value, result)
    return result
  }

  /** Element `j` of the result is element `source(j)` of `x`. */
  view(x: Tensor, aval: Aval, source: readonly Affine[]): Tensor {
    const value = reindexScalar(x.value, source, aval.ndim)
    if (value !== x.value && aval.size === x.aval.size)
      this.behind.set(value, { tensor: x, source })
    return { aval, value }
  }

  /**
   * As `materialize`, where any order of elements in memory will do: what is behind a view is
   * written, once for all of its views.
   */
  materializeBehind(x: Tensor): Tensor {
    const tensor = this.current(x)
    const view = this.behind.get(tensor.value)
    if (view === undefined) return this.materialize(tensor)
    const { value } = this.materializeBehind(view.tensor)
    return { aval: tensor.aval, value: reindexScalar(value, view.source, tensor.aval.ndim) }
  }

  inMemory(x: Tensor): Buffer {
    const buffer = bufferOf(this.materialize(x))
    if (buffer === null) throw new Error('a materialized tensor has a buffer')
    return buffer
  }

  /** Writes a tensor over the whole of `target`. */
  fill(target: Buffer, x: Tensor): void {
    if (target.size === 0) return
    const source = bufferOf(x)
    if (source !== null) this.nodes.push({ kind: 'copy', source, target })
    else {
      const { shape } = x.aval
      this.nodes.push({
        kind: 'map',
        shape,
        stores: [{ target, at: rowMajor(shape), offsets: [], value: x.value }],
      })
    }
  }

  /** The result of a contraction or reduction. */
  newAccumulated(aval: Aval): Buffer {
    const buffer = this.newBuffer(aval)
    this.accumulated.add(buffer)
    this.epilogues.add(buffer)
    return buffer
  }

  /** Writes `x` if it would otherwise be computed more often than it has elements. */
  cheapIfRepeated(x: Tensor, evaluations: number): Tensor {
    const tensor = this.current(x)
    const repeated = evaluations > tensor.aval.size && measure(tensor.value).cost > recomputeBudget
    return repeated ? this.materialize(tensor) : tensor
  }

  converted(x: Tensor, dtype: DType): Tensor {
    const { aval, value } = this.current(x)
    return { aval: withDType(aval, dtype, aval.weakType), value: convert(dtype, value) }
  }

  /**
   * What is written over `base`, not reading `base` itself if it is smaller: then the base is read
   * last by its copy, which costs nothing where the result may take its place.
   */
  apartFrom(base: Tensor | null, x: Tensor): Tensor {
    const tensor = this.current(x)
    const buffer = base === null ? null : bufferOf(this.current(base))
    const reads = buffer !== null && loadsOf([tensor.value]).some((l) => l.source === buffer)
    return reads && 2 * tensor.aval.size <= buffer.size ? this.materialize(tensor) : tensor
  }
}

// --- tensors in memory -----------------------------------------------------------------------------

export const filledWith = (aval: Aval, value: number | boolean): Tensor => ({
  aval,
  value: constant(aval.dtype, value),
})

export const stored = (buffer: Buffer, aval: Aval): Tensor => ({
  aval,
  value: load(buffer, rowMajor(aval.shape)),
})

/** The buffer whose row-major contents are exactly this tensor, or null. */
export function bufferOf({ aval, value }: Tensor): Buffer | null {
  if (value.kind !== 'load' || value.offsets.length > 0 || value.source.size !== aval.size)
    return null
  return aval.size === 0 || affineEqualOn(aval.shape, value.at, rowMajor(aval.shape))
    ? value.source
    : null
}

/** Element for element over one of these buffers: the node that makes it can write this as well. */
export const continues = (x: Tensor, buffers: ReadonlySet<Buffer>): boolean =>
  loadsOf([x.value]).some((l) => buffers.has(l.source) && l.source.size === x.aval.size)
