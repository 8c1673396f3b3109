/**
 * Every transformation around every other, to three levels, means what its parts mean.
 *
 * All steps turn a function of three numbers into another. What a step means is said a second time
 * with plain loops and with jvp only, evaluated eagerly on the reference; jvp in turn is held to
 * finite differences.
 */
import { DifferentiationError, type NDArray, np, setDevice } from '@adjoint/core'
import {
  associativeScan,
  checkpoint,
  cond,
  customJvp,
  customVjp,
  foriLoop,
  grad,
  hessian,
  jacfwd,
  jacrev,
  jit,
  jvp,
  linearize,
  map,
  scan,
  switchCase,
  valueAndGrad,
  vjp,
  vmap,
  whileLoop,
} from '@adjoint/transforms'
import fc from 'fast-check'
import { afterAll, describe, expect, it, vi } from 'vitest'
import { numbersOf } from './compare'
import { f32, i32 } from './misuse.fixture'

type Fn = (x: NDArray) => NDArray

interface Step {
  readonly apply: (f: Fn) => Fn
  /** The same without the transformation. */
  readonly plain: (f: Fn) => Fn
  /** Which derivatives it takes of what is inside. */
  readonly takes?: 'forward' | 'reverse' | 'both'
  /** Which derivatives may be taken of it. */
  readonly allows?: 'forward' | 'reverse'
}

const T = [0.5, -1, 0.25]
const W = [1, 0.5, -0.75]
const tangent = (): NDArray => f32(T)
const weights = (): NDArray => f32(W)
const unit = (k: number): NDArray => f32([0, 1, 2].map((i) => (i === k ? 1 : 0)))

// --- derivatives by jvp alone
const along =
  (f: Fn, t: () => NDArray): Fn =>
  (x) =>
    jvp(f, [x], [t().astype(x.dtype)])[1]
const pulled =
  (f: Fn, w: () => NDArray): Fn =>
  (x) =>
    np.stack([0, 1, 2].map((k) => np.sum(along(f, () => unit(k))(x).mul(w()))))
const same = (f: Fn): Fn => f

