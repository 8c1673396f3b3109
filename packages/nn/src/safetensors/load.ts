/** Loading safetensors files: as a record of arrays, or into the places of a tree. */
import { type Shape, tree } from '@adjoint/core'
import {
  checkOptions,
  Aval,
  avalsMatch,
  type DeviceData,
  fromData,
  NDArray,
} from '@adjoint/core/internal'
import { leafNames } from '../leaf-names'
import { elementsOf } from './elements'
import { type FileTask, fileTask, SafetensorsError } from './error'
import { calledOn } from './files'
import {
  decodeHeader,
  decodeHeaderLength,
  dtypeOf,
  type Header,
  isFormat,
  PREFIX_BYTES,
  type TensorEntry,
  truncated,
} from './header'
import { type ByteSource, openSource, type SafetensorsSource } from './source'

export interface LoadOptions {
  /** Which tensors to load, by name; the others are not read. */
  readonly only?: (name: string) => boolean
}

export interface LoadIntoOptions<T> {
  /**
   * A tree like the one that was saved. The result has its structure, and every array has the shape
   * and dtype of the array (or `Aval`) in its place, down to weak types.
   */
  readonly into: T
  /** Whether a tensor without a place is an error; true by default. */
  readonly strict?: boolean
}

/**
 * Loads a safetensors file.
 *
 * Nothing in the file is believed: lengths, offsets and shapes are checked before memory is
 * allocated, and no more is allocated than there are bytes.
 *
 * @param source a path or file URL (in Node), a buffer, a Blob, or a stream of bytes
 * @param options `into` gives the tree to restore; without it the arrays come by name
 * @returns a task: await it, or call it for a TaskEither's result
 * @throws SafetensorsError naming what is wrong with the file, or every leaf that does not fit
 * @example
 * // A path in Node; bytes, a Blob or a stream anywhere.
 * const file = await encodeSafetensors({ layers: [{ weight: np.ones([2, 3]) }], step: 7 })
 * const weights = await loadSafetensors(file)
 * weights['layers.0.weight'].shape // [ 2, 3 ]
 *
 * const run = await loadSafetensors(file, {
 *   into: { layers: [{ weight: np.zeros([2, 3]) }], step: 0 },
 * })
 * run.step // 7
 */
export function loadSafetensors<T>(
  source: SafetensorsSource,
  options: LoadIntoOptions<T>,
): FileTask<T>
export function loadSafetensors(
  source: SafetensorsSource,
  options?: LoadOptions,
): FileTask<Record<string, NDArray>>
export function loadSafetensors(
  source: SafetensorsSource,
  options: LoadOptions | LoadIntoOptions<unknown> = {},
): FileTask<unknown> {
  const op = calledOn('loadSafetensors', source)
  checkOptions<Partial<LoadOptions & LoadIntoOptions<unknown>>>(op, options, [
    'into',
    'strict',
    'only',
  ])
  return fileTask(op, () =>
    reading(op, source, (bytes, header) =>
      'into' in options
        ? loadInto(op, bytes, header, options.into, options.strict ?? true)
        : loadByName(op, bytes, header, options.only ?? (() => true)),
    ),
  )
}

/** What a file holds. */
export interface SafetensorsHeader {
  readonly metadata: Readonly<Record<string, string>>
  /** `dtype` is the file's word for it, such as `F32`. */
  readonly tensors: readonly {
    readonly name: string
    readonly dtype: string
    readonly shape: Shape
    readonly bytes: number
  }[]
}

/**
 * What a safetensors file holds, without reading the tensors.
 *
 * @param source as for `loadSafetensors`
 * @example
 * const file = await encodeSafetensors({ weight: np.ones([2, 3]) })
 * const { tensors } = await readSafetensorsHeader(file)
 * tensors // [ { name: 'weight', dtype: 'F32', shape: [ 2, 3 ], bytes: 24 } ]
 */
export function readSafetensorsHeader(source: SafetensorsSource): FileTask<SafetensorsHeader> {
  const op = calledOn('readSafetensorsHeader', source)
  return fileTask(op, () =>
    reading(op, source, (_bytes, { metadata, tensors }) =>
      Promise.resolve({
        metadata,
        tensors: tensors.map(({ name, format, shape, begin, end }) => ({
          name,
          dtype: format,
          shape,
          bytes: end - begin,
        })),
      }),
    ),
  )
}

async function reading<A>(
  op: string,
  source: SafetensorsSource,
  use: (bytes: ByteSource, header: Header) => Promise<A>,
): Promise<A> {
  const bytes = await openSource(op, source)
  try {
    const length = decodeHeaderLength(op, await bytes.read(PREFIX_BYTES), bytes.size)
    const json = await bytes.read(length)
    if (json.length < length) {
      throw truncated(op, PREFIX_BYTES + length, PREFIX_BYTES + json.length, 'its header')
    }
    const header = decodeHeader(op, json)
    const needed = PREFIX_BYTES + length + header.dataBytes
    if (bytes.size !== null && bytes.size < needed) {
      throw truncated(op, needed, bytes.size, 'the tensors in its header')
    }
    if (bytes.size !== null && bytes.size > needed) throw overlong(op, bytes.size - needed)
    return await use(bytes, header)
  } finally {
    await bytes.close()
  }
}

