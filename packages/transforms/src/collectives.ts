/**
 * Collectives: operations across the examples of a `vmap` with an axis name.
 *
 * Inside the mapped function they look like operations on one example; batching them turns them
 * into ordinary operations along the mapped axis. Programs that still contain one are mapped later.
 */
import {
  ArgumentError,
  Aval,
  bind1,
  broadcastInDim,
  checkOptions,
  concatenate,
  convert,
  definePrimitive,
  div,
  eq,
  full,
  instantiate,
  iota,
  isLinear,
  isZero,
  type MappedAxis,
  moveAxis,
  mul,
  type NDArray,
  type Primitive,
  reduceMax,
  reduceMin,
  reduceSum,
  register,
  select,
  sliceInAxis,
  tree,
  zeroLike,
  zerosLike,
} from '@adjoint/core/internal'
import { leafToArray } from './flat-function'
import { namedAxes } from './vmap'

/** The axis of this name among the enclosing vmaps. */
function axisNamed(op: string, name: string): MappedAxis {
  const axes = namedAxes()
  const axis = axes.find((a) => a.name === name)
  if (axis) return axis
  throw new ArgumentError({
    op: `${op}(x, '${name}')`,
    problem: `no axis is named ${name} here`,
    rule:
      axes.length === 0
        ? 'no enclosing vmap names its axis'
        : `named axes here: ${axes.map((a) => a.name).join(', ')}`,
    hint: `call it inside of vmap(f, { axisName: '${name}' })`,
  })
}

const unmapped = (name: string) => (): never => {
  throw new ArgumentError({
    op: name,
    problem: 'the axis that this collective refers to is not mapped',
    rule: 'a program with collectives runs inside of a vmap that names the axis',
  })
}

/** Whether the axis being mapped is the one that the collective refers to. */
const concerns = (axis: MappedAxis, { axisName }: { readonly axisName: string }): boolean =>
  axis.name === axisName

type NamedParams = { readonly axisName: string; readonly axisSize: number }

const fields = (name: string) => ({ evaluate: unmapped(name), lower: unmapped(name) })

// --- psum ------------------------------------------------------------------------------------------

const bindSum = (x: NDArray, params: NamedParams): NDArray => bind1(sumPrimitive, [x], params)

const sumPrimitive: Primitive<NamedParams> = register(
  definePrimitive<NamedParams>({
    name: 'psum',
    abstractEval: (operands) => operands,
    jvp: ([x], [xDot], params) => {
      const y = bindSum(x, params)
      return { primals: [y], tangents: [isZero(xDot) ? zeroLike(y) : bindSum(xDot, params)] }
    },
    // Every example's result contains every example's operand.
    transpose: ([yBar], [x], params) => {
      if (!isLinear(x)) return [null]
      return [isZero(yBar) ? zeroLike(x) : bindSum(yBar, params)]
    },
    batch: (axis, [x], [dim], params) => {
      if (!concerns(axis, params)) return { outputs: [bindSum(x, params)], dims: [dim] }
      const y =
        dim === null
          ? mul(x, convert(full(x.shape, axis.size, 'int32'), x.dtype, x.aval.weakType))
          : reduceSum(x, { axes: [dim] })
      return { outputs: [y], dims: [null] }
    },
    ...fields('psum'),
  }),
)

// --- pmax, pmin ------------------------------------------------------------------------------------

