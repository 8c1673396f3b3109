/** Random map and reduce nodes with their data, and what they should compute: for tests. */
import fc from 'fast-check'
import { binary, constant, convert, index, load, select, unary } from '../../../compiler/expr'
import type { Affine, BinaryOp, Buffer, Scalar, UnaryOp } from '../../../compiler/expr'
import { allocateCells, interpret, separateMemory } from '../../../compiler/interpret'
import type { Cells } from '../../../compiler/interpret'
import type {
  LoopNode,
  MapNode,
  ReduceNode,
  RowsNode,
  RowStep,
  Store,
} from '../../../compiler/nodes'
import { rowMajor } from '../../../compiler/views'
import { sizeOf } from '../../../types/aval'
import type { DType } from '../../../types/dtype'
import { isFloating } from '../../../types/dtype'
import {
  bfloat16ToBits,
  bitsToBfloat16,
  bitsToFloat16,
  float16ToBits,
} from '../../../types/float-formats'
import { wasmFeatures } from '../emit/index'
import { compileNode, newBuffer } from '../kernels/run-node'
import type { NodeEmitter } from './environment'
import { buffersOf } from './environment'

export const testedDTypes = [
  'bool',
  'int8',
  'uint8',
  'int16',
  'uint16',
  'int32',
  'uint32',
  'float16',
  'bfloat16',
  'float32',
  'float64',
] as const satisfies readonly DType[]

/** A source of random decisions, so that nodes can be built by plain code. */
export class Choices {
  private state: number

  constructor(seed: number) {
    this.state = seed >>> 0
  }

  /** A whole number below the limit (xorshift32, Marsaglia 2003). */
  below(limit: number): number {
    this.state ^= this.state << 13
    this.state ^= this.state >>> 17
    this.state ^= this.state << 5
    return (this.state >>> 0) % limit
  }

  chance(oneIn: number): boolean {
    return this.below(oneIn) === 0
  }

  oneOf<T>(values: readonly T[]): T {
    const value = values[this.below(values.length)]
    if (value === undefined) throw new Error('nothing to choose from')
    return value
  }
}

export const seeds = fc.integer({ min: 1, max: 2 ** 31 - 1 })

const sizes = [1, 2, 3, 4, 5, 7, 8, 13, 16, 33]

export function randomShape(choose: Choices, maxElements = 4000, maxRank = 4): number[] {
  const shape: number[] = []
  const rank = choose.below(maxRank + 1)
  while (shape.length < rank) {
    const size = choose.chance(40) ? 0 : choose.oneOf(sizes)
    if (sizeOf(shape) * size <= maxElements) shape.push(size)
    else shape.push(1)
  }
  return shape
}

/** A map into a buffer of the answered size: permuted, repeated, reversed or spread axes. */
function randomAffine(choose: Choices, shape: readonly number[]): { at: Affine; size: number } {
  const order = shape.map((_, axis) => axis)
  if (choose.chance(3)) order.sort(() => choose.below(3) - 1)
  const strides = shape.map(() => 0)
  let next = choose.chance(6) ? 2 : 1
  let offset = choose.below(3)
  let last = 0
  for (const axis of order.reverse()) {
    const size = shape[axis] ?? 1
    if (choose.chance(5)) continue
    const reversed = choose.chance(8)
    strides[axis] = reversed ? -next : next
    const extent = next * Math.max(0, size - 1)
    if (reversed) offset += extent
    else last += extent
    next *= Math.max(1, size) + (choose.chance(6) ? 1 : 0)
  }
  return { at: { offset, strides }, size: offset + last + 1 + choose.below(2) }
}

const floatUnary: readonly UnaryOp[] = [
  'neg',
  'abs',
  'floor',
  'ceil',
  'trunc',
  'round',
  'roundEven',
  'sign',
  'sqrt',
]
const floatBinary: readonly BinaryOp[] = ['add', 'sub', 'mul', 'div', 'max', 'min']
const integerUnary: readonly UnaryOp[] = ['neg', 'abs', 'sign', 'not', 'popcount', 'clz']
const integerBinary: readonly BinaryOp[] = [
  'add',
  'sub',
  'mul',
  'div',
  'rem',
  'max',
  'min',
  'and',
  'or',
  'xor',
  'shiftLeft',
  'shiftRightLogical',
  'shiftRightArithmetic',
]
const comparisons: readonly BinaryOp[] = ['eq', 'ne', 'lt', 'le', 'gt', 'ge']

