/**
 * Opcodes of WebAssembly 2.0 with threads and relaxed SIMD, by their names in the specification: those
 * that the code generator writes, and their neighbours. The names are literal types, so a misspelt
 * instruction does not compile. A code above 0xffff is a prefix byte (bits 16 and up) and a LEB128
 * sub-opcode.
 */

/** Names that stand next to each other in the opcode space, numbered from `first`. */
const run = <const Prefix extends string, const Name extends string>(
  first: number,
  prefix: Prefix,
  names: readonly Name[],
): Record<`${Prefix}.${Name}`, number> => {
  const table: Record<string, number> = {}
  names.forEach((name, index) => (table[`${prefix}.${name}`] = first + index))
  return table
}

const BULK = 0xfc_0000
const SIMD = 0xfd_0000
const ATOMIC = 0xfe_0000

const integerCompares = [
  'eq',
  'ne',
  'lt_s',
  'lt_u',
  'gt_s',
  'gt_u',
  'le_s',
  'le_u',
  'ge_s',
  'ge_u',
] as const
const floatCompares = ['eq', 'ne', 'lt', 'gt', 'le', 'ge'] as const
const integerArithmetic = [
  'clz',
  'ctz',
  'popcnt',
  'add',
  'sub',
  'mul',
  'div_s',
  'div_u',
  'rem_s',
  'rem_u',
  'and',
  'or',
  'xor',
  'shl',
  'shr_s',
  'shr_u',
  'rotl',
  'rotr',
] as const
const floatArithmetic = [
  'abs',
  'neg',
  'ceil',
  'floor',
  'trunc',
  'nearest',
  'sqrt',
  'add',
  'sub',
  'mul',
  'div',
  'min',
  'max',
  'copysign',
] as const
const floatLaneArithmetic = [
  'sqrt',
  'add',
  'sub',
  'mul',
  'div',
  'min',
  'max',
  'pmin',
  'pmax',
] as const

/** Instructions without immediates. */
export const plainOpcodes = {
  unreachable: 0x00,
  nop: 0x01,
  return: 0x0f,
  drop: 0x1a,
  select: 0x1b,

  'i32.eqz': 0x45,
  ...run(0x46, 'i32', integerCompares),
  'i64.eqz': 0x50,
  ...run(0x51, 'i64', integerCompares),
  ...run(0x5b, 'f32', floatCompares),
  ...run(0x61, 'f64', floatCompares),
  ...run(0x67, 'i32', integerArithmetic),
  ...run(0x79, 'i64', integerArithmetic),
  ...run(0x8b, 'f32', floatArithmetic),
  ...run(0x99, 'f64', floatArithmetic),
  'i32.wrap_i64': 0xa7,
  'i32.trunc_f32_u': 0xa9,
  ...run(0xac, 'i64', ['extend_i32_s', 'extend_i32_u']),
  'f32.convert_i32_u': 0xb3,
  'f64.convert_i64_u': 0xba,
  'i32.reinterpret_f32': 0xbc,
  'i64.reinterpret_f64': 0xbd,
  'f32.reinterpret_i32': 0xbe,
  'f64.reinterpret_i64': 0xbf,
  'i8x16.swizzle': SIMD + 14,
  'i8x16.splat': SIMD + 15,
  'i16x8.splat': SIMD + 16,
  'i32x4.splat': SIMD + 17,
  'i64x2.splat': SIMD + 18,
  'f32x4.splat': SIMD + 19,
  'f64x2.splat': SIMD + 20,
  ...run(SIMD + 55, 'i32x4', integerCompares),
  ...run(SIMD + 65, 'f32x4', floatCompares),
  ...run(SIMD + 71, 'f64x2', floatCompares),
  ...run(SIMD + 77, 'v128', ['not', 'and', 'andnot', 'or', 'xor', 'bitselect', 'any_true']),
  'f32x4.demote_f64x2_zero': SIMD + 94,
  'f64x2.promote_low_f32x4': SIMD + 95,

  'i8x16.popcnt': SIMD + 98,
  ...run(SIMD + 103, 'f32x4', ['ceil', 'floor', 'trunc', 'nearest']),
  'i8x16.add': SIMD + 110,
  'i8x16.sub': SIMD + 113,
  ...run(SIMD + 116, 'f64x2', ['ceil', 'floor']),
  'f64x2.trunc': SIMD + 122,
  'i16x8.extadd_pairwise_i8x16_u': SIMD + 125,
  'i32x4.extadd_pairwise_i16x8_u': SIMD + 127,
  'i16x8.extend_low_i8x16_s': SIMD + 135,
  'i16x8.extend_low_i8x16_u': SIMD + 137,
  'f64x2.nearest': SIMD + 148,

  ...run(SIMD + 160, 'i32x4', ['abs', 'neg']),
  'i32x4.extend_low_i16x8_s': SIMD + 167,
  'i32x4.extend_low_i16x8_u': SIMD + 169,
  ...run(SIMD + 171, 'i32x4', ['shl', 'shr_s', 'shr_u', 'add']),
  'i32x4.sub': SIMD + 177,
  ...run(SIMD + 181, 'i32x4', ['mul', 'min_s', 'min_u', 'max_s', 'max_u']),

  ...run(SIMD + 203, 'i64x2', ['shl', 'shr_s', 'shr_u', 'add']),
  'i64x2.sub': SIMD + 209,
  ...run(SIMD + 214, 'i64x2', ['eq', 'ne', 'lt_s', 'gt_s']),

  ...run(SIMD + 224, 'f32x4', ['abs', 'neg']),
  ...run(SIMD + 227, 'f32x4', floatLaneArithmetic),
  ...run(SIMD + 236, 'f64x2', ['abs', 'neg']),
  ...run(SIMD + 239, 'f64x2', floatLaneArithmetic),
  ...run(SIMD + 248, 'i32x4', ['trunc_sat_f32x4_s', 'trunc_sat_f32x4_u']),
  ...run(SIMD + 250, 'f32x4', ['convert_i32x4_s', 'convert_i32x4_u']),
  ...run(SIMD + 252, 'i32x4', ['trunc_sat_f64x2_s_zero', 'trunc_sat_f64x2_u_zero']),
  ...run(SIMD + 254, 'f64x2', ['convert_low_i32x4_s', 'convert_low_i32x4_u']),

  ...run(SIMD + 0x105, 'f32x4', ['relaxed_madd', 'relaxed_nmadd']),
  ...run(SIMD + 0x107, 'f64x2', ['relaxed_madd', 'relaxed_nmadd']),
  'i32x4.relaxed_laneselect': SIMD + 0x10b,
}

