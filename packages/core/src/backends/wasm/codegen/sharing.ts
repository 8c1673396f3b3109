/** What threads share: which nodes are worth dividing, and which programs are worth waking threads for. */
import { nodeCost } from '../../../compiler/cost'
import { programsOf, rootsOf } from '../../../compiler/dependence'
import { measureAll } from '../../../compiler/measure'
import type { LoopNode, Program } from '../../../compiler/nodes'
import { sizeOf } from '../../../types/aval'

/** How threads run a node: thread 0 alone, each its share, or together what is inside of it. */
export type Manner = 'alone' | 'shared' | 'inside'

/** A node that takes fewer nanoseconds on one thread than this is not worth meeting for. */
const WORTH_SHARING = 6_000
/**
 * Threads that sleep take up to 60 microseconds to wake, so a program must have more than that to
 * gain. Inside a loop they are awake.
 */
const WORTH_WAKING = 60_000
const WORTH_MEETING = 4_000
/** What a barrier costs, with what is lost because shares are not quite equal. */
const BARRIER = 1_000

/** Nanoseconds on one thread, within a factor of two or three. */
export function estimatedTime(node: LoopNode): number {
  switch (node.kind) {
    case 'map':
      return sizeOf(node.shape) * perElement(node)
    case 'reduce':
      return sizeOf(node.shape) * sizeOf(node.reduced) * perElement(node)
    case 'contract':
      return Math.max(nodeCost(node).flops / 45, 0)
    case 'scan':
      return node.length * programTime(node.body)
    case 'while':
      return programTime(node.condition) + programTime(node.body)
    case 'branch':
      return Math.max(0, ...node.branches.map(programTime))
    default: {
      const { flops, bytesRead, bytesWritten } = nodeCost(node)
      return flops + (bytesRead + bytesWritten) / 10
    }
  }
}

const perElement = (node: LoopNode): number => 0.1 + 0.04 * measureAll(rootsOf(node)).cost

const programTime = (program: Program): number =>
  program.nodes.reduce((sum, node) => sum + estimatedTime(node), 0)

export function mannerOf(node: LoopNode, threads: number): Manner {
  switch (node.kind) {
    case 'map':
    case 'reduce':
    case 'contract':
      return estimatedTime(node) >= WORTH_SHARING ? 'shared' : 'alone'
    case 'scan':
    case 'while':
    case 'branch':
      // Every turn of a loop meets at least once.
      return programsOf(node).some((program) => gain(program, threads) >= WORTH_MEETING)
        ? 'inside'
        : 'alone'
    default:
      return 'alone'
  }
}

/** Nanoseconds that threads save in one run of a program. */
function gain(program: Program, threads: number): number {
  return program.nodes.reduce((sum, node) => sum + gainOf(node, threads), 0)
}

function gainOf(node: LoopNode, threads: number): number {
  switch (mannerOf(node, threads)) {
    case 'alone':
      return 0
    case 'shared':
      return estimatedTime(node) * (1 - 1 / threads) - BARRIER
    case 'inside': {
      const once = Math.max(...programsOf(node).map((program) => gain(program, threads)))
      return node.kind === 'scan' ? node.length * once : once
    }
  }
}

/** Whether a program gains by being run on several threads. */
export const isWorthSharing = (program: Program, threads: number): boolean =>
  threads > 1 && gain(program, threads) >= WORTH_WAKING
