import type { Accumulator, Scalar } from '../../../compiler/expr'
import type { DType } from '../../../types/dtype'
import { bytesOf } from '../../../types/dtype'
import { operandsOf } from '../codegen/environment'
import { laneClass } from '../codegen/conversions'
import type { LaneCount, VectorValue } from '../codegen/memory-forms'
import { loadGroup, storedForm, storeGroup } from '../codegen/memory-forms'
import { translateScalar } from '../codegen/scalar'
import type { FunctionBuilder, Local, WasmFeatures } from '../emit/index'
import type { Vec, VectorGraph } from '../math/index'
import { Emission } from '../math/index'

/** A value that routines keep between steps: one vector, or two for float64. */
export type ValueLocals = readonly Local<'v128'>[]

export const newValue = (f: FunctionBuilder, dtype: DType): ValueLocals =>
  Array.from({ length: laneClass(dtype) === 'double' ? 2 : 1 }, () => f.local('v128'))

/** Stands for the n-th variable of a formula. */
export const variable = (dtype: DType, slot: number): Accumulator => ({
  kind: 'accumulator',
  dtype,
  slot,
})

/** A formula over variables, as vectors. */
export function evaluate(
  graph: VectorGraph,
  features: WasmFeatures,
  formula: Scalar,
  variables: readonly VectorValue[],
): VectorValue {
  const known = new Map<Scalar, VectorValue>()
  const visit = (x: Scalar): VectorValue => {
    const done = known.get(x)
    if (done) return done
    const value =
      x.kind === 'accumulator'
        ? (variables[x.slot] ?? [])
        : translateScalar(graph, features, x, operandsOf(x).map(visit))
    known.set(x, value)
    return value
  }
  return visit(formula)
}

/** Elements at a pointer plus a number of bytes known now. */
export interface ElementGroup {
  readonly dtype: DType
  readonly pointer: Local<'i32'>
  readonly delta: number
  readonly lanes: LaneCount
}

export const readGroup = (graph: VectorGraph, { dtype, ...place }: ElementGroup): VectorValue =>
  loadGroup(graph, dtype, { ...place, step: bytesOf(dtype), perLane: null })

/** Assigns values to locals and writes one to memory, all computed from what the locals held. */
export function assignAndStore(
  f: FunctionBuilder,
  graph: VectorGraph,
  assignments: readonly { readonly to: ValueLocals; readonly value: VectorValue }[],
  stored: { readonly group: ElementGroup; readonly value: VectorValue } | null,
): void {
  const pairs = assignments.flatMap(({ to, value }) =>
    to.map((local, half) => ({ local, vec: vectorAt(value, half) })),
  )
  const form = stored ? storedForm(graph, stored.group.dtype, stored.value) : []
  const emission = new Emission(f, [...pairs.map(({ vec }) => vec), ...form])
  const computed = pairs.map(({ local, vec }) => ({ local, from: emission.toLocal(vec) }))
  if (stored) {
    const { dtype, ...place } = stored.group
    storeGroup(emission, dtype, form, { ...place, step: bytesOf(dtype), perLane: null })
  }
  for (const { local, from } of computed) {
    f.get(from.local).set(local)
    from.release()
  }
}

export const vectorAt = (value: VectorValue, half: number): Vec => {
  const vec = value[half]
  if (!vec) throw new Error('a value has fewer vectors than its dtype needs')
  return vec
}
