import fc from 'fast-check'
import wabtFactory from 'wabt'
import { describe, expect, it } from 'vitest'
import { ByteBuffer } from './bytes'
import { v128 } from './constants'
import { forceFeatures, wasmFeatures } from './features'
import type { FunctionBuilder, FunctionRef } from './function'
import { ModuleBuilder } from './module'
import {
  atomicOpcodes,
  laneOpcodes,
  loadOpcodes,
  memoryLaneOpcodes,
  plainOpcodes,
  storeOpcodes,
} from './opcodes'
import type { ValueType } from './opcodes'

const wabt = await wabtFactory()

const disassemble = (module: ModuleBuilder): string => {
  const parsed = wabt.readWasm(module.finish(), {
    readDebugNames: true,
    simd: true,
    threads: true,
    relaxed_simd: true,
  })
  parsed.applyNames()
  return parsed.toText({ foldExprs: false, inlineExport: true })
}

const instantiate = (
  module: ModuleBuilder,
  imports: WebAssembly.Imports = {},
): Record<string, (...args: (number | bigint)[]) => unknown> => {
  const bytes = module.finish()
  expect(WebAssembly.validate(bytes)).toBe(true)
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), imports)
  return exports as Record<string, (...args: (number | bigint)[]) => unknown>
}

const single = (
  params: ValueType[],
  results: ValueType[],
  body: (f: FunctionBuilder) => void,
): ModuleBuilder => {
  const module = new ModuleBuilder()
  module.function({ exportName: 'run', params, results }, body)
  return module
}

/** What every instruction without control takes and leaves, read off its name. */
const signatureOf = (name: string): { takes: ValueType[]; leaves: ValueType[] } => {
  const [prefix = '', op = ''] = name.split('.')
  const scalar = (['i32', 'i64', 'f32', 'f64'] as const).find((type) => type === prefix)
  if (scalar) {
    const from = (['i32', 'i64', 'f32', 'f64'] as const).find((type) => op.includes(`_${type}`))
    if (from) return { takes: [from], leaves: [scalar] }
    if (op === 'eqz') return { takes: [scalar], leaves: ['i32'] }
    if (/^(eq|ne|lt|gt|le|ge)(_[su])?$/.test(op))
      return { takes: [scalar, scalar], leaves: ['i32'] }
    const unaryScalar = /^(clz|ctz|popcnt|abs|neg|ceil|floor|trunc|nearest|sqrt|extend\d)/
    if (unaryScalar.test(op)) return { takes: [scalar], leaves: [scalar] }
    return { takes: [scalar, scalar], leaves: [scalar] }
  }
  const laneType: ValueType = /^i(8|16|32)x/.test(prefix)
    ? 'i32'
    : (prefix.slice(0, 3) as ValueType)
  if (op === 'splat') return { takes: [laneType], leaves: ['v128'] }
  if (op.startsWith('extract_lane')) return { takes: ['v128'], leaves: [laneType] }
  if (op === 'replace_lane') return { takes: ['v128', laneType], leaves: ['v128'] }
  if (/^(any_true|all_true|bitmask)/.test(op)) return { takes: ['v128'], leaves: ['i32'] }
  if (/^(shl|shr_[su])$/.test(op)) return { takes: ['v128', 'i32'], leaves: ['v128'] }
  if (/bitselect|laneselect|madd|dot_i8x16_i7x16_add/.test(op)) {
    return { takes: ['v128', 'v128', 'v128'], leaves: ['v128'] }
  }
  const unary =
    /^(abs|neg|not|popcnt|ceil|floor|trunc|nearest|sqrt|convert|extend|extadd|demote|promote|relaxed_trunc)/
  return { takes: unary.test(op) ? ['v128'] : ['v128', 'v128'], leaves: ['v128'] }
}

