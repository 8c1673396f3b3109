/** The sixteen bytes of a v128 constant. */
export type V128Bits = Uint8Array<ArrayBuffer>

const fill = <T>(
  values: ArrayLike<T>,
  width: number,
  write: (view: DataView, offset: number, value: T) => void,
): V128Bits => {
  const bits = new Uint8Array(16)
  const view = new DataView(bits.buffer)
  for (let offset = 0, lane = 0; offset < 16; offset += width, lane++) {
    // One value fills every lane; otherwise there is one value for each lane.
    const value = values[values.length === 1 ? 0 : lane]
    if (value === undefined) throw new RangeError(`a v128 constant has ${16 / width} lanes or one`)
    write(view, offset, value)
  }
  return bits
}

/** v128 constants, from one value for every lane or from one value for each lane. */
export const v128 = {
  i8x16: (...values: number[]): V128Bits => fill(values, 1, (view, at, x) => view.setInt8(at, x)),
  i16x8: (...values: number[]): V128Bits =>
    fill(values, 2, (view, at, x) => view.setInt16(at, x, true)),
  i32x4: (...values: number[]): V128Bits =>
    fill(values, 4, (view, at, x) => view.setInt32(at, x, true)),
  i64x2: (...values: bigint[]): V128Bits =>
    fill(values, 8, (view, at, x) => view.setBigInt64(at, x, true)),
  f32x4: (...values: number[]): V128Bits =>
    fill(values, 4, (view, at, x) => view.setFloat32(at, x, true)),
  f64x2: (...values: number[]): V128Bits =>
    fill(values, 8, (view, at, x) => view.setFloat64(at, x, true)),
}
