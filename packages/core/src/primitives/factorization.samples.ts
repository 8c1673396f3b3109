/** Matrices whose factors are determined well enough for finite differences to mean something. */
import fc from 'fast-check'
import { type Shape, sizeOf } from '../types/aval'
import { arrayOf, between, hostOf, type PrimitiveSamples, sample } from './samples'
import type { HostArray } from './strided'

const batches = fc.constantFrom<Shape>([], [2])

/** Small numbers everywhere, and these on the diagonal (or the antidiagonal). */
const around = (
  shape: Shape,
  onDiagonal: (i: number) => number,
  turned = false,
  small = 0.5,
): fc.Arbitrary<HostArray> =>
  arrayOf(shape, 'float32', between(-small, small)).map((x) => {
    const [m, n] = shape.slice(-2)
    const values = Array.from(x.data, (value, flat) => {
      const [i, j] = [Math.floor((flat % (m * n)) / n), flat % n]
      return (turned ? m - 1 - i : i) === j ? onDiagonal(j) + value : value
    })
    return hostOf(shape, 'float32', values)
  })

const sizes = fc.integer({ min: 1, max: 4 })

const named = (
  name: string,
  smooth: PrimitiveSamples['smooth'],
  edges: PrimitiveSamples['edges'] = smooth,
): PrimitiveSamples => ({ name, smooth, edges })

const empty = (params = {}): PrimitiveSamples['edges'] =>
  fc
    .constantFrom<Shape>([0, 0], [3, 0], [2, 0, 0])
    .map((shape) =>
      sample([hostOf(shape, 'float32', new Array<number>(sizeOf(shape)).fill(0))], params),
    )

const lus = named(
  'lu',
  fc
    .tuple(sizes, sizes, batches, fc.boolean())
    .chain(([m, n, batch, turned]) => around([...batch, m, n], () => 3, turned))
    .map((x) => sample([x])),
)

/**
 * The diagonal of every column exceeds what the others can take from it: at most 3 · 0.25 of at least
 * 1.75, so that no singular value is below 1. Twice differentiated, factors grow with its square, and
 * what a finite difference leaves over with the fourth power; with 0.5 in the place of 0.25 a first
 * column could be a combination of the others.
 */
const tall = fc
  .tuple(sizes, fc.nat(2), batches)
  .chain(([n, more, batch]) => around([...batch, n + more, n], (j) => 2 + j, false, 0.25))

/**
 * Without zeros below the diagonal. By LAPACK's convention a column with nothing below its diagonal stays
 * as it is, and one with however little there is reflected to the other sign: Q and R jump there.
 */
const filledBelow = (x: HostArray): HostArray => {
  const [m, n] = x.aval.shape.slice(-2)
  const values = Array.from(x.data, (value, flat) => {
    const [i, j] = [Math.floor((flat % (m * n)) / n), flat % n]
    return i > j && value === 0 ? 1 / 256 : value
  })
  return hostOf(x.aval.shape, 'float32', values)
}

const fullness = fc.boolean().map((fullMatrices) => ({ fullMatrices }))

const qrs = named(
  'qr',
  tall.map((x) => sample([filledBelow(x)], { fullMatrices: false })),
  fc.oneof(
    fc
      .tuple(sizes, sizes, batches, fullness)
      .chain(([m, n, batch, params]) =>
        around([...batch, m, n], () => 2).map((x) => sample([x], params)),
      ),
    empty({ fullMatrices: true }),
  ),
)

const eighs = named(
  'eigh',
  fc
    .tuple(sizes, batches)
    .chain(([n, batch]) => around([...batch, n, n], (j) => 3 * j - 4))
    .map((x) => sample([x], {}, [true], 1e-4)),
)

const svds = named(
  'svd',
  tall.chain((x) => {
    const [m, n] = x.aval.shape.slice(-2)
    // Distances between singular values that the small numbers cannot close.
    return around(x.aval.shape, (j) => 3 + 3 * j).map((y) =>
      sample([y], { fullMatrices: m === n }, [true], 1e-4),
    )
  }),
  tall.chain((x) => fullness.map((params) => sample([x], params))),
)

const pinvs = named(
  'pinv',
  fc
    .tuple(sizes, sizes, batches)
    .chain(([m, n, batch]) => around([...batch, m, n], (j) => 2 + j))
    .map((x) => sample([x], { cutoff: 1e-6 })),
)

export const factorizationSamples: readonly PrimitiveSamples[] = [lus, qrs, eighs, svds, pinvs]
