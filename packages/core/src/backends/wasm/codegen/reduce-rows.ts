/** Reductions whose groups lie along a reduced axis: one result at a time, its lanes combined last. */
import { measureAll } from '../../../compiler/measure'
import { sizeOf } from '../../../types/aval'
import type { FunctionBuilder, I32Operand, Local } from '../emit/index'
import { Emission, VectorGraph } from '../math/index'
import { ELEMENTS_PER_CALL } from './environment'
import { alongRow, boundedEnd, forEachRow, splitRowsIntoCalls, unrollFor } from './loops'
import type { LaneCount } from './memory-forms'
import type { Part, RowBody } from './loops'
import type { State } from './monoids'
import { addItems, epilogueCode, itemsOf } from './reduction'
import type { ReduceProblem } from './reduction'
import { RowCode } from './rows'
import { shareOf } from './threads'

export function reduceRows(problem: ReduceProblem): FunctionBuilder {
  const { space, boundary } = problem
  const results = sizeOf(space.shape.slice(0, boundary))
  const perResult = sizeOf(space.shape.slice(boundary))
  if (perResult > 2 * ELEMENTS_PER_CALL) return longReduction(problem, results)
  const { module, name, addressTypes: types, env } = problem
  const emit = (f: FunctionBuilder, first: I32Operand, end: I32Operand): void =>
    emitResults(f, problem, first, end)
  if (results * perResult <= ELEMENTS_PER_CALL && env.threads === null) {
    return module.function({ name, params: types, results: [] }, (f) => emit(f, 0, results))
  }
  const kernel = module.function(
    { name: `${name}.part`, params: [...types, 'i32', 'i32'], results: [] },
    (f) => emit(f, f.param(types.length, 'i32'), f.param(types.length + 1, 'i32')),
  )
  return module.function({ name, params: types, results: [] }, (f) => {
    splitRowsIntoCalls(f, env, results, perResult, (part) => {
      types.forEach((type, position) => f.get(f.param(position, type)))
      f.push(part.firstRow).push(part.endRow).call(kernel)
    })
  })
}

/** So many results at a time, or pieces of one, are read side by side. */
const STREAMS = 4
/** Elements from which an array is not in the second-level cache, and streams pay. */
const LARGE = 2 ** 18

/**
 * Whether several results are computed side by side: memory answers several streams at a time
 * faster than one. What is added to what is the same as in one stream.
 */
function inStreams({ space, boundary }: ReduceProblem, unroll: number): boolean {
  const columns = space.shape.at(-1) ?? 1
  return (
    unroll === MOST_GROUPS &&
    boundary === 1 &&
    space.shape.length === 2 &&
    (space.shape[0] ?? 1) >= 2 * STREAMS &&
    columns >= 8 * MOST_GROUPS &&
    sizeOf(space.shape) >= LARGE
  )
}

/** Whole results, from the first to before the end. */
function emitResults(
  f: FunctionBuilder,
  problem: ReduceProblem,
  first: I32Operand,
  end: I32Operand,
): void {
  const { space, boundary } = problem
  const loop = ResultLoop.create(f, problem)
  const epilogue = epilogueCode(f, problem, boundary - 1)
  const reduced = space.shape.slice(boundary)
  const columns = reduced.at(-1) ?? 1
  const all: Part = {
    firstRow: 0,
    endRow: sizeOf(reduced.slice(0, -1)),
    firstColumn: 0,
    endColumn: columns,
  }
  loop.enterFunction()
  epilogue.enterFunction()
  if (!inStreams(problem, loop.unroll)) {
    const range = { firstRow: first, endRow: end }
    return forEachRow(f, space.shape.slice(0, boundary), range, (position) => {
      loop.initialize()
      loop.accumulate(position, all)
      epilogue.enterRow(position)
      loop.finish(epilogue)
    })
  }
  const beside = Array.from({ length: STREAMS }, (_, row) => (row === 0 ? loop : loop.beside(row)))
  const row = f.local('i32')
  const results = (loops: readonly ResultLoop[]): void => {
    const position = [row]
    for (const each of loops) each.initialize()
    accumulateBeside(loops, position, all)
    loops.forEach((each) => {
      epilogue.enterRow(position)
      each.finish(epilogue)
      f.add(row, 1)
    })
  }
  f.push(first).set(row)
  for (const loops of [beside, [loop]]) {
    f.whileLoop(
      () => f.push(end).get(row).op('i32.sub').i32Const(loops.length).op('i32.ge_s'),
      () => results(loops),
    )
  }
}

