import type { Affine } from '../../../../compiler/expr'
import type { Buffer } from '../../../../compiler/expr'
import type { CodegenEnvironment } from '../../codegen/environment'
import { addressParameters, addressTypes } from '../../codegen/environment'
import { rewriteSpace } from '../../codegen/iteration'
import { RowCode } from '../../codegen/rows'
import type { FunctionBuilder, FunctionRef, Local } from '../../emit'
import { VectorGraph } from '../../math/graph'
import { sumsOf } from './kernel'
import type { Problem } from './problem'

/**
 * The node's stores on a tile whose sums are in memory: takes the node's addresses, where the sums
 * are, the bytes from one of their rows to the next, the number of rows, and the row, column and
 * batch of the tile. Rows go in a loop: in a chain of its own for each, the stores would be most of
 * the code of a module.
 */
export function finishingKernel(
  env: CodegenEnvironment,
  buffers: readonly Buffer[],
  problem: Problem,
  columns: number,
): FunctionRef {
  const first = buffers.length
  const signature = {
    name: env.functionName('finish'),
    params: [...addressTypes(buffers), ...Array.from({ length: 6 }, () => 'i32' as const)],
    results: [],
  }
  return env.module.function(signature, (f) => {
    const [c, cRow, rows, row, column, batch] = [0, 1, 2, 3, 4, 5].map((position) =>
      f.param(first + position, 'i32'),
    )

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
    f.loop((again) => {
      for (let done = 0; done < columns; done += 4) {
        const graph = new VectorGraph()
        const lanes = lanesOf(columns - done)
        const accumulator = sumsOf(graph, problem.element, c, done, lanes)
        code.store({ lanes, column: done, row: 0 }, [accumulator], graph)
      }
      code.advanceBlock()
      f.add(c, cRow)
      f.get(rows).i32Const(1).op('i32.sub').tee(rows).brIf(again)
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
