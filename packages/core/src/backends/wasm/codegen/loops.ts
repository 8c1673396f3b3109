/** Loops over parts of an iteration space, by rows of groups of four elements. */
import type { Scalar } from '../../../compiler/expr'
import { measureAll, operationCost } from '../../../compiler/measure'
import { forEachNode } from '../../../compiler/views'
import type { FunctionBuilder, I32Operand, Local } from '../emit/index'
import { ELEMENTS_PER_CALL } from './environment'
import type { CodegenEnvironment } from './environment'
import type { LaneCount } from './memory-forms'
import { shareOf } from './threads'

/** The part of an iteration space that one call does; columns are along the last axis. */
export interface Part {
  readonly firstRow: I32Operand
  readonly endRow: I32Operand
  readonly firstColumn: I32Operand
  readonly endColumn: I32Operand
}

/** target = min(start + length, limit) */
export function boundedEnd(
  f: FunctionBuilder,
  start: Local<'i32'>,
  length: number,
  limit: number,
  target: Local<'i32'>,
): void {
  f.get(start).i32Const(length).op('i32.add').tee(target)
  f.i32Const(limit).get(target).i32Const(limit).op('i32.lt_s').select().set(target)
}

type Threads = Pick<CodegenEnvironment, 'threads'>

/** Elements of one call: fewer where that gives every thread several calls of equal length. */
function elementsPerCall({ threads }: Threads, total: number): number {
  if (threads === null) return ELEMENTS_PER_CALL
  const each = 16 * Math.ceil(total / (4 * threads.expected) / 16)
  return Math.min(ELEMENTS_PER_CALL, Math.max(LEAST_PER_CALL, each))
}

const LEAST_PER_CALL = 1024

/** Whether `splitIntoCalls` cuts no row into pieces. */
export const keepsRowsWhole = (env: Threads, rows: number, columns: number): boolean =>
  columns <= 2 * elementsPerCall(env, rows * columns)

/**
 * Calls for about `ELEMENTS_PER_CALL` elements each, whole rows or pieces of long ones, shared
 * between threads.
 */
export function splitIntoCalls(
  f: FunctionBuilder,
  env: Threads,
  rows: number,
  columns: number,
  call: (part: Part) => void,
): void {
  const elements = elementsPerCall(env, rows * columns)
  if (keepsRowsWhole(env, rows, columns)) {
    const firstColumn = 0
    return splitRowsIntoCalls(f, env, rows, columns, (part) =>
      call({ ...part, firstColumn, endColumn: columns }),
    )
  }
  const [row, endRow, column, endColumn] = [0, 1, 2, 3].map(() => f.local('i32'))
  const alongRows = env.threads !== null && rows >= 4 * env.threads.expected
  const ownRows = alongRows ? shareOf(env, f, rows) : { from: 0, to: rows }
  const ownColumns = alongRows ? { from: 0, to: columns } : shareOf(env, f, columns, elements)
  f.forRange({ index: row, ...ownRows }, () => {
    f.get(row).i32Const(1).op('i32.add').set(endRow)
    f.forRange({ index: column, ...ownColumns, step: elements }, () => {
      boundedEnd(f, column, elements, columns, endColumn)
      env.threads?.beat(f)
      call({ firstRow: row, endRow, firstColumn: column, endColumn })
    })
  })
}

/** The same, by whole rows only. */
export function splitRowsIntoCalls(
  f: FunctionBuilder,
  env: Threads,
  rows: number,
  columns: number,
  call: (part: Pick<Part, 'firstRow' | 'endRow'>) => void,
): void {
  const row = f.local('i32')
  const endRow = f.local('i32')
  const step = Math.max(1, Math.floor(elementsPerCall(env, rows * columns) / columns))
  f.forRange({ index: row, ...shareOf(env, f, rows, step), step }, () => {
    boundedEnd(f, row, step, rows, endRow)
    env.threads?.beat(f)
    call({ firstRow: row, endRow })
  })
}

/**
 * How many groups a turn of a loop does: several of short expressions, to keep the loop's own cost
 * small and to have enough operations at a time that do not wait for each other.
 */
export const unrollFor = (cost: number): 1 | 2 | 4 => (cost <= 30 ? 4 : cost <= 60 ? 2 : 1)

/**
 * The same, with a look at the code of one group where the cost of the expressions says little about
 * its length: functions that cost the same differ in length by a factor of fifty.
 */
export function unrollLooking(roots: readonly Scalar[], bytesOfGroup: () => number): 1 | 2 | 4 {
  const unroll = unrollFor(measureAll(roots).cost)
  if (unroll === 1 || !callsLongFunctions(roots)) return unroll
  const bytes = bytesOfGroup()
  if (bytes > LONG_GROUP) return 1
  return unroll === 4 && 2 * bytes > LONG_GROUP ? 2 : unroll
}

