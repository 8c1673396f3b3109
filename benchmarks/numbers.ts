/**
 * The same numbers for everybody: a counter through the finaliser of MurmurHash3, which vectorises
 * in every language (https://github.com/aappleby/smhasher). `peers/python/numbers.py` is the same.
 */
export function numbers(count: number, scale = 1, seed = 1): Float32Array<ArrayBuffer> {
  const data = new Float32Array(count)
  const start = Math.imul(seed, 0x9e3779b9)
  for (let i = 0; i < count; i++) {
    let h = (start + i) | 0
    h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
    h ^= h >>> 16
    data[i] = ((h >>> 8) / 2 ** 23 - 1) * scale
  }
  return data
}

/** Whole numbers below a bound. */
export const integers = (count: number, bound: number, seed = 1): Int32Array<ArrayBuffer> =>
  Int32Array.from(numbers(count, 0.5, seed), (x) => Math.floor((x + 0.5) * bound))

/** The parameters of a model: uniform weights of variance 1 / inputs, drawn one after the other. */
export function parameterSource(): (inputs: number, count: number) => Float32Array<ArrayBuffer> {
  let seed = 100
  return (inputs, count) => numbers(count, Math.sqrt(3 / inputs), seed++)
}
