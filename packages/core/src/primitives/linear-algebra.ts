/** Cholesky factorisation and triangular systems, over the last two axes. */
import type { NDArray } from '../array/ndarray'
import { emitCholesky, emitTriangularSolve, nameKernel } from '../backends/wasm/rare'
import type { Tensor } from '../compiler/context'
import { Aval, type Shape, shapesEqual, sizeOf, withShape } from '../types/aval'
import { ShapeError } from '../types/errors'
import { range } from '../types/shape'
import { bind1 } from '../trace/interpreter'
import {
  definePrimitive,
  isLinear,
  isZero,
  nonlinear,
  type Primitive,
  type Tangent,
  zeroLike,
} from '../trace/primitive'
import { add, mul, neg } from './arithmetic'
import { eq } from './comparison'
import { addTangents, fullLike } from './constants'
import { checkSquare, matmul, matrixTranspose, places, swapLast, triangle } from './matrices'
import { moveAxis, withMappedAxis } from './movement'
import { operation, type Operation, type UnaryOperation } from './operation'
import { select } from './select'
import { hostArray, type HostData } from './strided'

// --- cholesky -------------------------------------------------------------------------------------------------

const bindCholesky = (x: NDArray): NDArray => bind1(choleskyPrimitive, [x], {})

/** The lower triangle with half the diagonal: Φ of Murray, equation (7). */
function lowerWithHalfDiagonal(x: NDArray): NDArray {
  const [row, column] = places(x)
  const halved = select(eq(row, column), mul(x, fullLike(x, 0.5)), x)
  return triangle(halved, true, false)
}

function factorInPlace(data: HostData, base: number, n: number): void {
  for (let j = 0; j < n; j++) {
    for (let i = j; i < n; i++) {
      let sum = data[base + i * n + j]
      for (let k = 0; k < j; k++) sum -= data[base + i * n + k] * data[base + j * n + k]
      data[base + i * n + j] = i === j ? Math.sqrt(sum) : sum / data[base + j * n + j]
    }
    // A pivot that is not positive: the matrix is not positive definite.
    if (!(data[base + j * n + j] > 0)) {
      data.fill(NaN, base, base + n * n)
      break
    }
  }
  for (let i = 0; i < n; i++) data.fill(0, base + i * n + i + 1, base + (i + 1) * n)
}

const choleskyPrimitive: Primitive = definePrimitive({
  name: 'cholesky',
  abstractEval: ([x]) => {
    checkSquare('cholesky', x)
    return [x]
  },
  // L̇ = L Φ(L⁻¹ Σ̇ L⁻ᵀ) (I. Murray, "Differentiation of the Cholesky decomposition", 2016, eq. 8).
  // Only the lower triangle of the operand is read, so Σ̇ is the symmetric matrix with ẋ's lower one.
  jvp: ([x], [xDot]) => {
    const factor = bindCholesky(x)
    if (isZero(xDot)) return { primals: [factor], tangents: [zeroLike(factor)] }
    const sigmaDot = add(triangle(xDot, true, false), matrixTranspose(triangle(xDot, true, true)))
    const right = triangularSolve(factor, sigmaDot, {
      leftSide: false,
      lower: true,
      transposeA: true,
    })
    const both = triangularSolve(factor, right, { leftSide: true, lower: true })
    return { primals: [factor], tangents: [matmul(factor, lowerWithHalfDiagonal(both))] }
  },
  transpose: nonlinear,
  batch: (_axis, [x], [dim]) => ({
    outputs: [bindCholesky(dim === null ? x : moveAxis(x, dim, 0))],
    dims: [dim === null ? null : 0],
  }),
  evaluate: ([x], _params, [aval]) => {
    const data = x.data.slice()
    const n = aval.shape[aval.ndim - 1]
    for (let base = 0; base < data.length; base += n * n) factorInPlace(data, base, n)
    return [hostArray(aval, data)]
  },
  lower: (context, [x]) => {
    nameKernel('cholesky', emitCholesky)
    return [context.cholesky(x)]
  },
})

/** The lower factor L of symmetric positive definite matrices L Lᵀ, of which the lower triangle is read. */
export const cholesky: UnaryOperation = operation(choleskyPrimitive, bindCholesky)

// --- triangular_solve -------------------------------------------------------------------------------------------

export type TriangularSolveParams = {
  readonly leftSide: boolean
  readonly lower: boolean
  readonly transposeA: boolean
  readonly conjugateA: boolean
  readonly unitDiagonal: boolean
}

const bindSolve = (a: NDArray, b: NDArray, params: TriangularSolveParams): NDArray =>
  bind1(solvePrimitive, [a, b], params)

/**
 * −A⁻¹ Ȧ X, with the product taken in the cheaper order; on the right side −X Ȧ A⁻¹
 * (M. Giles, "Collected matrix derivative results", 2008, section 2.3.1).
 */
function solveTangentOfMatrix(
  aDot: NDArray,
  a: NDArray,
  x: NDArray,
  params: TriangularSolveParams,
): NDArray {
  const part = neg(triangle(aDot, params.lower, params.unitDiagonal))
  const change = params.transposeA ? matrixTranspose(part) : part
  const [rows, columns] = x.shape.slice(-2)
  if (params.leftSide) {
    return rows > columns
      ? bindSolve(a, matmul(change, x), params)
      : matmul(bindSolve(a, change, params), x)
  }
  return rows < columns
    ? bindSolve(a, matmul(x, change), params)
    : matmul(x, bindSolve(a, change, params))
}

