/**
 * What one core of this machine can do at most with the 128-bit vectors of WebAssembly: multiply and
 * add in registers alone, and stream through memory. Loops that do nothing else, written with the
 * emitter of the WebAssembly device.
 */
import {
  type FunctionBuilder,
  ModuleBuilder,
  wasmFeatures,
} from '../packages/core/src/backends/wasm/emit'

export const limitNames = [
  'multiply-add',
  'read-256K',
  'read-4M',
  'read-16M',
  'read-64M',
  'copy-4M',
  'copy-16M',
] as const
export type LimitName = (typeof limitNames)[number]

/** Operations or bytes, each in 10⁹ per second. A copy counts what it reads and what it writes. */
export type Limits = Readonly<Record<LimitName, number>>

const KIB = 1024
const MIB = 1024 * KIB
/** 16 MiB are copied behind themselves at most, and 64 MiB are read. */
const MEMORY = 64 * MIB
/** V8 optimises a function at its next call. */
const BYTES_PER_CALL = 128 * KIB
const SAMPLES = 9
const SAMPLE_MILLISECONDS = 8

const reads: Readonly<Partial<Record<LimitName, number>>> = {
  'read-256K': 256 * KIB,
  'read-4M': 4 * MIB,
  'read-16M': 16 * MIB,
  'read-64M': 64 * MIB,
}
const copies: Readonly<Partial<Record<LimitName, number>>> = {
  'copy-4M': 4 * MIB,
  'copy-16M': 16 * MIB,
}

export const unitOf = (name: LimitName): string => (name === 'multiply-add' ? 'GFLOP/s' : 'GB/s')

/** What each takes is measured when it is called, as the best of several samples. */
export function limitsOfMachine(): () => Limits {
  const kernels = build()
  return () => measure(kernels)
}

function measure(kernels: Kernels): Limits {
  const limits = {} as Record<LimitName, number>
  for (const name of limitNames) {
    const read = reads[name]
    const copy = copies[name]
    if (read !== undefined) {
      const rateOf = (run: Kernel): number =>
        read / bestTime(() => inCalls(read, (at, bytes) => run(at, bytes))) / 1e6
      // Some processors fetch ahead along several streams at a time, some along one.
      limits[name] = Math.max(rateOf(kernels.read), rateOf(kernels.readFour))
    } else if (copy !== undefined) {
      const time = bestTime(() => inCalls(copy, (at, n) => kernels.copy(at, copy + at, n)))
      limits[name] = (2 * copy) / time / 1e6
    } else {
      const turns = 20_000
      limits[name] = (turns * FLOPS_PER_TURN) / bestTime(() => kernels.multiplyAdd(turns)) / 1e6
    }
  }
  return limits
}

/** The better of what was measured at two times. */
export const bestOf = (x: Limits, y: Limits): Limits =>
  Object.fromEntries(limitNames.map((name) => [name, Math.max(x[name], y[name])])) as Limits

export const limitsText = (limits: Limits): string =>
  limitNames
    .map((name) => `${name.padEnd(16)}${limits[name].toFixed(1).padStart(8)} ${unitOf(name)}`)
    .join('\n')

// --- kernels ---------------------------------------------------------------------------------------

/** As many sums as registers hold, four rounds a turn; a multiplication and an addition in four lanes. */
const CHAINS = 12
const ROUNDS = 4
const FLOPS_PER_TURN = CHAINS * ROUNDS * 8
/** Vectors of a turn in a stream. */
const VECTORS = 8
const TURN_BYTES = 16 * VECTORS

type Kernel = (...integers: readonly number[]) => void

interface Kernels {
  /** Of a number of turns. */
  readonly multiplyAdd: Kernel
  /** Of an address and a number of bytes. */
  readonly read: Kernel
  readonly readFour: Kernel
  /** Of two addresses and a number of bytes. */
  readonly copy: Kernel
}

