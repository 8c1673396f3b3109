/**
 * Cumulative operations. One invocation walks down a line where lines are many or short. Otherwise
 * lines are cut into parts of about √length: the parts are reduced, one invocation per line goes
 * through their results, and the parts are walked again from where they begin. The order of
 * operations depends on shapes alone.
 */
import {
  accumulator,
  binary,
  type BinaryOp,
  type Buffer,
  constant,
  type Scalar,
  select,
  unary,
} from '../../../compiler/expr'
import { identityElement } from '../../../compiler/identity'
import type { CumulativeNode } from '../../../compiler/nodes'
import type { DType } from '../../../types/dtype'
import { elementwiseSize, perElement } from '../elements'
import { type Dispatch, KernelSource, type KernelSpace } from '../kernel'
import { registerType } from '../words'
import { ScalarCode } from '../wgsl/scalar'

/** What is carried along a line, as expressions over accumulators. */
interface Carry {
  readonly width: number
  readonly empty: readonly Scalar[]
  /** The state of one element, over accumulator 0. */
  readonly item: readonly Scalar[]
  /** The state of two stretches, over the first one's registers, then the second one's. */
  readonly combine: readonly Scalar[]
  /** The value at the end of a stretch, over its registers. */
  readonly result: Scalar
}

const operations: { readonly [M in Exclude<CumulativeNode['monoid'], 'logsumexp'>]: BinaryOp } = {
  sum: 'add',
  prod: 'mul',
  max: 'max',
  min: 'min',
}

function carryOf({ monoid, source: { dtype } }: CumulativeNode): Carry {
  if (monoid === 'logsumexp') return logSumExpCarry(dtype)
  const [x, y] = [accumulator(dtype, 0), accumulator(dtype, 1)]
  return {
    width: 1,
    empty: [constant(dtype, identityElement(monoid, dtype))],
    item: [x],
    combine: [binary(operations[monoid], dtype, x, y)],
    result: x,
  }
}

/**
 * The largest value so far, `m`, and `s = Σ exp(xᵢ − m)`, so that the result is `m + log s`. An
 * infinite `m` is replaced by 0 in the exponents: ∞ − ∞ has no value, but exp(∞) and exp(−∞) do.
 */
function logSumExpCarry(dtype: DType): Carry {
  const slot = (n: number): Scalar => accumulator(dtype, n)
  const of = (op: BinaryOp, a: Scalar, b: Scalar): Scalar => binary(op, dtype, a, b)
  const zero = constant(dtype, 0)
  const exp = (a: Scalar): Scalar => unary('exp', dtype, a)
  const finite = (a: Scalar): Scalar => select(unary('isFinite', 'bool', a), a, zero)
  const [m, s, n, t] = [0, 1, 2, 3].map(slot)
  const largest = of('max', m, n)
  const rescaled = (sum: Scalar, from: Scalar): Scalar =>
    // Nothing so far stays nothing, whatever its scale.
    select(
      binary('eq', 'bool', sum, zero),
      sum,
      of('mul', sum, exp(of('sub', finite(from), finite(largest)))),
    )
  return {
    width: 2,
    empty: [constant(dtype, -Infinity), zero],
    item: [m, exp(of('sub', m, finite(m)))],
    combine: [largest, of('add', rescaled(s, m), rescaled(t, n))],
    result: of('add', finite(m), unary('log', dtype, s)),
  }
}

/** Lines for which a device has enough to do without cutting them. */
const ENOUGH_LINES = 4096
/** Lines that are not worth cutting. */
const SHORT_LINE = 128

export function cumulativeKernel(node: CumulativeNode, space: KernelSpace): readonly Dispatch[] {
  const { outer, inner, length } = node
  const lines = outer * inner
  if (lines * length === 0) return []
  const carry = carryOf(node)
  if (lines >= ENOUGH_LINES || length <= SHORT_LINE) {
    return [walk(node, space, carry, { parts: 1, partLength: length })]
  }
  const partLength = Math.max(32, Math.ceil(Math.sqrt(length)))
  const parts = Math.ceil(length / partLength)
  const { dtype } = node.source
  const totals = Array.from({ length: carry.width }, () => space.scratch(dtype, parts * lines))
  const cut = { parts, partLength }
  return [
    reduceParts(node, space, carry, cut, totals),
    beginnings(node, space, carry, cut, totals),
    walk(node, space, carry, cut, totals),
  ]
}

interface Cut {
  readonly parts: number
  readonly partLength: number
}

const title = (node: CumulativeNode, what: string): string =>
  `cumulative ${node.monoid} along ${node.length}${what}`

