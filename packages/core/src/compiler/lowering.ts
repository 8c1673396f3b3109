/**
 * From jaxpr to nodes: the context that primitives' lowering rules speak to, and the walk over
 * equations that decides what is written to memory. See docs/design/lowering.md.
 */
import { type Atom, isVar, type Jaxpr, type Var } from '../jaxpr/ir'
import { Aval, type Shape, shapesEqual, sizeOf, withDType } from '../types/aval'
import { type DType, isFloating, isInteger, isUnsigned } from '../types/dtype'
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
import {
  accumulator,
  type Affine,
  binary,
  type Buffer,
  constant,
  convert,
  index,
  load,
  type Scalar,
} from './expr'
import { identityOf } from './identity'
import { measure } from './measure'
import type { LoopNode, Program, Reduction } from './nodes'
import {
  affineEqualOn,
  affinesOf,
  alongAxis,
  clampIndex,
  loadsOf,
  reindexScalar,
  reshapeScalar,
  rowMajor,
  splitCoordinate,
  takeScalar,
} from './views'

/** An expression larger than this is cut: its largest operands are written to memory. */
const maxOperations = 192
const maxLoads = 14
/** What may be computed again by every consumer instead of being written and read. */
const recomputeBudget = 2
/** What a contraction may evaluate while packing an operand. */
const packingBudget = 12

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

class Lowering implements LoweringContext {
  private readonly nodes: LoopNode[] = []
  private readonly own = new Set<Buffer>()
  /** Expressions that have been written, under the shape they were written in. */
  private readonly written = new Map<Scalar, Tensor>()
  /** Buffers that a contraction or reduction makes: elementwise work on them can be its epilogue. */
  private readonly accumulated = new Set<Buffer>()
  /** Those, and what is written element for element from them. */
  private readonly epilogues = new Set<Buffer>()

  constructor(private readonly unit: CompilationUnit) {}

  // --- programs ------------------------------------------------------------------------------------

  program(jaxpr: Jaxpr): Program {
    const inputs = jaxpr.inputs.map((v) => this.unit.buffer(v.aval.dtype, v.aval.size))
    const operands = jaxpr.inputs.map((v, i) => stored(inputs[i], v.aval))
    const results = this.inline(jaxpr, operands)
    const outputs: Buffer[] = []
    for (const result of results) outputs.push(this.claim(result, outputs))
    return {
      inputs,
      outputs,
      nodes: this.nodes,
      temporaries: [...this.own].filter((b) => !outputs.includes(b)),
    }
  }

  /** A buffer that holds `x` and is no input and no other output. */
  private claim(x: Tensor, taken: readonly Buffer[]): Buffer {
    const tensor = this.materialize(x)
    const source = bufferOf(tensor)
    if (source === null) throw new Error('a materialized tensor has a buffer')
    if (this.own.has(source) && !taken.includes(source)) return source
    const target = this.newBuffer(tensor.aval)
    if (target.size > 0) this.nodes.push({ kind: 'copy', source, target })
    return target
  }

  inline(jaxpr: Jaxpr, operands: readonly Tensor[]): readonly Tensor[] {
    const { uses, results } = countUses(jaxpr)
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
    return this.current(tensor)
  }

  /** Where it is decided whether a variable lives in memory. */
  private bound(x: Tensor, uses: number, isResult: boolean): Tensor {
    const { cost } = measure(x.value)
    if (cost === 0) return x
    const written = isResult || (uses > 1 && (cost > recomputeBudget || continues(x, this.accumulated)))
    return written ? this.materialize(x) : x
  }

  // --- buffers -------------------------------------------------------------------------------------

  private newBuffer(aval: Aval): Buffer {
    const buffer = this.unit.buffer(aval.dtype, aval.size)
    this.own.add(buffer)
    return buffer
  }

  /** The tensor as it can be read most cheaply now: from memory if it has been written meanwhile. */
  private current(x: Tensor): Tensor {
    if (x.value.kind === 'const' || x.value.kind === 'index') return x
    const known = this.written.get(x.value)
    return known !== undefined && shapesEqual(known.aval.shape, x.aval.shape) ? known : x
  }

  materialize(x: Tensor): Tensor {
    const tensor = this.current(x)
    if (bufferOf(tensor) !== null) return tensor
    const target = this.newBuffer(tensor.aval)
    this.fill(target, tensor)
    if (continues(tensor, this.epilogues)) this.epilogues.add(target)
    const result = stored(target, tensor.aval)
    this.written.set(tensor.value, result)
    return result
  }

