/**
 * Expressions for others that mean the same and cost less, where all uses in a loop are known.
 *
 * 1 + tanh x = 2 / (1 + e^−2x): the gate of the tanh form of GELU (Hendrycks and Gimpel, Gaussian
 * Error Linear Units, 2016). It is also more accurate where tanh x is near −1 and the sum cancels.
 */
import { rootsOf } from '../../../compiler/dependence'
import { binary, constant, unary } from '../../../compiler/expr'
import type { Binary, Scalar, Unary } from '../../../compiler/expr'
import { rebuiltWith, withExpressions } from '../../../compiler/spaces'
import type { SpacedNode } from '../../../compiler/spaces'
import { forEachNode, operandsOf } from '../../../compiler/views'
import type { Cache } from '../../../compiler/views'

/** Reads the same buffers in the same order. */
export function withCheaperForms<N extends SpacedNode>(node: N): N {
  const gates = gatesOf(rootsOf(node))
  if (gates.size === 0) return node
  const cache: Cache = new Map()
  const visit = (e: Scalar): Scalar => {
    const known = cache.get(e)
    if (known !== undefined) return known
    const x = gates.get(e)
    const result = x === undefined ? rebuiltWith(e, visit) : gate(visit(x))
    cache.set(e, result)
    return result
  }
  return withExpressions(node, visit)
}

function gate(x: Scalar): Scalar {
  const { dtype } = x
  const e = unary('exp', dtype, scaled(x, -2))
  const sum = binary('add', dtype, constant(dtype, 1), e)
  return binary('div', dtype, constant(dtype, 2), sum)
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

/** The sums 1 + tanh x, with x, of which the tanh is used for nothing else. */
function gatesOf(roots: readonly Scalar[]): ReadonlyMap<Scalar, Scalar> {
  const uses = new Map<Scalar, number>()
  const use = (e: Scalar): void => void uses.set(e, (uses.get(e) ?? 0) + 1)
  const sums: { readonly sum: Binary; readonly tanh: Unary }[] = []
  roots.forEach(use)
  forEachNode(roots, (e) => {
    operandsOf(e).forEach(use)
    if (e.kind !== 'binary' || e.op !== 'add') return
    if (e.dtype !== 'float32' && e.dtype !== 'float64') return
    const [one, tanh] = e.x.kind === 'const' ? [e.x, e.y] : [e.y, e.x]
    if (one.kind === 'const' && one.value === 1 && tanh.kind === 'unary' && tanh.op === 'tanh')
      sums.push({ sum: e, tanh })
  })
  return new Map(
    sums.filter(({ tanh }) => uses.get(tanh) === 1).map(({ sum, tanh }) => [sum, tanh.x]),
  )
}
