/**
 * Runs programs of loops in plain JavaScript, element by element, exactly as the nodes say.
 *
 * It is the oracle for lowering, fusion and planning: it knows nothing of any of them. Memory is
 * whatever `Memory` says, so a planned program runs in one arena with its buffers really shared.
 */
import { bytesOf, type DType } from '../types/dtype'
import {
  bfloat16ToBits,
  bitsToBfloat16,
  bitsToFloat16,
  float16ToBits,
} from '../types/float-formats'
import { sizeOf } from '../types/aval'
import { programsOf } from './dependence'
import type { Affine, Buffer, Scalar } from './expr'
import { identityElement } from './identity'
import type {
  ContractNode,
  CumulativeNode,
  JointPart,
  LoopNode,
  Program,
  ReduceNode,
  RowsNode,
  ScatterNode,
  SelectAndScatterNode,
  Store,
} from './nodes'
import { byteSize, type Plan } from './plan'
import {
  applyBinary,
  applyUnary,
  combine,
  converted,
  held,
  reinterpreted,
} from './scalar-semantics'
import { innerOf } from './spaces'
import { rowMajor } from './views'

/** Elements of a buffer as numbers. */
export interface Cells {
  readonly size: number
  get(i: number): number
  set(i: number, value: number): void
}

type Typed =
  | Float64Array
  | Float32Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array

function typedArray(dtype: DType, memory: ArrayBuffer, offset: number, size: number): Typed {
  switch (dtype) {
    case 'float64':
      return new Float64Array(memory, offset, size)
    case 'float32':
      return new Float32Array(memory, offset, size)
    case 'int32':
      return new Int32Array(memory, offset, size)
    case 'uint32':
      return new Uint32Array(memory, offset, size)
    case 'int16':
      return new Int16Array(memory, offset, size)
    case 'uint16':
    case 'float16':
    case 'bfloat16':
      return new Uint16Array(memory, offset, size)
    case 'int8':
      return new Int8Array(memory, offset, size)
    case 'bool':
    case 'uint8':
    case 'float0':
      return new Uint8Array(memory, offset, size)
  }
}

/** A view of memory; reading or writing outside it is an error, never silence. */
export function cellsAt(dtype: DType, memory: ArrayBuffer, offset: number, size: number): Cells {
  const data = typedArray(dtype, memory, offset, size)
  const check = (i: number): number => {
    if (!(i >= 0 && i < size)) throw new RangeError(`element ${i} of a buffer of ${size}`)
    return i
  }
  if (dtype === 'float16' || dtype === 'bfloat16') {
    const [toBits, fromBits] =
      dtype === 'float16' ? [float16ToBits, bitsToFloat16] : [bfloat16ToBits, bitsToBfloat16]
    return {
      size,
      get: (i) => fromBits(data[check(i)]),
      set: (i, value) => (data[check(i)] = toBits(value)),
    }
  }
  return { size, get: (i) => data[check(i)], set: (i, value) => (data[check(i)] = value) }
}

export const allocateCells = (dtype: DType, size: number): Cells =>
  cellsAt(dtype, new ArrayBuffer(size * bytesOf(dtype)), 0, size)

export interface Memory {
  cells(buffer: Buffer): Cells
  /** Memory for a program inside a node, whose inputs and outputs lie where the caller says. */
  inner(node: LoopNode, program: number, places: ReadonlyMap<Buffer, Cells>): Memory
  /** Where a loop's body writes the next value of a carry. */
  nextCarry(node: LoopNode, carry: number, current: Cells, dtype: DType): Cells
}

/** Every buffer apart. */
export function separateMemory(places: ReadonlyMap<Buffer, Cells>): Memory {
  const own = new Map<Buffer, Cells>(places)
  return {
    cells(buffer) {
      let cells = own.get(buffer)
      if (cells === undefined) own.set(buffer, (cells = allocateCells(buffer.dtype, buffer.size)))
      return cells
    },
    inner: (_node, _program, inside) => separateMemory(inside),
    nextCarry: (_node, _carry, current, dtype) => allocateCells(dtype, current.size),
  }
}

