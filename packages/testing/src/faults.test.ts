/** The checks find what they should, and name it, wherever it stands in a program. */
import { np, type NDArray } from '@adjoint/core'
import { checkpoint, cond, customJvp, customVjp, jit, scan, whileLoop } from '@adjoint/transforms'
import { describe, expect, it } from 'vitest'
import { checkGrads } from './check-grads'
import { checkJit, checkVmap } from './check-vmap'
import { CheckError } from './culprit'
import { equivalence, EquivalenceError } from './equivalence'
import {
  applied,
  named,
  rows,
  shortLowering,
  wrongBatching,
  wrongDerivative,
  wrongTranspose,
  x,
} from './faults.fixture'

type Fn = (x: NDArray) => NDArray

/** As many as do not undo a change of sign. */
const threeRows = np.concatenate([rows, rows.get('1:')])

/** Programs around an operation on three numbers, and where in them it stands. */
const places: readonly {
  readonly name: string
  readonly around: (f: Fn) => Fn
  readonly inside: readonly string[]
  /** A loop without a fixed length has forward mode only. */
  readonly modes?: readonly 'forward'[]
}[] = [
  { name: 'a chain', around: (f) => (y) => np.sum(np.exp(f(y.mul(0.5)))), inside: [] },
  { name: 'jit', around: (f) => (y) => np.sum(jit(f)(y.mul(0.5))), inside: [] },
  {
    name: 'scan',
    around: (f) => (y) =>
      scan((h: NDArray, t: NDArray): [NDArray, NDArray] => [f(np.add(h, t)), h], y, threeRows)[0],
    inside: ['run 1 of 3 of the body of scan'],
  },
  {
    name: 'cond',
    around: (f) => (y) => cond(np.greater(y.get(0), 0), f, (z) => z.mul(2), y),
    inside: ['branch 1 of cond'],
  },
  {
    name: 'while',
    around: (f) => (y) => {
      const [last] = whileLoop(
        ([, n]: [NDArray, NDArray]) => np.less(n, 3),
        ([z, n]: [NDArray, NDArray]): [NDArray, NDArray] => [f(z), np.add(n, 1)],
        [y, np.array(0)] as [NDArray, NDArray],
      )
      return last
    },
    inside: ['run 1 of 3 of the body of while'],
    modes: ['forward'],
  },
  {
    name: 'a branch in a loop',
    around: (f) => (y) =>
      scan(
        (h: NDArray, t: NDArray): [NDArray, null] => [
          cond(np.greater(t.get(0), 0.2), f, (z) => z.mul(2), h),
          null,
        ],
        y,
        rows,
      )[0],
    inside: ['run 1 of 2 of the body of scan', 'branch 1 of cond'],
  },
  { name: 'checkpoint', around: (f) => (y) => np.sum(checkpoint(f)(y.mul(0.5))), inside: [] },
]

const failureOf = (check: () => void): CheckError => {
  try {
    check()
  } catch (error) {
    if (error instanceof CheckError) return error
    throw error
  }
  throw new Error('no CheckError')
}

const divergenceOf = async (f: Fn, on: NDArray): Promise<EquivalenceError> => {
  try {
    await equivalence('dropping', f, [on], { devices: ['wasm'], gradients: false })
  } catch (error) {
    if (error instanceof EquivalenceError) return error
    throw error
  }
  throw new Error('no EquivalenceError')
}

/** Steps into a call of `jit` or `checkpoint` have the call's name. */
const withoutCalls = (inside: readonly string[]): readonly string[] =>
  inside.filter((place) => place.includes(' of '))

describe('nothing in primitives without a fault', () => {
  it.each(places)('in $name', async ({ around, modes }) => {
    const sin = around(applied(named('sin')))
    checkGrads(sin, [x], { order: 2, ...(modes && { modes }) })
    checkVmap(around(applied(named('cumsum'), { axis: 0, reverse: false })), [rows])
    checkJit(sin, [x])
    await equivalence('sin', sin, [x], modes && { modes })
  })
})