/** Builds expressions over an iteration space whose results do not depend on the order of roundings. */
export class ExpressionBuilder {
  private readonly made: Scalar[] = []

  constructor(
    private readonly choose: Choices,
    private readonly shape: readonly number[],
    private readonly dtypes: readonly DType[],
  ) {}

  expression(dtype: DType, depth: number): Scalar {
    const { choose } = this
    const again = this.made.filter((x) => x.dtype === dtype)
    if (again.length > 0 && choose.chance(4)) return choose.oneOf(again)
    const made = depth === 0 ? this.leaf(dtype) : this.operation(dtype, depth)
    this.made.push(made)
    return made
  }

  private leaf(dtype: DType): Scalar {
    const { choose, shape } = this
    if (dtype === 'int32' && choose.chance(5)) return index(randomAffine(choose, shape).at)
    if (choose.chance(8))
      return constant(dtype, dtype === 'bool' ? choose.chance(2) : choose.below(5))
    const { at, size } = randomAffine(choose, shape)
    if (!choose.chance(6)) return load(newBuffer(dtype, size), at)
    // A position that depends on data, within the first few elements.
    const reach = 1 + choose.below(5)
    const stride = 1 + choose.below(3)
    const source = load(newBuffer('int32', sizeOf(shape) + 3), randomPosition(choose, shape))
    const positive = binary('max', 'int32', source, constant('int32', 0))
    const value = binary('min', 'int32', positive, constant('int32', reach))
    return load(newBuffer(dtype, size + reach * stride), at, [{ value, stride }])
  }

  private operation(dtype: DType, depth: number): Scalar {
    const { choose } = this
    const operand = (d: DType = dtype): Scalar => this.expression(d, choose.below(depth))
    switch (choose.below(6)) {
      case 0:
        return convert(dtype, operand(choose.oneOf(this.dtypes)))
      case 1:
        return select(operand('bool'), operand(), operand())
      case 2:
        if (dtype === 'bool') return unary('not', dtype, operand())
        return unary(choose.oneOf(isFloating(dtype) ? floatUnary : integerUnary), dtype, operand())
      default: {
        if (dtype === 'bool') {
          const compared = choose.oneOf(this.dtypes)
          return binary(choose.oneOf(comparisons), 'bool', operand(compared), operand(compared))
        }
        const op = choose.oneOf(isFloating(dtype) ? floatBinary : integerBinary)
        return binary(op, dtype, operand(), operand())
      }
    }
  }
}

/** An in-bounds map into a row-major buffer of the same shape: all of it, or repeated along axes. */
function randomPosition(choose: Choices, shape: readonly number[]): Affine {
  const { strides } = rowMajor(shape)
  const constantAlong = choose.below(3)
  return {
    offset: choose.below(3),
    strides: strides.map((stride, axis) =>
      constantAlong === 1 && axis === shape.length - 1 ? 0 : stride,
    ),
  }
}

/** A store of a whole result: row-major, or with its axes permuted. */
function storeOf(choose: Choices, shape: readonly number[], value: Scalar): Store {
  const axes = shape.map((_, axis) => axis)
  if (choose.chance(3)) axes.reverse()
  const strides = shape.map(() => 0)
  let stride = 1
  for (const axis of axes.reverse()) {
    strides[axis] = stride
    stride *= shape[axis] ?? 1
  }
  const target = newBuffer(value.dtype, sizeOf(shape))
  return { target, at: { offset: 0, strides }, offsets: [], value }
}

export function randomMap(seed: number, dtypes: readonly DType[]): MapNode {
  const choose = new Choices(seed)
  const shape = randomShape(choose)
  const builder = new ExpressionBuilder(choose, shape, dtypes)
  const count = 1 + choose.below(2)
  const stores = Array.from({ length: count }, () =>
    storeOf(choose, shape, builder.expression(choose.oneOf(dtypes), 1 + choose.below(4))),
  )
  return { kind: 'map', shape, stores }
}

