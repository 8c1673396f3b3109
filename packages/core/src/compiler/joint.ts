/**
 * Loops of equal structure that do not depend on each other become one `joint` node: the updates of
 * all leaves of a parameter tree, or the norms of all of them.
 *
 * Some loops may wait (`mayWait`): what they hand on or use up is small, or was made by a loop that
 * waits itself. They are put off until another one needs them or the program ends, and are then run
 * by the number of such loops that follow them, so that those that do the same for different leaves
 * come together. What is large stays where it is: an update that runs right after its gradient finds
 * it in cache, and frees its memory.
 *
 * Products that stand next to each other in the end and do not need each other are joined as well,
 * whatever they look like (`productsTogether`).
 */
import { sizeOf } from '../types/aval'
import type { Buffer } from './expr'
import { accessesOf, loadsIn } from './dependence'
import type { JointNode, JointPart, LoopNode, Program } from './nodes'
import { soonUsedUp } from './order'
import { byteSize, liveBytes } from './plan'
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
  let nodes = program.nodes
  for (const patience of steps.some((s) => isLoop(s.node)) ? [afterLoops, ...usual] : usual) {
    const waiting = mayWait(program, schedule, (s) => alike(s) !== null, patience)
    const order = putOff(schedule, waiting)
    nodes = joined(order, (s) => (waiting.has(s) ? alike(s) : null), schedule)
    const isLittle =
      !patience.fromLoops && temporaryBytes(program, waiting) <= bytesThatMayWait(program)
    if (isLittle || takesNoMore({ ...program, nodes }, program)) break
  }
  return { ...program, nodes }
}

/** What a loop may wait with. */
interface Patience {
  /** How many bytes a temporary may have that one of them makes. */
  readonly largest: number
  /** Whether what a scan or a while loop hands on may be large: all of it is there at one time. */
  readonly fromLoops: boolean
}
const afterLoops: Patience = { largest: Infinity, fromLoops: true }
const usual: readonly Patience[] = [Infinity, smallBytes, 0].map((largest) => ({
  largest,
  fromLoops: false,
}))

const isLoop = ({ kind }: LoopNode): boolean => kind === 'scan' || kind === 'while'

const bytesThatMayWait = ({ inputs }: Program): number =>
  Math.max(waitingBytes, waitingPart * inputs.reduce((bytes, b) => bytes + byteSize(b), 0))

/** Bytes of the temporaries that loops which wait hand to each other. */
function temporaryBytes({ outputs }: Program, waiting: ReadonlySet<Step>): number {
  const kept = new Set(outputs)
  const handedOn = new Set<Buffer>()
  for (const { node } of waiting)
    for (const b of accessesOf(node).writes) if (!kept.has(b)) handedOn.add(b)
  let bytes = 0
  for (const b of handedOn) bytes += byteSize(b)
  return bytes
}

/** Whether as much lives at one time anyway: what all loops wait for together, as a stack of matrices. */
const takesNoMore = (one: Program, other: Program): boolean =>
  liveBytes(soonUsedUp(one)) <= liveBytes(soonUsedUp(other)) + smallBytes

/** Equal for loops that may be parts of one joint node. */
export const keyOfAlike = (node: LoopNode): string =>
  structureKey(node, { sizes: false, steps: false, constants: false })

/** What is seen at a glance of loops of equal structure; null for those that are never joined. */
function signatureOf(node: LoopNode): string | null {
  switch (node.kind) {
    case 'map':
      return `map ${node.shape.length} ${node.stores.length} ${loadsIn(node).length}`
    case 'reduce':
      return `reduce ${node.shape.length} ${node.reduced.length} ${node.reductions.length} ${node.stores.length} ${loadsIn(node).length}`
    case 'rows':
      return `rows ${node.shape.length} ${node.steps.length} ${node.locals.length} ${loadsIn(node).length}`
    case 'copy':
      return `copy ${node.source.dtype}`
    default:
      return null
  }
}

/** The loops that may be put off. What others make for them is small, loops' results excepted. */
function mayWait(
  { inputs, outputs }: Program,
  { steps, writer, assembled }: Schedule,
  isCandidate: (step: Step) => boolean,
  { largest, fromLoops }: Patience,
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
      return source !== undefined && (found.has(source) || (fromLoops && isLoop(source.node)))
    }
    const makesLittle = [...writes].every(
      (b) => !assembled.has(b) && (kept.has(b) || byteSize(b) <= largest),
    )
    if (makesLittle && [...reads].every(isFine)) found.add(step)
  }
  return found
}

