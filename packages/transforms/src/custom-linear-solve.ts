/**
 * Solutions of linear systems by an algorithm of the user's, with derivatives that come from the
 * system and not from the algorithm.
 *
 * With A x = b: ẋ = A⁻¹ (ḃ − Ȧ x), and b̄ = A⁻ᵀ x̄ (Giles, "Collected matrix derivative results", 2008,
 * section 2.3.1). Both are solves again, so the equation is closed under differentiation.
 */
import {
  type Aval,
  bind,
  checkOptions,
  definePrimitive,
  DifferentiationError,
  evaluateJaxpr,
  evaluateOnHost,
  instantiate,
  isFloating,
  isLinear,
  isZero,
  type Jaxpr,
  LinearOperand,
  type NDArray,
  type Primitive,
  register,
  stage,
  sub,
  type Tangent,
  tangentAval,
  TransformationError,
  tree,
  withMappedAxis,
  Zero,
  zeroLike,
} from '@adjoint/core/internal'
import { cut, every } from './control/groups'
import type { ClosedProgram } from './derived'
import {
  callName,
  type FlatArguments,
  flattenArrays,
  refusePromise,
  requireFunction,
  requireLike,
} from './flat-function'
import { jvpFlat } from './jvp'
import { backwardPass } from './transpose'
import { batchJaxpr } from './vmap'

/** The programs of one solve; each takes its own constants first. */
type SolveParams = {
  readonly name: string
  /** x → A x */
  readonly matvec: Jaxpr
  /** b → x, then the auxiliary results */
  readonly solve: Jaxpr
  /** x → Aᵀ x, and the solver for it; null where no solver was given. */
  readonly vecmat: Jaxpr | null
  readonly transposeSolve: Jaxpr | null
  /** Constants of matvec, solve, vecmat and transposeSolve. */
  readonly constants: readonly number[]
}

const bindSolve = (operands: readonly NDArray[], params: SolveParams): readonly NDArray[] =>
  bind(linearSolvePrimitive, operands, params)

const groupsOf = <T>(
  operands: readonly T[],
  { constants }: SolveParams,
): readonly (readonly T[])[] => cut(operands, ...constants)

/** How many of the results are the solution. */
const numUnknowns = ({ matvec }: SolveParams): number => matvec.outputs.length

