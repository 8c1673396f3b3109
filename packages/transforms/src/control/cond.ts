/** `cond` and `switchCase`: choosing between programs by a value that may be traced. */
import {
  ArgumentError,
  type ArrayLike,
  type Aval,
  avalsMatch,
  clamp,
  convert,
  convertElementType,
  full,
  type Jaxpr,
  makeScalar,
  type NDArray,
  ne,
  promoteTypes,
  shapesEqual,
  stage,
  TransformationError,
  tree,
  Aval as AvalClass,
} from '@adjoint/core/internal'
import {
  callName,
  type FlatArguments,
  flattenArrays,
  leafToArray,
  refusePromise,
  requireFunction,
} from '../flat-function'
import { bindCond } from './cond-primitive'
import { joinConstants } from './groups'

type Branch<A extends readonly unknown[], R> = (...operands: A) => R

interface TracedBranch {
  readonly jaxpr: Jaxpr
  readonly constants: readonly NDArray[]
  readonly structure: tree.TreeStructure
}

function traceBranch<A extends readonly unknown[]>(
  op: string,
  branch: Branch<A, unknown>,
  operands: FlatArguments,
  outAvals: readonly Aval[] | null,
): TracedBranch {
  const found: { structure?: tree.TreeStructure } = {}
  const staged = stage(
    (inputs) => {
      const answer = branch(...(tree.unflatten(operands.structure, inputs) as A))
      refusePromise(op, answer)
      const flat = flattenArrays(op, answer, 'the result')
      found.structure = flat.structure
      if (outAvals === null) return flat.arrays
      return flat.arrays.map((x, i) => convert(x, outAvals[i].dtype, outAvals[i].weakType))
    },
    operands.arrays.map((x) => x.aval),
    'cond',
    branch.name,
  )
  if (found.structure === undefined) throw new Error('the branch was not traced')
  return { ...staged, structure: found.structure }
}

/** Traces all branches and makes their results agree in weakness. */
function traceBranches<A extends readonly unknown[]>(
  op: string,
  branches: readonly Branch<A, unknown>[],
  names: readonly string[],
  operands: FlatArguments,
): readonly TracedBranch[] {
  const traced = branches.map((branch) => traceBranch(op, branch, operands, null))
  const [first] = traced
  traced.forEach((branch, b) =>
    tree.requireSameStructure(op, first.structure, branch.structure, {
      expected: `the result of ${names[0]}`,
      actual: `the result of ${names[b]}`,
      root: 'result',
    }),
  )
  const avals = first.jaxpr.outAvals.map((_, i) => {
    const all = traced.map((t) => t.jaxpr.outAvals[i])
    // Weak results take the dtype of the strong ones.
    const strong = all.filter((a) => !a.weakType)
    const joined = promoteTypes(all)
    const agreed = strong.length > 0 && strong.length < all.length ? joined : all[0]
    return agreed
      ? new AvalClass(
          all[0].shape,
          agreed.dtype,
          all.every((a) => a.weakType),
        )
      : all[0]
  })
  const paths = tree.structurePaths(first.structure, 'result')
  return traced.map((branch, b) => {
    const { outAvals } = branch.jaxpr
    outAvals.forEach((aval, i) => {
      const sameShape = shapesEqual(aval.shape, avals[i].shape)
      if (sameShape && (avalsMatch(aval, avals[i]) || aval.weakType)) return
      throw new TransformationError({
        op,
        problem: `the branches differ in the ${sameShape ? 'dtype' : 'shape'} of ${paths[i]}`,
        operands: traced.map((t, k) => ({ name: names[k], aval: t.jaxpr.outAvals[i] })),
        path: paths[i],
        rule: 'all branches return trees of the same structure, shapes and dtypes',
        hint: 'convert with astype, or broadcast the smaller result',
      })
    })
    const agrees = outAvals.every(
      (aval, i) => avalsMatch(aval, avals[i]) && aval.weakType === avals[i].weakType,
    )
    return agrees ? branch : traceBranch(op, branches[b], operands, avals)
  })
}

function choose<A extends readonly unknown[], R>(
  op: string,
  index: NDArray,
  branches: readonly Branch<A, R>[],
  names: readonly string[],
  operands: A,
): R {
  const flat = flattenArrays(op, operands, 'operands')
  const traced = traceBranches(op, branches, names, flat)
  const joined = joinConstants(traced)
  const outputs = bindCond(index, joined.jaxprs, [...joined.constants, ...flat.arrays])
  return tree.unflatten(traced[0].structure, outputs) as R
}

