const textEncoder = new TextEncoder()

/** Where floats become bytes. */
const scratch = new DataView(new ArrayBuffer(8))
const scratchBytes = new Uint8Array(scratch.buffer)

/** The longest encoding of 32 bits. */
const LEB32_BYTES = 5

/** A growable byte buffer that knows the number encodings of the WebAssembly binary format. */
export class ByteBuffer {
  private bytes: Uint8Array<ArrayBuffer>
  private used = 0

  constructor(capacity = 256) {
    this.bytes = new Uint8Array(capacity)
  }

  get length(): number {
    return this.used
  }

  u8(value: number): void {
    if (this.used === this.bytes.length) this.grow(1)
    this.bytes[this.used++] = value
  }

  /** Unsigned LEB128 of a value below 2^32. */
  u32(value: number): void {
    if (this.used + LEB32_BYTES > this.bytes.length) this.grow(LEB32_BYTES)
    const { bytes } = this
    let rest = value >>> 0
    while (rest > 0x7f) {
      bytes[this.used++] = (rest & 0x7f) | 0x80
      rest >>>= 7
    }
    bytes[this.used++] = rest
  }

  /** A byte and an unsigned number, which is what most instructions are. */
  u8u32(byte: number, value: number): void {
    if (this.used + 1 + LEB32_BYTES > this.bytes.length) this.grow(1 + LEB32_BYTES)
    const { bytes } = this
    bytes[this.used++] = byte
    let rest = value >>> 0
    while (rest > 0x7f) {
      bytes[this.used++] = (rest & 0x7f) | 0x80
      rest >>>= 7
    }
    bytes[this.used++] = rest
  }

  /** Signed LEB128; values from 2^31 up to 2^32 - 1 are taken as their two's complement. */
  s32(value: number): void {
    if (this.used + LEB32_BYTES > this.bytes.length) this.grow(LEB32_BYTES)
    const { bytes } = this
    let rest = value | 0
    for (;;) {
      const low = rest & 0x7f
      rest >>= 7
      if ((rest === 0 && low < 0x40) || (rest === -1 && low >= 0x40)) {
        bytes[this.used++] = low
        return
      }
      bytes[this.used++] = low | 0x80
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
    scratch.setFloat32(0, value, true)
    this.raw(scratchBytes.subarray(0, 4))
  }

  f64(value: number): void {
    scratch.setFloat64(0, value, true)
    this.raw(scratchBytes)
  }

  raw(source: ArrayLike<number>): void {
    if (this.used + source.length > this.bytes.length) this.grow(source.length)
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

  /** Makes room for some more bytes. */
  private grow(count: number): void {
    const grown = new Uint8Array(Math.max(this.used + count, 2 * this.bytes.length))
    grown.set(this.bytes)
    this.bytes = grown
  }
}
