import { type NDArray, np, setDevice } from '@adjoint/core'
import { checkPasses, type Jaxpr, Jaxpr as JaxprClass, optimize } from '@adjoint/core/internal'
import { describe, expect, it } from 'vitest'
import {
  checkpoint,
  checkpointName,
  customJvp,
  customVjp,
  dotsSaveable,
  everythingSaveable,
  grad,
  jit,
  makeJaxpr,
  nothingSaveable,
  saveOnlyTheseNames,
  scan,
  vmap,
} from './index'

setDevice('reference')
checkPasses(true)

/** How often a primitive is evaluated by a program as it is compiled. */
function occurrences(jaxpr: Jaxpr, primitive: string): number {
  let n = 0
  for (const e of jaxpr.equations) {
    if (e.primitive.name === primitive) n++
    for (const p of Object.values(e.params))
      if (p instanceof JaxprClass) n += occurrences(p, primitive)
  }
  return n
}
const compiledCount = (f: (x: NDArray) => unknown, x: NDArray, primitive: string): number =>
  occurrences(optimize(makeJaxpr(f)(x).jaxpr), primitive)

const f = (x: NDArray): NDArray => np.sum(np.sin(checkpointName(np.sin(np.sin(x)), 'inner')))
const x = np.array([0.5, 1.5], { dtype: 'float32' })

describe('checkpoint', () => {
  it('keeps the rules of functions that have rules of their own', () => {
    const withJvp = customJvp((y: NDArray) => np.sin(y)).defjvp(([y], [yDot]) => [
      np.sin(y),
      yDot.mul(5),
    ])
    const withVjp = customVjp((y: NDArray) => np.sin(y)).defvjp(
      (y) => [np.sin(y), null],
      (_residuals, yBar) => [yBar.mul(7)],
    )
    const point = np.array(0.5)
    for (const [custom, slope] of [
      [withJvp, 5],
      [withVjp, 7],
    ] as const) {
      const called = (y: NDArray): NDArray => custom(y)
      const inLoop = (y: NDArray): NDArray =>
        scan((z: NDArray) => [custom(z), null], y, null, { length: 1 })[0]
      for (const g of [called, inLoop, jit(called)]) {
        for (const policy of [nothingSaveable, everythingSaveable]) {
          expect(grad(checkpoint(g, { policy }))(point).item()).toBe(slope)
          expect(jit(grad(checkpoint(g, { policy })))(point).item()).toBe(slope)
        }
      }
    }
  })

  it('recomputes what the policy does not keep', () => {
    expect(compiledCount(grad(f), x, 'sin')).toBe(2) // the last sin is not needed
    // Forward computes sin twice or three times for its value, backward twice again.
    expect(compiledCount((y) => grad(checkpoint(f))(y), x, 'sin')).toBe(2)
    const both = (g: (y: NDArray) => NDArray) => (y: NDArray) => [g(y), grad(g)(y)]
    expect(compiledCount(both(f), x, 'sin')).toBe(3)
    expect(compiledCount(both(checkpoint(f)), x, 'sin')).toBe(5)
    expect(compiledCount(both(checkpoint(f, { policy: nothingSaveable })), x, 'sin')).toBe(5)
    expect(compiledCount(both(checkpoint(f, { policy: everythingSaveable })), x, 'sin')).toBe(3)
    expect(
      compiledCount(both(checkpoint(f, { policy: saveOnlyTheseNames('inner') })), x, 'sin'),
    ).toBe(4)
    expect(
      compiledCount(both(checkpoint(f, { policy: saveOnlyTheseNames('other') })), x, 'sin'),
    ).toBe(5)
  })
  it('changes no derivative', () => {
    const plain = grad(f)(x).toArray()
    for (const policy of [
      nothingSaveable,
      everythingSaveable,
      dotsSaveable,
      saveOnlyTheseNames('inner'),
    ]) {
      const g = checkpoint(f, { policy })
      expect(grad(g)(x).toArray()).toEqual(plain)
      expect(jit(grad(g))(x).toArray()).toEqual(plain)
      expect(grad(jit(g))(x).toArray()).toEqual(plain)
      const twice = (h: typeof f) => grad((y: NDArray) => np.sum(grad(h)(y)))(x)
      expect(twice(g).toArray()).toEqual(twice(f).toArray())
      expect(vmap(grad(g))(np.stack([x, x])).toArray()).toEqual([plain, plain])
    }
    const loop =
      (body: (c: NDArray) => NDArray) =>
      (y: NDArray): NDArray =>
        np.sum(scan((c: NDArray, _i: null) => [body(c), null], y, null, { length: 3 })[0])
    const body = (c: NDArray): NDArray => np.sin(np.multiply(np.sin(c), 2))
    expect(grad(loop(checkpoint(body)))(x).toArray()).toEqual(grad(loop(body))(x).toArray())
  })
})