  private inMemory(x: Tensor): Buffer {
    const buffer = bufferOf(this.materialize(x))
    if (buffer === null) throw new Error('a materialized tensor has a buffer')
    return buffer
  }

  /** Writes a tensor over the whole of `target`. */
  private fill(target: Buffer, x: Tensor): void {
    if (target.size === 0) return
    const source = bufferOf(x)
    if (source !== null) this.nodes.push({ kind: 'copy', source, target })
    else {
      const { shape } = x.aval
      this.nodes.push({ kind: 'map', shape, stores: [{ target, at: rowMajor(shape), offsets: [], value: x.value }] })
    }
  }

  // --- expressions ---------------------------------------------------------------------------------

  map(aval: Aval, f: (...operands: Scalar[]) => Scalar, ...operands: readonly Tensor[]): Tensor {
    let inputs = operands.map((x) => this.current(x))
    let value = f(...inputs.map((x) => x.value))
    for (;;) {
      const { operations, loads } = measure(value)
      if (operations <= maxOperations && loads <= maxLoads) break
      const largest = inputs.reduce((a, b) => (size(b) > size(a) ? b : a), inputs[0])
      if (largest === undefined || measure(largest.value).cost === 0) break
      this.materialize(largest)
      inputs = inputs.map((x) => this.current(x))
      value = f(...inputs.map((x) => x.value))
    }
    return { aval, value }
  }

  constant(aval: Aval, value: number | boolean): Tensor {
    return { aval, value: constant(aval.dtype, value) }
  }

  iota(aval: Aval, axis: number): Tensor {
    return { aval, value: convert(aval.dtype, index(alongAxis(aval.ndim, axis))) }
  }

  reindex(x: Tensor, aval: Aval, source: readonly Affine[]): Tensor {
    if (aval.size === 0) return this.constant(aval, 0)
    const tensor = this.cheapIfRepeated(x, aval.size)
    return { aval, value: reindexScalar(tensor.value, source, aval.ndim) }
  }

  /** Writes `x` if it would otherwise be computed more often than it has elements. */
  private cheapIfRepeated(x: Tensor, evaluations: number): Tensor {
    const tensor = this.current(x)
    const repeated = evaluations > tensor.aval.size && measure(tensor.value).cost > recomputeBudget
    return repeated ? this.materialize(tensor) : tensor
  }

  reshape(x: Tensor, aval: Aval): Tensor {
    const tensor = this.current(x)
    const { shape } = tensor.aval
    if (shapesEqual(shape, aval.shape)) return { aval, value: tensor.value }
    const view = reshapeScalar(tensor.value, shape, aval.shape)
    if (view !== null) return { aval, value: view }
    return stored(this.inMemory(tensor), aval)
  }

  take(x: Tensor, aval: Aval, coordinates: readonly Scalar[]): Tensor {
    if (aval.size === 0) return this.constant(aval, 0)
    const tensor = this.cheapIfRepeated(x, aval.size)
    const { shape } = tensor.aval
    const split = coordinates.map((c, axis) =>
      splitCoordinate(this.coordinate(clampIndex(c, 0, shape[axis] - 1, aval.shape), aval.shape), aval.ndim),
    )
    return { aval, value: takeScalar(tensor.value, split, aval.ndim) }
  }

  /** A coordinate that is dear and the same along some axes is computed once per element of the others. */
  private coordinate(value: Scalar, shape: Shape): Scalar {
    if (measure(value).cost <= recomputeBudget) return value
    const affines = affinesOf([value])
    const varying = [...shape.keys()].filter((axis) => shape[axis] > 1 && affines.some((at) => at.strides[axis] !== 0))
    const aval = new Aval(
      varying.map((axis) => shape[axis]),
      value.dtype,
    )
    if (aval.size === sizeOf(shape)) return value
    const along = shape.map((_, axis) =>
      varying.includes(axis) ? alongAxis(aval.ndim, varying.indexOf(axis)) : { offset: 0, strides: aval.shape.map(() => 0) },
    )
    const table = this.materialize({ aval, value: reindexScalar(value, along, aval.ndim) })
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
    const tensor = this.cheapIfRepeated(x, aval.size)
    const split = coordinates.map((c) => splitCoordinate(c, aval.ndim))
    return { aval, value: takeScalar(tensor.value, split, aval.ndim) }
  }

