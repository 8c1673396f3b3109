/**
 * Batching: a function of one example, applied to all of them at once.
 *
 * A batched value knows where its mapped axis stands. Each primitive's batching rule works on whole
 * arrays one interpreter further out; values without the axis are left alone.
 */
import {
  Aval,
  type BatchDim,
  bind,
  canonicalAxis,
  checkOptions,
  currentInterpreter,
  evaluateJaxpr,
  type Interpreter,
  makeTracer,
  type MappedAxis,
  moveAxis,
  type NDArray,
  type Params,
  type Primitive,
  runInterpreter,
  TransformationError,
  tree,
  underParent,
  withMappedAxis,
} from '@adjoint/core/internal'
import { type ClosedProgram, derivedOnce, flagsKey, stageWith } from './derived'
import { type AxisSpec, axesOfLeaves } from './axes-prefix'
import {
  callName,
  flattenArrays,
  flattenFunction,
  type FlatFunction,
  requireFunction,
} from './flat-function'
import type { RefuseAsync } from './function-types'

export interface Batched {
  readonly value: NDArray
  readonly dim: BatchDim
}

export class BatchInterpreter implements Interpreter {
  readonly parent: Interpreter = currentInterpreter()
  active = true

  constructor(
    readonly axis: MappedAxis,
    readonly name: string,
    readonly subject: string,
  ) {}

  process<P extends Params>(
    primitive: Primitive<P>,
    operands: readonly NDArray[],
    params: P,
  ): readonly NDArray[] {
    const split = operands.map((operand) => this.split(operand))
    const values = split.map((s) => s.value)
    const dims = split.map((s) => s.dim)
    return underParent(this, () => {
      if (dims.every((dim) => dim === null) && !this.isAddressedBy(params)) {
        return bind(primitive, values, params)
      }
      const result = primitive.batch(this.axis, values, dims, params)
      return result.outputs.map((value, i) => this.pair(value, result.dims[i]))
    })
  }

  /** A collective over this axis concerns it even when no operand is mapped. */
  private isAddressedBy(params: Params): boolean {
    return this.axis.name !== null && params.axisName === this.axis.name
  }

  pair(value: NDArray, dim: BatchDim): NDArray {
    if (dim === null) return value
    const shape = value.shape.filter((_, axis) => axis !== dim)
    const aval = new Aval(shape, value.dtype, value.aval.weakType)
    return makeTracer(aval, this, { value, dim })
  }

  split(value: NDArray): Batched {
    return value.owner === this ? (value.content as Batched) : { value, dim: null }
  }
}

/** Runs `f` on operands that carry the mapped axis at `dims`. */
export function batchFlat(
  f: FlatFunction,
  axis: MappedAxis,
  operands: readonly NDArray[],
  dims: readonly BatchDim[],
  name = 'vmap',
  subject = '',
): readonly Batched[] {
  const interpreter = new BatchInterpreter(axis, name, subject)
  if (axis.name !== null) runningNamedAxes++
  try {
    return runInterpreter(interpreter, () => {
      const outputs = f(operands.map((operand, i) => interpreter.pair(operand, dims[i])))
      return outputs.map((output) => interpreter.split(output))
    })
  } finally {
    if (axis.name !== null) runningNamedAxes--
  }
}

/** How many vmaps with a named axis are running: almost always none, which makes asking cheap. */
let runningNamedAxes = 0

/** Mapped operands with the axis in front, as batched programs take them. */
export const mappedFirst = (
  operands: readonly NDArray[],
  dims: readonly BatchDim[],
): readonly NDArray[] =>
  operands.map((x, i) => {
    const dim = dims[i]
    return dim === null ? x : moveAxis(x, dim, 0)
  })

export interface BatchedProgram extends ClosedProgram {
  /** Which outputs carry the mapped axis, in front. */
  readonly mappedOut: readonly boolean[]
}

/**
 * A program over a mapped axis: operands and results that are mapped carry it in front.
 *
 * @param mappedIn which inputs are mapped
 * @param forceOut outputs that must be mapped, repeated if they do not depend on the axis
 */
export const batchJaxpr = derivedOnce(
  (axis: MappedAxis, mappedIn: readonly boolean[], forceOut: readonly boolean[]) =>
    `${axis.size}|${axis.name ?? ''}|${flagsKey(mappedIn)}|${flagsKey(forceOut)}`,
  (jaxpr, axis, mappedIn, forceOut): BatchedProgram => {
    const inAvals = jaxpr.inAvals.map((aval, i) =>
      mappedIn[i] ? new Aval([axis.size, ...aval.shape], aval.dtype, aval.weakType) : aval,
    )
    const staged = stageWith(
      (inputs) => {
        const results = batchFlat(
          (xs) => evaluateJaxpr(jaxpr, xs),
          axis,
          inputs,
          mappedIn.map((mapped) => (mapped ? 0 : null)),
          'vmap',
          jaxpr.name,
        )
        const mapped = results.map(({ dim }, i) => dim !== null || forceOut[i] === true)
        const outputs = results.map(({ value, dim }, i) =>
          mapped[i] ? withMappedAxis(value, dim, axis.size, 0) : value,
        )
        return { outputs, facts: mapped }
      },
      inAvals,
      'vmap',
      jaxpr.name,
    )
    return { jaxpr: staged.jaxpr, constants: staged.constants, mappedOut: staged.facts }
  },
)