function extremum(
  name: string,
  reduce: (x: NDArray, params: { readonly axes: readonly number[] }) => NDArray,
): (x: NDArray, params: NamedParams) => NDArray {
  const apply = (x: NDArray, params: NamedParams): NDArray => bind1(primitive, [x], params)
  const primitive: Primitive<NamedParams> = register(
    definePrimitive<NamedParams>({
      name,
      abstractEval: (operands) => operands,
      // The examples that attain the extremum share its tangent evenly.
      jvp: ([x], [xDot], params) => {
        const y = apply(x, params)
        if (isZero(xDot)) return { primals: [y], tangents: [zeroLike(y)] }
        const attains = convert(eq(x, y), xDot.dtype, xDot.aval.weakType)
        const shared = div(bindSum(mul(attains, xDot), params), bindSum(attains, params))
        return { primals: [y], tangents: [shared] }
      },
      transpose: unmapped(name),
      batch: (axis, [x], [dim], params) => {
        if (!concerns(axis, params)) return { outputs: [apply(x, params)], dims: [dim] }
        return { outputs: [dim === null ? x : reduce(x, { axes: [dim] })], dims: [null] }
      },
      ...fields(name),
    }),
  )
  return apply
}

const bindMax = extremum('pmax', reduceMax)
const bindMin = extremum('pmin', reduceMin)

// --- axis_index --------------------------------------------------------------------------------------

const bindAxisIndex = (params: NamedParams): NDArray => bind1(axisIndexPrimitive, [], params)

const axisIndexPrimitive: Primitive<NamedParams> = register(
  definePrimitive<NamedParams>({
    name: 'axis_index',
    abstractEval: () => [new Aval([], 'int32')],
    jvp: (_primals, _tangents, params) => {
      const y = bindAxisIndex(params)
      return { primals: [y], tangents: [zeroLike(y)] }
    },
    transpose: unmapped('axis_index'),
    batch: (axis, _operands, _dims, params) =>
      concerns(axis, params)
        ? { outputs: [iota({ dtype: 'int32', shape: [axis.size], dimension: 0 })], dims: [0] }
        : { outputs: [bindAxisIndex(params)], dims: [null] },
    ...fields('axis_index'),
  }),
)

// --- all_gather ----------------------------------------------------------------------------------------

type GatherParams = NamedParams & { readonly allGatherDimension: number }

const bindGather = (x: NDArray, params: GatherParams): NDArray =>
  bind1(gatherPrimitive, [x], params)

const gatherPrimitive: Primitive<GatherParams> = register(
  definePrimitive<GatherParams>({
    name: 'all_gather',
    abstractEval: ([x], { allGatherDimension: at, axisSize }) => [
      new Aval([...x.shape.slice(0, at), axisSize, ...x.shape.slice(at)], x.dtype, x.weakType),
    ],
    jvp: ([x], [xDot], params) => {
      const y = bindGather(x, params)
      return { primals: [y], tangents: [isZero(xDot) ? zeroLike(y) : bindGather(xDot, params)] }
    },
    // Each example collects the cotangents that all examples have for it.
    transpose: ([yBar], [x], params) => {
      if (!isLinear(x)) return [null]
      const all = bindSum(instantiate(yBar), params)
      const at = params.allGatherDimension
      const mine = eq(
        iota({ dtype: 'int32', shape: all.shape, dimension: at }),
        broadcastInDim(bindAxisIndex(params), { shape: all.shape, broadcastDimensions: [] }),
      )
      return [reduceSum(select(mine, all, zerosLike(all)), { axes: [at] })]
    },
    batch: (axis, [x], [dim], params) => {
      const at = params.allGatherDimension
      if (!concerns(axis, params)) {
        if (dim === null) return { outputs: [bindGather(x, params)], dims: [null] }
        const y = bindGather(moveAxis(x, dim, 0), { ...params, allGatherDimension: at + 1 })
        return { outputs: [y], dims: [0] }
      }
      if (dim !== null) return { outputs: [moveAxis(x, dim, at)], dims: [null] }
      const shape = [...x.shape.slice(0, at), axis.size, ...x.shape.slice(at)]
      const kept = shape.flatMap((_, i) => (i === at ? [] : [i]))
      return { outputs: [broadcastInDim(x, { shape, broadcastDimensions: kept })], dims: [null] }
    },
    ...fields('all_gather'),
  }),
)

// --- ppermute ----------------------------------------------------------------------------------------

