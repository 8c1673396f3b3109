/**
 * What gradients look like, layer by layer, and what is wrong with them in plain words.
 *
 * All numbers are computed on the device by one program and read at once, so a look at every
 * hundredth step costs next to nothing.
 */
import { np, tree, type NDArray } from '@adjoint/core'
import { checkOptions, isFloating, readAsync, readSync } from '@adjoint/core/internal'
import { jit } from '@adjoint/transforms'
import { namedLeaves } from './leaf-names'
import { matchesPath, type PathPattern } from './path-patterns'

export interface GradientHealthOptions {
  /** The parameters that the gradients are of: norms are then compared with theirs. */
  readonly params?: unknown
  /** Outputs of layers, units along the last axis: units that are 0 for every example are dead. */
  readonly activations?: unknown
  /** Which gradients hold one layer per entry of their first axis, as those of `repeat` do. */
  readonly stacked?: PathPattern
  readonly thresholds?: Partial<HealthThresholds>
}

export interface HealthThresholds {
  /** A norm above this explodes: 1000. */
  readonly exploding: number
  /** A weight whose gradient is so much smaller than the largest vanishes: 1e-4. */
  readonly vanishing: number
  /** The norm of all gradients below which nothing is learned any more: 1e-8. */
  readonly vanished: number
  /** The share of dead units that is worth a word: 0.1. */
  readonly deadUnits: number
  /** A gradient so many times the norm of its parameter is out of proportion: 100. */
  readonly disproportion: number
}

const defaults: HealthThresholds = {
  exploding: 1e3,
  vanishing: 1e-4,
  vanished: 1e-8,
  deadUnits: 0.1,
  disproportion: 100,
}

export interface LayerHealth {
  /** `layers.0.weight`; `blocks.weight[3]` for the fourth layer of a stack. */
  readonly path: string
  readonly size: number
  readonly norm: number
  /** `norm / √size`: what layers of different sizes are compared by. */
  readonly rootMeanSquare: number
  /** The largest magnitude among finite elements. */
  readonly largest: number
  /** The share of elements that are exactly zero. */
  readonly zeros: number
  readonly nans: number
  readonly infinities: number
  /** Units (entries of the last axis) without any gradient, where there are two axes or more. */
  readonly deadUnits: number
  readonly units: number
  /** Of the parameter, where parameters were given. */
  readonly paramNorm: number | null
}

export interface ActivationHealth {
  readonly path: string
  readonly units: number
  /** Units that are 0 for every example. */
  readonly deadUnits: number
  /** The share of elements that are exactly zero. */
  readonly zeros: number
  readonly notFinite: number
}

export type HealthProblem = 'notFinite' | 'exploding' | 'vanishing' | 'frozen' | 'deadUnits'

export interface HealthFinding {
  readonly problem: HealthProblem
  /** What is the matter, where, and what helps. */
  readonly message: string
  readonly paths: readonly string[]
}

/**
 * The report: numbers for programs, findings for people. It prints as a table.
 *
 * @example
 * const health: GradientHealth = gradientHealth({ w: np.ones([2, 2]) })
 * health.healthy // true
 */
export class GradientHealth {
  constructor(
    /** The norm of all gradients taken as one vector. */
    readonly globalNorm: number,
    readonly layers: readonly LayerHealth[],
    readonly activations: readonly ActivationHealth[],
    readonly findings: readonly HealthFinding[],
  ) {}

  /** Whether there is nothing to say. */
  get healthy(): boolean {
    return this.findings.length === 0
  }

  toString(): string {
    const rows = this.layers.map((layer) => [
      layer.path,
      short(layer.norm),
      short(layer.rootMeanSquare),
      short(layer.largest),
      percent(layer.zeros),
      layer.paramNorm === null
        ? ''
        : layer.paramNorm === 0
          ? '–'
          : short(layer.norm / layer.paramNorm),
    ])
    const table = aligned([
      ['gradient of', 'norm', 'rms', 'largest', 'zeros', this.hasParams ? 'norm / param' : ''],
      ...rows,
      ['all', short(this.globalNorm), '', '', '', ''],
    ])
    const said = this.healthy
      ? ['nothing to remark']
      : this.findings.map(({ message }) => `- ${message}`)
    return [...table, ...said].join('\n')
  }

