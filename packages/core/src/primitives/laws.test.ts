/** Laws of every primitive of core, by walking the registry over its samples. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { NDArray } from '../array/ndarray'
import { type Aval, Aval as AvalClass, avalsMatch } from '../types/aval'
import { isFloating } from '../types/dtype'
import { withInterpreter } from '../trace/interpreter'
import {
  isZero,
  type Primitive,
  registeredPrimitives,
  type Tangent,
  zeroLike,
} from '../trace/primitive'
import { primitiveSamples } from './all.samples'
import { evaluating, fromHost, toHost } from './evaluating.fixture'
import './index'
import type { PrimitiveSample } from './samples'
import {
  allocateHost,
  forEachIndex,
  hostArray,
  type HostArray,
  positionOf,
  rowMajorStrides,
} from './strided'
import { Tape } from './tape.fixture'

const runs = { numRuns: Number(process.env.LAW_RUNS ?? 10) }

const evaluate = (
  primitive: Primitive,
  operands: readonly HostArray[],
  sample: PrimitiveSample,
) => {
  const avals = primitive.abstractEval(
    operands.map((o) => o.aval),
    sample.params,
  )
  return primitive.evaluate(operands, sample.params, avals)
}

/** Deterministic "random" directions, so that a failure shrinks well. */
const direction = (like: Aval, seed: number): HostArray => {
  const data = allocateHost(like.dtype, like.size)
  for (let i = 0; i < data.length; i++) data[i] = Math.sin(1.7 * i + 2.3 * seed + 0.4) + 0.1
  return hostArray(like, data)
}

const moved = (x: HostArray, by: HostArray, h: number): HostArray =>
  hostArray(
    x.aval,
    (x.data as Float64Array).map((value, i) => value + h * by.data[i]),
  )

function expectClose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: number,
): void {
  expect(actual.length).toBe(expected.length)
  for (let i = 0; i < actual.length; i++) {
    if (Object.is(actual[i], expected[i]) || actual[i] === expected[i]) continue
    if (Number.isNaN(actual[i]) && Number.isNaN(expected[i])) continue
    const scale = 1 + Math.abs(expected[i])
    if (!(Math.abs(actual[i] - expected[i]) <= tolerance * scale)) {
      expect.fail(`element ${i}: ${actual[i]} and not ${expected[i]}`)
    }
  }
}

/** The tangents of a call along fixed directions, and these directions. */
function directions(sample: PrimitiveSample): {
  tangents: readonly Tangent[]
  vectors: readonly (HostArray | null)[]
} {
  const vectors = sample.operands.map((o, i) => (sample.smooth[i] ? direction(o.aval, i) : null))
  const tangents = sample.operands.map((o, i) => {
    const v = vectors[i]
    return v === null ? zeroLike(o) : fromHost(v)
  })
  return { tangents, vectors }
}

