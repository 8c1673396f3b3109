/** Rounding to whole numbers, to which IEEE 754 gives the sign of what was rounded, of −0 also. */

/** Halves go away from zero. */
export function roundAway(x: number): number {
  const whole = Math.trunc(x)
  return Math.abs(x - whole) >= 0.5 ? whole + Math.sign(x) : whole
}

/** Halves go to the even neighbour. */
export function roundEven(x: number): number {
  const whole = Math.trunc(x)
  const rest = Math.abs(x - whole)
  return rest > 0.5 || (rest === 0.5 && whole % 2 !== 0) ? whole + Math.sign(x) : whole
}
