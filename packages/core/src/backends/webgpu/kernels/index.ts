/** Kernels of the nodes that have an algorithm of their own, by kind. */
import type { LoopNode } from '../../../compiler/nodes'
import type { NodeKernel } from '../kernel'
import { contractKernel } from './contract/index'
import { cumulativeKernel } from './cumulative'
import { choleskyKernel, triangularSolveKernel } from './linear-algebra'
import { scatterKernel } from './scatter'
import { selectAndScatterKernel } from './select-and-scatter'
import { sortKernel } from './sort'

type Kind =
  | 'contract'
  | 'cumulative'
  | 'sort'
  | 'scatter'
  | 'selectAndScatter'
  | 'cholesky'
  | 'triangularSolve'

export const nodeKernels: {
  readonly [K in Kind]: NodeKernel<Extract<LoopNode, { readonly kind: K }>>
} = {
  contract: contractKernel,
  cumulative: cumulativeKernel,
  sort: sortKernel,
  scatter: scatterKernel,
  selectAndScatter: selectAndScatterKernel,
  cholesky: choleskyKernel,
  triangularSolve: triangularSolveKernel,
}
