/** Keys that are equal only for nodes whose functions are the same. */
import type { Reduction, Store } from '../../../compiler/nodes'
import { structureKey } from '../../../compiler/structure'
import type { ComputingNode } from './nodes'

/**
 * What a node computes, with its buffers numbered as they come up: layers of a network and steps of
 * an unrolled loop do the same in other places, and one function serves them all. It is translated
 * once, and reaches the engine's optimised tier sooner.
 */
export const nodeKey = (node: ComputingNode): string =>
  structureKey(node, { sizes: true, steps: true, constants: true })

/**
 * The same for code that does not depend on how many elements there are: loops over one axis, whose
 * bounds are parameters. The shape is the caller's to leave out.
 */
export const keyOfAnySize = (part: {
  readonly reductions?: readonly Reduction[]
  readonly stores: readonly Store[]
}): string => structureKey(part, { sizes: false, steps: true, constants: true })