describe.each(registeredPrimitives().map((p): [string, Primitive] => [p.name, p]))(
  '%s',
  (name, primitive) => {
    const samples = primitiveSamples.get(name)
    if (samples === undefined) {
      it('has samples', () => expect.fail('add them to the samples beside its family'))
      return
    }

    it('evaluates to the shapes and dtypes that its shape rule says', () => {
      fc.assert(
        fc.property(samples.edges, (sample) => {
          const avals = primitive.abstractEval(
            sample.operands.map((o) => o.aval),
            sample.params,
          )
          const results = primitive.evaluate(sample.operands, sample.params, avals)
          expect(results.length).toBe(avals.length)
          results.forEach((r, i) => {
            expect(avalsMatch(r.aval, avals[i])).toBe(true)
            expect(r.data.length).toBe(avals[i].size)
            expect(r.data.constructor).toBe(allocateHost(avals[i].dtype, 0).constructor)
          })
        }),
        runs,
      )
    })

    it('jvp is the limit of finite differences, and its primal is the plain value', () => {
      fc.assert(
        fc.property(samples.smooth, (sample) => {
          const { tangents, vectors } = directions(sample)
          const result = evaluating(() =>
            primitive.jvp(sample.operands.map(fromHost), tangents, sample.params),
          )
          const plain = evaluate(primitive, sample.operands, sample)
          const h = 1e-5
          const at = (step: number): readonly HostArray[] =>
            evaluate(
              primitive,
              sample.operands.map((x, i) => {
                const v = vectors[i]
                return v === null ? x : moved(x, v, step)
              }),
              sample,
            )
          const [after, before] = [at(h), at(-h)]
          plain.forEach((y, n) => {
            expectClose(toHost(result.primals[n]).data, y.data, 1e-13)
            const tangent = result.tangents[n]
            if (!isFloating(y.aval.dtype)) {
              expect(isZero(tangent)).toBe(true)
              return
            }
            if (!sample.smooth.includes(true)) return
            if (!isZero(tangent)) expect(String(tangent.aval)).toBe(String(y.aval))
            const actual = isZero(tangent) ? new Float64Array(y.data.length) : toHost(tangent).data
            const expected = Array.from(after[n].data, (a, i) => (a - before[n].data[i]) / (2 * h))
            expectClose(actual, expected, sample.tolerance)
          })
        }),
        runs,
      )
    })

    it('what its jvp binds can be transposed: ⟨ȳ, J ẋ⟩ = ⟨Jᵀ ȳ, ẋ⟩', () => {
      fc.assert(
        fc.property(samples.smooth, (sample) => {
          if (!sample.smooth.includes(true)) return
          const { tangents, vectors } = directions(sample)
          const inner = (x: Tangent, y: HostArray): number => {
            if (isZero(x)) return 0
            expect(x.shape).toEqual(y.aval.shape)
            return [...toHost(x).data].reduce((sum, v, i) => sum + v * y.data[i], 0)
          }
          evaluating(() => {
            const primals = sample.operands.map(fromHost)
            const forward = primitive.jvp(primals, tangents, sample.params).tangents
            const tape = new Tape()
            const tracers = tangents.map((t) => (isZero(t) ? t : tape.tracer(t.aval)))
            const recorded = withInterpreter(
              tape,
              () => primitive.jvp(primals, tracers, sample.params).tangents,
            )
            const bars = recorded.map((t, i) => direction(t.aval, 10 + i))
            const inputs = tracers.filter((t): t is NDArray => !isZero(t))
            const pulled = tape.pullback(recorded, bars.map(fromHost), inputs)
            const left = forward.reduce(
              (sum, t, i) => (isFloating(t.aval.dtype) ? sum + inner(t, bars[i]) : sum),
              0,
            )
            const known = vectors.filter((v): v is HostArray => v !== null)
            const right = pulled.reduce((sum, bar, i) => sum + inner(bar, known[i]), 0)
            // Conversions round to float32, also in this precision.
            expectClose([right], [left], 1e-6)
          })
        }),
        runs,
      )
    })

    it('batching is the stack of a loop', () => {
      const lanes = 2
      fc.assert(
        fc.property(samples.smooth, fc.infiniteStream(fc.nat(7)), (sample, choices) => {
          if (sample.operands.length === 0) return
          const choose = (n: number): number => choices.next().value % n
          const dims: (number | null)[] = sample.operands.map((o) =>
            choose(3) === 0 ? null : choose(o.aval.ndim + 1),
          )
          if (!dims.some((d) => d !== null)) dims[0] = 0
          const laneOf = (x: HostArray, lane: number): HostArray =>
            lane === 0 ? x : hostArray(x.aval, x.data.slice().reverse())
          const stacked = sample.operands.map((x, i) => {
            const dim = dims[i]
            return fromHost(dim === null ? x : stack([laneOf(x, 0), laneOf(x, 1)], dim))
          })
          const { outputs, dims: outDims } = evaluating(() =>
            primitive.batch({ size: lanes, name: null }, stacked, dims, sample.params),
          )
          for (let lane = 0; lane < lanes; lane++) {
            const expected = evaluate(
              primitive,
              sample.operands.map((x, i) => (dims[i] === null ? x : laneOf(x, lane))),
              sample,
            )
            outputs.forEach((output, n) => {
              const dim = outDims[n]
              const actual = dim === null ? toHost(output) : unstack(toHost(output), dim, lane)
              expect(actual.aval.shape).toEqual(expected[n].aval.shape)
              expect(actual.aval.dtype).toBe(expected[n].aval.dtype)
              expectClose(actual.data, expected[n].data, 1e-12)
            })
          }
        }),
        runs,
      )
    })
  },
)

function stack(lanes: readonly HostArray[], dim: number): HostArray {
  const [{ aval }] = lanes
  const shape = [...aval.shape.slice(0, dim), lanes.length, ...aval.shape.slice(dim)]
  const result = hostArray(new AvalClass(shape, aval.dtype))
  const strides = rowMajorStrides(aval.shape)
  forEachIndex(shape, (index, flat) => {
    const within = index.filter((_, axis) => axis !== dim)
    result.data[flat] = lanes[index[dim]].data[positionOf(strides, within)]
  })
  return result
}

function unstack(x: HostArray, dim: number, lane: number): HostArray {
  const shape = x.aval.shape.filter((_, axis) => axis !== dim)
  const result = hostArray(new AvalClass(shape, x.aval.dtype))
  const strides = rowMajorStrides(x.aval.shape)
  forEachIndex(shape, (index, flat) => {
    result.data[flat] =
      x.data[positionOf(strides, [...index.slice(0, dim), lane, ...index.slice(dim)])]
  })
  return result
}