describe('a wrong derivative', () => {
  it.each(places)('in $name', ({ around, inside, modes }) => {
    const f = around(applied(wrongDerivative))
    const { culprit, message } = failureOf(() =>
      checkGrads(f, [x], { name: 'model', ...(modes && { modes }) }),
    )
    expect(message).toMatch(/model: jvp against finite differences/)
    expect(culprit?.primitive).toBe('faulty_sin')
    expect(withoutCalls(culprit?.inside ?? [])).toEqual(inside)
  })

  it('is told with the equation and what it was given', () => {
    const f = (y: NDArray): NDArray => np.sum(np.exp(applied(wrongDerivative)(np.multiply(y, 0.5))))
    const { message } = failureOf(() => checkGrads(f, [x], { name: 'model' }))
    expect(message).toMatchInlineSnapshot(`
      "model: jvp against finite differences, output 0: element [0] is 0.046057745120746195, but -0.040682628377197716 was expected (5.94e+4 times what is allowed)
      equation 2 (faulty_sin) is the first to differ by itself: faulty_sin: jvp against finite differences, output 0: element [1] is 0.05648043329531402, but -0.15472883662936976 was expected (8.29e+4 times what is allowed)
          { lambda ; a:f32[3]. let b:f32[3] = faulty_sin a in (b,) }
          operand 0: Array([ 0.15, -0.35,  0.6 ], dtype=float32)"
    `)
  })

  it('by hand, in a custom rule', () => {
    const wrong = customJvp(function softplus(y: NDArray) {
      return np.logaddexp(y, 0)
    }).defjvp(([y], [yDot]) => [np.logaddexp(y, 0), np.multiply(np.tanh(y), yDot)])
    const forward = failureOf(() => checkGrads((y: NDArray) => np.sum(wrong(y.mul(2))), [x]))
    expect(forward.culprit?.primitive).toBe('custom_jvp_call')
    expect(forward.culprit?.equation).toContain('softplus')
    const wrongBack = customVjp(function halved(y: NDArray) {
      return y.mul(0.5)
    }).defvjp(
      (y) => [y.mul(0.5), null],
      (_residuals, yBar: NDArray) => [yBar.mul(2)],
    )
    const reverse = failureOf(() =>
      checkGrads((y: NDArray) => np.sum(np.exp(wrongBack(y))), [x], { modes: ['reverse'] }),
    )
    expect(reverse.culprit?.primitive).toBe('custom_vjp_call')
  })
})

describe('a wrong transpose, which only reverse mode shows', () => {
  it.each(places.filter(({ modes }) => !modes))('in $name', ({ around, inside }) => {
    const f = around(applied(wrongTranspose))
    checkGrads(f, [x], { modes: ['forward'] })
    const { culprit, message } = failureOf(() => checkGrads(f, [x], { name: 'model' }))
    expect(message).toMatch(/model: ⟨vjp, v⟩ against finite differences/)
    expect(culprit?.primitive).toBe('faulty_neg')
    expect(withoutCalls(culprit?.inside ?? [])).toEqual(inside)
  })
})

describe('a wrong batching rule', () => {
  it.each(places)('in $name', ({ name, around, inside }) => {
    const f = around(applied(wrongBatching, { axis: 0, reverse: false }))
    checkJit(f, [x])
    const { culprit, message } = failureOf(() => checkVmap(f, [np.add(rows, 0.5)]))
    expect(message).toMatch(/^vmap of/)
    expect(culprit?.primitive, name).toBe('faulty_cumsum')
    expect(withoutCalls(culprit?.inside ?? [])).toEqual(inside)
  })

  it('also where there is one row', () => {
    const f = (y: NDArray): NDArray => applied(wrongBatching, { axis: 0, reverse: false })(y.mul(2))
    const { culprit } = failureOf(() => checkVmap(f, [rows.get('1:')]))
    expect(culprit).toMatchObject({ primitive: 'faulty_cumsum', inside: [] })
  })
})

