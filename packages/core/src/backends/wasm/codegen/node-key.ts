/** Keys that are equal only for nodes whose functions are the same. */
import type { Buffer } from '../../../compiler/expr'
import type { Store } from '../../../compiler/nodes'
import type { ComputingNode } from './nodes'

/**
 * What a node computes, with its buffers numbered as they come up: layers of a network and steps of
 * an unrolled loop do the same in other places, and one function serves them all. It is translated
 * once, and reaches the engine's optimised tier sooner.
 *
 * A node is plain data. Expressions that occur more than once are written once and referred to by
 * number, so the key is as long as the node is large.
 */
export const nodeKey = (node: ComputingNode): string => structureKey(node, true)

/**
 * The same for code that does not depend on how many elements there are: loops over one axis, whose
 * bounds are parameters. The shape is the caller's to leave out.
 */
export const keyOfAnySize = (part: { readonly stores: readonly Store[] }): string =>
  structureKey(part, false)

function structureKey(root: object, withSizes: boolean): string {
  const buffers = new Map<number, number>()
  const scalars = new Map<object, number>()
  let key = ''
  const write = (value: unknown): void => {
    if (isNumbers(value)) key += `[${value.join()}]`
    else if (Array.isArray(value)) {
      key += '['
      for (const item of value) write(item)
      key += ']'
    } else if (typeof value === 'object' && value !== null) writeObject(value)
    else key += Object.is(value, -0) ? '-0 ' : `${String(value)} `
  }
  const writeObject = (value: object): void => {
    if (isBuffer(value)) {
      const known = buffers.get(value.id)
      if (known === undefined) buffers.set(value.id, buffers.size)
      const size = withSizes ? `:${value.size}` : ''
      key += known === undefined ? `#${value.dtype}${size} ` : `#${known} `
      return
    }
    if ('dtype' in value) {
      const known = scalars.get(value)
      if (known !== undefined) {
        key += `@${known} `
        return
      }
      scalars.set(value, scalars.size)
    }
    key += '{'
    for (const [name, field] of Object.entries(value)) {
      key += `${name}=`
      write(field)
    }
    key += '}'
  }
  write(root)
  return key
}

/** Strides and shapes, of which most of a node consists: none of them is −0. */
const isNumbers = (value: unknown): value is readonly number[] =>
  Array.isArray(value) && typeof value[0] === 'number' && !value.some((x) => Object.is(x, -0))

const isBuffer = (value: object): value is Buffer =>
  'id' in value && 'dtype' in value && 'size' in value