type Permutation = readonly (readonly [source: number, destination: number])[]
type PermuteParams = NamedParams & { readonly perm: Permutation }

const bindPermute = (x: NDArray, params: PermuteParams): NDArray =>
  bind1(permutePrimitive, [x], params)

const permutePrimitive: Primitive<PermuteParams> = register(
  definePrimitive<PermuteParams>({
    name: 'ppermute',
    abstractEval: (operands) => operands,
    jvp: ([x], [xDot], params) => {
      const y = bindPermute(x, params)
      return { primals: [y], tangents: [isZero(xDot) ? zeroLike(y) : bindPermute(xDot, params)] }
    },
    transpose: ([yBar], [x], params) => {
      if (!isLinear(x)) return [null]
      const perm = params.perm.map(([source, destination]) => [destination, source] as const)
      return [isZero(yBar) ? zeroLike(x) : bindPermute(yBar, { ...params, perm })]
    },
    batch: (axis, [x], [dim], params) => {
      if (!concerns(axis, params)) return { outputs: [bindPermute(x, params)], dims: [dim] }
      const shape = [axis.size, ...x.shape]
      const front =
        dim === null
          ? broadcastInDim(x, { shape, broadcastDimensions: x.shape.map((_, i) => i + 1) })
          : moveAxis(x, dim, 0)
      const rows = Array.from({ length: axis.size }, (_, destination) => {
        const pair = params.perm.find((p) => p[1] === destination)
        const row = sliceInAxis(front, 0, pair?.[0] ?? 0, (pair?.[0] ?? 0) + 1)
        // Nobody sends here: zeros arrive.
        return pair ? row : zerosLike(row)
      })
      return { outputs: [concatenate(rows, { dimension: 0 })], dims: [0] }
    },
    ...fields('ppermute'),
  }),
)

// --- the user's functions ----------------------------------------------------------------------------

function overLeaves<T>(
  op: string,
  x: T,
  axisName: string,
  f: (leaf: NDArray, params: NamedParams) => NDArray,
): T {
  const { size } = axisNamed(op, axisName)
  const { leaves, structure } = tree.flatten(x)
  const results = leaves.map((leaf) => f(leafToArray(op, leaf, 'x'), { axisName, axisSize: size }))
  return tree.unflatten(structure, results) as T
}

/** One name of an axis, or several: then the collective goes over all of them. */
export type AxisNames = string | readonly string[]

const alongEach = <T>(names: AxisNames, x: T, along: (x: T, name: string) => T): T =>
  typeof names === 'string' ? along(x, names) : names.reduce(along, x)

/**
 * The sum over all examples of the enclosing `vmap` with this axis name: each example gets it, in its
 * own shape.
 *
 * @param x a tree of arrays
 * @param axisName a name given to an enclosing `vmap` or `pmap`, or several
 * @throws ArgumentError when no enclosing `vmap` has an axis of this name
 * @example
 * vmap((x: NDArray) => np.divide(x, psum(x, 'i')), { axisName: 'i' })(np.array([1, 3]))
 * // Array([0.25, 0.75], dtype=float32)
 */
export const psum = <T>(x: T, axisName: AxisNames): T =>
  alongEach(axisName, x, (y, name) => overLeaves('psum', y, name, bindSum))

/**
 * The mean over all examples; see `psum`.
 *
 * @example
 * vmap((x: NDArray) => x.sub(pmean(x, 'i')), { axisName: 'i' })(np.array([1, 3]))
 * // Array([-1.,  1.], dtype=float32)
 */
export const pmean = <T>(x: T, axisName: AxisNames): T =>
  alongEach(axisName, x, (y, name) =>
    overLeaves('pmean', y, name, (leaf, params) => {
      const float = leaf.dtype.includes('float') ? leaf : convert(leaf, 'float32')
      const total = bindSum(float, params)
      return div(total, full(total.shape, params.axisSize, total.dtype, total.aval.weakType))
    }),
  )

