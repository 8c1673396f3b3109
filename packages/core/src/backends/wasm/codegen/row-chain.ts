/**
 * Row nodes: all steps on one row, then all on the next. What only they read lies in working memory
 * that fits the first-level cache.
 *
 * A map followed by a reduction over what it has just written is one loop: the exponentials of a
 * softmax are stored and added up in the same turn.
 */
import type { Buffer, Scalar } from '../../../compiler/expr'
import { index } from '../../../compiler/expr'
import { measureAll } from '../../../compiler/measure'
import type { MapNode, ReduceNode, RowsNode, RowStep, Store } from '../../../compiler/nodes'
import { byteSize } from '../../../compiler/plan'
import { innerOf } from '../../../compiler/spaces'
import { affineEqualOn, loadsOf, rewrite, rowMajor } from '../../../compiler/views'
import { sizeOf } from '../../../types/aval'
import type { FunctionBuilder, Global, I32Operand, Local, ModuleBuilder } from '../emit/index'
import { VectorGraph } from '../math/index'
import {
  addressParameters,
  addressTypes,
  buffersOf,
  ELEMENTS_PER_CALL,
  READ_SLACK,
} from './environment'
import type { BufferAddresses, CodegenEnvironment } from './environment'
import { alongRow, forEachRow, splitRowsIntoCalls, unrollLooking } from './loops'
import type { LaneCount } from './memory-forms'
import { vectorMonoid } from './monoids'
import type { State } from './monoids'
import { addItems, itemsOf } from './reduction'
import type { ReductionPlan } from './reduction'
import { aheadOf, ReadAhead } from './read-ahead'
import { RowCode } from './rows'
import type { Group } from './rows'

/** A row node as a function of its buffers' addresses, in the order of `buffersOf(node)`. */
export function emitRowChain(
  module: ModuleBuilder,
  node: RowsNode,
  env: CodegenEnvironment,
): FunctionBuilder {
  const buffers = buffersOf(node)
  const types = addressTypes(buffers)
  const name = env.functionName('rows')
  const rows = sizeOf(node.shape)
  const places = new LocalPlaces(node.locals, env)
  const emit = (f: FunctionBuilder, first: I32Operand, end: I32Operand): void => {
    const addresses = new Map([...addressParameters(f, buffers), ...places.addresses(f)])
    emitSteps(f, node, addresses, env, first, end)
  }
  const perRow = node.steps.reduce((sum, step) => sum + sizeOf(innerOf(step, node.shape)), 0)
  if (rows * perRow <= ELEMENTS_PER_CALL && env.threads === null) {
    return module.function({ name, params: types, results: [] }, (f) => emit(f, 0, rows))
  }
  const kernel = module.function(
    { name: `${name}.part`, params: [...types, 'i32', 'i32'], results: [] },
    (f) => emit(f, f.param(types.length, 'i32'), f.param(types.length + 1, 'i32')),
  )
  return module.function({ name, params: types, results: [] }, (f) => {
    splitRowsIntoCalls(f, env, rows, perRow, (part) => {
      types.forEach((type, position) => f.get(f.param(position, type)))
      f.push(part.firstRow).push(part.endRow).call(kernel)
    })
  })
}

/** Where in working memory the buffers of one row lie. */
class LocalPlaces {
  private readonly offsets: readonly number[]
  private readonly memory: Global | null

  constructor(
    private readonly locals: readonly Buffer[],
    env: CodegenEnvironment,
  ) {
    let end = 0
    this.offsets = locals.map((buffer) => {
      const start = end
      end = Math.ceil((start + byteSize(buffer) + READ_SLACK) / 64) * 64
      return start
    })
    this.memory = locals.length === 0 ? null : env.scratch(end)
  }

  addresses(f: FunctionBuilder): BufferAddresses {
    const { memory } = this
    if (memory === null) return new Map()
    return new Map(
      this.locals.map((buffer, i) => {
        const address = f.local('i32')
        f.globalGet(memory)
          .i32Const(this.offsets[i] ?? 0)
          .op('i32.add')
          .set(address)
        return [buffer.id, address]
      }),
    )
  }
}