const steps: { readonly [name: string]: Step } = {
  jit: { apply: (f) => jit(f), plain: same },
  checkpoint: { apply: (f) => checkpoint(f), plain: same },
  vmap: { apply: (f) => (x) => vmap(f)(np.stack([x.mul(2), x])).get(1), plain: same },
  vmapColumns: {
    apply: (f) => (x) => vmap(f, { inAxes: 1, outAxes: -1 })(np.stack([x.neg(), x], 1)).get(':', 1),
    plain: same,
  },
  vmapClosure: {
    apply: (f) => (x) =>
      vmap((a: NDArray) =>
        f(x)
          .mul(a)
          .add(f(x.mul(a))),
      )(f32([2, 1])).get(1),
    plain: (f) => (x) => f(x).mul(2),
  },
  grad: {
    apply: (f) => grad((x: NDArray) => np.sum(f(x).mul(weights()))),
    plain: (f) => pulled(f, weights),
    takes: 'reverse',
  },
  valueAndGrad: {
    apply: (f) => (x) => {
      const [value, g] = valueAndGrad((y: NDArray) => np.sum(f(y)))(x)
      return g.add(value)
    },
    plain: (f) => (x) => pulled(f, () => f32([1, 1, 1]))(x).add(np.sum(f(x))),
    takes: 'reverse',
  },
  vjp: {
    apply: (f) => (x) => {
      const [y, pullback] = vjp(f, x)
      return pullback(weights())[0].add(y)
    },
    plain: (f) => (x) => pulled(f, weights)(x).add(f(x)),
    takes: 'reverse',
  },
  jvp: { apply: (f) => along(f, tangent), plain: (f) => along(f, tangent), takes: 'forward' },
  linearize: {
    apply: (f) => (x) => {
      const [y, linear] = linearize(f, x)
      return linear(tangent()).add(y)
    },
    plain: (f) => (x) => along(f, tangent)(x).add(f(x)),
    takes: 'both',
  },
  jacfwd: {
    apply: (f) => (x) => np.matmul(jacfwd(f)(x), tangent()),
    plain: (f) => along(f, tangent),
    takes: 'forward',
  },
  jacrev: {
    apply: (f) => (x) => np.matmul(weights(), jacrev(f)(x)),
    plain: (f) => pulled(f, weights),
    takes: 'reverse',
  },
  hessian: {
    apply: (f) => (x) =>
      np.matmul(hessian((y: NDArray) => np.sum(f(y).mul(weights())))(x), tangent()),
    plain: (f) => along(pulled(f, weights), tangent),
    takes: 'both',
  },
  scan: {
    apply: (f) => (x) => {
      const [c, ys] = scan((c: NDArray, k: NDArray) => [f(c).mul(k), c.sum()], x, f32([0.5, 0.75]))
      return c.add(ys.sum())
    },
    plain: (f) => (x) => {
      const c = f(x).mul(0.5)
      return f(c).mul(0.75).add(x.sum()).add(c.sum())
    },
  },
  scanReverse: {
    apply: (f) => (x) =>
      scan((n: NDArray, a: NDArray) => [n.add(1), f(x).mul(a).mul(n)], i32(1), f32([2, 3]), {
        reverse: true,
      })[1].sum(0),
    plain: (f) => (x) => f(x).mul(3).add(f(x).mul(4)),
  },
  foriLoop: {
    apply: (f) => (x) => foriLoop(0, 2, (i, c: NDArray) => f(c).add(i), x),
    plain: (f) => (x) => f(f(x)).add(1),
  },
  whileLoop: {
    apply: (f) => (x) =>
      whileLoop(
        ({ n }: { n: NDArray; c: NDArray }) => n.less(2),
        ({ n, c }: { n: NDArray; c: NDArray }) => ({ n: n.add(1), c: f(c).mul(x) }),
        { n: i32(0), c: x },
      ).c,
    plain: (f) => (x) => f(f(x).mul(x)).mul(x),
    allows: 'forward',
  },
  cond: {
    apply: (f) => (x) => cond(x.sum().greater(0), f, (y: NDArray) => f(y).mul(2), x),
    plain: (f) => f,
  },
  condClosure: {
    apply: (f) => (x) =>
      cond(
        x.get(0).less(0),
        (y: NDArray) => y,
        (y: NDArray) => f(x).mul(y),
        x,
      ),
    plain: (f) => (x) => f(x).mul(x),
  },
  switchCase: {
    apply: (f) => (x) => switchCase(i32(1), [np.cos, f, (y: NDArray) => y], x),
    plain: same,
  },
  map: {
    apply: (f) => (x) => map(f, np.stack([x, x.mul(0.5)])).sum(0),
    plain: (f) => (x) => f(x).add(f(x.mul(0.5))),
  },
  associativeScan: {
    apply: (f) => (x) =>
      associativeScan(
        (a: { m: NDArray; b: NDArray }, b: { m: NDArray; b: NDArray }) => ({
          m: a.m.mul(b.m),
          b: b.m.mul(a.b).add(b.b),
        }),
        { m: np.stack([x, f(x), x]), b: np.stack([f(x), x, x]) },
      ).b.get(2),
    plain: (f) => (x) => x.mul(f(x).mul(f(x)).add(x)).add(x),
  },
  customJvp: {
    apply: (f) =>
      customJvp((x: NDArray) => f(x)).defjvp(([x], [t]) => {
        const [y, yDot] = jvp(f, [x], [t])
        return [y, yDot.mul(1)]
      }),
    plain: same,
  },
  customVjp: {
    apply: (f) =>
      customVjp((x: NDArray) => f(x)).defvjp(
        (x) => [f(x), { x }],
        ({ x }, g) => [vjp(f, x)[1](g)[0]],
      ),
    plain: same,
    // Its backward rule is recorded together with the function.
    takes: 'reverse',
    allows: 'reverse',
  },
  closure: {
    apply: (f) => (x) => jit((y: NDArray) => f(y).mul(x).add(f(x)))(x.mul(0.5)),
    plain: (f) => (x) => f(x.mul(0.5)).mul(x).add(f(x)),
  },
  trees: {
    apply: (f) => (x) => {
      const run = jit((p: { a: NDArray; n: NDArray; rest: [NDArray, null] }) => ({
        y: f(p.a).mul(p.n),
        n: p.n.add(1),
        z: [p.rest[0]],
      }))
      const { y, n, z } = run({ a: x, n: i32(2), rest: [x, null] })
      return y.add(n).add(z[0])
    },
    plain: (f) => (x) => f(x).mul(2).add(3).add(x),
  },
}