/** Solves op(A) x = b in place for one matrix and one column of `x`. */
function substitute(
  a: HostData,
  base: number,
  n: number,
  { lower, transposeA, unitDiagonal }: TriangularSolveParams,
  element: (i: number) => number,
  x: HostData,
): void {
  const entry = (i: number, j: number): number => a[base + (transposeA ? j * n + i : i * n + j)]
  const forward = lower !== transposeA
  for (let step = 0; step < n; step++) {
    const i = forward ? step : n - 1 - step
    let sum = x[element(i)]
    for (let earlier = 0; earlier < step; earlier++) {
      const j = forward ? earlier : n - 1 - earlier
      sum -= entry(i, j) * x[element(j)]
    }
    x[element(i)] = unitDiagonal ? sum : sum / entry(i, i)
  }
}

const solvePrimitive: Primitive<TriangularSolveParams> = definePrimitive<TriangularSolveParams>({
  name: 'triangular_solve',
  abstractEval: ([a, b], { leftSide }) => {
    checkSquare('triangularSolve', a)
    const n = a.shape[a.ndim - 1]
    const batch = (x: Aval): Shape => x.shape.slice(0, -2)
    const fits =
      b.ndim === a.ndim &&
      shapesEqual(batch(a), batch(b)) &&
      b.shape[b.ndim - (leftSide ? 2 : 1)] === n &&
      a.dtype === b.dtype
    if (!fits) {
      throw new ShapeError({
        op: 'triangularSolve',
        problem: 'the right-hand side does not fit the matrix',
        operands: [
          { name: 'a', aval: a },
          { name: 'b', aval: b },
        ],
        rule: leftSide
          ? 'a is [..., n, n] and b is [..., n, m], of one dtype'
          : 'a is [..., n, n] and b is [..., m, n], of one dtype',
      })
    }
    return [new Aval(b.shape, b.dtype, a.weakType && b.weakType)]
  },
  jvp: ([a, b], [aDot, bDot], params) => {
    const x = bindSolve(a, b, params)
    const ofMatrix: Tangent = isZero(aDot) ? zeroLike(x) : solveTangentOfMatrix(aDot, a, x, params)
    const ofRight: Tangent = isZero(bDot) ? zeroLike(x) : bindSolve(a, bDot, params)
    return { primals: [x], tangents: [addTangents(ofMatrix, ofRight)] }
  },
  transpose: (cotangents, operands, params) => {
    const [xBar] = cotangents
    const [a, b] = operands
    if (isLinear(a) || !isLinear(b)) return nonlinear(cotangents, operands, params)
    if (isZero(xBar)) return [null, zeroLike(b)]
    return [null, bindSolve(a, xBar, { ...params, transposeA: !params.transposeA })]
  },
  batch: ({ size }, [a, b], [aDim, bDim], params) => {
    const x = bindSolve(withMappedAxis(a, aDim, size, 0), withMappedAxis(b, bDim, size, 0), params)
    return { outputs: [x], dims: [0] }
  },
  evaluate: ([a, b], params, [aval]) => {
    const n = a.aval.shape[a.aval.ndim - 1]
    const [rows, columns] = aval.shape.slice(-2)
    const x = b.data.slice()
    const matrices = sizeOf(aval.shape.slice(0, -2))
    for (let m = 0; m < matrices; m++) {
      const [matrix, right] = [m * n * n, m * rows * columns]
      // x A = b is Aᵀ xᵀ = bᵀ: the rows of x are solved for with the transposed matrix.
      if (params.leftSide) {
        for (let c = 0; c < columns; c++) {
          substitute(a.data, matrix, n, params, (i) => right + i * columns + c, x)
        }
      } else {
        const turned = { ...params, transposeA: !params.transposeA }
        for (let r = 0; r < rows; r++) {
          substitute(a.data, matrix, n, turned, (i) => right + r * columns + i, x)
        }
      }
    }
    return [hostArray(aval, x)]
  },
  lower: (context, [a, b], { leftSide, lower, transposeA, unitDiagonal }, [aval]) => {
    nameKernel('triangularSolve', emitTriangularSolve)
    const turn = (x: Tensor): Tensor => {
      const { ndim, shape } = x.aval
      const permutation = swapLast(ndim)
      return context.reindex(
        x,
        withShape(
          x.aval,
          permutation.map((axis) => shape[axis]),
        ),
        permutation.map((axis) => ({
          offset: 0,
          strides: range(ndim).map((iteration) => Number(iteration === axis)),
        })),
      )
    }
    if (leftSide) {
      return [context.triangularSolve(a, b, { lower, transpose: transposeA, unitDiagonal })]
    }
    const options = { lower, transpose: !transposeA, unitDiagonal }
    return [{ ...turn(context.triangularSolve(a, turn(b), options)), aval }]
  },
})

/** Solves op(A) x = b (or x op(A) = b) with a triangular A, reading only its named triangle. */
export const triangularSolve: Operation<
  [a: NDArray, b: NDArray, options: Partial<TriangularSolveParams>],
  TriangularSolveParams
> = operation(solvePrimitive, (a: NDArray, b: NDArray, options: Partial<TriangularSolveParams>) =>
  bindSolve(a, b, {
    leftSide: options.leftSide ?? false,
    lower: options.lower ?? false,
    transposeA: options.transposeA ?? false,
    conjugateA: options.conjugateA ?? false,
    unitDiagonal: options.unitDiagonal ?? false,
  }),
)
