import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { wasmFeatures } from '../emit'
import { ModuleBuilder } from '../emit'
import type { Vec } from './graph'
import { Emission, VectorGraph } from './graph'
import { FloatLanes } from './lanes'

/** max and min of two floats; an operand may be a constant of the code. */
function extremum(kind: 'max' | 'min', x: number, y: number, constant: 'x' | 'y' | null): number {
  const module = new ModuleBuilder()
  const options = { exportName: 'run', params: ['f64', 'f64'], results: ['f64'] } as const
  module.function(options, (f) => {
    const lanes = new FloatLanes(new VectorGraph(), 'f64', wasmFeatures())
    const operand = (position: 0 | 1, value: number, isConstant: boolean): Vec =>
      isConstant
        ? lanes.constant(value)
        : lanes.graph.operation(`operand ${position}`, [], () =>
            f.get(f.param(position, 'f64')).op('f64x2.splat'),
          )
    const result = lanes[kind](operand(0, x, constant === 'x'), operand(1, y, constant === 'y'))
    new Emission(f, [result]).push(result)
    f.lane('f64x2.extract_lane', 0)
  })
  const { run } = new WebAssembly.Instance(new WebAssembly.Module(module.finish())).exports
  return typeof run === 'function' ? Number(run(x, y)) : NaN
}

describe('FloatLanes', () => {
  it('takes extrema as Math.max and Math.min do, with −0 and NaN', () => {
    const number = fc.oneof(fc.constantFrom(0, -0, NaN, Infinity, -Infinity, 1), fc.double())
    fc.assert(
      fc.property(number, number, fc.constantFrom('x', 'y', null), (x, y, constant) => {
        expect(extremum('max', x, y, constant)).toBe(Math.max(x, y))
        expect(extremum('min', x, y, constant)).toBe(Math.min(x, y))
      }),
      { numRuns: 300 },
    )
  })
})
