import { describe, expect, it } from 'vitest'
import { ModuleBuilder } from '../emit'
import type { Vec } from './index'
import { Emission, floatFunction, VectorGraph } from './index'
import { type FloatFunction, floatFunctions, nameAllFormulas } from './testing/formulas'

nameAllFormulas()

/** Bytes of a function that applies `op` so many times. */
function bytesOf(op: FloatFunction, type: 'f32' | 'f64', times: number): number {
  const module = new ModuleBuilder()
  const f = module.function({ params: ['v128'], results: ['v128'] })
  const graph = new VectorGraph()
  let x: readonly Vec[] = [graph.local(f.param(0, 'v128'))]
  for (let i = 0; i < times; i++) {
    x = floatFunction(graph, { relaxed: true }, op, type, x) ?? []
  }
  new Emission(f, x).push(x[0])
  return f.finish().length
}

/** They are written out for two halves of an f32, and choose between series. */
const long: readonly FloatFunction[] = ['lgamma', 'digamma']

describe('a loop that has a function already grows little with each further use', () => {
  for (const type of ['f32', 'f64'] as const) {
    it.each(floatFunctions)(`%s of ${type}`, (op) => {
      const more = bytesOf(op, type, 3) - bytesOf(op, type, 2)
      expect(more).toBeLessThan(long.includes(op) ? 3000 : 1100)
    })
  }
})
