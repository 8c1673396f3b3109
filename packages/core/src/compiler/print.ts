/** Programs as text: each loop with its space, its cost and what it stores. */
import type { Shape } from '../types/aval'
import { shortName } from '../types/dtype'
import { type NodeCost, nodeCost, programCost } from './cost'
import { accessesOf, programsOf, rootsOf, storeRoots } from './dependence'
import type { Affine, BinaryOp, Buffer, DynamicOffset, Scalar } from './expr'
import type {
  ContractNode,
  JointNode,
  LoopNode,
  Program,
  ReduceNode,
  RowsNode,
  RowStep,
  Store,
} from './nodes'
import type { Plan } from './plan'
import { innerOf } from './spaces'
import { elementsOf, keyOfAlike } from './joint'
import { forEachNode, operandsOf } from './views'

export function printProgram(program: Program, plan: Plan, name = 'program'): string {
  const cost = programCost(program, plan)
  const lines = [
    `${name || 'program'}: ${plural(cost.loops, 'loop')}, ${figures(cost)}, ${bytes(plan.arenaBytes)} of temporaries`,
  ]
  const names = new Names()
  program.inputs.forEach((b, i) => names.set(b, `in${i}`))
  program.outputs.forEach((b, i) => names.set(b, `out${i}`))
  lines.push(`  takes ${program.inputs.map((b) => names.declare(b)).join(', ') || 'nothing'}`)
  const kept = program.outputs.map((b, i) => {
    const storage = plan.outputStorage[i]
    return storage === null ? names.declare(b) : `${names.declare(b)} in place of in${storage}`
  })
  lines.push(`  gives ${kept.join(', ') || 'nothing'}`)
  return [...lines, ...printNodes(program, names, '')].join('\n')
}

export interface LoopSummary extends NodeCost {
  /** What kind of loop it is, and over what: `map over i < 128, j < 512: exp`. */
  readonly title: string
}

/** The loops of a program itself, without those inside loops and branches. */
export function listLoops(program: Program): readonly LoopSummary[] {
  const names = new Names()
  return program.nodes.map((node) => {
    const [head] = describe(node, names)
    const functions = new Set<string>()
    const roots = rootsOf(node.kind === 'joint' ? node.parts[0] : node)
    forEachNode(roots, (e) => {
      if (e.kind === 'unary' && e.op !== 'neg') functions.add(e.op)
    })
    const called = functions.size === 0 ? '' : `: ${[...functions].join(', ')}`
    return { title: `${head}${called}`, ...nodeCost(node) }
  })
}

/** Names of buffers; temporaries are numbered in the order they appear. */
class Names {
  private readonly names = new Map<Buffer, string>()
  private temporaries = 0

  set(buffer: Buffer, name: string): void {
    this.names.set(buffer, name)
  }

  of(buffer: Buffer): string {
    let name = this.names.get(buffer)
    if (name === undefined) this.names.set(buffer, (name = `t${this.temporaries++}`))
    return name
  }

  declare(buffer: Buffer): string {
    return `${this.of(buffer)}: ${shortName(buffer.dtype)}[${buffer.size}]`
  }

  list(buffers: readonly Buffer[]): string {
    return buffers.length === 0 ? 'nothing' : buffers.map((b) => this.of(b)).join(', ')
  }
}

function printNodes(program: Program, names: Names, indent: string): readonly string[] {
  return program.nodes.flatMap((node, i) => {
    const [head, ...body] = describe(node, names)
    const inner = programsOf(node).flatMap((p, which) => {
      const inside = new Names()
      p.inputs.forEach((b, k) => inside.set(b, `in${k}`))
      p.outputs.forEach((b, k) => inside.set(b, `out${k}`))
      return [`${indent}    ${role(node, which)}:`, ...printNodes(p, inside, `${indent}    `)]
    })
    return [
      '',
      `${indent}${i + 1}. ${head} — ${figures(nodeCost(node))}`,
      ...body.map((line) => `${indent}     ${line}`),
      ...inner,
    ]
  })
}

const role = (node: LoopNode, which: number): string =>
  node.kind === 'branch'
    ? `case ${which}`
    : node.kind === 'while' && which === 0
      ? 'condition'
      : 'body'

