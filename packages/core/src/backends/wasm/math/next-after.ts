import type { Vec } from './graph'
import type { FloatLanes } from './lanes'

/** The neighbour of x in the direction of y: one more or less in the bits of its magnitude. */
export function nextAfter(L: FloatLanes, x: Vec, y: Vec): Vec {
  const zero = L.constant(0)
  // Away from zero where y is beyond x on x's side. −1 is all ones, so a mask is a step down.
  const negative = L.lt(x, zero)
  const outward = L.xor(L.lt(x, y), negative)
  const step = L.or(L.not(outward), L.integer(1))
  const stepped = L.addBits(x, step)
  const fromZero = L.withSignOf(L.integer(1), y)
  const moved = L.select(L.eq(x, zero), fromZero, stepped)
  const result = L.select(L.eq(x, y), y, moved)
  // x + y is a NaN where either is.
  return L.select(L.or(L.isNaN(x), L.isNaN(y)), L.add(x, y), result)
}
