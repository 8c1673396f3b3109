/** Why a jitted function was traced again. */
import { tree } from '@adjoint/core/internal'
import { type Signature, staticKey } from './signature'

const weakness = (weak: boolean): string => (weak ? ' (weakly typed)' : '')

/** Everything in which two signatures differ, one clause each. */
export function differences(before: Signature, now: Signature): readonly string[] {
  const found: string[] = []
  const structure = tree.firstDifference(before.structure, now.structure, 'args')
  if (structure !== null) {
    found.push(`${structure.path}: the tree structure changed (${structure.problem})`)
  } else {
    const paths = tree.structurePaths(now.structure, 'args')
    now.avals.forEach((aval, i) => {
      const old = before.avals[i]
      if (String(old) !== String(aval)) found.push(`${paths[i]}: was ${old}, now ${aval}`)
      else if (old.weakType !== aval.weakType) {
        const [was, is] = [weakness(old.weakType), weakness(aval.weakType)]
        found.push(`${paths[i]}: was ${old}${was}, now ${aval}${is}`)
      }
    })
  }
  now.statics.forEach((value, i) => {
    if (staticKey(before.statics[i]) !== staticKey(value)) {
      found.push(`static argument ${i}: was ${show(before.statics[i])}, now ${show(value)}`)
    }
  })
  if (before.device !== now.device) found.push(`device: was ${before.device}, now ${now.device}`)
  if (before.axes !== now.axes) {
    found.push(`named axes: were ${before.axes || 'none'}, now ${now.axes || 'none'}`)
  }
  return found
}

const show = (value: unknown): string =>
  typeof value === 'function'
    ? `function ${value.name || '(anonymous)'}`
    : typeof value === 'object' && value !== null
      ? staticKey(value)
      : String(value)

export interface TraceLog {
  readonly name: string
  /** How often the function has been traced. */
  readonly traceCount: number
  /** What it was last traced for, oldest first. */
  readonly traces: readonly Signature[]
}

/** One paragraph per trace: what was new compared with the most similar earlier one. */
export function explainTraces({ name, traceCount, traces }: TraceLog): string {
  const times = traceCount === 1 ? 'once' : `${traceCount} times`
  const lines = [`${name} was traced ${traceCount === 0 ? 'not yet' : times}`]
  const forgotten = traceCount - traces.length
  traces.forEach((signature, i) => {
    if (i === 0) {
      const which = forgotten === 0 ? 'trace 1: first call' : `trace ${forgotten + 1}`
      lines.push(`${which}, with (${signature.avals.map(String).join(', ')})`)
      return
    }
    const candidates = traces.slice(0, i).map((earlier) => differences(earlier, signature))
    const closest = candidates.reduce((best, c) => (c.length <= best.length ? c : best))
    const reasons = closest.length === 0 ? ['an earlier program had been forgotten'] : closest
    lines.push(`trace ${forgotten + i + 1}:`, ...reasons.map((reason) => `  ${reason}`))
  })
  return lines.join('\n')
}
