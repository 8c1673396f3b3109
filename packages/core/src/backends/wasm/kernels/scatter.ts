import type { Scalar } from '../../../compiler/expr'
import { binary } from '../../../compiler/expr'
import type { ScatterNode, Store } from '../../../compiler/nodes'
import type { Coordinate } from '../../../compiler/views'
import { bytesOf } from '../../../types/dtype'
import type { CodegenEnvironment } from '../codegen/environment'
import { addressParameters, addressTypes, buffersOf } from '../codegen/environment'
import type { Space } from '../codegen/iteration'
import { alongRow, forEachRow } from '../codegen/loops'
import type { BufferAddresses } from '../codegen/environment'
import { RowCode } from '../codegen/rows'
import { shareOf } from '../codegen/threads'
import type { FunctionBuilder, I32Operand, Local, ModuleBuilder } from '../emit/index'
import { Emission, VectorGraph } from '../math/index'
import { combineLane } from './combine-lane'
import { contiguousRows, scatterDivision, updateSpace } from './scatter-division'

/**
 * Updates in row-major order: whole rows at once where they are contiguous, else one by one. Threads
 * share them where `scatterDivision` says how.
 */
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
    const space = updateSpace(node)
    const addresses = addressParameters(f, buffers)
    const rows = contiguousRows(space)
    if (rows) emitByRow(f, node, env, space, addresses, rows)
    else emitByElement(f, node, env, space, addresses)
  })
}

function emitByRow(
  f: FunctionBuilder,
  { target, combine }: ScatterNode,
  env: CodegenEnvironment,
  space: Space,
  addresses: BufferAddresses,
  { at, dynamic }: Coordinate,
): void {
  const { features } = env
  const { shape, values } = space
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
  const byColumns = env.threads !== null && scatterDivision(space) === 'columns'
  const own = byColumns ? shareOf(env, f, columns, 4) : { from: 0, to: columns }
  code.enterFunction()
  forEachOwnRow(f, space, env, (position) => {
    code.enterRow([...position, own.from])
    const row = (): void =>
      alongRow(f, columns, { firstColumn: own.from, endColumn: own.to }, 2, {
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
  env: CodegenEnvironment,
  space: Space,
  addresses: BufferAddresses,
): void {
  const { features } = env
  const { shape, values } = space
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
  const address = f.local('i32')
  code.enterFunction()
  forEachOwnRow(f, space, env, (position) => {
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

/** Runs the body for every row of updates, or where threads share the first axis for their own. */
function forEachOwnRow(
  f: FunctionBuilder,
  space: Space,
  env: CodegenEnvironment,
  body: (position: readonly I32Operand[]) => void,
): void {
  const outer = space.shape.slice(0, -1)
  const rows = product(outer)
  const share =
    env.threads !== null && scatterDivision(space) === 'first axis'
      ? shareOf(env, f, rows, rows / (outer[0] ?? 1))
      : { from: 0, to: rows }
  const run = (): void =>
    forEachRow(f, outer, { firstRow: share.from, endRow: share.to }, (position) => {
      env.threads?.beat(f)
      body(position)
    })
  if (env.threads === null) return run()
  f.push(share.from).push(share.to).op('i32.lt_s').if(run)
}

function pushLane(f: FunctionBuilder, [vector]: readonly Local<'v128'>[], lane: number): void {
  if (!vector) throw new Error('an int32 value is one vector')
  f.get(vector).lane('i32x4.extract_lane', lane)
}

const product = (shape: readonly number[]): number => shape.reduce((size, n) => size * n, 1)
