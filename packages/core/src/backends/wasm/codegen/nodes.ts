/** Which emitter turns a node into a function, by its kind. */
import type { LoopNode } from '../../../compiler/nodes'
import { isSpaced } from '../../../compiler/spaces'
import type { FunctionBuilder, ModuleBuilder } from '../emit/index'
import { emitContract } from '../kernels/contract/contract'
import { emitCumulative } from '../kernels/cumulative'
import { emitNamed } from '../kernels/named'
import { emitScatter } from '../kernels/scatter'
import { emitSort } from '../kernels/sort'
import { withCheaperForms } from './cheaper'
import type { CodegenEnvironment } from './environment'
import { emitMap } from './map'
import { emitReduce } from './reduce'

/** Nodes that hold programs or other nodes, and copies, are written into the function that runs them. */
export type ComputingNode = Exclude<
  LoopNode,
  { kind: 'scan' | 'while' | 'branch' | 'copy' | 'joint' }
>

export function emitNode(
  module: ModuleBuilder,
  given: ComputingNode,
  env: CodegenEnvironment,
): FunctionBuilder {
  const node = isSpaced(given) ? withCheaperForms(given) : given
  switch (node.kind) {
    case 'map':
      return emitMap(module, node, env)
    case 'reduce':
      return emitReduce(module, node, env)
    case 'contract':
      return emitContract(module, node, env)
    case 'cumulative':
      return emitCumulative(module, node, env)
    case 'sort':
      return emitSort(module, node, env)
    case 'scatter':
      return emitScatter(module, node, env)
    default:
      return emitNamed(module, node, env)
  }
}
