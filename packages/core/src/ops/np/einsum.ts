/** Einstein summation. */
import type { NDArray } from '../../array/ndarray'
import { sizeOf } from '../../types/aval'
import { ArgumentError, ShapeError } from '../../types/errors'
import { type ArrayLike, asArray, operandReports } from '../promotion'
import { checkOptions, isOptions } from '../arguments'
import {
  arrange,
  dropBroadcastAxes,
  inCommonType,
  type Labelled,
  multiplyLabelled,
  sumOut,
} from './contraction'
import type { ProductOptions } from './products'
import { diagonal } from './shape'

/**
 * Sums of products by labels: `einsum('ij,jk->ik', a, b)` is the matrix product.
 *
 * Each letter names an axis. Axes that share a letter are multiplied together; letters missing
 * after `->` are summed. Without `->`, letters that stand once are kept in alphabetical order.
 * `...` stands for any axes, broadcast together. Products are formed two at a time, the pair that
 * gives the smallest result first.
 *
 * @throws ArgumentError when the subscripts cannot be read
 * @throws ShapeError when an axis does not fit its letter
 * @example
 * const batch = np.ones([2, 3, 3])
 * np.einsum('bij,bjk->bik', batch, batch).shape // [ 2, 3, 3 ]
 * np.einsum('ii', np.eye(3)) // Array(3., dtype=float32)
 */
export function einsum(
  subscripts: string,
  ...args: readonly (ArrayLike | ProductOptions)[]
): NDArray {
  const last = args.at(-1)
  const options: ProductOptions = isOptions<ProductOptions>(last)
    ? checkOptions('einsum', last, ['preferredElementType'])
    : {}
  const operands = (isOptions(last) ? args.slice(0, -1) : args).map((x) =>
    asArray('einsum', x as ArrayLike),
  )
  const { inputs, output } = parse(subscripts, operands)
  return inCommonType('einsum', operands, (xs) => {
    let terms = dropBroadcastAxes(xs.map((x, i) => takeDiagonals({ x, labels: inputs[i] })))
    while (terms.length > 1) {
      const [i, j] = cheapestPair(terms, output)
      const others = terms.filter((_, t) => t !== i && t !== j)
      const isWanted = (l: string): boolean =>
        output.includes(l) || others.some((o) => o.labels.includes(l))
      terms = [
        ...others,
        multiplyLabelled(terms[i], terms[j], isWanted, options.preferredElementType ?? null),
      ]
    }
    return arrange(
      sumOut(terms[0], (l) => output.includes(l)),
      output,
    )
  })
}

/** A letter that stands twice in one operand means its diagonal. */
function takeDiagonals({ x, labels }: Labelled): Labelled {
  const second = labels.findIndex((l, axis) => labels.indexOf(l) < axis)
  if (second < 0) return { x, labels }
  const first = labels.indexOf(labels[second])
  const rest = labels.filter((_, axis) => axis !== first && axis !== second)
  return takeDiagonals({
    x: diagonal(x, { axis1: first, axis2: second }),
    labels: [...rest, labels[second]],
  })
}

/** Greedy: the pair whose product frees most memory. */
function cheapestPair(terms: readonly Labelled[], output: readonly string[]): [number, number] {
  let best: [number, number] = [0, 1]
  let bestCost = Infinity
  for (let i = 0; i < terms.length; i++) {
    for (let j = i + 1; j < terms.length; j++) {
      const sizes = new Map<string, number>()
      for (const { x, labels } of [terms[i], terms[j]]) {
        labels.forEach((l, axis) => sizes.set(l, x.shape[axis]))
      }
      const kept = [...sizes].filter(
        ([l]) =>
          output.includes(l) || terms.some((t, k) => k !== i && k !== j && t.labels.includes(l)),
      )
      const cost = sizeOf(kept.map(([, n]) => n)) - terms[i].x.size - terms[j].x.size
      if (cost < bestCost) {
        bestCost = cost
        best = [i, j]
      }
    }
  }
  return best
}

