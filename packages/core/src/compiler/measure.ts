/** What an expression costs to evaluate once, in units of one cheap vector operation. */
import type { BinaryOp, Scalar, UnaryOp } from './expr'
import { forEachNode } from './views'

export interface Work {
  /** Weighted operations per element. */
  readonly cost: number
  /** Operation nodes, each shared one counted once. */
  readonly operations: number
  /** Distinct loads. */
  readonly loads: number
}

/** A read at a data-dependent address is slower than one that walks. */
const dynamicLoadCost = 3

const unaryCosts: { readonly [Op in UnaryOp]?: number } = {
  neg: 1,
  abs: 1,
  not: 1,
  sign: 2,
  floor: 2,
  ceil: 2,
  trunc: 2,
  round: 3,
  roundEven: 2,
  isFinite: 2,
  sqrt: 6,
  rsqrt: 8,
  exp: 12,
  exp2: 12,
  log: 16,
  popcount: 2,
  clz: 3,
}
const transcendentalCost = 20

const binaryCosts: { readonly [Op in BinaryOp]?: number } = {
  div: 4,
  rem: 12,
  pow: 40,
  atan2: 30,
  nextafter: 8,
}

export function operationCost(e: Scalar): number {
  switch (e.kind) {
    case 'unary':
      return unaryCosts[e.op] ?? transcendentalCost
    case 'binary':
      return binaryCosts[e.op] ?? 1
    case 'select':
    case 'convert':
      return 1
    case 'load':
      return e.offsets.length === 0 ? 0 : dynamicLoadCost
    default:
      return 0
  }
}

const known = new WeakMap<Scalar, Work>()

export function measure(root: Scalar): Work {
  const cached = known.get(root)
  if (cached !== undefined) return cached
  const work = measureAll([root])
  known.set(root, work)
  return work
}

/** Subexpressions that several roots share count once. */
export function measureAll(roots: Iterable<Scalar>): Work {
  let cost = 0
  let operations = 0
  let loads = 0
  forEachNode(roots, (e) => {
    switch (e.kind) {
      case 'const':
      case 'index':
      case 'accumulator':
        return
      case 'load':
        loads++
        break
      default:
        operations++
    }
    cost += operationCost(e)
  })
  return { cost, operations, loads }
}
