import type { Affine } from '../../../../compiler/expr'
import type { Buffer } from '../../../../compiler/expr'
import type { CodegenEnvironment } from '../../codegen/environment'
import { addressParameters, addressTypes } from '../../codegen/environment'
import { rewriteSpace } from '../../codegen/iteration'
import { RowCode } from '../../codegen/rows'
import type { FunctionBuilder, FunctionRef, Local } from '../../emit'
import { VectorGraph } from '../../math/graph'
import { addSums, kernelParameters, kernelParameterTypes } from './kernel'
import type { Problem } from './problem'
import type { Tile } from './product'

/** A kernel that ends with the node's stores, on sums that are still in registers. */
export function finishingKernel(
  env: CodegenEnvironment,
  buffers: readonly Buffer[],
  problem: Problem,
  tile: Tile,
  partial: boolean,
): FunctionRef {
  const first = buffers.length
  const signature = {
    name: env.functionName('tile'),
    params: [
      ...addressTypes(buffers),
      ...kernelParameterTypes,
      ...(['i32', 'i32', 'i32'] as const),
    ],
    results: [],
  }
  return env.module.function(signature, (f) => {
    const parameters = kernelParameters(f, first)
    const [row, column, batch] = [6, 7, 8].map((position) => f.param(first + position, 'i32'))
    const sums = tile.body(f, parameters)
    if (partial) addSums(f, problem.element, parameters, sums)
    if (!row || !column || !batch) return

    const rank = problem.batch.length + 2
    const linear = (at: Affine): Affine => problem.linear(at) ?? at
    const { stores } = rewriteSpace({ shape: [], values: [], stores: problem.stores }, [], linear)
    const code = new RowCode(f, {
      stores,
      values: [],
      vectorAxis: rank - 1,
      blockAxis: rank - 2,
      addresses: addressParameters(f, buffers),
      features: env.features,
    })
    code.enterFunction()
    code.enterRow([...positionsOf(f, problem.batch, batch), row, column])
    const { lanes } = problem.element
    sums.forEach((vectors, i) => {
      for (let done = 0; done < tile.columns; done += 4) {
        const graph = new VectorGraph()
        const value = vectors
          .slice(done / lanes, (done + 4) / lanes)
          .map((vector) => graph.local(vector))
        const [only] = value
        // A float64 group is two vectors, also when its second half is not used.
        const accumulator = lanes === 2 && value.length === 1 && only ? [only, only] : value
        const group = { lanes: lanesOf(tile.columns - done), column: done, row: i }
        code.store(group, [accumulator], graph)
      }
    })
  })
}

const lanesOf = (left: number): 1 | 2 | 3 | 4 =>
  left === 1 ? 1 : left === 2 ? 2 : left === 3 ? 3 : 4

/** The index along every axis of the batch. */
function positionsOf(
  f: FunctionBuilder,
  shape: readonly number[],
  position: Local<'i32'>,
): (number | Local<'i32'>)[] {
  const many = shape.filter((size) => size > 1).length > 1
  if (!many) return shape.map((size) => (size === 1 ? 0 : position))
  const rest = f.local('i32')
  f.get(position).set(rest)
  return shape
    .map((size, axis) => ({ size, axis }))
    .reverse()
    .map(({ size, axis }) => {
      const index = f.local('i32')
      f.get(rest)
      if (axis > 0) f.i32Const(size).op('i32.rem_u')
      f.set(index)
      if (axis > 0) f.get(rest).i32Const(size).op('i32.div_u').set(rest)
      return index
    })
    .reverse()
}