/** An instruction whose alignment immediate defaults to its access width, `1 << align` bytes. */
export interface MemoryOpcode {
  readonly code: number
  readonly align: number
}

const access = <const Prefix extends string, const Name extends string>(
  first: number,
  prefix: Prefix,
  names: Readonly<Record<Name, number>>,
): Record<`${Prefix}.${Name}`, MemoryOpcode> => {
  const table: Record<string, MemoryOpcode> = {}
  Object.entries<number>(names).forEach(([name, align], index) => {
    table[`${prefix}.${name}`] = { code: first + index, align }
  })
  return table
}

/** Loads: an address on the stack becomes a value. */
export const loadOpcodes = {
  ...access(0x28, 'i32', { load: 2 }),
  ...access(0x29, 'i64', { load: 3 }),
  ...access(0x2a, 'f32', { load: 2 }),
  ...access(0x2b, 'f64', { load: 3 }),
  ...access(0x2c, 'i32', { load8_s: 0, load8_u: 0, load16_s: 1, load16_u: 1 }),
  ...access(SIMD, 'v128', { load: 4 }),
  ...access(SIMD + 7, 'v128', {
    load8_splat: 0,
    load16_splat: 1,
    load32_splat: 2,
    load64_splat: 3,
  }),
  ...access(SIMD + 92, 'v128', { load32_zero: 2, load64_zero: 3 }),
  ...access(ATOMIC + 0x10, 'i32.atomic', { load: 2 }),
}

/** Stores: an address and a value on the stack become nothing. */
export const storeOpcodes = {
  ...access(0x36, 'i32', { store: 2 }),
  ...access(0x37, 'i64', { store: 3 }),
  ...access(0x38, 'f32', { store: 2 }),
  ...access(0x39, 'f64', { store: 3 }),
  ...access(0x3a, 'i32', { store8: 0, store16: 1 }),
  ...access(SIMD + 11, 'v128', { store: 4 }),
  ...access(ATOMIC + 0x17, 'i32.atomic', { store: 2 }),
}

/** Atomic instructions that read operands from the stack and leave a value. */
export const atomicOpcodes = {
  ...access(ATOMIC, 'memory.atomic', { notify: 2, wait32: 2 }),
  ...access(ATOMIC + 0x1e, 'i32.atomic', { 'rmw.add': 2 }),
  ...access(ATOMIC + 0x25, 'i32.atomic', { 'rmw.sub': 2 }),
}

/** Loads and stores of one lane of a vector that stands on the stack above the address. */
export const memoryLaneOpcodes = access(SIMD + 84, 'v128', {
  load8_lane: 0,
  load16_lane: 1,
  load32_lane: 2,
  load64_lane: 3,
  store8_lane: 0,
  store16_lane: 1,
  store32_lane: 2,
  store64_lane: 3,
})

/** Instructions with a lane index as their immediate. */
export const laneOpcodes = {
  ...run(SIMD + 27, 'i32x4', ['extract_lane', 'replace_lane']),
  ...run(SIMD + 29, 'i64x2', ['extract_lane', 'replace_lane']),
  ...run(SIMD + 31, 'f32x4', ['extract_lane', 'replace_lane']),
  ...run(SIMD + 33, 'f64x2', ['extract_lane', 'replace_lane']),
}

/** Instructions that the function builder writes itself, with their immediates. */
export const structuralOpcodes = {
  block: 0x02,
  loop: 0x03,
  if: 0x04,
  else: 0x05,
  end: 0x0b,
  br: 0x0c,
  br_if: 0x0d,
  br_table: 0x0e,
  call: 0x10,
  'local.get': 0x20,
  'local.set': 0x21,
  'local.tee': 0x22,
  'global.get': 0x23,
  'global.set': 0x24,
  'memory.size': 0x3f,
  'memory.grow': 0x40,
  'i32.const': 0x41,
  'i64.const': 0x42,
  'f32.const': 0x43,
  'f64.const': 0x44,
  'memory.copy': BULK + 10,
  'memory.fill': BULK + 11,
  'v128.const': SIMD + 12,
  'i8x16.shuffle': SIMD + 13,
  'atomic.fence': ATOMIC + 3,
}

export type PlainOp = keyof typeof plainOpcodes
export type LoadOp = keyof typeof loadOpcodes
export type StoreOp = keyof typeof storeOpcodes
export type AtomicOp = keyof typeof atomicOpcodes
export type MemoryLaneOp = keyof typeof memoryLaneOpcodes
export type LaneOp = keyof typeof laneOpcodes

/** The value types of WebAssembly that we compute with, and their binary codes. */
export const valueTypeCodes = { i32: 0x7f, i64: 0x7e, f32: 0x7d, f64: 0x7c, v128: 0x7b } as const
export type ValueType = keyof typeof valueTypeCodes
