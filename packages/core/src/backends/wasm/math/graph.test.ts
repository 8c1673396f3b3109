import { describe, expect, it } from 'vitest'
import type { FunctionBuilder } from '../emit'
import { ModuleBuilder, v128 } from '../emit'
import type { Vec } from './graph'
import { Emission, VectorGraph } from './graph'

/** Runs four floats through a vector expression. */
function evaluate(
  build: (graph: VectorGraph, x: Vec) => Vec,
  input: readonly number[],
): { readonly results: number[]; readonly code: Uint8Array; readonly locals: number } {
  const module = new ModuleBuilder()
  module.importMemory({ initial: 1 })
  let built: FunctionBuilder | undefined
  module.function({ exportName: 'run', params: [], results: [] }, (f) => {
    built = f
    const graph = new VectorGraph()
    const x = graph.operation('load', [], () => f.i32Const(0).load('v128.load'))
    const y = build(graph, x)
    const emission = new Emission(f, [y])
    f.i32Const(16)
    emission.push(y)
    f.store('v128.store')
  })
  const memory = new WebAssembly.Memory({ initial: 1 })
  const view = new Float32Array(memory.buffer, 0, 8)
  view.set(input)
  const code = module.finish()
  const { run } = new WebAssembly.Instance(new WebAssembly.Module(code), { env: { memory } })
    .exports
  if (typeof run === 'function') run()
  return { results: [...view.subarray(4)], code, locals: built?.localCount ?? 0 }
}

const count = (code: Uint8Array, ...pattern: number[]): number =>
  code.filter((_, at) => pattern.every((byte, offset) => code[at + offset] === byte)).length

const MUL = [0xfd, 0xe6, 0x01]

describe('VectorGraph', () => {
  it('computes what is written twice only once', () => {
    const { results, code } = evaluate(
      (graph, x) => {
        const square = (): Vec => graph.op('f32x4.mul', x, x)
        return graph.op('f32x4.add', square(), square())
      },
      [1, 2, 3, 4],
    )
    expect(results).toEqual([2, 8, 18, 32])
    expect(count(code, ...MUL)).toBe(1)
  })

  it('writes only what is asked for', () => {
    const { code } = evaluate(
      (graph, x) => {
        graph.op('f32x4.mul', x, x)
        return graph.op('f32x4.neg', x)
      },
      [1, 2, 3, 4],
    )
    expect(count(code, ...MUL)).toBe(0)
  })

  it('keeps chains on the stack and reuses the locals of values that are done with', () => {
    const { results, locals } = evaluate(
      (graph, x) => {
        let value = x
        for (let step = 0; step < 20; step++) value = graph.op('f32x4.add', value, value)
        return value
      },
      [1, 2, 3, 4],
    )
    expect(results).toEqual([1, 2, 3, 4].map((n) => n * 2 ** 20))
    expect(locals).toBeLessThanOrEqual(2)
  })

  it('jumps over rare code unless a lane needs it', () => {
    const rareWhenNegative = (graph: VectorGraph, x: Vec): Vec => {
      const negative = graph.op('f32x4.lt', x, graph.constant(v128.f32x4(0)))
      const usual = graph.op('f32x4.add', x, x)
      return graph.guarded('square', negative, usual, [x, negative], (kept, argument, mask) =>
        graph.op('v128.bitselect', graph.op('f32x4.mul', argument, argument), kept, mask),
      )
    }
    expect(evaluate(rareWhenNegative, [1, 2, 3, 4]).results).toEqual([2, 4, 6, 8])
    expect(evaluate(rareWhenNegative, [1, -2, 3, -4]).results).toEqual([2, 4, 6, 16])
  })

  it('computes side by side what is shifted by a step', () => {
    // The second guard of one group stands beside the first of the other.
    const guards = (graph: VectorGraph, start: Vec): Vec => {
      const always = graph.constant(v128.i32x4(-1))
      const guard = (key: string, op: 'f32x4.add' | 'f32x4.mul', x: Vec): Vec =>
        graph.guarded(key, always, x, [x], (_, value) => graph.op(op, value, value))
      let value = guard('square', 'f32x4.mul', guard('double', 'f32x4.add', start))
      for (let step = 0; step < 10; step++) value = graph.op('f32x4.neg', value)
      return value
    }
    const module = new ModuleBuilder()
    module.importMemory({ initial: 1 })
    module.function({ exportName: 'run', params: [], results: [] }, (f) => {
      const graph = new VectorGraph()
      const x = graph.operation('load', [], () => f.i32Const(0).load('v128.load'))
      const results = [guards(graph, x), guards(graph, graph.op('f32x4.neg', x))]
      const emission = new Emission(f, results)
      emission.interleave(
        graph,
        results.map((result) => [result]),
      )
      results.forEach((result, i) => {
        f.i32Const(16 * (i + 1))
        emission.push(result)
        f.store('v128.store')
      })
    })
    const memory = new WebAssembly.Memory({ initial: 1 })
    const view = new Float32Array(memory.buffer, 0, 12)
    view.set([1, 2, 3, 4])
    const { run } = new WebAssembly.Instance(new WebAssembly.Module(module.finish()), {
      env: { memory },
    }).exports
    if (typeof run === 'function') run()
    expect([...view.subarray(4)]).toEqual([4, 16, 36, 64, 4, 16, 36, 64])
  })

  it('runs scalar code on the lanes that are marked', () => {
    const mask = v128.i64x2(0n, -1n)
    const { results } = evaluate(
      (graph, x) =>
        graph.op(
          'f32x4.demote_f64x2_zero',
          graph.op(
            'v128.and',
            graph.constant(mask),
            graph.eachLane64(
              'root',
              graph.constant(mask),
              [graph.op('f64x2.promote_low_f32x4', x)],
              (f, [input], output) => {
                if (input) f.get(input).op('f64.sqrt').set(output)
              },
            ),
          ),
        ),
      [4, 9, 16, 25],
    )
    expect(results).toEqual([0, 3, 0, 0])
  })
})
