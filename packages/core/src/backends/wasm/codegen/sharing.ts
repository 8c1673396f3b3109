/** What threads share: which nodes are worth dividing, and which programs are worth waking threads for. */
import { nodeCost } from '../../../compiler/cost'
import { programsOf, rootsOf } from '../../../compiler/dependence'
import { measureAll } from '../../../compiler/measure'
import type { LoopNode, Program } from '../../../compiler/nodes'
import { sizeOf } from '../../../types/aval'
import { scatterDivision, updateSpace } from '../kernels/scatter-division'

/** How threads run a node: thread 0 alone, each its share, or together what is inside of it. */
export type Manner = 'alone' | 'shared' | 'inside'

/** From how many nanoseconds on sharing is worth it, and how long threads wait for each other. */
export interface Sharing {
  /** What a node takes on one thread that threads meet for. */
  readonly node: number
  /** What all threads together save in one turn of a loop. */
  readonly turn: number
  /**
   * What they save in a program. Threads that sleep take up to 60 microseconds to wake; inside a
   * loop they are awake.
   */
  readonly program: number
  /** What a barrier costs, with what is lost because shares are not quite equal. */
  readonly barrier: number
  /** Seconds without a sign of life from any worker until the first thread gives up. */
  readonly patience: number
}

export const usualSharing: Sharing = {
  node: 6_000,
  turn: 4_000,
  program: 60_000,
  barrier: 1_000,
  patience: 5,
}

/** Shares whatever can be shared, to test that it may be. */
export const shareEverything: Sharing = {
  ...usualSharing,
  node: 0,
  turn: 0,
  program: 0,
  barrier: 0,
}

/** Nanoseconds on one thread, within a factor of two or three. */
export function estimatedTime(node: LoopNode): number {
  switch (node.kind) {
    case 'map':
      return sizeOf(node.shape) * perElement(node)
    case 'reduce':
      return sizeOf(node.shape) * sizeOf(node.reduced) * perElement(node)
    case 'rows':
      return node.steps.reduce((sum, step) => sum + estimatedTime(step), 0)
    case 'joint':
      return node.parts.reduce((sum, part) => sum + estimatedTime(part), 0)
    case 'contract':
      return nodeCost(node).flops / 45
    case 'scatter':
      // One element at a time: reading, adding and writing it again takes about a nanosecond.
      return sizeOf(node.shape) * (1 + perElement(node))
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

const sharedIf = (worthwhile: boolean): Manner => (worthwhile ? 'shared' : 'alone')

/** Columns that one thread does at once. */
const FEWEST_COLUMNS = 16

export function mannerOf(node: LoopNode, threads: number, worth: Sharing): Manner {
  switch (node.kind) {
    case 'map':
    case 'reduce':
    case 'rows':
    case 'joint':
    case 'contract':
      return estimatedTime(node) >= worth.node ? 'shared' : 'alone'
    case 'selectAndScatter':
      // Windows of different threads must not overlap.
      return node.sourceShape.length > 1 &&
        node.geometry.window[0] === 1 &&
        estimatedTime(node) >= worth.node
        ? 'shared'
        : 'alone'
    case 'sort':
      return sharedIf(node.rows > 1 && estimatedTime(node) >= worth.node)
    case 'cumulative':
      // Of one row threads share columns, a cache line at a time.
      return sharedIf(
        (node.outer > 1 || node.inner > FEWEST_COLUMNS) && estimatedTime(node) >= worth.node,
      )
    case 'cholesky':
      return sharedIf(node.batch > 1 && estimatedTime(node) >= worth.node)
    case 'triangularSolve':
      return sharedIf(
        (node.batch > 1 || node.columns > FEWEST_COLUMNS) && estimatedTime(node) >= worth.node,
      )
    case 'scatter':
      return sharedIf(
        estimatedTime(node) >= worth.node && scatterDivision(updateSpace(node)) !== null,
      )
    case 'scan':
    case 'while':
    case 'branch':
      // Every turn of a loop meets at least once.
      return programsOf(node).some((program) => gain(program, threads, worth) >= worth.turn)
        ? 'inside'
        : 'alone'
    default:
      return 'alone'
  }
}

/** Nanoseconds that threads save in one run of a program. */
function gain(program: Program, threads: number, worth: Sharing): number {
  return program.nodes.reduce((sum, node) => sum + gainOf(node, threads, worth), 0)
}

function gainOf(node: LoopNode, threads: number, worth: Sharing): number {
  switch (mannerOf(node, threads, worth)) {
    case 'alone':
      return 0
    case 'shared':
      return estimatedTime(node) * (1 - 1 / threads) - worth.barrier
    case 'inside': {
      const once = Math.max(...programsOf(node).map((program) => gain(program, threads, worth)))
      return node.kind === 'scan' ? node.length * once : once
    }
  }
}

/** Whether a program gains by being run on several threads. */
export const isWorthSharing = (program: Program, threads: number, worth: Sharing): boolean =>
  threads > 1 && gain(program, threads, worth) >= worth.program
