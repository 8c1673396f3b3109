import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { donating, plan } from './plan'
import { CompilationUnit } from './lowering'
import type { Program } from './nodes'
import { randomProgramsOfAnyDType, runPlanned, runSeparately } from './testing/programs'

const unfused = (program: Program): Program => program

describe('lowering', () => {
  test('computes what the equations mean', () => {
    fc.assert(
      fc.property(randomProgramsOfAnyDType, ({ jaxpr, inputs, expected, text }) => {
        const program = new CompilationUnit(unfused).program(jaxpr)
        expect(runSeparately(program, inputs), text).toEqual(expected)
      }),
      { numRuns: 400 },
    )
  })

  test('computes the same in planned memory', () => {
    fc.assert(
      fc.property(
        randomProgramsOfAnyDType,
        fc.array(fc.boolean()),
        ({ jaxpr, inputs, expected, text }, donated) => {
          const program = new CompilationUnit(unfused).program(jaxpr)
          expect(runPlanned(program, plan(program, donating(donated)), inputs), text).toEqual(
            expected,
          )
        },
      ),
      { numRuns: 400 },
    )
  })
})
