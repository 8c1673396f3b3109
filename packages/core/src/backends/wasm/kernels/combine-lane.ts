import type { BinaryOp } from '../../../compiler/expr'
import { binary } from '../../../compiler/expr'
import type { ScatterCombine } from '../../../compiler/context'
import type { DType } from '../../../types/dtype'
import { laneClass } from '../codegen/conversions'
import type { VectorValue } from '../codegen/memory-forms'
import { loadGroup } from '../codegen/memory-forms'
import type { FunctionBuilder, Local, WasmFeatures } from '../emit/index'
import { VectorGraph } from '../math/index'
import type { ValueLocals } from './lane-values'
import { assignAndStore, evaluate, variable, vectorAt } from './lane-values'

export const combineOp = (combine: Exclude<ScatterCombine, 'set'>): BinaryOp => combine

/** Combines one lane of a value with the element at an address. */
export function combineLane(
  f: FunctionBuilder,
  features: WasmFeatures,
  combine: ScatterCombine,
  dtype: DType,
  address: Local<'i32'>,
  value: ValueLocals,
  lane: number,
): void {
  const graph = new VectorGraph()
  const update = laneInFront(graph, dtype, value, lane)
  const group = { dtype, pointer: address, delta: 0, lanes: 1 as const }
  const combined = (): VectorValue => {
    // Read as a splat, so that no more is read than a store may have written a moment ago.
    const old = loadGroup(graph, dtype, { ...group, step: 0, perLane: null })
    if (combine === 'set') return update
    const formula = binary(combineOp(combine), dtype, variable(dtype, 0), variable(dtype, 1))
    return evaluate(graph, features, formula, [old, update])
  }
  assignAndStore(f, graph, [], { group, value: combined() })
}

/** The value with the lane's element as the first one. */
function laneInFront(
  graph: VectorGraph,
  dtype: DType,
  value: ValueLocals,
  lane: number,
): VectorValue {
  const vectors = value.map((local) => graph.local(local))
  if (laneClass(dtype) !== 'double') {
    const vec = vectorAt(vectors, 0)
    return lane === 0 ? [vec] : [graph.shuffle32(vec, vec, lane, lane, lane, lane)]
  }
  const vec = vectorAt(vectors, lane >> 1)
  const front = lane % 2 === 0 ? vec : graph.shuffle32(vec, vec, 2, 3, 2, 3)
  return [front, front]
}
