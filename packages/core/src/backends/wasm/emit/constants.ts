/** The sixteen bytes of a v128 constant. */
export type V128Bits = Uint8Array<ArrayBuffer>

const texts = new WeakMap<V128Bits, string>()

/** Equal for constants of the same bits. */
export function bitsText(bits: V128Bits): string {
  let text = texts.get(bits)
  if (text === undefined) texts.set(bits, (text = bits.join()))
  return text
}

/** Constants that fill every lane, of which functions have few and ask for them often. */
const known: { readonly [Lanes in 'i32x4' | 'i64x2' | 'f32x4' | 'f64x2']: Map<unknown, V128Bits> } =
  { i32x4: new Map(), i64x2: new Map(), f32x4: new Map(), f64x2: new Map() }
const MOST_KNOWN = 2048

/** The same bits for the same value, by the name of the lanes. */
function everyLane<T extends number | bigint>(
  lanes: keyof typeof known,
  values: readonly T[],
  build: () => V128Bits,
): V128Bits {
  const [value] = values
  if (values.length !== 1) return build()
  // A map takes −0 for 0.
  const key = Object.is(value, -0) ? '-0' : value
  const found = known[lanes].get(key)
  if (found) return found
  if (known[lanes].size >= MOST_KNOWN) known[lanes].clear()
  const bits = build()
  known[lanes].set(key, bits)
  return bits
}

/** Where constants are put together: a copy of it costs less than a view of each constant. */
const scratch = new DataView(new ArrayBuffer(16))
const scratchBytes = new Uint8Array(scratch.buffer)

const fill = <T>(
  values: ArrayLike<T>,
  width: number,
  write: (view: DataView, offset: number, value: T) => void,
): V128Bits => {
  for (let offset = 0, lane = 0; offset < 16; offset += width, lane++) {
    // One value fills every lane; otherwise there is one value for each lane.
    const value = values[values.length === 1 ? 0 : lane]
    if (value === undefined) throw new RangeError(`a v128 constant has ${16 / width} lanes or one`)
    write(scratch, offset, value)
  }
  return scratchBytes.slice()
}

/** v128 constants, from one value for every lane or from one value for each lane. */
export const v128 = {
  i8x16: (...values: number[]): V128Bits => fill(values, 1, (view, at, x) => view.setInt8(at, x)),
  i16x8: (...values: number[]): V128Bits =>
    fill(values, 2, (view, at, x) => view.setInt16(at, x, true)),
  i32x4: (...values: number[]): V128Bits =>
    everyLane('i32x4', values, () => fill(values, 4, (view, at, x) => view.setInt32(at, x, true))),
  i64x2: (...values: bigint[]): V128Bits =>
    everyLane('i64x2', values, () =>
      fill(values, 8, (view, at, x) => view.setBigInt64(at, x, true)),
    ),
  f32x4: (...values: number[]): V128Bits =>
    everyLane('f32x4', values, () =>
      fill(values, 4, (view, at, x) => view.setFloat32(at, x, true)),
    ),
  f64x2: (...values: number[]): V128Bits =>
    everyLane('f64x2', values, () =>
      fill(values, 8, (view, at, x) => view.setFloat64(at, x, true)),
    ),
}