/**
 * Calls one of two functions, by a condition that may be traced. Both are traced; only the one that
 * is chosen is run, except under `vmap` with a condition that differs between examples, which
 * computes both and selects.
 *
 * @param predicate a scalar: boolean, or a number that is true unless it is zero
 * @param onTrue takes the operands
 * @param onFalse takes the operands; returns what `onTrue` returns, leaf for leaf
 * @param operands trees of arrays
 * @returns the result of the chosen function
 * @throws TransformationError when the results differ in type, with the path of the leaf
 * @example
 * const x = np.array(-2.5)
 * cond(x.greater(0), (y) => y, (y) => y.mul(0.1), x) // Array(-0.25, dtype=float32, weak_type=True)
 */
export function cond<A extends readonly unknown[], R>(
  predicate: ArrayLike,
  onTrue: (...operands: A) => R,
  onFalse: (...operands: A) => R,
  ...operands: A
): R {
  requireFunction('cond', onTrue)
  requireFunction('cond', onFalse)
  const op = callName('cond', onTrue)
  const test = requireScalar(op, 'predicate', predicate)
  const isTrue =
    test.dtype === 'bool' ? test : ne(test, full([], 0, test.dtype, test.aval.weakType))
  const literal = test.scalarLiteral
  const index =
    literal === null
      ? convertElementType(isTrue, { newDtype: 'int32', weakType: false })
      : makeScalar(literal ? 1 : 0, new AvalClass([], 'int32'))
  return choose(op, index, [onFalse, onTrue], ['onFalse', 'onTrue'], operands)
}

/**
 * Calls one of several functions, by an index that may be traced.
 *
 * @param index an integer scalar; clamped to the range of branches
 * @param branches functions of the operands, which return the same types
 * @param operands trees of arrays
 * @returns the result of the chosen function
 * @throws TransformationError when the results differ in type, with the path of the leaf
 * @example
 * const halves = (x: NDArray) => x.div(2)
 * const squares = (x: NDArray) => x.mul(x)
 * switchCase(1, [halves, squares], np.array(1.5)) // Array(2.25, dtype=float32, weak_type=True)
 */
export function switchCase<A extends readonly unknown[], R>(
  index: ArrayLike,
  branches: readonly ((...operands: A) => R)[],
  ...operands: A
): R {
  const op = 'switchCase'
  if (!Array.isArray(branches)) {
    throw new ArgumentError({
      op,
      problem: `branches is a ${typeof branches}`,
      rule: 'branches is a list of functions',
      hint: 'switchCase(index, [f, g, h], ...operands)',
    })
  }
  for (const branch of branches) requireFunction(op, branch)
  if (branches.length === 0) {
    throw new ArgumentError({ op, problem: 'there are no branches', rule: 'give at least one' })
  }
  const given = requireScalar(op, 'index', index)
  if (given.dtype === 'bool' || given.dtype.includes('float')) {
    throw new TransformationError({
      op,
      problem: 'the index is not an integer',
      operands: [{ name: 'index', aval: given.aval }],
      rule: 'the index is an integer scalar',
      hint: given.dtype === 'bool' ? 'use cond for two branches' : "convert with astype('int32')",
    })
  }
  const scalar = (value: number): NDArray => makeScalar(value, new AvalClass([], 'int32'))
  const last = branches.length - 1
  const literal = given.scalarLiteral
  const clamped =
    literal === null
      ? clamp(scalar(0), convert(given, 'int32'), scalar(last))
      : scalar(Math.min(Math.max(Number(literal), 0), last))
  const names = branches.map((_, i) => `branch ${i}`)
  return choose(op, clamped, branches, names, operands)
}

function requireScalar(op: string, name: string, value: ArrayLike): NDArray {
  const array = leafToArray(op, value, name)
  if (array.ndim === 0) return array
  throw new TransformationError({
    op,
    problem: `the ${name} is not a scalar`,
    operands: [{ name, aval: array.aval }],
    rule: 'one value chooses one branch',
    hint: 'reduce it with np.any or np.all, choose elementwise with np.where, or use vmap',
  })
}