  private get hasParams(): boolean {
    return this.layers.some(({ paramNorm }) => paramNorm !== null)
  }
}

/** Three digits, and an exponent where there would be many zeros. */
function short(x: number): string {
  const rounded = Number(x.toPrecision(3))
  const size = Math.abs(rounded)
  return size >= 1e5 || (size > 0 && size < 1e-4) ? rounded.toExponential() : String(rounded)
}
const percent = (share: number): string => `${Math.round(100 * share)}%`

function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0].map((_, i) => Math.max(...rows.map((row) => row[i].length)))
  return rows.map((row) =>
    row
      .map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i])))
      .join('  ')
      .trimEnd(),
  )
}

// --- numbers ----------------------------------------------------------------------------------------

const columns = 7

interface Measured {
  readonly path: string
  readonly size: number
  readonly units: number
}

/** What is measured and where it stands in the one array that is read. */
interface Measurement {
  readonly values: NDArray
  readonly layers: readonly Measured[]
  readonly activations: readonly Measured[]
  readonly hasParams: boolean
}

const measureAll = jit(
  (
    gradients: readonly NDArray[],
    params: readonly NDArray[] | null,
    activations: readonly NDArray[],
  ): NDArray => {
    const rows = gradients.map((g, i) => measureGradient(g, params === null ? null : params[i]))
    return np.concatenate([
      ...rows,
      ...activations.map((a) => measureGradient(a, null)),
      np.zeros([0, columns]),
    ])
  },
  { name: 'gradientHealth' },
)

/** Layers along the first axis, then anything, then units: one row for each layer. */
function measureGradient(g: NDArray, param: NDArray | null): NDArray {
  const each = { axis: [1, 2] }
  const x = wide(g)
  const finite = np.isfinite(x)
  const safe = np.where(finite, x, 0)
  const count = (condition: NDArray): NDArray => np.sum(condition.astype('float32'), each)
  const isZero = np.equal(x, 0)
  // A unit lives if one of its gradients is not zero.
  const dead = np.sum(np.all(isZero, { axis: 1 }).astype('float32'), { axis: 1 })
  const largest = np.max(np.abs(safe), { ...each, initial: 0 })
  return np.stack(
    [
      relativeSquares(safe, largest),
      largest,
      count(isZero),
      count(np.isnan(x)),
      count(np.isinf(x)),
      dead,
      param === null ? np.zeros([x.shape[0]]) : np.sum(np.square(wide(param)), each),
    ],
    1,
  )
}

/** Squares overflow or vanish long before norms do: those of what is divided by the largest do not. */
function relativeSquares(x: NDArray, largest: NDArray): NDArray {
  const unit = np.where(np.greater(largest, 0), largest, 1)
  return np.sum(np.square(np.divide(x, unit.reshape([-1, 1, 1]))), { axis: [1, 2] })
}

const wide = (x: NDArray): NDArray => x.astype('float32')

/** `[layers, rest, units]`; what has no axis of units is one unit per element. */
function arranged(x: NDArray, stacked: boolean): NDArray {
  const [layers, shape] = stacked ? [x.shape[0], x.shape.slice(1)] : [1, x.shape]
  const units = shape.at(-1) ?? 1
  const rest = shape.slice(0, -1).reduce((n, size) => n * size, 1)
  return x.reshape([layers, rest, units])
}

function measure(grads: unknown, options: GradientHealthOptions): Measurement {
  const {
    params,
    activations = [],
    stacked = () => false,
  } = checkOptions('gradientHealth(grads)', options, [
    'params',
    'activations',
    'stacked',
    'thresholds',
  ])
  const gradients = floatLeaves(grads)
  const others = params === undefined ? null : floatLeaves(params)
  if (others !== null) {
    // The message of a mismatch names the path.
    tree.map((_g: NDArray, p: NDArray) => p, grads, params)
  }
  const isStacked = (name: string, x: NDArray): boolean => x.ndim > 1 && matchesPath(stacked, name)
  const arrange = (named: readonly NamedArray[]): NDArray[] =>
    named.map(({ name, array }) => arranged(array, isStacked(name, array)))
  const seen = floatLeaves(activations)
  const values = measureAll(
    arrange(gradients),
    others === null ? null : arrange(others),
    seen.map(({ array }) => arranged(array, false)),
  )
  return {
    values,
    layers: gradients.flatMap(({ name, array }): Measured[] => {
      const split = isStacked(name, array)
      const [layers, ...shape] = split ? array.shape : [1, ...array.shape]
      const size = shape.reduce((n, each) => n * each, 1)
      const units = shape.length > 1 ? (shape.at(-1) ?? 0) : 0
      return Array.from({ length: layers }, (_, i) => ({
        path: split ? `${name}[${i}]` : name,
        size,
        units,
      }))
    }),
    activations: seen.map(({ name, array }) => ({
      path: name,
      size: array.size,
      units: array.shape.at(-1) ?? 1,
    })),
    hasParams: others !== null,
  }
}

