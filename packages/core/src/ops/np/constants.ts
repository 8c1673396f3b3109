/** NumPy's numbers. */
export const pi: number = Math.PI
export const e: number = Math.E
/** The Euler–Mascheroni constant, DLMF 5.2.3. */
export const eulerGamma = 0.5772156649015329
export const inf: number = Infinity
export const nan: number = NaN
/** A new axis in `x.get(...)`. */
export const newaxis = null
