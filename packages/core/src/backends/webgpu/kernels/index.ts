/** The kernels of nodes with algorithms of their own, by kind. */
import type { LoopNode } from '../../../compiler/nodes'
import { DeviceError } from '../../../types/errors'
import type { NodeKernel } from '../kernel'

type Kinds =
  'contract' | 'cumulative' | 'sort' | 'scatter' | 'selectAndScatter' | 'cholesky' | 'triangularSolve'

const missing: NodeKernel<LoopNode> = (node) => {
  throw new DeviceError({ op: 'compile', problem: `the webgpu device has no kernel for ${node.kind}` })
}

export const nodeKernels: {
  readonly [K in Kinds]: NodeKernel<Extract<LoopNode, { readonly kind: K }>>
} = {
  contract: missing,
  cumulative: missing,
  sort: missing,
  scatter: missing,
  selectAndScatter: missing,
  cholesky: missing,
  triangularSolve: missing,
}
