import { ByteBuffer } from './bytes'
import type { V128Bits } from './constants'
import { bitsText, v128 } from './constants'
import type { ModuleBuilder } from './module'
import {
  atomicOpcodes,
  laneOpcodes,
  loadOpcodes,
  memoryLaneOpcodes,
  plainOpcodes,
  storeOpcodes,
  structuralOpcodes,
  valueTypeCodes,
} from './opcodes'
import type {
  AtomicOp,
  LaneOp,
  LoadOp,
  MemoryLaneOp,
  MemoryOpcode,
  PlainOp,
  StoreOp,
  ValueType,
} from './opcodes'

export interface Local<Type extends ValueType = ValueType> {
  readonly index: number
  readonly type: Type
}

export interface Global {
  readonly index: number
  readonly type: ValueType
}

export interface FunctionSignature {
  readonly params: readonly ValueType[]
  readonly results: readonly ValueType[]
}

/** Something that can be called: an import or a function of the module. */
export interface FunctionRef extends FunctionSignature {
  readonly index: number
  readonly name: string
}

/** A target for branches: the block, loop or if that was the innermost one when it was opened. */
export interface Label {
  readonly depth: number
}

/** Instructions taken out of a function by `capture`, to be put back by `append`. */
export interface Code {
  readonly bytes: Uint8Array<ArrayBuffer>
}

export type BlockType = ValueType | 'void'

/** An i32 known now, or kept in a local. */
export type I32Operand = number | Local<'i32'>

export interface RangeOptions {
  readonly index: Local<'i32'>
  readonly from: I32Operand
  readonly to: I32Operand
  /** A positive number; 1 unless given. */
  readonly step?: I32Operand
  /** Compare as unsigned, as addresses beyond 2 GiB need. */
  readonly unsigned?: boolean
  /** The range is known not to be empty, so the first test is left out. */
  readonly nonEmpty?: boolean
}

/**
 * Writes the body of one function. Methods append one instruction of the stack machine each and
 * return the builder, so that `f.get(a).get(b).op('f32.add').set(c)` reads as the code it makes.
 * The final `end` of the function is written by the module.
 */
export class FunctionBuilder implements FunctionRef {
  readonly index: number
  readonly name: string
  readonly params: readonly ValueType[]
  readonly results: readonly ValueType[]
  private readonly parameters: readonly Local[]
  private readonly localTypes: ValueType[] = []
  private readonly free: { [Type in ValueType]: Local<Type>[] } = {
    i32: [],
    i64: [],
    f32: [],
    f64: [],
    v128: [],
  }
  private readonly hoistedConstants = new Map<string, { bits: V128Bits; local: Local<'v128'> }>()
  /** The same by the object, which needs no text. */
  private readonly hoistedBits = new Map<V128Bits, Local<'v128'>>()
  private code = new ByteBuffer(1024)
  private depth = 0

  constructor(
    index: number,
    name: string,
    signature: FunctionSignature,
    /** Where functions are made that this one calls. */
    readonly module: ModuleBuilder,
  ) {
    this.index = index
    this.name = name
    this.params = signature.params
    this.results = signature.results
    this.parameters = signature.params.map((type, position) => ({ index: position, type }))
  }

  // ---- locals -------------------------------------------------------------------------------

  /** The parameter at a position, checked to have the type that the caller expects. */
  param<Type extends ValueType>(position: number, type: Type): Local<Type> {
    const found = this.parameters[position]
    if (found?.type !== type) {
      throw new TypeError(
        `${this.name}: parameter ${position} is ${found?.type ?? 'absent'}, not ${type}`,
      )
    }
    return { index: position, type }
  }

  /** A new local that nothing else shares. It holds zero when the function starts. */
  local<Type extends ValueType>(type: Type): Local<Type> {
    this.localTypes.push(type)
    return { index: this.params.length + this.localTypes.length - 1, type }
  }

  /** A local for a short-lived value: perhaps a released one, so it holds anything until set. */
  scratch<Type extends ValueType>(type: Type): Local<Type> {
    const released: Local<Type>[] = this.free[type]
    return released.pop() ?? this.local(type)
  }

  /** Gives a local back, to be handed out again by `scratch`. */
  release<Type extends ValueType>(...locals: Local<Type>[]): void {
    for (const local of locals) {
      const released: Local<Type>[] = this.free[local.type]
      if (released.some((other) => other.index === local.index)) {
        throw new Error(`${this.name}: local ${local.index} is released twice`)
      }
      released.push(local)
    }
  }

  /** How many locals the function declares besides its parameters. */
  get localCount(): number {
    return this.localTypes.length
  }

  /**
   * A local that holds a v128 constant. It is set once at the start of the function, however
   * deep in loops the call stands: V8 otherwise rebuilds the constant in every iteration.
   */
  hoisted(bits: V128Bits): Local<'v128'> {
    const found = this.hoistedBits.get(bits)
    if (found) return found
    const key = bitsText(bits)
    let known = this.hoistedConstants.get(key)
    if (!known) this.hoistedConstants.set(key, (known = { bits, local: this.local('v128') }))
    this.hoistedBits.set(bits, known.local)
    return known.local
  }

