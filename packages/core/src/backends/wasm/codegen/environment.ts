/**
 * What every node emitter gets and gives.
 *
 * A node becomes one function of the module. The function takes the address of each buffer that the
 * node touches, as i32 parameters in the order of `buffersOf(node)`: each buffer once, where it is
 * first mentioned. It returns nothing. Buffers lie on multiples of 64 bytes and may be read up to
 * `READ_SLACK` bytes past their end, but never written there. Two buffers of a node may have the
 * same address only if the planner let a store take the place of a buffer that the node reads at
 * the same index.
 */
import type { Buffer, Scalar } from '../../../compiler/expr'
import type { LoopNode, Store } from '../../../compiler/nodes'
import { forEachNode } from '../../../compiler/views'
import type { FunctionBuilder, Global, Local, ModuleBuilder, WasmFeatures } from '../emit/index'
import type { ThreadCode } from './threads'

/** Bytes behind every buffer that may be read. */
export const READ_SLACK = 15

/** V8 replaces baseline code only when a function is entered, so long loops are split into calls. */
export const ELEMENTS_PER_CALL = 1 << 15

export interface CodegenEnvironment {
  readonly module: ModuleBuilder
  readonly features: WasmFeatures
  /**
   * Asks for working memory that nodes share, because they run one after the other: at least
   * `bytes`, at a multiple of 64 held by the global. Its contents do not survive the function.
   */
  scratch(bytes: number): Global
  /**
   * Given where several threads run the function together, each with working memory of its own:
   * every thread then does its share. Null where one thread does everything.
   */
  readonly threads: ThreadCode | null
  /** A name for the next function, unique in the module: `map3`, `contract7`. */
  functionName(kind: string): string
}

export type NodeEmitter<Node extends LoopNode> = (
  module: ModuleBuilder,
  node: Node,
  env: CodegenEnvironment,
) => FunctionBuilder

/** Addresses of buffers as locals of one function, by buffer id. */
export type BufferAddresses = ReadonlyMap<number, Local<'i32'>>

/** Reads the leading parameters of a node's function as the addresses of these buffers. */
export function addressParameters(f: FunctionBuilder, buffers: readonly Buffer[]): BufferAddresses {
  return new Map(buffers.map((buffer, position) => [buffer.id, f.param(position, 'i32')]))
}

/** Pushes an address that is so many bytes behind another one. */
export function pushOffset(f: FunctionBuilder, base: Local<'i32'>, offset: number): void {
  f.get(base)
  if (offset !== 0) f.i32Const(offset).op('i32.add')
}

/** The parameter types of a function that takes these buffers. */
export const addressTypes = (buffers: readonly Buffer[]): readonly 'i32'[] =>
  buffers.map(() => 'i32' as const)

/** The buffers that a node reads or writes, each once, in the order of its function's parameters. */
export function buffersOf(node: LoopNode): readonly Buffer[] {
  const found = new Map<number, Buffer>()
  const add = (...buffers: readonly Buffer[]): void => {
    for (const buffer of buffers) if (!found.has(buffer.id)) found.set(buffer.id, buffer)
  }
  const visited = new Set<Scalar>()
  const addLoads = (root: Scalar): void =>
    forEachNode([root], (x) => (x.kind === 'load' ? add(x.source) : undefined), visited)
  const addStores = (stores: readonly Store[]): void => {
    for (const store of stores) {
      add(store.target)
      addLoads(store.value)
      for (const offset of store.offsets) addLoads(offset.value)
    }
  }
  switch (node.kind) {
    case 'map':
      addStores(node.stores)
      break
    case 'reduce':
      addStores(node.stores)
      for (const { value } of node.reductions) addLoads(value)
      break
    case 'contract':
      addStores(node.stores)
      addLoads(node.lhs.value)
      addLoads(node.rhs.value)
      break
    case 'rows':
      for (const step of node.steps) add(...buffersOf(step))
      for (const local of node.locals) found.delete(local.id)
      break
    case 'joint':
      for (const part of node.parts) add(...buffersOf(part))
      break
    case 'cumulative':
    case 'copy':
    case 'cholesky':
      add(node.source, node.target)
      break
    case 'sort':
      add(...node.sources, ...node.targets)
      break
    case 'scatter':
      add(node.target)
      addLoads(node.position)
      if (node.inBounds) addLoads(node.inBounds)
      addLoads(node.update)
      break
    case 'selectAndScatter':
      add(node.operand, node.source, node.target)
      break
    case 'triangularSolve':
      add(node.a, node.b, node.target)
      break
    case 'scan':
      add(...node.constants, ...node.initial, ...node.xs, ...node.final, ...node.ys)
      break
    case 'while':
      add(...node.conditionConstants, ...node.bodyConstants, ...node.initial, ...node.final)
      break
    case 'branch':
      add(node.index, ...node.operands, ...node.targets)
      break
  }
  return [...found.values()]
}

export { forEachNode as visitScalars, operandsOf } from '../../../compiler/views'