function describe(node: LoopNode, names: Names): readonly string[] {
  switch (node.kind) {
    case 'map': {
      const axes = axisNames(node.shape.length, 0)
      return [
        `map over ${space(node.shape, axes)}`,
        ...new Lines(names, axes, []).stores(node.stores),
      ]
    }
    case 'reduce':
      return describeReduce(node, names)
    case 'rows': {
      const axes = axisNames(node.shape.length, 0)
      return [
        `rows ${space(node.shape, axes)}, ${plural(node.steps.length, 'step')}${keeping(node, names)}`,
        ...node.steps.flatMap((step) => {
          const [head, ...lines] = describeStep(step, node.shape, names)
          return [head, ...lines.map((line) => `  ${line}`)]
        }),
      ]
    }
    case 'joint':
      return describeJoint(node, names)
    case 'contract':
      return describeContract(node, names)
    case 'scatter': {
      const axes = axisNames(node.shape.length, 0)
      const lines = new Lines(names, axes, [])
      lines.share([node.position, node.update, ...(node.inBounds === null ? [] : [node.inBounds])])
      const sign = node.combine === 'set' ? '=' : `${node.combine}=`
      const condition = node.inBounds === null ? '' : ` where ${lines.text(node.inBounds)}`
      const store = `${names.of(node.target)}[${lines.text(node.position)}] ${sign} ${lines.text(node.update)}${condition}`
      return [`scatter over ${space(node.shape, axes)}`, ...lines.shared, store]
    }
    case 'copy':
      return ['copy', `${names.of(node.target)} = ${names.of(node.source)}`]
    case 'cumulative': {
      const direction = node.reverse ? ', backwards' : ''
      return [
        `cumulative ${node.monoid} along the middle of [${node.outer}, ${node.length}, ${node.inner}]${direction}`,
        `${names.of(node.target)} = ${names.of(node.source)}`,
      ]
    }
    case 'sort':
      return [
        `sort ${plural(node.rows, 'row')} of ${node.length} by the first ${plural(node.numKeys, 'operand')}`,
        `${names.list(node.targets)} = ${names.list(node.sources)}`,
      ]
    case 'selectAndScatter':
      return [
        `add to each window's ${node.which} in [${node.operandShape.join(', ')}], windows of [${node.geometry.window.join(', ')}]`,
        `${names.of(node.target)} += ${names.of(node.source)} where ${names.of(node.operand)} is ${node.which === 'max' ? 'largest' : 'smallest'}`,
      ]
    case 'cholesky':
      return [
        `cholesky of ${plural(node.batch, 'matrix', 'matrices')} of ${node.n}`,
        `${names.of(node.target)} = ${names.of(node.source)}`,
      ]
    case 'triangularSolve':
      return [
        `solve ${plural(node.batch, 'triangular system')} of ${node.n} for ${plural(node.columns, 'column')}`,
        `${names.of(node.target)} = ${names.of(node.a)}${node.transpose ? 'ᵀ' : ''} \\ ${names.of(node.b)}`,
      ]
    case 'scan':
      return [
        `scan of ${node.length}${node.reverse ? ', backwards' : ''}`,
        `with ${names.list(node.constants)}; from ${names.list(node.initial)}; along ${names.list(node.xs)}`,
        `to ${names.list(node.final)}; collecting ${names.list(node.ys)}`,
      ]
    case 'while':
      return [
        'while',
        `with ${names.list([...node.conditionConstants, ...node.bodyConstants])}; from ${names.list(node.initial)}`,
        `to ${names.list(node.final)}`,
      ]
    case 'branch':
      return [
        `branch on ${names.of(node.index)} among ${node.branches.length}`,
        `with ${names.list(node.operands)}`,
        `to ${names.list(node.targets)}`,
      ]
  }
}

/** The first part as it is, of all others what they are over and what they write. */
function describeJoint({ parts }: JointNode, names: Names): readonly string[] {
  const [first, ...others] = parts
  const [head, ...lines] = describe(first, names)
  const elements = parts.reduce((n, part) => n + elementsOf(part), 0)
  const key = keyOfAlike(first)
  const alike = others.flatMap((part) => {
    const [own, ...ownLines] = describe(part, names)
    if (keyOfAlike(part) !== key) return [own, ...ownLines.map((line) => `  ${line}`)]
    return [`${own}, to ${names.list([...accessesOf(part).writes])}`]
  })
  return [
    `${plural(parts.length, 'part')} of ${elements} elements in one loop: ${head}`,
    ...lines,
    'and so on:',
    ...alike.map((line) => `  ${line}`),
  ]
}

