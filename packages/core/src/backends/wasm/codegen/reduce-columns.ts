/**
 * Reductions whose groups lie along a kept axis: every lane is a result.
 *
 * A few rows are merged at a time for all columns, so that memory is read in long runs; between
 * these passes the states of the columns wait in working memory. The runs are several pages long, as
 * each has to be found by what fetches ahead: more is won by that than lost by states that do not
 * quite fit the first-level cache.
 */
import type { Scalar } from '../../../compiler/expr'
import { measureAll } from '../../../compiler/measure'
import { sizeOf } from '../../../types/aval'
import type { FunctionBuilder, I32Operand, Local } from '../emit/index'
import { Emission, VectorGraph } from '../math/index'
import { ELEMENTS_PER_CALL } from './environment'
import type { LaneCount } from './memory-forms'
import { rewriteSpace } from './iteration'
import { alongRow, boundedEnd, forEachRow, keepsRowsWhole, splitIntoCalls } from './loops'
import type { Part } from './loops'
import type { State } from './monoids'
import { addItems, epilogueCode, itemsOf } from './reduction'
import type { ReduceProblem, ReductionPlan } from './reduction'
import { RowCode } from './rows'
import { shareOf } from './threads'

/** Columns whose states are in working memory at a time. */
const COLUMNS_PER_BLOCK = 4096

export function reduceColumns(problem: ReduceProblem): FunctionBuilder {
  const { space, boundary } = problem
  const kept = space.shape.slice(0, boundary - 1)
  const columns = space.shape[boundary - 1] ?? 1
  return (fitsRegisters(problem) ? inRegisters : inSeveralCalls)(problem, kept, columns)
}

/** Results of a few elements each: a call does several rows, or a piece of a long one. */
function inRegisters(
  problem: ReduceProblem,
  kept: readonly number[],
  columns: number,
): FunctionBuilder {
  const { module, name, addressTypes: types, env } = problem
  const rows = sizeOf(kept)
  const isWhole = keepsRowsWhole(env, rows, columns)
  const kernel = module.function(
    { name: `${name}.direct`, params: [...types, ...bounds(4)], results: [] },
    (f) => {
      const [firstRow, endRow, firstColumn, endColumn] = bounds(4).map((type, i) =>
        f.param(types.length + i, type),
      )
      const pass = new ColumnPass(f, problem, columns)
      pass.code.enterFunction()
      pass.epilogue.enterFunction()
      const part = isWhole ? { firstColumn: 0, endColumn: columns } : { firstColumn, endColumn }
      forEachRow(f, kept, { firstRow, endRow }, (position) => pass.direct(position, part))
    },
  )
  return module.function({ name, params: types, results: [] }, (f) => {
    splitIntoCalls(f, env, rows, columns, ({ firstRow, endRow, firstColumn, endColumn }) => {
      types.forEach((type, position) => f.get(f.param(position, type)))
      f.push(firstRow).push(endRow).push(firstColumn).push(endColumn).call(kernel)
    })
  })
}

