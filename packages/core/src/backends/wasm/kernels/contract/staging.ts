import type { Affine, Buffer, Scalar } from '../../../../compiler/expr'
import type { ContractNode, MapNode } from '../../../../compiler/nodes'
import { affineEqual, loadsOf, rewrite, rowMajor } from '../../../../compiler/views'
import type { Shape } from '../../../../types/aval'
import { visitScalars } from '../../codegen/environment'
import { sizeOf } from './axes'
import { acrossDiagonal } from './own-transpose'
import { isPlainLoad } from './problem'

/** A contraction that reads and writes plainly, with maps before and after for the rest. */
export interface StagedContraction {
  readonly before: readonly MapNode[]
  readonly product: ContractNode
  readonly after: MapNode | null
  /** Buffers that only these nodes know. */
  readonly staged: readonly Buffer[]
}

/** Not the id of any buffer of a program. */
const LHS = -1
const RHS = -2
const RESULT = -3

/**
 * Writes out the operands that are not plain loads, and the result where its stores cannot run
 * tile by tile, or where only the elements above the `diagonal` are computed.
 */
export function stage(node: ContractNode, storesFit: boolean, diagonal = false): StagedContraction {
  const { batch, m, n, k, dtype } = node
  const before: MapNode[] = []
  const staged: Buffer[] = []
  const plain = (value: Scalar, shape: Shape, id: number): Scalar => {
    if (isPlainLoad(value) && value.dtype === dtype) return value
    const { node: map, load } = writeOutDensely(value, shape, id) ?? writeOut(value, shape, id)
    before.push(map)
    staged.push(load.source)
    return load
  }
  const product = {
    ...node,
    lhs: { value: plain(node.lhs.value, [...batch, ...m, ...k], LHS) },
    rhs: { value: plain(node.rhs.value, [...batch, ...n, ...k], RHS) },
  }
  if (storesFit) return { before, product, after: null, staged }

  const shape = [...batch, ...m, ...n]
  const result: Buffer = { id: RESULT, dtype, size: sizeOf(shape) }
  const at = rowMajor(shape)
  const load = { kind: 'load' as const, dtype, source: result, at, offsets: [] }
  const element = diagonal ? acrossDiagonal(load) : load
  const cache = new Map<Scalar, Scalar>()
  const read = (value: Scalar): Scalar =>
    rewrite(value, (leaf) => (leaf.kind === 'accumulator' ? element : leaf), cache)
  const value = { kind: 'accumulator' as const, dtype, slot: 0 }
  return {
    before,
    product: { ...product, stores: [{ target: result, at, offsets: [], value }] },
    after: {
      kind: 'map',
      shape,
      stores: node.stores.map((store) => ({ ...store, value: read(store.value) })),
    },
    staged: [...staged, result],
  }
}

/**
 * Where every load of an expression has the same address, the map runs over the memory between the
 * first and the last of these addresses and the operand keeps its own: windows then share what they
 * have in common, and nothing is transposed. Null where addresses differ or lie too far apart.
 */
function writeOutDensely(
  value: Scalar,
  shape: Shape,
  id: number,
): { node: MapNode; load: Scalar & { kind: 'load' } } | null {
  const loads = loadsOf([value])
  const [at] = loads.map((x) => x.at)
  const separate = loads.some((x) => x.offsets.length > 0 || (at && !affineEqual(at, x.at)))
  let counts = false
  visitScalars([value], (x) => (counts ||= x.kind === 'index'))
  if (!at || separate || counts || sizeOf(shape) === 0) return null
  const [first, last] = reach(at, shape)
  const size = last - first + 1
  if (size > sizeOf(shape)) return null
  const dense: Affine = { offset: first, strides: [1] }
  const source: Buffer = { id, dtype: value.dtype, size }
  const moved = rewrite(value, (leaf) => (leaf.kind === 'load' ? { ...leaf, at: dense } : leaf))
  const store = { target: source, at: { offset: 0, strides: [1] }, offsets: [], value: moved }
  return {
    node: { kind: 'map', shape: [size], stores: [store] },
    load: {
      kind: 'load',
      dtype: value.dtype,
      source,
      at: { offset: at.offset - first, strides: at.strides },
      offsets: [],
    },
  }
}

/** The smallest and the largest value over an index of a shape that is not empty. */
function reach({ offset, strides }: Affine, shape: Shape): readonly [number, number] {
  let [first, last] = [offset, offset]
  shape.forEach((size, axis) => {
    const span = (size - 1) * (strides[axis] ?? 0)
    if (span < 0) first += span
    else last += span
  })
  return [first, last]
}

/** A map that writes an expression out, without the axes along which it does not vary. */
function writeOut(
  value: Scalar,
  shape: Shape,
  id: number,
): { node: MapNode; load: Scalar & { kind: 'load' } } {
  const varies = shape.map(() => false)
  visitScalars([value], (x) => {
    if (x.kind !== 'load' && x.kind !== 'index') return
    x.at.strides.forEach((stride, axis) => {
      if (stride !== 0) varies[axis] = true
    })
  })
  const kept = shape.map((size, axis) => (varies[axis] ? size : 1))
  const source: Buffer = { id, dtype: value.dtype, size: sizeOf(kept) }
  const at: Affine = rowMajor(kept)
  return {
    node: { kind: 'map', shape: kept, stores: [{ target: source, at, offsets: [], value }] },
    load: { kind: 'load', dtype: value.dtype, source, at, offsets: [] },
  }
}
