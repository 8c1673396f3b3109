/** Lists of tangents of which only some are arrays, and what programs take for them. */
import {
  type Aval,
  isZero,
  type NDArray,
  type Tangent,
  tangentAval,
  Zero,
} from '@adjoint/core/internal'

/** The entries that are arrays, in order: what a program with these tangents takes as operands. */
export const nonzeros = (tangents: readonly Tangent[]): NDArray[] =>
  tangents.filter((t): t is NDArray => !isZero(t))

/** Which entries are arrays. */
export const present = (tangents: readonly Tangent[]): boolean[] => tangents.map((t) => !isZero(t))

/** Puts arrays back where `here` is true, and zeros elsewhere. */
export function withZeros(
  arrays: readonly NDArray[],
  here: readonly boolean[],
  avals: readonly Aval[],
): Tangent[] {
  let next = 0
  return here.map((isHere, i) => (isHere ? arrays[next++] : new Zero(tangentAval(avals[i]))))
}
