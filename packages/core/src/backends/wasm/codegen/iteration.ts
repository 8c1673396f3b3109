/**
 * Iteration spaces and the affine maps over them: rewriting expressions when axes are merged,
 * dropped or permuted, and choosing the axis along which elements are grouped into vectors.
 */
import type { Affine, Buffer, Index, Load, Scalar } from '../../../compiler/expr'
import type { Store } from '../../../compiler/nodes'
import { operandsOf, visitScalars } from './environment'

/** A shape and everything that is evaluated at each of its indices. */
export interface Space {
  readonly shape: readonly number[]
  readonly values: readonly Scalar[]
  readonly stores: readonly Store[]
}

/** The expressions that a space evaluates, those inside addresses included. */
export const rootsOf = (space: Space): readonly Scalar[] => [
  ...space.values,
  ...space.stores.flatMap((store) => [...store.offsets.map((o) => o.value), store.value]),
]

/** Replaces every affine map in expressions, keeping shared subexpressions shared. */
class AffineRewriter {
  private readonly done = new Map<Scalar, Scalar>()

  constructor(private readonly rewrite: (at: Affine) => Affine) {}

  scalar(x: Scalar): Scalar {
    const known = this.done.get(x)
    if (known) return known
    const result = this.rebuild(x)
    this.done.set(x, result)
    return result
  }

  store(store: Store): Store {
    return {
      target: store.target,
      at: this.rewrite(store.at),
      offsets: store.offsets.map((o) => ({ ...o, value: this.scalar(o.value) })),
      value: this.scalar(store.value),
    }
  }

  private rebuild(x: Scalar): Scalar {
    switch (x.kind) {
      case 'load':
        return {
          ...x,
          at: this.rewrite(x.at),
          offsets: x.offsets.map((o) => ({ ...o, value: this.scalar(o.value) })),
        }
      case 'index':
        return { ...x, at: this.rewrite(x.at) }
      case 'unary':
      case 'convert':
      case 'bitcast':
        return { ...x, x: this.scalar(x.x) }
      case 'binary':
        return { ...x, x: this.scalar(x.x), y: this.scalar(x.y) }
      case 'select':
        return {
          ...x,
          condition: this.scalar(x.condition),
          onTrue: this.scalar(x.onTrue),
          onFalse: this.scalar(x.onFalse),
        }
      case 'const':
      case 'accumulator':
        return x
    }
  }
}

export function rewriteSpace(
  space: Space,
  shape: readonly number[],
  rewrite: (at: Affine) => Affine,
): Space {
  const rewriter = new AffineRewriter(rewrite)
  return {
    shape,
    values: space.values.map((x) => rewriter.scalar(x)),
    stores: space.stores.map((store) => rewriter.store(store)),
  }
}

/** Every affine map of a space: addresses of loads and stores, and counters. */
export function affinesOf(space: Space): readonly Affine[] {
  const found: Affine[] = space.stores.map((store) => store.at)
  visitScalars(rootsOf(space), (x) => {
    if (x.kind === 'load' || x.kind === 'index') found.push(x.at)
  })
  return found
}

const strideAlong = (at: Affine, axis: number): number => at.strides[axis] ?? 0

/**
 * The same elements in fewer axes: axes of size 1 vanish, and neighbours merge where every map
 * steps through both as through one. Axes do not merge across `boundary`; the answer says where
 * the boundary is afterwards.
 */
export function mergeAxes(space: Space, boundary = 0): { space: Space; boundary: number } {
  const affines = affinesOf(space)
  // Each new axis is a run of old axes; its stride is the last one's.
  const runs: { size: number; axis: number }[] = []
  let newBoundary = 0
  space.shape.forEach((size, axis) => {
    if (axis === boundary) newBoundary = runs.length
    if (size === 1) return
    const last = runs.at(-1)
    const mayMerge = last !== undefined && !(axis >= boundary && runs.length === newBoundary)
    const merges =
      mayMerge && affines.every((at) => strideAlong(at, last.axis) === strideAlong(at, axis) * size)
    if (merges) {
      last.size *= size
      last.axis = axis
    } else runs.push({ size, axis })
  })
  if (boundary >= space.shape.length) newBoundary = runs.length
  const rewrite = (at: Affine): Affine => ({
    offset: at.offset,
    strides: runs.map((run) => strideAlong(at, run.axis)),
  })
  const shape = runs.map((run) => run.size)
  return { space: rewriteSpace(space, shape, rewrite), boundary: newBoundary }
}