/**
 * Whether `next` stands behind `step` only because both write pieces of one buffer. Whoever reads it
 * stands behind the last piece, so what is said of that holds for all of them.
 */
function isNextPiece({ pieced }: Schedule, step: Step, next: Step): boolean {
  if (pieced.size === 0) return false
  const [one, other] = [accessesOf(step.node), accessesOf(next.node)]
  let isPiece = false
  for (const b of one.writes) {
    if (other.reads.has(b)) return false
    if (!other.writes.has(b)) continue
    if (!pieced.has(b)) return false
    isPiece = true
  }
  for (const b of one.reads) if (other.writes.has(b)) return false
  return isPiece
}

/**
 * All others in their order, and before each those it needs; the rest at the end. Loops that wait run
 * by how many of them follow each other from there on, so that none stands before what it needs.
 */
function putOff(schedule: Schedule, waiting: ReadonlySet<Step>): readonly Step[] {
  const { steps } = schedule
  const heights = new Map<Step, number>()
  for (let i = steps.length - 1; i >= 0; i--) {
    const step = steps[i]
    let height = 0
    for (const next of step.after) {
      const isLater = waiting.has(next) && !isNextPiece(schedule, step, next)
      height = Math.max(height, (heights.get(next) ?? 0) + (isLater ? 1 : 0))
    }
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

/** The place in an order of the first step that needs a step. */
function neededIn(order: readonly Step[], schedule: Schedule): ReadonlyMap<Step, number> {
  const places = new Map(order.map((s, i) => [s, i]))
  const needed = new Map<Step, number>()
  for (let i = order.length - 1; i >= 0; i--) {
    const step = order[i]
    let first = Infinity
    for (const next of step.after) {
      const isPiece = isNextPiece(schedule, step, next)
      first = Math.min(first, (isPiece ? needed : places).get(next) ?? 0)
    }
    needed.set(step, first)
  }
  return needed
}

/**
 * Joins loops of one structure. Each stands where the last of its parts stood, which is before
 * anything that needs one of them; so no part depends on another.
 */
function joined(
  order: readonly Step[],
  alike: (step: Step) => string | null,
  schedule: Schedule,
): readonly LoopNode[] {
  const needed = neededIn(order, schedule)
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
    const growing = (open.get(signature) ?? []).filter((j) => j.neededAt > place)
    let joint = growing.find((j) => keyOf(j.steps[0]) === keyOf(step))
    if (joint === undefined) growing.push((joint = { steps: [], neededAt: Infinity }))
    joint.steps.push(step)
    joint.neededAt = Math.min(joint.neededAt, needed.get(step) ?? 0)
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

/** The program with products that follow one another, and do not need each other, as one node. */
export function productsTogether(program: Program): Program {
  const nodes: LoopNode[] = []
  let products: LoopNode[] = []
  const written = new Set<Buffer>()
  const read = new Set<Buffer>()
  const close = (): void => {
    nodes.push(...(products.length > 1 ? [jointOfParts(products)] : products))
    products = []
    written.clear()
    read.clear()
  }
  for (const node of program.nodes) {
    const { reads, writes } = accessesOf(node)
    const needs = [...reads, ...writes].some((b) => written.has(b))
    if (node.kind !== 'contract' || needs || [...writes].some((b) => read.has(b))) close()
    if (node.kind !== 'contract') {
      nodes.push(node)
      continue
    }
    products.push(node)
    for (const b of reads) read.add(b)
    for (const b of writes) written.add(b)
  }
  close()
  return { ...program, nodes }
}

/** The elements that a part goes through, those along sums included. */
export const elementsOf = (part: JointPart): number => {
  switch (part.kind) {
    case 'map':
      return sizeOf(part.shape)
    case 'reduce':
      return sizeOf(part.shape) * sizeOf(part.reduced)
    case 'rows':
      return part.steps.reduce((sum, step) => sum + elementsOf(step), 0)
    case 'copy':
      return part.source.size
    case 'contract':
      return sizeOf([...part.batch, ...part.m, ...part.n, ...part.k])
  }
}

const isPart = (node: LoopNode): node is JointPart =>
  node.kind === 'map' ||
  node.kind === 'reduce' ||
  node.kind === 'rows' ||
  node.kind === 'copy' ||
  node.kind === 'contract'

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

/** What fusion needs of joint nodes, by value: only pages with whole programs have it. */
export interface Joining {
  readonly keyOfAlike: typeof keyOfAlike
  readonly jointly: typeof jointly
  readonly productsTogether: typeof productsTogether
}

export const joining: Joining = { keyOfAlike, jointly, productsTogether }
