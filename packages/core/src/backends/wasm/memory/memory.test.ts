import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Recorder, scalar } from '../../../compiler/testing/programs'
import { Aval } from '../../../types/aval'
import { DeletedArrayError, OutOfMemoryError } from '../../../types/errors'
import { createWasmBackend } from '../index'
import { Ballast } from './ballast'
import { ALIGNMENT, Heap } from './heap'
import type { Block } from './heap'
import { LinearMemory } from './memory'

describe('the ballast', () => {
  it('gives no reason to collect to programs that end their arrays themselves', () => {
    const sizes = fc.integer({ min: 257, max: 2 ** 20 - 1 })
    fc.assert(
      fc.property(fc.array(sizes, { minLength: 1, maxLength: 8 }), (bytes) => {
        const ballast = new Ballast()
        const round = (): unknown[] => {
          const weights = bytes.map((size) => ballast.weigh(size))
          weights.forEach((weight, i) => ballast.giveBack(weight, bytes[i]))
          return weights
        }
        const pieces = new Set(Array.from({ length: 10 }, round).flat())
        const total = bytes.reduce((sum, size) => sum + size, 0)
        // Two arrays that do not fit into one piece are more than one piece together.
        expect(pieces.size).toBeLessThanOrEqual(2 * (total / 2 ** 20) + 1)
      }),
    )
  })

  it('reserves a large array of the same size once', () => {
    const ballast = new Ballast()
    const first = ballast.weigh(3 << 20)
    ballast.giveBack(first, 3 << 20)
    expect(ballast.weigh(3 << 20)).toBe(first)
    expect(ballast.weigh(3 << 20)).not.toBe(first)
  })

  it('is as heavy as what is alive', () => {
    const ballast = new Ballast()
    const weights = new Set(Array.from({ length: 40 }, () => ballast.weigh(400_000)))
    const bytes = [...weights].reduce((sum, weight) => sum + weight.bytes, 0)
    expect(bytes).toBeGreaterThanOrEqual(40 * 400_000)
  })
})

describe('the heap', () => {
  it('gives out blocks that do not overlap and joins what comes back', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(60000), { maxLength: 200 }), (rolls) => {
        const heap = new Heap()
        const end = 64 + 2 ** 20
        heap.extend(64, 64 + 2 ** 19)
        heap.extend(64 + 2 ** 19, end)
        const live: Block[] = []
        for (const roll of rolls) {
          if (roll % 3 === 0 && live.length > 0) {
            const [block] = live.splice(roll % live.length, 1)
            if (block) heap.release(block)
            continue
          }
          const block = heap.allocate(roll)
          if (!block) continue
          expect(block.size).toBeGreaterThanOrEqual(roll)
          expect(block.address % ALIGNMENT).toBe(0)
          expect(block.address + block.size).toBeLessThanOrEqual(end)
          for (const other of live) {
            const apart =
              other.address + other.size <= block.address ||
              block.address + block.size <= other.address
            expect(apart).toBe(true)
          }
          live.push(block)
        }
        expect(heap.used).toBe(live.reduce((sum, { size }) => sum + size, 0))
        for (const block of live) heap.release(block)
        expect(heap.used).toBe(0)
        expect(heap.allocate(2 ** 20 - 2 ** 12)).not.toBe(null)
      }),
      { numRuns: 100 },
    )
  })

  it('does not let a large block begin a little behind another in their pages', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2 ** 15, max: 2 ** 18 }), (bytes) => {
        const heap = new Heap()
        heap.extend(64, 64 + 2 ** 22)
        const blocks = Array.from({ length: 4 }, () => heap.allocate(bytes))
        const places = blocks.map((block) => (block?.address ?? NaN) % 4096)
        for (const a of places) {
          // Either the very same place or so far behind that no load is taken to wait for a store.
          for (const b of places) expect(a === b || (4096 + b - a) % 4096 > 256).toBe(true)
        }
      }),
    )
  })
})

