/** Loop carries keep their type: how that is reached where it can be, and reported where not. */
import {
  Aval,
  avalsMatch,
  convert,
  type NDArray,
  promoteTypes,
  shapesEqual,
  shortName,
  TransformationError,
  tree,
} from '@adjoint/core/internal'
import { type FlatArguments, refusePromise } from '../flat-function'

/**
 * The types that carries start with. A carry that comes from a JavaScript number takes the type that
 * the loop gives it; a weak type stays weak only if the loop keeps it so.
 */
export function promotedCarry(init: readonly Aval[], out: readonly Aval[]): readonly Aval[] {
  return init.map((aval, i) => {
    const result = out[i]
    if (!aval.weakType || result === undefined || !shapesEqual(aval.shape, result.shape))
      return aval
    if (avalsMatch(aval, result)) {
      return result.weakType ? aval : new Aval(aval.shape, aval.dtype, false)
    }
    const joined = promoteTypes([aval, result])
    return joined ? new Aval(aval.shape, joined.dtype, joined.weakType) : aval
  })
}

/** Converts the initial carries to these types. */
export const withAvals = (arrays: readonly NDArray[], avals: readonly Aval[]): readonly NDArray[] =>
  arrays.map((x, i) => convert(x, avals[i].dtype, avals[i].weakType))

/** The new carries with the weakness of the old ones. */
export const likeCarry = (arrays: readonly NDArray[], avals: readonly Aval[]): readonly NDArray[] =>
  arrays.map((x, i) =>
    i < avals.length && avalsMatch(x.aval, avals[i]) ? convert(x, x.dtype, avals[i].weakType) : x,
  )

const carryTrees = { expected: 'the carry', actual: 'the new carry', root: 'carry' }

/** Answers a new carry as it is, if it has this structure, which is the user's own. */
export const sameStructure =
  (op: string, structure: tree.TreeStructure) =>
  <C>(carry: C): C => {
    refusePromise(op, carry)
    tree.requireSameStructure(op, structure, tree.structure(carry), carryTrees)
    return carry
  }

/**
 * Throws unless the new carry has the structure and the types of the old one. `carryAt` is where the
 * user's carry stands among what the loop carries.
 */
export function requireSameCarry(
  op: string,
  before: { readonly structure: tree.TreeStructure; readonly avals: readonly Aval[] },
  after: FlatArguments,
  carryAt = '',
): void {
  tree.requireSameStructure(op, before.structure, after.structure, carryTrees)
  const paths = tree
    .structurePaths(before.structure, 'carry')
    .map((path) =>
      path.startsWith(`carry${carryAt}`) ? `carry${path.slice(5 + carryAt.length)}` : path,
    )
  const i = before.avals.findIndex((aval, k) => !avalsMatch(aval, after.arrays[k].aval))
  if (i < 0) return
  const [old, now] = [before.avals[i], after.arrays[i].aval]
  throw new TransformationError({
    op,
    problem: `${paths[i]} changes its ${shapesEqual(old.shape, now.shape) ? 'dtype' : 'shape'}`,
    operands: [
      { name: 'carry', aval: old },
      { name: 'new carry', aval: now },
    ],
    path: paths[i],
    rule: 'a carry has one type in all steps',
    hint: shapesEqual(old.shape, now.shape)
      ? `start with ${shortName(now.dtype)}, or convert the new carry with astype('${old.dtype}')`
      : 'carries cannot grow: collect results as ys instead',
  })
}
