/** Factorisations against JAX's numbers, and by what defines them. */
import { linalg, np, random, setDevice, type NDArray } from '@adjoint/core'
import { grad, jit, jvp, vmap } from '@adjoint/transforms'
import { afterEach, describe, expect, it } from 'vitest'
import golden from '../test-data/linalg.json'
import { checkGrads } from './check-grads'
import { checkJit, checkVmap } from './check-vmap'

afterEach(() => {
  setDevice('wasm')
})

type Nested = number | readonly Nested[]
const flat = (value: Nested): number[] =>
  typeof value === 'number' ? [value] : value.flatMap((each) => flat(each))

const wide = { dtype: 'float64' } as const
const vector = (): NDArray => np.array(golden.b, wide)
const columns = (): NDArray => np.array(golden.columns, wide)

const functions: Record<string, (a: NDArray) => readonly NDArray[]> = {
  qr: (a) => linalg.qr(a),
  qrComplete: (a) => linalg.qr(a, { mode: 'complete' }),
  qrWide: (a) => linalg.qr(a),
  lu: (a) => linalg.lu(a),
  solve: (a) => [linalg.solve(a, vector())],
  inv: (a) => [linalg.inv(a)],
  det: (a) => [linalg.det(a)],
  slogdet: (a) => linalg.slogdet(a),
  eigvalsh: (a) => [linalg.eigvalsh(a.add(a.mT))],
  projector: (a) => {
    const v = linalg.eigh(a.add(a.mT))[1].get('...', ':2')
    return [np.matmul(v, v.mT)]
  },
  svdvals: (a) => [linalg.svdvals(a)],
  polar: (a) => {
    const [u, , vh] = linalg.svd(a, { fullMatrices: false })
    return [np.matmul(u, vh)]
  },
  pinv: (a) => [linalg.pinv(a)],
  lstsq: (a) => linalg.lstsq(a, columns()).slice(0, 1),
  norm2: (a) => [linalg.norm(a, 2)],
  nuclear: (a) => [linalg.norm(a, 'nuc')],
  cond: (a) => [linalg.cond(a)],
  power: (a) => [linalg.matrixPower(a, -2)],
}

const weights = (x: NDArray): NDArray =>
  np.cos(np.arange(x.size, { dtype: 'float64' })).reshape(x.shape)

function close(actual: NDArray, expected: number[], tolerance: number): void {
  const values = flat(actual.toArray() as Nested)
  expect(values).toHaveLength(expected.length)
  values.forEach((value, i) => {
    const allowed = tolerance * (1 + Math.abs(expected[i]))
    expect(Math.abs(value - expected[i]), `element ${i}: ${value}`).toBeLessThanOrEqual(allowed)
  })
}

describe.each(['wasm', 'reference'] as const)(`on %s, as JAX ${golden.jax} has it`, (device) => {
  it.each(golden.cases.map((each) => [each.name, each.matrix, each] as const))(
    '%s of %s',
    (name, key, { values, gradient }) => {
      setDevice(device)
      const data = golden.matrices[key as keyof typeof golden.matrices]
      const a = np.array(data, wide)
      const f = functions[name]
      const results = jit((x: NDArray) => [...f(x)])(a)
      results.forEach((result, i) => {
        close(result, flat(values[i]), 1e-10)
      })
      if (gradient === undefined) return
      const loss = (x: NDArray): NDArray =>
        f(x).reduce((sum, y) => sum.add(np.sum(weights(y).mul(y))), np.zeros([], wide))
      close(jit(grad(loss))(a), flat(gradient), 1e-8)
    },
  )
})

// --- laws ---------------------------------------------------------------------------------------------

const matrix = (m: number, n: number, seed = 0, batch: readonly number[] = []): NDArray =>
  random.normal(random.key(seed), [...batch, m, n])

const small = (x: NDArray, atol: number): void => {
  expect(Number(np.max(np.abs(x)))).toBeLessThan(atol)
}
const orthonormal = (q: NDArray, atol = 2e-6): void => {
  small(np.matmul(q.mT, q).sub(np.eye(q.shape.at(-1) ?? 0)), atol)
}

