/** Contractions: matrix products, convolutions and their gradients. */
import type { ContractNode } from '../../../../compiler/nodes'
import type { Dispatch, KernelSpace } from '../../kernel'
import { contractDots, contractEach } from './direct'
import { problemOf } from './problem'
import { contractRegisters } from './registers'
import { choose, type Strategy } from './strategy'
import { contractTiled } from './tiled'

export function contractKernel(node: ContractNode, space: KernelSpace): readonly Dispatch[] {
  const problem = problemOf(node)
  return contractWith(node, space, choose(problem, space.facts))
}

/** With a given strategy: tests try them all. */
export function contractWith(
  node: ContractNode,
  space: KernelSpace,
  strategy: Strategy,
): readonly Dispatch[] {
  const problem = problemOf(node)
  if (problem.batch * problem.rows * problem.columns === 0) return []
  switch (strategy.kind) {
    case 'tiled':
      return contractTiled(problem, space, strategy)
    case 'registers':
      return contractRegisters(problem, space, strategy.splits)
    case 'dots':
      return contractDots(problem, space)
    case 'each':
      return contractEach(problem, space, strategy.splits)
  }
}