  /** A scalar tensor, clamped to `0 … max`, as a value over a space of `rank` axes. */
  private clampedStart(start: Tensor, max: number, rank: number): Scalar {
    const tensor = measure(start.value).cost > recomputeBudget ? this.materialize(start) : this.current(start)
    return clampIndex(reindexScalar(tensor.value, [], rank), 0, max, [])
  }

  // --- assembling ----------------------------------------------------------------------------------

  assemble(aval: Aval, base: Tensor | null, pieces: readonly Piece[]): Tensor {
    if (aval.size === 0) return this.constant(aval, 0)
    const present = pieces.filter((p) => p.value.aval.size > 0)
    const only = present[0]
    if (present.length === 0 && base !== null) return { aval, value: this.current(base).value }
    if (present.length === 1 && shapesEqual(only.value.aval.shape, aval.shape) && isStatic(only)) {
      return { aval, value: this.current(only.value).value }
    }
    const values = new Map(present.map((piece) => [piece, this.apartFrom(base, piece.value)]))
    const target = this.newBuffer(aval)
    const memory = rowMajor(aval.shape)
    if (base !== null) this.fill(target, this.current(base))
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
      for (const o of offsets) if (o.value.kind === 'const') at.offset += Number(o.value.value) * o.stride
      const { value } = values.get(piece) ?? piece.value
      this.nodes.push({ kind: 'map', shape, stores: [{ target, at, offsets: moving, value }] })
    }
    return stored(target, aval)
  }

  /**
   * What is written over `base`, not reading `base` itself if it is smaller: then the base is read
   * last by its copy, which costs nothing where the result may take its place.
   */
  private apartFrom(base: Tensor | null, x: Tensor): Tensor {
    const tensor = this.current(x)
    const buffer = base === null ? null : bufferOf(this.current(base))
    const reads = buffer !== null && loadsOf([tensor.value]).some((l) => l.source === buffer)
    return reads && 2 * tensor.aval.size <= buffer.size ? this.materialize(tensor) : tensor
  }

  // --- reductions and contractions -----------------------------------------------------------------

  reduce(monoid: Monoid, x: Tensor, axes: readonly number[], aval: Aval): Tensor {
    if (aval.size === 0) return this.constant(aval, 0)
    if (x.aval.size === 0) return this.constant(aval, identityOf(monoid, aval.dtype))
    const dtype = accumulationType(x.aval.dtype)
    const boolean = x.aval.dtype === 'bool'
    const plain = boolean && monoid === 'max' ? 'or' : boolean && monoid === 'min' ? 'and' : monoid
    const { reduced, value } = this.split(x, axes)
    return this.accumulate({ monoid: plain, value: convert(dtype, value) }, aval, reduced, dtype)
  }

  argReduce(which: 'max' | 'min', x: Tensor, axis: number, aval: Aval): Tensor {
    if (aval.size === 0) return this.constant(aval, 0)
    const { reduced, value } = this.split(x, [axis])
    const reduction: Reduction = { monoid: which === 'max' ? 'argmax' : 'argmin', value: convert(accumulationType(x.aval.dtype), value) }
    return this.accumulate(reduction, aval, reduced, 'int32')
  }

  /** `x` over its kept axes followed by the others. */
  private split(x: Tensor, axes: readonly number[]): { readonly reduced: Shape; readonly value: Scalar } {
    const tensor = this.current(x)
    const { shape } = tensor.aval
    const kept = shape.map((_, axis) => axis).filter((axis) => !axes.includes(axis))
    const order = [...kept, ...axes]
    const source = shape.map((_, axis) => alongAxis(order.length, order.indexOf(axis)))
    return { reduced: axes.map((axis) => shape[axis]), value: reindexScalar(tensor.value, source, order.length) }
  }

  private accumulate(reduction: Reduction, aval: Aval, reduced: Shape, dtype: DType): Tensor {
    const isPosition = reduction.monoid === 'argmax' || reduction.monoid === 'argmin'
    if (sizeOf(reduced) === 1) {
      const single = reindexScalar(reduction.value, [...aval.shape.keys(), ...reduced.map(() => -1)].map((axis) =>
        axis < 0 ? { offset: 0, strides: aval.shape.map(() => 0) } : alongAxis(aval.ndim, axis)), aval.ndim)
      return { aval, value: isPosition ? constant(aval.dtype, 0) : convert(aval.dtype, single) }
    }
    const target = this.newBuffer(aval)
    this.accumulated.add(target)
    this.epilogues.add(target)
    this.nodes.push({
      kind: 'reduce',
      shape: aval.shape,
      reduced,
      reductions: [reduction],
      stores: [{ target, at: rowMajor(aval.shape), offsets: [], value: convert(aval.dtype, accumulator(dtype, 0)) }],
    })
    return stored(target, aval)
  }

  contract({ batch, m, n, k, lhs, rhs, aval }: Contraction): Tensor {
    if (aval.size === 0) return this.constant(aval, 0)
    const depth = sizeOf(k)
    if (depth === 0) return this.constant(aval, 0)
    const dtype = contractionType(lhs.aval.dtype, rhs.aval.dtype, aval.dtype)
    const spread = batch.length + m.length + n.length
    if (depth === 1 || (sizeOf(m) === 1 && sizeOf(n) === 1)) {
      // An outer product has nothing to accumulate and a dot product has one result: plain loops do.
      const full = new Aval([...batch, ...m, ...n, ...k], dtype)
      const axes = (from: number, shape: Shape): Affine[] => shape.map((_, i) => alongAxis(full.ndim, from + i))
      const kAxes = axes(spread, k)
      const left = this.reindex(lhs, withDType(full, lhs.aval.dtype), [...axes(0, batch), ...axes(batch.length, m), ...kAxes])
      const right = this.reindex(rhs, withDType(full, rhs.aval.dtype), [
        ...axes(0, batch),
        ...axes(batch.length + m.length, n),
        ...kAxes,
      ])
      const product = this.map(full, (x, y) => binary('mul', dtype, convert(dtype, x), convert(dtype, y)), left, right)
      return this.accumulate({ monoid: 'sum', value: product.value }, aval, k, dtype)
    }
    const operands = [lhs, rhs].map((x) => ({ value: convert(dtype, this.packable(x).value) }))
    const target = this.newBuffer(aval)
    this.accumulated.add(target)
    this.epilogues.add(target)
    this.nodes.push({
      kind: 'contract',
      dtype,
      batch,
      m,
      n,
      k,
      lhs: operands[0],
      rhs: operands[1],
      stores: [{ target, at: rowMajor(aval.shape), offsets: [], value: convert(aval.dtype, accumulator(dtype, 0)) }],
    })
    return stored(target, aval)
  }

  /**
   * What is packed is evaluated once or more per element, so it must be cheap; and work on the
   * result of another contraction is better done there, where it is free of loads.
   */
  private packable(x: Tensor): Tensor {
    const tensor = this.current(x)
    const { cost } = measure(tensor.value)
    if (cost === 0) return tensor
    return cost > packingBudget || continues(tensor, this.epilogues) ? this.materialize(tensor) : tensor
  }

  // --- routines ------------------------------------------------------------------------------------

  cumulative(monoid: CumulativeMonoid, x: Tensor, axis: number, reverse: boolean): Tensor {
    const { aval } = x
    if (aval.size === 0) return this.constant(aval, 0)
    const wide = this.converted(x, routineType(aval.dtype))
    const target = this.newBuffer(wide.aval)
    this.nodes.push({
      kind: 'cumulative',
      monoid,
      outer: sizeOf(aval.shape.slice(0, axis)),
      length: aval.shape[axis],
      inner: sizeOf(aval.shape.slice(axis + 1)),
      reverse,
      source: this.inMemory(wide),
      target,
    })
    return this.converted(stored(target, wide.aval), aval.dtype)
  }

  private converted(x: Tensor, dtype: DType): Tensor {
    if (x.aval.dtype === dtype) return x
    return this.map(withDType(x.aval, dtype, x.aval.weakType), (e) => convert(dtype, e), x)
  }

  sort(operands: readonly Tensor[], axis: number, numKeys: number): readonly Tensor[] {
    const { shape } = operands[0].aval
    if (sizeOf(shape) === 0) return operands
    const order = [...shape.keys()].filter((a) => a !== axis).concat(axis)
    const moved = order.map((a) => shape[a])
    const toLast = shape.map((_, a) => alongAxis(shape.length, order.indexOf(a)))
    const fromLast = order.map((a) => alongAxis(shape.length, a))
    const avals = operands.map((x) => new Aval(moved, x.aval.dtype, x.aval.weakType))
    const sources = operands.map((x, i) => this.inMemory(this.reindex(x, avals[i], toLast)))
    const targets = avals.map((aval) => this.newBuffer(aval))
    this.nodes.push({
      kind: 'sort',
      rows: sizeOf(shape) / shape[axis],
      length: shape[axis],
      numKeys,
      sources,
      targets,
    })
    return targets.map((target, i) => this.reindex(stored(target, avals[i]), operands[i].aval, fromLast))
  }

  scatter({ operand, updates, position, inBounds, combine }: Scatter): Tensor {
    const { aval } = operand
    if (aval.size === 0 || updates.aval.size === 0) return operand
    const update = this.apartFrom(operand, updates)
    const target = this.newBuffer(aval)
    this.fill(target, this.current(operand))
    const memory = rowMajor(aval.shape)
    let flat: Scalar = constant('int32', 0)
    position.forEach((p, axis) => {
      const stride = constant('int32', memory.strides[axis])
      flat = binary('add', 'int32', flat, binary('mul', 'int32', p, stride))
    })
    this.nodes.push({
      kind: 'scatter',
      shape: updates.aval.shape,
      target,
      position: flat,
      inBounds: inBounds !== null && inBounds.kind === 'const' && Number(inBounds.value) === 1 ? null : inBounds,
      update: convert(aval.dtype, update.value),
      combine,
    })
    return stored(target, aval)
  }

  selectAndScatterAdd(which: 'max' | 'min', operand: Tensor, source: Tensor, geometry: WindowGeometry): Tensor {
    const { aval } = operand
    if (aval.size === 0) return this.constant(aval, 0)
    const dtype = routineType(aval.dtype)
    const wide = new Aval(aval.shape, dtype)
    const target = this.newBuffer(wide)
    this.fill(target, this.constant(wide, 0))
    if (source.aval.size > 0) {
      this.nodes.push({
        kind: 'selectAndScatter',
        which,
        operandShape: aval.shape,
        sourceShape: source.aval.shape,
        geometry,
        operand: this.inMemory(this.converted(operand, dtype)),
        source: this.inMemory(this.converted(source, dtype)),
        target,
      })
    }
    return this.converted(stored(target, wide), aval.dtype)
  }

  cholesky(x: Tensor): Tensor {
    const { aval } = x
    if (aval.size === 0) return this.constant(aval, 0)
    const wide = this.converted(x, routineType(aval.dtype))
    const n = aval.shape[aval.ndim - 1]
    const target = this.newBuffer(wide.aval)
    this.nodes.push({ kind: 'cholesky', batch: aval.size / (n * n), n, source: this.inMemory(wide), target })
    return this.converted(stored(target, wide.aval), aval.dtype)
  }

  triangularSolve(
    a: Tensor,
    b: Tensor,
    options: { readonly lower: boolean; readonly transpose: boolean; readonly unitDiagonal: boolean },
  ): Tensor {
    const { aval } = b
    if (aval.size === 0) return this.constant(aval, 0)
    const dtype = routineType(aval.dtype)
    const n = aval.shape[aval.ndim - 2]
    const columns = aval.shape[aval.ndim - 1]
    const wide = withDType(aval, dtype)
    const target = this.newBuffer(wide)
    this.nodes.push({
      kind: 'triangularSolve',
      batch: aval.size / (n * columns),
      n,
      columns,
      ...options,
      a: this.inMemory(this.converted(a, dtype)),
      b: this.inMemory(this.converted(b, dtype)),
      target,
    })
    return this.converted(stored(target, wide), aval.dtype)
  }

  // --- programs within programs ----------------------------------------------------------------------

  scan({ body, constants, carries, xs, length, reverse }: ScanProgram): readonly Tensor[] {
    const results = body.outAvals.map((aval, i) =>
      i < carries.length ? aval : new Aval([length, ...aval.shape], aval.dtype, aval.weakType),
    )
    if (length === 0) return results.map((aval, i) => (i < carries.length ? carries[i] : this.constant(aval, 0)))
    const targets = results.map((aval) => this.newBuffer(aval))
    this.nodes.push({
      kind: 'scan',
      length,
      reverse,
      body: this.unit.program(body),
      constants: constants.map((x) => this.inMemory(x)),
      initial: carries.map((x) => this.inMemory(x)),
      xs: xs.map((x) => this.inMemory(x)),
      final: targets.slice(0, carries.length),
      ys: targets.slice(carries.length),
    })
    return results.map((aval, i) => stored(targets[i], aval))
  }

  while(program: WhileProgram): readonly Tensor[] {
    const targets = program.carries.map((x) => this.newBuffer(x.aval))
    this.nodes.push({
      kind: 'while',
      condition: this.unit.program(program.condition),
      conditionConstants: program.conditionConstants.map((x) => this.inMemory(x)),
      body: this.unit.program(program.body),
      bodyConstants: program.bodyConstants.map((x) => this.inMemory(x)),
      initial: program.carries.map((x) => this.inMemory(x)),
      final: targets,
    })
    return program.carries.map((x, i) => stored(targets[i], x.aval))
  }

  branch({ index: selector, branches, operands }: BranchProgram): readonly Tensor[] {
    const { value } = this.current(selector)
    if (value.kind === 'const') return this.inline(branches[Number(value.value)], operands)
    const targets = branches[0].outAvals.map((aval) => this.newBuffer(aval))
    this.nodes.push({
      kind: 'branch',
      index: this.inMemory(this.converted(selector, 'int32')),
      branches: branches.map((b) => this.unit.program(b)),
      operands: operands.map((x) => this.inMemory(x)),
      targets,
    })
    return branches[0].outAvals.map((aval, i) => stored(targets[i], aval))
  }
}

