import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { lower } from './compile'
import { randomProgramsOfAnyDType, runPlanned, runSeparately } from './testing/programs'

describe('fusion', () => {
  test('changes no result', () => {
    fc.assert(
      fc.property(randomProgramsOfAnyDType, ({ jaxpr, inputs, expected, text }) => {
        const { program } = lower(jaxpr)
        expect(runSeparately(program, inputs), text).toEqual(expected)
      }),
      { numRuns: 600 },
    )
  })

  test('changes no result in planned memory, with donated inputs', () => {
    fc.assert(
      fc.property(
        randomProgramsOfAnyDType,
        fc.array(fc.boolean()),
        ({ jaxpr, inputs, expected, text }, donated) => {
          const { program, plan } = lower(jaxpr, { donated })
          expect(runPlanned(program, plan, inputs), text).toEqual(expected)
        },
      ),
      { numRuns: 600 },
    )
  })
})
