/**
 * Data parallelism: one program over shards of the data, with collectives between them.
 *
 * The shards are the examples of a mapped axis, and the threads of the device divide that axis among
 * themselves. See docs/design/pmap.md.
 */
import { ArgumentError, checkOptions, TransformationError, tree } from '@adjoint/core/internal'
import { type AxisSpec, axesOfLeaves } from './axes-prefix'
import { callName, flattenArrays, requireFunction } from './flat-function'
import type { RefuseAsync } from './function-types'
import { jit, type Jitted } from './jit/jit'
import { vmap } from './vmap'

export interface PmapOptions {
  /** The name that collectives such as `psum` refer to. */
  readonly axisName?: string
  /** How many shards there are: the size of the mapped axes. Unless given, they say it themselves. */
  readonly devices?: number
  /** The axis of shards in every argument, or one entry per argument; null for what all share. */
  readonly inAxes?: AxisSpec
  /** Where the axis of shards stands in the results; null for what is the same for all. */
  readonly outAxes?: AxisSpec
  /** Arguments whose memory may be reused; they are deleted. */
  readonly donateArgnums?: number | readonly number[]
}

/**
 * Runs a function on several shards of its arguments at once, as one compiled program that the
 * threads of the device share. Collectives (`psum`, `pmean`, `allGather`, `ppermute`, `axisIndex`)
 * go across the shards, always in the same order, so that results have the same bits however many
 * threads there are.
 *
 * @param f a function of trees of arrays, of one shard
 * @param options.axisName the name of the axis of shards, for collectives
 * @param options.devices how many shards there are
 * @param options.inAxes which axis of each argument enumerates the shards (0)
 * @param options.outAxes where that axis goes in the results (0)
 * @returns a compiled function of the same arguments with the extra axis
 * @throws TransformationError when an argument has another number of shards
 * @throws DeviceError when a worker ends while the program runs; the error names it
 * @example
 * const total = pmap((x: NDArray) => psum(x, 'shards'), { axisName: 'shards', devices: 2 })
 * total(np.array([[1, 2], [3, 4]])).toArray() // [ [ 4, 6 ], [ 4, 6 ] ]
 */
export function pmap<A extends readonly unknown[], R>(
  f: ((...args: A) => R) & RefuseAsync<R>,
  options: PmapOptions = {},
): Jitted<A, R> {
  requireFunction('pmap', f)
  const op = callName('pmap', f)
  const {
    axisName,
    devices,
    inAxes = 0,
    outAxes = 0,
    donateArgnums = [],
  } = checkOptions(op, options, ['axisName', 'devices', 'inAxes', 'outAxes', 'donateArgnums'])
  if (devices !== undefined && !(Number.isInteger(devices) && devices >= 1)) {
    throw new ArgumentError({
      op,
      problem: `devices is ${devices}`,
      rule: 'the number of shards is a whole number from 1 on',
      hint: 'it may be more than there are threads: each then takes several shards',
    })
  }
  const mapped = vmap<A, R>(f, {
    inAxes,
    outAxes,
    ...(axisName === undefined ? {} : { axisName }),
    ...(devices === undefined ? {} : { axisSize: devices }),
  })
  const checked = (...args: A): R => {
    requireShards(op, args, inAxes, devices)
    return mapped(...args)
  }
  // A function of the same name, whose result is judged already.
  return jit<A, R>(checked as typeof checked & RefuseAsync<R>, { donateArgnums, name: f.name })
}

function requireShards(
  op: string,
  args: readonly unknown[],
  inAxes: AxisSpec,
  devices: number | undefined,
): void {
  const { arrays, structure } = flattenArrays(op, args, 'args')
  const paths = tree.structurePaths(structure, 'args')
  const axes = axesOfLeaves(op, inAxes, structure, 'args', 'inAxes')
  const mapped = arrays.flatMap(({ aval }, i) => {
    const axis = axes[i]
    return axis === null ? [] : [{ name: paths[i], aval, axis, size: aval.shape.at(axis) }]
  })
  const shards = devices ?? mapped[0]?.size
  const others = mapped.filter(({ size }) => size === undefined || size !== shards)
  if (others.length === 0) return
  const shown = devices === undefined ? mapped : others
  throw new TransformationError({
    op,
    problem:
      devices === undefined
        ? 'the arguments do not have the same number of shards'
        : `there are ${devices} devices, and not as many shards`,
    operands: shown.map(({ name, aval, axis, size }) => ({
      name,
      aval,
      note: size === undefined ? `there is no axis ${axis}` : `axis ${axis} is ${size}`,
    })),
    rule: 'the axis of shards has one element for each device',
    hint: `reshape it, for example [batch, …] to [${shards ?? 2}, batch / ${shards ?? 2}, …], or give inAxes null for what all shards share`,
  })
}
