/** Projections land in their set, at its nearest point. */
import { np, type NDArray } from '@adjoint/core'
import { arbitraryArray, checkGrads, checkVmap, requireClose } from '@adjoint/testing'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import * as optim from './index'

type Vector = NDArray
const direction = np.array([0.5, -1, 0.25, 2, 1], { dtype: 'float32' })
const dot = (a: Vector, b: Vector): number => np.sum(np.multiply(a, b)).item() as number

/** The projection, and how far outside of its set a vector is: 0 or less within. */
const sets: Readonly<
  Record<string, readonly [project: (x: Vector) => Vector, outside: (x: Vector) => number]>
> = {
  projectionNonNegative: [optim.projectionNonNegative, (x) => -Number(np.min(x).item())],
  projectionBox: [
    (x) => optim.projectionBox(x, -0.5, 1),
    (x) => Math.max(Number(np.max(x).item()) - 1, -0.5 - Number(np.min(x).item())),
  ],
  projectionHypercube: [
    optim.projectionHypercube,
    (x) => Math.max(Number(np.max(x).item()) - 1, -Number(np.min(x).item())),
  ],
  projectionSimplex: [
    (x) => optim.projectionSimplex(x, 1.5),
    (x) => Math.max(-Number(np.min(x).item()), Math.abs(Number(np.sum(x).item()) - 1.5)),
  ],
  projectionL1Ball: [optim.projectionL1Ball, (x) => Number(np.sum(np.abs(x)).item()) - 1],
  projectionL2Ball: [(x) => optim.projectionL2Ball(x, 2), (x) => Math.sqrt(dot(x, x)) - 2],
  projectionLinfBall: [optim.projectionLinfBall, (x) => Number(np.max(np.abs(x)).item()) - 1],
  projectionHyperplane: [
    (x) => optim.projectionHyperplane(x, direction, 0.5),
    (x) => Math.abs(dot(x, direction) - 0.5),
  ],
  projectionHalfspace: [
    (x) => optim.projectionHalfspace(x, direction, 0.5),
    (x) => dot(x, direction) - 0.5,
  ],
}

const vector = arbitraryArray({ shape: [5], min: -3, max: 3 })

describe.each(Object.entries(sets))('%s', (_, [project, outside]) => {
  it('lands in the set, and stays there', () => {
    fc.assert(
      fc.property(vector, (x) => {
        const p = project(x)
        expect(outside(p)).toBeLessThanOrEqual(1e-5)
        requireClose('twice', project(p), p, { tolerance: { relative: 1e-5, absolute: 1e-5 } })
      }),
    )
  })

  it('lands at the nearest point: no other of a convex set lies in the direction of x', () => {
    fc.assert(
      fc.property(vector, vector, (x, z) => {
        const [p, other] = [project(x), project(z)]
        expect(dot(np.subtract(x, p), np.subtract(other, p))).toBeLessThanOrEqual(2e-5)
      }),
    )
  })

  it('has the derivative that differences say, and maps over batches', () => {
    const x = np.array([0.9, -1.3, 0.4, 1.7, -0.2], { dtype: 'float32' })
    checkGrads((y: Vector) => project(y), [x])
    checkVmap((y: Vector) => project(y), [np.stack([x, x.mul(0.1), x.neg()])])
  })
})

describe('projections of trees', () => {
  it('take all leaves as one vector', () => {
    const x = { a: np.array([[0.9, -1.3]]), b: np.array([0.4, 1.7, -0.2]) }
    const whole = np.concatenate([np.ravel(x.a), x.b])
    for (const project of [
      optim.projectionSimplex,
      optim.projectionL1Ball,
      optim.projectionL1Sphere,
      optim.projectionL2Ball,
      optim.projectionL2Sphere,
    ]) {
      const p = project(x)
      expect([p.a.shape, p.b.shape]).toEqual([[1, 2], [3]])
      requireClose('joined', np.concatenate([np.ravel(p.a), p.b]), project(whole))
    }
  })

  it('take bounds of the same structure', () => {
    const x = { a: np.array([-2, 3]), b: np.array(5) }
    const low = { a: np.zeros([2]), b: np.zeros([]) }
    const p = optim.projectionBox(x, low, { a: np.array([1, 2]), b: np.array(4) })
    expect([p.a.toArray(), p.b.item()]).toEqual([[0, 2], 4])
  })

  it('a ball leaves its middle where it is, derivative included', () => {
    checkGrads((y: Vector) => optim.projectionL2Ball(y), [np.zeros([3])])
  })
})
