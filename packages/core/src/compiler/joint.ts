/**
 * Loops of equal structure that do not depend on each other become one `joint` node: the updates of
 * all leaves of a parameter tree, or the norms of all of them.
 *
 * Some loops may wait (`mayWait`): what they hand on or use up is small, or was made by a loop that
 * waits itself. They are put off until another one needs them or the program ends, and are then run
 * by the number of such loops that follow them, so that those that do the same for different leaves
 * come together. What is large stays where it is: an update that runs right after its gradient finds
 * it in cache, and frees its memory.
 */
import { sizeOf } from '../types/aval'
import type { Buffer } from './expr'
import { accessesOf, loadsIn } from './dependence'
import type { JointNode, JointPart, LoopNode, Program } from './nodes'
import { byteSize } from './plan'
import { Schedule, type Step } from './schedule'
import { structureKey } from './structure'

/** Bytes of a temporary that may be left in memory for later. */
const smallBytes = 1 << 16
/** Temporaries that wait may take this much, or this part of the program's inputs. */
const waitingBytes = 1 << 20
const waitingPart = 1 / 3

export function jointly(program: Program): Program {
  const schedule = new Schedule(program)
  const { steps } = schedule
  const signatures = new Map(steps.map((s) => [s, signatureOf(s.node)]))
  const counts = new Map<string, number>()
  for (const signature of signatures.values())
    if (signature !== null) counts.set(signature, (counts.get(signature) ?? 0) + 1)
  const alike = (step: Step): string | null => {
    const signature = signatures.get(step) ?? null
    return signature !== null && (counts.get(signature) ?? 0) > 1 ? signature : null
  }
  if (!steps.some((s) => alike(s) !== null)) return program
  let waiting = new Set<Step>()
  for (const largest of [Infinity, smallBytes, 0]) {
    waiting = mayWait(program, schedule, (s) => alike(s) !== null, largest)
    if (temporaryBytes(program, waiting) <= bytesThatMayWait(program)) break
  }
  const order = putOff(steps, waiting)
  return { ...program, nodes: joined(order, (s) => (waiting.has(s) ? alike(s) : null)) }
}

const bytesThatMayWait = ({ inputs }: Program): number =>
  Math.max(waitingBytes, waitingPart * inputs.reduce((bytes, b) => bytes + byteSize(b), 0))

/** Bytes of the temporaries that loops which wait hand to each other. */
function temporaryBytes({ outputs }: Program, waiting: ReadonlySet<Step>): number {
  const kept = new Set(outputs)
  let bytes = 0
  for (const { node } of waiting)
    for (const b of accessesOf(node).writes) if (!kept.has(b)) bytes += byteSize(b)
  return bytes
}

/** Equal for loops that may be parts of one joint node. */
export const keyOfAlike = (node: LoopNode): string =>
  structureKey(node, { sizes: false, steps: false })

/** What is seen at a glance of loops of equal structure; null for those that are never joined. */
function signatureOf(node: LoopNode): string | null {
  switch (node.kind) {
    case 'map':
      return `map ${node.shape.length} ${node.stores.length} ${loadsIn(node).length}`
    case 'reduce':
      return `reduce ${node.shape.length} ${node.reduced.length} ${node.reductions.length} ${node.stores.length} ${loadsIn(node).length}`
    case 'copy':
      return `copy ${node.source.dtype}`
    default:
      return null
  }
}

/**
 * The loops that may be put off. `largest` is how many bytes a temporary may have that one of them
 * makes; what others make for them is small.
 */
function mayWait(
  { inputs, outputs }: Program,
  { steps, writer, assembled }: Schedule,
  isCandidate: (step: Step) => boolean,
  largest: number,
): Set<Step> {
  const given = new Set(inputs)
  const kept = new Set(outputs)
  const found = new Set<Step>()
  for (const step of steps) {
    if (!isCandidate(step)) continue
    const { reads, writes } = accessesOf(step.node)
    const isFine = (b: Buffer): boolean => {
      if (byteSize(b) <= smallBytes || given.has(b)) return true
      const source = writer.get(b)
      return source !== undefined && found.has(source)
    }
    const makesLittle = [...writes].every(
      (b) => !assembled.has(b) && (kept.has(b) || byteSize(b) <= largest),
    )
    if (makesLittle && [...reads].every(isFine)) found.add(step)
  }
  return found
}