  get(local: Local): this {
    this.code.u8u32(structuralOpcodes['local.get'], local.index)
    return this
  }

  set(local: Local): this {
    this.code.u8u32(structuralOpcodes['local.set'], local.index)
    return this
  }

  tee(local: Local): this {
    this.code.u8u32(structuralOpcodes['local.tee'], local.index)
    return this
  }

  globalGet(global: Global): this {
    return this.indexed(structuralOpcodes['global.get'], global.index)
  }

  globalSet(global: Global): this {
    return this.indexed(structuralOpcodes['global.set'], global.index)
  }

  // ---- constants ----------------------------------------------------------------------------

  i32Const(value: number): this {
    this.opcode(structuralOpcodes['i32.const'])
    this.code.s32(value)
    return this
  }

  i64Const(value: bigint): this {
    this.opcode(structuralOpcodes['i64.const'])
    this.code.s64(value)
    return this
  }

  f32Const(value: number): this {
    this.opcode(structuralOpcodes['f32.const'])
    this.code.f32(value)
    return this
  }

  f64Const(value: number): this {
    this.opcode(structuralOpcodes['f64.const'])
    this.code.f64(value)
    return this
  }

  v128Const(bits: V128Bits): this {
    this.opcode(structuralOpcodes['v128.const'])
    this.code.raw(bits)
    return this
  }

  f32x4Const(...values: number[]): this {
    return this.v128Const(v128.f32x4(...values))
  }

  f64x2Const(...values: number[]): this {
    return this.v128Const(v128.f64x2(...values))
  }

  i32x4Const(...values: number[]): this {
    return this.v128Const(v128.i32x4(...values))
  }

  /** Pushes an i32 that is a number known now or a local. */
  push(operand: I32Operand): this {
    return typeof operand === 'number' ? this.i32Const(operand) : this.get(operand)
  }

  // ---- instructions -------------------------------------------------------------------------

  op(name: PlainOp): this {
    return this.opcode(plainOpcodes[name])
  }

  /** `align` is the promised alignment as a power of two; the width of the access unless given. */
  load(name: LoadOp, offset = 0, align?: number): this {
    return this.memory(loadOpcodes[name], offset, align)
  }

  store(name: StoreOp, offset = 0, align?: number): this {
    return this.memory(storeOpcodes[name], offset, align)
  }

  atomic(name: AtomicOp, offset = 0): this {
    return this.memory(atomicOpcodes[name], offset)
  }

  atomicFence(): this {
    this.opcode(structuralOpcodes['atomic.fence'])
    this.code.u8(0)
    return this
  }

  /** `v128.loadN_lane` and `v128.storeN_lane`. */
  memoryLane(name: MemoryLaneOp, lane: number, offset = 0, align?: number): this {
    this.memory(memoryLaneOpcodes[name], offset, align)
    this.code.u8(lane)
    return this
  }

  /** `extract_lane` and `replace_lane`. */
  lane(name: LaneOp, lane: number): this {
    this.opcode(laneOpcodes[name])
    this.code.u8(lane)
    return this
  }

  /** `i8x16.shuffle` with sixteen byte indices, 0–15 from the first operand, 16–31 the second. */
  shuffle(bytes: readonly number[]): this {
    if (bytes.length !== 16) throw new RangeError(`shuffle takes 16 indices, not ${bytes.length}`)
    this.opcode(structuralOpcodes['i8x16.shuffle'])
    this.code.raw(bytes)
    return this
  }

  /** A shuffle of 32-bit lanes: 0–3 from the first operand, 4–7 from the second. */
  shuffle32(...lanes: readonly [number, number, number, number]): this {
    return this.shuffle(lanes.flatMap((lane) => [0, 1, 2, 3].map((byte) => 4 * lane + byte)))
  }

  drop(): this {
    return this.op('drop')
  }

  select(): this {
    return this.op('select')
  }

  return(): this {
    return this.op('return')
  }

  call(target: FunctionRef): this {
    return this.indexed(structuralOpcodes.call, target.index)
  }

  memoryCopy(): this {
    this.opcode(structuralOpcodes['memory.copy'])
    this.code.u8(0)
    this.code.u8(0)
    return this
  }

  memoryFill(): this {
    return this.indexed(structuralOpcodes['memory.fill'], 0)
  }

  memorySize(): this {
    return this.indexed(structuralOpcodes['memory.size'], 0)
  }

  memoryGrow(): this {
    return this.indexed(structuralOpcodes['memory.grow'], 0)
  }

  // ---- control ------------------------------------------------------------------------------

  block(body: (exit: Label) => void, type: BlockType = 'void'): this {
    return this.structured(structuralOpcodes.block, type, body)
  }

