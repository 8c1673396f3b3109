import type { LaneCount, VectorValue } from '../../codegen/memory-forms'
import type { FunctionBuilder, FunctionRef, Local, ModuleBuilder } from '../../emit'
import type { Vec, VectorGraph } from '../../math/graph'
import { shared } from '../shared'
import type { Element } from './element'

/**
 * What every kernel takes: where its operands start, where the tile's sums are or go, the bytes
 * from one of their rows to the next, the number of steps along k, and whether to add to the sums.
 */
export interface KernelParameters {
  readonly a: Local<'i32'>
  readonly b: Local<'i32'>
  readonly c: Local<'i32'>
  readonly cRow: Local<'i32'>
  readonly k: Local<'i32'>
  readonly accumulate: Local<'i32'>
}

/** A tile's sums: for every row its vectors. */
export type Sums = readonly (readonly Local<'v128'>[])[]

/** Writes the loops of a kernel into a function and answers the finished sums. */
export type KernelBody = (f: FunctionBuilder, parameters: KernelParameters) => Sums

const kernelParameterTypes = Array.from({ length: 6 }, () => 'i32' as const)

const kernelParameters = (f: FunctionBuilder): KernelParameters => ({
  a: f.param(0, 'i32'),
  b: f.param(1, 'i32'),
  c: f.param(2, 'i32'),
  cRow: f.param(3, 'i32'),
  k: f.param(4, 'i32'),
  accumulate: f.param(5, 'i32'),
})

/** A kernel that leaves the sums in memory, shared by all contractions of a module. */
export function storingKernel(
  module: ModuleBuilder,
  key: string,
  element: Element,
  body: KernelBody,
): FunctionRef {
  return shared(module, key, () =>
    module.function({ name: 'tile', params: kernelParameterTypes, results: [] }, (f) => {
      const parameters = kernelParameters(f)
      const { c, cRow } = parameters
      const sums = body(f, parameters)
      addSums(f, element, parameters, sums)
      for (const row of sums) {
        row.forEach((sum, j) =>
          f
            .get(c)
            .get(sum)
            .store('v128.store', 16 * j, 0),
        )
        f.add(c, cRow)
      }
    }),
  )
}

/** If asked to accumulate: adds what is in memory to the sums. */
function addSums(
  f: FunctionBuilder,
  element: Element,
  { c, cRow, accumulate }: KernelParameters,
  sums: Sums,
): void {
  const from = f.local('i32')
  f.get(accumulate).if(() => {
    f.get(c).set(from)
    for (const row of sums) {
      row.forEach((sum, j) => {
        f.get(sum)
          .get(from)
          .load('v128.load', 16 * j, 0)
          .op(element.addOp)
          .set(sum)
      })
      f.add(from, cRow)
    }
  })
}

/** A group of sums that a kernel has left in a row of a tile, from a column on. */
export function sumsOf(
  graph: VectorGraph,
  { lanes: perVector, bytes }: Element,
  c: Local<'i32'>,
  column: number,
  lanes: LaneCount,
): VectorValue {
  const vector = (offset: number): Vec =>
    graph.operation(`sums ${offset}`, [], ({ f }) => f.get(c).load('v128.load', offset, 0))
  const low = vector(column * bytes)
  if (perVector === 4) return [low]
  // A float64 group is two vectors, also when its second half is not used.
  return [low, lanes > 2 ? vector((column + 2) * bytes) : low]
}
