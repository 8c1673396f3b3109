/**
 * How the result of a contraction lies in memory.
 *
 * A product and its transpose cost the same, so where every loop reads a temporary product
 * transposed, the operands are exchanged and the product is stored as it is read.
 */
import type { Shape } from '../types/aval'
import { sizeOf } from '../types/aval'
import { accessesOf, loadsIn } from './dependence'
import type { Affine, Buffer, Scalar } from './expr'
import type { ContractNode, LoopNode, Program } from './nodes'
import { exchanged, isSpaced, refined, storeSpace, withExpressions } from './spaces'
import { affineEqualOn, affinesOf, type Cache, rewrite, rowMajor } from './views'

export function asRead(given: Program): Program {
  const program = { ...given, nodes: bySlices(given.nodes) }
  const products = new Map<Buffer, ContractNode>()
  const settled = new Set<Buffer>(program.outputs)
  for (const node of program.nodes) {
    const { reads, writes } = accessesOf(node)
    if (!isSpaced(node)) [...reads, ...writes].forEach((b) => settled.add(b))
    else for (const b of writes) if (products.has(b) || node.kind === 'scatter') settled.add(b)
    if (node.kind === 'contract' && isPlain(node)) products.set(node.stores[0].target, node)
  }
  const readers = new Map<Buffer, LoopNode[]>()
  for (const node of program.nodes) {
    for (const b of accessesOf(node).reads) {
      if (!products.has(b) || settled.has(b)) continue
      const list = readers.get(b)
      if (list === undefined) readers.set(b, [node])
      else list.push(node)
    }
  }
  const turned = new Map<Buffer, ContractNode>()
  for (const [buffer, nodes] of readers) {
    const product = products.get(buffer)
    if (product !== undefined && prefersTransposed(product, nodes)) turned.set(buffer, product)
  }
  if (turned.size === 0) return program
  const nodes = program.nodes.map((node): LoopNode => {
    const isAffected = loadsIn(node).some((l) => turned.has(l.source))
    const isOne = node.kind === 'contract' && isTurned(node, turned)
    if (!isSpaced(node) || !(isAffected || isOne)) return node
    const cache: Cache = new Map()
    const visit = (e: Scalar): Scalar =>
      rewrite(
        e,
        (leaf) => {
          const product = leaf.kind === 'load' ? turned.get(leaf.source) : undefined
          if (leaf.kind !== 'load' || product === undefined) return leaf
          return { ...leaf, at: transposed(leaf.at, loadSpace(node, leaf.at), product) ?? leaf.at }
        },
        cache,
      )
    const reading = withExpressions(node, visit)
    if (reading.kind !== 'contract' || !isOne) return reading
    const other = exchanged(reading)
    return { ...other, stores: [{ ...other.stores[0], at: rowMajor(storeSpace(other)) }] }
  })
  return { ...program, nodes }
}

/**
 * Maps with their axes split where one of them goes through several rows, or several matrices, of a
 * product: `[…, heads · width]` as `[…, heads, width]`. Turning the product then takes strides apart
 * that are one stride now.
 */
function bySlices(nodes: readonly LoopNode[]): readonly LoopNode[] {
  const products = new Map<Buffer, ContractNode>()
  return nodes.map((node) => {
    if (node.kind === 'contract' && isPlain(node)) products.set(node.stores[0].target, node)
    if (node.kind !== 'map') return node
    const runs = new Map<number, number>()
    for (const { source, at } of loadsIn(node)) {
      const product = products.get(source)
      if (product === undefined) continue
      const columns = sizeOf(product.n)
      const matrix = sizeOf(product.m) * columns
      at.strides.forEach((stride, axis) => {
        const run = (stride < columns ? columns : matrix) / stride
        const n = node.shape[axis]
        if (stride > 0 && run > 1 && run < n && n % run === 0) runs.set(axis, run)
      })
    }
    if (runs.size === 0) return node
    const split = node.shape.flatMap((n, axis) => {
      const run = runs.get(axis)
      return run === undefined ? [n] : [n / run, run]
    })
    return refined(node, [split])
  })
}

const isTurned = (node: ContractNode, turned: ReadonlyMap<Buffer, ContractNode>): boolean =>
  node.stores.length === 1 && turned.get(node.stores[0].target) === node

/** One store, row-major over the product's own axes. */
const isPlain = (node: ContractNode): boolean =>
  node.stores.length === 1 &&
  node.stores[0].offsets.length === 0 &&
  sizeOf(node.m) > 1 &&
  sizeOf(node.n) > 1 &&
  affineEqualOn(storeSpace(node), node.stores[0].at, rowMajor(storeSpace(node)))

/** All can follow, and more loops would then walk along memory than do now. */
function prefersTransposed(product: ContractNode, readers: readonly LoopNode[]): boolean {
  const target = product.stores[0].target
  let votes = 0
  for (const node of readers) {
    for (const l of loadsIn(node)) {
      if (l.source !== target) continue
      const space = loadSpace(node, l.at)
      const other = l.offsets.length === 0 ? transposed(l.at, space, product) : null
      if (other === null) return false
      // Operands of contractions are packed, whichever way they lie, and reductions go along memory
      // whichever axes are reduced.
      if (node.kind !== 'contract' && node.kind !== 'reduce')
        votes += walks(other, space) - walks(l.at, space)
    }
  }
  return votes > 0
}

const walks = (at: Affine, space: Shape): number => {
  for (let axis = space.length - 1; axis >= 0; axis--)
    if (space[axis] > 1) return at.strides[axis] === 1 ? 1 : 0
  return 0
}

/** The space that a leaf of a node runs over: in nodes with several, its rank tells the axes it has. */
function loadSpace(node: LoopNode, at: Affine): Shape {
  switch (node.kind) {
    case 'map':
    case 'scatter':
      return node.shape
    case 'reduce':
      return at.strides.length === node.shape.length ? node.shape : [...node.shape, ...node.reduced]
    case 'contract': {
      const { batch, m, n, k, lhs, rhs } = node
      if (affinesOf([lhs.value]).includes(at)) return [...batch, ...m, ...k]
      return affinesOf([rhs.value]).includes(at) ? [...batch, ...n, ...k] : [...batch, ...m, ...n]
    }
    default:
      return []
  }
}

/**
 * The place of an element of `[…, m, n]` when it is stored as `[…, n, m]`, as an affine function, or
 * null where a stride crosses rows. Addresses are split into their digits in the base of the shape.
 */
function transposed(at: Affine, space: Shape, product: ContractNode): Affine | null {
  const rows = sizeOf(product.m)
  const columns = sizeOf(product.n)
  const matrix = rows * columns
  const digits = (address: number): readonly [number, number, number] => [
    Math.floor(address / matrix) * matrix,
    Math.floor((address % matrix) / columns),
    address % columns,
  ]
  const [whole, row, column] = digits(at.offset)
  let lastRow = row
  let lastColumn = column
  const strides: number[] = []
  for (let axis = 0; axis < space.length; axis++) {
    const stride = at.strides[axis]
    if (stride === 0 || space[axis] <= 1) {
      strides.push(0)
      continue
    }
    if (stride < 0) return null
    const [matrices, byRow, byColumn] = digits(stride)
    if ([matrices, byRow, byColumn].filter((d) => d !== 0).length > 1) return null
    lastRow += byRow * (space[axis] - 1)
    lastColumn += byColumn * (space[axis] - 1)
    strides.push(matrices + byColumn * rows + byRow)
  }
  if (lastRow >= rows || lastColumn >= columns) return null
  return { offset: whole + column * rows + row, strides }
}
