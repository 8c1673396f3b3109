/**
 * The order of loops: those that only use up temporaries run as soon as they can.
 *
 * Programs list all gradients first and all updates after them. An update that runs right after its
 * gradient finds it in cache and frees its memory. A loop that reads a program's input waits until it
 * is the input's last reader, because its result may take the input's place.
 */
import { accessesOf } from './dependence'
import type { Buffer } from './expr'
import type { LoopNode, Program } from './nodes'
import { byteSize } from './plan'
import { Schedule, type Step } from './schedule'

export function soonUsedUp(program: Program): Program {
  const inputs = new Set(program.inputs)
  const kept = new Set([...program.inputs, ...program.outputs])
  const { steps } = new Schedule(program)
  const accesses = new Map(steps.map((s) => [s, accessesOf(s.node)]))
  const waiting = new Map(steps.map((s) => [s, s.before.size]))
  const readers = new Map<Buffer, Set<Step>>()
  for (const [step, { reads }] of accesses) {
    for (const b of reads) {
      const others = readers.get(b)
      if (others === undefined) readers.set(b, new Set([step]))
      else others.add(step)
    }
  }
  const emitted = new Set<Step>()
  const nodes: LoopNode[] = []

  const usesUp = (step: Step): boolean => {
    const { kind } = step.node
    if (kind !== 'map' && kind !== 'reduce' && kind !== 'rows') return false
    const { reads, writes } = accesses.get(step) ?? accessesOf(step.node)
    let freed = 0
    for (const b of reads) {
      const isLast = readers.get(b)?.size === 1
      if (inputs.has(b) && !isLast) return false
      if (isLast && !kept.has(b)) freed += byteSize(b)
    }
    let made = 0
    for (const b of writes) if (!kept.has(b)) made += byteSize(b)
    return freed > 0 && freed >= made
  }

  const emit = (first: Step): void => {
    const pending = [first]
    for (let step = pending.pop(); step !== undefined; step = pending.pop()) {
      if (emitted.has(step)) continue
      emitted.add(step)
      nodes.push(step.node)
      const candidates = new Set<Step>(step.after)
      for (const next of step.after) waiting.set(next, (waiting.get(next) ?? 0) - 1)
      for (const b of accesses.get(step)?.reads ?? []) {
        const others = readers.get(b)
        others?.delete(step)
        if (others?.size === 1) others.forEach((s) => candidates.add(s))
      }
      for (const next of candidates) if (waiting.get(next) === 0 && usesUp(next)) pending.push(next)
    }
  }
  steps.forEach((step) => emit(step))
  return { ...program, nodes }
}
