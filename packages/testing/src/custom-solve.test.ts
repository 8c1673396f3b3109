/** Solves with derivatives of their own: against closed forms, and against all transformations. */
import { linalg, np, random, type NDArray } from '@adjoint/core'
import {
  checkpoint,
  customLinearSolve,
  customRoot,
  foriLoop,
  grad,
  jacfwd,
  jacrev,
  jit,
  jvp,
  scan,
  vjp,
  vmap,
  whileLoop,
} from '@adjoint/transforms'
import { describe, expect, it } from 'vitest'
import { checkGrads } from './check-grads'
import { checkJit, checkVmap } from './check-vmap'

const n = 4
const square = random.normal(random.key(0), [n, n])
const matrix = square.add(np.eye(n).mul(4))
const symmetric = np.matmul(square, square.T).div(n).add(np.eye(n))
const b = random.normal(random.key(1), [n])

/** Conjugate gradients (Hestenes & Stiefel 1952), until nothing is left: a loop of unknown length. */
function conjugateGradients(matvec: (x: NDArray) => NDArray, right: NDArray): NDArray {
  type State = [x: NDArray, r: NDArray, p: NDArray, rr: NDArray, steps: NDArray]
  const going = ([, , , rr, steps]: State): NDArray =>
    np.logicalAnd(np.greater(rr, 1e-12), np.less(steps, 20))
  const step = ([x, r, p, rr, steps]: State): State => {
    const ap = matvec(p)
    const alpha = np.divide(rr, np.sum(np.multiply(p, ap)))
    const rest = np.subtract(r, np.multiply(alpha, ap))
    const next = np.sum(np.square(rest))
    const direction = np.add(rest, np.multiply(np.divide(next, rr), p))
    return [np.add(x, np.multiply(alpha, p)), rest, direction, next, steps.add(1)]
  }
  const start: State = [
    np.zerosLike(right),
    right,
    right,
    np.sum(np.square(right)),
    np.zeros([], { dtype: 'int32' }),
  ]
  const [x] = whileLoop<State>(going, step, start)
  return x
}

/** Jacobi's iteration, for a matrix with a dominant diagonal that is read off unit vectors. */
function jacobi(matvec: (x: NDArray) => NDArray, right: NDArray): NDArray {
  const diagonal = np.diagonal(vmap(matvec)(np.eye(n)))
  return foriLoop(
    0,
    60,
    (_i, x: NDArray) => np.add(x, np.divide(np.subtract(right, matvec(x)), diagonal)),
    np.zerosLike(right),
  )
}

const symmetricPart = (a: NDArray): NDArray => np.add(a, a.T).div(2)
const solveSymmetric = (a: NDArray, right: NDArray): NDArray => {
  const even = symmetricPart(a)
  return customLinearSolve((x: NDArray) => np.matmul(even, x), right, conjugateGradients, {
    symmetric: true,
  })
}
const solveAny = (a: NDArray, right: NDArray): NDArray =>
  customLinearSolve((x: NDArray) => np.matmul(a, x), right, jacobi, { transposeSolve: jacobi })
const solveTriangular = (a: NDArray, right: NDArray): NDArray => {
  const lower = np.tril(a)
  return customLinearSolve(
    (x: NDArray) => np.matmul(lower, x),
    right,
    (_matvec, r) => linalg.solveTriangular(lower, r, { lower: true }),
    { transposeSolve: (_vecmat, r) => linalg.solveTriangular(lower, r, { lower: true, trans: 1 }) },
  )
}

/** What an iteration in float32 leaves over. */
const loose = { relative: 0.02, absolute: 0.02 }

const close = (actual: NDArray, expected: NDArray, atol = 1e-4): void => {
  expect(actual.shape).toEqual(expected.shape)
  expect(Number(np.max(np.abs(actual.sub(expected))))).toBeLessThan(atol)
}

