import type { Scalar } from '../../../compiler/expr'
import { binary } from '../../../compiler/expr'
import type { ScatterNode, Store } from '../../../compiler/nodes'
import type { Coordinate } from '../../../compiler/views'
import { splitCoordinate } from '../../../compiler/views'
import { bytesOf } from '../../../types/dtype'
import type { CodegenEnvironment } from '../codegen/environment'
import { addressParameters, addressTypes, buffersOf } from '../codegen/environment'
import type { Space } from '../codegen/iteration'
import { insertUnitAxis, mergeAxes, variesAlong } from '../codegen/iteration'
import { alongRow, forEachRow } from '../codegen/loops'
import type { BufferAddresses } from '../codegen/environment'
import { RowCode } from '../codegen/rows'
import type { FunctionBuilder, Local, ModuleBuilder } from '../emit/index'
import { Emission, VectorGraph } from '../math/index'
import { combineLane } from './combine-lane'

/** Updates in row-major order: whole rows at once where they are contiguous, else one by one. */
export function emitScatter(
  module: ModuleBuilder,
  node: ScatterNode,
  env: CodegenEnvironment,
): FunctionBuilder {
  const buffers = buffersOf(node)
  const signature = {
    name: env.functionName('scatter'),
    params: addressTypes(buffers),
    results: [],
  }
  return module.function(signature, (f) => {
    if (node.shape.includes(0)) return
    const values = [node.position, node.update, ...(node.inBounds ? [node.inBounds] : [])]
    const merged = mergeAxes({ shape: node.shape, values, stores: [] }).space
    const space = merged.shape.length === 0 ? insertUnitAxis(merged, 0) : merged
    const addresses = addressParameters(f, buffers)
    const rows = contiguousRows(space)
    if (rows) emitByRow(f, node, env, space, addresses, rows)
    else emitByElement(f, node, env, space, addresses)
  })
}

/** The position as an address whose row is a run of distinct elements, if it is one. */
function contiguousRows({ shape, values }: Space): Coordinate | null {
  const [position, , inBounds] = values
  const last = shape.length - 1
  if (!position || (inBounds && variesAlong(inBounds, [last]))) return null
  const coordinate = splitCoordinate(position, shape.length)
  const moves = coordinate.at.strides[last] !== 0 && (shape[last] ?? 1) > 1
  return moves && !coordinate.dynamic.some(({ value }) => variesAlong(value, [last]))
    ? coordinate
    : null
}

function emitByRow(
  f: FunctionBuilder,
  { target, combine }: ScatterNode,
  { features }: CodegenEnvironment,
  { shape, values }: Space,
  addresses: BufferAddresses,
  { at, dynamic }: Coordinate,
): void {
  const [, update, inBounds] = values
  if (!update) throw new Error('a scatter without updates')
  const { dtype } = target
  const old: Scalar = { kind: 'load', dtype, source: target, at, offsets: dynamic }
  const value = combine === 'set' ? update : binary(combine, dtype, old, update)
  const store: Store = { target, at, offsets: dynamic, value }
  const code = new RowCode(f, {
    stores: [store],
    values: inBounds ? [inBounds] : [],
    vectorAxis: shape.length - 1,
    blockAxis: null,
    addresses,
    features,
  })
  const columns = shape.at(-1) ?? 1
  const outer = shape.slice(0, -1)
  code.enterFunction()
  forEachRow(f, outer, { firstRow: 0, endRow: product(outer) }, (position) => {
    code.enterRow([...position, 0])
    const row = (): void =>
      alongRow(f, columns, { firstColumn: 0, endColumn: columns }, 2, {
        groups: (lanes, places) => {
          for (const column of places) code.store({ lanes, column, row: 0 })
        },
        advance: (count) => code.advance(count),
      })
    if (!inBounds) return row()
    const graph = new VectorGraph()
    const [mask] = code.group(graph, { lanes: 1, column: 0, row: 0 }).value(inBounds)
    if (!mask) throw new Error('a mask is one vector')
    new Emission(f, [mask]).push(mask)
    f.lane('i32x4.extract_lane', 0).if(row)
  })
}

function emitByElement(
  f: FunctionBuilder,
  { target, combine }: ScatterNode,
  { features }: CodegenEnvironment,
  { shape, values }: Space,
  addresses: BufferAddresses,
): void {
  const code = new RowCode(f, {
    stores: [],
    values,
    vectorAxis: shape.length - 1,
    blockAxis: null,
    addresses,
    features,
  })
  const base = addresses.get(target.id)
  if (!base) throw new Error(`${f.name}: buffer ${target.id} has no address`)
  const columns = shape.at(-1) ?? 1
  const outer = shape.slice(0, -1)
  const address = f.local('i32')
  code.enterFunction()
  forEachRow(f, outer, { firstRow: 0, endRow: product(outer) }, (position) => {
    code.enterRow([...position, 0])
    alongRow(f, columns, { firstColumn: 0, endColumn: columns }, 1, {
      groups: (lanes, places) => {
        for (const column of places) {
          const graph = new VectorGraph()
          const group = code.group(graph, { lanes, column, row: 0 })
          const vectors = values.map((value) => group.value(value))
          const emission = new Emission(f, vectors.flat())
          const kept = vectors.map((value) => value.map((vec) => emission.toLocal(vec)))
          const [place = [], update = [], inBounds] = kept.map((value) =>
            value.map(({ local }) => local),
          )
          for (let lane = 0; lane < lanes; lane++) {
            const apply = (): void => {
              f.get(base)
              pushLane(f, place, lane)
              f.i32Const(bytesOf(target.dtype)).op('i32.mul').op('i32.add').set(address)
              combineLane(f, features, combine, target.dtype, address, update, lane)
            }
            if (inBounds) {
              pushLane(f, inBounds, lane)
              f.if(apply)
            } else apply()
          }
          for (const value of kept) for (const { release } of value) release()
        }
      },
      advance: (count) => code.advance(count),
    })
  })
}

function pushLane(f: FunctionBuilder, [vector]: readonly Local<'v128'>[], lane: number): void {
  if (!vector) throw new Error('an int32 value is one vector')
  f.get(vector).lane('i32x4.extract_lane', lane)
}

const product = (shape: readonly number[]): number => shape.reduce((size, n) => size * n, 1)