/**
 * All others in their order, and before each those it needs; the rest at the end. Loops that wait run
 * by how many of them follow each other from there on, so that none stands before what it needs.
 */
function putOff(steps: readonly Step[], waiting: ReadonlySet<Step>): readonly Step[] {
  const heights = new Map<Step, number>()
  for (let i = steps.length - 1; i >= 0; i--) {
    const step = steps[i]
    let height = 0
    for (const next of step.after)
      height = Math.max(height, (heights.get(next) ?? 0) + (waiting.has(next) ? 1 : 0))
    heights.set(step, height)
  }
  const order: Step[] = []
  const pending = new Set<Step>()
  const run = (some: readonly Step[]): void => {
    const height = (s: Step): number => heights.get(s) ?? 0
    for (const s of [...some].sort((a, b) => height(b) - height(a) || a.position - b.position)) {
      pending.delete(s)
      order.push(s)
    }
  }
  const needed = (step: Step): readonly Step[] => {
    const found = new Set<Step>()
    const open = [step]
    for (let s = open.pop(); s !== undefined; s = open.pop()) {
      for (const before of s.before) {
        if (!pending.has(before) || found.has(before)) continue
        found.add(before)
        open.push(before)
      }
    }
    return [...found]
  }
  for (const step of steps) {
    if (waiting.has(step)) pending.add(step)
    else {
      run(needed(step))
      order.push(step)
    }
  }
  run([...pending])
  return order
}

interface Joint {
  readonly steps: Step[]
  /** The place in the order of the first step that needs one of them. */
  neededAt: number
}

/**
 * Joins loops of one structure. Each stands where the last of its parts stood, which is before
 * anything that needs one of them; so no part depends on another.
 */
function joined(order: readonly Step[], alike: (step: Step) => string | null): readonly LoopNode[] {
  const places = new Map(order.map((s, i) => [s, i]))
  const keys = new Map<Step, string>()
  const keyOf = (step: Step): string => {
    let key = keys.get(step)
    if (key === undefined) {
      key = keyOfAlike(step.node)
      keys.set(step, key)
    }
    return key
  }
  /** The joints that may still grow, by what is seen of their parts at a glance. */
  const open = new Map<string, Joint[]>()
  const jointOf = new Map<Step, Joint>()
  order.forEach((step, place) => {
    const signature = alike(step)
    if (signature === null) return
    let neededAt = Infinity
    for (const next of step.after) neededAt = Math.min(neededAt, places.get(next) ?? 0)
    const growing = (open.get(signature) ?? []).filter((j) => j.neededAt > place)
    const same = growing.find((j) => keyOf(j.steps[0]) === keyOf(step))
    if (same === undefined) growing.push({ steps: [step], neededAt })
    else {
      same.steps.push(step)
      same.neededAt = Math.min(same.neededAt, neededAt)
    }
    const joint = same ?? growing[growing.length - 1]
    jointOf.set(step, joint)
    open.set(signature, growing)
  })
  return order.flatMap((step): readonly LoopNode[] => {
    const joint = jointOf.get(step)
    if (joint === undefined || joint.steps.length === 1) return [step.node]
    return joint.steps.at(-1) === step ? [jointOfParts(joint.steps.map((s) => s.node))] : []
  })
}

const jointOfParts = (nodes: readonly LoopNode[]): JointNode => ({
  kind: 'joint',
  parts: nodes.filter(isPart),
})

/** The elements that a part goes through. */
export const elementsOf = (part: JointPart): number => {
  switch (part.kind) {
    case 'map':
      return sizeOf(part.shape)
    case 'reduce':
      return sizeOf(part.shape) * sizeOf(part.reduced)
    case 'copy':
      return part.source.size
  }
}

const isPart = (node: LoopNode): node is JointPart =>
  node.kind === 'map' || node.kind === 'reduce' || node.kind === 'copy'

/** The program with the parts of its joint nodes as loops of their own. */
export function withoutJoints(program: Program): Program {
  const nodes = program.nodes.flatMap((node): readonly LoopNode[] => {
    switch (node.kind) {
      case 'joint':
        return node.parts
      case 'scan':
        return [{ ...node, body: withoutJoints(node.body) }]
      case 'while':
        return [
          { ...node, condition: withoutJoints(node.condition), body: withoutJoints(node.body) },
        ]
      case 'branch':
        return [{ ...node, branches: node.branches.map(withoutJoints) }]
      default:
        return [node]
    }
  })
  return { ...program, nodes }
}