/** Buffers where the plan puts them, in one arena that starts at `base`. */
export function plannedMemory(
  plan: Plan,
  arena: ArrayBuffer,
  base: number,
  places: ReadonlyMap<Buffer, Cells>,
): Memory {
  const innerOf = (node: LoopNode) => {
    const inner = plan.inner.get(node)
    if (inner === undefined) throw new Error('a loop without a plan')
    return inner
  }
  return {
    cells(buffer) {
      const placement = plan.placements.get(buffer)
      if (placement?.kind === 'arena') {
        if (placement.offset + byteSize(buffer) > plan.arenaBytes)
          throw new RangeError('outside the arena')
        return cellsAt(buffer.dtype, arena, base + placement.offset, buffer.size)
      }
      const cells = places.get(buffer)
      if (cells === undefined) throw new Error(`buffer ${buffer.id} has no place`)
      return cells
    },
    inner(node, program, inside) {
      const { arena: offset, programs } = innerOf(node)
      return plannedMemory(programs[program], arena, base + offset, inside)
    },
    nextCarry(node, carry, current, dtype) {
      const { inPlace, scratch } = innerOf(node).carries[carry]
      return inPlace || scratch === null
        ? current
        : cellsAt(dtype, arena, base + scratch, current.size)
    },
  }
}

export function interpret(program: Program, memory: Memory): void {
  for (const node of program.nodes) runNode(node, memory)
}

// --- scalars ---------------------------------------------------------------------------------------

type Index = readonly number[]

const at = (affine: Affine, index: Index): number => {
  let result = affine.offset
  for (let axis = 0; axis < index.length; axis++) result += affine.strides[axis] * index[axis]
  return result
}

/** The value of an expression at an index; shared parts are computed once per index. */
function evaluate(
  root: Scalar,
  index: Index,
  accumulators: readonly number[],
  memory: Memory,
): number {
  const done = new Map<Scalar, number>()
  const visit = (e: Scalar): number => {
    const known = done.get(e)
    if (known !== undefined) return known
    const value = compute(e)
    done.set(e, value)
    return value
  }
  const compute = (e: Scalar): number => {
    switch (e.kind) {
      case 'const':
        return held(e.dtype, Number(e.value))
      case 'index':
        return at(e.at, index)
      case 'accumulator':
        return accumulators[e.slot]
      case 'load': {
        let address = at(e.at, index)
        for (const { value, stride } of e.offsets) address += visit(value) * stride
        return memory.cells(e.source).get(address)
      }
      case 'unary':
        return applyUnary(e.op, e.x.dtype, e.dtype, visit(e.x))
      case 'binary':
        return applyBinary(e.op, e.x.dtype, e.dtype, visit(e.x), visit(e.y))
      case 'select':
        return visit(e.condition) !== 0 ? visit(e.onTrue) : visit(e.onFalse)
      case 'convert':
        return converted(e.x.dtype, e.dtype, visit(e.x))
      case 'bitcast':
        return reinterpreted(e.x.dtype, e.dtype, visit(e.x))
    }
  }
  return visit(root)
}

function* indices(shape: readonly number[]): Generator<number[]> {
  if (sizeOf(shape) === 0) return
  const index = shape.map(() => 0)
  for (;;) {
    yield index
    let axis = shape.length - 1
    while (axis >= 0 && ++index[axis] === shape[axis]) index[axis--] = 0
    if (axis < 0) return
  }
}

/** All values of an iteration are computed before any of them is written. */
function write(
  stores: readonly Store[],
  index: Index,
  accumulators: readonly number[],
  memory: Memory,
): void {
  const writes = stores.map((s) => {
    let address = at(s.at, index)
    for (const { value, stride } of s.offsets)
      address += evaluate(value, index, accumulators, memory) * stride
    return {
      cells: memory.cells(s.target),
      address,
      value: evaluate(s.value, index, accumulators, memory),
    }
  })
  for (const { cells, address, value } of writes) cells.set(address, value)
}

// --- nodes -----------------------------------------------------------------------------------------

