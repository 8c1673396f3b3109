const textEncoder = new TextEncoder()

/** A growable byte buffer that knows the number encodings of the WebAssembly binary format. */
export class ByteBuffer {
  private bytes: Uint8Array<ArrayBuffer>
  private view: DataView
  private used = 0

  constructor(capacity = 256) {
    this.bytes = new Uint8Array(capacity)
    this.view = new DataView(this.bytes.buffer)
  }

  get length(): number {
    return this.used
  }

  u8(value: number): void {
    this.reserve(1)
    this.bytes[this.used++] = value
  }

  /** Unsigned LEB128 of a value below 2^32. */
  u32(value: number): void {
    let rest = value >>> 0
    while (rest > 0x7f) {
      this.u8((rest & 0x7f) | 0x80)
      rest >>>= 7
    }
    this.u8(rest)
  }

  /** Signed LEB128; values from 2^31 up to 2^32 - 1 are taken as their two's complement. */
  s32(value: number): void {
    let rest = value | 0
    for (;;) {
      const low = rest & 0x7f
      rest >>= 7
      if ((rest === 0 && low < 0x40) || (rest === -1 && low >= 0x40)) return this.u8(low)
      this.u8(low | 0x80)
    }
  }

  s64(value: bigint): void {
    let rest = BigInt.asIntN(64, value)
    for (;;) {
      const low = Number(rest & 0x7fn)
      rest >>= 7n
      if ((rest === 0n && low < 0x40) || (rest === -1n && low >= 0x40)) return this.u8(low)
      this.u8(low | 0x80)
    }
  }

  f32(value: number): void {
    this.reserve(4)
    this.view.setFloat32(this.used, value, true)
    this.used += 4
  }

  f64(value: number): void {
    this.reserve(8)
    this.view.setFloat64(this.used, value, true)
    this.used += 8
  }

  raw(source: ArrayLike<number>): void {
    this.reserve(source.length)
    this.bytes.set(source, this.used)
    this.used += source.length
  }

  /** A length-prefixed UTF-8 string. */
  name(text: string): void {
    const encoded = textEncoder.encode(text)
    this.u32(encoded.length)
    this.raw(encoded)
  }

  /** A copy of what was written. */
  toBytes(): Uint8Array<ArrayBuffer> {
    return this.bytes.slice(0, this.used)
  }

  private reserve(count: number): void {
    const needed = this.used + count
    if (needed <= this.bytes.length) return
    const grown = new Uint8Array(Math.max(needed, 2 * this.bytes.length))
    grown.set(this.bytes)
    this.bytes = grown
    this.view = new DataView(grown.buffer)
  }
}
