/**
 * Expressions for others that mean the same and cost less, where all uses in a loop are known.
 *
 * 1 + tanh x = 2 / (1 + e^−2x): the gate of the tanh form of GELU (Hendrycks and Gimpel, Gaussian
 * Error Linear Units, 2016). It is also more accurate where tanh x is near −1 and the sum cancels.
 * Half of it is 1 / (1 + e^−2x), and a product with that one quotient.
 */
import { rootsOf } from '../../../compiler/dependence'
import { binary, constant, unary } from '../../../compiler/expr'
import type { Binary, Scalar, Unary } from '../../../compiler/expr'
import { withExpressions } from '../../../compiler/spaces'
import type { SpacedNode } from '../../../compiler/spaces'
import { forEachNode, operandsOf, withOperands } from '../../../compiler/views'
import type { Cache } from '../../../compiler/views'

/** Reads the same buffers in the same order. */
export function withCheaperForms<N extends SpacedNode>(node: N): N {
  const gates = new Gates(rootsOf(node))
  if (gates.none) return node
  const cache: Cache = new Map()
  const visit = (e: Scalar): Scalar => {
    const known = cache.get(e)
    if (known !== undefined) return known
    const gated = gates.gated(e)
    const result = gated === null ? withOperands(e, visit) : quotient(gated, visit)
    cache.set(e, result)
    return result
  }
  return withExpressions(node, visit)
}

/** factor · other · (1 + tanh x) */
interface Gated {
  readonly x: Scalar
  readonly factor: number
  readonly other: Scalar | null
}

/** 2 factor · other / (1 + e^−2x) */
function quotient({ x, factor, other }: Gated, visit: (e: Scalar) => Scalar): Scalar {
  const { dtype } = x
  const e = unary('exp', dtype, scaled(visit(x), -2))
  const sum = binary('add', dtype, constant(dtype, 1), e)
  return binary('div', dtype, other === null ? constant(dtype, 2 * factor) : visit(other), sum)
}

/** x times a power of two, which rounds nothing, so that a factor of x may take it. */
function scaled(x: Scalar, factor: number): Scalar {
  const { dtype } = x
  if (x.kind === 'binary' && x.op === 'mul') {
    const [constantFactor, other] = x.x.kind === 'const' ? [x.x, x.y] : [x.y, x.x]
    if (constantFactor.kind === 'const')
      return binary('mul', dtype, constant(dtype, factor * Number(constantFactor.value)), other)
  }
  return binary('mul', dtype, x, constant(dtype, factor))
}

/** The sums 1 + tanh x of which the tanh is used for nothing else, and products with them. */
class Gates {
  private readonly uses = new Map<Scalar, number>()
  /** x of every sum. */
  private readonly sums: ReadonlyMap<Scalar, Scalar>

  constructor(roots: readonly Scalar[]) {
    const sums: { readonly sum: Binary; readonly tanh: Unary }[] = []
    const use = (e: Scalar): void => void this.uses.set(e, (this.uses.get(e) ?? 0) + 1)
    roots.forEach(use)
    forEachNode(roots, (e) => {
      operandsOf(e).forEach(use)
      if (e.kind !== 'binary' || e.op !== 'add') return
      if (e.dtype !== 'float32' && e.dtype !== 'float64') return
      const [one, tanh] = e.x.kind === 'const' ? [e.x, e.y] : [e.y, e.x]
      if (one.kind === 'const' && one.value === 1 && tanh.kind === 'unary' && tanh.op === 'tanh')
        sums.push({ sum: e, tanh })
    })
    this.sums = new Map(
      sums.filter(({ tanh }) => this.usedOnce(tanh)).map(({ sum, tanh }) => [sum, tanh.x]),
    )
  }

  get none(): boolean {
    return this.sums.size === 0
  }

  private usedOnce(e: Scalar): boolean {
    return this.uses.get(e) === 1
  }

  /** What becomes a quotient as a whole. */
  gated(e: Scalar): Gated | null {
    const x = this.sums.get(e)
    if (x !== undefined) return { x, factor: 1, other: null }
    if (e.kind !== 'binary' || e.op !== 'mul') return null
    for (const [part, other] of [
      [e.x, e.y],
      [e.y, e.x],
    ] as const) {
      const inner = this.usedOnce(part) ? this.gated(part) : null
      if (inner === null || inner.other !== null) continue
      if (other.kind === 'const') {
        const factor = inner.factor * Number(other.value)
        // Only what rounds nothing may be done in another order.
        if (factor === 0.5) return { ...inner, factor }
      } else if (inner.factor === 0.5) return { ...inner, other }
    }
    return null
  }
}