describe('factorisations', () => {
  it.each([
    [1, 1],
    [2, 2],
    [5, 5],
    [17, 17],
    [32, 32],
    [7, 3],
    [3, 7],
    [40, 6],
  ])('of %i×%i matrices multiply to the matrix', (m, n) => {
    const a = matrix(m, n, m, [2])
    const atol = 4e-6 * Math.max(m, n)
    const [p, l, u] = linalg.lu(a)
    small(np.matmul(p, np.matmul(l, u)).sub(a), atol)
    expect(Number(np.max(np.abs(l)))).toBeLessThanOrEqual(1)
    for (const mode of ['reduced', 'complete'] as const) {
      const [q, r] = linalg.qr(a, { mode })
      small(np.matmul(q, r).sub(a), atol)
      orthonormal(q, atol)
      small(np.tril(r, -1), 1e-30)
    }
    const [left, s, right] = linalg.svd(a, { fullMatrices: false })
    small(np.matmul(left.mul(np.expandDims(s, -2)), right).sub(a), atol)
    orthonormal(left, atol)
    orthonormal(right.mT, atol)
    expect(np.all(np.greaterEqual(s.get('...', ':-1'), s.get('...', '1:'))).item()).toBe(true)
    const [full, , fullRight] = linalg.svd(a)
    expect([full.shape, fullRight.shape]).toEqual([
      [2, m, m],
      [2, n, n],
    ])
    orthonormal(full, atol)
    orthonormal(fullRight, atol)
    if (m !== n) return
    const even = a.add(a.mT)
    const [w, v] = linalg.eigh(even)
    small(np.matmul(even, v).sub(v.mul(np.expandDims(w, -2))), 2 * atol)
    orthonormal(v, atol)
    expect(np.all(np.lessEqual(w.get('...', ':-1'), w.get('...', '1:'))).item()).toBe(true)
  })

  it('have names for their parts', () => {
    const a = matrix(3, 3)
    const { Q, R } = linalg.qr(a)
    small(np.matmul(Q, R).sub(a), 1e-5)
    const { U, S, Vh } = linalg.svd(a)
    small(np.matmul(U.mul(S), Vh).sub(a), 1e-5)
    expect(linalg.svd(a, { computeUv: false }).toArray()).toEqual(S.toArray())
    const { eigenvalues, eigenvectors } = linalg.eigh(a)
    expect([eigenvalues.shape, eigenvectors.shape]).toEqual([[3], [3, 3]])
    const { sign, logabsdet } = linalg.slogdet(a)
    small(sign.mul(np.exp(logabsdet)).sub(linalg.det(a)), 1e-5)
  })

  it('of matrices without full rank still have orthonormal factors', () => {
    const a = np.matmul(matrix(6, 2), matrix(2, 5, 1))
    const [u, s, vh] = linalg.svd(a)
    orthonormal(u, 1e-5)
    orthonormal(vh.T, 1e-5)
    small(s.get('2:'), 1e-5)
    small(np.matmul(u.get(':', ':5').mul(s), vh).sub(a), 1e-5)
    expect(linalg.matrixRank(a).item()).toBe(2)
    expect(linalg.matrixRank(np.zeros([3, 3])).item()).toBe(0)
    orthonormal(linalg.svd(np.zeros([4, 3]))[0])
    orthonormal(linalg.qr(np.zeros([4, 3]))[0])
  })

  it('of empty and of extreme matrices', () => {
    expect(linalg.inv(np.zeros([0, 0])).shape).toEqual([0, 0])
    expect(linalg.det(np.zeros([2, 0, 0])).toArray()).toEqual([1, 1])
    expect(linalg.eigh(np.zeros([0, 0]))[0].shape).toEqual([0])
    const huge = np.array([
      [1e30, 2e30],
      [-3e30, 1e30],
    ])
    const [q, r] = linalg.qr(huge)
    small(np.matmul(q, r).div(1e30).sub(huge.div(1e30)), 1e-5)
    expect(Number(linalg.svdvals(huge).get(0).div(1e30))).toBeCloseTo(3.192582, 4)
    expect(Number(np.isfinite(linalg.inv(np.ones([2, 2]))).any())).toBe(0)
  })

  it('are solved with', () => {
    const [a, b] = [matrix(6, 6, 0, [3]), matrix(6, 2, 1)]
    small(np.matmul(a, linalg.solve(a, b)).sub(b), 1e-3)
    small(np.matmul(a, linalg.inv(a)).sub(np.eye(6)), 1e-3)
    const tall = matrix(8, 3)
    const p = linalg.pinv(tall)
    small(np.matmul(np.matmul(tall, p), tall).sub(tall), 1e-5)
    const [x, residuals, rank, s] = linalg.lstsq(tall, np.ones([8]))
    small(np.matmul(tall.T, np.matmul(tall, x).sub(1)), 1e-5)
    expect([residuals.shape, rank.item(), s.shape]).toEqual([[1], 3, [3]])
  })
})