/**
 * The largest value of all examples; see `psum`.
 *
 * @example
 * vmap((x: NDArray) => x.sub(pmax(x, 'i')), { axisName: 'i' })(np.array([1, 3]))
 * // Array([-2,  0], dtype=int32)
 */
export const pmax = <T>(x: T, axisName: AxisNames): T =>
  alongEach(axisName, x, (y, name) => overLeaves('pmax', y, name, bindMax))

/**
 * The smallest value of all examples; see `psum`.
 *
 * @example
 * vmap((x: NDArray) => x.sub(pmin(x, 'i')), { axisName: 'i' })(np.array([1, 3]))
 * // Array([0, 2], dtype=int32)
 */
export const pmin = <T>(x: T, axisName: AxisNames): T =>
  alongEach(axisName, x, (y, name) => overLeaves('pmin', y, name, bindMin))

/**
 * The values of all examples, along a new axis.
 *
 * @param x a tree of arrays
 * @param axisName a name given to an enclosing `vmap`
 * @param options.axis where the new axis stands in the result
 * @example
 * vmap((x: NDArray) => np.argsort(allGather(x, 'i')), { axisName: 'i' })(np.array([3, 1]))
 * // Array([[1, 0],
 * //        [1, 0]], dtype=int32)
 */
export const allGather = <T>(x: T, axisName: string, options: { readonly axis?: number } = {}): T =>
  overLeaves('allGather', x, axisName, (leaf, params) => {
    const { axis = 0 } = checkOptions('allGather', options, ['axis'])
    return bindGather(leaf, {
      ...params,
      allGatherDimension: axis < 0 ? axis + leaf.ndim + 1 : axis,
    })
  })

/**
 * Sends each example's value to another one.
 *
 * @param x a tree of arrays
 * @param axisName a name given to an enclosing `vmap`
 * @param perm pairs of source and destination; examples to which nobody sends receive zeros
 * @example
 * vmap((x: NDArray) => ppermute(x, 'i', [[0, 1]]), { axisName: 'i' })(np.array([3, 4]))
 * // Array([0, 3], dtype=int32)
 */
export const ppermute = <T>(
  x: T,
  axisName: string,
  perm: readonly (readonly [source: number, destination: number])[],
): T =>
  overLeaves('ppermute', x, axisName, (leaf, params) => {
    const unique = (index: 0 | 1): boolean =>
      new Set(perm.map((p) => p[index])).size === perm.length
    const inRange = perm.every((p) =>
      p.every((i) => Number.isInteger(i) && i >= 0 && i < params.axisSize),
    )
    if (!inRange || !unique(0) || !unique(1)) {
      throw new ArgumentError({
        op: `ppermute(x, '${axisName}')`,
        problem: `[${perm.map((p) => `[${p.join(', ')}]`).join(', ')}] is not a partial permutation`,
        rule: `sources and destinations are distinct and from 0 to ${params.axisSize - 1}`,
      })
    }
    return bindPermute(leaf, { ...params, perm })
  })

/**
 * The position of this example along the axis: an int32 scalar.
 *
 * @example
 * vmap((x: NDArray) => x.mul(axisIndex('i')), { axisName: 'i' })(np.array([3, 4]))
 * // Array([0, 4], dtype=int32)
 */
export const axisIndex = (axisName: string): NDArray =>
  bindAxisIndex({ axisName, axisSize: axisNamed('axisIndex', axisName).size })

/**
 * The number of examples along the axis, which is known while tracing: a number of JavaScript.
 *
 * @param axisName a name given to an enclosing `vmap` or `pmap`
 * @throws ArgumentError when no enclosing `vmap` has an axis of this name
 * @example
 * vmap((x: NDArray) => np.divide(psum(x, 'i'), axisSize('i')), { axisName: 'i' })(np.array([1, 3]))
 * // Array([2., 2.], dtype=float32)
 */
export const axisSize = (axisName: string): number => axisNamed('axisSize', axisName).size