describe('a lowering that drops the last element', () => {
  it.each(places)('in $name', async ({ around, inside }) => {
    const { report } = await divergenceOf(around(applied(shortLowering)), x)
    const [eager, compiled] = report.comparisons
    for (const { agrees, divergence } of [eager, compiled]) {
      expect(agrees).toBe(false)
      expect(divergence?.primitive).toBe('faulty_sin')
      expect(divergence?.inside).toEqual(inside)
    }
  })

  it('is told with the equation and what it was given', async () => {
    const f: Fn = (y) => np.sum(np.exp(applied(shortLowering)(np.multiply(y, 0.5))))
    const { message } = await divergenceOf(f, x)
    expect(message).toMatchInlineSnapshot(`
      "dropping is not the same on every device
      device  aspect       verdict  largest difference                 ulp     of what is allowed
      wasm    eager value  DIFFERS  result 0: 2.8708925 for 3.6297112  3.2e+6  8.4e+3
      wasm    value        DIFFERS  result 0: 2.8708925 for 3.6297112  3.2e+6  8.4e+3
      the value on wasm: equation 2 (faulty_sin) is the first to differ, 0 for 0.56464249 at [2]
          { lambda ; a:f32[3]. let b:f32[3] = faulty_sin a in (b,) }
          operand 0: Array([ 0.15, -0.35,  0.6 ], dtype=float32)"
    `)
  })

  it('in a loop with many steps, at the step where it first shows', async () => {
    const f: Fn = (y) =>
      scan(
        (h: NDArray, n: NDArray): [NDArray, null] => [
          cond(np.greaterEqual(n, 4), applied(shortLowering), (z) => z.mul(0.9), h),
          null,
        ],
        y,
        np.arange(7),
      )[0]
    const { report, message } = await divergenceOf(f, x)
    expect(report.comparisons[1].divergence?.inside).toEqual([
      'run 5 of 7 of the body of scan',
      'branch 1 of cond',
    ])
    expect(message).toContain(
      'equation 0 (faulty_sin) in branch 1 of cond in run 5 of 7 of the body of scan',
    )
  })
})

describe('a check that would check nothing is refused', () => {
  it('derivatives of integers', () => {
    expect(() => checkGrads((y: NDArray) => y.mul(2), [np.array([1, 2])])).toThrow(
      'there is no floating argument',
    )
    expect(() => checkGrads((y: NDArray) => np.argmax(y), [x])).toThrow(
      'there is no floating result',
    )
  })

  it('no rows', () => {
    expect(() => checkVmap((y: NDArray) => y, [np.zeros([0, 2])])).toThrow('there are no rows')
  })

  it('derivatives that were asked for', async () => {
    const asked = equivalence('argmax', (y: NDArray) => np.argmax(y), [x], { gradients: true })
    await expect(asked).rejects.toThrow('there are no derivatives to compare')
  })
})

describe('checks take', () => {
  it('functions of trees', () => {
    const params = { w: rows, b: x }
    const f = (p: { w: NDArray; b: NDArray }, y: NDArray): { z: NDArray } => ({
      z: np.tanh(np.add(np.matmul(p.w, y), np.sum(p.b))),
    })
    checkGrads(f, [params, x])
    checkJit(f, [params, x])
    checkVmap(
      (p: { w: NDArray; b: NDArray }) => np.add(p.w, p.b),
      [{ w: np.stack([rows, rows]), b: np.stack([x, x.mul(2)]) }],
    )
  })

  it('numbers, which are varied where they are no integers', () => {
    checkGrads((a: NDArray, n: NDArray) => np.power(a, n), [0.5, 3])
    checkJit((a: NDArray) => np.sin(a), [0.5])
  })
})
