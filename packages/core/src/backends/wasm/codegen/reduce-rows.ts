/** Reductions whose groups lie along a reduced axis: one result at a time, its lanes combined last. */
import { measureAll } from '../../../compiler/measure'
import { sizeOf } from '../../../types/aval'
import type { FunctionBuilder, Global, I32Operand, Local } from '../emit/index'
import { Emission, VectorGraph } from '../math/index'
import { ELEMENTS_PER_CALL } from './environment'
import { alongRow, forEachRow, splitIntoCalls, unrollFor } from './loops'
import type { Part } from './loops'
import type { State } from './monoids'
import { addItems, epilogueCode, itemsOf } from './reduction'
import type { ReduceProblem } from './reduction'
import { RowCode } from './rows'

export function reduceRows(problem: ReduceProblem): FunctionBuilder {
  const { space, boundary } = problem
  const results = sizeOf(space.shape.slice(0, boundary))
  const perResult = sizeOf(space.shape.slice(boundary))
  if (perResult > 2 * ELEMENTS_PER_CALL) return longReduction(problem, results)
  const { module, name, addressTypes: types } = problem
  const emit = (f: FunctionBuilder, first: I32Operand, end: I32Operand): void =>
    emitResults(f, problem, first, end)
  if (results * perResult <= ELEMENTS_PER_CALL) {
    return module.function({ name, params: types, results: [] }, (f) => emit(f, 0, results))
  }
  const kernel = module.function(
    { name: `${name}.part`, params: [...types, 'i32', 'i32'], results: [] },
    (f) => emit(f, f.param(types.length, 'i32'), f.param(types.length + 1, 'i32')),
  )
  return module.function({ name, params: types, results: [] }, (f) => {
    splitIntoCalls(f, results, perResult, (part) => {
      types.forEach((type, position) => f.get(f.param(position, type)))
      f.push(part.firstRow).push(part.endRow).call(kernel)
    })
  })
}

/** Whole results, from the first to before the end. */
function emitResults(
  f: FunctionBuilder,
  problem: ReduceProblem,
  first: I32Operand,
  end: I32Operand,
): void {
  const { space, boundary } = problem
  const loop = new ResultLoop(f, problem)
  const epilogue = epilogueCode(f, problem, boundary - 1)
  const reduced = space.shape.slice(boundary)
  const columns = reduced.at(-1) ?? 1
  const all: Part = {
    firstRow: 0,
    endRow: sizeOf(reduced.slice(0, -1)),
    firstColumn: 0,
    endColumn: columns,
  }
  loop.code.enterFunction()
  epilogue.enterFunction()
  const range = { firstRow: first, endRow: end }
  forEachRow(f, space.shape.slice(0, boundary), range, (position) => {
    loop.initialize()
    loop.accumulate(position, all)
    epilogue.enterRow(position)
    loop.finish(epilogue)
  })
}

