/**
 * Kernels that not every page has. The code generator does not know them: a page has those that its
 * primitives name, each in its lowering rule, before it makes such a node.
 */
import type { LoopNode } from '../../../compiler/nodes'
import type { ControlFlow, ProgramWriter } from '../codegen/control-flow'
import type { NodeEmitter } from '../codegen/environment'

type Kind = 'selectAndScatter' | 'cholesky' | 'triangularSolve'
type NodeOf<K extends Kind> = Extract<LoopNode, { readonly kind: K }>

/** Nodes whose kernel is named by whoever makes them. */
export type NamedNode = NodeOf<Kind>

/** As a method type, which is bivariant in its parameters: an emitter of some nodes is one of any. */
type AnyEmitter = {
  emit(...args: Parameters<NodeEmitter<NamedNode>>): ReturnType<NodeEmitter<NamedNode>>
}['emit']

const kernels = new Map<Kind, AnyEmitter>()

export function nameKernel<K extends Kind>(kind: K, emit: NodeEmitter<NodeOf<K>>): void {
  kernels.set(kind, emit)
}

export const emitNamed: NodeEmitter<NamedNode> = (module, node, env) => {
  const emit = kernels.get(node.kind)
  if (!emit) throw new Error(`nobody has named a kernel for ${node.kind}`)
  return emit(module, node, env)
}

type MakeControlFlow = (writer: ProgramWriter) => ControlFlow

let controlFlow: MakeControlFlow | null = null

/** As `nameKernel`, for nodes that hold programs. */
export function nameControlFlow(make: MakeControlFlow): void {
  controlFlow = make
}

export function namedControlFlow(writer: ProgramWriter): ControlFlow {
  if (controlFlow === null) throw new Error('nobody has named the code of loops and branches')
  return controlFlow(writer)
}
