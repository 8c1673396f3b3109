import { describe, expect, it } from 'vitest'
import { Recorder } from '../../compiler/testing/programs'
import { Jaxpr } from '../../jaxpr/ir'
import { Aval } from '../../types/aval'
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
})