function build(): Kernels {
  const module = new ModuleBuilder()
  const pages = MEMORY / (64 * KIB)
  module.importMemory({ initial: pages })
  const i32 = (count: number): 'i32'[] => Array.from({ length: count }, () => 'i32')
  module.function({ exportName: 'multiplyAdd', params: i32(1), results: [] }, multiplyAdd)
  module.function({ exportName: 'read', params: i32(2), results: [] }, (f) => read(f, 1))
  module.function({ exportName: 'readFour', params: i32(2), results: [] }, (f) => read(f, 4))
  module.function({ exportName: 'copy', params: i32(3), results: [] }, copy)
  const memory = new WebAssembly.Memory({ initial: pages })
  const numbers = new Float32Array(memory.buffer)
  // Written once: a page that nobody has written to is one and the same for all.
  for (let i = 0; i < numbers.length; i++) numbers[i] = (i % 97) / 97
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module.finish()), {
    env: { memory },
  })
  const find = (name: string): Kernel => {
    const found = exports[name]
    if (typeof found !== 'function') throw new Error(`${name} is missing`)
    return found as Kernel
  }
  return {
    multiplyAdd: find('multiplyAdd'),
    read: find('read'),
    readFour: find('readFour'),
    copy: find('copy'),
  }
}

function multiplyAdd(f: FunctionBuilder): void {
  const turns = f.param(0, 'i32')
  const sums = Array.from({ length: CHAINS }, () => f.local('v128'))
  const [x, y] = [f.local('v128'), f.local('v128')]
  f.f32x4Const(0.999).set(x).f32x4Const(0.001).set(y)
  const { relaxed } = wasmFeatures()
  f.loop((again) => {
    for (let round = 0; round < ROUNDS; round++) {
      for (const sum of sums) {
        f.get(sum).get(x)
        if (relaxed) f.get(y).op('f32x4.relaxed_madd').set(sum)
        else f.op('f32x4.mul').get(y).op('f32x4.add').set(sum)
      }
    }
    f.get(turns).i32Const(1).op('i32.sub').tee(turns).brIf(again)
  })
  sums.forEach((sum, i) => {
    f.i32Const(16 * i)
      .get(sum)
      .store('v128.store')
  })
}

/** The bits of all vectors, or-ed, so that they must be read; along several streams at a time. */
function read(f: FunctionBuilder, streams: number): void {
  const [from, bytes] = [f.param(0, 'i32'), f.param(1, 'i32')]
  const pointers = Array.from({ length: streams }, () => f.local('i32'))
  const seen = Array.from({ length: VECTORS }, () => f.local('v128'))
  f.get(bytes).i32Const(streams).op('i32.div_u').set(bytes)
  pointers.forEach((pointer, i) => {
    f.get(from).get(bytes).i32Const(i).op('i32.mul').op('i32.add').set(pointer)
  })
  f.loop((again) => {
    seen.forEach((vector, i) => {
      const each = VECTORS / streams
      const pointer = pointers[Math.floor(i / each)] ?? from
      f.get(pointer)
        .load('v128.load', 16 * (i % each))
        .get(vector)
        .op('v128.or')
        .set(vector)
    })
    for (const pointer of pointers) f.add(pointer, TURN_BYTES / streams)
    f.get(bytes)
      .i32Const(TURN_BYTES / streams)
      .op('i32.sub')
      .tee(bytes)
      .brIf(again)
  })
  f.i32Const(0)
  seen.forEach((vector, i) => {
    f.get(vector)
    if (i > 0) f.op('v128.or')
  })
  f.store('v128.store')
}

function copy(f: FunctionBuilder): void {
  const [from, to, bytes] = [f.param(0, 'i32'), f.param(1, 'i32'), f.param(2, 'i32')]
  f.loop((again) => {
    for (let i = 0; i < VECTORS; i++) {
      f.get(to)
        .get(from)
        .load('v128.load', 16 * i)
        .store('v128.store', 16 * i)
    }
    f.add(from, TURN_BYTES).add(to, TURN_BYTES)
    f.get(bytes).i32Const(TURN_BYTES).op('i32.sub').tee(bytes).brIf(again)
  })
}

// --- time ------------------------------------------------------------------------------------------

function inCalls(bytes: number, run: (at: number, bytes: number) => void): void {
  for (let at = 0; at < bytes; at += BYTES_PER_CALL) run(at, Math.min(BYTES_PER_CALL, bytes - at))
}

/** Milliseconds of one run in the best of several samples. */
function bestTime(run: () => void): number {
  let runs = 1
  let best = Infinity
  for (let sample = 0; sample < SAMPLES;) {
    const start = performance.now()
    for (let i = 0; i < runs; i++) run()
    const time = performance.now() - start
    if (time < SAMPLE_MILLISECONDS / 2) runs *= 2
    else {
      best = Math.min(best, time / runs)
      sample++
    }
  }
  return best
}