function inSeveralCalls(
  problem: ReduceProblem,
  kept: readonly number[],
  columns: number,
): FunctionBuilder {
  const { module, name, addressTypes: types, space, boundary, env } = problem
  const reduced = space.shape.slice(boundary)
  // Threads share the kept rows, or where these are few the columns: down to a cache line each.
  const sharers = 2 * (env.threads?.expected ?? 0)
  const byColumns = sizeOf(kept) < sharers
  const most = byColumns ? 16 * Math.ceil(columns / sharers / 16) : columns
  const block = Math.min(most, COLUMNS_PER_BLOCK)
  const lastAxis = reduced.at(-1) ?? 1
  // A call does some rows of the last reduced axis, a multiple of the rows merged at a time.
  const rowsPerCall = Math.max(8, 8 * Math.floor(ELEMENTS_PER_CALL / block / 8))
  const outerReduced = sizeOf(reduced.slice(0, -1))

  const function_ = (
    suffix: string,
    parameters: number,
    codeOf: (pass: ColumnPass) => RowCode,
    body: (pass: ColumnPass, position: readonly I32Operand[], at: readonly Local<'i32'>[]) => void,
  ): FunctionBuilder =>
    module.function(
      { name: `${name}.${suffix}`, params: [...types, ...bounds(parameters)], results: [] },
      (f) => {
        const at = bounds(parameters).map((type, i) => f.param(types.length + i, type))
        const [first] = at
        const end = f.local('i32')
        f.get(first).i32Const(1).op('i32.add').set(end)
        const pass = new ColumnPass(f, problem, columns)
        codeOf(pass).enterFunction()
        forEachRow(f, kept, { firstRow: first, endRow: end }, (position) =>
          body(pass, position, at),
        )
      },
    )
  const columnsAt = (at: readonly Local<'i32'>[]): Columns => ({
    firstColumn: at[1] ?? 0,
    endColumn: at[2] ?? columns,
  })
  const rowsAt = (at: readonly Local<'i32'>[]): Part => ({
    ...columnsAt(at),
    firstRow: at[3] ?? 0,
    endRow: at[4] ?? 0,
  })
  const accumulate = function_(
    'part',
    6,
    (pass) => pass.code,
    (pass, position, at) => pass.accumulate(position, rowsAt(at), at[5] ?? 0),
  )
  const finish = function_(
    'finish',
    3,
    (pass) => pass.epilogue,
    (pass, position, at) => pass.finish(position, columnsAt(at)),
  )

  return module.function({ name, params: types, results: [] }, (f) => {
    const row = f.local('i32')
    const column = f.local('i32')
    const endColumn = f.local('i32')
    const pushColumns = (): void => {
      types.forEach((type, position) => f.get(f.param(position, type)))
      f.get(row).get(column).get(endColumn)
    }
    const pass = new ColumnPass(f, problem, columns)
    const ownRows = byColumns ? { from: 0, to: sizeOf(kept) } : shareOf(env, f, sizeOf(kept))
    const ownColumns = byColumns ? shareOf(env, f, columns, block) : { from: 0, to: columns }
    f.forRange({ index: row, ...ownRows }, () => {
      f.forRange({ index: column, ...ownColumns, step: block }, () => {
        boundedEnd(f, column, block, columns, endColumn)
        env.threads?.beat(f)
        pass.initialize({ firstColumn: column, endColumn })
        const outer = f.local('i32')
        const first = f.local('i32')
        const end = f.local('i32')
        f.forRange({ index: outer, from: 0, to: outerReduced, nonEmpty: true }, () => {
          const step = rowsPerCall
          f.forRange({ index: first, from: 0, to: lastAxis, step, nonEmpty: true }, () => {
            boundedEnd(f, first, step, lastAxis, end)
            pushColumns()
            f.get(first).get(end).get(outer).call(accumulate)
          })
        })
        pushColumns()
        f.call(finish)
      })
    })
  })
}

const bounds = (count: number): readonly 'i32'[] =>
  Array.from({ length: count }, () => 'i32' as const)

type Columns = Pick<Part, 'firstColumn' | 'endColumn'>

/** Rows merged before they are added to the states: fewer where an item takes many instructions. */
function rowsMergedAtOnce({ space, reductions }: ReduceProblem): number {
  const { cost } = measureAll(space.values)
  return cost <= 14 && reductions.length === 1 ? 8 : cost <= 60 ? 4 : 1
}

/** So few elements for a result that no state has to wait in memory. */
const fitsRegisters = (problem: ReduceProblem): boolean =>
  sizeOf(problem.space.shape.slice(problem.boundary)) <= rowsMergedAtOnce(problem)

/** What is reduced at one index of all reduced axes but the last. */
interface Tap {
  readonly values: readonly Scalar[]
  readonly reductions: readonly ReductionPlan[]
}

/** The reduced axes but the last written out, as for a window of several axes. */
function tapsOf({ space, boundary, reductions }: ReduceProblem): readonly Tap[] {
  const kept = <T>(values: readonly T[]): T[] => [...values.slice(0, boundary), ...values.slice(-1)]
  const indices = space.shape
    .slice(boundary, -1)
    .reduce<number[][]>(
      (found, size) =>
        found.flatMap((index) => Array.from({ length: size }, (_, i) => [...index, i])),
      [[]],
    )
  return indices.map((index) => {
    const { values } = rewriteSpace({ ...space, stores: [] }, kept(space.shape), (at) => ({
      offset: index.reduce((sum, i, axis) => sum + i * at.strides[boundary + axis], at.offset),
      strides: kept(at.strides),
    }))
    let next = 0
    const plans = reductions.map(({ monoid, inputs }) => ({
      monoid,
      inputs: values.slice(next, (next += inputs.length)),
    }))
    return { values, reductions: plans }
  })
}

