/**
 * From jaxpr to nodes: the context that primitives' lowering rules speak to, and the walk over
 * equations that decides what is written to memory. See docs/design/lowering.md.
 */
import { type Atom, isVar, type Jaxpr, type Var } from '../jaxpr/ir'
import { Aval, type Shape, shapesEqual, sizeOf } from '../types/aval'
import type { DType } from '../types/dtype'
import { argReduce, contract, reduce } from './accumulate'
import type {
  BranchProgram,
  Contraction,
  CumulativeMonoid,
  LoweringContext,
  Monoid,
  Piece,
  ScanProgram,
  Scatter,
  Tensor,
  WhileProgram,
  WindowGeometry,
} from './context'
import { type Affine, binary, type Buffer, constant, convert, index, type Scalar } from './expr'
import { measure } from './measure'
import type { Program } from './nodes'
import {
  cholesky,
  cumulative,
  scatter,
  selectAndScatterAdd,
  sort,
  triangularSolve,
} from './routines'
import {
  affinesOf,
  alongAxis,
  clampIndex,
  reindexScalar,
  reshapeScalar,
  rowMajor,
  splitCoordinate,
  takeScalar,
} from './views'
import { continues, recomputeBudget, stored, Writer } from './writer'

/** An expression larger than this is cut: its largest operands are written to memory. */
const maxOperations = 192
const maxLoads = 14
/** Of an accumulated cotangent: that of a split into more parts is added up. */
const maxPieces = 64

/** What the lowerings of a program and of the programs inside it have in common. */
export class CompilationUnit {
  private buffers = 0
  private readonly programs = new Map<Jaxpr, Program>()

  constructor(
    /** Applied to every finished list of nodes, inner programs first. */
    private readonly finish: (program: Program) => Program,
  ) {}

  buffer(dtype: DType, size: number): Buffer {
    return { id: this.buffers++, dtype, size }
  }

  /** The program of a jaxpr; the same one for the same jaxpr. */
  program(jaxpr: Jaxpr): Program {
    const known = this.programs.get(jaxpr)
    if (known !== undefined) return known
    const program = this.finish(new Lowering(this).program(jaxpr))
    this.programs.set(jaxpr, program)
    return program
  }
}

type Environment = Map<Var, Tensor>

/** A context with what loops and branches need of it besides. */
export interface NestingContext extends LoweringContext {
  readonly writer: Writer
  readonly unit: CompilationUnit
}

/** How programs within programs become nodes. */
export interface ControlFlow {
  readonly scan: (context: NestingContext, program: ScanProgram) => readonly Tensor[]
  readonly while: (context: NestingContext, program: WhileProgram) => readonly Tensor[]
  readonly branch: (context: NestingContext, program: BranchProgram) => readonly Tensor[]
}

let named: ControlFlow | null = null

/** Called by the primitives that have programs inside, so that other pages do without it. */
export function nameControlFlow(controlFlow: ControlFlow): void {
  named = controlFlow
}

/** As in a page that has not lowered anything yet: for tests. */
export function forgetControlFlow(): void {
  named = null
}

function controlFlow(): ControlFlow {
  if (named === null) throw new Error('nobody has named how loops and branches are lowered')
  return named
}

class Lowering implements NestingContext {
  readonly writer: Writer
  /** Tensors that are pieces with zeros around them. */
  private readonly placed = new Map<Scalar, readonly Piece[]>()

  constructor(readonly unit: CompilationUnit) {
    this.writer = new Writer((dtype, size) => unit.buffer(dtype, size))
  }

  // --- programs ------------------------------------------------------------------------------------

  program(jaxpr: Jaxpr): Program {
    const inputs = jaxpr.inputs.map((v) => this.unit.buffer(v.aval.dtype, v.aval.size))
    const operands = jaxpr.inputs.map((v, i) => stored(inputs[i], v.aval))
    const results = this.run(jaxpr, operands, new Set(jaxpr.outputs.filter(isVar)))
    const outputs = new Set<Buffer>()
    for (const result of results) outputs.add(this.claim(result, outputs))
    return {
      inputs,
      outputs: [...outputs],
      nodes: this.writer.nodes,
      temporaries: [...this.writer.own].filter((b) => !outputs.has(b)),
    }
  }