/** Integer data, or a monoid without roundings, so that every order of combining gives the same. */
export function randomReduce(seed: number, dtypes: readonly DType[]): ReduceNode {
  const choose = new Choices(seed)
  const shape = randomShape(choose, 200, 3)
  const reduced = randomShape(choose, 300, 2)
  const builder = new ExpressionBuilder(choose, [...shape, ...reduced], dtypes)
  const reductions = Array.from({ length: 1 + choose.below(2) }, () => {
    const value = builder.expression(choose.oneOf(dtypes), choose.below(3))
    return { monoid: randomMonoid(choose, value.dtype, sizeOf(reduced)), value }
  })
  const stores = reductions.map(({ monoid, value }, slot) => {
    const dtype = monoid === 'argmax' || monoid === 'argmin' ? 'int32' : value.dtype
    const result: Scalar = { kind: 'accumulator', dtype, slot }
    const other = new ExpressionBuilder(choose, shape, dtypes).expression(dtype, 1)
    const epilogue = choose.chance(3) ? select(constantTrue(choose, shape), result, other) : result
    return storeOf(choose, shape, epilogue)
  })
  return { kind: 'reduce', shape, reduced, reductions, stores }
}

/** Steps over the same rows, most of which read what an earlier one has written. */
export function randomRows(seed: number, dtypes: readonly DType[]): RowsNode {
  const choose = new Choices(seed)
  const some = (shape: readonly number[]): number[] => shape.map((n) => Math.max(1, n))
  const shape = [2, ...some(randomShape(choose, 12, 2))]
  const inner = some(randomShape(choose, 120, 2))
  const whole = [...shape, ...inner]
  const locals: Buffer[] = []
  // What later steps may read, over all axes and over the rows alone.
  const handedOn: { readonly value: Scalar; readonly inRows: Scalar | null }[] = []
  const keep = (dtype: DType, once: boolean): Store['target'] => {
    const isLocal = choose.chance(2)
    const size = (isLocal ? 1 : sizeOf(shape)) * (once ? 1 : sizeOf(inner))
    const target = newBuffer(dtype, size)
    const rows = isLocal ? shape.map(() => 0) : rowMajor(whole).strides.slice(0, shape.length)
    const perRow = isLocal ? rows : rowMajor(shape).strides
    if (isLocal) locals.push(target)
    const at = { offset: 0, strides: once ? perRow : [...rows, ...rowMajor(inner).strides] }
    const over = once ? { offset: 0, strides: [...perRow, ...inner.map(() => 0)] } : at
    handedOn.push({ value: load(target, over), inRows: once ? load(target, at) : null })
    return target
  }
  const addressOf = (target: Buffer, once: boolean): Affine => {
    const isLocal = locals.includes(target)
    if (once) return isLocal ? { offset: 0, strides: shape.map(() => 0) } : rowMajor(shape)
    if (!isLocal) return rowMajor(whole)
    return { offset: 0, strides: [...shape.map(() => 0), ...rowMajor(inner).strides] }
  }
  const steps = Array.from({ length: 2 + choose.below(4) }, (): RowStep => {
    const builder = new ExpressionBuilder(choose, whole, dtypes)
    const known = handedOn.map((h) => h.value)
    const other = builder.expression(choose.oneOf(dtypes), 1 + choose.below(2))
    const before = known.length > 0 && !choose.chance(4) ? choose.oneOf(known) : null
    const read = before === null ? other : choose.chance(2) ? before : convert(other.dtype, before)
    const value =
      read.dtype === other.dtype && read.dtype !== 'bool' && choose.chance(2)
        ? binary('max', read.dtype, read, other)
        : read
    if (choose.chance(2)) {
      const store = (v: Scalar): Store => {
        const target = keep(v.dtype, false)
        return { target, at: addressOf(target, false), offsets: [], value: v }
      }
      const stores = choose.chance(3) ? [store(value), store(other)] : [store(value)]
      return { kind: 'map', shape: whole, stores }
    }
    const scalars = handedOn.flatMap((h) => (h.inRows === null ? [] : [h.inRows]))
    if (scalars.length > 0 && choose.chance(4)) {
      const made = choose.oneOf(scalars)
      const target = keep(made.dtype, true)
      const store = { target, at: addressOf(target, true), offsets: [], value: made }
      return { kind: 'map', shape, stores: [store] }
    }
    const monoid = randomMonoid(choose, value.dtype, sizeOf(inner))
    const dtype = monoid === 'argmax' || monoid === 'argmin' ? 'int32' : value.dtype
    const target = keep(dtype, true)
    const result: Scalar = { kind: 'accumulator', dtype, slot: 0 }
    const store = { target, at: addressOf(target, true), offsets: [], value: result }
    return {
      kind: 'reduce',
      shape,
      reduced: inner,
      reductions: [{ monoid, value }],
      stores: [store],
    }
  })
  return { kind: 'rows', shape, steps, locals }
}