// --- tensors in memory -----------------------------------------------------------------------------

const stored = (buffer: Buffer, aval: Aval): Tensor => ({ aval, value: load(buffer, rowMajor(aval.shape)) })

/** The buffer whose row-major contents are exactly this tensor, or null. */
function bufferOf({ aval, value }: Tensor): Buffer | null {
  if (value.kind !== 'load' || value.offsets.length > 0 || value.source.size !== aval.size) return null
  return aval.size === 0 || affineEqualOn(aval.shape, value.at, rowMajor(aval.shape)) ? value.source : null
}

/** Element for element over one of these buffers: the node that makes it can write this as well. */
const continues = (x: Tensor, buffers: ReadonlySet<Buffer>): boolean =>
  loadsOf([x.value]).some((l) => buffers.has(l.source) && l.source.size === x.aval.size)

const size = (x: Tensor): number => {
  const { operations, loads } = measure(x.value)
  return operations + loads
}

const isStatic = (piece: Piece): boolean =>
  piece.start.every((s) => s === 0) && (piece.dynamicStart === undefined || piece.dynamicStart.length === 0)

/** Live variables with the number of their uses, and which of them are results. */
function countUses(jaxpr: Jaxpr): { readonly uses: ReadonlyMap<Var, number>; readonly results: ReadonlySet<Var> } {
  const uses = new Map<Var, number>()
  const use = (atom: Atom): void => {
    if (isVar(atom)) uses.set(atom, (uses.get(atom) ?? 0) + 1)
  }
  jaxpr.outputs.forEach(use)
  const results = new Set(jaxpr.outputs.filter(isVar))
  for (let i = jaxpr.equations.length - 1; i >= 0; i--) {
    const { inputs, outputs } = jaxpr.equations[i]
    if (outputs.some((v) => uses.has(v))) inputs.forEach(use)
  }
  return { uses, results }
}

// --- dtypes of accumulation ------------------------------------------------------------------------

/** Narrow dtypes accumulate in 32 bits: more exact for floats, and wrapping commutes for integers. */
function accumulationType(dtype: DType): DType {
  if (dtype === 'float16' || dtype === 'bfloat16') return 'float32'
  if (isInteger(dtype)) return isUnsigned(dtype) ? 'uint32' : 'int32'
  return dtype
}

/** Routines are written for 32- and 64-bit elements. */
const routineType = (dtype: DType): DType => (dtype === 'bool' ? dtype : accumulationType(dtype))

function contractionType(lhs: DType, rhs: DType, result: DType): 'float32' | 'float64' | 'int32' {
  if (lhs === 'float64' || rhs === 'float64' || result === 'float64') return 'float64'
  return isFloating(lhs) || isFloating(rhs) || isFloating(result) ? 'float32' : 'int32'
}
