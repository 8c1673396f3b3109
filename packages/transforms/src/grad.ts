/**
 * Reverse mode: linearize, then transpose.
 *
 * The primal pass runs at once, so JavaScript's control flow on values works outside `jit`; the
 * backward pass runs the transposed linear program.
 */
import {
  Aval,
  avalsMatch,
  checkOptions,
  DifferentiationError,
  dtypes,
  full,
  instantiate,
  isFloating,
  LinearOperand,
  type NDArray,
  shapesEqual,
  TransformationError,
  tree,
  zeroLike,
} from '@adjoint/core/internal'
import {
  callName,
  differentiable,
  type FlatArguments,
  flattenArrays,
  isDifferentiable,
  leafToArray,
  refusePromise,
  requireFunction,
  selectArguments,
} from './flat-function'
import type {
  Cotangents,
  GradientOf,
  Pullback,
  RefuseAsync,
  RefuseDiscrete,
  RefuseNonScalar,
} from './function-types'
import { type Linearization, linearizeFlat } from './linearize'
import { backwardPass } from './transpose'

/** A function linearized at a point, with the structures of what went in and came out. */
export interface Linearized {
  readonly inputs: FlatArguments
  readonly output: FlatArguments
  readonly aux: unknown
  readonly linearization: Linearization
}