const linearSolvePrimitive: Primitive<SolveParams> = register(
  definePrimitive<SolveParams>({
    name: 'custom_linear_solve',
    abstractEval: (_operands, { solve }) => solve.outAvals,
    jvp: (primals, tangents, params) => {
      const results = bindSolve(primals, params)
      const n = numUnknowns(params)
      const [matrix, , , , b] = groupsOf(primals, params)
      const [matrixDot, , , , bDot] = groupsOf(tangents, params)
      const constants = primals.slice(0, primals.length - b.length)
      const x = results.slice(0, n)
      const right = matrixDot.every(isZero)
        ? bDot.map(instantiate)
        : difference(bDot, alongMatrix(params.matvec, matrix, matrixDot, x))
      const xDots = bindSolve([...constants, ...right], params).slice(0, n)
      return { primals: results, tangents: [...xDots, ...results.slice(n).map(zeroLike)] }
    },
    transpose: (cotangents, operands, params) => {
      const [matrix, solve, vecmat, transposeSolve, b] = groupsOf(operands, params)
      if (operands.slice(0, -b.length).some(isLinear)) {
        throw notLinearInMatrix(params.name, operands)
      }
      if (params.vecmat === null || params.transposeSolve === null) {
        throw new DifferentiationError({
          op: params.name,
          problem: 'reverse mode needs a solver for the transposed system',
          operands: b.map(({ aval }, i) => ({ name: `b ${i}`, aval })),
          rule: 'the cotangent of b solves Aᵀ b̄ = x̄',
          hint: 'pass { transposeSolve } or, for a symmetric matrix, { symmetric: true }',
        })
      }
      const constants = [...vecmat, ...transposeSolve, ...matrix, ...solve] as readonly NDArray[]
      const xBars = cotangents.slice(0, b.length).map(instantiate)
      const bBars = bindSolve([...constants, ...xBars], {
        name: params.name,
        matvec: params.vecmat,
        solve: params.transposeSolve,
        vecmat: params.matvec,
        transposeSolve: params.solve,
        constants: [vecmat, transposeSolve, matrix, solve].map((group) => group.length),
      })
      const none = new Array<null>(operands.length - b.length).fill(null)
      // Right-hand sides that are values are zeros: in a linear program nothing else can be added.
      return [...none, ...b.map((right, i) => (isLinear(right) ? bBars[i] : null))]
    },
    batch: (axis, operands, dims, params) => {
      const groups = groupsOf(dims, params).map((group) => group.map((dim) => dim !== null))
      const values = groupsOf(
        operands.map((x, i) => (dims[i] === null ? x : withMappedAxis(x, dims[i], axis.size, 0))),
        params,
      )
      // All unknowns are mapped, so that what the programs hand to one another fits.
      const batched = (jaxpr: Jaxpr, own: number): ClosedProgram =>
        batchJaxpr(
          jaxpr,
          axis,
          [...groups[own], ...every(jaxpr.inputs.length - groups[own].length)],
          every(jaxpr.outputs.length),
        )
      const programs = [params.matvec, params.solve, params.vecmat, params.transposeSolve].map(
        (jaxpr, i) => (jaxpr === null ? null : batched(jaxpr, i)),
      )
      const constants = programs.map((program, i) => [...(program?.constants ?? []), ...values[i]])
      const [matvec, solve, vecmat, transposeSolve] = programs
      if (!matvec || !solve) throw new Error('a solve without its programs')
      const b = values[4].map((x, i) => (groups[4][i] ? x : withMappedAxis(x, null, axis.size, 0)))
      const outputs = bindSolve([...constants.flat(), ...b], {
        name: params.name,
        matvec: matvec.jaxpr,
        solve: solve.jaxpr,
        vecmat: vecmat?.jaxpr ?? null,
        transposeSolve: transposeSolve?.jaxpr ?? null,
        constants: constants.map((group) => group.length),
      })
      return { outputs, dims: outputs.map(() => 0) }
    },
    evaluate: (operands, params) => {
      const [, constants, , , b] = groupsOf(operands, params)
      return evaluateOnHost(params.solve, [...constants, ...b])
    },
    steps: (operands, params, run) => {
      const [, constants, , , b] = groupsOf(operands, params)
      return run(params.solve, [...constants, ...b])
    },
    lower: (context, operands, params) => {
      const [, constants, , , b] = groupsOf(operands, params)
      return context.inline(params.solve, [...constants, ...b])
    },
  }),
)

/** Ȧ x: the derivative of A x along the tangents of the matrix. */
function alongMatrix(
  matvec: Jaxpr,
  matrix: readonly NDArray[],
  matrixDot: readonly Tangent[],
  x: readonly NDArray[],
): readonly Tangent[] {
  return jvpFlat(
    (operands) => evaluateJaxpr(matvec, operands),
    [...matrix, ...x],
    [...matrixDot, ...x.map(zeroLike)],
    'customLinearSolve',
  ).tangents
}

const difference = (left: readonly Tangent[], right: readonly Tangent[]): NDArray[] =>
  left.map((l, i) => {
    const r = right[i]
    return isZero(r) ? instantiate(l) : sub(instantiate(l), r)
  })

const notLinearInMatrix = (
  name: string,
  operands: readonly { readonly aval: Aval }[],
): DifferentiationError =>
  new DifferentiationError({
    op: name,
    problem: 'the solution of A x = b is not linear in A',
    operands: operands.map(({ aval }, i) => ({ name: `operand ${i}`, aval })),
    rule: 'only linear programs can be transposed',
    hint: 'use vjp or grad, which linearize first',
  })

