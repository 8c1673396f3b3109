/**
 * Evaluates expressions and stores along rows of an iteration space.
 *
 * A row runs along the vector axis in groups of four elements. What does not change along it is
 * computed once per row, and what does not change at all once per function. An address is a
 * pointer that steps along the row plus a constant; accesses that differ only by a constant (the
 * taps of a window) share their pointer.
 */
import type { Affine, Buffer, DynamicOffset, Index, Load, Scalar } from '../../../compiler/expr'
import type { Store } from '../../../compiler/nodes'
import { bytesOf } from '../../../types/dtype'
import { v128 } from '../emit/index'
import type { FunctionBuilder, I32Operand, Local, WasmFeatures } from '../emit/index'
import { Emission, VectorGraph } from '../math/index'
import type { Vec } from '../math/index'
import { operandsOf, visitScalars } from './environment'
import type { BufferAddresses } from './environment'
import { varyingScalars } from './iteration'
import { loadGroup, storedForm, storeGroup } from './memory-forms'
import type { GroupAccess, LaneCount, VectorValue } from './memory-forms'
import { translateScalar } from './scalar'

export interface RowOptions {
  readonly stores: readonly Store[]
  /** Expressions to evaluate besides those that are stored. */
  readonly values: readonly Scalar[]
  /** Groups lie along this axis. */
  readonly vectorAxis: number
  /** Groups may also be asked for at constant distances along this axis; null for none. */
  readonly blockAxis: number | null
  readonly addresses: BufferAddresses
  /** Buffers whose contents may differ from row to row. */
  readonly rewritten?: ReadonlySet<Buffer>
  readonly features: WasmFeatures
}

/** Where a group stands relative to the row's current position. */
export interface GroupPosition {
  readonly lanes: LaneCount
  /** Elements along the vector axis. */
  readonly column: number
  /** Elements along the block axis. */
  readonly row: number
  /**
   * The group is one of four, at rows 0 to 3 from a block of four rows and four columns: loads that
   * run along the block axis are then done for all of them and transposed.
   */
  readonly inBlock?: boolean
}

/** The finished accumulators of a reduction or contraction at this group, by slot. */
export type Accumulators = readonly VectorValue[]

/** A store at a position, with what is to be written. */
interface PlannedStore {
  readonly store: Store
  readonly at: GroupPosition
  readonly form: VectorValue
  readonly perLane: Vec | null
}

/** What stays in locals of the values at some groups, as many of one as of the other. */
export interface Kept {
  readonly values: (groups: readonly Group[]) => readonly Vec[]
  readonly targets: readonly Local<'v128'>[]
}

/** A load or a store: what tells where it is. */
interface Access {
  readonly at: Affine
  readonly offsets: readonly DynamicOffset[]
}

/** A pointer that several accesses share; `least` is the smallest of their offsets. */
interface Cursor {
  readonly buffer: Buffer
  readonly strides: readonly number[]
  readonly offsets: readonly DynamicOffset[]
  readonly pointer: Local<'i32'>
  least: number
  /** Read or written while going along the row, and not only when it starts. */
  moves: boolean
}

/** A value that is the same for a whole row or function, repeated in every lane. */
interface Hoisted {
  readonly locals: readonly Local<'v128'>[]
  readonly everywhere: boolean
}

export class RowCode {
  private readonly cursors = new Map<string, Cursor>()
  private readonly cursorsOf = new Map<Access, Cursor>()
  private readonly counters = new Map<string, { at: Affine; local: Local<'v128'> }>()
  private readonly hoisted = new Map<Scalar, Hoisted>()
  private readonly postOrder: Scalar[] = []
  private readonly variesInRow: ReadonlySet<Scalar>
  private readonly variesAtAll: ReadonlySet<Scalar>