function emitSteps(
  f: FunctionBuilder,
  node: RowsNode,
  addresses: BufferAddresses,
  env: CodegenEnvironment,
  firstRow: I32Operand,
  endRow: I32Operand,
): void {
  const plan = passesOf(node)
  const ahead = aheadOf(
    plan.map((pass) => ({ inner: pass.inner, ...workOf(pass) })),
    node.shape,
    node.locals,
  )
  const passes = plan.map(
    (pass, i) =>
      new PassCode(
        f,
        pass,
        node,
        addresses,
        env,
        new ReadAhead(f, ahead[i] ?? [], node.shape, addresses),
      ),
  )
  for (const pass of passes) pass.enterFunction()
  forEachRow(f, node.shape, { firstRow, endRow }, (row) => {
    for (const pass of passes) pass.write(row)
  })
}

/** One loop along a row, or what is done once for it: what is written, and what is accumulated. */
interface Pass {
  readonly inner: readonly number[]
  readonly map: MapNode | null
  readonly reduce: ReduceNode | null
}

/** What a pass evaluates for every element of a row, and what that costs. */
function workOf({ map, reduce }: Pass): {
  readonly roots: readonly Scalar[]
  readonly cost: number
} {
  const roots = [
    ...(map?.stores ?? []).map(({ value }) => value),
    ...(reduce?.reductions ?? []).map(({ value }) => value),
  ]
  return { roots, cost: measureAll(roots).cost }
}

/** Steps as passes: a map and the reduction that follows it go together where they can. */
function passesOf(node: RowsNode): readonly Pass[] {
  const passes: Pass[] = []
  for (const step of node.steps) {
    const inner = innerOf(step, node.shape)
    const last = passes.at(-1)
    const together = last === undefined ? null : joined(last, step, inner)
    if (together !== null) passes[passes.length - 1] = together
    else if (step.kind === 'map') passes.push({ inner, map: step, reduce: null })
    else passes.push({ inner: inner.length === 0 ? [1] : inner, map: null, reduce: step })
  }
  return passes
}

function joined(last: Pass, step: RowStep, inner: readonly number[]): Pass | null {
  const { map } = last
  if (map === null || last.reduce !== null || step.kind !== 'reduce') return null
  if (inner.length === 0 || last.inner.join() !== inner.join()) return null
  const stores = new Map<Buffer, Store>(map.stores.map((s) => [s.target, s]))
  const values = step.reductions.map((r) => r.value)
  const handedOver = loadsOf(values).every((l) => {
    const store = stores.get(l.source)
    if (store === undefined) return true
    if (l.offsets.length > 0 || store.offsets.length > 0) return false
    return affineEqualOn(map.shape, l.at, store.at)
  })
  if (!handedOver) return null
  const visit = (e: Scalar): Scalar =>
    rewrite(e, (leaf) => (leaf.kind === 'load' ? (stores.get(leaf.source)?.value ?? leaf) : leaf))
  const reductions = step.reductions.map((r) => ({ ...r, value: visit(r.value) }))
  return { inner, map, reduce: { ...step, reductions } }
}

/** The code of a pass, with the running states of its reductions in locals. */
class PassCode {
  private readonly code: RowCode | null
  private readonly once: RowCode | null
  private readonly reductions: readonly ReductionPlan[]
  private readonly state: readonly (readonly Local<'v128'>[])[]
  private readonly unroll: number