/** The mapped axis of a result at `to`, which counts axes of the result with it. */
export function placeMappedAxis(op: string, result: Batched, size: number, to: number): NDArray {
  const ndim = result.dim === null ? result.value.ndim + 1 : result.value.ndim
  return withMappedAxis(result.value, result.dim, size, canonicalAxis(op, to, result.value, ndim))
}

/** The named axes of the vmaps around the current interpreter, innermost first. */
export function namedAxes(): readonly MappedAxis[] {
  if (runningNamedAxes === 0) return []
  const axes: MappedAxis[] = []
  for (let i: Interpreter | null = currentInterpreter(); i !== null; i = i.parent) {
    if (i instanceof BatchInterpreter && i.axis.name !== null) axes.push(i.axis)
  }
  return axes
}

/** A key of `namedAxes`: programs traced under different named axes differ. */
export const axisEnvironment = (): string =>
  runningNamedAxes === 0
    ? ''
    : namedAxes()
        .map(({ name, size }) => `${name}=${size}`)
        .join(',')

export interface VmapOptions {
  /** The axis to map in every argument, or one entry per argument; null where nothing is mapped. */
  readonly inAxes?: AxisSpec
  /** Where the mapped axis stands in the results. */
  readonly outAxes?: AxisSpec
  /** A name that collectives such as `psum` refer to. */
  readonly axisName?: string
  /** Needed only when no argument is mapped. */
  readonly axisSize?: number
}

/**
 * Maps a function over an axis of its arguments, by batching every operation in it.
 *
 * @param f a function of trees of arrays, of one example
 * @param options.inAxes which axis of each argument enumerates the examples (0)
 * @param options.outAxes where that axis goes in the results (0)
 * @returns a function of the same arguments with the extra axis
 * @throws TransformationError when mapped sizes differ, with each argument's size
 * @example
 * const [a, b] = [np.ones([8, 3]), np.ones([8, 3])]
 * vmap((x: NDArray, y: NDArray) => np.dot(x, y))(a, b).shape // [ 8 ]
 */
export function vmap<A extends readonly unknown[], R>(
  f: ((...args: A) => R) & RefuseAsync<R>,
  options: VmapOptions = {},
): (...args: A) => R {
  requireFunction('vmap', f)
  const op = callName('vmap', f)
  const {
    inAxes = 0,
    outAxes = 0,
    axisName = null,
  } = checkOptions(op, options, ['inAxes', 'outAxes', 'axisName', 'axisSize'])
  const mapped = (...args: A): R => {
    const { arrays, structure } = flattenArrays(op, args, 'args')
    const paths = tree.structurePaths(structure, 'args')
    const dims = axesOfLeaves(op, inAxes, structure, 'args', 'inAxes').map((axis, i) =>
      axis === null ? null : mappedAxisOf(op, axis, arrays[i], paths[i]),
    )
    const size = mappedSize(op, arrays, dims, paths, options.axisSize)
    const flat = flattenFunction<A>(op, f, structure)
    const results = batchFlat(flat.call, { size, name: axisName }, arrays, dims, 'vmap', f.name)
    const out = axesOfLeaves(op, outAxes, flat.structure(), 'the result', 'outAxes')
    const outputs = results.map((result, i) => {
      const to = out[i]
      if (to !== null) return placeMappedAxis(op, result, size, to)
      if (result.dim === null) return result.value
      throw new TransformationError({
        op,
        problem: 'outAxes is null for a result that depends on the mapped axis',
        operands: [{ name: 'the result', aval: result.value.aval }],
        rule: 'only results that are the same for all examples can have outAxes null',
        hint: 'give the axis a place in the result, or reduce over the examples outside',
      })
    })
    return tree.unflatten(flat.structure(), outputs) as R
  }
  Object.defineProperty(mapped, 'name', { value: f.name })
  return mapped
}

function mappedAxisOf(op: string, axis: number, x: NDArray, path: string): number {
  if (axis >= -x.ndim && axis < x.ndim) return axis < 0 ? axis + x.ndim : axis
  throw new TransformationError({
    op,
    problem: `cannot map axis ${axis} of ${path}, which has ${x.ndim} dimensions`,
    operands: [{ name: path, aval: x.aval }],
    path,
    axis,
    rule: 'a mapped argument has the axis named by inAxes',
    hint: 'use inAxes: null for arguments that are the same for all examples',
  })
}

/** The one size of all mapped axes. */
function mappedSize(
  op: string,
  arrays: readonly NDArray[],
  dims: readonly BatchDim[],
  paths: readonly string[],
  axisSize: number | undefined,
): number {
  const sizes = arrays.flatMap(({ aval }, i) => {
    const dim = dims[i]
    return dim === null ? [] : [{ path: paths[i], aval, dim, size: aval.shape[dim] }]
  })
  const size = axisSize ?? sizes[0]?.size
  if (size === undefined) {
    throw new TransformationError({
      op,
      problem: 'no argument is mapped, so the size of the mapped axis is unknown',
      rule: 'some entry of inAxes is not null, or axisSize is given',
    })
  }
  if (sizes.some((s) => s.size !== size)) {
    throw new TransformationError({
      op,
      problem:
        axisSize === undefined
          ? 'mapped axes have different sizes'
          : `mapped axes do not have axisSize ${axisSize}`,
      operands: sizes.map((s) => ({
        name: s.path,
        aval: s.aval,
        note: `axis ${s.dim} is ${s.size}`,
      })),
      rule: 'all mapped axes have one size',
      hint: 'use inAxes: null for arguments that are the same for all examples',
    })
  }
  return size
}
