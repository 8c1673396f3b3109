/**
 * Between memory and vectors: groups of up to four elements of any dtype, contiguous, repeated,
 * strided or at addresses of their own.
 *
 * In a vector an element takes one 32-bit lane (bool as a mask of all ones or zeros, narrow
 * integers extended to 32 bits, 16-bit floats as f32), or one 64-bit lane of two vectors for
 * float64.
 */
import type { DType } from '../../../types/dtype'
import { bytesOf } from '../../../types/dtype'
import { v128 } from '../emit/index'
import type { FunctionBuilder, LoadOp, Local, MemoryLaneOp } from '../emit/index'
import type { Emission, Vec, VectorGraph } from '../math/index'
import { narrowToBits, widenBits } from './short-floats'

/** One vector, or two for float64: elements 0 and 1, then 2 and 3. */
export type VectorValue = readonly Vec[]

export type LaneCount = 1 | 2 | 3 | 4

/** How the elements of a group lie around `pointer + delta`, where element 0 stands. */
export interface GroupAccess {
  readonly pointer: Local<'i32'>
  readonly delta: number
  /** Bytes from one element to the next. */
  readonly step: number
  /** Bytes to be added for each element, as i32 lanes: addresses that depend on data. */
  readonly perLane: Vec | null
  readonly lanes: LaneCount
}

/** Pushes the address and answers the immediate offset that completes it. */
function pushAddress(f: FunctionBuilder, pointer: Local<'i32'>, delta: number): number {
  f.get(pointer)
  if (delta >= 0) return delta
  f.i32Const(delta).op('i32.add')
  return 0
}

const splatLoads: Readonly<Record<number, LoadOp>> = {
  1: 'v128.load8_splat',
  2: 'v128.load16_splat',
  4: 'v128.load32_splat',
  8: 'v128.load64_splat',
}
const contiguousLoads: Readonly<Record<number, LoadOp>> = {
  1: 'v128.load32_zero',
  2: 'v128.load64_zero',
  4: 'v128.load',
  8: 'v128.load',
}
const laneLoads: Readonly<Record<number, MemoryLaneOp>> = {
  1: 'v128.load8_lane',
  2: 'v128.load16_lane',
  4: 'v128.load32_lane',
  8: 'v128.load64_lane',
}
const laneStores: Readonly<Record<number, MemoryLaneOp>> = {
  1: 'v128.store8_lane',
  2: 'v128.store16_lane',
  4: 'v128.store32_lane',
  8: 'v128.store64_lane',
}

const pick = <T>(table: Readonly<Record<number, T>>, bytes: number): T => {
  const found = table[bytes]
  if (found === undefined) throw new RangeError(`no memory access of ${bytes} bytes`)
  return found
}

/** The elements of a group; lanes beyond the group hold anything. */
export function loadGroup(graph: VectorGraph, dtype: DType, access: GroupAccess): VectorValue {
  const bytes = bytesOf(dtype)
  if (bytes === 8) {
    const low = loadRaw(graph, bytes, { ...access, lanes: access.lanes > 1 ? 2 : 1 })
    if (access.lanes < 3) return [low, low]
    if (access.step === 0 && !access.perLane) return [low, low]
    const rest = access.lanes === 4 ? 2 : 1
    return [low, loadRaw(graph, bytes, { ...access, lanes: rest }, 2)]
  }
  return [decode(graph, dtype, loadRaw(graph, bytes, access))]
}

/** Elements as they are in memory, packed into the low end of a vector. */
function loadRaw(graph: VectorGraph, bytes: number, access: GroupAccess, firstLane = 0): Vec {
  const { pointer, step, lanes, perLane } = access
  const delta = access.delta + firstLane * step
  const place = `${pointer.index}${delta < 0 ? '' : '+'}${delta}`
  if (perLane) return gather(graph, bytes, { ...access, delta }, firstLane)
  if (step === 0) {
    return graph.operation(`splat${bytes} ${place}`, [], ({ f }) =>
      f.load(pick(splatLoads, bytes), pushAddress(f, pointer, delta), 0),
    )
  }
  if (step === bytes || lanes === 1) {
    return graph.operation(`load${bytes} ${place}`, [], ({ f }) =>
      f.load(pick(contiguousLoads, bytes), pushAddress(f, pointer, delta), 0),
    )
  }
  if (step === -4 && bytes === 4 && lanes === 4) {
    return graph.operation(`reversed ${place}`, [], ({ f }) => {
      f.load('v128.load', pushAddress(f, pointer, delta - 12), 0)
      const whole = f.scratch('v128')
      f.tee(whole).get(whole).shuffle32(3, 2, 1, 0)
      f.release(whole)
    })
  }
  return graph.operation(`strided${bytes} ${place} ${step} ${lanes}`, [], ({ f }) => {
    const packed = f.scratch('v128')
    for (let lane = 0; lane < lanes; lane++) {
      const offset = pushAddress(f, pointer, delta + lane * step)
      if (lane === 0) f.load(pick(splatLoads, bytes), offset, 0)
      else f.get(packed).memoryLane(pick(laneLoads, bytes), lane, offset, 0)
      f.set(packed)
    }
    f.get(packed)
    f.release(packed)
  })
}

/**
 * Pushes `pointer + perLane[lane] + delta`. Only the whole sum is sure to lie in the buffer, so no
 * part of it may be left to an immediate offset, which does not wrap around.
 */