// --- subscripts -------------------------------------------------------------------------------------

interface Subscripts {
  readonly inputs: readonly (readonly string[])[]
  readonly output: readonly string[]
}

function parse(subscripts: string, operands: readonly NDArray[]): Subscripts {
  const op = `einsum('${subscripts}')`
  const bad = (problem: string, hint?: string): ArgumentError =>
    new ArgumentError({ op, problem, operands: operandReports(operands), hint })
  const text = subscripts.replaceAll(/\s/g, '')
  const [left, right, ...more] = text.split('->')
  if (more.length > 0) throw bad('-> stands more than once')
  const wrong = /[^A-Za-z,.]/.exec(left) ?? /[^A-Za-z.]/.exec(right ?? '')
  if (wrong)
    throw bad(`'${wrong[0]}' is not a letter`, "letters, ',', '...' and '->' are understood")
  const terms = left.split(',')
  if (terms.length !== operands.length) {
    throw bad(
      `${terms.length} terms for ${operands.length} operands`,
      'one term per operand, separated by commas',
    )
  }
  const inputs = terms.map((term, i) => {
    const explicit = term.replace('...', '').length
    const hidden = operands[i].ndim - explicit
    if (term.replace('...', '').includes('.')) throw bad(`'${term}' has stray dots`)
    if (hidden < 0 || (hidden > 0 && !term.includes('...'))) {
      throw new ShapeError({
        op,
        problem: `'${term}' names ${explicit} axes of operand ${i}, which has ${operands[i].ndim}`,
        operands: operandReports(operands),
        rule: 'one letter per axis, or ... for those not named',
      })
    }
    return expand(term, hidden)
  })
  checkSizes(op, inputs, operands)
  const all = inputs.flat()
  const ellipsis = [...new Set(all.filter(isHidden))].sort(
    (a, b) => Number(b.slice(1)) - Number(a.slice(1)),
  )
  if (right === undefined) {
    const once = [...new Set(all)].filter(
      (l) => !isHidden(l) && all.indexOf(l) === all.lastIndexOf(l),
    )
    return { inputs, output: [...ellipsis, ...once.sort()] }
  }
  const output = right.includes('...')
    ? [
        ...right.slice(0, right.indexOf('.')),
        ...ellipsis,
        ...right.slice(right.lastIndexOf('.') + 1),
      ]
    : [...right]
  const unknown = output.find((l) => !all.includes(l))
  if (unknown !== undefined) throw bad(`'${unknown}' of the result stands in no operand`)
  if (new Set(output).size !== output.length) throw bad('a letter stands twice in the result')
  return { inputs, output }
}

/** Axes under the dots are named from the end, so that they align. */
const isHidden = (label: string): boolean => label.startsWith('.')
const expand = (term: string, hidden: number): string[] => {
  const dots = term.indexOf('...')
  if (dots < 0) return [...term]
  const names = Array.from({ length: hidden }, (_, i) => `.${hidden - i}`)
  return [...term.slice(0, dots), ...names, ...term.slice(dots + 3)]
}

function checkSizes(
  op: string,
  inputs: readonly (readonly string[])[],
  operands: readonly NDArray[],
): void {
  const sizes = new Map<string, number>()
  inputs.forEach((labels, i) =>
    labels.forEach((label, axis) => {
      const n = operands[i].shape[axis]
      const known = sizes.get(label) ?? 1
      if (n !== 1 && known !== 1 && n !== known) {
        throw new ShapeError({
          op,
          problem: `${isHidden(label) ? 'axes under ...' : `axes '${label}'`} have sizes ${known} and ${n}`,
          operands: operandReports(operands, (k) => (k === i ? `axis ${axis} is ${n}` : undefined)),
          rule: 'axes with the same letter have the same size, or 1',
        })
      }
      sizes.set(label, Math.max(known, n))
    }),
  )
}