interface NamedArray {
  readonly name: string
  readonly array: NDArray
}

function floatLeaves(value: unknown): readonly NamedArray[] {
  const { leaves, names } = namedLeaves(value)
  return leaves.flatMap((array, i) => (isFloating(array.dtype) ? [{ name: names[i], array }] : []))
}

/** From what was read to the report. */
function report(
  { layers, activations, hasParams }: Measurement,
  values: ArrayLike<number>,
  thresholds: HealthThresholds,
): GradientHealth {
  const rowAt = (i: number): number[] =>
    Array.from({ length: columns }, (_, column) => values[i * columns + column])
  const healthOfLayers = layers.map(({ path, size, units }, i): LayerHealth => {
    const [squares, largest, zeros, nans, infinities, dead, paramSquares] = rowAt(i)
    const norm = largest * Math.sqrt(squares)
    return {
      path,
      size,
      norm,
      rootMeanSquare: size === 0 ? 0 : norm / Math.sqrt(size),
      largest,
      zeros: size === 0 ? 0 : zeros / size,
      nans,
      infinities,
      deadUnits: units === 0 ? 0 : dead,
      units,
      paramNorm: hasParams ? Math.sqrt(paramSquares) : null,
    }
  })
  const healthOfActivations = activations.map(({ path, size, units }, i): ActivationHealth => {
    const [, , zeros, nans, infinities, dead] = rowAt(layers.length + i)
    return {
      path,
      units,
      deadUnits: dead,
      zeros: size === 0 ? 0 : zeros / size,
      notFinite: nans + infinities,
    }
  })
  const globalNorm = Math.hypot(...healthOfLayers.map(({ norm }) => norm))
  const findings = findingsOf(globalNorm, healthOfLayers, healthOfActivations, thresholds)
  return new GradientHealth(globalNorm, healthOfLayers, healthOfActivations, findings)
}

/**
 * Looks at gradients: norms by layer, zeros, NaN and infinities, units and parameters that get no
 * gradient, and gradients that vanish or explode on their way through the layers.
 *
 * @param grads a tree of gradients, as `grad` returns it
 * @param options.params the parameters, for comparison
 * @param options.activations outputs of layers, to find units that never fire
 * @param options.stacked which gradients are those of a stack of layers (`repeat`)
 * @example
 * const params = { first: np.ones([4]), last: np.ones([4]) }
 * const gradient = { first: np.full([4], 1e-12), last: np.ones([4]) }
 * const [finding] = gradientHealth(gradient, { params }).findings
 * finding.message.split(':')[0] // vanishing
 */
export function gradientHealth(
  grads: unknown,
  options: GradientHealthOptions = {},
): GradientHealth {
  const measurement = measure(grads, options)
  const values = Float32Array.from(readSync(measurement.values, 'gradientHealth'))
  return report(measurement, values, { ...defaults, ...options.thresholds })
}

/**
 * `gradientHealth` for devices that cannot be read without waiting.
 *
 * @example
 * const health = await gradientHealthAsync({ w: np.ones([2, 2]) })
 * health.globalNorm // 2
 */
export async function gradientHealthAsync(
  grads: unknown,
  options: GradientHealthOptions = {},
): Promise<GradientHealth> {
  const measurement = measure(grads, options)
  const values = Float32Array.from(await readAsync(measurement.values, 'gradientHealthAsync'))
  return report(measurement, values, { ...defaults, ...options.thresholds })
}

// --- words ------------------------------------------------------------------------------------------