describe('cells', () => {
  const filled = (memory: LinearMemory, bytes: number, value: number) => {
    memory.beginUse('test')
    const cell = memory.create(bytes, 'test')
    memory.view(cell).fill(value)
    return cell
  }

  it('move to the host when the budget is reached, oldest first, and come back when used', () => {
    const memory = new LinearMemory({ budget: 2 ** 20 })
    const cells = Array.from({ length: 40 }, (_, i) => filled(memory, 100_000, i))
    expect(memory.use.reserved).toBeLessThanOrEqual(2 ** 20)
    expect(cells[0]?.host).not.toBe(null)
    expect(cells.at(-1)?.host).toBe(null)
    cells.forEach((cell, i) => {
      memory.beginUse('test')
      const address = memory.locate(cell, 'test')
      expect(memory.bytes.subarray(address, address + cell.bytes).every((byte) => byte === i)).toBe(
        true,
      )
    })
  })

  it('in use by the running operation stay, and what does not fit beside them is refused', () => {
    const memory = new LinearMemory({ budget: 2 ** 20 })
    const kept = filled(memory, 500_000, 7)
    memory.beginUse('test')
    memory.locate(kept, 'test')
    expect(() => memory.create(600_000, 'f32[150000]')).toThrow(OutOfMemoryError)
    expect(() => memory.create(600_000, 'f32[150000]')).toThrow(/f32\[150000\].*does not fit/)
    expect(memory.view(kept).every((byte) => byte === 7)).toBe(true)
    memory.beginUse('test')
    expect(memory.create(600_000, 'f32[150000]').residence.block).not.toBe(null)
    expect(memory.view(kept).every((byte) => byte === 7)).toBe(true)
  })

  it('that were released give their block back', () => {
    const memory = new LinearMemory({ budget: 2 ** 20 })
    for (let i = 0; i < 100; i++) memory.release(filled(memory, 500_000, i))
    expect(memory.use.used).toBe(0)
    expect(memory.use.cells).toBe(0)
  })
})