  constructor(
    private readonly f: FunctionBuilder,
    private readonly options: RowOptions,
  ) {
    const { stores, values } = options
    const roots = [
      ...stores.flatMap((store) => [...store.offsets.map((o) => o.value), store.value]),
      ...values,
    ]
    visitScalars(roots, (x) => this.postOrder.push(x))
    this.variesInRow = varyingScalars(roots, (at) => this.stepsInRow(at))
    this.variesAtAll = varyingScalars(
      roots,
      (at, leaf) =>
        at.strides.some((stride) => stride !== 0) ||
        (leaf.kind === 'load' && options.rewritten?.has(leaf.source) === true),
    )
    const offsetValues = [
      ...stores.flatMap((store) => store.offsets),
      ...this.postOrder.flatMap((x) => (x.kind === 'load' ? x.offsets : [])),
    ].map((offset) => offset.value)
    this.chooseHoisted([...roots, ...offsetValues])
    for (const x of this.postOrder) if (x.kind === 'load') this.cursorOf(x.source, x)
    for (const store of stores) this.cursorOf(store.target, store).moves = true
    for (const x of this.postOrder) {
      if (x.kind === 'load' && this.variesInRow.has(x)) this.cursorOf(x.source, x).moves = true
      if (x.kind === 'index' && this.variesInRow.has(x)) this.counterOf(x)
    }
  }

  // ---- analysis -------------------------------------------------------------------------------

  private stepsInRow(at: Affine): boolean {
    const { vectorAxis, blockAxis } = this.options
    return strideOf(at, vectorAxis) !== 0 || (blockAxis !== null && strideOf(at, blockAxis) !== 0)
  }

  /** The largest subexpressions that stay the same along a row, or everywhere. */
  private chooseHoisted(roots: readonly Scalar[]): void {
    const hoist = (x: Scalar): void => {
      if (x.kind === 'const' || this.variesInRow.has(x) || this.hoisted.has(x)) return
      const local = this.f.local('v128')
      // Both halves of a float64 are the same.
      const locals = x.dtype === 'float64' ? [local, local] : [local]
      this.hoisted.set(x, { locals, everywhere: !this.variesAtAll.has(x) })
    }
    for (const root of roots) hoist(root)
    for (const x of this.postOrder) {
      for (const operand of operandsOf(x)) {
        if (this.variesInRow.has(x)) hoist(operand)
        else if (this.variesAtAll.has(x) && !this.variesAtAll.has(operand)) hoist(operand)
      }
    }
  }

  private rowOffsets(offsets: readonly DynamicOffset[]): readonly DynamicOffset[] {
    return offsets.filter((o) => !this.variesInRow.has(o.value))
  }

  private cursorOf(buffer: Buffer, access: Access): Cursor {
    const known = this.cursorsOf.get(access)
    if (known) return known
    const cursor = this.findCursor(buffer, access)
    this.cursorsOf.set(access, cursor)
    return cursor
  }

  private findCursor(buffer: Buffer, access: Access): Cursor {
    const offsets = this.rowOffsets(access.offsets)
    const names = offsets.map((o) => `${this.postOrder.indexOf(o.value)}*${o.stride}`)
    const scattered = offsets.length < access.offsets.length
    const key = `${buffer.id}:${access.at.strides.join()}:${names.join('+')}:${scattered}`
    const known = this.cursors.get(key)
    if (known) {
      known.least = Math.min(known.least, access.at.offset)
      return known
    }
    const cursor: Cursor = {
      buffer,
      strides: access.at.strides,
      offsets,
      pointer: this.f.local('i32'),
      least: access.at.offset,
      moves: false,
    }
    this.cursors.set(key, cursor)
    return cursor
  }

  private counterOf({ at }: Index): { at: Affine; local: Local<'v128'> } {
    const key = `${at.offset}:${at.strides.join()}`
    const known = this.counters.get(key)
    if (known) return known
    const counter = { at, local: this.f.local('v128') }
    this.counters.set(key, counter)
    return counter
  }

  // ---- code -----------------------------------------------------------------------------------

  /** Computes what is the same for every row. Write it once, before the loops. */
  enterFunction(): void {
    this.enter(true, [])
  }

  /**
   * Sets the pointers, counters and row constants for the row that contains an index: one operand
   * per axis of the space, that of the vector axis being the first column.
   */
  enterRow(position: readonly I32Operand[]): void {
    this.enter(false, position)
    for (const { at, local } of this.counters.values()) {
      const stride = strideOf(at, this.options.vectorAxis)
      this.pushAffine(at.offset, at.strides, position)
      this.f.op('i32x4.splat')
      if (stride !== 0) {
        const steps = v128.i32x4(0, stride, 2 * stride, 3 * stride)
        this.f.get(this.f.hoisted(steps)).op('i32x4.add')
      }
      this.f.set(local)
    }
  }

