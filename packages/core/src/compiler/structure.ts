/** Keys that are equal only for what has the same structure. */
import type { Buffer } from './expr'

export interface StructureOptions {
  /** Whether buffers of different sizes differ. */
  readonly sizes: boolean
  /**
   * Whether addresses that step through memory differently differ. Without it only steps of 0, 1 and
   * −1 are told from others, and where an address begins is not looked at.
   */
  readonly steps: boolean
  /** Whether constants of different values differ. */
  readonly constants: boolean
}

/**
 * The structure of a value with its buffers numbered as they come up. The value is plain data;
 * expressions that occur more than once are written once and referred to by number, so the key is as
 * long as the value is large.
 */
export function structureKey(root: object, { sizes, steps, constants }: StructureOptions): string {
  const buffers = new Map<number, number>()
  const scalars = new Map<object, number>()
  let key = ''
  const write = (value: unknown): void => {
    if (typeof value === 'number') key += Object.is(value, -0) ? '-0 ' : `${value} `
    else if (typeof value !== 'object' || value === null) key += `${String(value)} `
    else if (!isArray(value)) writeObject(value as Fields)
    else if (isNumbers(value)) key += `[${(steps ? value : value.map(kindOfStep)).join()}]`
    else {
      key += '['
      for (const item of value) write(item)
      key += ']'
    }
  }
  const writeObject = (value: Fields): void => {
    if ('dtype' in value) {
      if (isBuffer(value)) {
        const known = buffers.get(value.id)
        if (known === undefined) buffers.set(value.id, buffers.size)
        const size = sizes ? `:${value.size}` : ''
        key += known === undefined ? `#${value.dtype}${size} ` : `#${known} `
        return
      }
      const known = scalars.get(value)
      if (known !== undefined) {
        key += `@${known} `
        return
      }
      scalars.set(value, scalars.size)
    }
    key += '{'
    for (const name in value) {
      key += `${name}=`
      const field = value[name]
      if (typeof field === 'string') key += `${field} `
      else if (!steps && typeof field === 'number' && name === 'offset') key += '* '
      else if (!steps && typeof field === 'number' && name === 'stride')
        key += `${kindOfStep(field)} `
      else if (!constants && typeof field !== 'object' && name === 'value') key += '* '
      else write(field)
    }
    key += '}'
  }
  write(root)
  return key
}

const kindOfStep = (step: unknown): string => (Math.abs(Number(step)) <= 1 ? String(step) : '*')

/** For TypeScript, `Array.isArray` is about arrays of `any`. */
const isArray = (value: object): value is readonly unknown[] => Array.isArray(value)

/** Strides and shapes, of which most of a node consists: none of them is −0. */
function isNumbers(values: readonly unknown[]): boolean {
  if (typeof values[0] !== 'number') return false
  for (const x of values) if (x === 0 && Object.is(x, -0)) return false
  return true
}

type Fields = object & { readonly [name: string]: unknown }

const isBuffer = (value: object): value is Buffer =>
  'id' in value && 'dtype' in value && 'size' in value