function pushLaneAddress(
  f: FunctionBuilder,
  pointer: Local<'i32'>,
  perLane: Local<'v128'>,
  lane: number,
  delta: number,
): number {
  f.get(pointer).get(perLane).lane('i32x4.extract_lane', lane).op('i32.add')
  if (delta !== 0) f.i32Const(delta).op('i32.add')
  return 0
}

function gather(graph: VectorGraph, bytes: number, access: GroupAccess, firstLane: number): Vec {
  const { pointer, delta, step, lanes, perLane } = access
  if (!perLane) throw new Error('a gather needs an address for each lane')
  const key = `gather${bytes} ${pointer.index} ${delta} ${step} ${lanes} ${firstLane}`
  return graph.special(key, [perLane], (emission) => {
    const { f } = emission
    const offsets = emission.toLocal(perLane)
    const packed = f.scratch('v128')
    for (let lane = 0; lane < lanes; lane++) {
      const from = firstLane + lane
      const offset = pushLaneAddress(f, pointer, offsets.local, from, delta + lane * step)
      if (lane === 0) f.load(pick(splatLoads, bytes), offset, 0)
      else f.get(packed).memoryLane(pick(laneLoads, bytes), lane, offset, 0)
      f.set(packed)
    }
    f.get(packed)
    f.release(packed)
    offsets.release()
  })
}

/** From the packed memory form to lanes. */
function decode(graph: VectorGraph, dtype: DType, raw: Vec): Vec {
  const extend = (first: 's' | 'u', second: 's' | 'u'): Vec =>
    graph.op(`i32x4.extend_low_i16x8_${second}`, graph.op(`i16x8.extend_low_i8x16_${first}`, raw))
  switch (dtype) {
    case 'bool':
      return graph.op('i32x4.neg', extend('u', 'u'))
    case 'int8':
      return extend('s', 's')
    case 'uint8':
    case 'float0':
      return extend('u', 'u')
    case 'int16':
      return graph.op('i32x4.extend_low_i16x8_s', raw)
    case 'uint16':
      return graph.op('i32x4.extend_low_i16x8_u', raw)
    case 'float16':
    case 'bfloat16':
      return widenBits(graph, dtype, graph.op('i32x4.extend_low_i16x8_u', raw))
    default:
      return raw
  }
}

/** From lanes to the packed memory form. */
function encode(graph: VectorGraph, dtype: DType, value: Vec): Vec {
  const low = (bytes: 1 | 2, x: Vec): Vec =>
    graph.operation(`pack${bytes}`, [x], ({ f }) => {
      const lanes = f.scratch('v128')
      f.tee(lanes)
        .get(lanes)
        .shuffle(bytes === 1 ? lowBytes : lowHalves)
      f.release(lanes)
    })
  switch (dtype) {
    case 'bool':
      return low(1, graph.op('v128.and', value, graph.constant(v128.i32x4(1))))
    case 'int8':
    case 'uint8':
    case 'float0':
      return low(1, value)
    case 'int16':
    case 'uint16':
      return low(2, value)
    case 'float16':
    case 'bfloat16':
      return low(2, narrowToBits(graph, dtype, value))
    default:
      return value
  }
}

const repeatFirst = (bytes: readonly number[]): number[] => [
  ...bytes,
  ...Array.from({ length: 16 - bytes.length }, () => 0),
]
const lowBytes = repeatFirst([0, 4, 8, 12])
const lowHalves = repeatFirst([0, 1, 4, 5, 8, 9, 12, 13])

/** What `storeGroup` writes for a value: computing it is part of the expression. */
export const storedForm = (graph: VectorGraph, dtype: DType, value: VectorValue): VectorValue =>
  dtype === 'float64' ? value : value.map((x) => encode(graph, dtype, x))

/**
 * Writes a stored form, pushing each of its vectors from the emission exactly once. `perLane` must
 * already be in a local.
 */
export function storeGroup(
  emission: Emission,
  dtype: DType,
  form: VectorValue,
  access: Omit<GroupAccess, 'perLane'> & { readonly perLane: Local<'v128'> | null },
): void {
  const bytes = bytesOf(dtype)
  const perVector = bytes === 8 ? 2 : 4
  form.forEach((vec, half) => {
    const first = half * perVector
    const count = Math.min(perVector, access.lanes - first)
    // Vectors of lanes beyond the group are counted as used all the same.
    if (count <= 0) {
      emission.push(vec)
      emission.f.drop()
      return
    }
    storeVector(emission, bytes, vec, first, count, access)
  })
}

function storeVector(
  emission: Emission,
  bytes: number,
  vec: Vec,
  first: number,
  count: number,
  access: Omit<GroupAccess, 'perLane'> & { readonly perLane: Local<'v128'> | null },
): void {
  const { f } = emission
  const { pointer, step, perLane } = access
  const delta = access.delta + first * step
  if (step === bytes && !perLane && count * bytes === 16) {
    const offset = pushAddress(f, pointer, delta)
    emission.push(vec)
    f.store('v128.store', offset, 0)
    return
  }
  const { local, release } = emission.toLocal(vec)
  const contiguous = step === bytes && !perLane
  let lane = 0
  while (lane < count) {
    // The widest aligned power of two that still fits, or a single element.
    let run = 1
    while (
      contiguous &&
      lane % (2 * run) === 0 &&
      lane + 2 * run <= count &&
      2 * run * bytes <= 8
    ) {
      run *= 2
    }
    const offset = perLane
      ? pushLaneAddress(f, pointer, perLane, first + lane, delta + lane * step)
      : pushAddress(f, pointer, delta + lane * step)
    f.get(local).memoryLane(pick(laneStores, run * bytes), lane / run, offset, 0)
    lane += run
  }
  release()
}
