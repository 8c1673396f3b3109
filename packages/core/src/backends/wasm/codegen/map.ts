/** Map nodes: an expression for every element, along rows of vectors. */
import type { Buffer } from '../../../compiler/expr'
import type { MapNode } from '../../../compiler/nodes'
import { sizeOf } from '../../../types/aval'
import type { FunctionBuilder, FunctionRef, Local, ModuleBuilder } from '../emit/index'
import { shared } from '../kernels/shared'
import { ELEMENTS_PER_CALL, addressParameters, addressTypes, buffersOf } from './environment'
import type { BufferAddresses, CodegenEnvironment } from './environment'
import { chooseVectorAxis, insertUnitAxis, mergeAxes, permuteAxes, rootsOf } from './iteration'
import type { Space } from './iteration'
import { alongRow, forEachRow, keepsRowsWhole, splitIntoCalls, unrollLooking } from './loops'
import type { Part } from './loops'
import { keyOfAnySize } from './node-key'
import { RowCode } from './rows'
import { emitTransposingMap, transposedAxis } from './transposing-map'

/** Elements from which a map along one axis is called through a kernel for any number of them. */
const LONG_FLAT_MAP = 1024

/** A map node as a function of its buffers' addresses, in the order of `buffersOf(node)`. */
export function emitMap(
  module: ModuleBuilder,
  node: MapNode,
  env: CodegenEnvironment,
): FunctionBuilder {
  const buffers = buffersOf(node)
  const types = addressTypes(buffers)
  const name = env.functionName('map')
  if (sizeOf(node.shape) === 0) return module.function({ name, params: types, results: [] })
  const space = arrange({ shape: node.shape, values: [], stores: node.stores })
  const blockAxis = transposedAxis(space)
  if (blockAxis !== null) return emitTransposingMap(module, name, space, blockAxis, buffers, env)
  const columns = space.shape.at(-1) ?? 1
  const rows = sizeOf(space.shape) / columns
  const isFlat = space.shape.length === 1 && columns >= LONG_FLAT_MAP
  if (!isFlat && rows * columns <= ELEMENTS_PER_CALL && env.threads === null) {
    return module.function({ name, params: types, results: [] }, (f) => {
      emitRows(f, space, addressParameters(f, buffers), env, {
        firstRow: 0,
        endRow: rows,
        firstColumn: 0,
        endColumn: columns,
      })
    })
  }
  const kernel = isFlat
    ? flatKernel(module, name, space, buffers, env)
    : partKernel(module, name, space, buffers, env, keepsRowsWhole(env, rows, columns))
  return module.function({ name, params: types, results: [] }, (f) => {
    splitIntoCalls(f, env, rows, columns, (part) => {
      buffers.forEach((_, position) => f.get(f.param(position, 'i32')))
      for (const bound of [part.firstRow, part.endRow, part.firstColumn, part.endColumn]) {
        f.push(bound)
      }
      f.call(kernel)
    })
  })
}

/**
 * A map along one axis between two columns. The updates of all parameters of a network are one kernel,
 * whatever their sizes: of the number of elements it knows only what is left over by groups of four.
 */
export function flatKernel(
  module: ModuleBuilder,
  name: string,
  space: Space,
  buffers: readonly Buffer[],
  env: CodegenEnvironment,
): FunctionRef {
  const rest = (space.shape.at(-1) ?? 1) % 4
  const key = `flat ${rest} ${keyOfAnySize({ stores: space.stores })}`
  return shared(module, key, () => partKernel(module, name, space, buffers, env, false))
}

/**
 * A function of the addresses and four bounds: the first row and the end, the same of columns. Where
 * rows are whole, their length is known.
 */
function partKernel(
  module: ModuleBuilder,
  name: string,
  space: Space,
  buffers: readonly Buffer[],
  env: CodegenEnvironment,
  rowsAreWhole: boolean,
): FunctionRef {
  const types = addressTypes(buffers)
  const columns = space.shape.at(-1) ?? 1
  return module.function(
    { name: `${name}.part`, params: [...types, 'i32', 'i32', 'i32', 'i32'], results: [] },
    (f) => {
      const at = (position: number): Local<'i32'> => f.param(types.length + position, 'i32')
      emitRows(f, space, addressParameters(f, buffers), env, {
        firstRow: at(0),
        endRow: at(1),
        firstColumn: rowsAreWhole ? 0 : at(2),
        endColumn: rowsAreWhole ? columns : at(3),
      })
    },
  )
}

/** Fewer axes, with the vector axis last. */
export function arrange(space: Space): Space {
  const merged = mergeAxes(space).space
  if (merged.shape.length === 0) return insertUnitAxis(merged, 0)
  const axes = merged.shape.map((_, axis) => axis)
  const vectorAxis = chooseVectorAxis(merged, axes)
  if (vectorAxis === axes.length - 1) return merged
  const order = [...axes.filter((axis) => axis !== vectorAxis), vectorAxis]
  return mergeAxes(permuteAxes(merged, order)).space
}

/** The stores of a space, whose vector axis is the last, over some of its rows and columns. */
export function emitRows(
  f: FunctionBuilder,
  space: Space,
  addresses: BufferAddresses,
  env: CodegenEnvironment,
  part: Part,
): void {
  const code = new RowCode(f, {
    stores: space.stores,
    values: [],
    vectorAxis: space.shape.length - 1,
    blockAxis: null,
    addresses,
    features: env.features,
  })
  const columns = space.shape.at(-1) ?? 1
  const unroll = unrollLooking(
    rootsOf(space),
    () => f.capture(() => code.store({ lanes: 4, column: 0, row: 0 })).bytes.length,
  )
  code.enterFunction()
  forEachRow(f, space.shape.slice(0, -1), part, (outer) => {
    code.enterRow([...outer, part.firstColumn])
    alongRow(f, columns, part, unroll, {
      groups: (lanes, columns) => {
        code.storeEach(columns.map((column) => ({ lanes, column, row: 0 })))
      },
      advance: (count) => code.advance(count),
    })
  })
}