const overlong = (op: string, extra: number): SafetensorsError =>
  new SafetensorsError({
    op,
    problem: `${extra === 1 ? 'a byte stands' : `${extra} bytes stand`} after the last tensor`,
    rule: 'the tensors fill the file to its end',
  })

/** What an array of this entry is read as. */
function readableAval(op: string, { name, format, shape }: TensorEntry): Aval {
  if (isFormat(format)) return new Aval(shape, dtypeOf(format))
  throw new SafetensorsError({
    op,
    problem: `the tensor ${JSON.stringify(name)} is of dtype ${JSON.stringify(format)}, which does not exist here`,
    hint: 'convert it before saving, or leave it out with { only }',
  })
}

/** Visits the wanted tensors in the order of the file. */
async function readTensors(
  op: string,
  source: ByteSource,
  { tensors, dataBytes }: Header,
  visit: (entry: TensorEntry) => ((elements: DeviceData) => void) | null,
): Promise<void> {
  for (const entry of tensors) {
    const { name, format, begin, end } = entry
    const accept = visit(entry)
    if (accept === null || !isFormat(format)) {
      await source.skip(end - begin)
      continue
    }
    const bytes = await source.read(end - begin)
    if (bytes.length < end - begin) {
      throw truncated(
        op,
        dataBytes,
        begin + bytes.length,
        `the data of the tensor ${JSON.stringify(name)} in it`,
      )
    }
    accept(elementsOf(op, name, format, bytes))
  }
  if (source.size === null && (await source.read(1)).length > 0) throw overlong(op, 1)
}

async function loadByName(
  op: string,
  source: ByteSource,
  header: Header,
  only: (name: string) => boolean,
): Promise<Record<string, NDArray>> {
  const arrays: [string, NDArray][] = []
  await readTensors(op, source, header, (entry) => {
    if (!only(entry.name)) return null
    const aval = readableAval(op, entry)
    return (elements) => arrays.push([entry.name, fromData(aval, elements)])
  })
  return Object.fromEntries(arrays)
}

async function loadInto(
  op: string,
  source: ByteSource,
  header: Header,
  template: unknown,
  strict: boolean,
): Promise<unknown> {
  const { leaves, structure } = tree.flatten(template)
  const names = leafNames(structure)
  const places = new Map(names.map((name, i) => [name, i]))
  requireFit(op, header, names, leaves, strict)
  const results = [...leaves]
  await readTensors(op, source, header, ({ name }) => {
    const place = places.get(name)
    if (place === undefined) return null
    return (elements) => {
      results[place] = restored(leaves[place], elements)
    }
  })
  return tree.unflatten(structure, results)
}

function restored(leaf: unknown, elements: DeviceData): unknown {
  if (typeof leaf === 'number') return elements[0]
  if (typeof leaf === 'boolean') return Boolean(elements[0])
  return fromData(leaf instanceof Aval ? leaf : (leaf as NDArray).aval, elements)
}

/** Compares a file with the tree that it is loaded into, and lists all that does not fit. */
function requireFit(
  op: string,
  { tensors }: Header,
  names: readonly string[],
  leaves: readonly unknown[],
  strict: boolean,
): void {
  const entries = new Map(tensors.map((entry) => [entry.name, entry]))
  const known = new Set(names)
  const problems = names.flatMap((name, i) => {
    const problem = misfit(entries.get(name), leaves[i])
    return problem === null ? [] : [`${name}: ${problem}`]
  })
  if (strict) {
    for (const { name } of tensors) if (!known.has(name)) problems.push(`${name}: not in the tree`)
  }
  if (problems.length === 0) return
  const shown = problems.slice(0, MOST_SHOWN)
  const more = problems.length - shown.length
  throw new SafetensorsError({
    op,
    problem: `the file does not fit the tree\n    ${[...shown, ...(more > 0 ? [`and ${more} more`] : [])].join('\n    ')}`,
    rule: 'every leaf is in the file under its path, with the same shape and dtype',
    hint: 'readSafetensorsHeader shows what is there; load without `into` to convert by hand; { strict: false } leaves tensors out',
  })
}

const MOST_SHOWN = 10

function misfit(entry: TensorEntry | undefined, leaf: unknown): string | null {
  if (entry === undefined) return 'not in the file'
  const { format, shape } = entry
  if (!isFormat(format)) return `of dtype ${JSON.stringify(format)}, which does not exist here`
  const there = new Aval(shape, dtypeOf(format))
  if (typeof leaf === 'number') {
    return format === 'F64' && shape.length === 0 ? null : `${there} there, a number here`
  }
  if (typeof leaf === 'boolean') {
    return format === 'BOOL' && shape.length === 0 ? null : `${there} there, a boolean here`
  }
  const here = leaf instanceof NDArray ? leaf.aval : leaf
  if (!(here instanceof Aval)) return `a ${typeof leaf} here, which is not an array`
  return avalsMatch(there, here) ? null : `${there} there, ${here} here`
}