export interface LinearSolveOptions<T, Aux> {
  /**
   * Solves Aᵀ x = b, given the function x → Aᵀ x: needed for reverse mode. For a symmetric matrix
   * `solve` serves.
   */
  readonly transposeSolve?: (vecmat: (x: T) => T, b: T) => T | readonly [T, Aux]
  /** Whether A = Aᵀ. */
  readonly symmetric?: boolean
  /** The solvers return `[x, aux]`; aux has no derivative. */
  readonly hasAux?: boolean
}

/**
 * Solves A x = b by an algorithm of your own, whose derivatives are those of the solution: forward
 * and reverse mode solve one more system each, however many steps the algorithm took.
 *
 * @param matvec x → A x, linear; it may close over the matrix, which gets derivatives too
 * @param b a tree of arrays
 * @param solve takes `matvec` and `b`, answers x, a tree like b
 * @param options.transposeSolve takes x → Aᵀ x and a right-hand side; needed by reverse mode
 * @param options.symmetric whether A is symmetric: then `solve` serves for the transpose as well
 * @returns x
 * @throws TreeError, TransformationError when A x or the solution is not like b
 * @example
 * const a = np.array([[4, 1], [1, 4]])
 * const jacobi = (matvec: (x: NDArray) => NDArray, b: NDArray) =>
 *   foriLoop(0, 30, (_, x: NDArray) => x.add(b.sub(matvec(x)).div(4)), np.zerosLike(b))
 * const solve = (b: NDArray) =>
 *   customLinearSolve((x: NDArray) => np.matmul(a, x), b, jacobi, { symmetric: true })
 * solve(np.array([6.5, 9])) // Array([1.1333333, 1.9666667], dtype=float32)
 */
export function customLinearSolve<T, Aux>(
  matvec: (x: T) => T,
  b: T,
  solve: (matvec: (x: T) => T, b: T) => readonly [T, Aux],
  options: LinearSolveOptions<T, Aux> & { readonly hasAux: true },
): [T, Aux]
export function customLinearSolve<T>(
  matvec: (x: T) => T,
  b: T,
  solve: (matvec: (x: T) => T, b: T) => T,
  options?: LinearSolveOptions<T, unknown>,
): T
export function customLinearSolve<T, Aux>(
  matvec: (x: T) => T,
  b: T,
  solve: (matvec: (x: T) => T, b: T) => T | readonly [T, Aux],
  options: LinearSolveOptions<T, Aux> = {},
): T | [T, Aux] {
  requireFunction('customLinearSolve', matvec)
  requireFunction('customLinearSolve', solve)
  const op = callName('customLinearSolve', matvec)
  const { symmetric = false, hasAux = false } = checkOptions(op, options, [
    'transposeSolve',
    'symmetric',
    'hasAux',
  ])
  const transposeSolve = options.transposeSolve ?? (symmetric ? solve : null)
  const right = flattenArrays(op, b, 'b')
  requireFloating(op, right)
  const forward = tracedMatvec(op, matvec, right)
  const solver = tracedSolver(op, solve, matvec, right, hasAux)
  const transposed =
    transposeSolve === null
      ? null
      : transposedPrograms(op, forward, matvec, symmetric, transposeSolve, right, hasAux)
  const groups = [forward, solver.program, transposed?.vecmat ?? null, transposed?.solve ?? null]
  const constants = groups.map((program) => program?.constants ?? [])
  const outputs = bindSolve([...constants.flat(), ...right.arrays], {
    name: op,
    matvec: forward.jaxpr,
    solve: solver.program.jaxpr,
    vecmat: transposed?.vecmat.jaxpr ?? null,
    transposeSolve: transposed?.solve.jaxpr ?? null,
    constants: constants.map((group) => group.length),
  })
  const n = right.arrays.length
  const x = tree.unflatten(right.structure, outputs.slice(0, n)) as T
  return solver.aux === null ? x : [x, tree.unflatten(solver.aux, outputs.slice(n)) as Aux]
}