/**
 * More elements for one result than a call should have. Each call leaves the state of its elements
 * in memory, and at the end the states are merged in order: which elements a state is of does not
 * depend on who computes it.
 */
function longReduction(problem: ReduceProblem, results: number): FunctionBuilder {
  const { module, name, addressTypes: types, space, boundary, env } = problem
  const kept = space.shape.slice(0, boundary)
  const reduced = space.shape.slice(boundary)
  const columns = reduced.at(-1) ?? 1
  const rows = sizeOf(reduced.slice(0, -1))
  const rowsPerPart = Math.max(1, Math.floor(ELEMENTS_PER_CALL / columns))
  const partsPerRow = columns > 2 * ELEMENTS_PER_CALL ? Math.ceil(columns / ELEMENTS_PER_CALL) : 1
  const partColumns = partsPerRow > 1 ? ELEMENTS_PER_CALL : columns
  const parts = Math.ceil(rows / rowsPerPart) * partsPerRow
  const width = problem.reductions.reduce((sum, { monoid }) => sum + monoid.stateWidth, 0)
  const bytes = 16 * width
  const memory = env.threads ? env.threads.commonScratch(bytes * parts) : env.scratch(bytes * parts)
  const kernel = module.function(
    { name: `${name}.part`, params: [...types, 'i32', 'i32'], results: [] },
    (f) => {
      const result = f.param(types.length, 'i32')
      const part = f.param(types.length + 1, 'i32')
      const [end, firstRow, endRow, firstColumn, endColumn, place] = Array.from({ length: 6 }, () =>
        f.local('i32'),
      )
      f.get(result).i32Const(1).op('i32.add').set(end)
      f.get(part).i32Const(partsPerRow).op('i32.div_u').i32Const(rowsPerPart).op('i32.mul')
      f.set(firstRow)
      boundedEnd(f, firstRow, rowsPerPart, rows, endRow)
      f.get(part).i32Const(partsPerRow).op('i32.rem_u').i32Const(partColumns).op('i32.mul')
      f.set(firstColumn)
      boundedEnd(f, firstColumn, partColumns, columns, endColumn)
      f.globalGet(memory).get(part).i32Const(bytes).op('i32.mul').op('i32.add').set(place)
      const loop = ResultLoop.create(f, problem)
      loop.enterFunction()
      loop.initialize()
      forEachRow(f, kept, { firstRow: result, endRow: end }, (position) => {
        const range = { firstRow, endRow, firstColumn, endColumn }
        if (partsPerRow === 1) loop.accumulate(position, { ...range, ...allColumns(columns) })
        else loop.accumulatePiece(position, range, partColumns, columns % partColumns === 0)
      })
      loop.save(place)
    },
  )
  return module.function({ name, params: types, results: [] }, (f) => {
    const loop = ResultLoop.create(f, problem)
    const epilogue = epilogueCode(f, problem, boundary - 1)
    const [result, part, place] = [0, 1, 2].map(() => f.local('i32'))
    const own = shareOf(env, f, parts)
    forEachRow(f, kept, { firstRow: 0, endRow: results }, (position) => {
      // Memory for states may still be read for the last result, or by another node.
      env.threads?.barrier(f)
      f.forRange({ index: part, ...own }, () => {
        types.forEach((type, parameter) => f.get(f.param(parameter, type)))
        env.threads?.beat(f)
        f.get(result).get(part).call(kernel)
      })
      env.threads?.barrier(f)
      const finish = (): void => {
        f.globalGet(memory).set(place)
        loop.restore(place)
        f.forRange({ index: part, from: 1, to: parts }, () => {
          f.add(place, bytes)
          loop.merge(place)
        })
        epilogue.enterFunction()
        epilogue.enterRow(position)
        loop.finish(epilogue)
      }
      if (env.threads) env.threads.alone(f, finish)
      else finish()
      f.add(result, 1)
    })
  })
}

