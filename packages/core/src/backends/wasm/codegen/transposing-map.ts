/**
 * Maps that read some operands across the direction in which they write: transposes, and whatever
 * is fused with them. They go in blocks of four by four elements, which are read along one axis and
 * written along the other, inside tiles narrow enough for the first-level cache.
 */
import type { Buffer, Load } from '../../../compiler/expr'
import { sizeOf } from '../../../types/aval'
import { bytesOf } from '../../../types/dtype'
import type { FunctionBuilder, I32Operand, Local, ModuleBuilder } from '../emit/index'
import { addressParameters, addressTypes, visitScalars } from './environment'
import type { CodegenEnvironment } from './environment'
import { rootsOf, variesAlong } from './iteration'
import type { Space } from './iteration'
import { alongRow, boundedEnd, forEachRow } from './loops'
import { RowCode } from './rows'
import { shareOf } from './threads'

/** Columns of a tile, and the most rows of one call. */
const TILE_COLUMNS = 32
const TILE_ROWS = 1024

/** The axis along which the loads run that jump along the last one; null where that is no pattern. */
export function transposedAxis(space: Space): number | null {
  const last = space.shape.length - 1
  const isLong = (axis: number): boolean => (space.shape[axis] ?? 1) >= 8
  if (last < 1 || !isLong(last)) return null
  const contiguous = space.stores.every(
    ({ at, offsets }) =>
      at.strides[last] === 1 && !offsets.some((o) => variesAlong(o.value, [last])),
  )
  if (!contiguous) return null
  const jumping: Load[] = []
  visitScalars(rootsOf(space), (x) => {
    if (x.kind === 'load' && Math.abs(x.at.strides[last] ?? 0) > 1) jumping.push(x)
  })
  const axes = new Set(jumping.map(({ at }) => at.strides.indexOf(1)))
  const [axis] = axes
  if (axes.size !== 1 || axis === undefined || axis < 0 || !isLong(axis)) return null
  const plain = jumping.every(
    ({ dtype, offsets }) =>
      bytesOf(dtype) === 4 && !offsets.some((o) => variesAlong(o.value, [axis, last])),
  )
  return plain ? axis : null
}

export function emitTransposingMap(
  module: ModuleBuilder,
  name: string,
  space: Space,
  blockAxis: number,
  buffers: readonly Buffer[],
  env: CodegenEnvironment,
): FunctionBuilder {
  const types = addressTypes(buffers)
  const last = space.shape.length - 1
  const outer = space.shape.filter((_, axis) => axis !== blockAxis && axis !== last)
  const rows = space.shape[blockAxis] ?? 1
  const columns = space.shape[last] ?? 1
  const tile = module.function(
    { name: `${name}.tile`, params: [...types, 'i32', 'i32', 'i32', 'i32', 'i32'], results: [] },
    (f) => {
      const at = (position: number): Local<'i32'> => f.param(types.length + position, 'i32')
      const code = new RowCode(f, {
        stores: space.stores,
        values: [],
        vectorAxis: last,
        blockAxis,
        addresses: addressParameters(f, buffers),
        features: env.features,
      })
      const end = f.local('i32')
      f.get(at(0)).i32Const(1).op('i32.add').set(end)
      code.enterFunction()
      forEachRow(f, outer, { firstRow: at(0), endRow: end }, (position) => {
        const bounds = { firstColumn: at(3), endColumn: at(4) }
        emitTile(f, code, columns, bounds, { first: at(1), end: at(2) }, (row) => [
          ...position.slice(0, blockAxis),
          row,
          ...position.slice(blockAxis),
          at(3),
        ])
      })
    },
  )
  return module.function({ name, params: types, results: [] }, (f) => {
    const [row, first, end, column, endColumn] = [0, 1, 2, 3, 4].map(() => f.local('i32'))
    const outerRows = sizeOf(outer)
    const byRows = outerRows >= columns / TILE_COLUMNS
    const ownRows = byRows ? shareOf(env, f, outerRows) : { from: 0, to: outerRows }
    const ownColumns = byRows ? { from: 0, to: columns } : shareOf(env, f, columns, TILE_COLUMNS)
    f.forRange({ index: row, ...ownRows }, () => {
      f.forRange({ index: first, from: 0, to: rows, step: TILE_ROWS, nonEmpty: true }, () => {
        boundedEnd(f, first, TILE_ROWS, rows, end)
        f.forRange({ index: column, ...ownColumns, step: TILE_COLUMNS }, () => {
          boundedEnd(f, column, TILE_COLUMNS, columns, endColumn)
          env.threads?.beat(f)
          types.forEach((type, position) => f.get(f.param(position, type)))
          f.get(row).get(first).get(end).get(column).get(endColumn).call(tile)
        })
      })
    })
  })
}

/** Four rows at a time, then the rest of the rows one by one. */
function emitTile(
  f: FunctionBuilder,
  code: RowCode,
  columns: number,
  bounds: { readonly firstColumn: I32Operand; readonly endColumn: I32Operand },
  rows: { readonly first: Local<'i32'>; readonly end: Local<'i32'> },
  positionOf: (row: Local<'i32'>) => readonly I32Operand[],
): void {
  const row = f.local('i32')
  const limit = f.local('i32')
  const loopUpTo = (height: 1 | 4): void => {
    f.get(rows.end)
      .i32Const(height - 1)
      .op('i32.sub')
      .set(limit)
    f.get(row).get(limit).op('i32.lt_s')
    f.if(() => {
      f.loop((again) => {
        code.enterRow(positionOf(row))
        alongRow(f, columns, bounds, 1, {
          groups: (lanes, groups) => {
            for (const column of groups) {
              const inBlock = height === 4 && lanes === 4
              const positions = [0, 1, 2, 3]
                .slice(0, height)
                .map((distance) => ({ lanes, column, row: distance, inBlock }))
              code.storeEach(positions)
            }
          },
          advance: (count) => code.advance(count),
        })
        f.get(row).i32Const(height).op('i32.add').tee(row).get(limit).op('i32.lt_s').brIf(again)
      })
    })
  }
  f.get(rows.first).set(row)
  loopUpTo(4)
  loopUpTo(1)
}
