import type { Ord } from 'fp-ts/lib/Ord.js'

/** The order of keys that are equal for equal values only. It has no meaning but is always the same. */
export const orderedBy = <A>(key: (value: A) => string): Ord<A> => ({
  equals: (x, y) => key(x) === key(y),
  compare: (x, y) => {
    const [a, b] = [key(x), key(y)]
    return a < b ? -1 : a > b ? 1 : 0
  },
})
