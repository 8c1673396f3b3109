import { describe, expect, it } from 'vitest'
import { Recorder } from '../../compiler/testing/programs'
import { Jaxpr } from '../../jaxpr/ir'
import { Aval } from '../../types/aval'
import { allDTypes } from '../../types/dtype'
import { elementBits, elementData } from '../../types/element'
import { createWasmBackend } from './index'

describe('the WebAssembly device', () => {
  it('runs a program of maps and reductions', () => {
    const backend = createWasmBackend()
    const r = new Recorder()
    const x = r.input([3, 5])
    const y = r.binary('mul', x, x)
    const jaxpr = new Jaxpr(r.inputs, r.equations, [y])
    const executable = backend.compile(jaxpr, { donated: [false], name: 'square' })
    const input = backend.fromHost(
      new Aval([3, 5], 'float32'),
      Float32Array.from({ length: 15 }, (_, i) => i),
    )
    const [output] = executable.run([input])
    expect(output && backend.read(output)).toEqual(
      Float32Array.from({ length: 15 }, (_, i) => i * i),
    )
  })
  it.each(allDTypes)('fills arrays of %s as the host would', (dtype) => {
    const backend = createWasmBackend()
    for (const value of [0, -0, 1, 0.1]) {
      const element = elementBits(dtype === 'bool' ? value !== 0 : value, dtype)
      for (const size of [0, 1, 63, 257, 1025, 40_003]) {
        const filled = backend.filled(new Aval([size], dtype), element)
        expect(backend.read(filled)).toEqual(elementData(dtype, size).fill(element))
        backend.release(filled)
      }
    }
  })
})