/** `f` at `chosen`, ready to be pulled back. With `hasAux` its result is `[value, aux]`. */
export function linearizeAt(
  op: string,
  f: (chosen: readonly unknown[]) => unknown,
  chosen: readonly unknown[],
  options: {
    readonly hasAux: boolean
    readonly names: readonly string[]
    readonly subject: string
  },
): Linearized {
  const inputs = flattenNamed(op, chosen, options.names)
  let outStructure: tree.TreeStructure | null = null
  let aux: { readonly structure: tree.TreeStructure } | null = null
  const linearization = linearizeFlat(
    (arrays) => {
      const result = f(tree.unflatten(inputs.structure, arrays) as unknown[])
      refusePromise(op, result)
      const [value, auxiliary] = options.hasAux ? requirePair(op, result) : [result, null]
      const flat = flattenArrays(op, value, 'the result')
      const flatAux = flattenArrays(op, auxiliary, 'aux')
      outStructure = flat.structure
      aux = { structure: flatAux.structure }
      return [...flat.arrays, ...flatAux.arrays]
    },
    inputs.arrays,
    inputs.arrays.map(isDifferentiable),
    { name: op.replace(/\(.*/, ''), subject: options.subject },
  )
  const found = outStructure as tree.TreeStructure | null
  const foundAux = aux as { readonly structure: tree.TreeStructure } | null
  if (found === null || foundAux === null) throw new Error(`${op}: the function was not called`)
  const { primals } = linearization
  return {
    inputs,
    output: { arrays: primals.slice(0, found.size), structure: found },
    aux: tree.unflatten(foundAux.structure, primals.slice(found.size)),
    linearization,
  }
}

function flattenNamed(
  op: string,
  args: readonly unknown[],
  names: readonly string[],
): FlatArguments {
  const flat = args.map((arg, i) => flattenArrays(op, arg, names[i], differentiable))
  return {
    arrays: flat.flatMap((part) => part.arrays),
    structure: tree.structure(args),
  }
}

export function requirePair(op: string, result: unknown): readonly [unknown, unknown] {
  if (Array.isArray(result) && result.length === 2) return [result[0], result[1]]
  throw new TransformationError({
    op,
    problem: 'hasAux is true, but the function did not return a pair',
    rule: 'with { hasAux: true } the function returns [value, aux]',
  })
}

/** Cotangents of the inputs, from cotangents of the output. Zeros become arrays. */
export function pullBack(
  { inputs, linearization }: Linearized,
  yBars: readonly NDArray[],
): NDArray[] {
  const { linear, tangentOut } = linearization
  const operands = [
    ...linear.residuals,
    ...linear.jaxpr.inputs.slice(linear.residuals.length).map((v) => new LinearOperand(v.aval)),
  ]
  const xBars = backwardPass(
    linear.jaxpr,
    operands,
    yBars.filter((_, i) => tangentOut[i]),
  ).slice(linear.residuals.length)
  let next = 0
  return inputs.arrays.map((x) => {
    const xBar = isDifferentiable(x) ? xBars[next++] : null
    return instantiate(xBar ?? zeroLike(x))
  })
}

// --- grad ------------------------------------------------------------------------------------------

export interface GradOptions {
  /** Which argument to differentiate with respect to, or several. */
  readonly argnums?: number | readonly number[]
  /** The function returns `[value, aux]`; aux is passed along. */
  readonly hasAux?: boolean
  /** Integer arguments get float0 zeros instead of an error. */
  readonly allowInt?: boolean
}

/** The gradients that `argnums` asks for. */
export type Gradients<A extends readonly unknown[], O> = O extends {
  readonly argnums: infer N
}
  ? N extends number
    ? GradientOf<A[N]>
    : N extends readonly number[]
      ? { [K in keyof N]: N[K] extends number ? GradientOf<A[N[K]]> : never }
      : never
  : GradientOf<A[0]>

type AuxOf<R> = R extends readonly [unknown, infer Aux] ? Aux : unknown

/** What `grad(f, options)` returns when it is called. */
export type GradResult<A extends readonly unknown[], R, O> = O extends { readonly hasAux: true }
  ? [Gradients<A, O>, AuxOf<R>]
  : Gradients<A, O>

/** What `valueAndGrad(f, options)` returns when it is called. */
export type ValueAndGradResult<A extends readonly unknown[], R, O> = O extends {
  readonly hasAux: true
}
  ? [[NDArray, AuxOf<R>], Gradients<A, O>]
  : [NDArray, Gradients<A, O>]

interface ValueAndGradients {
  readonly value: NDArray
  readonly aux: unknown
  readonly gradients: unknown
}

/** The computation behind grad and valueAndGrad. */
export function differentiate(
  op: string,
  f: (...args: never[]) => unknown,
  options: GradOptions,
): (args: readonly unknown[]) => ValueAndGradients {
  requireFunction(op, f)
  const call = callName(op, f)
  const {
    argnums = 0,
    hasAux = false,
    allowInt = false,
  } = checkOptions(call, options, ['argnums', 'hasAux', 'allowInt'])
  const several = typeof argnums === 'object'
  const positions = several ? argnums : [argnums]
  return (args) => {
    const { chosen, fill } = selectArguments(call, args, positions)
    const names = positions.map((i) => `args[${i}]`)
    if (!allowInt) for (const [i, arg] of chosen.entries()) requireFloats(call, arg, names[i])
    const linearized = linearizeAt(
      call,
      (xs) => (f as (...all: readonly unknown[]) => unknown)(...fill(xs)),
      chosen,
      { hasAux, names, subject: f.name },
    )
    const value = requireScalar(call, linearized.output)
    const one = full([], 1, value.dtype, value.aval.weakType)
    const xBars = pullBack(linearized, [one])
    const trees = tree.unflatten(linearized.inputs.structure, xBars) as readonly unknown[]
    return { value, aux: linearized.aux, gradients: several ? trees : trees[0] }
  }
}

function requireFloats(op: string, arg: unknown, name: string): void {
  const { leaves, structure } = tree.flatten(arg)
  const paths = tree.structurePaths(structure, name)
  leaves.forEach((leaf, i) => {
    if (typeof leaf === 'number') return
    const { aval } = leafToArray(op, leaf, paths[i])
    if (isFloating(aval.dtype)) return
    throw new DifferentiationError({
      op,
      problem: `cannot differentiate with respect to ${aval.dtype} values`,
      operands: [{ name: paths[i], aval }],
      path: paths[i],
      rule: 'differentiated arguments are floating point',
      hint: 'convert with astype, choose other argnums, or pass { allowInt: true } for float0 zeros',
    })
  })
}

function requireScalar(op: string, { arrays, structure }: FlatArguments): NDArray {
  if (structure.kind === 'none') {
    throw new DifferentiationError({
      op,
      problem: `the function returned ${String(structure.value)}`,
      rule: 'a gradient is that of one scalar',
      hint: 'a function with braces needs a return statement',
    })
  }
  if (structure.kind !== 'leaf') {
    throw new DifferentiationError({
      op,
      problem: 'the function returned a tree, not one scalar',
      operands: arrays.map((x, i) => ({
        name: tree.structurePaths(structure, 'result')[i],
        aval: x.aval,
      })),
      rule: 'a gradient is that of one scalar',
      hint: 'return the loss only, or [loss, aux] with { hasAux: true }; jacrev and vjp take any result',
    })
  }
  const [value] = arrays
  if (value.ndim !== 0) {
    throw new DifferentiationError({
      op,
      problem: 'the function returned an array, not a scalar',
      operands: [{ name: 'result', aval: value.aval }],
      rule: 'a gradient is that of one scalar',
      hint: 'sum or average the result; jacrev and vjp differentiate functions with several results',
    })
  }
  if (!isFloating(value.dtype)) {
    throw new DifferentiationError({
      op,
      problem: `the function returned ${value.dtype}, which has no derivative`,
      operands: [{ name: 'result', aval: value.aval }],
      rule: 'a differentiated function returns a floating point scalar',
    })
  }
  return value
}

/**
 * The gradient of a scalar function, as a function.
 *
 * @param f a function of trees of arrays that returns one floating point scalar
 * @param options.argnums which argument to differentiate with respect to (the first), or several
 * @param options.hasAux `f` returns `[value, aux]`, and the gradient function `[gradient, aux]`
 * @returns a function of the same arguments; the gradient is a tree like the argument
 * @throws DifferentiationError for integer arguments and for results that are not one scalar
 * @example
 * grad((x: NDArray) => np.sum(np.square(x)))(np.array([0.5, 2])) // Array([1., 4.], dtype=float32)
 */
export function grad<A extends readonly unknown[], R, const O extends GradOptions = {}>(
  f: ((...args: A) => R) & RefuseNonScalar<R, O> & RefuseDiscrete<A, O>,
  options?: O,
): (...args: A) => GradResult<A, R, O> {
  const run = differentiate('grad', f, options ?? {})
  return named(`grad(${f.name})`, (...args: A) => {
    const { gradients, aux } = run(args)
    return (options?.hasAux ? [gradients, aux] : gradients) as GradResult<A, R, O>
  })
}

/**
 * The value and the gradient of a scalar function together.
 *
 * @param f a function of trees of arrays that returns one floating point scalar
 * @param options as for `grad`
 * @returns a function of the same arguments that returns `[value, gradient]`, and with `hasAux`
 *   `[[value, aux], gradient]`
 * @throws DifferentiationError for integer arguments and for results that are not one scalar
 * @example
 * valueAndGrad((x: NDArray) => np.sum(np.square(x)))(np.array([0.5, 2]))
 * // [ Array(4.25, dtype=float32), Array([1., 4.], dtype=float32) ]
 */
export function valueAndGrad<A extends readonly unknown[], R, const O extends GradOptions = {}>(
  f: ((...args: A) => R) & RefuseNonScalar<R, O> & RefuseDiscrete<A, O>,
  options?: O,
): (...args: A) => ValueAndGradResult<A, R, O> {
  const run = differentiate('valueAndGrad', f, options ?? {})
  return named(`valueAndGrad(${f.name})`, (...args: A) => {
    const { value, gradients, aux } = run(args)
    return [options?.hasAux ? [value, aux] : value, gradients] as ValueAndGradResult<A, R, O>
  })
}

/** Gives a function a name, so that transformations of transformations can be told apart. */
function named<F extends (...args: never[]) => unknown>(name: string, f: F): F {
  Object.defineProperty(f, 'name', { value: name.replace('()', '') })
  return f
}

// --- vjp -------------------------------------------------------------------------------------------

/**
 * The value of a function and its pullback.
 *
 * @param f a function of trees of arrays
 * @param primals the point
 * @returns `[f(...primals), pullback]`; the pullback maps a tree like the result to a tuple with one
 *   tree of cotangents per primal
 * @throws TreeError or ShapeError when a cotangent does not fit the result
 * @example
 * const [y, pullback] = vjp((x: NDArray, y: NDArray) => x.mul(y), np.array(2.5), np.array(3.5))
 * pullback(np.ones([])) // [ Array(3.5, dtype=float32), Array(2.5, dtype=float32) ]
 */
export function vjp<A extends readonly unknown[], R>(
  f: ((...args: A) => R) & RefuseAsync<R>,
  ...primals: A
): [R, Pullback<A, R>] {
  requireFunction('vjp', f)
  const op = callName('vjp', f)
  const linearized = linearizeAt(op, (xs) => f(...(xs as A)), primals, {
    hasAux: false,
    names: primals.map((_, i) => `primals[${i}]`),
    subject: f.name,
  })
  const { inputs, output } = linearized
  const pullback: Pullback<A, R> = (cotangent) => {
    const yBars = matchCotangent(
      `the pullback of ${f.name || 'f'}`,
      cotangent,
      output.structure,
      output.arrays.map((x) => x.aval),
    )
    return tree.unflatten(inputs.structure, pullBack(linearized, yBars)) as Cotangents<A>
  }
  return [tree.unflatten(output.structure, output.arrays) as R, pullback]
}

/** Checks a cotangent against the result it belongs to; numbers take the result's type. */
export function matchCotangent(
  op: string,
  cotangent: unknown,
  resultStructure: tree.TreeStructure,
  resultAvals: readonly Aval[],
): NDArray[] {
  const { leaves, structure } = tree.flatten(cotangent)
  tree.requireSameStructure(op, resultStructure, structure, {
    expected: 'the result',
    actual: 'the cotangent',
    root: 'cotangent',
  })
  const paths = tree.structurePaths(structure, 'cotangent')
  return leaves.map((leaf, i) => {
    const aval = resultAvals[i]
    if (typeof leaf === 'number' && aval.ndim === 0 && isFloating(aval.dtype)) {
      return full([], leaf, aval.dtype, aval.weakType)
    }
    const array = leafToArray(op, leaf, paths[i])
    const expected = isFloating(aval.dtype) ? aval : new Aval(aval.shape, dtypes.float0)
    if (!avalsMatch(array.aval, expected) && isFloating(aval.dtype)) {
      throw new TransformationError({
        op,
        problem: shapesEqual(array.shape, expected.shape)
          ? 'a cotangent has another dtype than the result'
          : 'a cotangent has another shape than the result',
        operands: [
          { name: paths[i] || 'cotangent', aval: array.aval },
          { name: 'the result', aval },
        ],
        path: paths[i] || undefined,
        rule: 'a cotangent has the shape and dtype of the value it belongs to',
      })
    }
    return array
  })
}