  private enter(everywhere: boolean, position: readonly I32Operand[]): void {
    const { f } = this
    const pending = new Set(this.cursors.values())
    const rowParts = new Map<string, Local<'i32'>>()
    const setCursor = (cursor: Cursor): void => {
      if (!pending.delete(cursor) || this.setOnce(cursor) !== everywhere) return
      this.setPointer(cursor, position, rowParts)
    }
    for (const x of this.postOrder) {
      if (x.kind === 'load') setCursor(this.cursorOf(x.source, x))
      const target = this.hoisted.get(x)
      if (!target || target.everywhere !== everywhere) continue
      const graph = new VectorGraph()
      const group = new Group(this, graph, { lanes: 1, column: 0, row: 0 }, [], position, x)
      const [value] = group.value(x)
      const [local] = target.locals
      if (!value || !local) throw new Error(`${f.name}: a hoisted value without a vector`)
      new Emission(f, [value]).push(value)
      f.set(local)
    }
    for (const cursor of pending) setCursor(cursor)
    f.release(...rowParts.values())
  }

  /** Whether a pointer is the same for every row and does not move along them. */
  private setOnce(cursor: Cursor): boolean {
    return (
      !cursor.moves &&
      cursor.strides.every((stride) => stride === 0) &&
      cursor.offsets.every((o) => !this.variesAtAll.has(o.value))
    )
  }

  private setPointer(
    cursor: Cursor,
    position: readonly I32Operand[],
    rowParts: Map<string, Local<'i32'>>,
  ): void {
    const { f } = this
    const bytes = bytesOf(cursor.buffer.dtype)
    const base = this.options.addresses.get(cursor.buffer.id)
    if (!base) throw new Error(`${f.name}: buffer ${cursor.buffer.id} has no address`)
    f.get(base)
    const strides = cursor.strides.map((stride) => stride * bytes)
    if (strides.some((stride, axis) => stride !== 0 && position[axis] !== 0)) {
      const key = strides.join()
      const shared = rowParts.get(key)
      if (shared) f.get(shared)
      else {
        const part = f.scratch('i32')
        this.pushAffine(0, strides, position)
        f.tee(part)
        rowParts.set(key, part)
      }
      f.op('i32.add')
    }
    if (cursor.least !== 0) f.i32Const(cursor.least * bytes).op('i32.add')
    for (const { value, stride } of cursor.offsets) {
      if (value.kind === 'const') f.i32Const(Number(value.value))
      else {
        const local = this.hoisted.get(value)?.locals[0]
        if (!local) throw new Error(`${f.name}: an address depends on a value that is not there`)
        f.get(local).lane('i32x4.extract_lane', 0)
      }
      if (stride * bytes !== 1) f.i32Const(stride * bytes).op('i32.mul')
      f.op('i32.add')
    }
    f.set(cursor.pointer)
  }

  /** Pushes `offset + Σ strides[axis] * position[axis]`. */
  pushAffine(offset: number, strides: readonly number[], position: readonly I32Operand[]): void {
    const { f } = this
    let known = offset
    let pushed = false
    strides.forEach((stride, axis) => {
      const at = position[axis] ?? 0
      if (typeof at === 'number') known += at * stride
      else if (stride !== 0) {
        f.get(at)
        if (stride !== 1) f.i32Const(stride).op('i32.mul')
        if (pushed) f.op('i32.add')
        pushed = true
      }
    })
    if (!pushed) f.i32Const(known)
    else if (known !== 0) f.i32Const(known).op('i32.add')
  }

  /** Moves along the row by a number of elements known now. */
  advance(columns: number): void {
    this.move(this.options.vectorAxis, columns)
  }

  /** Moves to the next row along the block axis. */
  advanceBlock(): void {
    const { blockAxis } = this.options
    if (blockAxis !== null) this.move(blockAxis, 1)
  }

  private move(axis: number, elements: number): void {
    const { f } = this
    for (const cursor of this.cursors.values()) {
      const stride = strideOf(cursor, axis) * bytesOf(cursor.buffer.dtype)
      if (cursor.moves && stride !== 0) f.add(cursor.pointer, stride * elements)
    }
    for (const { at, local } of this.counters.values()) {
      const stride = strideOf(at, axis)
      if (stride === 0) continue
      f.get(local)
        .get(f.hoisted(v128.i32x4(stride * elements)))
        .op('i32x4.add')
        .set(local)
    }
  }