  /** A branch to the label goes back to the start of the loop. */
  loop(body: (again: Label) => void, type: BlockType = 'void'): this {
    return this.structured(structuralOpcodes.loop, type, body)
  }

  /** Takes an i32 condition from the stack. */
  if(
    then: (exit: Label) => void,
    otherwise?: (exit: Label) => void,
    type: BlockType = 'void',
  ): this {
    return this.structured(structuralOpcodes.if, type, (exit) => {
      then(exit)
      if (otherwise) {
        this.opcode(structuralOpcodes.else)
        otherwise(exit)
      }
    })
  }

  br(target: Label): this {
    return this.indexed(structuralOpcodes.br, this.distance(target))
  }

  brIf(target: Label): this {
    return this.indexed(structuralOpcodes.br_if, this.distance(target))
  }

  /** Takes an i32 from the stack: the position in `targets`, or the fallback beyond their end. */
  brTable(targets: readonly Label[], fallback: Label): this {
    this.indexed(structuralOpcodes.br_table, targets.length)
    for (const target of targets) this.code.u32(this.distance(target))
    this.code.u32(this.distance(fallback))
    return this
  }

  // ---- conveniences -------------------------------------------------------------------------

  /** local += amount */
  add(local: Local<'i32'>, amount: I32Operand): this {
    return this.get(local).push(amount).op('i32.add').set(local)
  }

  /** for (index = from; index < to; index += step) body() */
  forRange(options: RangeOptions, body: () => void): this {
    const { index, from, to, step = 1, unsigned = false } = options
    const less = unsigned ? 'i32.lt_u' : 'i32.lt_s'
    const loop = (): void => {
      this.loop((again) => {
        body()
        this.get(index).push(step).op('i32.add').tee(index).push(to).op(less).brIf(again)
      })
    }
    this.push(from).set(index)
    if (options.nonEmpty) loop()
    else if (typeof from === 'number' && typeof to === 'number') {
      if (unsigned ? from >>> 0 < to >>> 0 : from < to) loop()
    } else {
      this.get(index).push(to).op(less)
      this.if(loop)
    }
    return this
  }

  /** while (condition) body(), where `condition` leaves an i32 on the stack. */
  whileLoop(condition: () => void, body: (exit: Label) => void): this {
    return this.block((exit) => {
      this.loop((again) => {
        condition()
        this.op('i32.eqz').brIf(exit)
        body(exit)
        this.br(again)
      })
    })
  }

  /**
   * Runs `write` but keeps its instructions out of the function, so that code which depends on
   * them (a prologue) can be written first. Append them where the same labels are open.
   */
  capture(write: () => void): Code {
    const outer = this.code
    this.code = new ByteBuffer(1024)
    try {
      write()
      return { bytes: this.code.toBytes() }
    } finally {
      this.code = outer
    }
  }

  append(code: Code): this {
    this.code.raw(code.bytes)
    return this
  }

  /** The entry of this function in the code section. */
  finish(): Uint8Array<ArrayBuffer> {
    if (this.depth !== 0) throw new Error(`${this.name}: ${this.depth} blocks are still open`)
    const entry = new ByteBuffer(this.code.length + 64)
    const runs: { type: ValueType; count: number }[] = []
    for (const type of this.localTypes) {
      const last = runs.at(-1)
      if (last?.type === type) last.count++
      else runs.push({ type, count: 1 })
    }
    entry.u32(runs.length)
    for (const { type, count } of runs) {
      entry.u32(count)
      entry.u8(valueTypeCodes[type])
    }
    const prologue = this.capture(() => {
      for (const { bits, local } of this.hoistedConstants.values()) this.v128Const(bits).set(local)
    })
    entry.raw(prologue.bytes)
    entry.raw(this.code.toBytes())
    entry.u8(structuralOpcodes.end)
    return entry.toBytes()
  }

  private opcode(code: number): this {
    if (code > 0xffff) this.code.u8u32(code >>> 16, code & 0xffff)
    else this.code.u8(code)
    return this
  }

  private indexed(code: number, index: number): this {
    this.opcode(code)
    this.code.u32(index)
    return this
  }

  private memory({ code, align }: MemoryOpcode, offset: number, promised = align): this {
    if (code > 0xffff) {
      this.opcode(code)
      this.code.u32(promised)
    } else this.code.u8u32(code, promised)
    this.code.u32(offset)
    return this
  }

  private structured(code: number, type: BlockType, body: (label: Label) => void): this {
    this.opcode(code)
    this.code.u8(type === 'void' ? 0x40 : valueTypeCodes[type])
    this.depth++
    body({ depth: this.depth })
    this.depth--
    return this.opcode(structuralOpcodes.end)
  }

  private distance(target: Label): number {
    const distance = this.depth - target.depth
    if (distance < 0) throw new Error(`${this.name}: branch to a label that is not open`)
    return distance
  }
}
