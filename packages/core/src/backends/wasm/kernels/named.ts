/**
 * Kernels that not every page has. The code generator does not know them: a page has those that its
 * primitives name, each in its lowering rule, before it makes such a node.
 */
import type { LowerOptions } from '../../../compiler/compile'
import type { LoopNode } from '../../../compiler/nodes'
import type { ControlFlow, ProgramWriter } from '../codegen/control-flow'
import type { NodeEmitter } from '../codegen/environment'
import type { emitJoint } from '../codegen/joint'

type Kind = 'rows' | 'selectAndScatter' | 'cholesky' | 'triangularSolve'
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

/** What programs of several operations are made of besides: chains along rows, and joint loops. */
export interface WholePrograms {
  readonly fusion: Pick<LowerOptions, 'rows' | 'joint'>
  readonly emitJoint: typeof emitJoint
}

let wholePrograms: WholePrograms | null = null

export function nameWholePrograms(named: WholePrograms): void {
  wholePrograms = named
}

/** How programs are fused here: single operations have no use for what is not named. */
export const namedFusion = (): WholePrograms['fusion'] => wholePrograms?.fusion ?? {}

export const emitNamedJoint: typeof emitJoint = (f, node, context) => {
  if (wholePrograms === null) throw new Error('nobody has named the code of joint loops')
  wholePrograms.emitJoint(f, node, context)
}

/** As in a page that has not lowered anything yet: for tests. */
export function forgetNamed(): void {
  kernels.clear()
  controlFlow = null
  wholePrograms = null
}
