import { np, type NDArray } from '@adjoint/core'
import { describe, expect, it } from 'vitest'
import { checkNans, debug, grad, jit, NonFiniteError, scan, vmap } from './index'

const x = np.array([4.5, 1.5, -1.5])

describe('checkNans', () => {
  it('names the operation that made the NaN', () => {
    const f = (y: NDArray): NDArray => np.sum(np.log(np.sqrt(y)))
    expect(() => checkNans(f)(x)).toThrowErrorMatchingInlineSnapshot(`
      [NonFiniteError: checkNans(f): sqrt made NaN
        operand 0: f32[3]   -1.5 to 4.5
        result:    f32[3]   1.225 to 2.121, 1 NaN
        rule: finite operands were to give finite results
        hint: keep operands away from the edge of the domain: np.where on the operand, not only on the result; log1p, expm1 or logsumexp; clip; a small constant under a root or a fraction
        inside: checkNans of f]
    `)
  })

  it('sees into compiled programs, loops and batches', () => {
    const f = (y: NDArray): NDArray => np.sqrt(y)
    const total = (ys: NDArray): NDArray =>
      scan((sum: NDArray, y: NDArray) => [sum.add(np.sqrt(y)), null], 0, ys)[0]
    for (const g of [jit(f), vmap(f), jit(vmap(jit(f))), total, jit(total)]) {
      expect(() => checkNans(g)(x)).toThrow(/sqrt made NaN/)
      expect(checkNans(g)(np.abs(x)).toArray()).toEqual(g(np.abs(x)).toArray())
    }
  })

  it('sees into the backward pass', () => {
    const norm = (y: NDArray): NDArray => np.sqrt(np.sum(np.square(y)))
    const zero = np.zeros([2])
    expect(checkNans(norm)(zero).item()).toBe(0)
    expect(() => checkNans(grad(norm))(zero)).toThrow(NonFiniteError)
    expect(() => checkNans(jit(grad(norm)))(zero)).toThrow(/mul made NaN/)
  })

  it('tells what was made from what was given', () => {
    expect(() => checkNans((y: NDArray) => y.mul(2))(np.array([1, NaN]))).toThrow(
      /mul was given NaN/,
    )
  })

  it('looks for infinities where it is told to', () => {
    const f = (y: NDArray): NDArray => np.divide(1, y)
    const zero = np.zeros([])
    expect(checkNans(f)(zero).item()).toBe(Infinity)
    expect(() => checkNans(f, { infinities: true })(zero)).toThrow(/div made an infinity/)
  })

  it('lets debug print', () => {
    const seen: string[] = []
    debug.setOutput((line) => seen.push(line))
    checkNans(
      jit((y: NDArray) => {
        debug.print('{}', y)
        return y
      }),
    )(np.array(1.5))
    debug.setOutput()
    expect(seen).toEqual(['1.5'])
  })

  it('stands outside of other transformations', () => {
    const f = checkNans((y: NDArray) => np.sin(y))
    expect(() => jit(f)(x)).toThrowErrorMatchingInlineSnapshot(`
      [TransformationError: checkNans: a tracer of jit has no value yet
        x: f32[3]
        rule: checkNans looks at values, so it stands outside of all other transformations
        hint: write checkNans(jit(f)) or checkNans(grad(f)) instead of the other way around
        inside: jit of checkNans]
    `)
    expect(() => grad(f)(np.array(1.5))).toThrow('has no value yet')
    expect(jit((y: NDArray) => y.mul(2))(x).toArray()).toEqual([9, 3, -3])
  })
})
