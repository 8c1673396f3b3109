/** Numbers for objects and functions, where a key has to tell them apart by identity. */

const numbers = new WeakMap<object, number>()
let last = 0

/** A number that no other value has; the same for the same value, which it does not keep alive. */
export function identityOf(value: object): number {
  const known = numbers.get(value)
  if (known !== undefined) return known
  numbers.set(value, ++last)
  return last
}
