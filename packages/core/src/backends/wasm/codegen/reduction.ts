/** What the two ways of reducing have in common. */
import type { Scalar } from '../../../compiler/expr'
import type { FunctionBuilder, ModuleBuilder } from '../emit/index'
import type { VectorGraph } from '../math/index'
import type { BufferAddresses, CodegenEnvironment } from './environment'
import type { Space } from './iteration'
import type { LaneCount, VectorValue } from './memory-forms'
import type { State, VectorMonoid } from './monoids'
import { RowCode } from './rows'
import type { Group } from './rows'

/** One reduction of a node: what it combines, and how. */
export interface ReductionPlan {
  readonly monoid: VectorMonoid
  /** What an item is made of: the value, and for positions of extrema also the position. */
  readonly inputs: readonly Scalar[]
}

/** A reduce node with its axes arranged; kept axes stand before `boundary`, reduced ones behind. */
export interface ReduceProblem {
  readonly name: string
  readonly module: ModuleBuilder
  readonly env: CodegenEnvironment
  readonly space: Space
  readonly boundary: number
  readonly reductions: readonly ReductionPlan[]
  readonly addresses: (f: FunctionBuilder) => BufferAddresses
  readonly addressTypes: readonly 'i32'[]
}

/** The stores, over the kept axes. */
export const epilogueCode = (
  f: FunctionBuilder,
  { space, env, addresses }: ReduceProblem,
  vectorAxis: number,
): RowCode =>
  new RowCode(f, {
    stores: space.stores,
    values: [],
    vectorAxis,
    blockAxis: null,
    addresses: addresses(f),
    features: env.features,
  })

/** The item of each reduction at a group. */
export function itemsOf(
  group: Group,
  reductions: readonly ReductionPlan[],
  lanes: LaneCount,
): readonly State[] {
  return reductions.map(({ monoid, inputs }) => {
    const values: VectorValue[] = inputs.map((x) => group.value(x))
    return monoid.item(group.graph, values, lanes)
  })
}

/** Merges neighbours until one is left, so that each item takes part in few roundings. */
export function mergePairwise(
  graph: VectorGraph,
  monoid: VectorMonoid,
  items: readonly State[],
): State {
  const [first, second] = items
  if (!first) throw new Error('nothing to merge')
  if (!second) return first
  const half = 2 ** Math.ceil(Math.log2(items.length) - 1)
  return monoid.merge(
    graph,
    mergePairwise(graph, monoid, items.slice(0, half)),
    mergePairwise(graph, monoid, items.slice(half)),
  )
}

/** The state after several groups' items, in order. */
export function addItems(
  graph: VectorGraph,
  monoid: VectorMonoid,
  state: State,
  items: readonly State[],
): State {
  if (monoid.mergesItems) return monoid.add(graph, state, mergePairwise(graph, monoid, items))
  return items.reduce((sum, item) => monoid.add(graph, sum, item), state)
}