/** A kernel with one invocation per line and part. */
function perPart(
  node: CumulativeNode,
  space: KernelSpace,
  { parts, partLength }: Cut,
  what: string,
  body: (source: KernelSource, at: PartIndex) => void,
): Dispatch {
  const { outer, inner, length } = node
  const lines = outer * inner
  const source = new KernelSource(space, title(node, what))
  const size = elementwiseSize(space.facts)
  perElement(source, lines * parts, size, (flat) => {
    const line = parts === 1 ? flat : source.let('line', `${flat} % ${lines}`)
    const part = parts === 1 ? '0' : source.let('part', `${flat} / ${lines}`)
    const start =
      inner === 1
        ? source.let('start', `${line} * ${length}`)
        : source.let('start', `(${line} / ${inner}) * ${length * inner} + ${line} % ${inner}`)
    const end = parts === 1 ? String(length) : `min(${length}, (${part} + 1) * ${partLength})`
    const first = parts === 1 ? '0' : `${part} * ${partLength}`
    const each = (run: (address: string) => void): void => {
      const k = source.name('k')
      const limit = source.let('end', end)
      source.block(`for (var ${k} = ${first}; ${k} < ${limit}; ${k}++)`, () => {
        const along = node.reverse ? `(${length - 1} - ${k})` : k
        run(source.let('at', `${start} + ${along} * ${inner}`))
      })
    }
    body(source, { total: `${part} * ${lines} + ${line}`, each })
  })
  return source.finish({ workgroupSize: size, groups: Math.ceil((lines * parts) / size) })
}

interface PartIndex {
  /** Where the part's total stands. */
  readonly total: string
  /** Runs code for the address of each element of the part, in order. */
  each(run: (address: string) => void): void
}

function variables(
  source: KernelSource,
  { dtype }: Buffer,
  values: readonly string[],
): readonly string[] {
  return values.map((value) => {
    const name = source.name('state')
    source.line(`var ${name}: ${registerType(dtype)} = ${value};`)
    return name
  })
}

const written = (
  source: KernelSource,
  expressions: readonly Scalar[],
  registers: readonly string[],
): readonly string[] => {
  const code = new ScalarCode(source, [], registers)
  return expressions.map((e) => code.value(e))
}

const advance = (
  source: KernelSource,
  carry: Carry,
  state: readonly string[],
  item: readonly string[],
): void =>
  written(source, carry.combine, [...state, ...item]).forEach((value, i) =>
    source.line(`${state[i]} = ${value};`),
  )

function reduceParts(
  node: CumulativeNode,
  space: KernelSpace,
  carry: Carry,
  cut: Cut,
  totals: readonly Buffer[],
): Dispatch {
  return perPart(node, space, cut, ': totals of parts', (source, { total, each }) => {
    const state = variables(source, node.source, written(source, carry.empty, []))
    each((address) => {
      const x = source.let('x', source.load(node.source, address))
      advance(source, carry, state, written(source, carry.item, [x]))
    })
    totals.forEach((buffer, i) => source.store(buffer, total, state[i]))
  })
}

/** Turns the totals of parts into what stands before each. */
function beginnings(
  node: CumulativeNode,
  space: KernelSpace,
  carry: Carry,
  { parts }: Cut,
  totals: readonly Buffer[],
): Dispatch {
  const lines = node.outer * node.inner
  const source = new KernelSource(space, title(node, ': before parts'))
  const size = elementwiseSize(space.facts)
  perElement(source, lines, size, (line) => {
    const state = variables(source, node.source, written(source, carry.empty, []))
    const part = source.name('part')
    source.block(`for (var ${part} = 0; ${part} < ${parts}; ${part}++)`, () => {
      const at = source.let('at', `${part} * ${lines} + ${line}`)
      const own = totals.map((buffer) => source.let('total', source.load(buffer, at)))
      totals.forEach((buffer, i) => source.store(buffer, at, state[i]))
      advance(source, carry, state, own)
    })
  })
  return source.finish({ workgroupSize: size, groups: Math.ceil(lines / size) })
}

function walk(
  node: CumulativeNode,
  space: KernelSpace,
  carry: Carry,
  cut: Cut,
  totals: readonly Buffer[] = [],
): Dispatch {
  return perPart(node, space, cut, '', (source, { total, each }) => {
    const before =
      totals.length === 0
        ? written(source, carry.empty, [])
        : totals.map((buffer) => source.load(buffer, total))
    const state = variables(source, node.source, before)
    each((address) => {
      const x = source.let('x', source.load(node.source, address))
      advance(source, carry, state, written(source, carry.item, [x]))
      const [result] = written(source, [carry.result], state)
      source.store(node.target, address, result)
    })
  })
}