  /** The values of a group at a position; expressions of one graph share what they have in common. */
  group(graph: VectorGraph, at: GroupPosition, accumulators: Accumulators = []): Group {
    return new Group(this, graph, at, accumulators, null, null)
  }

  /**
   * Evaluates and writes every store at a position. All values are computed before the first is
   * written, since a store may take the place of something that another one reads.
   */
  store(at: GroupPosition, accumulators: Accumulators = [], graph = new VectorGraph()): void {
    this.storeEach([at], accumulators, graph)
  }

  /**
   * The stores at several positions, one after the other, which share subexpressions, also with what
   * is kept of these groups: its values are computed before the first of its targets is set.
   */
  storeEach(
    positions: readonly GroupPosition[],
    accumulators: Accumulators = [],
    graph = new VectorGraph(),
    kept: Kept | null = null,
  ): void {
    const { stores } = this.options
    const groups = positions.map((at) => this.group(graph, at, accumulators))
    const planned = groups.map((group) =>
      stores.map((store) => ({
        store,
        at: group.at,
        form: storedForm(graph, store.target.dtype, group.value(store.value)),
        perLane: group.laneOffset(store.target, store.offsets),
      })),
    )
    const written = planned
      .flat()
      .flatMap(({ form, perLane }) => (perLane ? [...form, perLane] : form))
    const values = kept?.values(groups) ?? []
    const emission = new Emission(this.f, [...written, ...values])
    emission.interleave(
      graph,
      planned.map((group) =>
        group.flatMap(({ form, perLane }) => (perLane ? [...form, perLane] : form)),
      ),
    )
    for (const together of planned) this.writeTogether(graph, emission, together)
    for (const value of values) emission.push(value)
    for (const target of [...(kept?.targets ?? [])].reverse()) this.f.set(target)
  }

  private writeTogether(
    graph: VectorGraph,
    emission: Emission,
    planned: readonly PlannedStore[],
  ): void {
    const only = planned.length === 1
    const ready = planned.map(({ store, at, form, perLane }) => {
      const offsets = perLane ? emission.toLocal(perLane) : null
      const kept = only ? [] : form.map((vec) => emission.toLocal(vec))
      const values = only ? form : kept.map(({ local }) => graph.local(local))
      return { store, at, values, offsets, kept }
    })
    for (const { store, at, values, offsets, kept } of ready) {
      const access = { ...this.access(store.target, store, at), perLane: offsets?.local ?? null }
      storeGroup(emission, store.target.dtype, values, access)
      offsets?.release()
      for (const { release } of kept) release()
    }
  }

  // ---- what groups ask for -----------------------------------------------------------------------

  access(buffer: Buffer, access: Access, at: GroupPosition): Omit<GroupAccess, 'perLane'> {
    const { vectorAxis, blockAxis } = this.options
    const cursor = this.cursorOf(buffer, access)
    const bytes = bytesOf(buffer.dtype)
    const stride = strideOf(access.at, vectorAxis)
    const blockStride = blockAxis === null ? 0 : strideOf(access.at, blockAxis)
    const elements = access.at.offset - cursor.least + at.column * stride + at.row * blockStride
    return {
      pointer: cursor.pointer,
      delta: elements * bytes,
      step: stride * bytes,
      lanes: at.lanes,
    }
  }

  /** Whether a load steps through memory along the block axis and jumps along the vector axis. */
  runsAlongBlock(x: Load): boolean {
    const { vectorAxis, blockAxis } = this.options
    return (
      blockAxis !== null &&
      bytesOf(x.dtype) === 4 &&
      strideOf(x.at, blockAxis) === 1 &&
      Math.abs(strideOf(x.at, vectorAxis)) > 1 &&
      !x.offsets.some((o) => this.variesAlongRow(o.value))
    )
  }

  hoistedValue(x: Scalar): Hoisted | undefined {
    return this.hoisted.get(x)
  }

  isCounted(x: Index): boolean {
    return this.variesInRow.has(x)
  }

  counter(graph: VectorGraph, x: Index, at: GroupPosition): Vec {
    const { vectorAxis, blockAxis } = this.options
    const counter = graph.local(this.counterOf(x).local)
    const blockStride = blockAxis === null ? 0 : strideOf(x.at, blockAxis)
    const distance = strideOf(x.at, vectorAxis) * at.column + blockStride * at.row
    return distance === 0
      ? counter
      : graph.op('i32x4.add', counter, graph.constant(v128.i32x4(distance)))
  }

