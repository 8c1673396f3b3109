/**
 * Whole Jacobians: derivatives along a basis, all directions at once by batching.
 *
 * Forward mode builds a Jacobian column by column, reverse mode row by row. In the result, the
 * shape of a leaf is that of the output's leaf followed by that of the input's.
 */
import {
  add,
  type Aval,
  checkOptions,
  convertElementType,
  DifferentiationError,
  eq,
  full,
  instantiate,
  iota,
  type NDArray,
  reshape,
  sliceInAxis,
  tree,
} from '@adjoint/core/internal'
import {
  callName,
  differentiable,
  flattenArrays,
  isDifferentiable,
  refusePromise,
  requireFunction,
  selectArguments,
} from './flat-function'
import type { Cotangents, GradientOf, RefuseAsync, Tangents } from './function-types'
import { differentiate, linearizeAt, pullBack, requirePair } from './grad'
import { jvp, jvpFlat, requireLists } from './jvp'
import { batchFlat, placeMappedAxis } from './vmap'

export interface JacobianOptions {
  /** Which argument to differentiate with respect to, or several. */
  readonly argnums?: number | readonly number[]
  /** The function returns `[value, aux]`; aux is passed along. */
  readonly hasAux?: false
}

/** The options of a function that returns `[value, aux]`. */
export type JacobianOptionsWithAux = Omit<JacobianOptions, 'hasAux'> & { readonly hasAux: true }
type AnyOptions = JacobianOptions | JacobianOptionsWithAux

/** A tree like the result `R`, with a tree like the argument `T` in the place of each leaf. */
export type JacobianOf<R, T> = R extends NDArray | number
  ? GradientOf<T>
  : R extends object
    ? { [K in keyof R]: JacobianOf<R[K], T> }
    : R

/** The Jacobians that `argnums` asks for. */
export type Jacobians<A extends readonly unknown[], R, O> = O extends {
  readonly argnums: infer N
}
  ? N extends number
    ? JacobianOf<R, A[N]>
    : N extends readonly number[]
      ? JacobianOf<R, { [K in keyof N]: N[K] extends number ? A[N[K]] : never }>
      : never
  : JacobianOf<R, A[0]>

/** The standard basis of a space that is a list of arrays: arrays of `[dimension, ...shape]`. */
function standardBasis(avals: readonly Aval[]): NDArray[] {
  const dimension = totalSize(avals)
  let offset = 0
  return avals.map((aval) => {
    const shape = [dimension, aval.size]
    const rows = iota({ dtype: 'int32', shape, dimension: 0 })
    const columns = iota({ dtype: 'int32', shape, dimension: 1 })
    const isOne = eq(rows, add(columns, full(shape, offset, 'int32')))
    offset += aval.size
    const { dtype: newDtype, weakType } = aval
    const ones = convertElementType(isOne, { newDtype, weakType })
    return reshape(ones, { newSizes: [dimension, ...aval.shape] })
  })
}

const totalSize = (avals: readonly Aval[]): number =>
  avals.reduce((sum, aval) => sum + aval.size, 0)

const avalsOf = (arrays: readonly NDArray[]): readonly Aval[] => arrays.map((x) => x.aval)

/** Cuts an axis that runs over a list of arrays into the arrays' own axes. */
function splitAxis(x: NDArray, axis: number, avals: readonly Aval[]): NDArray[] {
  let offset = 0
  return avals.map((aval) => {
    const part = sliceInAxis(x, axis, offset, offset + aval.size)
    offset += aval.size
    const newSizes = [...x.shape.slice(0, axis), ...aval.shape, ...x.shape.slice(axis + 1)]
    return reshape(part, { newSizes })
  })
}

function requireFloats(op: string, what: string, avals: readonly Aval[]): void {
  const discrete = avals.find((aval) => !isDifferentiable({ aval }))
  if (discrete === undefined) return
  throw new DifferentiationError({
    op,
    problem: `${what} has a leaf of dtype ${discrete.dtype}, which has no derivative`,
    operands: [{ name: 'leaf', aval: discrete }],
    rule: 'jacobians are taken between floating point arrays',
    hint: 'convert with astype, or choose other argnums',
  })
}

/** Which arguments to differentiate, and whether the answer is a tuple of trees or one tree. */
interface Differentiated {
  readonly op: string
  readonly names: readonly string[]
  readonly chosen: readonly unknown[]
  readonly call: (chosen: readonly unknown[]) => unknown
  readonly several: boolean
  readonly hasAux: boolean
}

function choose<A extends readonly unknown[]>(
  op: string,
  f: (...args: A) => unknown,
  args: readonly unknown[],
  options: AnyOptions,
): Differentiated {
  const { argnums = 0, hasAux = false } = checkOptions<AnyOptions>(op, options, [
    'argnums',
    'hasAux',
  ])
  const several = typeof argnums === 'object'
  const positions = several ? argnums : [argnums]
  const { chosen, fill } = selectArguments(op, args, positions)
  return {
    op,
    names: positions.map((i) => `args[${i}]`),
    chosen,
    call: (xs) => f(...(fill(xs) as readonly unknown[] as A)),
    several,
    hasAux,
  }
}

