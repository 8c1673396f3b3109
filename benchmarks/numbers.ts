/** The same numbers for everybody: a linear congruential generator (Knuth's MMIX constants, 32 bits of it). */
export function numbers(count: number, scale = 1, seed = 1): Float32Array<ArrayBuffer> {
  let state = BigInt(seed)
  return Float32Array.from({ length: count }, () => {
    state = BigInt.asUintN(64, state * 6364136223846793005n + 1442695040888963407n)
    return (Number(state >> 32n) / 2 ** 31 - 1) * scale
  })
}