  constructor(
    private readonly f: FunctionBuilder,
    private readonly pass: Pass,
    node: RowsNode,
    addresses: BufferAddresses,
    env: CodegenEnvironment,
    private readonly ahead: ReadAhead,
  ) {
    const { inner, map, reduce } = pass
    const rank = node.shape.length
    const rewritten = new Set(node.locals)
    const rowCode = (
      stores: readonly Store[],
      values: readonly Scalar[],
      vectorAxis: number,
    ): RowCode =>
      new RowCode(f, {
        stores,
        values,
        vectorAxis,
        blockAxis: null,
        addresses,
        rewritten,
        features: env.features,
      })
    const count = sizeOf(inner)
    this.reductions = (reduce?.reductions ?? []).map((reduction) => {
      const isPosition = reduction.monoid === 'argmax' || reduction.monoid === 'argmin'
      const strides = [...node.shape.map(() => 0), ...rowMajor(inner).strides]
      return {
        monoid: vectorMonoid(reduction, count, env.features),
        inputs: isPosition ? [reduction.value, index({ offset: 0, strides })] : [reduction.value],
      }
    })
    this.state = this.reductions.map(({ monoid }) =>
      Array.from({ length: monoid.stateWidth }, () => f.local('v128')),
    )
    const stores = map?.stores ?? []
    const values = this.reductions.flatMap(({ inputs }) => inputs)
    if (inner.length === 0) {
      this.code = null
      this.once = rowCode(stores, [], rank - 1)
      this.unroll = 1
      return
    }
    const code = rowCode(stores, values, rank + inner.length - 1)
    this.code = code
    this.once = reduce === null ? null : rowCode(reduce.stores, [], rank - 1)
    this.unroll = this.unrollOf(code, [...stores.map((s) => s.value), ...values])
  }

  private unrollOf(code: RowCode, roots: readonly Scalar[]): number {
    const { reductions } = this
    const { cost } = measureAll(roots)
    if (this.pass.map === null && cost <= 3 && reductions.length === 1) return 8
    return unrollLooking(roots, () => this.f.capture(() => this.groups(code, 4, [0])).bytes.length)
  }

  enterFunction(): void {
    this.code?.enterFunction()
    this.once?.enterFunction()
  }

  write(row: readonly I32Operand[]): void {
    const { f, code, once, reductions } = this
    const { inner } = this.pass
    if (code !== null) {
      if (reductions.length > 0) {
        const graph = new VectorGraph()
        this.setState(
          code,
          graph,
          reductions.map(({ monoid }) => monoid.initial(graph)),
        )
      }
      const columns = inner.at(-1) ?? 1
      const lines = { firstRow: 0, endRow: sizeOf(inner.slice(0, -1)) }
      forEachRow(f, inner.slice(0, -1), lines, (outer) => {
        code.enterRow([...row, ...outer, 0])
        this.ahead.enterRow(row, (offset, strides) => code.pushAffine(offset, strides, row))
        const whole = { firstColumn: 0, endColumn: columns }
        alongRow(f, columns, whole, this.unroll, {
          groups: (lanes, columns) => {
            if (columns.length === this.unroll) this.ahead.turn(lanes * columns.length)
            this.groups(code, lanes, columns)
          },
          advance: (count) => code.advance(count),
        })
      })
    }
    if (once === null) return
    once.enterRow(row)
    const graph = new VectorGraph()
    const results = reductions.map(({ monoid }, slot) =>
      monoid.result(graph, monoid.horizontal(graph, this.current(graph, slot))),
    )
    once.store({ lanes: 1, column: 0, row: 0 }, results, graph)
  }

  /** Writes the stores of some groups and adds what they contribute to the states. */
  private groups(code: RowCode, lanes: LaneCount, columns: readonly number[]): void {
    const { reductions } = this
    const graph = new VectorGraph()
    const positions = columns.map((column) => ({ lanes, column, row: 0 }))
    const next = (groups: readonly Group[]): State => {
      const items = groups.map((group) => itemsOf(group, reductions, lanes))
      return reductions.flatMap(({ monoid }, slot) => {
        const own = items.map((states) => states[slot] ?? [])
        return addItems(graph, monoid, this.current(graph, slot), own)
      })
    }
    code.storeEach(positions, [], graph, { values: next, targets: this.state.flat() })
  }

  private setState(code: RowCode, graph: VectorGraph, states: readonly State[]): void {
    code.storeEach([], [], graph, { values: () => states.flat(), targets: this.state.flat() })
  }

  private current(graph: VectorGraph, slot: number): State {
    return (this.state[slot] ?? []).map((local) => graph.local(local))
  }
}