describe('arrays on the device', () => {
  const aval = new Aval([250_000], 'float32')
  const addOne = () => {
    const r = new Recorder()
    const x = r.input(aval.shape)
    return r.jaxpr([r.binary('add', x, r.broadcast(scalar(1), aval.shape, []))])
  }

  it('that nobody keeps neither leak nor pile up in a synchronous loop', () => {
    // Thirty times the budget in total.
    const backend = createWasmBackend({ memoryBudget: 16 * 2 ** 20 })
    const executable = backend.compile(addOne(), { donated: [], name: 'addOne' })
    let x = backend.fromHost(aval, new Float32Array(aval.size))
    const steps = 500
    for (let i = 0; i < steps; i++) {
      const [next] = executable.run([x])
      if (!next) throw new Error('one result')
      backend.track({}, next)
      x = next
    }
    expect(backend.read(x)[0]).toBe(steps)
    expect(backend.memoryUse().reserved).toBeLessThanOrEqual(16 * 2 ** 20)
  })

  it('give their memory back when they are collected', async () => {
    setFlagsFromString('--expose-gc')
    const collect: unknown = runInNewContext('gc')
    if (typeof collect !== 'function') throw new Error('the engine has no gc function')
    const backend = createWasmBackend()
    for (let i = 0; i < 20; i++) {
      backend.track({}, backend.fromHost(aval, new Float32Array(aval.size)))
    }
    expect(backend.memoryUse().cells).toBe(20)
    for (let i = 0; i < 50 && backend.memoryUse().cells > 0; i++) {
      collect()
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
    expect(backend.memoryUse().cells).toBe(0)
    expect(backend.memoryUse().used).toBe(0)
  })

  it('make the engine collect them before they are many, wherever a loop gives it the chance', async () => {
    const backend = createWasmBackend()
    const large = new Aval([1_000_000], 'float32')
    const r = new Recorder()
    const zeros = r.jaxpr([r.broadcast(scalar(0), large.shape, [])])
    const executable = backend.compile(zeros, { donated: [], name: 'zeros' })
    for (let i = 0; i < 400; i++) {
      const [next] = executable.run([])
      if (!next) throw new Error('one result')
      backend.track({ next }, next)
      if (i % 10 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    // Half of what was made. How soon an engine collects is its own affair.
    expect(backend.memoryUse().reserved).toBeLessThan(800 * 2 ** 20)
  })

  it('are updated in place when donated, and then gone', () => {
    const backend = createWasmBackend({ memoryBudget: 64 * 2 ** 20 })
    const executable = backend.compile(addOne(), { donated: [true], name: 'addOne' })
    const first = backend.fromHost(aval, new Float32Array(aval.size))
    const before = backend.memoryUse()
    const [second] = executable.run([first])
    if (!second) throw new Error('one result')
    expect(backend.memoryUse().used).toBe(before.used)
    expect(backend.memoryUse().cells).toBe(1)
    expect(backend.read(second)[249_999]).toBe(1)
    expect(first.deleted).toBe(true)
    expect(() => backend.read(first)).toThrow(DeletedArrayError)
    expect(() => executable.run([first])).toThrow(/disposed of or donated/)
    // What the engine later does with the donated handle must not touch the result.
    backend.release(first)
    expect(backend.read(second)[0]).toBe(1)
  })

  it('take no memory of the device while they are small', () => {
    const backend = createWasmBackend()
    for (const size of [0, 1, 3, 63, 64, 65, 1000]) {
      const r = new Recorder()
      const x = r.input([size])
      const jaxpr = r.jaxpr([r.binary('add', x, x), x])
      const data = Float32Array.from({ length: size }, (_, i) => i - 20.5)
      for (const donated of [false, true]) {
        const executable = backend.compile(jaxpr, { donated: [donated], name: 'twice' })
        const input = backend.fromHost(new Aval([size], 'float32'), data)
        const [twice, same] = executable.run([input])
        if (!twice || !same) throw new Error('two results')
        expect(backend.read(twice)).toEqual(data.map((value) => 2 * value))
        expect(backend.read(same)).toEqual(data)
        expect(backend.memoryUse().cells > 0).toBe(size > 64)
        for (const storage of [input, twice, same]) backend.release(storage)
        expect(backend.memoryUse().cells).toBe(0)
      }
    }
  })

  it('donated twice in one call are still read as they were', () => {
    const backend = createWasmBackend()
    const r = new Recorder()
    const [x, y] = [r.input([4]), r.input([4])]
    const sum = r.binary('add', x, y)
    const executable = backend.compile(r.jaxpr([sum, r.binary('mul', sum, x)]), {
      donated: [true, true],
      name: 'both',
    })
    const z = backend.fromHost(new Aval([4], 'float32'), Float32Array.of(1, 2, 3, 4))
    const results = executable.run([z, z]).map((storage) => Array.from(backend.read(storage)))
    expect(results).toEqual([
      [2, 4, 6, 8],
      [2, 8, 18, 32],
    ])
    expect(z.deleted).toBe(true)
  })

  it('of every dtype come back as they went in', () => {
    const backend = createWasmBackend()
    const samples = {
      float64: Float64Array.of(1.5, -0, NaN),
      float32: Float32Array.of(1.5, -0, NaN),
      float16: Uint16Array.of(0x3c00, 0x8000, 0x7e01),
      bfloat16: Uint16Array.of(0x3f80, 0x8000, 0x7fc1),
      int32: Int32Array.of(-1, 2, 2 ** 31 - 1),
      uint32: Uint32Array.of(1, 2, 2 ** 32 - 1),
      int16: Int16Array.of(-1, 2, 3),
      uint16: Uint16Array.of(1, 2, 65535),
      int8: Int8Array.of(-128, 2, 3),
      uint8: Uint8Array.of(255, 2, 3),
      bool: Uint8Array.of(1, 0, 1),
    } as const
    for (const [dtype, data] of Object.entries(samples)) {
      const storage = backend.fromHost(new Aval([3], dtype as keyof typeof samples), data)
      expect(backend.read(storage)).toEqual(data)
    }
    const truths = backend.fromHost(new Aval([3], 'bool'), Uint8Array.of(0, 7, 255))
    expect(backend.read(truths)).toEqual(Uint8Array.of(0, 1, 1))
  })
})