describe('derivatives', () => {
  const a = matrix(4, 4).add(np.diag(np.array([1, 3, 6, 10])))
  const weigh = (x: NDArray): NDArray => np.sum(x.mul(np.sin(np.arange(x.size)).reshape(x.shape)))
  const cases: Record<string, (x: NDArray) => NDArray> = {
    solve: (x) => linalg.solve(x, np.ones([4])),
    inv: (x) => linalg.inv(x),
    logdet: (x) => linalg.slogdet(x)[1],
    det: (x) => linalg.det(x.div(4)),
    lu: (x) => weigh(linalg.lu(x)[1]).add(weigh(linalg.lu(x)[2])),
    qr: (x) => {
      const [q, r] = linalg.qr(x)
      return np.matmul(r, q)
    },
    eigh: (x) => linalg.eigh(x)[0],
    svd: (x) => linalg.svd(x)[1],
    pinv: (x) => linalg.pinv(x.get(':', ':3')),
    wide: (x) => linalg.pinv(x.get(':2')),
    lu3: (x) => linalg.lu(x.get(':', ':3'))[1],
  }

  it.each(Object.entries(cases))('of %s, to second order', (_name, f) => {
    checkGrads(f, [a], { order: 2 })
    checkJit(
      grad((x: NDArray) => weigh(f(x))),
      [a],
    )
  })

  it.each(Object.entries(cases))('of %s, over batches', (_name, f) => {
    const many = np.stack([a, a.mul(1.25), a.add(np.eye(4))])
    checkVmap(f, [many])
    checkVmap(
      grad((x: NDArray) => weigh(f(x))),
      [many],
    )
  })

  it('of determinants exist where a small matrix is singular', () => {
    const singular = np.ones([2, 2])
    expect(grad(linalg.det)(singular).toArray()).toEqual([
      [1, -1],
      [-1, 1],
    ])
  })

  it('of a pseudo-inverse exist where singular values are equal', () => {
    const [, dot] = jvp(linalg.pinv as (x: NDArray) => NDArray, [np.eye(3)], [np.ones([3, 3])])
    small(dot.add(1), 1e-6)
    checkGrads((x: NDArray) => linalg.pinv(x), [np.eye(3)], { order: 2 })
  })

  it('do not exist where factors are not determined', () => {
    const first = (f: (x: NDArray) => readonly NDArray[]) => (x: NDArray) => np.sum(f(x)[0])
    expect(() => grad(first((x) => linalg.qr(x)))(matrix(2, 3)))
      .toThrowErrorMatchingInlineSnapshot(`
      [DifferentiationError: qr: there is no derivative where a factor is not determined by the matrix
        a: f32[2,3]
        rule: the matrix has at least as many rows as columns
        hint: factor the transpose
        inside: grad]
    `)
    expect(() => grad(first((x) => linalg.svd(x)))(matrix(3, 2))).toThrow('have no derivative')
  })
})

it('explains what does not fit', () => {
  expect(() => linalg.inv(np.ones([2, 3]))).toThrow('not square')
  expect(() => linalg.solve(np.ones([2, 2]), np.ones([3]))).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: solve(a, b): the right-hand side does not fit the matrix
      a: f32[2,2]
      b: f32[3]
      rule: a is [..., n, n] and b is [n] or [..., n, k]
      hint: many vectors stand in columns: np.expandDims(b, -1) for vectors of a batch]
  `)
  expect(() => linalg.lstsq(np.ones([2, 2]), np.ones([3]))).toThrow('does not fit the matrix')
  expect(() => linalg.qr(np.ones([2, 2]), 'raw' as never)).toThrow("'raw' is not a mode")
})

it('maps over matrices as a loop does', () => {
  const many = matrix(4, 4, 3, [3])
  const [w] = vmap((a: NDArray) => [...linalg.eigh(a)])(many)
  small(w.sub(linalg.eigh(many)[0]), 1e-5)
})