function findingsOf(
  globalNorm: number,
  layers: readonly LayerHealth[],
  activations: readonly ActivationHealth[],
  thresholds: HealthThresholds,
): readonly HealthFinding[] {
  const filled = layers.filter(({ size }) => size > 0)
  const broken = filled.filter(({ nans, infinities }) => nans + infinities > 0)
  const frozen = filled.filter(({ zeros, largest }) => zeros === 1 && largest === 0)
  const alive = filled.filter((layer) => !frozen.includes(layer) && !broken.includes(layer))
  return [
    ...notFinite(broken, filled.length),
    ...exploding(globalNorm, alive, thresholds),
    ...vanishing(globalNorm, alive, thresholds),
    ...frozenParameters(frozen, filled.length),
    ...deadUnits(alive, activations, thresholds),
  ]
}

const pathsOf = (things: readonly { readonly path: string }[]): string[] =>
  things.map(({ path }) => path)

/** `a, b and 3 more`. */
function listed(paths: readonly string[], most = 3): string {
  const more = paths.length - most
  return more > 0 ? `${paths.slice(0, most).join(', ')} and ${more} more` : paths.join(', ')
}

function notFinite(broken: readonly LayerHealth[], all: number): HealthFinding[] {
  if (broken.length === 0) return []
  const sum = (of: (layer: LayerHealth) => number): number =>
    broken.reduce((total, layer) => total + of(layer), 0)
  const [nans, infinities] = [sum((l) => l.nans), sum((l) => l.infinities)]
  const what = [nans > 0 && `${nans} NaN`, infinities > 0 && `${infinities} infinite`]
    .filter(Boolean)
    .join(' and ')
  const where = broken.length === all ? 'every parameter' : listed(pathsOf(broken))
  return [
    {
      problem: 'notFinite',
      paths: pathsOf(broken),
      message:
        `not finite: ${what} elements in the gradient of ${where}. ` +
        'Look for log, sqrt or division at 0, or an overflow; checkNans finds the operation, ' +
        'and mixedPrecision skips such steps.',
    },
  ]
}

function exploding(
  globalNorm: number,
  layers: readonly LayerHealth[],
  { exploding: most, disproportion }: HealthThresholds,
): HealthFinding[] {
  const findings: HealthFinding[] = []
  const large = layers.filter(({ norm }) => norm > most)
  if (globalNorm > most) {
    const worst = largestOf(layers)
    findings.push({
      problem: 'exploding',
      paths: pathsOf(large),
      message:
        `exploding: the gradient has the norm ${short(globalNorm)}, most of it in ` +
        `${worst?.path ?? 'no layer'}${spread(layers)}. Clip by the global norm, lower the learning ` +
        'rate, or start from smaller weights.',
    })
  }
  const heavy = layers.filter(
    ({ norm, paramNorm }) =>
      paramNorm !== null && paramNorm > 0 && norm > disproportion * paramNorm,
  )
  if (heavy.length > 0 && globalNorm <= most) {
    findings.push({
      problem: 'exploding',
      paths: pathsOf(heavy),
      message:
        `exploding: the gradient of ${listed(pathsOf(heavy))} is more than ${disproportion} times ` +
        'as large as the parameter itself. A plain gradient step would overwrite it: clip, or lower ' +
        'the learning rate.',
    })
  }
  return findings
}

const largestOf = (layers: readonly LayerHealth[]): LayerHealth | undefined =>
  layers.reduce<LayerHealth | undefined>(
    (best, layer) => (best === undefined || layer.norm > best.norm ? layer : best),
    undefined,
  )

/** Matrices and kernels: biases and scales say little about how gradients flow. */
const weightsOf = (layers: readonly LayerHealth[]): readonly LayerHealth[] => {
  const weights = layers.filter(({ units }) => units > 0)
  return weights.length > 1 ? weights : layers
}

/** By which factor gradients change from layer to layer, where they change a lot. */
function spread(layers: readonly LayerHealth[]): string {
  const weights = weightsOf(layers)
  const [first, last] = [weights.at(0), weights.at(-1)]
  if (!first || !last || weights.length < 3) return ''
  const factor = (first.rootMeanSquare / last.rootMeanSquare) ** (1 / (weights.length - 1))
  if (!(factor > 1.2 || factor < 1 / 1.2)) return ''
  return (
    `; on the way back from ${last.path} to ${first.path} it is multiplied by ` +
    `${short(factor)} from weight to weight`
  )
}

