import { np, type NDArray } from '@adjoint/core'
import { describe, expect, it } from 'vitest'
import { checkpoint } from './checkpoint'
import { scan } from './control/scan'
import { grad } from './grad'
import { makeJaxpr } from './inspect'
import { jit } from './jit/jit'

const x = np.array([0.3, -0.5, 0.9])

/** The types of what the forward loop stacks for the backward loop. */
function stacked(body: (x: NDArray) => NDArray): string[] {
  const loss = (start: NDArray): NDArray =>
    np.sum(scan((carry: NDArray, _: null) => [body(carry), null], start, null, { length: 7 })[0])
  const text = String(makeJaxpr(grad(loss))(x))
  const [forward] = text.split('= scan')
  return [...forward.slice(forward.indexOf('let')).matchAll(/f32\[7[\d,]*\]/g)].map(
    ([type]) => type,
  )
}

describe('of the forward pass the fewest bytes are kept', () => {
  it('nothing where the derivative is constant', () => {
    expect(stacked((c) => np.multiply(3, np.subtract(1, c)))).toEqual([])
  })

  it('the operand, and not what a few instructions make of it', () => {
    const polynomial = (c: NDArray): NDArray =>
      np.subtract(np.square(c), np.multiply(0.1, np.multiply(np.square(c), c)))
    expect(stacked(polynomial)).toEqual(['f32[7,3]'])
  })

  it('a scalar, and not the array that it is broadcast to', () => {
    const scaled = (c: NDArray): NDArray => np.divide(c, np.exp(np.sum(np.multiply(1e-3, c))))
    expect(stacked(scaled).toSorted()).toEqual(['f32[7,3]', 'f32[7]'])
  })

  it('results of functions that cost more than a few instructions', () => {
    expect(stacked((c) => np.tanh(c))).toEqual(['f32[7,3]'])
  })
})

describe('derivatives stay what they are', () => {
  const f = (c: NDArray): NDArray => {
    const t = np.tanh(np.multiply(0.7, np.add(c, np.multiply(0.04, np.multiply(np.square(c), c)))))
    const scaled = np.divide(np.multiply(c, np.add(1, t)), np.sqrt(np.mean(np.square(c))))
    return np.where(np.greater(c, 0), scaled, np.subtract(np.multiply(2, scaled), t))
  }
  const loops = (start: NDArray): NDArray =>
    np.sum(scan((carry: NDArray, _: null) => [f(carry), null], start, null, { length: 3 })[0])
  const written = (start: NDArray): NDArray => np.sum(f(f(f(start))))

  it.each([
    ['of a scan', grad(loops)],
    ['of a compiled scan', jit(grad(loops))],
    ['of a compiled function', grad(jit(written))],
    ['of a recomputing function', grad(checkpoint(loops))],
    ['of second order', (p: NDArray) => grad((q: NDArray) => np.sum(grad(loops)(q).mul(q)))(p)],
  ])('%s', (name, derivative) => {
    const expected =
      name === 'of second order'
        ? grad((q: NDArray) => np.sum(grad(written)(q).mul(q)))(x)
        : grad(written)(x)
    expect(np.allclose(derivative(x), expected, { rtol: 1e-4, atol: 1e-4 }).item()).toBe(true)
  })
})