describe.each([
  ['conjugate gradients in a whileLoop', solveSymmetric, symmetric, symmetricPart],
  ['Jacobi iteration in a foriLoop', solveAny, matrix, (a: NDArray) => a],
  ['substitution', solveTriangular, matrix, (a: NDArray) => np.tril(a)],
])('customLinearSolve by %s', (_name, solve, a, part) => {
  const effective = part(a)

  it('solves', () => {
    close(np.matmul(effective, solve(a, b)), b)
    close(np.matmul(effective, jit(solve)(a, b)), b)
  })

  it('has the derivatives of A⁻¹ b', () => {
    const inverse = vmap((row: NDArray) => solve(a, row), { outAxes: 1 })(np.eye(n))
    close(jacfwd((right: NDArray) => solve(a, right))(b), inverse)
    close(jacrev((right: NDArray) => solve(a, right))(b), inverse)
    const x = solve(a, b)
    const xBar = random.normal(random.key(2), [n])
    const aBar = np.negative(np.outer(np.matmul(inverse.T, xBar), x))
    const [, pullback] = vjp(solve, a, b)
    close(pullback(xBar)[0], part(aBar))
    close(jit((g: NDArray) => vjp(solve, a, b)[1](g)[1])(xBar), np.matmul(inverse.T, xBar))
  })

  it('passes the checks of derivatives, to second order', () => {
    checkGrads(solve, [a, b], { order: 2, tolerance: loose })
    checkGrads(jit(solve), [a, b], { order: 1, tolerance: loose })
  })

  it('maps over right-hand sides, over matrices and over both', () => {
    const many = random.normal(random.key(3), [3, n])
    const matrices = np.stack([a, a.mul(1.5), a.add(np.eye(n))])
    checkVmap((right: NDArray) => solve(a, right), [many])
    checkVmap((each: NDArray) => solve(each, b), [matrices])
    checkVmap(solve, [matrices, many])
    checkVmap(
      grad((each: NDArray, right: NDArray) => np.sum(np.square(solve(each, right)))),
      [matrices, many],
    )
    checkJit(vmap(grad((each: NDArray) => np.sum(solve(each, b)))), [matrices])
  })

  it('stands in loops and checkpoints', () => {
    const twice = (right: NDArray): NDArray =>
      scan((x: NDArray) => [solve(a, x), null], right, null, { length: 2 })[0]
    const [x, xDot] = jvp(twice, [b], [b])
    close(xDot, x)
    const loss = (f: (right: NDArray) => NDArray) => (right: NDArray) => np.sum(np.square(f(right)))
    close(grad(loss(twice))(b), grad(loss((right) => solve(a, solve(a, right))))(b))
    close(grad(loss(checkpoint(twice)))(b), grad(loss(twice))(b))
  })
})

describe('customLinearSolve', () => {
  it('takes trees, and passes aux along', () => {
    type Pair = { readonly u: NDArray; readonly v: NDArray }
    const solve = (scale: NDArray, right: Pair): [Pair, { steps: NDArray }] =>
      customLinearSolve(
        ({ u, v }: Pair) => ({ u: u.mul(scale), v: v.add(u) }),
        right,
        (_matvec, { u, v }) => {
          const x = u.div(scale)
          return [{ u: x, v: v.sub(x) }, { steps: np.array(7) }] as const
        },
        {
          hasAux: true,
          transposeSolve: (_vecmat, { u, v }) => [
            { u: u.sub(v).div(scale), v },
            { steps: np.array(7) },
          ],
        },
      )
    const right = { u: np.array([2.5, 4.5]), v: np.array([1.5, 1.5]) }
    const [x, aux] = solve(np.array(2.0).astype('float32'), right)
    close(x.v, np.array([0.25, -0.75]))
    expect(aux.steps.item()).toBe(7)
    checkGrads(
      (scale: NDArray, u0: NDArray, v0: NDArray) => {
        const [{ u, v }] = solve(scale, { u: u0, v: v0 })
        return np.sum(np.square(u)).add(np.sum(v))
      },
      [np.array(1.5), right.u, right.v],
      { order: 2 },
    )
  })

  it('explains what it cannot do', () => {
    const oneWay = (right: NDArray): NDArray =>
      customLinearSolve((x: NDArray) => np.matmul(matrix, x), right, jacobi)
    checkGrads(oneWay, [b], { modes: ['forward'] })
    expect(() => grad((x: NDArray) => np.sum(oneWay(x)))(b)).toThrowErrorMatchingInlineSnapshot(`
      [DifferentiationError: customLinearSolve: reverse mode needs a solver for the transposed system
        b 0: f32[4]
        rule: the cotangent of b solves Aᵀ b̄ = x̄
        hint: pass { transposeSolve } or, for a symmetric matrix, { symmetric: true }]
    `)
    expect(() => customLinearSolve((x: NDArray) => np.matmul(np.ones([3, n]), x), b, jacobi))
      .toThrowErrorMatchingInlineSnapshot(`
      [TransformationError: customLinearSolve: A x does not fit b
        b:   f32[4]
        A x: f32[3]
        at: A x
        rule: A x, b and x are trees of the same shapes and dtypes
        inside: customLinearSolve]
    `)
    expect(() =>
      customLinearSolve(
        (x: NDArray) => x,
        np.array([1, 2]),
        (_matvec, r) => r,
      ),
    ).toThrowErrorMatchingInlineSnapshot(`
      [TransformationError: customLinearSolve: a right-hand side is not floating point
        b: i32[2]
        at: b
        rule: unknowns and right-hand sides are floating
        hint: convert it with astype('float32')]
    `)
    expect(() =>
      customLinearSolve(
        (x: NDArray) => x,
        b,
        (_matvec, r) => r.get('1:'),
      ),
    ).toThrow('the solution does not fit b')
  })
})

// --- roots --------------------------------------------------------------------------------------------

/** Newton's method for one unknown, until it stands still. */
function newton(f: (x: NDArray) => NDArray, guess: NDArray): NDArray {
  type State = [x: NDArray, previous: NDArray]
  const going = ([x, previous]: State): NDArray => np.greater(np.abs(x.sub(previous)), 1e-6)
  const step = ([x]: State): State => {
    const [y, slope] = jvp(f, [x], [np.onesLike(x)])
    return [x.sub(y.div(slope)), x]
  }
  const [x] = whileLoop<State>(going, step, [guess, guess.add(1)])
  return x
}