  /** A buffer that holds `x` and is no input and no other output. */
  private claim(x: Tensor, taken: ReadonlySet<Buffer>): Buffer {
    const source = this.writer.inMemory(x)
    if (this.writer.own.has(source) && !taken.has(source)) return source
    const target = this.writer.newBuffer(x.aval)
    if (target.size > 0) this.writer.nodes.push({ kind: 'copy', source, target })
    return target
  }

  inline(jaxpr: Jaxpr, operands: readonly Tensor[]): readonly Tensor[] {
    return this.run(jaxpr, operands, new Set())
  }

  /** `results` are written to memory where they are defined, so that later uses read them there. */
  private run(
    jaxpr: Jaxpr,
    operands: readonly Tensor[],
    results: ReadonlySet<Var>,
  ): readonly Tensor[] {
    const uses = countUses(jaxpr)
    const environment: Environment = new Map()
    jaxpr.inputs.forEach((v, i) => environment.set(v, operands[i]))
    for (const equation of jaxpr.equations) {
      if (!equation.outputs.some((v) => uses.has(v))) continue
      const outputs = equation.primitive.lower(
        this,
        equation.inputs.map((atom) => this.read(atom, environment)),
        equation.params,
        equation.outputs.map((v) => v.aval),
      )
      equation.outputs.forEach((v, i) => {
        const count = uses.get(v)
        if (count !== undefined) environment.set(v, this.bound(outputs[i], count, results.has(v)))
      })
    }
    return jaxpr.outputs.map((atom) => this.read(atom, environment))
  }

  private read(atom: Atom, environment: Environment): Tensor {
    if (!isVar(atom)) return this.constant(atom.aval, atom.value)
    const tensor = environment.get(atom)
    if (tensor === undefined) throw new Error('a jaxpr uses a variable before it is defined')
    return this.writer.current(tensor)
  }

  /** Where it is decided whether a variable lives in memory. */
  private bound(x: Tensor, uses: number, isResult: boolean): Tensor {
    const { cost } = measure(x.value)
    if (cost === 0) return x
    const written =
      isResult || (uses > 1 && (cost > recomputeBudget || continues(x, this.writer.accumulated)))
    return written ? this.writer.materialize(x) : x
  }

  // --- expressions ---------------------------------------------------------------------------------

  map(aval: Aval, f: (...operands: Scalar[]) => Scalar, ...operands: readonly Tensor[]): Tensor {
    let inputs = operands.map((x) => this.writer.current(x))
    let value = f(...inputs.map((x) => x.value))
    for (;;) {
      const { operations, loads } = measure(value)
      if (operations <= maxOperations && loads <= maxLoads) break
      const largest = inputs.reduce((a, b) => (size(b) > size(a) ? b : a), inputs[0])
      if (largest === undefined || measure(largest.value).cost === 0) break
      this.writer.materialize(largest)
      inputs = inputs.map((x) => this.writer.current(x))
      value = f(...inputs.map((x) => x.value))
    }
    return { aval, value }
  }

  accumulate(aval: Aval, x: Tensor, y: Tensor): Tensor {
    const pieces = [...(this.placed.get(x.value) ?? []), ...(this.placed.get(y.value) ?? [])]
    const both = this.placed.has(x.value) && this.placed.has(y.value)
    if (!both || pieces.length > maxPieces || !areApart(pieces))
      return this.map(aval, (e, f) => binary('add', aval.dtype, e, f), x, y)
    const elements = pieces.reduce((sum, p) => sum + p.value.aval.size, 0)
    const base = elements === aval.size ? null : this.constant(aval, 0)
    return this.assemble(aval, base, pieces)
  }

  constant(aval: Aval, value: number | boolean): Tensor {
    return { aval, value: constant(aval.dtype, value) }
  }

  iota(aval: Aval, axis: number): Tensor {
    return { aval, value: convert(aval.dtype, index(alongAxis(aval.ndim, axis))) }
  }

  reindex(x: Tensor, aval: Aval, source: readonly Affine[]): Tensor {
    if (aval.size === 0) return this.constant(aval, 0)
    const tensor = this.writer.cheapIfRepeated(x, aval.size)
    return this.writer.view(tensor, aval, source)
  }

