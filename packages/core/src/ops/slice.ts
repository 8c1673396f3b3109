/** Slices: `'1:4'` and `slice(1, 4)`, and which elements of an axis they mean. */
import { ArgumentError, IndexingError } from '../types/errors'

/** A range of an axis; null means as far as possible. */
export class Slice {
  constructor(
    readonly start: number | null,
    readonly stop: number | null,
    readonly step: number | null,
  ) {}
}

/** `slice(stop)`, `slice(start, stop)` or `slice(start, stop, step)`, as Python's. */
export function slice(
  startOrStop: number | null,
  ...rest: readonly [stop?: number | null, step?: number | null]
): Slice {
  const bounds = rest.length === 0 ? [null, startOrStop, null] : [startOrStop, rest[0], rest[1]]
  for (const bound of bounds) {
    if (bound != null && !Number.isInteger(bound)) {
      throw new ArgumentError({
        op: 'slice(start, stop, step)',
        problem: `${String(bound)} is not an integer`,
        rule: 'bounds are JavaScript integers or null, because shapes are static',
        hint: 'lax.dynamicSlice takes traced starts',
      })
    }
  }
  const [start, stop, step] = bounds.map((b) => b ?? null)
  return new Slice(start, stop, step)
}

/** Reads `'start:stop:step'`; null when the text is not a slice. */
export function parseSlice(text: string): Slice | null {
  const parts = text.split(':').map((part) => part.trim())
  if (parts.length < 2 || parts.length > 3) return null
  if (!parts.every((part) => /^([+-]?\d+)?$/.test(part))) return null
  const [start, stop, step] = [...parts, ''].map((part) => (part === '' ? null : Number(part)))
  return new Slice(start, stop, step)
}

export interface SliceExtent {
  readonly start: number
  readonly step: number
  readonly size: number
}

/** The elements of an axis of `n` that a slice means: Python's `slice.indices`. */
export function extentOf(slice: Slice, n: number): SliceExtent {
  const step = slice.step ?? 1
  if (step === 0) {
    throw new IndexingError({ op: 'slice', problem: 'the step is 0', rule: 'a step is not 0' })
  }
  const [low, high] = step > 0 ? [0, n] : [-1, n - 1]
  const clamp = (bound: number | null, open: number): number => {
    if (bound === null) return open
    return Math.min(high, Math.max(low, bound < 0 ? bound + n : bound))
  }
  const start = clamp(slice.start, step > 0 ? low : high)
  const stop = clamp(slice.stop, step > 0 ? high : low)
  return { start, step, size: Math.max(0, Math.ceil((stop - start) / step)) }
}
