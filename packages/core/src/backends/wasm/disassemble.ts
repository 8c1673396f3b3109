/** Generated functions in readable form: instructions as the specification names them, indented. */
import type { FunctionBuilder } from './emit/index'
import {
  atomicOpcodes,
  laneOpcodes,
  loadOpcodes,
  memoryLaneOpcodes,
  plainOpcodes,
  storeOpcodes,
  structuralOpcodes,
  valueTypeCodes,
} from './emit/opcodes'

/** What follows an instruction's code. */
type Immediates = 'none' | 'memory' | 'memory lane' | 'lane' | 'structural'

interface Instruction {
  readonly name: string
  readonly immediates: Immediates
}

const table = new Map<number, Instruction>()
const addAll = (
  codes: Readonly<Record<string, number | { readonly code: number }>>,
  immediates: Immediates,
): void => {
  for (const [name, code] of Object.entries(codes)) {
    table.set(typeof code === 'number' ? code : code.code, { name, immediates })
  }
}
addAll(plainOpcodes, 'none')
addAll(loadOpcodes, 'memory')
addAll(storeOpcodes, 'memory')
addAll(atomicOpcodes, 'memory')
addAll(memoryLaneOpcodes, 'memory lane')
addAll(laneOpcodes, 'lane')
addAll(structuralOpcodes, 'structural')

const typeNames = new Map<number, string>(
  Object.entries(valueTypeCodes).map(([name, code]) => [code, name]),
)

class Reader {
  position = 0
  constructor(private readonly bytes: Uint8Array) {}

  get atEnd(): boolean {
    return this.position >= this.bytes.length
  }

  u8(): number {
    return this.bytes[this.position++] ?? 0
  }

  unsigned(): number {
    let result = 0
    for (let shift = 0; ; shift += 7) {
      const byte = this.u8()
      result += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) return result
    }
  }

  signed(): bigint {
    let result = 0n
    for (let shift = 0n; ; shift += 7n) {
      const byte = this.u8()
      result |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return BigInt.asIntN(Number(shift) + 7, result)
    }
  }

  take(count: number): Uint8Array {
    this.position += count
    return this.bytes.subarray(this.position - count, this.position)
  }

  float(bytes: 4 | 8): number {
    const view = new DataView(this.take(bytes).slice().buffer)
    return bytes === 4 ? view.getFloat32(0, true) : view.getFloat64(0, true)
  }
}

const hex = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')

/** A v128 constant as four lanes of 32 bits. */
const lanesOf = (bytes: Uint8Array): string =>
  [0, 4, 8, 12].map((at) => `0x${hex(bytes.slice(at, at + 4).reverse())}`).join(' ')

export function disassemble(functions: readonly FunctionBuilder[]): string {
  const names = new Map(functions.map((f) => [f.index, f.name]))
  return functions.map((f) => functionText(f, names)).join('\n\n')
}

function functionText(f: FunctionBuilder, names: ReadonlyMap<number, string>): string {
  const reader = new Reader(f.finish())
  const lines: string[] = []
  const signature = f.params.length > 0 ? ` (param ${f.params.join(' ')})` : ''
  lines.push(`(func $${f.name}${signature}`)
  for (let run = reader.unsigned(); run > 0; run--) {
    const count = reader.unsigned()
    const type = typeNames.get(reader.u8()) ?? '?'
    lines.push(`  (local ${Array.from({ length: count }, () => type).join(' ')})`)
  }
  let depth = 1
  while (!reader.atEnd) {
    const { text, opens, closes } = instruction(reader, names)
    if (closes) depth--
    if (depth > 0) lines.push(`${'  '.repeat(depth)}${text}`)
    if (opens) depth++
  }
  return `${lines.join('\n')})`
}

function instruction(
  reader: Reader,
  names: ReadonlyMap<number, string>,
): { text: string; opens: boolean; closes: boolean } {
  const first = reader.u8()
  const code = first >= 0xfc && first <= 0xfe ? (first << 16) + reader.unsigned() : first
  const known = table.get(code)
  if (!known) throw new Error(`no instruction has the code 0x${code.toString(16)}`)
  const { name, immediates } = known
  const text = [name, ...operands(reader, name, immediates, names)].join(' ')
  return {
    text,
    opens: name === 'block' || name === 'loop' || name === 'if' || name === 'else',
    closes: name === 'end' || name === 'else',
  }
}

function operands(
  reader: Reader,
  name: string,
  immediates: Immediates,
  names: ReadonlyMap<number, string>,
): string[] {
  switch (immediates) {
    case 'none':
      return []
    case 'lane':
      return [String(reader.u8())]
    case 'memory':
    case 'memory lane': {
      const align = 2 ** reader.unsigned()
      const offset = reader.unsigned()
      const parts = offset === 0 ? [] : [`offset=${offset}`]
      parts.push(`align=${align}`)
      return immediates === 'memory' ? parts : [...parts, String(reader.u8())]
    }
    case 'structural':
      return structuralOperands(reader, name, names)
  }
}

function structuralOperands(
  reader: Reader,
  name: string,
  names: ReadonlyMap<number, string>,
): string[] {
  switch (name) {
    case 'else':
    case 'end':
      return []
    case 'block':
    case 'loop':
    case 'if': {
      const type = typeNames.get(reader.u8())
      return type === undefined ? [] : [`(result ${type})`]
    }
    case 'br_table': {
      const count = reader.unsigned() + 1
      return Array.from({ length: count }, () => String(reader.unsigned()))
    }
    case 'call': {
      const index = reader.unsigned()
      return [`$${names.get(index) ?? index}`]
    }
    case 'i32.const':
    case 'i64.const':
      return [String(reader.signed())]
    case 'f32.const':
      return [String(reader.float(4))]
    case 'f64.const':
      return [String(reader.float(8))]
    case 'v128.const':
      return ['i32x4', lanesOf(reader.take(16))]
    case 'i8x16.shuffle':
      return [Array.from(reader.take(16)).join(' ')]
    case 'memory.copy':
      reader.take(2)
      return []
    case 'memory.fill':
    case 'memory.size':
    case 'memory.grow':
    case 'atomic.fence':
      reader.u8()
      return []
    default:
      return [String(reader.unsigned())]
  }
}