const bases: { readonly [name: string]: Fn } = {
  'sin(Ax)': (x) =>
    np.sin(
      np.matmul(
        f32([
          [0.5, -0.25, 0.1],
          [0.2, 0.4, -0.3],
          [-0.1, 0.3, 0.6],
        ]),
        x,
      ),
    ),
  'softplus, gather, prod': (x) =>
    np
      .logaddexp(x, 0)
      .mul(x.get(i32([2, 0, 1])))
      .add(np.prod(np.cos(x)).mul(0.5)),
}
const point = (): NDArray => f32([0.6, -0.3, 0.8])

afterAll(() => {
  setDevice('wasm')
})

/** Whether what is taken outside is allowed of every step inside of it. */
function isAllowed(names: readonly string[]): boolean {
  return names.every((inner, i) => {
    const { allows } = steps[inner] ?? {}
    if (allows === undefined) return true
    return names.slice(i + 1).every((outer) => {
      const { takes } = steps[outer] ?? {}
      // A rule of one's own differentiates what it is given, forwards or backwards.
      const taken = outer === 'customJvp' ? 'forward' : takes
      return taken === undefined || taken === allows
    })
  })
}

const isFar = (a: number, b: number, tolerance: number): boolean =>
  !(Math.abs(a - b) <= tolerance * Math.max(1, Math.abs(b)))

function check(names: readonly string[], base: Fn, compiled: boolean): void {
  const [f, plain] = [
    names.reduce((g, name) => steps[name]?.apply(g) ?? g, base),
    names.reduce((g, name) => steps[name]?.plain(g) ?? g, base),
  ]
  const described = [...names].reverse().join(' of ')
  setDevice('reference')
  const expected = Array.from(numbersOf(plain(point())))
  const scale = Math.max(...expected.map(Math.abs), 1)
  const compare = (where: string, result: NDArray, tolerance: number): void => {
    const values = Array.from(numbersOf(result))
    if (
      values.length !== 3 ||
      values.some((v, i) => isFar(v / scale, (expected[i] ?? NaN) / scale, tolerance))
    ) {
      throw new Error(`${described} on ${where}: ${values.join(' ')}, not ${expected.join(' ')}`)
    }
  }
  compare('reference', f(point()), 1e-5)
  if (!compiled) return
  setDevice('wasm')
  compare('wasm', jit(f)(point()), 1e-4)
}

function checkOrRefuse(names: readonly string[], base: Fn, compiled: boolean): void {
  if (isAllowed(names)) {
    check(names, base, compiled)
    return
  }
  // Either the error that says so, or, where no derivative comes through, the value.
  try {
    check(names, base, compiled)
  } catch (error) {
    if (!(error instanceof DifferentiationError)) throw error
  }
}

const names = Object.keys(steps)

// Each test compiles dozens of programs.
vi.setConfig({ testTimeout: 30_000 })

describe('compositions', () => {
  it('jvp agrees with finite differences, of first and second order', () => {
    setDevice('reference')
    for (const f of Object.values(bases)) {
      for (const g of [f, along(f, tangent), pulled(f, weights)]) {
        const h = 1e-4
        const [x, t] = [point(), tangent()].map((v) => v.astype('float64'))
        const at = (sign: number): number[] => Array.from(numbersOf(g(x.add(t.mul(sign * h)))))
        const [above, below] = [at(1), at(-1)]
        const exact = Array.from(numbersOf(along(g, tangent)(x)))
        exact.forEach((value, i) => {
          expect(((above[i] ?? NaN) - (below[i] ?? NaN)) / (2 * h)).toBeCloseTo(value, 5)
        })
      }
    }
  })
  for (const [row, outer] of names.entries()) {
    it(`${outer} of anything`, () => {
      for (const [i, inner] of names.entries()) {
        const base = Object.values(bases)[(row + (i >> 1)) % 2]
        if (base !== undefined) checkOrRefuse([inner, outer], base, (row + i) % 2 === 0)
      }
    })
  }
  it('three in any order', () => {
    fc.assert(
      fc.property(
        fc.tuple(...[0, 1, 2].map(() => fc.constantFrom(...names))),
        fc.constantFrom(...Object.values(bases)),
        (chosen, base) => {
          checkOrRefuse(chosen, base, true)
        },
      ),
      { numRuns: 40, seed: 7 },
    )
  })
})
