/**
 * Roots of equations found by an algorithm of the user's, with derivatives by the implicit function
 * theorem: from f(x, θ) = 0 follows ∂f/∂x ẋ = −∂f/∂θ θ̇.
 */
import {
  checkOptions,
  evaluateJaxpr,
  instantiate,
  isFloating,
  type NDArray,
  neg,
  stage,
  type Tangent,
  TransformationError,
  tree,
  zeroLike,
} from '@adjoint/core/internal'
import { customJvp } from './custom-jvp'
import type { ClosedProgram } from './derived'
import {
  callName,
  flattenArrays,
  refusePromise,
  requireFunction,
  requireLike,
} from './flat-function'
import { jvpFlat, matchTangents } from './jvp'
import { linearizeFlat } from './linearize'
import { withZeros } from './zeros'

export interface CustomRootOptions {
  /** `solve` returns `[x, aux]`; aux has no derivative. */
  readonly hasAux?: boolean
}

/**
 * A root of `f`, found by an algorithm of your own, whose derivatives are those of the root: they
 * take one linear system, however many steps the algorithm took.
 *
 * @param f x → f(x), a tree like x; it may close over parameters, which get derivatives
 * @param initialGuess where the algorithm starts; no derivative goes through it
 * @param solve takes `f` and the guess, answers the root
 * @param tangentSolve takes a linear function g (the derivative of f at the root) and y, answers the x
 *   with g(x) = y: for scalars `(g, y) => y.div(g(np.ones([])))`, for more `customLinearSolve`
 * @returns the root; with `hasAux` `[root, aux]`
 * @throws TreeError, TransformationError when f(x) or the root is not like the guess
 * @example
 * const newton = (f: (x: NDArray) => NDArray, guess: NDArray) =>
 *   foriLoop(0, 20, (_, x: NDArray) => x.sub(f(x).div(grad(f)(x))), guess)
 * const cubeRoot = (a: NDArray) =>
 *   customRoot((x: NDArray) => x.pow(3).sub(a), np.ones([]), newton, (g, y) => y.div(g(np.ones([]))))
 * grad(cubeRoot)(np.array(15.625)).item().toFixed(6) // 0.053333
 */
export function customRoot<T, Aux>(
  f: (x: T) => T,
  initialGuess: T,
  solve: (f: (x: T) => T, guess: T) => readonly [T, Aux],
  tangentSolve: (g: (xDot: T | number) => T, y: T) => T,
  options: { readonly hasAux: true },
): [T, Aux]
export function customRoot<T>(
  f: (x: T) => T,
  initialGuess: T,
  solve: (f: (x: T) => T, guess: T) => T,
  tangentSolve: (g: (xDot: T | number) => T, y: T) => T,
  options?: CustomRootOptions,
): T
export function customRoot<T, Aux>(
  f: (x: T) => T,
  initialGuess: T,
  solve: (f: (x: T) => T, guess: T) => T | readonly [T, Aux],
  tangentSolve: (g: (xDot: T | number) => T, y: T) => T,
  options: CustomRootOptions = {},
): T | [T, Aux] {
  for (const each of [f, solve, tangentSolve]) requireFunction('customRoot', each)
  const op = callName('customRoot', f)
  const { hasAux = false } = checkOptions(op, options, ['hasAux'])
  const guess = flattenArrays(op, initialGuess, 'initialGuess')
  const { structure } = guess
  const avals = guess.arrays.map((x) => x.aval)
  const n = avals.length
  const found: { aux?: tree.TreeStructure } = {}

  const like = (answer: unknown, name: string): readonly NDArray[] => {
    refusePromise(op, answer)
    const result = flattenArrays(op, answer, name)
    requireLike(op, name, guess, result, {
      expected: 'initialGuess',
      rule: 'x, f(x) and the root are trees of the same shapes and dtypes',
      hint: 'start from a guess of the dtype of the result',
    })
    return result.arrays
  }
  const equation = stage(
    (inputs) => like(f(tree.unflatten(structure, inputs) as T), 'f(x)'),
    avals,
    'customRoot',
    f.name,
  )
  const solver = stage(
    (inputs) => {
      const answer = solve(f, tree.unflatten(structure, inputs) as T)
      if (!hasAux) return like(answer, 'the root')
      if (!Array.isArray(answer) || answer.length !== 2) {
        throw new TransformationError({
          op,
          problem: 'hasAux is true, but solve did not return a pair',
          rule: 'with { hasAux: true } solve returns [root, aux]',
        })
      }
      const [root, extra] = answer as readonly unknown[]
      const aux = flattenArrays(op, extra, 'aux')
      found.aux = aux.structure
      return [...like(root, 'the root'), ...aux.arrays]
    },
    avals,
    'customRoot',
    solve.name,
  )
  const tangents = stage(
    (inputs) => {
      const [x, y] = [inputs.slice(0, n), inputs.slice(n)]
      const slope = derivativeAt(equation, x)
      const g = (xDot: T | number): T => {
        const dots = matchTangents(`the derivative of ${f.name || 'f'}`, guess, xDot)
        return tree.unflatten(structure, slope(dots.map(instantiate))) as T
      }
      return like(tangentSolve(g, tree.unflatten(structure, y) as T), 'tangentSolve(g, y)')
    },
    [...avals, ...avals],
    'customRoot',
    tangentSolve.name,
  )

  type Lists = readonly (readonly NDArray[])[]
  const root = customJvp((_f: readonly NDArray[], own: readonly NDArray[], ...rest: Lists) =>
    evaluateJaxpr(solver.jaxpr, [...own, ...rest[1]]),
  ).defjvp(([parameters, own, linear, start], [parameterDots]) => {
    const results = root(parameters, own, linear, start)
    const x = results.slice(0, n)
    const { tangents: along } = jvpFlat(
      (thetas) => evaluateJaxpr(equation.jaxpr, [...thetas, ...x]),
      parameters,
      parameterDots.map((dot, i): Tangent =>
        isFloating(parameters[i].dtype) ? dot : zeroLike(parameters[i]),
      ),
      'customRoot',
    )
    const right = along.map(instantiate)
    const xDots = evaluateJaxpr(tangents.jaxpr, [...linear, ...x, ...right]).map((t) => neg(t))
    return [results, [...xDots, ...results.slice(n).map((extra) => instantiate(zeroLike(extra)))]]
  })
  const results = root(equation.constants, solver.constants, tangents.constants, guess.arrays)
  const solution = tree.unflatten(structure, results.slice(0, n)) as T
  return found.aux ? [solution, tree.unflatten(found.aux, results.slice(n)) as Aux] : solution
}

/** The derivative of f at x, as a function of flat lists. */
function derivativeAt(
  equation: ClosedProgram,
  x: readonly NDArray[],
): (xDots: readonly NDArray[]) => readonly NDArray[] {
  const { primals, linear, tangentOut } = linearizeFlat(
    (inputs) => evaluateJaxpr(equation.jaxpr, [...equation.constants, ...inputs]),
    x,
    x.map(() => true),
    { name: 'customRoot' },
  )
  return (xDots) =>
    withZeros(
      evaluateJaxpr(linear.jaxpr, [...linear.residuals, ...xDots]),
      tangentOut,
      primals.map((y) => y.aval),
    ).map(instantiate)
}