/** Bytes of code from which a group is not repeated in a loop. */
const LONG_GROUP = 1000

function callsLongFunctions(roots: readonly Scalar[]): boolean {
  let found = false
  forEachNode(roots, (x) => {
    if (operationCost(x) >= LONG_FUNCTION_COST) found = true
  })
  return found
}

const LONG_FUNCTION_COST = 16

/** Runs the body for every index of the outer axes in a range of row numbers. */
export function forEachRow(
  f: FunctionBuilder,
  outer: readonly number[],
  { firstRow, endRow }: Pick<Part, 'firstRow' | 'endRow'>,
  body: (position: readonly I32Operand[]) => void,
): void {
  if (outer.length === 0) return body([])
  const row = f.local('i32')
  if (outer.length === 1) {
    f.forRange({ index: row, from: firstRow, to: endRow, nonEmpty: true }, () => body([row]))
    return
  }
  const position = outer.map(() => f.local('i32'))
  // The index of the first row, digit by digit from the right.
  f.push(firstRow).set(row)
  if (firstRow !== 0) {
    const rest = f.local('i32')
    f.get(row).set(rest)
    position.forEach((_, fromRight) => {
      const axis = outer.length - 1 - fromRight
      const digit = position[axis]
      const size = outer[axis] ?? 1
      if (!digit) return
      if (axis === 0) f.get(rest).set(digit)
      else {
        f.get(rest).i32Const(size).op('i32.rem_u').set(digit)
        f.get(rest).i32Const(size).op('i32.div_u').set(rest)
      }
    })
  } else for (const digit of position) f.i32Const(0).set(digit)
  f.loop((again) => {
    body(position)
    increment(f, position, outer, outer.length - 1)
    f.get(row).i32Const(1).op('i32.add').tee(row).push(endRow).op('i32.lt_s').brIf(again)
  })
}

/** Adds one to the digit of an axis, carrying to the left. */
function increment(
  f: FunctionBuilder,
  position: readonly Local<'i32'>[],
  outer: readonly number[],
  axis: number,
): void {
  const digit = position[axis]
  const size = outer[axis]
  if (!digit || size === undefined) return
  f.get(digit).i32Const(1).op('i32.add').set(digit)
  if (axis === 0) return
  f.get(digit).i32Const(size).op('i32.ge_s')
  f.if(() => {
    f.i32Const(0).set(digit)
    increment(f, position, outer, axis - 1)
  })
}

/** What is done along a row: groups at distances from the current column, and a step. */
export interface RowBody {
  readonly groups: (lanes: LaneCount, columns: readonly number[]) => void
  readonly advance: (columns: number) => void
}

/**
 * Groups of four from the first column to the last: unrolled, then singly, then what is left of the
 * row. A part ends at a multiple of four or at the end of the row, so the rest is known now.
 */
export function alongRow(
  f: FunctionBuilder,
  columns: number,
  { firstColumn, endColumn }: Pick<Part, 'firstColumn' | 'endColumn'>,
  unroll: number,
  body: RowBody,
): void {
  const rest = columns % 4
  const whole = columns - rest
  const known = firstColumn === 0 && endColumn === columns
  const finish = (): void => {
    if (rest === 1 || rest === 2 || rest === 3) body.groups(rest, [0])
  }
  const consecutive = (count: number): number[] => Array.from({ length: count }, (_, i) => 4 * i)
  if (known && whole <= 4 * Math.max(unroll, 2)) {
    if (whole > 0) body.groups(4, consecutive(whole / 4))
    if (rest > 0 && whole > 0) body.advance(whole)
    finish()
    return
  }
  const column = f.local('i32')
  const step = 4 * unroll
  f.push(firstColumn).set(column)
  const loopUpTo = (limit: I32Operand, groups: number): void => {
    f.get(column).push(limit).op('i32.lt_s')
    f.if(() => {
      f.loop((again) => {
        body.groups(4, consecutive(groups))
        body.advance(4 * groups)
        f.get(column)
          .i32Const(4 * groups)
          .op('i32.add')
          .tee(column)
        f.push(limit).op('i32.lt_s').brIf(again)
      })
    })
  }
  if (known) {
    const unrolled = whole - (whole % step)
    loopUpTo(unrolled, unroll)
    if (unrolled < whole) loopUpTo(whole, 1)
    finish()
    return
  }
  const limit = f.local('i32')
  if (unroll > 1) {
    // The last column from which a whole step fits, plus one.
    f.push(endColumn)
      .i32Const(step - 1)
      .op('i32.sub')
      .set(limit)
    loopUpTo(limit, unroll)
  }
  f.push(endColumn).i32Const(3).op('i32.sub').set(limit)
  loopUpTo(limit, 1)
  if (rest > 0) {
    f.get(column).push(endColumn).op('i32.lt_s')
    f.if(finish)
  }
}