/** Runs a part of a joint node, pausing after every element. */
function* elementsOf(part: JointPart, memory: Memory): Generator<void> {
  switch (part.kind) {
    case 'map':
      for (const index of indices(part.shape)) yield write(part.stores, index, [], memory)
      return
    case 'reduce':
      for (const outer of indices(part.shape)) yield reduceAt(part, outer, memory)
      return
    case 'rows':
      for (const row of indices(part.shape)) yield rowAt(part, row, memory)
      return
    case 'copy': {
      const source = memory.cells(part.source)
      const target = memory.cells(part.target)
      for (let i = 0; i < target.size; i++) yield target.set(i, source.get(i))
      return
    }
    case 'contract':
      for (const index of indices([...part.batch, ...part.m, ...part.n]))
        yield contractAt(part, index, memory)
  }
}

/** All steps at one row. */
function rowAt(node: RowsNode, row: Index, memory: Memory): void {
  const inRow = withLocals(memory, node.locals)
  for (const step of node.steps) {
    if (step.kind === 'reduce') reduceAt(step, row, inRow)
    else
      for (const inner of indices(innerOf(step, node.shape)))
        write(step.stores, [...row, ...inner], [], inRow)
  }
}

/** One element of a product. */
function contractAt(node: ContractNode, index: Index, memory: Memory): void {
  const [b, m] = [node.batch.length, node.batch.length + node.m.length]
  let sum = 0
  for (const k of indices(node.k)) {
    const left = evaluate(node.lhs.value, [...index.slice(0, m), ...k], [], memory)
    const right = evaluate(
      node.rhs.value,
      [...index.slice(0, b), ...index.slice(m), ...k],
      [],
      memory,
    )
    const product = node.dtype === 'int32' ? Math.imul(left, right) : left * right
    sum = held(node.dtype, sum + product)
  }
  write(node.stores, index, [sum], memory)
}

function runNode(node: LoopNode, memory: Memory): void {
  switch (node.kind) {
    case 'map':
      for (const index of indices(node.shape)) write(node.stores, index, [], memory)
      return
    case 'reduce':
      for (const outer of indices(node.shape)) reduceAt(node, outer, memory)
      return
    case 'rows':
      for (const row of indices(node.shape)) rowAt(node, row, memory)
      return
    case 'joint': {
      // Parts take turns, as threads would.
      const running = [...node.parts].reverse().map((part) => elementsOf(part, memory))
      for (let left = running; left.length > 0;) left = left.filter((each) => !each.next().done)
      return
    }
    case 'contract':
      for (const index of indices([...node.batch, ...node.m, ...node.n]))
        contractAt(node, index, memory)
      return
    case 'copy': {
      const source = memory.cells(node.source)
      const target = memory.cells(node.target)
      for (let i = 0; i < target.size; i++) target.set(i, source.get(i))
      return
    }
    case 'cumulative':
      return runCumulative(node, memory)
    case 'sort': {
      const sources = node.sources.map((b) => memory.cells(b))
      const targets = node.targets.map((b) => memory.cells(b))
      for (let row = 0; row < node.rows; row++) {
        const base = row * node.length
        const order = Array.from({ length: node.length }, (_, i) => i)
        order.sort((i, j) => {
          for (let key = 0; key < node.numKeys; key++) {
            const difference = compare(sources[key].get(base + i), sources[key].get(base + j))
            if (difference !== 0) return difference
          }
          return i - j
        })
        const rows = sources.map((s) => order.map((i) => s.get(base + i)))
        rows.forEach((values, t) => values.forEach((v, i) => targets[t].set(base + i, v)))
      }
      return
    }
    case 'scatter':
      return runScatter(node, memory)
    case 'selectAndScatter':
      return runSelectAndScatter(node, memory)
    case 'cholesky': {
      const source = memory.cells(node.source)
      const target = memory.cells(node.target)
      const { n } = node
      for (let b = 0; b < node.batch; b++) {
        const base = b * n * n
        for (let i = 0; i < n; i++) {
          for (let j = 0; j < n; j++) {
            if (j > i) {
              target.set(base + i * n + j, 0)
              continue
            }
            let sum = source.get(base + i * n + j)
            for (let k = 0; k < j; k++)
              sum -= target.get(base + i * n + k) * target.get(base + j * n + k)
            target.set(
              base + i * n + j,
              i === j ? Math.sqrt(sum) : sum / target.get(base + j * n + j),
            )
          }
        }
      }
      return
    }
    case 'triangularSolve': {
      const a = memory.cells(node.a)
      const b = memory.cells(node.b)
      const target = memory.cells(node.target)
      const { n, columns } = node
      for (let batch = 0; batch < node.batch; batch++) {
        const matrix = (i: number, j: number): number =>
          a.get(batch * n * n + (node.transpose ? j * n + i : i * n + j))
        const forward = node.lower !== node.transpose
        for (let c = 0; c < columns; c++) {
          const place = (i: number): number => (batch * n + i) * columns + c
          for (let step = 0; step < n; step++) {
            const i = forward ? step : n - 1 - step
            let sum = b.get(place(i))
            for (let done = 0; done < step; done++) {
              const j = forward ? done : n - 1 - done
              sum -= matrix(i, j) * target.get(place(j))
            }
            target.set(place(i), node.unitDiagonal ? sum : sum / matrix(i, i))
          }
        }
      }
      return
    }
    case 'scan':
    case 'while':
    case 'branch':
      return runPrograms(node, memory)
  }
}