/** The tree of trees: blocks are per output leaf, then per input leaf. */
function assemble(
  blocks: readonly (readonly NDArray[])[],
  output: tree.TreeStructure,
  input: tree.TreeStructure,
  several: boolean,
): unknown {
  const rows = blocks.map((row) => {
    const trees = tree.unflatten(input, row) as readonly unknown[]
    return several ? trees : trees[0]
  })
  return tree.unflatten(output, rows)
}

/**
 * The Jacobian of a function, by forward mode: best when there are fewer inputs than outputs.
 *
 * @param f a function of trees of arrays
 * @param options.argnums which argument to differentiate with respect to (the first), or several
 * @param options.hasAux `f` returns `[value, aux]`, and the result is `[jacobian, aux]`
 * @returns a function of the same arguments; each leaf has shape `[...output, ...input]`
 * @throws DifferentiationError for leaves that are not floating point
 * @example
 * jacfwd((x: NDArray) => np.square(x))(np.array([0.5, 2]))
 * // Array([[1., 0.],
 * //        [0., 4.]], dtype=float32)
 */
export function jacfwd<
  A extends readonly unknown[],
  R,
  Aux,
  const O extends JacobianOptionsWithAux,
>(
  f: (...args: A) => readonly [R, Aux],
  options: O,
): (...args: A) => NoInfer<[Jacobians<A, R, O>, Aux]>
export function jacfwd<A extends readonly unknown[], R, const O extends JacobianOptions = {}>(
  f: ((...args: A) => R) & RefuseAsync<R>,
  options?: O,
): (...args: A) => NoInfer<Jacobians<A, R, O>>
export function jacfwd<A extends readonly unknown[]>(
  f: (...args: A) => unknown,
  options: AnyOptions = {},
): (...args: A) => unknown {
  return jacfwdFor('jacfwd', f, options)
}

function jacfwdFor<A extends readonly unknown[]>(
  name: string,
  f: (...args: A) => unknown,
  options: AnyOptions,
): (...args: A) => unknown {
  requireFunction(name, f)
  const op = callName(name, f)
  return (...args) => {
    const { names, chosen, call, several, hasAux } = choose(op, f, args, options)
    const inputs = chosen.map((arg, i) => flattenArrays(op, arg, names[i], differentiable))
    const arrays = inputs.flatMap((x) => x.arrays)
    const inStructure = tree.structure(chosen)
    const avals = avalsOf(arrays)
    requireFloats(op, 'the argument', avals)
    const found: { structure?: tree.TreeStructure; aux?: tree.TreeStructure } = {}
    let numAux = 0
    const size = totalSize(avals)
    const columns = batchFlat(
      (directions) => {
        const { primals, tangents } = jvpFlat(
          (xs) => {
            const result = call(tree.unflatten(inStructure, xs) as readonly unknown[])
            refusePromise(op, result)
            const [value, auxiliary] = hasAux ? requirePair(op, result) : [result, null]
            const flat = flattenArrays(op, value, 'the result')
            requireFloats(op, 'the result', avalsOf(flat.arrays))
            const aux = flattenArrays(op, auxiliary, 'aux')
            found.structure = flat.structure
            found.aux = aux.structure
            numAux = aux.arrays.length
            return [...flat.arrays, ...aux.arrays]
          },
          arrays,
          directions,
          name,
          f.name,
        )
        const numValues = tangents.length - numAux
        return [...tangents.slice(0, numValues).map(instantiate), ...primals.slice(numValues)]
      },
      { size, name: null },
      standardBasis(avals),
      avals.map(() => 0),
      'vmap',
      f.name,
    )
    if (!found.structure || !found.aux) throw new Error(`${op}: the function was not called`)
    const numValues = columns.length - numAux
    const blocks = columns.slice(0, numValues).map((column) => {
      const placed = placeMappedAxis(op, column, size, -1)
      return splitAxis(placed, placed.ndim - 1, avals)
    })
    const jacobians = assemble(blocks, found.structure, inStructure, several)
    if (!hasAux) return jacobians
    // Aux does not depend on the direction, so that it is not mapped.
    const aux = columns.slice(numValues).map(({ value }) => value)
    return [jacobians, tree.unflatten(found.aux, aux)]
  }
}

