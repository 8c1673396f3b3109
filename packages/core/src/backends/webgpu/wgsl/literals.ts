/** Constants of expressions as WGSL. */
import type { Const } from '../../../compiler/expr'
import { bytesOf, type DType, isUnsigned } from '../../../types/dtype'
import { roundToDType } from '../../../types/float-formats'
import { registerType } from '../words'
import { f32 } from './math/index'

/**
 * A constant in the register form of its dtype. What WGSL has no literal for comes from its bits, and
 * so does −0, which compilers like to take for 0.
 */
export function constantText({ dtype, value }: Const): string {
  const number = Number(value)
  switch (registerType(dtype)) {
    case 'bool':
      return number === 0 ? 'false' : 'true'
    case 'f32':
      return floatText(roundToDType(number, dtype))
    case 'u32':
      return `${wrapped(dtype, number) >>> 0}u`
    case 'i32':
      return integerText(wrapped(dtype, number))
  }
}

/** As memory holds it: the low bits of the dtype's width, extended. */
function wrapped(dtype: DType, value: number): number {
  const unused = 32 - 8 * bytesOf(dtype)
  const high = value << unused
  return isUnsigned(dtype) ? high >>> unused : high >> unused
}

function integerText(value: number): string {
  if (value === -(2 ** 31)) return 'bitcast<i32>(0x80000000u)'
  return value < 0 ? `(${value}i)` : `${value}i`
}

const smallestNormal = 2 ** -126

function floatText(value: number): string {
  const single = Math.fround(value)
  const size = Math.abs(single)
  if (Number.isFinite(single) && size >= smallestNormal)
    return single < 0 ? `(${f32(single)})` : f32(single)
  if (Object.is(single, 0)) return '0.0f'
  return `from_bits(${bitsOf(single)}u)`
}

const float = new Float32Array(1)
const integer = new Uint32Array(float.buffer)

function bitsOf(value: number): number {
  float[0] = value
  return Number.isNaN(value) ? 0x7fc00000 : integer[0]
}

const literal = /^(?:true|false|\(?-?[0-9][0-9.e+-]*[iuf]\)?|bitcast<i32>\(0x80000000u\))$/

/** Whether the WGSL compiler knows the value of an operand. */
export const isLiteral = (operand: string): boolean => literal.test(operand)
