import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Json, JsonError, parseJson } from './json'

const plain = (value: Json): unknown => {
  if (value instanceof Map) {
    return Object.fromEntries(
      [...(value as ReadonlyMap<string, Json>)].map(([k, v]) => [k, plain(v)]),
    )
  }
  return Array.isArray(value) ? value.map(plain) : value
}

describe('parseJson', () => {
  it('reads what JSON.stringify writes', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5 }), fc.constantFrom(0, 2), (value, space) => {
        const text = JSON.stringify(value, null, space)
        expect(plain(parseJson(text))).toEqual(JSON.parse(text))
      }),
    )
  })

  it('reads what JSON.parse reads, and refuses the rest', () => {
    const base = '{"a": [1, -2.5e3, "x\\u00e9\\n"], "b": {"c": null, "d": [true, false]}}'
    const mutation = fc.record({
      at: fc.nat(base.length),
      remove: fc.nat(3),
      insert: fc.string({ unit: fc.constantFrom(...'{}[]",:\\u0019-.e tn\n'), maxLength: 3 }),
    })
    fc.assert(
      fc.property(mutation, ({ at, remove, insert }) => {
        const text = base.slice(0, at) + insert + base.slice(at + remove)
        const read = (parse: () => unknown): unknown => {
          try {
            return { value: parse() }
          } catch (error) {
            return error instanceof SyntaxError || error instanceof JsonError ? null : error
          }
        }
        const actual = read(() => plain(parseJson(text)))
        // A repeated key is the one thing that JSON.parse lets pass.
        if (actual !== null) expect(actual).toEqual(read(() => JSON.parse(text)))
        else
          expect(
            read(() => (/"(.)".*"\1"/s.test(text) ? null : { v: JSON.parse(text) })),
          ).toBeNull()
      }),
      { numRuns: 500 },
    )
  })

  it.each([
    ['{"a":1,"a":2}', 'the key "a" stands twice at character 7'],
    ['{"a":1,"\\u0061":2}', 'the key "a" stands twice at character 7'],
    ['['.repeat(100_000), 'nested more than 16 levels deep at character 16'],
    ['{"a":1', 'expected "}", found the end of the text at character 6'],
    ['{"a":01}', 'expected "}", found "1" at character 6'],
    ['"\\x"', 'an escape that does not exist at character 1'],
    ['[1] 2', 'expected the end of the text, found "2" at character 4'],
  ])('refuses %.20s', (text, message) => {
    expect(() => parseJson(text)).toThrow(message)
  })
})
