/** What a traced program depends on: the types of the arrays, and everything else by value. */
import {
  type Aval,
  avalKey,
  avalsEqual,
  identityOf,
  makeScalar,
  NDArray,
  scalarAval,
  tree,
} from '@adjoint/core/internal'

export interface Signature {
  /** Of the list of arguments that are not static. */
  readonly structure: tree.TreeStructure
  readonly avals: readonly Aval[]
  /** Values of the static arguments, in order of their positions. */
  readonly statics: readonly unknown[]
  readonly device: string
  /** The named axes of enclosing vmaps, which collectives may refer to. */
  readonly axes: string
}

const isPlain = (value: object): boolean => {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

/** Equal keys for equal static values: plain data by its content, anything else by identity. */
export function staticKey(value: unknown): string {
  if (typeof value === 'number') return Object.is(value, -0) ? '-0' : String(value)
  if (typeof value === 'string') return JSON.stringify(value)
  if (value === null || (typeof value !== 'object' && typeof value !== 'function')) {
    return `${typeof value}:${String(value)}`
  }
  if (Array.isArray(value)) return `[${value.map(staticKey).join(',')}]`
  if (typeof value === 'object' && isPlain(value)) {
    const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
    return `{${entries.map(([k, v]) => `${JSON.stringify(k)}:${staticKey(v)}`).join(',')}}`
  }
  return `#${identityOf(value)}`
}

export const signatureKey = (s: Signature): string =>
  [
    tree.structureKey(s.structure),
    s.avals.map(avalKey).join(' '),
    s.statics.map(staticKey).join(' '),
    s.device,
    s.axes,
  ].join('|')

/**
 * Collects the leaves of `value` if it has exactly this structure and these types: flattening and
 * checking in one walk, without building anything. False sends the call to the general path.
 */
export function collectLeaves(
  structure: tree.TreeStructure,
  value: unknown,
  avals: readonly Aval[],
  leaves: NDArray[],
): boolean {
  switch (structure.kind) {
    case 'leaf': {
      const expected = avals[leaves.length]
      if (value instanceof NDArray) {
        if (value.aval !== expected && !avalsEqual(value.aval, expected)) return false
        leaves.push(value)
        return true
      }
      if (typeof value !== 'number' && typeof value !== 'boolean') return false
      const aval = scalarAval(value)
      if (!avalsEqual(aval, expected)) return false
      leaves.push(makeScalar(value, expected))
      return true
    }
    case 'none':
      return value === structure.value
    case 'tuple': {
      const { children } = structure
      if (!Array.isArray(value) || value.length !== children.length) return false
      for (let i = 0; i < children.length; i++) {
        if (!collectLeaves(children[i], value[i], avals, leaves)) return false
      }
      return true
    }
    case 'dict': {
      if (typeof value !== 'object' || value === null || !isPlain(value)) return false
      const { keys, children } = structure
      let count = 0
      for (const key in value) if (Object.hasOwn(value, key)) count++
      if (count !== keys.length) return false
      const record = value as Readonly<Record<string, unknown>>
      for (let i = 0; i < keys.length; i++) {
        const child = record[keys[i]]
        if (child === undefined && !(keys[i] in record)) return false
        if (!collectLeaves(children[i], child, avals, leaves)) return false
      }
      return true
    }
    case 'class':
      return false
  }
}
