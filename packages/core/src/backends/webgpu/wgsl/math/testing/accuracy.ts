/** How far the functions of kernels are from the exact values, in units in the last place. */
import { binary, type BinaryOp, load, unary, type UnaryOp } from '../../../../../compiler/expr'
import type { MapNode } from '../../../../../compiler/nodes'
import {
  domains,
  type MeasuredFunction,
  sampleDomain,
  samplePairs,
} from '../../../../wasm/math/testing/accuracy'
import { floatKernel } from '../../../../wasm/math/testing/kernel'
import { plainMap } from '../../../kernels/map.fixture'
import { newBuffer, type NodeRunner, numbersOf, wordsOf } from '../../../kernels/run-node.fixture'

/** One operation on arrays of f32, element by element. */
export async function evaluate(
  runner: NodeRunner,
  op: UnaryOp | BinaryOp,
  ...args: readonly (readonly number[])[]
): Promise<number[]> {
  const size = args[0].length
  const at = { offset: 0, strides: [1] }
  const sources = args.map(() => newBuffer('float32', size))
  const target = newBuffer('float32', size)
  const [x, y] = sources.map((source) => load(source, at))
  const value =
    args.length === 1 ? unary(op as UnaryOp, 'float32', x) : binary(op as BinaryOp, 'float32', x, y)
  const node: MapNode = { kind: 'map', shape: [size], stores: [{ target, at, offsets: [], value }] }
  const content = new Map(sources.map((source, i) => [source, wordsOf('float32', args[i])]))
  const results = await runner.run(plainMap, node, content)
  return numbersOf('float32', results.get(target) ?? new Uint32Array())
}

export interface GpuAccuracy {
  /** Largest error found; infinite where a result is not even of the right kind. */
  readonly ulp: number
  readonly at: readonly number[]
}

const smallestNormal = 2 ** -126
const isSubnormal = (x: number): boolean => x !== 0 && Math.abs(x) < smallestNormal
/** WGSL lets devices take numbers below 2^-126 for zero. */
const flushed = (x: number): number => (isSubnormal(x) ? 0 : x)

export async function measureOnGpu(
  runner: NodeRunner,
  f: MeasuredFunction,
  samples: number,
): Promise<GpuAccuracy> {
  const isBinary = f === 'pow' || f === 'rem' || f === 'atan2'
  const exact = floatKernel(f, isBinary ? 2 : 1, { type: 'f64', features: { relaxed: false } })
  let worst: GpuAccuracy = { ulp: 0, at: [] }
  for (const domain of domains[f]) {
    const args = isBinary ? samplePairs(f, 'f32', samples) : [sampleDomain(domain, 'f32', samples)]
    const results = await evaluate(runner, f, ...args)
    const expected = exact(...args)
    results.forEach((got, i) => {
      const at = args.map((values) => values[i])
      if (at.some(isSubnormal)) return
      const ulp = errorOf(got, expected[i], domain.negativeZeros === true ? 1 : smallestNormal)
      if (ulp > worst.ulp) worst = { ulp, at }
    })
  }
  return worst
}

function errorOf(got: number, exact: number, smallestSize: number): number {
  if (Number.isNaN(exact)) return Number.isNaN(got) ? 0 : Infinity
  const overflows = Math.abs(exact) >= 2 ** 128 * (1 - 2 ** -25)
  if (overflows || !Number.isFinite(got))
    return overflows && got === Math.sign(exact) * Infinity ? 0 : Infinity
  const unit = 2 ** (Math.floor(Math.log2(Math.max(Math.abs(exact), smallestSize))) - 23)
  const difference = isSubnormal(exact) ? flushed(got) : got - exact
  return Math.abs(difference) / unit
}