describe('ByteBuffer', () => {
  it('writes LEB128 that reads back', () => {
    const read = (bytes: Uint8Array): bigint =>
      bytes.reduce((sum, byte, index) => sum | (BigInt(byte & 0x7f) << BigInt(7 * index)), 0n)
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (value) => {
        const signed64 = new ByteBuffer(1)
        signed64.s64(value)
        expect(BigInt.asIntN(7 * signed64.length, read(signed64.toBytes()))).toBe(value)
        const signed32 = new ByteBuffer(1)
        signed32.s32(Number(BigInt.asIntN(32, value)))
        expect(BigInt.asIntN(7 * signed32.length, read(signed32.toBytes()))).toBe(
          BigInt.asIntN(32, value),
        )
        const unsigned = new ByteBuffer(1)
        unsigned.u32(Number(BigInt.asUintN(32, value)))
        expect(read(unsigned.toBytes())).toBe(BigInt.asUintN(32, value))
      }),
    )
  })
})

describe('opcodes', () => {
  const special = new Set(['unreachable', 'nop', 'return', 'drop', 'select'])
  const push = (f: FunctionBuilder, type: ValueType): void => {
    if (type === 'i32') f.i32Const(0)
    else if (type === 'i64') f.i64Const(0n)
    else if (type === 'f32') f.f32Const(0)
    else if (type === 'f64') f.f64Const(0)
    else f.f32x4Const(0)
  }
  // Every instruction between its operands, in a module that the engine must accept and that
  // the disassembler must print with the very name that was written.
  const expectNamed = (name: string, write: (f: FunctionBuilder) => void): void => {
    const module = new ModuleBuilder()
    module.importMemory({ initial: 1, maximum: 1, shared: true })
    module.function({ exportName: 'run', params: [], results: [] }, write)
    expect(WebAssembly.validate(module.finish()), name).toBe(true)
    // The disassembler still prints an older name of this one instruction.
    const printed = name.replace('relaxed_dot_i8x16_i7x16', 'dot_i8x16_i7x16')
    expect(disassemble(module).split(/[\s()]+/)).toContain(printed)
  }

  it('plain instructions are encoded as named', { timeout: 20000 }, () => {
    for (const name of Object.keys(plainOpcodes) as (keyof typeof plainOpcodes)[]) {
      if (special.has(name)) continue
      const { takes } = signatureOf(name)
      expectNamed(name, (f) => {
        for (const type of takes) push(f, type)
        f.op(name).drop()
      })
    }
  })

  it('memory and lane instructions are encoded as named', () => {
    for (const name of Object.keys(loadOpcodes) as (keyof typeof loadOpcodes)[]) {
      expectNamed(name, (f) => f.i32Const(0).load(name, 16).drop())
    }
    for (const name of Object.keys(storeOpcodes) as (keyof typeof storeOpcodes)[]) {
      expectNamed(name, (f) => {
        f.i32Const(0)
        push(f, name.split('.')[0] as ValueType)
        f.store(name, 16)
      })
    }
    for (const name of Object.keys(memoryLaneOpcodes) as (keyof typeof memoryLaneOpcodes)[]) {
      expectNamed(name, (f) => {
        f.i32Const(0).f32x4Const(0).memoryLane(name, 1, 16)
        if (name.includes('load')) f.drop()
      })
    }
    for (const name of Object.keys(laneOpcodes) as (keyof typeof laneOpcodes)[]) {
      const { takes } = signatureOf(name)
      expectNamed(name, (f) => {
        for (const type of takes) push(f, type)
        f.lane(name, 1).drop()
      })
    }
    for (const name of Object.keys(atomicOpcodes) as (keyof typeof atomicOpcodes)[]) {
      expectNamed(name, (f) => {
        f.i32Const(0)
        if (name.endsWith('wait64')) f.i64Const(0n).i64Const(0n)
        else if (name.endsWith('wait32')) f.i32Const(0).i64Const(0n)
        else if (name.endsWith('cmpxchg')) f.i32Const(0).i32Const(0)
        else f.i32Const(0)
        f.atomic(name).drop()
      })
    }
    expectNamed('memory.copy', (f) => f.i32Const(0).i32Const(8).i32Const(8).memoryCopy())
    expectNamed('memory.fill', (f) => f.i32Const(0).i32Const(8).i32Const(8).memoryFill())
    expectNamed('atomic.fence', (f) => f.atomicFence())
    expectNamed('i8x16.shuffle', (f) => {
      f.f32x4Const(0).f32x4Const(1).shuffle32(0, 4, 1, 5).drop()
    })
  })
})