/**
 * The Jacobian of a function, by reverse mode: best when there are fewer outputs than inputs.
 *
 * @param f a function of trees of arrays
 * @param options.argnums which argument to differentiate with respect to (the first), or several
 * @param options.hasAux `f` returns `[value, aux]`, and the result is `[jacobian, aux]`
 * @returns a function of the same arguments; each leaf has shape `[...output, ...input]`
 * @throws DifferentiationError for leaves that are not floating point
 * @example
 * jacrev((x: NDArray) => np.sum(np.square(x)))(np.array([0.5, 2]))
 * // Array([1., 4.], dtype=float32)
 */
export function jacrev<
  A extends readonly unknown[],
  R,
  Aux,
  const O extends JacobianOptionsWithAux,
>(
  f: (...args: A) => readonly [R, Aux],
  options: O,
): (...args: A) => NoInfer<[Jacobians<A, R, O>, Aux]>
export function jacrev<A extends readonly unknown[], R, const O extends JacobianOptions = {}>(
  f: ((...args: A) => R) & RefuseAsync<R>,
  options?: O,
): (...args: A) => NoInfer<Jacobians<A, R, O>>
export function jacrev<A extends readonly unknown[]>(
  f: (...args: A) => unknown,
  options: AnyOptions = {},
): (...args: A) => unknown {
  return jacrevFor('jacrev', f, options)
}

function jacrevFor<A extends readonly unknown[]>(
  name: string,
  f: (...args: A) => unknown,
  options: AnyOptions,
): (...args: A) => unknown {
  requireFunction(name, f)
  const op = callName(name, f)
  return (...args) => {
    const { names, chosen, call, several, hasAux } = choose(op, f, args, options)
    const linearized = linearizeAt(op, call, chosen, { hasAux, names, subject: f.name })
    const { inputs, output } = linearized
    const inAvals = avalsOf(inputs.arrays)
    const outAvals = avalsOf(output.arrays)
    requireFloats(op, 'the argument', inAvals)
    requireFloats(op, 'the result', outAvals)
    const size = totalSize(outAvals)
    const rows = batchFlat(
      (yBars) => pullBack(linearized, yBars),
      { size, name: null },
      standardBasis(outAvals),
      outAvals.map(() => 0),
      'vmap',
      f.name,
    ).map((row) => splitAxis(placeMappedAxis(op, row, size, 0), 0, outAvals))
    const blocks = outAvals.map((_, o) => inAvals.map((_unused, i) => rows[i][o]))
    const jacobians = assemble(blocks, output.structure, inputs.structure, several)
    return hasAux ? [jacobians, linearized.aux] : jacobians
  }
}

/**
 * The Hessian of a scalar function: forward over reverse.
 *
 * @param f a function of trees of arrays that returns one scalar
 * @param options.argnums which argument to differentiate with respect to (the first), or several
 * @param options.hasAux `f` returns `[value, aux]`, and the result is `[hessian, aux]`
 * @returns a function of the same arguments; a tree of trees like the argument
 * @example
 * hessian((x: NDArray) => np.sum(np.power(x, 3)))(np.array([0.5, 2]))
 * // Array([[ 3.,  0.],
 * //        [ 0., 12.]], dtype=float32)
 */
export function hessian<A extends readonly unknown[], Aux, const O extends JacobianOptionsWithAux>(
  f: (...args: A) => readonly [NDArray | number, Aux],
  options: O,
): (...args: A) => NoInfer<[Jacobians<A, GradientOf<A[0]>, O>, Aux]>
export function hessian<A extends readonly unknown[], R, const O extends JacobianOptions = {}>(
  f: ((...args: A) => R) & RefuseAsync<R>,
  options?: O,
): (...args: A) => NoInfer<Jacobians<A, GradientOf<A[0]>, O>>
export function hessian<A extends readonly unknown[]>(
  f: (...args: A) => unknown,
  options: AnyOptions = {},
): (...args: A) => unknown {
  requireFunction('hessian', f)
  return jacfwdFor('hessian', jacrevFor('hessian', f, options), options)
}

/**
 * The product of the Hessian of a scalar function with a vector, without the Hessian.
 *
 * @param f a function of trees of arrays that returns one scalar
 * @param primals the point: a list of arguments
 * @param vectors the direction: a list of trees like the primals
 * @returns one tree per primal
 * @example
 * hvp((x: NDArray) => np.sum(np.power(x, 3)), [np.array([0.5, 2])], [np.ones([2])])
 * // [ Array([ 3., 12.], dtype=float32) ]
 */
export function hvp<A extends readonly unknown[], R>(
  f: ((...args: A) => R) & RefuseAsync<R>,
  primals: readonly [...A],
  vectors: Tangents<A>,
): Cotangents<A> {
  requireFunction('hvp', f)
  requireLists('hvp', primals, vectors)
  const gradient = differentiate('hvp', f, { argnums: primals.map((_, i) => i) })
  const [, product] = jvp<readonly unknown[], unknown>(
    (...args) => gradient(args).gradients,
    primals,
    vectors,
  )
  return product as Cotangents<A>
}