  variesAlongRow(x: Scalar): boolean {
    return this.variesInRow.has(x)
  }

  get features(): WasmFeatures {
    return this.options.features
  }
}

/** The values of expressions at one group of elements. */
export class Group {
  private readonly known = new Map<Scalar, VectorValue>()

  constructor(
    private readonly rows: RowCode,
    readonly graph: VectorGraph,
    readonly at: GroupPosition,
    private readonly accumulators: Accumulators,
    /** Set while row constants are computed. */
    private readonly rowPosition: readonly I32Operand[] | null,
    /** The row constant that is being computed. */
    private readonly hoisting: Scalar | null,
  ) {}

  value(x: Scalar): VectorValue {
    const known = this.known.get(x)
    if (known) return known
    const hoisted = x === this.hoisting ? undefined : this.rows.hoistedValue(x)
    const value = hoisted ? hoisted.locals.map((local) => this.graph.local(local)) : this.compute(x)
    this.known.set(x, value)
    return value
  }

  private compute(x: Scalar): VectorValue {
    switch (x.kind) {
      case 'load':
        return this.load(x)
      case 'index':
        return [this.index(x)]
      case 'accumulator': {
        const finished = this.accumulators[x.slot]
        if (!finished) throw new Error(`accumulator ${x.slot} is not available here`)
        return finished
      }
      default:
        return translateScalar(
          this.graph,
          this.rows.features,
          x,
          operandsOf(x).map((operand) => this.value(operand)),
        )
    }
  }

  private load(x: Load): VectorValue {
    if (this.at.inBlock && this.rows.runsAlongBlock(x)) return [this.transposed(x)]
    const access = this.rows.access(x.source, x, this.at)
    const perLane = this.laneOffset(x.source, x.offsets)
    return loadGroup(this.graph, x.dtype, { ...access, perLane })
  }

  /** This row of a block of four by four that is read column by column. */
  private transposed(x: Load): Vec {
    const { graph, at } = this
    const column = (distance: number): Vec => {
      const position = { lanes: 4, column: at.column + distance, row: 0 } as const
      const access = this.rows.access(x.source, x, position)
      const [vec] = loadGroup(graph, x.dtype, { ...access, step: 4, perLane: null })
      if (!vec) throw new Error('a block has one vector for each column')
      return vec
    }
    // Two rounds of interleaving; the low halves of the first make rows 0 and 1.
    const pair = (first: number): Vec =>
      at.row < 2
        ? graph.shuffle32(column(first), column(first + 1), 0, 4, 1, 5)
        : graph.shuffle32(column(first), column(first + 1), 2, 6, 3, 7)
    return at.row % 2 === 0
      ? graph.shuffle32(pair(0), pair(2), 0, 1, 4, 5)
      : graph.shuffle32(pair(0), pair(2), 2, 3, 6, 7)
  }

  private index(x: Index): Vec {
    if (this.rows.isCounted(x)) return this.rows.counter(this.graph, x, this.at)
    const position = this.rowPosition ?? []
    return this.graph.operation(`index ${x.at.offset} ${x.at.strides.join()}`, [], ({ f }) => {
      this.rows.pushAffine(x.at.offset, x.at.strides, position)
      f.op('i32x4.splat')
    })
  }

  /** The sum of the dynamic offsets that differ between lanes, in bytes. */
  laneOffset(buffer: Buffer, offsets: readonly DynamicOffset[]): Vec | null {
    const { graph } = this
    const bytes = bytesOf(buffer.dtype)
    let sum: Vec | null = null
    for (const { value, stride } of offsets) {
      if (!this.rows.variesAlongRow(value)) continue
      const [offset] = this.value(value)
      if (!offset) throw new Error('a dynamic offset is one int32')
      const scale = stride * bytes
      const scaled =
        scale === 1 ? offset : graph.op('i32x4.mul', offset, graph.constant(v128.i32x4(scale)))
      sum = sum === null ? scaled : graph.op('i32x4.add', sum, scaled)
    }
    return sum
  }
}

const strideOf = (at: { readonly strides: readonly number[] }, axis: number): number =>
  at.strides[axis] ?? 0