describe('ModuleBuilder', () => {
  it('reads as the text format', () => {
    const module = new ModuleBuilder({ debug: true })
    module.importMemory({ initial: 1 })
    const log = module.importFunction('env', 'log', { params: ['i32'], results: [] })
    const counter = module.global(7)
    module.function({ exportName: 'axpy', params: ['i32', 'i32', 'i32'], results: [] }, (f) => {
      const end = f.param(2, 'i32')
      const at = f.local('i32')
      const two = f.hoisted(v128.f32x4(2))
      f.globalGet(counter).call(log)
      f.forRange({ index: at, from: 0, to: end, step: 16 }, () => {
        f.get(f.param(0, 'i32')).get(two)
        f.get(f.param(1, 'i32')).load('v128.load', 32).op('f32x4.mul').store('v128.store')
      })
    })
    expect(disassemble(module)).toMatchInlineSnapshot(`
      "(module
        (type (;0;) (func (param i32 i32 i32)))
        (type (;1;) (func (param i32)))
        (import "env" "log" (func $log (type 1)))
        (import "env" "memory" (memory (;0;) 1))
        (func $axpy (export "axpy") (type 0) (param i32 i32 i32)
          (local i32 v128)
          v128.const i32x4 0x40000000 0x40000000 0x40000000 0x40000000
          local.set 4
          global.get 0
          call $log
          i32.const 0
          local.set 3
          local.get 3
          local.get 2
          i32.lt_s
          if  ;; label = @1
            loop  ;; label = @2
              local.get 0
              local.get 4
              local.get 1
              v128.load offset=32
              f32x4.mul
              v128.store
              local.get 3
              i32.const 16
              i32.add
              local.tee 3
              local.get 2
              i32.lt_s
              br_if 0 (;@2;)
            end
          end)
        (global (;0;) (mut i32) (i32.const 7)))
      "
    `)
  })

  it('shares function types and imports shared memory', () => {
    const module = new ModuleBuilder()
    module.importMemory({ initial: 1, maximum: 2, shared: true })
    for (const exportName of ['one', 'two']) {
      module.function({ exportName, params: ['i32'], results: ['i32'] }, (f) =>
        f.get(f.param(0, 'i32')).load('i32.atomic.load'),
      )
    }
    expect(disassemble(module).match(/\(type \(/g)).toHaveLength(1)
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 2, shared: true })
    new Int32Array(memory.buffer)[2] = 42
    expect(instantiate(module, { env: { memory } })['two']?.(8)).toBe(42)
  })

  it('refuses what would be an invalid module', () => {
    const module = new ModuleBuilder()
    expect(() => module.importMemory({ initial: 1, shared: true })).toThrow('maximum')
    const f = module.function({ params: ['i32'], results: [] })
    expect(() => f.param(0, 'f32')).toThrow('parameter 0 is i32, not f32')
    expect(() => module.importFunction('env', 'late', { params: [], results: [] })).toThrow(
      'before any function',
    )
    expect(() => f.shuffle([1, 2])).toThrow('16 indices')
    const local = f.local('i32')
    f.release(local)
    expect(() => f.release(local)).toThrow('released twice')
  })
})

