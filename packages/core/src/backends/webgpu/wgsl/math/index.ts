/** The mathematical functions of WGSL kernels, and which declarations a piece of code needs. */
import { bits } from './bits'
import { exponential } from './exponential'
import { integers } from './integers'
import { narrow } from './narrow'
import { special } from './special'
import type { Declarations } from './text'
import { trigonometric } from './trigonometric'

export { f32 } from './text'

const library: Declarations = {
  ...bits,
  ...exponential,
  ...integers,
  ...narrow,
  ...special,
  ...trigonometric,
}

const identifier = /[A-Za-z_][A-Za-z_0-9]*/g
const uses = new Map<string, readonly string[]>()

/** The declarations of the library whose names stand in a text. */
function namesIn(text: string): readonly string[] {
  const found = text.match(identifier) ?? []
  return [...new Set(found)].filter((name) => Object.hasOwn(library, name))
}

function usesOf(name: string): readonly string[] {
  const known = uses.get(name)
  if (known !== undefined) return known
  const found = namesIn(library[name]).filter((other) => other !== name)
  uses.set(name, found)
  return found
}

/**
 * Calls `define` for what a piece of code uses, directly or not, each name once. A kernel that gets
 * `opaque_zero` sets it before anything else: `arrayLength(&any_buffer) >> 31u`.
 */
export function requireMath(text: string, define: (name: string, code: string) => void): void {
  const done = new Set<string>()
  const visit = (name: string): void => {
    if (done.has(name)) return
    done.add(name)
    for (const other of usesOf(name)) visit(other)
    define(name, library[name])
  }
  for (const name of namesIn(text)) visit(name)
}
