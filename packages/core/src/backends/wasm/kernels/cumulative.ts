import type { Scalar } from '../../../compiler/expr'
import { binary, constant, select, unary } from '../../../compiler/expr'
import type { CumulativeNode } from '../../../compiler/nodes'
import type { DType } from '../../../types/dtype'
import { bytesOf } from '../../../types/dtype'
import type { CodegenEnvironment } from '../codegen/environment'
import { ELEMENTS_PER_CALL } from '../codegen/environment'
import type { LaneCount, VectorValue } from '../codegen/memory-forms'
import { vectorMonoid } from '../codegen/monoids'
import { shareOf } from '../codegen/threads'
import type { Share } from '../codegen/threads'
import type {
  FunctionBuilder,
  FunctionRef,
  I32Operand,
  Local,
  ModuleBuilder,
  WasmFeatures,
} from '../emit/index'
import type { Vec } from '../math/index'
import { VectorGraph } from '../math/index'
import { assignAndStore, evaluate, readGroup, variable } from './lane-values'

/** What is carried along an axis, in vectors of its own choosing. */
interface Carry {
  readonly width: number
  initial(graph: VectorGraph): readonly Vec[]
  next(graph: VectorGraph, state: readonly Vec[], item: VectorValue): readonly Vec[]
  result(graph: VectorGraph, state: readonly Vec[]): VectorValue
}

function carryOf({ monoid, length, source }: CumulativeNode, features: WasmFeatures): Carry {
  const { dtype } = source
  if (monoid === 'logsumexp') return logSumExpCarry(dtype, features)
  const reduction = { monoid, value: variable(dtype, 0) }
  const plain = vectorMonoid(reduction, length, features)
  return {
    width: plain.stateWidth,
    initial: (graph) => plain.initial(graph),
    next: (graph, state, item) => plain.add(graph, state, plain.item(graph, [item], 4)),
    result: (graph, state) => plain.result(graph, state),
  }
}

/**
 * The largest value so far, `m`, and `s = Σ exp(xᵢ − m)`, so that the result is `m + log s`. An
 * infinite `m` is replaced by 0 in the exponents: ∞ − ∞ has no value, but exp(∞) and exp(−∞) do.
 */
function logSumExpCarry(dtype: DType, features: WasmFeatures): Carry {
  const [m, s, x] = [0, 1, 2].map((slot): Scalar => variable(dtype, slot))
  if (!m || !s || !x) throw new Error('three variables')
  const of = (op: 'add' | 'sub' | 'mul', a: Scalar, b: Scalar): Scalar => binary(op, dtype, a, b)
  const exp = (a: Scalar): Scalar => unary('exp', dtype, a)
  const finite = (a: Scalar): Scalar => select(unary('isFinite', 'bool', a), a, constant(dtype, 0))
  const largest = binary('max', dtype, m, x)
  const scale = exp(of('sub', finite(m), finite(largest)))
  // Nothing so far stays nothing, whatever its scale.
  const isEmpty = binary('eq', 'bool', s, constant(dtype, 0))
  const scaled = select(isEmpty, s, of('mul', s, scale))
  const sum = of('add', scaled, exp(of('sub', x, finite(largest))))
  const half = dtype === 'float64' ? 2 : 1
  const parts = (state: readonly Vec[]): VectorValue[] => [state.slice(0, half), state.slice(half)]
  return {
    width: 2 * half,
    initial: (graph) =>
      [-Infinity, 0].flatMap((value) => evaluate(graph, features, constant(dtype, value), [])),
    next: (graph, state, item) =>
      [largest, sum].flatMap((formula) =>
        evaluate(graph, features, formula, [...parts(state), item]),
      ),
    result: (graph, state) =>
      evaluate(graph, features, of('add', finite(m), unary('log', dtype, s)), parts(state)),
  }
}

/**
 * Cumulative sums and their like: columns of the inner axes go in vectors, up to a cache line at a
 * time, and each walks down its axis.
 */