function reduceAt(node: ReduceNode, outer: Index, memory: Memory): void {
  const results = node.reductions.map(({ monoid, value }) => {
    const reader = (index: Index): number => evaluate(value, index, [], memory)
    if (monoid === 'argmax' || monoid === 'argmin')
      return extremum(monoid, outer, node.reduced, reader)
    let result = Number(identityElement(monoid, value.dtype))
    for (const inner of indices(node.reduced)) {
      result = combine(monoid, value.dtype, result, reader([...outer, ...inner]))
    }
    return result
  })
  write(node.stores, outer, results, memory)
}

/** Memory with fresh buffers for one row, full of what no row should see. */
function withLocals(memory: Memory, locals: readonly Buffer[]): Memory {
  const own = new Map(
    locals.map((buffer) => {
      const cells = allocateCells(buffer.dtype, buffer.size)
      for (let i = 0; i < buffer.size; i++) cells.set(i, 113)
      return [buffer, cells]
    }),
  )
  return { ...memory, cells: (buffer) => own.get(buffer) ?? memory.cells(buffer) }
}

const compare = (x: number, y: number): number => {
  if (Number.isNaN(x) || Number.isNaN(y)) return Number(Number.isNaN(x)) - Number(Number.isNaN(y))
  return x < y ? -1 : x > y ? 1 : 0
}

function extremum(
  monoid: 'argmax' | 'argmin',
  outer: Index,
  reduced: readonly number[],
  reader: (index: Index) => number,
): number {
  let best = NaN
  let position = -1
  let i = 0
  for (const inner of indices(reduced)) {
    const value = reader([...outer, ...inner])
    const better =
      position < 0 ||
      (!Number.isNaN(best) &&
        (Number.isNaN(value) || (monoid === 'argmax' ? value > best : value < best)))
    if (better) [best, position] = [value, i]
    i++
  }
  return position
}

function runCumulative(node: CumulativeNode, memory: Memory): void {
  const source = memory.cells(node.source)
  const target = memory.cells(node.target)
  const { dtype } = node.source
  const step = (x: number, y: number): number => {
    if (node.monoid !== 'logsumexp') return combine(node.monoid, dtype, x, y)
    const largest = Math.max(x, y)
    if (!Number.isFinite(largest)) return largest
    return held(dtype, largest + Math.log1p(Math.exp(Math.min(x, y) - largest)))
  }
  for (let outer = 0; outer < node.outer; outer++) {
    for (let inner = 0; inner < node.inner; inner++) {
      let result = 0
      for (let k = 0; k < node.length; k++) {
        const along = node.reverse ? node.length - 1 - k : k
        const place = (outer * node.length + along) * node.inner + inner
        result = k === 0 ? source.get(place) : step(result, source.get(place))
        target.set(place, result)
      }
    }
  }
}