function vanishing(
  globalNorm: number,
  layers: readonly LayerHealth[],
  { vanishing: least, vanished }: HealthThresholds,
): HealthFinding[] {
  if (layers.length === 0) return []
  if (globalNorm < vanished) {
    return [
      {
        problem: 'vanishing',
        paths: pathsOf(layers),
        message:
          `vanishing: the norm of the whole gradient is ${short(globalNorm)}, so that nothing is ` +
          `learned${spread(layers)}. Look for saturated activations or a loss that is flat here.`,
      },
    ]
  }
  const weights = weightsOf(layers)
  const ofWeights = Math.hypot(...weights.map(({ norm }) => norm))
  if (ofWeights < vanished) {
    return [
      {
        problem: 'vanishing',
        paths: pathsOf(weights),
        message:
          `vanishing: the norm of the gradient of all weights together is ${short(ofWeights)}, so ` +
          `that nothing but biases and scales learns${spread(layers)}. What the layers pass on is ` +
          'as small: start from larger weights, or use residual connections or normalisation.',
      },
    ]
  }
  const top = weights.reduce((best, layer) =>
    layer.rootMeanSquare > best.rootMeanSquare ? layer : best,
  )
  const small = weights.filter((layer) => layer.rootMeanSquare < least * top.rootMeanSquare)
  if (small.length === 0) return []
  const smallest = small.reduce((best, layer) =>
    layer.rootMeanSquare < best.rootMeanSquare ? layer : best,
  )
  return [
    {
      problem: 'vanishing',
      paths: pathsOf(small),
      message:
        `vanishing: the gradient of ${small.length === 1 ? small[0].path : `${small.length} of ${weights.length} weights`} ` +
        `is less than ${short(least)} of the largest: rms ${short(smallest.rootMeanSquare)} at ` +
        `${smallest.path}, ${short(top.rootMeanSquare)} at ${top.path}${spread(layers)}. Residual ` +
        'connections, normalisation, or weights of larger variance help.',
    },
  ]
}

function frozenParameters(frozen: readonly LayerHealth[], all: number): HealthFinding[] {
  if (frozen.length === 0) return []
  const where = frozen.length === all ? 'no parameter' : null
  return [
    {
      problem: 'frozen',
      paths: pathsOf(frozen),
      message:
        where === null
          ? `frozen: ${listed(pathsOf(frozen))} ${frozen.length === 1 ? 'gets' : 'get'} no gradient ` +
            'at all. Fine if frozen on purpose; otherwise the loss does not depend on it, or only ' +
            'through stopGradient, an integer or a dead unit.'
          : 'frozen: no parameter gets a gradient. The loss does not depend on the parameters, or ' +
            'only through stopGradient, integers or dead units.',
    },
  ]
}

function deadUnits(
  layers: readonly LayerHealth[],
  activations: readonly ActivationHealth[],
  { deadUnits: least }: HealthThresholds,
): HealthFinding[] {
  const many = <T extends { readonly deadUnits: number; readonly units: number }>(
    things: readonly T[],
  ): readonly T[] =>
    things.filter(({ deadUnits: dead, units }) => dead > 0 && dead >= least * units)
  const counts = (things: readonly (Measured | ActivationHealth | LayerHealth)[]): string =>
    listed(
      things.map(
        (thing) =>
          `${'deadUnits' in thing ? thing.deadUnits : 0} of ${thing.units} in ${thing.path}`,
      ),
    )
  const [silent, still] = [many(activations), many(layers)]
  const findings: HealthFinding[] = []
  if (silent.length > 0) {
    findings.push({
      problem: 'deadUnits',
      paths: pathsOf(silent),
      message:
        `dead units: ${counts(silent)} are 0 for every example of the batch. A lower learning rate, ` +
        'another initialisation, or an activation that is not flat (leakyRelu, gelu) keeps them alive.',
    })
  }
  if (still.length > 0) {
    findings.push({
      problem: 'deadUnits',
      paths: pathsOf(still),
      message:
        `dead units: ${counts(still)} get no gradient from this batch, as behind a relu that never ` +
        'fires.',
    })
  }
  return findings
}