  reshape(x: Tensor, aval: Aval): Tensor {
    const tensor = this.writer.current(x)
    const { shape } = tensor.aval
    if (shapesEqual(shape, aval.shape)) return { aval, value: tensor.value }
    const view = reshapeScalar(tensor.value, shape, aval.shape)
    if (view !== null) return { aval, value: view }
    return stored(this.writer.inMemory(tensor), aval)
  }

  take(x: Tensor, aval: Aval, coordinates: readonly Scalar[]): Tensor {
    // From nothing nothing is taken; what a rule puts in its place does not look at the value.
    if (aval.size === 0 || x.aval.size === 0) return this.constant(aval, 0)
    const tensor = this.writer.cheapIfRepeated(x, aval.size)
    const { shape } = tensor.aval
    const split = coordinates.map((c, axis) =>
      splitCoordinate(
        this.coordinate(clampIndex(c, 0, shape[axis] - 1, aval.shape), aval.shape),
        aval.ndim,
      ),
    )
    return { aval, value: takeScalar(tensor.value, split, aval.ndim) }
  }

  /** A coordinate that is dear and the same along some axes is computed once per element of the others. */
  private coordinate(value: Scalar, shape: Shape): Scalar {
    if (measure(value).cost <= recomputeBudget) return value
    const affines = affinesOf([value])
    const varying = [...shape.keys()].filter(
      (axis) => shape[axis] > 1 && affines.some((at) => at.strides[axis] !== 0),
    )
    const aval = new Aval(
      varying.map((axis) => shape[axis]),
      value.dtype,
    )
    if (aval.size === sizeOf(shape)) return value
    const along = shape.map((_, axis) =>
      varying.includes(axis)
        ? alongAxis(aval.ndim, varying.indexOf(axis))
        : { offset: 0, strides: aval.shape.map(() => 0) },
    )
    const table = this.writer.materialize({ aval, value: reindexScalar(value, along, aval.ndim) })
    return reindexScalar(
      table.value,
      varying.map((axis) => alongAxis(shape.length, axis)),
      shape.length,
    )
  }

  dynamicSlice(x: Tensor, aval: Aval, starts: readonly Tensor[]): Tensor {
    const { shape } = x.aval
    const coordinates = starts.map((start, axis) => {
      const first = this.clampedStart(start, shape[axis] - aval.shape[axis], aval.ndim)
      return binary('add', 'int32', first, index(alongAxis(aval.ndim, axis)))
    })
    if (aval.size === 0) return this.constant(aval, 0)
    const tensor = this.writer.cheapIfRepeated(x, aval.size)
    const split = coordinates.map((c) => splitCoordinate(c, aval.ndim))
    return { aval, value: takeScalar(tensor.value, split, aval.ndim) }
  }

  /** A scalar tensor, clamped to `0 … max`, as a value over a space of `rank` axes. */
  private clampedStart(start: Tensor, max: number, rank: number): Scalar {
    const tensor =
      measure(start.value).cost > recomputeBudget
        ? this.writer.materialize(start)
        : this.writer.current(start)
    return clampIndex(reindexScalar(tensor.value, [], rank), 0, max, [])
  }

  // --- assembling ----------------------------------------------------------------------------------

  assemble(aval: Aval, base: Tensor | null, pieces: readonly Piece[]): Tensor {
    if (aval.size === 0) return this.constant(aval, 0)
    const present = pieces.filter((p) => p.value.aval.size > 0)
    const only = present[0]
    if (present.length === 0 && base !== null)
      return { aval, value: this.writer.current(base).value }
    if (present.length === 1 && shapesEqual(only.value.aval.shape, aval.shape) && isStatic(only)) {
      return { aval, value: this.writer.current(only.value).value }
    }
    const values = new Map(
      present.map((piece) => [piece, this.writer.apartFrom(base, piece.value)]),
    )
    const target = this.writer.newBuffer(aval)
    const memory = rowMajor(aval.shape)
    if (base !== null) this.writer.fill(target, this.writer.current(base))
    for (const piece of present) {
      const { shape } = piece.value.aval
      const at = {
        offset: piece.start.reduce((sum, start, axis) => sum + start * memory.strides[axis], 0),
        strides: memory.strides.map((stride, axis) => stride * piece.step[axis]),
      }
      const offsets = (piece.dynamicStart ?? []).map((start, axis) => {
        const reach = piece.start[axis] + (shape[axis] - 1) * piece.step[axis]
        const value = this.clampedStart(start, aval.shape[axis] - 1 - reach, shape.length)
        return { value, stride: memory.strides[axis] }
      })
      const moving = offsets.filter((o) => o.value.kind !== 'const' && o.stride !== 0)
      for (const o of offsets)
        if (o.value.kind === 'const') at.offset += Number(o.value.value) * o.stride
      const { value } = values.get(piece) ?? piece.value
      this.writer.nodes.push({
        kind: 'map',
        shape,
        stores: [{ target, at, offsets: moving, value }],
      })
    }
    const result = stored(target, aval)
    const isZero = base === null || (base.value.kind === 'const' && Number(base.value.value) === 0)
    if (isZero && present.every((p) => (p.dynamicStart ?? []).length === 0))
      this.placed.set(result.value, present)
    return result
  }