function runScatter(node: ScatterNode, memory: Memory): void {
  const target = memory.cells(node.target)
  const { dtype } = node.target
  for (const index of indices(node.shape)) {
    if (node.inBounds !== null && evaluate(node.inBounds, index, [], memory) === 0) continue
    const place = evaluate(node.position, index, [], memory)
    const update = evaluate(node.update, index, [], memory)
    const old = target.get(place)
    switch (node.combine) {
      case 'set':
        target.set(place, update)
        break
      case 'add':
        target.set(place, combine('sum', dtype, old, update))
        break
      case 'mul':
        target.set(place, combine('prod', dtype, old, update))
        break
      default:
        target.set(place, combine(node.combine, dtype, old, update))
    }
  }
}

function runSelectAndScatter(node: SelectAndScatterNode, memory: Memory): void {
  const operand = memory.cells(node.operand)
  const source = memory.cells(node.source)
  const target = memory.cells(node.target)
  const operandAt = rowMajor(node.operandShape)
  const sourceAt = rowMajor(node.sourceShape)
  for (const index of indices(node.sourceShape)) {
    let best = NaN
    let place = -1
    for (const inner of indices(node.geometry.window)) {
      const candidate = at(
        operandAt,
        inner.map((w, axis) => w + index[axis] * node.geometry.strides[axis]),
      )
      const value = operand.get(candidate)
      const stands = place >= 0 && (node.which === 'max' ? best >= value : best <= value)
      if (!stands) [best, place] = [value, candidate]
    }
    if (place >= 0) {
      const sum = target.get(place) + source.get(at(sourceAt, index))
      target.set(place, held(node.target.dtype, sum))
    }
  }
}

function copyCells(from: Cells, to: Cells): void {
  const values = Array.from({ length: to.size }, (_, i) => from.get(i))
  values.forEach((value, i) => to.set(i, value))
}

/** Element range `[start, start + size)` as cells of their own. */
const part = (cells: Cells, start: number, size: number): Cells => ({
  size,
  get: (i) => cells.get(start + i),
  set: (i, value) => cells.set(start + i, value),
})

function runPrograms(node: LoopNode, memory: Memory): void {
  const run = (which: number, inputs: readonly Cells[], outputs: readonly Cells[]): void => {
    const program = programsOf(node)[which]
    const places = new Map<Buffer, Cells>()
    program.inputs.forEach((b, i) => places.set(b, inputs[i]))
    program.outputs.forEach((b, i) => places.set(b, outputs[i]))
    interpret(program, memory.inner(node, which, places))
  }
  const cellsOf = (buffers: readonly Buffer[]): readonly Cells[] =>
    buffers.map((b) => memory.cells(b))
  if (node.kind === 'branch') {
    run(memory.cells(node.index).get(0), cellsOf(node.operands), cellsOf(node.targets))
    return
  }
  if (node.kind !== 'scan' && node.kind !== 'while') return
  const carries = cellsOf(node.final)
  cellsOf(node.initial).forEach((cells, i) => copyCells(cells, carries[i]))
  const next = carries.map((cells, i) => memory.nextCarry(node, i, cells, node.final[i].dtype))
  const advance = (): void =>
    next.forEach((cells, i) => (cells === carries[i] ? undefined : copyCells(cells, carries[i])))
  if (node.kind === 'scan') {
    const constants = cellsOf(node.constants)
    const slices = (buffers: readonly Buffer[], i: number): readonly Cells[] =>
      cellsOf(buffers).map((cells) =>
        part(cells, (i * cells.size) / node.length, cells.size / node.length),
      )
    for (let k = 0; k < node.length; k++) {
      const i = node.reverse ? node.length - 1 - k : k
      run(0, [...constants, ...carries, ...slices(node.xs, i)], [...next, ...slices(node.ys, i)])
      advance()
    }
    return
  }
  const flag = allocateCells('bool', 1)
  const conditionConstants = cellsOf(node.conditionConstants)
  const bodyConstants = cellsOf(node.bodyConstants)
  for (;;) {
    run(0, [...conditionConstants, ...carries], [flag])
    if (flag.get(0) === 0) return
    run(1, [...bodyConstants, ...carries], next)
    advance()
  }
}
