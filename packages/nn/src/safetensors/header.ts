/**
 * The header of a safetensors file: which tensors there are, and where their bytes lie.
 *
 * A file is the length of the header (8 bytes, little endian), the header (JSON), and the elements
 * of the tensors, one after the other without gaps. The format is described at
 * https://github.com/huggingface/safetensors#format; the limits are those of its own reader.
 */
import type { DType, Shape } from '@adjoint/core'
import { SafetensorsError } from './error'
import { type Json, JsonError, type JsonObject, parseJson } from './json'

/** The bytes before the header. */
export const PREFIX_BYTES = 8
const LONGEST_HEADER = 100_000_000
/** NumPy's limit. */
const MOST_AXES = 64
const METADATA = '__metadata__'

/**
 * The formats of elements that can be read, in the order in which files hold them: wide ones first,
 * so that all are aligned.
 */
const formats = {
  U64: { bytes: 8, dtype: 'uint32' },
  I64: { bytes: 8, dtype: 'int32' },
  F64: { bytes: 8, dtype: 'float64' },
  F32: { bytes: 4, dtype: 'float32' },
  U32: { bytes: 4, dtype: 'uint32' },
  I32: { bytes: 4, dtype: 'int32' },
  BF16: { bytes: 2, dtype: 'bfloat16' },
  F16: { bytes: 2, dtype: 'float16' },
  U16: { bytes: 2, dtype: 'uint16' },
  I16: { bytes: 2, dtype: 'int16' },
  I8: { bytes: 1, dtype: 'int8' },
  U8: { bytes: 1, dtype: 'uint8' },
  BOOL: { bytes: 1, dtype: 'bool' },
} as const satisfies { readonly [format: string]: { bytes: number; dtype: DType } }

export type Format = keyof typeof formats
const order = Object.keys(formats) as readonly Format[]

export const isFormat = (name: string): name is Format => Object.hasOwn(formats, name)

/** The dtype in which a format is read: 64-bit integers in 32 bits, where their values fit. */
export const dtypeOf = (format: Format): DType => formats[format].dtype

/** The format in which a dtype is written; undefined for float0, which has no elements. */
export const formatOf = (dtype: DType): Format | undefined =>
  order.find((format) => formats[format].dtype === dtype && format !== 'I64' && format !== 'U64')

export interface TensorEntry {
  readonly name: string
  /** The format's name as the file has it; `isFormat` says whether it can be read. */
  readonly format: string
  readonly shape: Shape
  /** Where its bytes begin and end, counted from the end of the header. */
  readonly begin: number
  readonly end: number
}

export interface Header {
  readonly metadata: Readonly<Record<string, string>>
  /** In the order of their bytes. */
  readonly tensors: readonly TensorEntry[]
  /** Of all tensors together. */
  readonly dataBytes: number
}

// --- writing --------------------------------------------------------------------------------------

export interface TensorType {
  readonly name: string
  readonly format: Format
  readonly shape: Shape
}

/** Where tensors go in a file; equal tensors make equal files, byte for byte those of Python. */
export function layOut(tensors: readonly TensorType[]): readonly TensorEntry[] {
  const sorted = [...tensors].sort(
    (a, b) => order.indexOf(a.format) - order.indexOf(b.format) || (a.name < b.name ? -1 : 1),
  )
  let begin = 0
  return sorted.map((tensor) => {
    const end = begin + tensor.shape.reduce((n, size) => n * size, formats[tensor.format].bytes)
    const entry = { ...tensor, begin, end }
    begin = end
    return entry
  })
}

