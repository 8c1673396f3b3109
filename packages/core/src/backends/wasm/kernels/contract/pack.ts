import type { FunctionBuilder, FunctionRef, Local, ModuleBuilder } from '../../emit'
import { shared } from '../shared'
import type { Element } from './element'

/**
 * Packing writes a panel: `width` rows (of A, or columns of B) side by side for every k, so that
 * the micro-kernel reads memory in order. Three ways to read the operand:
 *
 * - *copy*: the rows lie side by side already;
 * - *transpose*: each row runs along k, so blocks are transposed in registers;
 * - *gather*: element by element, from any addresses.
 *
 * Row addresses come from a table of byte offsets, k either from a constant step or from a table.
 */
export interface Packing {
  readonly element: Element
  readonly width: number
  /** Bytes from one k to the next, or 'table' to read the offsets of k from a table. */
  readonly kStep: number | 'table'
}

/** Pushes the offset of the k at hand; `advance` takes it to the next one. */
function walkK(
  f: FunctionBuilder,
  kStep: Packing['kStep'],
  table: Local<'i32'>,
): { push: () => void; advance: () => void } {
  if (kStep === 'table') {
    return { push: () => f.get(table).load('i32.load'), advance: () => f.add(table, 4) }
  }
  const offset = f.local('i32')
  return { push: () => f.get(offset), advance: () => f.add(offset, kStep) }
}

/**
 * `(source, panel, k, kTable, panelBytes)`: the rows of the panel are neighbours in memory. Several
 * panels are filled at once, so that every cache line of the source is read once: where rows are a
 * power of two apart, it would be gone from the cache before the next panel comes to it.
 */
export function packCopy(module: ModuleBuilder, packing: Packing, panels: number): FunctionRef {
  const { element, width, kStep } = packing
  const { bytes } = element
  return shared(module, JSON.stringify(['copy', bytes, width, kStep, panels]), () =>
    module.function(
      { name: `packCopy${width}`, params: ['i32', 'i32', 'i32', 'i32', 'i32'], results: [] },
      (f) => {
        const source = f.param(0, 'i32')
        const panel = f.param(1, 'i32')
        const count = f.param(2, 'i32')
        const k = walkK(f, kStep, f.param(3, 'i32'))
        const panelBytes = f.param(4, 'i32')
        const from = f.local('i32')
        const targets = Array.from({ length: panels }, (_, i) => {
          if (i === 0) return panel
          const target = f.local('i32')
          f.get(panelBytes).i32Const(i).op('i32.mul').get(panel).op('i32.add').set(target)
          return target
        })
        f.loop((again) => {
          f.get(source)
          k.push()
          f.op('i32.add').set(from)
          targets.forEach((target, i) =>
            copyRow(f, element, from, i * width * bytes, target, width),
          )
          k.advance()
          for (const target of targets) f.add(target, width * bytes)
          f.get(count).i32Const(1).op('i32.sub').tee(count).brIf(again)
        })
      },
    ),
  )
}

/** Copies the neighbours that start a number of bytes behind an address. */
function copyRow(
  f: FunctionBuilder,
  { bytes, lanes, load, store }: Element,
  from: Local<'i32'>,
  distance: number,
  to: Local<'i32'>,
  elements: number,
): void {
  if (elements < lanes) {
    for (let i = 0; i < elements; i++) {
      f.get(to)
        .get(from)
        .load(load, distance + i * bytes)
        .store(store, i * bytes)
    }
    return
  }
  // A width that is no multiple of the lanes ends in a vector that overlaps the last.
  for (let i = 0; i < elements; i += lanes) {
    const at = Math.min(i, elements - lanes) * bytes
    f.get(to)
      .get(from)
      .load('v128.load', distance + at, 0)
      .store('v128.store', at, 0)
  }
}

/** Row addresses of the panel: `source` plus the table's offsets. */
function rowAddresses(
  f: FunctionBuilder,
  width: number,
  source: Local<'i32'>,
  table: Local<'i32'>,
): Local<'i32'>[] {
  return Array.from({ length: width }, (_, i) => {
    const row = f.local('i32')
    f.get(source)
      .get(table)
      .load('i32.load', 4 * i)
      .op('i32.add')
      .set(row)
    return row
  })
}

/** `(source, rowTable, panel, k, kTable)`: element by element. */
export function packGather(module: ModuleBuilder, packing: Packing): FunctionRef {
  const { element, width, kStep } = packing
  const { bytes } = element
  return shared(module, JSON.stringify(['gather', element.dtype, width, kStep]), () =>
    module.function(
      { name: `packGather${width}`, params: ['i32', 'i32', 'i32', 'i32', 'i32'], results: [] },
      (f) => {
        const rows = rowAddresses(f, width, f.param(0, 'i32'), f.param(1, 'i32'))
        const panel = f.param(2, 'i32')
        const count = f.param(3, 'i32')
        const k = walkK(f, kStep, f.param(4, 'i32'))
        const offset = f.local('i32')
        f.loop((again) => {
          k.push()
          f.set(offset)
          rows.forEach((row, i) => {
            f.get(panel).get(row).get(offset).op('i32.add').load(element.load)
            f.store(element.store, i * bytes)
          })
          k.advance()
          f.add(panel, width * bytes)
          f.get(count).i32Const(1).op('i32.sub').tee(count).brIf(again)
        })
      },
    ),
  )
}