const constantTrue = (choose: Choices, shape: readonly number[]): Scalar =>
  binary('ge', 'bool', index(randomAffine(choose, shape).at), constant('int32', 3))

function randomMonoid(
  choose: Choices,
  dtype: DType,
  count: number,
): ReduceNode['reductions'][number]['monoid'] {
  const argument = count > 0 ? (['argmax', 'argmin'] as const) : []
  if (dtype === 'bool') return choose.oneOf(['and', 'or', 'max', 'min', ...argument] as const)
  if (isFloating(dtype)) return choose.oneOf(['max', 'min', ...argument] as const)
  return choose.oneOf(['sum', 'prod', 'max', 'min', ...argument] as const)
}

const edgeValues = [0, -0, 1, -1, NaN, Infinity, -Infinity, 0.5, 2.5, 65504, 1e-7, 3e38]

/** Numbers that a dtype can hold, with the awkward ones among them. */
function randomNumber(choose: Choices, dtype: DType): number {
  if (dtype === 'bool') return choose.below(2)
  if (isFloating(dtype) && choose.chance(6)) return choose.oneOf(edgeValues)
  if (isFloating(dtype)) return (choose.below(2001) - 1000) / 16
  return choose.chance(4) ? choose.below(2 ** 32) - 2 ** 31 : choose.below(41) - 20
}

/**
 * Runs a node in WebAssembly and in plain JavaScript; answers the first difference, or null. Every
 * other seed does without relaxed SIMD.
 */
export function differenceOf<Node extends LoopNode>(
  emit: NodeEmitter<Node>,
  node: Node,
  seed: number,
): string | null {
  const choose = new Choices(seed)
  const available = wasmFeatures()
  const features = { ...available, relaxed: available.relaxed && seed % 2 === 0 }
  const compiled = compileNode(emit, node, features)
  const cells = new Map<Buffer, Cells>()
  for (const buffer of buffersOf(node)) {
    const expected = allocateCells(buffer.dtype, buffer.size)
    const actual = compiled.data(buffer)
    for (let i = 0; i < buffer.size; i++) {
      const value = randomNumber(choose, buffer.dtype)
      expected.set(i, value)
      actual[i] = storedForm(buffer.dtype, expected.get(i))
    }
    cells.set(buffer, expected)
  }
  interpret({ inputs: [], outputs: [], nodes: [node], temporaries: [] }, separateMemory(cells))
  compiled.run()
  for (const [buffer, expected] of cells) {
    const actual = compiled.data(buffer)
    for (let i = 0; i < buffer.size; i++) {
      const got = readForm(buffer.dtype, actual[i] ?? NaN)
      if (!same(got, expected.get(i))) {
        return `buffer ${buffer.id} (${buffer.dtype})[${i}]: ${got}, not ${expected.get(i)}`
      }
    }
  }
  return null
}

/** −0 and 0 are the same here: a quotient by them shows which of them was computed. */
const same = (x: number, y: number): boolean => x === y || (Number.isNaN(x) && Number.isNaN(y))

const storedForm = (dtype: DType, x: number): number =>
  dtype === 'float16' ? float16ToBits(x) : dtype === 'bfloat16' ? bfloat16ToBits(x) : x
const readForm = (dtype: DType, x: number): number =>
  dtype === 'float16' ? bitsToFloat16(x) : dtype === 'bfloat16' ? bitsToBfloat16(x) : x