describe('FunctionBuilder', () => {
  it('calls another function', () => {
    const module = new ModuleBuilder()
    const square: FunctionRef = module.function({ params: ['f64'], results: ['f64'] }, (f) =>
      f.get(f.param(0, 'f64')).get(f.param(0, 'f64')).op('f64.mul'),
    )
    module.function({ exportName: 'run', params: ['f64'], results: ['f64'] }, (f) =>
      f.get(f.param(0, 'f64')).call(square).call(square),
    )
    expect(instantiate(module)['run']?.(3)).toBe(81)
  })

  it('counts as a JavaScript for loop does', () => {
    const bound = fc.integer({ min: -20, max: 20 })
    fc.assert(
      fc.property(
        bound,
        bound,
        fc.integer({ min: 1, max: 5 }),
        fc.boolean(),
        (from, to, step, known) => {
          const module = single(['i32', 'i32', 'i32'], ['i32'], (f) => {
            const index = f.local('i32')
            const sum = f.local('i32')
            const range = known
              ? { index, from, to, step }
              : { index, from: f.param(0, 'i32'), to: f.param(1, 'i32'), step: f.param(2, 'i32') }
            f.forRange(range, () =>
              f.get(sum).get(index).op('i32.add').i32Const(1000).op('i32.add').set(sum),
            )
            f.get(sum)
          })
          let expected = 0
          for (let i = from; i < to; i += step) expected += i + 1000
          expect(instantiate(module)['run']?.(from, to, step)).toBe(expected)
        },
      ),
      { numRuns: 40 },
    )
  })

  it('loops while a condition holds, and leaves by the label', () => {
    const module = single(['i32'], ['i32'], (f) => {
      const n = f.param(0, 'i32')
      const count = f.local('i32')
      f.whileLoop(
        () => f.get(n).i32Const(1).op('i32.gt_s'),
        (exit) => {
          f.add(count, 1)
          f.get(count).i32Const(50).op('i32.ge_s').brIf(exit)
          f.get(n).i32Const(1).op('i32.and')
          f.if(
            () => f.get(n).i32Const(3).op('i32.mul').i32Const(1).op('i32.add').set(n),
            () => f.get(n).i32Const(1).op('i32.shr_u').set(n),
          )
        },
      )
      f.get(count)
    })
    const run = instantiate(module)['run']
    expect(run?.(6)).toBe(8)
    expect(run?.(1)).toBe(0)
    expect(run?.(27)).toBe(50)
  })

  it('branches through a table', () => {
    const module = single(['i32'], ['i32'], (f) => {
      const result = f.local('i32')
      f.block((done) => {
        f.block((other) => {
          f.block((one) => {
            f.block((zero) => f.get(f.param(0, 'i32')).brTable([zero, one], other))
            f.i32Const(10).set(result).br(done)
          })
          f.i32Const(11).set(result).br(done)
        })
        f.i32Const(12).set(result)
      })
      f.get(result)
    })
    const run = instantiate(module)['run']
    expect([0, 1, 2, 99].map((n) => run?.(n))).toEqual([10, 11, 12, 12])
  })

  it('writes a prologue before code that was captured earlier', () => {
    const module = single([], ['i32'], (f) => {
      const a = f.local('i32')
      const body = f.capture(() => f.get(a).i32Const(2).op('i32.mul'))
      f.i32Const(21).set(a).append(body)
    })
    expect(instantiate(module)['run']?.()).toBe(42)
  })

  it('reuses released locals and keeps one local for each hoisted constant', () => {
    const module = new ModuleBuilder()
    const f = module.function({ params: [], results: [] })
    const a = f.scratch('v128')
    f.release(a)
    expect(f.scratch('v128').index).toBe(a.index)
    expect(f.hoisted(v128.i32x4(1, 2, 3, 4))).toBe(f.hoisted(v128.i32x4(1, 2, 3, 4)))
    expect(f.hoisted(v128.f32x4(-0))).not.toBe(f.hoisted(v128.f32x4(0)))
    expect(f.localCount).toBe(4)
  })
})

describe('features', () => {
  it('can be forced off and returned to what the engine has', () => {
    const found = wasmFeatures()
    forceFeatures({ relaxed: false })
    expect(wasmFeatures().relaxed).toBe(false)
    forceFeatures({})
    expect(wasmFeatures()).toEqual(found)
  })
})