const keeping = ({ locals }: RowsNode, names: Names): string =>
  locals.length === 0 ? '' : `, each with ${locals.map((b) => names.declare(b)).join(', ')}`

function describeStep(step: RowStep, rows: Shape, names: Names): readonly string[] {
  const inner = innerOf(step, rows)
  const axes = axisNames(rows.length + inner.length, 0)
  const along = inner.length === 0 ? 'once' : `over ${space(inner, axes.slice(rows.length))}`
  if (step.kind === 'map') return [along, ...new Lines(names, axes, []).stores(step.stores)]
  const [, ...lines] = describeReduce(step, names)
  return [along, ...lines]
}

function describeReduce(node: ReduceNode, names: Names): readonly string[] {
  const outer = axisNames(node.shape.length, 0)
  const reduced = axisNames(node.reduced.length, outer.length)
  const inside = new Lines(names, [...outer, ...reduced], [])
  inside.share(node.reductions.map((r) => r.value))
  const results = node.reductions.map((r, slot) =>
    node.reductions.length === 1 ? r.monoid : `${r.monoid}${slot}`,
  )
  return [
    `reduce ${space(node.shape, outer)} over ${space(node.reduced, reduced)}`,
    ...inside.shared,
    ...node.reductions.map((r, slot) => `${results[slot]} of ${inside.text(r.value)}`),
    ...new Lines(names, outer, results).stores(node.stores),
  ]
}

function describeContract(node: ContractNode, names: Names): readonly string[] {
  const letters = (letter: string, shape: Shape): readonly string[] =>
    shape.map((_, i) => (shape.length === 1 ? letter : `${letter}${i}`))
  const [b, m, n, k] = [
    letters('b', node.batch),
    letters('m', node.m),
    letters('n', node.n),
    letters('k', node.k),
  ]
  const left = new Lines(names, [...b, ...m, ...k], [])
  const right = new Lines(names, [...b, ...n, ...k], [])
  left.share([node.lhs.value])
  right.share([node.rhs.value])
  return [
    `contract ${space([...node.batch, ...node.m, ...node.n], [...b, ...m, ...n])} over ${space(node.k, k)}`,
    ...left.shared,
    ...right.shared,
    `sum of ${left.factor(node.lhs.value)} * ${right.factor(node.rhs.value)}`,
    ...new Lines(names, [...b, ...m, ...n], ['sum']).stores(node.stores),
  ]
}

// --- expressions -----------------------------------------------------------------------------------

const axisNames = (count: number, from: number): readonly string[] => {
  const letters = 'ijklmnpqrstuvw'
  return Array.from({ length: count }, (_, i) => letters[from + i] ?? `i${from + i}`)
}

const space = (shape: Shape, axes: readonly string[]): string =>
  shape.length === 0 ? 'one element' : shape.map((n, i) => `${axes[i]} < ${n}`).join(', ')

const infix: { readonly [Op in BinaryOp]?: string } = {
  add: '+',
  sub: '-',
  mul: '*',
  div: '/',
  rem: '%',
  eq: '==',
  ne: '!=',
  lt: '<',
  le: '<=',
  gt: '>',
  ge: '>=',
  and: '&',
  or: '|',
  xor: '^',
  shiftLeft: '<<',
  shiftRightLogical: '>>>',
  shiftRightArithmetic: '>>',
}

/** Writes the expressions of one loop; what is used twice gets a name and a line of its own. */
class Lines {
  readonly shared: string[] = []
  private readonly named = new Map<Scalar, string>()

  constructor(
    private readonly names: Names,
    private readonly axes: readonly string[],
    private readonly accumulators: readonly string[],
  ) {}

  stores(stores: readonly Store[]): readonly string[] {
    this.share(storeRoots(stores))
    return [
      ...this.shared,
      ...stores.map(
        (s) =>
          `${this.names.of(s.target)}[${this.address(s.at, s.offsets)}] = ${this.text(s.value)}`,
      ),
    ]
  }