const allColumns = (columns: number): Pick<Part, 'firstColumn' | 'endColumn'> => ({
  firstColumn: 0,
  endColumn: columns,
})

/** Groups that are merged before they are added to a state, of short expressions. */
const MOST_GROUPS = 8

/** Accumulates the results of neighbouring rows, which share the pointers of the first. */
function accumulateBeside(
  loops: readonly ResultLoop[],
  position: readonly I32Operand[],
  part: Part,
): void {
  const [first] = loops
  if (!first) return
  first.alongParts(position, part, (lanes, columns) => {
    for (const loop of loops) loop.add(lanes, columns)
  })
}

/** The running state of one result, in locals. */
export class ResultLoop {
  private readonly state: readonly (readonly Local<'v128'>[])[]

  static create(f: FunctionBuilder, problem: ReduceProblem): ResultLoop {
    const { cost } = measureAll(problem.space.values)
    const unroll = cost <= 3 && problem.reductions.length === 1 ? MOST_GROUPS : unrollFor(cost)
    return new ResultLoop(f, problem, unroll, null)
  }

  private constructor(
    private readonly f: FunctionBuilder,
    private readonly problem: ReduceProblem,
    readonly unroll: number,
    /** Where this loop is beside another, so many rows from that where the other's pointers are. */
    private readonly place: { readonly first: ResultLoop; readonly row: number } | null,
  ) {
    this.state = problem.reductions.map(({ monoid }) =>
      Array.from({ length: monoid.stateWidth }, () => f.local('v128')),
    )
  }

  /** Made when asked for: who only merges states has no use for it. */
  private made: RowCode | null = null
  private get code(): RowCode {
    if (this.place !== null) return this.place.first.code
    const { space, env, addresses, boundary } = this.problem
    return (this.made ??= new RowCode(this.f, {
      stores: [],
      values: space.values,
      vectorAxis: space.shape.length - 1,
      blockAxis: inStreams(this.problem, this.unroll) ? boundary - 1 : null,
      addresses: addresses(this.f),
      features: env.features,
    }))
  }

  /** The loop of a result some rows further on, with the same pointers. */
  beside(row: number): ResultLoop {
    return new ResultLoop(this.f, this.problem, this.unroll, { first: this, row })
  }

  enterFunction(): void {
    this.code.enterFunction()
  }

  initialize(): void {
    const graph = new VectorGraph()
    this.set(this.problem.reductions.map(({ monoid }) => monoid.initial(graph)))
  }

  accumulate(kept: readonly I32Operand[], part: Part): void {
    this.alongParts(kept, part, (lanes, columns) => this.add(lanes, columns))
  }

  /** The same for a piece of a long row, all or most of which have this length. */
  accumulatePiece(
    kept: readonly I32Operand[],
    part: Part,
    length: number,
    allOfThem = false,
  ): void {
    if (this.unroll < MOST_GROUPS) return this.accumulate(kept, part)
    if (allOfThem) return this.accumulateInStreams(kept, part, length)
    const { f } = this
    f.push(part.endColumn).push(part.firstColumn).op('i32.sub').i32Const(length).op('i32.eq')
    f.if(
      () => this.accumulateInStreams(kept, part, length),
      () => this.accumulate(kept, part),
    )
  }