/** The steps of reducing some columns at one index of the other kept axes. */
class ColumnPass {
  /** Rows merged before they are added to the states. */
  private readonly rowsAtOnce: number
  private readonly stateWidth: number
  private readonly reduced: readonly number[]
  private readonly statePointer: Local<'i32'>
  private readonly taps: readonly Tap[]

  constructor(
    private readonly f: FunctionBuilder,
    private readonly problem: ReduceProblem,
    private readonly columns: number,
  ) {
    const { space, boundary, reductions } = problem
    this.reduced = space.shape.slice(boundary)
    this.stateWidth = reductions.reduce((sum, { monoid }) => sum + monoid.stateWidth, 0)
    this.rowsAtOnce = rowsMergedAtOnce(problem)
    this.statePointer = f.local('i32')
    this.taps = fitsRegisters(problem) ? tapsOf(problem) : [{ values: space.values, reductions }]
  }

  /** Made when asked for, since most functions need one of the two or none. */
  private values: RowCode | null = null
  get code(): RowCode {
    const { space, boundary, env, addresses } = this.problem
    return (this.values ??= new RowCode(this.f, {
      stores: [],
      values: this.taps.flatMap((tap) => tap.values),
      vectorAxis: boundary - 1,
      // The axis of the rows, where others are written out.
      blockAxis: fitsRegisters(this.problem) ? boundary : space.shape.length - 1,
      addresses: addresses(this.f),
      features: env.features,
    }))
  }

  private stores: RowCode | null = null
  get epilogue(): RowCode {
    return (this.stores ??= epilogueCode(this.f, this.problem, this.problem.boundary - 1))
  }

  /** All rows of a group at once, and its stores. */
  direct(kept: readonly I32Operand[], part: Columns): void {
    const { f, code, epilogue } = this
    const rows = this.reduced.at(-1) ?? 1
    code.enterRow([...kept, part.firstColumn, 0])
    epilogue.enterRow([...kept, part.firstColumn])
    alongRow(f, this.columns, part, 2, {
      groups: (lanes, columns) => {
        for (const column of columns) {
          const graph = new VectorGraph()
          const initial = this.problem.reductions.map(({ monoid }) => monoid.initial(graph))
          const states = this.withRows(graph, initial, lanes, column, rows)
          const results = this.problem.reductions.map(({ monoid }, slot) =>
            monoid.result(graph, states[slot] ?? []),
          )
          epilogue.store({ lanes, column, row: 0 }, results, graph)
        }
      },
      advance: (count) => {
        code.advance(count)
        epilogue.advance(count)
      },
    })
  }

  /** Sets the states of some columns to the identity. */
  initialize(part: Columns): void {
    this.alongStates(part, (write) => {
      const graph = new VectorGraph()
      write(this.problem.reductions.flatMap(({ monoid }) => monoid.initial(graph)))
    })
  }

  /**
   * Adds rows of the last reduced axis to the states; `outer` is the number of the row of the
   * other reduced axes.
   */
  accumulate(kept: readonly I32Operand[], part: Part, outer: I32Operand): void {
    const { f } = this
    const outerShape = this.reduced.slice(0, -1)
    const end = f.local('i32')
    f.push(outer).i32Const(1).op('i32.add').set(end)
    forEachRow(f, outerShape, { firstRow: outer, endRow: end }, (position) => {
      const { rowsAtOnce } = this
      const row = f.local('i32')
      const limit = f.local('i32')
      f.push(part.firstRow).set(row)
      const passes = (rows: number): void => {
        f.push(part.endRow)
          .i32Const(rows - 1)
          .op('i32.sub')
          .set(limit)
        f.get(row).get(limit).op('i32.lt_s')
        f.if(() => {
          f.loop((again) => {
            this.pass(kept, position, row, rows, part)
            f.get(row).i32Const(rows).op('i32.add').tee(row).get(limit).op('i32.lt_s').brIf(again)
          })
        })
      }
      // Ranges begin at a multiple of the rows merged at a time.
      const rows = this.reduced.at(-1) ?? 1
      if (rowsAtOnce > 1 && rows >= rowsAtOnce) passes(rowsAtOnce)
      if (rows % rowsAtOnce !== 0 || rowsAtOnce === 1) passes(1)
    })
  }

