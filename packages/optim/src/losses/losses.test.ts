import { np, random, type NDArray } from '@adjoint/core'
import { checkGrads } from '@adjoint/testing'
import { grad, jit, vmap } from '@adjoint/transforms'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import * as optim from '../index'

describe('ctcLoss', () => {
  /** What an alignment says: repeated labels once, blanks not at all. */
  const collapse = (path: readonly number[]): string =>
    path.filter((label, i) => label !== 0 && label !== path[i - 1]).join()

  /** −log Σ over all alignments, one by one. */
  function byEnumeration(
    logits: readonly (readonly number[])[],
    labels: readonly number[],
  ): number {
    const classes = logits[0].length
    const log = logits.map((row) => {
      const total = Math.log(row.reduce((sum, x) => sum + Math.exp(x), 0))
      return row.map((x) => x - total)
    })
    let probability = 0
    const walk = (path: readonly number[], logProbability: number): void => {
      if (path.length < logits.length) {
        for (let c = 0; c < classes; c++) {
          walk([...path, c], logProbability + log[path.length][c])
        }
      } else if (collapse(path) === labels.join()) probability += Math.exp(logProbability)
    }
    walk([], 0)
    return -Math.log(probability)
  }

  it('sums over all alignments', () => {
    const value = fc.double({ min: -3, max: 3, noNaN: true })
    fc.assert(
      fc.property(
        fc.array(fc.array(value, { minLength: 3, maxLength: 3 }), { minLength: 4, maxLength: 4 }),
        fc.constantFrom([1], [1, 2], [2, 2], [1, 2, 1]),
        (logits, labels) => {
          // A second example that is padded, and says nothing of the first.
          const padded = [...labels, ...Array<number>(3 - labels.length).fill(0)]
          const paddings = padded.map((_, i) => (i < labels.length ? 0 : 1))
          const loss = optim.ctcLoss(
            np.array([logits, logits]),
            np.array([
              [0, 0, 0, 0],
              [0, 0, 0, 1],
            ]),
            np.array([padded, padded]),
            np.array([paddings, paddings]),
          )
          const [whole, short] = loss.toArray() as number[]
          expect(whole).toBeCloseTo(byEnumeration(logits, labels), 3)
          expect(short).toBeCloseTo(byEnumeration(logits.slice(0, 3), labels), 3)
        },
      ),
      { numRuns: 25 },
    )
  })

  it('says which shapes it wants', () => {
    expect(() =>
      optim.ctcLoss(np.zeros([2, 4, 3]), np.zeros([2, 5]), np.zeros([2, 2]), np.zeros([2, 2])),
    ).toThrowErrorMatchingInlineSnapshot(`
      [ShapeError: ctcLoss(logits, logitPaddings, labels, labelPaddings): the shapes do not belong together
        logits:        f32[2,4,3]   [batch, frames, classes]
        logitPaddings: f32[2,5]     [batch, frames]
        labels:        f32[2,2]     [batch, labels]
        labelPaddings: f32[2,2]     [batch, labels]
        rule: batch is the same everywhere, and paddings have the shape of what they pad]
    `)
  })
})

describe('label smoothing', () => {
  it('of integer labels is that of their distributions', () => {
    const logits = random.normal(random.key(0), [4, 5])
    const labels = np.array([0, 3, 4, 1])
    const oneHot = np.equal(np.expandDims(labels, -1), np.arange(5)).astype('float32')
    const byLabel = optim.softmaxCrossEntropyWithIntegerLabels(logits, labels, {
      labelSmoothing: 0.1,
    })
    const byDistribution = optim.softmaxCrossEntropy(logits, optim.smoothLabels(oneHot, 0.1))
    expect(np.allclose(byLabel, byDistribution, { rtol: 1e-5 }).item()).toBe(true)
  })
})

describe('derivatives', () => {
  const x = random.normal(random.key(1), [3, 4])
  const y = random.uniform(random.key(2), [3, 4])
  it.each<[string, (p: NDArray) => NDArray]>([
    ['logCosh', (p) => optim.logCosh(p, y)],
    ['cosineSimilarity', (p) => optim.cosineSimilarity(p, y)],
    ['sigmoidFocalLoss', (p) => optim.sigmoidFocalLoss(p, y, { alpha: 0.3 })],
    ['generalizedKlDivergence', (p) => optim.generalizedKlDivergence(p, y)],
    ['polyLossCrossEntropy', (p) => optim.polyLossCrossEntropy(p, y)],
    ['ntxent', (p) => optim.ntxent(p, np.array([0, 1, 0]), { temperature: 0.5 })],
    ['diceLoss', (p) => optim.diceLoss(np.expandDims(p, 0), np.expandDims(y, 0))],
    [
      'ctcLoss',
      (p) =>
        optim.ctcLoss(np.expandDims(p, 0), np.zeros([1, 3]), np.array([[2]]), np.zeros([1, 1])),
    ],
  ])('%s', (name, loss) => {
    checkGrads(loss, [x], { name, order: 2 })
  })

  it('stay finite where the loss is far out', () => {
    const far = np.array([-200, -90, 0, 90, 200], { dtype: 'float32' })
    const losses: ((p: NDArray) => NDArray)[] = [
      (p) => optim.logCosh(p),
      (p) => optim.sigmoidBinaryCrossEntropy(p, 1),
      (p) => optim.sigmoidFocalLoss(p, 1),
      (p) => optim.huber(p, 0, { delta: 2 }),
    ]
    for (const loss of losses) {
      expect(np.all(np.isfinite(loss(far))).item()).toBe(true)
      expect(np.all(np.isfinite(jit(vmap(grad(loss)))(far))).item()).toBe(true)
    }
  })
})

describe('where', () => {
  it('leaves classes out as if they were not there', () => {
    const logits = random.normal(random.key(3), [2, 4])
    const where = np.array([
      [true, false, true, true],
      [true, false, true, true],
    ])
    const labels = np.array([2, 0])
    const few = logits.get(':', np.array([0, 2, 3]))
    const [a, b] = [
      optim.softmaxCrossEntropyWithIntegerLabels(logits, labels, { where }),
      optim.softmaxCrossEntropyWithIntegerLabels(few, np.array([1, 0])),
    ]
    expect(np.allclose(a, b, { rtol: 1e-5 }).item()).toBe(true)
    const spread = optim.smoothLabels(np.where(where, 0, 0).astype('float32'), 0.3, { where })
    expect(spread.get(0, 0).item()).toBeCloseTo(0.1, 6)
  })
})