  /** The same for so many columns, known now, as pieces that are read side by side. */
  private accumulateInStreams(kept: readonly I32Operand[], part: Part, columns: number): void {
    const { f, code } = this
    const { space, boundary } = this.problem
    const reduced = space.shape.slice(boundary)
    const piece = columns / STREAMS
    const turn = 4 * this.unroll
    const done = f.local('i32')
    forEachRow(f, reduced.slice(0, -1), part, (outer) => {
      code.enterRow([...kept, ...outer, part.firstColumn])
      f.forRange({ index: done, from: 0, to: piece, step: turn, nonEmpty: true }, () => {
        for (let stream = 0; stream < STREAMS; stream++) {
          const groups = Array.from({ length: this.unroll }, (_, i) => stream * piece + 4 * i)
          this.add(4, groups)
        }
        code.advance(turn)
      })
    })
  }

  /** Goes along the reduced axes; `groups` adds some groups to states. */
  alongParts(kept: readonly I32Operand[], part: Part, groups: RowBody['groups']): void {
    const { f, code } = this
    const { space, boundary } = this.problem
    const reduced = space.shape.slice(boundary)
    forEachRow(f, reduced.slice(0, -1), part, (outer) => {
      code.enterRow([...kept, ...outer, part.firstColumn])
      alongRow(f, reduced.at(-1) ?? 1, part, this.unroll, {
        groups,
        advance: (count) => code.advance(count),
      })
    })
  }

  /** Adds some groups to the state. */
  add(lanes: LaneCount, columns: readonly number[]): void {
    const { code, place } = this
    const { reductions } = this.problem
    const graph = new VectorGraph()
    const row = place?.row ?? 0
    const items = columns.map((column) =>
      itemsOf(code.group(graph, { lanes, column, row }), reductions, lanes),
    )
    const next = reductions.map(({ monoid }, slot) => {
      const own = items.map((states) => states[slot] ?? [])
      return addItems(graph, monoid, this.current(graph, slot), own)
    })
    this.set(next)
  }

  /** Combines the lanes and stores the results, at the epilogue's row. */
  finish(epilogue: RowCode): void {
    const graph = new VectorGraph()
    const results = this.problem.reductions.map(({ monoid }, slot) =>
      monoid.result(graph, monoid.horizontal(graph, this.current(graph, slot))),
    )
    epilogue.store({ lanes: 1, column: 0, row: 0 }, results, graph)
  }

  save(place: Local<'i32'>): void {
    const { f } = this
    this.state.flat().forEach((local, position) => {
      f.get(place)
        .get(local)
        .store('v128.store', 16 * position)
    })
  }

  restore(place: Local<'i32'>): void {
    const { f } = this
    this.state.flat().forEach((local, position) => {
      f.get(place)
        .load('v128.load', 16 * position)
        .set(local)
    })
  }

  /** Adds the state of the elements that follow. */
  merge(place: Local<'i32'>): void {
    const { f } = this
    const graph = new VectorGraph()
    let next = 0
    const states = this.problem.reductions.map(({ monoid }, slot) => {
      const later = Array.from({ length: monoid.stateWidth }, () => {
        const offset = 16 * next++
        return graph.operation(`state ${offset}`, [], () => f.get(place).load('v128.load', offset))
      })
      return monoid.mergeStates(graph, this.current(graph, slot), later)
    })
    this.set(states)
  }

  private current(graph: VectorGraph, slot: number): State {
    return (this.state[slot] ?? []).map((local) => graph.local(local))
  }

  /** All new values are computed before the first old one is overwritten. */
  private set(next: readonly State[]): void {
    const { f } = this
    const values = next.flat()
    const emission = new Emission(f, values)
    for (const value of values) emission.push(value)
    const targets = this.state.flat()
    for (const target of targets.reverse()) f.set(target)
  }
}