  share(roots: readonly Scalar[]): void {
    const uses = new Map<Scalar, number>()
    const use = (e: Scalar): void => void uses.set(e, (uses.get(e) ?? 0) + 1)
    roots.forEach(use)
    forEachNode(roots, (e) => operandsOf(e).forEach(use))
    forEachNode(roots, (e) => {
      const isLeaf = operandsOf(e).length === 0
      if (isLeaf || (uses.get(e) ?? 0) < 2) return
      const line = this.text(e)
      const name = `v${this.named.size}`
      this.named.set(e, name)
      this.shared.push(`${name} = ${line}`)
    })
  }

  /** An expression as an operand of a product. */
  factor(e: Scalar): string {
    const line = this.text(e)
    return line.includes(' ') && !line.endsWith(']') && !line.endsWith(')') ? `(${line})` : line
  }

  text(e: Scalar): string {
    const name = this.named.get(e)
    if (name !== undefined) return name
    switch (e.kind) {
      case 'const':
        return String(e.value)
      case 'index':
        return this.affine(e.at)
      case 'accumulator':
        return this.accumulators[e.slot] ?? `accumulator${e.slot}`
      case 'load':
        return `${this.names.of(e.source)}[${this.address(e.at, e.offsets)}]`
      case 'unary':
        return e.op === 'neg' ? `-${this.operand(e.x)}` : `${e.op}(${this.text(e.x)})`
      case 'binary': {
        const sign = infix[e.op]
        if (sign === undefined) return `${e.op}(${this.text(e.x)}, ${this.text(e.y)})`
        return `${this.operand(e.x)} ${sign} ${this.operand(e.y)}`
      }
      case 'select':
        return `select(${this.text(e.condition)}, ${this.text(e.onTrue)}, ${this.text(e.onFalse)})`
      case 'convert':
        return `${shortName(e.dtype)}(${this.text(e.x)})`
      case 'bitcast':
        return `bits of ${this.operand(e.x)} as ${shortName(e.dtype)}`
    }
  }

  private operand(e: Scalar): string {
    const compound =
      !this.named.has(e) &&
      ((e.kind === 'binary' && infix[e.op] !== undefined) ||
        (e.kind === 'unary' && e.op === 'neg') ||
        e.kind === 'bitcast' ||
        (e.kind === 'index' && this.affine(e.at).includes(' ')))
    return compound ? `(${this.text(e)})` : this.text(e)
  }

  private address(at: Affine, offsets: readonly DynamicOffset[]): string {
    const affine = this.affine(at)
    const dynamic = offsets.map((o) =>
      o.stride === 1 ? this.operand(o.value) : `${o.stride}*${this.operand(o.value)}`,
    )
    return dynamic.length === 0
      ? affine
      : [...dynamic, ...(affine === '0' ? [] : [affine])].join(' + ')
  }

  private affine({ offset, strides }: Affine): string {
    const terms = strides.flatMap((stride, axis) =>
      stride === 0
        ? []
        : [
            stride === 1
              ? this.axes[axis]
              : stride === -1
                ? `-${this.axes[axis]}`
                : `${stride}*${this.axes[axis]}`,
          ],
    )
    if (offset !== 0 || terms.length === 0) terms.push(String(offset))
    return terms.join(' + ').replaceAll('+ -', '- ')
  }
}

// --- figures ---------------------------------------------------------------------------------------

const plural = (n: number, one: string, many = `${one}s`): string => `${n} ${n === 1 ? one : many}`

const figures = (cost: {
  readonly flops: number
  readonly bytesRead: number
  readonly bytesWritten: number
}): string =>
  `${count(cost.flops)}, reads ${bytes(cost.bytesRead)}, writes ${bytes(cost.bytesWritten)}`

const count = (n: number): string =>
  n < 10_000
    ? plural(n, 'operation')
    : n < 1e6
      ? `${(n / 1e3).toFixed(1)} thousand operations`
      : `${(n / 1e6).toFixed(1)} million operations`

function bytes(n: number): string {
  if (n < 1024) return plural(n, 'byte')
  return n < 1024 ** 2 ? `${(n / 1024).toFixed(1)} KiB` : `${(n / 1024 ** 2).toFixed(1)} MiB`
}