const scalarSolve = (g: (x: NDArray) => NDArray, y: NDArray): NDArray => y.div(g(np.onesLike(y)))

describe('customRoot', () => {
  const cubeRoot = (a: NDArray): NDArray =>
    customRoot((x: NDArray) => x.mul(x).mul(x).sub(a), np.ones([]), newton, scalarSolve)
  const a = np.array(8.0).astype('float32')

  it('has the derivatives of the root', () => {
    close(cubeRoot(a), np.array(2), 1e-5)
    close(grad(cubeRoot)(a), np.array(1 / 12), 1e-6)
    close(grad(grad(cubeRoot))(a), np.array((-2 / 9) * 8 ** (-5 / 3)), 1e-6)
    close(jit(grad(cubeRoot))(a), np.array(1 / 12), 1e-6)
    close(jacfwd(jacrev(cubeRoot))(a), np.array((-2 / 9) * 8 ** (-5 / 3)), 1e-6)
    checkGrads(cubeRoot, [a], { order: 2 })
  })

  it('maps over parameters, whose algorithms take different numbers of steps', () => {
    const many = np.array([0.5, 1.5, 8.5, 1000.5])
    close(vmap(cubeRoot)(many), np.cbrt(many), 1e-4)
    checkVmap(cubeRoot, [many])
    checkVmap(grad(cubeRoot), [many])
    checkJit(vmap(grad(cubeRoot)), [many])
  })

  it('solves systems of several unknowns, with trees, aux and keys', () => {
    type Point = { readonly p: NDArray; readonly q: NDArray }
    const key = random.key(0)
    const solve = (theta: NDArray, k: NDArray): [Point, NDArray] =>
      customRoot(
        ({ p, q }: Point) => ({
          p: p.mul(3).add(np.sin(q)).sub(theta),
          q: q.mul(2).sub(np.cos(p)).add(random.uniform(k)),
        }),
        { p: np.zeros([]), q: np.zeros([]) },
        (f, guess) => {
          const root = foriLoop(
            0,
            40,
            (_i, at: Point) => {
              const value = f(at)
              return { p: at.p.sub(value.p.div(3)), q: at.q.sub(value.q.div(2)) }
            },
            guess,
          )
          return [root, np.array(40)] as const
        },
        (g, y) =>
          customLinearSolve(
            g,
            y,
            (_g, right) => {
              const flat = (x: NDArray): NDArray => {
                const out = g({ p: x.get(0), q: x.get(1) })
                return np.stack([out.p, out.q])
              }
              const [[m, o], [r, s]] = [...jacfwd(flat)(np.zeros([2]))].map((row) => [...row])
              const det = m.mul(s).sub(o.mul(r))
              return {
                p: right.p.mul(s).sub(right.q.mul(o)).div(det),
                q: right.q.mul(m).sub(right.p.mul(r)).div(det),
              }
            },
            {
              transposeSolve: (vecmat, right) => {
                const flat = (x: NDArray): NDArray => {
                  const out = vecmat({ p: x.get(0), q: x.get(1) })
                  return np.stack([out.p, out.q])
                }
                const [[m, o], [r, s]] = [...jacfwd(flat)(np.zeros([2]))].map((row) => [...row])
                const det = m.mul(s).sub(o.mul(r))
                return {
                  p: right.p.mul(s).sub(right.q.mul(o)).div(det),
                  q: right.q.mul(m).sub(right.p.mul(r)).div(det),
                }
              },
            },
          ),
        { hasAux: true },
      )
    const of = (theta: NDArray): NDArray => {
      const [{ p, q }] = solve(theta, key)
      return p.mul(2).add(q)
    }
    const theta = np.array(0.5)
    const [{ p, q }, steps] = solve(theta, key)
    close(p.mul(3).add(np.sin(q)), theta, 1e-5)
    expect(steps.item()).toBe(40)
    checkGrads(of, [theta], { order: 2 })
    checkGrads(jit(of), [theta])
    checkVmap(grad(of), [np.array([0.5, 0.1, 2.5])])
  })

  it('explains what does not fit', () => {
    expect(() => customRoot((x: NDArray) => np.stack([x, x]), np.ones([]), newton, scalarSolve))
      .toThrowErrorMatchingInlineSnapshot(`
      [TransformationError: customRoot: f(x) does not fit initialGuess
        initialGuess: f32[]
        f(x):         f32[2]
        at: f(x)
        rule: x, f(x) and the root are trees of the same shapes and dtypes
        hint: start from a guess of the dtype of the result
        inside: customRoot]
    `)
    expect(() =>
      customRoot((x: NDArray) => x, np.ones([]), newton as never, scalarSolve, { hasAux: true }),
    ).toThrow('solve did not return a pair')
  })
})
