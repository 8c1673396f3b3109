/**
 * JSON (RFC 8259) as strictly as a file from a stranger deserves: a repeated key is an error, and
 * so is deep nesting. `JSON.parse` lets the last of equal keys win, and hostile files hide one
 * tensor behind another that way.
 */
export type Json = string | number | boolean | null | readonly Json[] | JsonObject
export type JsonObject = ReadonlyMap<string, Json>

/** Where and why a text is not JSON. */
export class JsonError extends Error {
  constructor(
    readonly problem: string,
    readonly offset: number,
  ) {
    super(`${problem} at character ${offset}`)
  }
}

const DEEPEST = 16
const number = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y
const space = /[ \t\n\r]*/y
// Control characters must be escaped.
// oxlint-disable-next-line no-control-regex -- those are the ones that may not stand there
const plainText = /[^"\\\u0000-\u001f]*/y
const words = { true: true, false: false, null: null } as const

export function parseJson(text: string): Json {
  let at = 0
  let depth = 0

  const fail = (problem: string): never => {
    throw new JsonError(problem, at)
  }
  const match = (pattern: RegExp): string => {
    pattern.lastIndex = at
    const found = pattern.exec(text)?.[0] ?? ''
    at += found.length
    return found
  }
  const found = (): string => {
    const character = text.codePointAt(at)
    return character === undefined
      ? 'the end of the text'
      : JSON.stringify(String.fromCodePoint(character))
  }
  const expect = (character: string): void => {
    match(space)
    if (text[at] !== character) fail(`expected ${JSON.stringify(character)}, found ${found()}`)
    at++
  }
  /** Whether a character comes next; it is taken. */
  const takes = (character: string): boolean => {
    match(space)
    if (text[at] !== character) return false
    at++
    return true
  }

  const string = (): string => {
    expect('"')
    const parts: string[] = []
    for (;;) {
      parts.push(match(plainText))
      if (text[at] === '"') {
        at++
        return parts.join('')
      }
      if (text[at] !== '\\') fail(`a string holds ${found()}`)
      const escaped = /^\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/.exec(text.slice(at, at + 6))?.[0]
      if (escaped === undefined) return fail('an escape that does not exist')
      parts.push(JSON.parse(`"${escaped}"`) as string)
      at += escaped.length
    }
  }
  const object = (): JsonObject => {
    const entries = new Map<string, Json>()
    expect('{')
    if (takes('}')) return entries
    do {
      match(space)
      const start = at
      const key = string()
      if (entries.has(key)) {
        at = start
        fail(`the key ${JSON.stringify(key)} stands twice`)
      }
      expect(':')
      entries.set(key, value())
    } while (takes(','))
    expect('}')
    return entries
  }
  const list = (): readonly Json[] => {
    const items: Json[] = []
    expect('[')
    if (takes(']')) return items
    do items.push(value())
    while (takes(','))
    expect(']')
    return items
  }
  const value = (): Json => {
    match(space)
    const first = text[at] ?? ''
    if (first === '"') return string()
    if (first === '{' || first === '[') {
      if (++depth > DEEPEST) fail(`nested more than ${DEEPEST} levels deep`)
      const result = first === '{' ? object() : list()
      depth--
      return result
    }
    for (const [word, meaning] of Object.entries(words)) {
      if (!text.startsWith(word, at)) continue
      at += word.length
      return meaning
    }
    const digits = match(number)
    return digits === '' ? fail(`expected a value, found ${found()}`) : Number(digits)
  }

  const result = value()
  match(space)
  if (at < text.length) fail(`expected the end of the text, found ${found()}`)
  return result
}