/** The first bytes of a file: the header's length and the header, padded so that data is aligned. */
export function encodeHeader(
  op: string,
  tensors: readonly TensorEntry[],
  metadata: Readonly<Record<string, string>>,
): Uint8Array<ArrayBuffer> {
  const names = new Set<string>()
  for (const { name } of tensors) {
    const problem =
      name === METADATA
        ? 'is the name of the metadata'
        : names.has(name)
          ? 'is the name of two tensors: a key with a dot in it spells the path of another'
          : /\p{Surrogate}/u.test(name)
            ? 'is not a name in Unicode'
            : null
    if (problem) throw new SafetensorsError({ op, problem: `${JSON.stringify(name)} ${problem}` })
    names.add(name)
  }
  const entries = [
    ...(Object.keys(metadata).length > 0 ? [[METADATA, metadata] as const] : []),
    ...tensors.map(
      ({ name, format, shape, begin, end }) =>
        [name, { dtype: format, shape, data_offsets: [begin, end] }] as const,
    ),
  ].map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`)
  const json = new TextEncoder().encode(`{${entries.join(',')}}`)
  const length = Math.ceil(json.length / 8) * 8
  if (length > LONGEST_HEADER) {
    throw new SafetensorsError({
      op,
      problem: `the header would take ${length} bytes`,
      rule: `a header has at most ${LONGEST_HEADER} bytes`,
    })
  }
  const bytes = new Uint8Array(PREFIX_BYTES + length).fill(0x20)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length), true)
  bytes.set(json, PREFIX_BYTES)
  return bytes
}

// --- reading --------------------------------------------------------------------------------------

const malformed = (op: string, problem: string, rule?: string): SafetensorsError =>
  new SafetensorsError({ op, problem, rule })

/**
 * The length of the header that follows. Whoever allocates so much has checked that it is there.
 *
 * @param available the bytes of the whole file, where that is known
 */
export function decodeHeaderLength(
  op: string,
  prefix: Uint8Array,
  available: number | null,
): number {
  if (prefix.length < PREFIX_BYTES) {
    throw malformed(
      op,
      `the file ends after ${prefix.length} bytes`,
      `it begins with the length of its header, in ${PREFIX_BYTES} bytes`,
    )
  }
  const length = new DataView(prefix.buffer, prefix.byteOffset).getBigUint64(0, true)
  if (length > BigInt(LONGEST_HEADER)) {
    throw malformed(
      op,
      `the header claims to be ${length} bytes long`,
      `a header has at most ${LONGEST_HEADER} bytes; perhaps this is another kind of file`,
    )
  }
  if (available !== null && PREFIX_BYTES + Number(length) > available) {
    throw truncated(op, PREFIX_BYTES + Number(length), available, 'its header')
  }
  return Number(length)
}

export const truncated = (
  op: string,
  needed: number,
  available: number,
  what: string,
): SafetensorsError =>
  malformed(op, `the file ends after ${available} bytes, too few for ${what}: ${needed}`)

/** Reads and checks a header. No tensor overlaps another, and none claims more than its shape takes. */
export function decodeHeader(op: string, bytes: Uint8Array): Header {
  const refuse = (problem: string, rule?: string): never => {
    throw malformed(op, problem, rule)
  }
  const root = parse(op, bytes)
  if (!(root instanceof Map)) return refuse('the header is not an object')
  const header: JsonObject = root
  const tensors: TensorEntry[] = []
  let metadata: Record<string, string> = {}
  for (const [name, entry] of header) {
    const shown = JSON.stringify(name)
    if (!(entry instanceof Map)) return refuse(`the entry of ${shown} is not an object`)
    if (name === METADATA) metadata = decodeMetadata(op, entry)
    else tensors.push(decodeEntry(op, name, entry))
  }
  tensors.sort((a, b) => a.begin - b.begin || a.end - b.end)
  let end = 0
  for (const [i, tensor] of tensors.entries()) {
    if (tensor.begin !== end) {
      const [name, before] = [JSON.stringify(tensor.name), JSON.stringify(tensors[i - 1]?.name)]
      refuse(
        tensor.begin < end
          ? `the bytes of ${name} overlap those of ${before}`
          : `${tensor.begin - end} bytes before ${name} belong to no tensor`,
        'tensors lie one after the other, without gaps',
      )
    }
    end = tensor.end
  }
  return { metadata, tensors, dataBytes: end }
}

function parse(op: string, bytes: Uint8Array): Json {
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw malformed(op, 'the header is not UTF-8')
  }
  try {
    return parseJson(text)
  } catch (error) {
    if (!(error instanceof JsonError)) throw error
    throw malformed(op, `the header is not JSON: ${error.message}`)
  }
}

function decodeMetadata(op: string, entries: JsonObject): Record<string, string> {
  const pairs = [...entries].map(([key, value]): [string, string] => {
    if (typeof value === 'string') return [key, value]
    throw malformed(op, `the metadata ${JSON.stringify(key)} is not a string`)
  })
  return Object.fromEntries(pairs)
}

const isSize = (value: Json): value is number => Number.isSafeInteger(value) && Number(value) >= 0

function decodeEntry(op: string, name: string, entry: JsonObject): TensorEntry {
  const refuse = (problem: string, rule?: string): never => {
    throw malformed(op, `the tensor ${JSON.stringify(name)} ${problem}`, rule)
  }
  const [format, shape, offsets] = ['dtype', 'shape', 'data_offsets'].map((key) => entry.get(key))
  if (typeof format !== 'string') return refuse('has no dtype')
  if (!Array.isArray(shape) || !shape.every(isSize)) {
    return refuse('has no shape', 'a shape is a list of integers that are not negative')
  }
  const sizes: Shape = shape
  if (sizes.length > MOST_AXES) {
    return refuse(`has ${sizes.length} axes`, `an array has at most ${MOST_AXES}`)
  }
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isSize)) {
    return refuse('has no data_offsets', 'they are two integers: where its bytes begin and end')
  }
  const [begin, end] = offsets as readonly number[]
  if (begin > end) return refuse(`ends at ${end}, before it begins at ${begin}`)
  if (isFormat(format)) {
    const { bytes } = formats[format]
    const needed = sizes.includes(0) ? 0 : sizes.reduce((n, size) => n * size, bytes)
    if (!Number.isSafeInteger(needed) || needed !== end - begin) {
      return refuse(
        `has ${end - begin} bytes`,
        `${format}[${sizes.join(',')}] takes ${Number.isSafeInteger(needed) ? needed : 'more than 2^53'}`,
      )
    }
  }
  return { name, format, shape: sizes, begin, end }
}
