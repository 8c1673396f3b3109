/**
 * A page has the rare kernels and formulas that its own primitives name. So each primitive must name all
 * that its programs need, and not rely on another one that was lowered before it.
 */
import fc from 'fast-check'
import { describe, it } from 'vitest'
import { forgetControlFlow } from '../../compiler/lowering'
import { optimize } from '../../jaxpr/passes'
import { stage } from '../../jaxpr/stage'
import { install } from '../../install'
import { primitiveSamples } from '../../primitives/all.samples'
import { bind } from '../../trace/interpreter'
import { registeredPrimitives } from '../../trace/primitive'
import { createWasmBackend } from './index'
import { forgetNamed } from './kernels/named'
import { forgetFormulas } from './math/formula'

install()

describe('alone in a page', () => {
  for (const primitive of registeredPrimitives()) {
    const samples = primitiveSamples.get(primitive.name)
    if (samples === undefined) continue
    it(`${primitive.name} is compiled`, () => {
      fc.assert(
        fc.property(fc.oneof(samples.smooth, samples.edges), ({ operands, params }) => {
          forgetNamed()
          forgetFormulas()
          forgetControlFlow()
          const avals = operands.map(({ aval }) => aval)
          const { jaxpr } = stage((xs) => bind(primitive, xs, params), avals, 'alone', 'alone')
          createWasmBackend()
            .compile(optimize(jaxpr), { donated: avals.map(() => false), name: primitive.name })
            .dispose()
        }),
        { numRuns: 12 },
      )
    })
  }
})