  private pass(
    kept: readonly I32Operand[],
    outer: readonly I32Operand[],
    row: Local<'i32'>,
    rows: number,
    part: Columns,
  ): void {
    const { code } = this
    code.enterRow([...kept, part.firstColumn, ...outer, row])
    this.alongStates(
      part,
      (write, read, lanes, column) => {
        const graph = new VectorGraph()
        const states = this.withRows(graph, read(graph), lanes, column, rows)
        write(states.flat())
      },
      (count) => code.advance(count),
    )
  }

  /** The states after the rows from the current one on, at a group of columns. */
  private withRows(
    graph: VectorGraph,
    states: readonly State[],
    lanes: LaneCount,
    column: number,
    rows: number,
  ): readonly State[] {
    const { reductions } = this.problem
    const { code } = this
    // Lanes beyond the group hold anything: nobody looks at their results.
    const items = this.taps.flatMap((tap) =>
      Array.from({ length: rows }, (_, row) =>
        itemsOf(code.group(graph, { lanes, column, row }), tap.reductions, 4),
      ),
    )
    return reductions.map(({ monoid }, slot) =>
      addItems(
        graph,
        monoid,
        states[slot] ?? [],
        items.map((item) => item[slot] ?? []),
      ),
    )
  }

  /** Stores the results of some columns. */
  finish(kept: readonly I32Operand[], part: Columns): void {
    const { epilogue } = this
    epilogue.enterRow([...kept, part.firstColumn])
    this.alongStates(
      part,
      (_write, read, lanes, column) => {
        const graph = new VectorGraph()
        const results = this.problem.reductions.map(({ monoid }, slot) =>
          monoid.result(graph, read(graph)[slot] ?? []),
        )
        epilogue.store({ lanes, column, row: 0 }, results, graph)
      },
      (count) => epilogue.advance(count),
    )
  }

  /** Goes along some columns with access to their states in working memory. */
  private alongStates(
    part: Columns,
    body: (
      write: (states: State) => void,
      read: (graph: VectorGraph) => readonly State[],
      lanes: LaneCount,
      column: number,
    ) => void,
    advance: (count: number) => void = () => undefined,
  ): void {
    const { f, stateWidth } = this
    const pointer = this.statePointer
    const memory = this.problem.env.scratch(
      16 * stateWidth * Math.ceil(Math.min(this.columns, ELEMENTS_PER_CALL) / 4),
    )
    f.globalGet(memory).set(pointer)
    const read = (graph: VectorGraph, column: number): readonly State[] => {
      let next = 0
      return this.problem.reductions.map(({ monoid }) =>
        Array.from({ length: monoid.stateWidth }, () => {
          const offset = 16 * (stateWidth * (column / 4) + next++)
          return graph.operation(`state ${offset}`, [], () =>
            f.get(pointer).load('v128.load', offset),
          )
        }),
      )
    }
    const write = (states: State, column: number): void => {
      const emission = new Emission(f, states)
      // Every state is read before one is written.
      const ready = states.length === 1 ? null : states.map((state) => emission.toLocal(state))
      states.forEach((state, position) => {
        const offset = 16 * (stateWidth * (column / 4) + position)
        const local = ready?.[position]
        f.get(pointer)
        if (local) f.get(local.local)
        else emission.push(state)
        f.store('v128.store', offset)
        local?.release()
      })
    }
    alongRow(f, this.columns, part, 1, {
      groups: (lanes, columns) => {
        for (const column of columns) {
          body(
            (states) => write(states, column),
            (graph) => read(graph, column),
            lanes,
            column,
          )
        }
      },
      advance: (count) => {
        f.add(pointer, 4 * stateWidth * count)
        advance(count)
      },
    })
  }
}