/** More elements for one result than a call should have: the state waits in memory between calls. */
function longReduction(problem: ReduceProblem, results: number): FunctionBuilder {
  const { module, name, addressTypes: types, space, boundary, env } = problem
  const kept = space.shape.slice(0, boundary)
  const reduced = space.shape.slice(boundary)
  const columns = reduced.at(-1) ?? 1
  const rows = sizeOf(reduced.slice(0, -1))
  const width = problem.reductions.reduce((sum, { monoid }) => sum + monoid.stateWidth, 0)
  const memory = env.scratch(16 * width)
  const kernel = module.function(
    { name: `${name}.part`, params: [...types, 'i32', 'i32', 'i32', 'i32', 'i32'], results: [] },
    (f) => {
      const at = (position: number): Local<'i32'> => f.param(types.length + position, 'i32')
      const loop = new ResultLoop(f, problem)
      loop.code.enterFunction()
      loop.restore(memory)
      const result = at(0)
      const end = f.local('i32')
      f.get(result).i32Const(1).op('i32.add').set(end)
      forEachRow(f, kept, { firstRow: result, endRow: end }, (position) => {
        loop.accumulate(position, {
          firstRow: at(1),
          endRow: at(2),
          firstColumn: at(3),
          endColumn: at(4),
        })
      })
      loop.save(memory)
    },
  )
  return module.function({ name, params: types, results: [] }, (f) => {
    const loop = new ResultLoop(f, problem)
    const epilogue = epilogueCode(f, problem, boundary - 1)
    epilogue.enterFunction()
    const result = f.local('i32')
    f.i32Const(0).set(result)
    forEachRow(f, kept, { firstRow: 0, endRow: results }, (position) => {
      loop.initialize()
      loop.save(memory)
      splitIntoCalls(f, rows, columns, (part) => {
        types.forEach((type, parameter) => f.get(f.param(parameter, type)))
        f.get(result)
        for (const bound of [part.firstRow, part.endRow, part.firstColumn, part.endColumn]) {
          f.push(bound)
        }
        f.call(kernel)
      })
      loop.restore(memory)
      epilogue.enterRow(position)
      loop.finish(epilogue)
      f.add(result, 1)
    })
  })
}

/** The running state of one result, in locals. */
class ResultLoop {
  readonly code: RowCode
  private readonly state: readonly (readonly Local<'v128'>[])[]
  private readonly unroll: number

  constructor(
    private readonly f: FunctionBuilder,
    private readonly problem: ReduceProblem,
  ) {
    const { space, env, addresses, reductions } = problem
    this.code = new RowCode(f, {
      stores: [],
      values: space.values,
      vectorAxis: space.shape.length - 1,
      blockAxis: null,
      addresses: addresses(f),
      features: env.features,
    })
    this.state = reductions.map(({ monoid }) =>
      Array.from({ length: monoid.stateWidth }, () => f.local('v128')),
    )
    const { cost } = measureAll(space.values)
    this.unroll = cost <= 3 && reductions.length === 1 ? 8 : unrollFor(cost)
  }

  initialize(): void {
    const graph = new VectorGraph()
    this.set(this.problem.reductions.map(({ monoid }) => monoid.initial(graph)))
  }

  accumulate(kept: readonly I32Operand[], part: Part): void {
    const { f, code } = this
    const { space, boundary, reductions } = this.problem
    const reduced = space.shape.slice(boundary)
    forEachRow(f, reduced.slice(0, -1), part, (outer) => {
      code.enterRow([...kept, ...outer, part.firstColumn])
      alongRow(f, reduced.at(-1) ?? 1, part, this.unroll, {
        groups: (lanes, columns) => {
          const graph = new VectorGraph()
          const items = columns.map((column) =>
            itemsOf(code.group(graph, { lanes, column, row: 0 }), reductions, lanes),
          )
          const next = reductions.map(({ monoid }, slot) => {
            const own = items.map((states) => states[slot] ?? [])
            return addItems(graph, monoid, this.current(graph, slot), own)
          })
          this.set(next)
        },
        advance: (count) => code.advance(count),
      })
    })
  }

  /** Combines the lanes and stores the results, at the epilogue's row. */
  finish(epilogue: RowCode): void {
    const graph = new VectorGraph()
    const results = this.problem.reductions.map(({ monoid }, slot) =>
      monoid.result(graph, monoid.horizontal(graph, this.current(graph, slot))),
    )
    epilogue.store({ lanes: 1, column: 0, row: 0 }, results, graph)
  }

  save(memory: Global): void {
    const { f } = this
    this.state.flat().forEach((local, position) => {
      f.globalGet(memory)
        .get(local)
        .store('v128.store', 16 * position)
    })
  }

  restore(memory: Global): void {
    const { f } = this
    this.state.flat().forEach((local, position) => {
      f.globalGet(memory)
        .load('v128.load', 16 * position)
        .set(local)
    })
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