function requireFloating(op: string, { arrays, structure }: FlatArguments): void {
  const i = arrays.findIndex((x) => !isFloating(x.dtype))
  if (i < 0) return
  const path = tree.structurePaths(structure, 'b')[i]
  throw new TransformationError({
    op,
    problem: 'a right-hand side is not floating point',
    operands: [{ name: path, aval: arrays[i].aval }],
    path,
    rule: 'unknowns and right-hand sides are floating',
    hint: `convert it with astype('float32')`,
  })
}

const likeRight = {
  expected: 'b',
  rule: 'A x, b and x are trees of the same shapes and dtypes',
}

function tracedMatvec(
  op: string,
  matvec: (x: never) => unknown,
  right: FlatArguments,
): ClosedProgram {
  return stage(
    (inputs) => {
      const answer: unknown = matvec(tree.unflatten(right.structure, inputs) as never)
      refusePromise(op, answer)
      const result = flattenArrays(op, answer, 'A x')
      requireLike(op, 'A x', right, result, likeRight)
      return result.arrays
    },
    right.arrays.map((x) => x.aval),
    'customLinearSolve',
    matvec.name,
  )
}

interface TracedSolver {
  readonly program: ClosedProgram
  readonly aux: tree.TreeStructure | null
}

function tracedSolver(
  op: string,
  solve: (matvec: never, b: never) => unknown,
  matvec: (x: never) => unknown,
  right: FlatArguments,
  hasAux: boolean,
): TracedSolver {
  let aux: tree.TreeStructure | null = null
  const program = stage(
    (inputs) => {
      const answer: unknown = solve(
        matvec as never,
        tree.unflatten(right.structure, inputs) as never,
      )
      refusePromise(op, answer)
      if (hasAux && !(Array.isArray(answer) && answer.length === 2)) {
        throw new TransformationError({
          op,
          problem: 'hasAux is true, but the solver did not return a pair',
          rule: 'with { hasAux: true } solvers return [x, aux]',
        })
      }
      const [x, extra] = hasAux ? (answer as readonly unknown[]) : [answer, null]
      const result = flattenArrays(op, x, 'the solution')
      requireLike(op, 'the solution', right, result, likeRight)
      const others = flattenArrays(op, extra, 'aux')
      if (hasAux) aux = others.structure
      return [...result.arrays, ...others.arrays]
    },
    right.arrays.map((x) => x.aval),
    'customLinearSolve',
    solve.name,
  )
  return { program, aux }
}

/** x → Aᵀ x and the solver for it. */
function transposedPrograms(
  op: string,
  forward: ClosedProgram,
  matvec: (x: never) => unknown,
  symmetric: boolean,
  transposeSolve: (vecmat: never, b: never) => unknown,
  right: FlatArguments,
  hasAux: boolean,
): { readonly vecmat: ClosedProgram; readonly solve: ClosedProgram } {
  const transposed = (x: unknown): unknown => {
    const { arrays } = flattenArrays(op, x, 'x')
    const unknowns = right.arrays.map(({ aval }) => new LinearOperand(aval))
    const yBars = arrays.map((y): Tangent => y)
    const xBars = backwardPass(forward.jaxpr, [...forward.constants, ...unknowns], yBars)
    const results = xBars
      .slice(forward.constants.length)
      .map((xBar, i) => instantiate(xBar ?? new Zero(tangentAval(right.arrays[i].aval))))
    return tree.unflatten(right.structure, results)
  }
  const vecmat: (x: never) => unknown = symmetric ? matvec : transposed
  return {
    vecmat: symmetric ? forward : tracedMatvec(op, vecmat, right),
    solve: tracedSolver(op, transposeSolve, vecmat, right, hasAux).program,
  }
}