export function emitCumulative(
  module: ModuleBuilder,
  node: CumulativeNode,
  env: CodegenEnvironment,
): FunctionBuilder {
  const { outer, length, inner } = node
  const bytes = bytesOf(node.source.dtype)
  const name = env.functionName('cumulative')
  const groups = inner >= 16 ? 4 : 1
  const wide = 4 * groups
  const rest = inner % 4
  const widths = [
    { from: 0, to: inner - (inner % wide), groups, lanes: 4 as LaneCount },
    { from: inner - (inner % wide), to: inner - rest, groups: 1, lanes: 4 as LaneCount },
    { from: inner - rest, to: inner, groups: 1, lanes: (rest || 4) as LaneCount },
  ].filter(({ from, to }) => from < to)
  const columns = new Map<string, FunctionRef>()
  const columnsOf = (count: number, lanes: LaneCount): FunctionRef => {
    const key = `${count} ${lanes}`
    const known = columns.get(key)
    if (known) return known
    const made = emitColumns(module, node, env, `${name}.columns`, count, lanes)
    columns.set(key, made)
    return made
  }
  return module.function({ name, params: ['i32', 'i32'], results: [] }, (f) => {
    if (outer * length * inner === 0) return
    const [source, target] = [f.param(0, 'i32'), f.param(1, 'i32')]
    const row = f.local('i32')
    const column = f.local('i32')
    const last = node.reverse ? (length - 1) * inner * bytes : 0
    // Threads share the rows, or where there is one only its columns by whole stretches of `wide`.
    const ownRows = outer > 1 ? shareOf(env, f, outer) : { from: 0, to: 1 }
    const ownColumns = outer > 1 ? null : shareOf(env, f, inner, wide)
    f.forRange({ index: row, ...ownRows }, () => {
      for (const { from, to, groups: count, lanes } of widths) {
        const own = ownColumns === null ? { from, to } : within(f, { from, to }, ownColumns)
        f.forRange({ index: column, ...own, step: 4 * count }, () => {
          env.threads?.beat(f)
          for (const base of [source, target]) {
            f.get(base)
              .get(row)
              .i32Const(length * inner * bytes)
              .op('i32.mul')
              .op('i32.add')
            f.get(column).i32Const(bytes).op('i32.mul').op('i32.add')
            f.i32Const(last).op('i32.add')
          }
          f.call(columnsOf(count, lanes))
        })
      }
    })
  })
}

/** What two ranges have in common. */
function within(
  f: FunctionBuilder,
  known: { readonly from: number; readonly to: number },
  { from, to }: Share,
): Share {
  if (typeof from === 'number' && typeof to === 'number') {
    return { from: Math.max(from, known.from), to: Math.min(to, known.to) }
  }
  const [first, end] = [f.local('i32'), f.local('i32')]
  const pick = (bound: I32Operand, limit: number, less: 'i32.lt_s' | 'i32.gt_s'): FunctionBuilder =>
    f.push(bound).i32Const(limit).push(bound).i32Const(limit).op(less).select()
  pick(from, known.from, 'i32.gt_s').set(first)
  pick(to, known.to, 'i32.lt_s').set(end)
  return { from: first, to: end }
}

/** `(source, target)`: some neighbouring columns from one end of the axis to the other. */
function emitColumns(
  module: ModuleBuilder,
  node: CumulativeNode,
  { features }: CodegenEnvironment,
  name: string,
  count: number,
  lanes: LaneCount,
): FunctionRef {
  const { dtype } = node.source
  const bytes = bytesOf(dtype)
  const step = node.inner * bytes * (node.reverse ? -1 : 1)
  const carry = carryOf(node, features)
  const stateTypes = Array.from({ length: count * carry.width }, () => 'v128' as const)
  // The carry travels through memory-free calls, so that long columns reach the optimised tier.
  const part = module.function(
    { name: `${name}.part`, params: ['i32', 'i32', 'i32', ...stateTypes], results: stateTypes },
    (f) => {
      const [source, target, left] = [0, 1, 2].map((position) => f.param(position, 'i32'))
      const states = stateTypes.map((_, position) => f.param(3 + position, 'v128'))
      f.loop((again) => {
        for (let group = 0; group < count; group++) {
          const state = states.slice(group * carry.width, (group + 1) * carry.width)
          const delta = 4 * group * bytes
          const graph = new VectorGraph()
          const item = readGroup(graph, { dtype, pointer: source, delta, lanes })
          const next = carry.next(
            graph,
            state.map((local) => graph.local(local)),
            item,
          )
          assignAndStore(f, graph, [{ to: state, value: next }], {
            group: { dtype, pointer: target, delta, lanes },
            value: carry.result(graph, next),
          })
        }
        f.add(source, step).add(target, step)
        f.get(left).i32Const(1).op('i32.sub').tee(left).brIf(again)
      })
      for (const state of states) f.get(state)
    },
  )
  return module.function({ name, params: ['i32', 'i32'], results: [] }, (f) => {
    const [source, target] = [f.param(0, 'i32'), f.param(1, 'i32')]
    const states: Local<'v128'>[] = stateTypes.map(() => f.local('v128'))
    for (let group = 0; group < count; group++) {
      const graph = new VectorGraph()
      const to = states.slice(group * carry.width, (group + 1) * carry.width)
      assignAndStore(f, graph, [{ to, value: carry.initial(graph) }], null)
    }
    const left = f.local('i32')
    const now = f.local('i32')
    f.i32Const(node.length).set(left)
    f.loop((again) => {
      f.get(left).i32Const(ELEMENTS_PER_CALL)
      f.get(left).i32Const(ELEMENTS_PER_CALL).op('i32.lt_s').select().set(now)
      f.get(source).get(target).get(now)
      for (const state of states) f.get(state)
      f.call(part)
      for (const state of [...states].reverse()) f.set(state)
      for (const pointer of [source, target]) {
        f.get(now).i32Const(step).op('i32.mul').get(pointer).op('i32.add').set(pointer)
      }
      f.get(left).get(now).op('i32.sub').tee(left).brIf(again)
    })
  })
}