/** Axis `i` of the result is axis `order[i]` of the space. */
export function permuteAxes(space: Space, order: readonly number[]): Space {
  const pick = (values: readonly number[]): number[] => order.map((axis) => values[axis] ?? 0)
  return rewriteSpace(space, pick(space.shape), (at) => ({
    offset: at.offset,
    strides: pick(at.strides),
  }))
}

/** The same elements with an axis of size 1 before the given one. */
export function insertUnitAxis(space: Space, before: number): Space {
  const insert = (values: readonly number[], value: number): number[] => [
    ...values.slice(0, before),
    value,
    ...values.slice(before),
  ]
  return rewriteSpace(space, insert(space.shape, 1), (at) => ({
    offset: at.offset,
    strides: insert(at.strides, 0),
  }))
}

/** What reading or writing four elements of a buffer costs, by their stride. */
function accessCost(stride: number, bytes: number): number {
  if (stride === 0 || stride === 1) return bytes === 8 ? 2 : 1
  return stride === -1 ? 2 : 5
}

/** How dear it is to group elements along an axis: strided accesses and unused lanes. */
export function vectorAxisCost(space: Space, axis: number): number {
  const size = space.shape[axis] ?? 1
  const lanesUsed = size / (4 * Math.ceil(size / 4))
  let cost = 1
  for (const store of space.stores) {
    // Of a load and a store, it is better that the load is strided: blocks can be transposed then.
    cost += 1.1 * accessCost(strideAlong(store.at, axis), bytesPerElement(store.target))
  }
  const seen = new Set<string>()
  visitScalars(rootsOf(space), (x) => {
    if (x.kind !== 'load') return
    const key = `${x.source.id}:${x.at.strides.join()}`
    if (seen.has(key)) return
    seen.add(key)
    const gathers = x.offsets.some((o) => variesAlong(o.value, [axis]))
    cost += gathers ? 8 : accessCost(strideAlong(x.at, axis), bytesPerElement(x.source))
  })
  return cost / lanesUsed
}

const bytesPerElement = (buffer: Buffer): number => (buffer.dtype === 'float64' ? 8 : 4)

/** The cheapest axis to group along; the innermost of equals. */
export function chooseVectorAxis(space: Space, axes: readonly number[]): number {
  let best = axes.at(-1) ?? 0
  let bestCost = vectorAxisCost(space, best)
  for (const axis of [...axes].reverse().slice(1)) {
    const cost = vectorAxisCost(space, axis)
    if (cost < bestCost * 0.99) {
      best = axis
      bestCost = cost
    }
  }
  return best
}

/** The expressions whose value can change when the index moves in a way that `steps` tells of a map. */
export function varyingScalars(
  roots: readonly Scalar[],
  steps: (at: Affine, leaf: Load | Index) => boolean,
): ReadonlySet<Scalar> {
  const varying = new Set<Scalar>()
  visitScalars(roots, (x) => {
    const varies =
      x.kind === 'accumulator' ||
      ((x.kind === 'load' || x.kind === 'index') && steps(x.at, x)) ||
      operandsOf(x).some((operand) => varying.has(operand))
    if (varies) varying.add(x)
  })
  return varying
}

/** Whether the value can change when only the index along these axes does. */
export const variesAlong = (x: Scalar, axes: readonly number[]): boolean =>
  varyingScalars([x], (at) => axes.some((axis) => strideAlong(at, axis) !== 0)).has(x)