/** `(source, rowTable, panel, k)`: every row is contiguous along k. */
export function packTranspose(module: ModuleBuilder, packing: Packing): FunctionRef {
  const { element, width } = packing
  const { bytes, lanes } = element
  const pitch = width * bytes
  return shared(module, JSON.stringify(['transpose', bytes, width]), () =>
    module.function(
      { name: `packTranspose${width}`, params: ['i32', 'i32', 'i32', 'i32'], results: [] },
      (f) => {
        const rows = rowAddresses(f, width, f.param(0, 'i32'), f.param(1, 'i32'))
        const panel = f.param(2, 'i32')
        const count = f.param(3, 'i32')
        const advance = (steps: number): void => {
          for (const row of rows) f.add(row, steps * bytes)
          f.add(panel, steps * pitch)
          f.add(count, -steps)
        }
        f.whileLoop(
          () => f.get(count).i32Const(lanes).op('i32.ge_s'),
          () => {
            if (lanes === 4) transposeBlock4(f, rows, panel, pitch)
            else transposeBlock2(f, rows, panel, pitch)
            advance(lanes)
          },
        )
        f.whileLoop(
          () => f.get(count),
          () => {
            rows.forEach((row, i) => {
              f.get(panel)
                .get(row)
                .load(element.load)
                .store(element.store, i * bytes)
            })
            advance(1)
          },
        )
      },
    ),
  )
}

/** Four k of every row, transposed by quads of rows, then pairs, then single rows. */
function transposeBlock4(
  f: FunctionBuilder,
  rows: readonly Local<'i32'>[],
  panel: Local<'i32'>,
  pitch: number,
): void {
  const loaded = [0, 1, 2, 3].map(() => f.scratch('v128'))
  const [low01, high01, low23, high23] = [0, 1, 2, 3].map(() => f.scratch('v128'))
  const [r0, r1, r2, r3] = loaded
  const interleave = (x: Local<'v128'>, y: Local<'v128'>, low: typeof x, high: typeof x): void => {
    f.get(x).get(y).shuffle32(0, 4, 1, 5).set(low)
    f.get(x).get(y).shuffle32(2, 6, 3, 7).set(high)
  }
  let first = 0
  while (first < rows.length) {
    const at = 4 * first
    const quad = rows.slice(first, first + 4)
    const taken = quad.length === 3 ? 2 : quad.length
    quad.slice(0, taken).forEach((row, i) =>
      f
        .get(row)
        .load('v128.load', 0, 0)
        .set(loaded[i] ?? r0),
    )
    if (taken === 4) {
      interleave(r0, r1, low01, high01)
      interleave(r2, r3, low23, high23)
      const halves = [
        [low01, low23],
        [high01, high23],
      ] as const
      halves.forEach(([x, y], half) => {
        f.get(panel)
          .get(x)
          .get(y)
          .shuffle32(0, 1, 4, 5)
          .store('v128.store', at + 2 * half * pitch, 0)
        f.get(panel).get(x).get(y).shuffle32(2, 3, 6, 7)
        f.store('v128.store', at + (2 * half + 1) * pitch, 0)
      })
    } else if (taken === 2) {
      interleave(r0, r1, low01, high01)
      ;[low01, high01].forEach((pair, half) => {
        f.get(panel)
          .get(pair)
          .memoryLane('v128.store64_lane', 0, at + 2 * half * pitch, 0)
        f.get(panel)
          .get(pair)
          .memoryLane('v128.store64_lane', 1, at + (2 * half + 1) * pitch, 0)
      })
    } else {
      for (let k = 0; k < 4; k++) {
        f.get(panel)
          .get(r0)
          .memoryLane('v128.store32_lane', k, at + k * pitch, 0)
      }
    }
    first += taken
  }
  f.release(...loaded, low01, high01, low23, high23)
}

/** The same for elements of eight bytes: two k of every row, by pairs of rows. */
function transposeBlock2(
  f: FunctionBuilder,
  rows: readonly Local<'i32'>[],
  panel: Local<'i32'>,
  pitch: number,
): void {
  const even = f.scratch('v128')
  const odd = f.scratch('v128')
  for (let first = 0; first < rows.length; first += 2) {
    const at = 8 * first
    const [x, y] = rows.slice(first, first + 2)
    if (x) f.get(x).load('v128.load', 0, 0).set(even)
    if (y) {
      f.get(y).load('v128.load', 0, 0).set(odd)
      f.get(panel).get(even).get(odd).shuffle32(0, 1, 4, 5).store('v128.store', at, 0)
      f.get(panel)
        .get(even)
        .get(odd)
        .shuffle32(2, 3, 6, 7)
        .store('v128.store', at + pitch, 0)
    } else {
      f.get(panel).get(even).memoryLane('v128.store64_lane', 0, at, 0)
      f.get(panel)
        .get(even)
        .memoryLane('v128.store64_lane', 1, at + pitch, 0)
    }
  }
  f.release(even, odd)
}