  // --- nodes -----------------------------------------------------------------------------------------

  materialize(x: Tensor): Tensor {
    return this.writer.materialize(x)
  }

  reduce(monoid: Monoid, x: Tensor, axes: readonly number[], aval: Aval): Tensor {
    return reduce(this.writer, monoid, x, axes, aval)
  }

  argReduce(which: 'max' | 'min', x: Tensor, axis: number, aval: Aval): Tensor {
    return argReduce(this.writer, which, x, axis, aval)
  }

  contract(contraction: Contraction): Tensor {
    return contract(this.writer, contraction)
  }

  cumulative(monoid: CumulativeMonoid, x: Tensor, axis: number, reverse: boolean): Tensor {
    return cumulative(this.writer, monoid, x, axis, reverse)
  }

  sort(operands: readonly Tensor[], axis: number, numKeys: number): readonly Tensor[] {
    return sort(this.writer, operands, axis, numKeys)
  }

  scatter(update: Scatter): Tensor {
    return scatter(this.writer, update)
  }

  selectAndScatterAdd(
    which: 'max' | 'min',
    operand: Tensor,
    source: Tensor,
    geometry: WindowGeometry,
  ): Tensor {
    return selectAndScatterAdd(this.writer, which, operand, source, geometry)
  }

  cholesky(x: Tensor): Tensor {
    return cholesky(this.writer, x)
  }

  triangularSolve(
    a: Tensor,
    b: Tensor,
    options: Parameters<LoweringContext['triangularSolve']>[2],
  ): Tensor {
    return triangularSolve(this.writer, a, b, options)
  }

  // --- programs within programs ----------------------------------------------------------------------

  scan(program: ScanProgram): readonly Tensor[] {
    return controlFlow().scan(this, program)
  }

  while(program: WhileProgram): readonly Tensor[] {
    return controlFlow().while(this, program)
  }

  branch(program: BranchProgram): readonly Tensor[] {
    return controlFlow().branch(this, program)
  }
}

// --- measures of tensors and jaxprs -----------------------------------------------------------------

const size = (x: Tensor): number => {
  const { operations, loads } = measure(x.value)
  return operations + loads
}

/** Whether no two of these pieces have an element in common. */
const areApart = (pieces: readonly Piece[]): boolean =>
  pieces.every((p, i) =>
    pieces.slice(0, i).every((q) => p.start.some((_, a) => apartAlong(p, q, a))),
  )

function apartAlong(p: Piece, q: Piece, axis: number): boolean {
  const end = ({ start, step, value }: Piece): number =>
    start[axis] + step[axis] * (value.aval.shape[axis] - 1)
  return end(p) < q.start[axis] || end(q) < p.start[axis]
}

const isStatic = (piece: Piece): boolean =>
  piece.start.every((s) => s === 0) &&
  (piece.dynamicStart === undefined || piece.dynamicStart.length === 0)

/** Live variables with the number of their uses. */
function countUses(jaxpr: Jaxpr): ReadonlyMap<Var, number> {
  const uses = new Map<Var, number>()
  const use = (atom: Atom): void => {
    if (isVar(atom)) uses.set(atom, (uses.get(atom) ?? 0) + 1)
  }
  jaxpr.outputs.forEach(use)
  for (let i = jaxpr.equations.length - 1; i >= 0; i--) {
    const { inputs, outputs } = jaxpr.equations[i]
    if (outputs.some((v) => uses.has(v))) inputs.forEach(use)
  }
  return uses
}
