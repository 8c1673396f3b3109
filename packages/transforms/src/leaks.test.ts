import { np, type NDArray } from '@adjoint/core'
import { LeakedTracerError } from '@adjoint/core/internal'
import { describe, expect, it } from 'vitest'
import { cond, grad, jit, jvp, scan, vmap } from './index'

/** A tracer of a transformation that has finished. */
function leakedTracer(): NDArray {
  let kept: NDArray | null = null
  grad((x: NDArray) => (kept = np.multiply(x, 2)))(np.array(1, { dtype: 'float32' }))
  if (kept === null) throw new Error('grad did not call its function')
  return kept
}

describe('a tracer that escaped', () => {
  const one = np.ones([])
  const uses: Readonly<Record<string, (leaked: NDArray) => unknown>> = {
    operand: (leaked) => np.add(leaked, 1),
    reading: (leaked) => leaked.toArray(),
    'argument of jit': (leaked) => jit((x: NDArray) => x)(leaked),
    'argument of grad': (leaked) => grad((x: NDArray) => x)(leaked),
    'argument of vmap': (leaked) => vmap((x: NDArray) => x, { inAxes: null, axisSize: 3 })(leaked),
    'result under jit': (leaked) => jit(() => leaked)(),
    'result under grad': (leaked) => grad((_: NDArray) => leaked)(one),
    'result under vmap': (leaked) => vmap((_: NDArray) => leaked)(np.ones([2])),
    'result under jvp': (leaked) => jvp((_: NDArray) => leaked, [one], [one]),
    'result of a loop body': (leaked) =>
      scan((c: NDArray, _: NDArray) => [c, leaked], one, np.ones([2])),
    'result of a branch': (leaked) =>
      cond(
        np.array([true]).get(0),
        () => leaked,
        () => one,
      ),
  }
  it.each(Object.entries(uses))('is refused as %s', (_, use) => {
    const leaked = leakedTracer()
    expect(() => use(leaked)).toThrow(LeakedTracerError)
    expect(() => use(leaked)).toThrow(/a tracer of grad is used after it has finished/)
  })
})
