/**
 * A line search for step sizes that satisfy the strong Wolfe conditions, inside the program.
 * Nocedal & Wright, "Numerical Optimization" (2006), algorithms 3.5 and 3.6, with the approximate
 * decrease of Hager & Zhang, "Algorithm 851: CG_DESCENT" (2006), as in Optax.
 */
import { ArgumentError, np, type NDArray } from '@adjoint/core'
import { checkOptions } from '@adjoint/core/internal'
import { cond, valueAndGrad, whileLoop } from '@adjoint/transforms'
import type { Scalar } from './hyperparameters'
import { keepDtypes } from './moments'
import { searchArguments, searchDType } from './search-arguments'
import {
  type GradientTransformation,
  mapLeaves,
  type OptState,
  selectTree,
  transformation,
  vdot,
  zerosLike,
} from './transformation'

export interface ZoomLinesearchOptions {
  /** The largest step size; by default there is none. */
  readonly maxLearningRate?: Scalar
  /** How much the conditions may be missed by. */
  readonly tol?: Scalar
  /** What step sizes are multiplied by while the interval is looked for. */
  readonly increaseFactor?: Scalar
  /** Of the decrease, (3.7a) in Nocedal & Wright. */
  readonly slopeRtol?: Scalar
  /** Of the curvature, (3.7b). */
  readonly curvRtol?: Scalar
  /** How near to the start's the value may be for the approximate decrease to do; null for never. */
  readonly approxDecRtol?: Scalar | null
  /** The length below which an interval is not divided any more. */
  readonly stepsizePrecision?: Scalar
  /** Whether the first guess is 1 or the last step's. */
  readonly initialGuessStrategy?: 'one' | 'keep'
}

/** A point on the line: step size, value there, and slope along the line. */
interface Point {
  readonly stepsize: NDArray
  readonly value: NDArray
  readonly slope: NDArray
}

interface Search {
  readonly count: NDArray
  readonly point: Point
  readonly grad: unknown
  readonly decreaseError: NDArray
  readonly curvatureError: NDArray
  readonly intervalFound: NDArray
  readonly done: NDArray
  readonly failed: NDArray
  /** The ends of the interval: of the two, `low` has the smaller value. */
  readonly low: Point
  readonly high: Point
  /** A third point, through which the cubic goes. */
  readonly reference: { readonly stepsize: NDArray; readonly value: NDArray }
  /** The best point that decreases enough, whatever the curvature. */
  readonly safe: { readonly stepsize: NDArray; readonly value: NDArray; readonly grad: unknown }
}

interface ZoomState {
  readonly learningRate: NDArray
  readonly value: NDArray
  readonly grad: unknown
  readonly info: {
    readonly numLinesearchSteps: NDArray
    readonly decreaseError: NDArray
    readonly curvatureError: NDArray
  }
}

/** One of two trees of the same structure. */
const select = <T>(condition: NDArray, yes: T, no: T): T => selectTree(condition, yes, no) as T

/** How much a condition is violated: 0 when it holds, infinite where it is not a number. */
const violation = (excess: NDArray): NDArray =>
  np.where(np.isnan(excess), Infinity, np.maximum(excess, 0))

/** The minimum of the cubic through three points with a slope at the first (Nocedal & Wright, eq. 3.59 ff.). */
function cubicMinimum(low: Point, high: Point, reference: Search['reference']): NDArray {
  const db = np.subtract(high.stepsize, low.stepsize)
  const dc = np.subtract(reference.stepsize, low.stepsize)
  const rise = (value: NDArray, d: NDArray): NDArray =>
    np.subtract(np.subtract(value, low.value), np.multiply(low.slope, d))
  const [rb, rc] = [rise(high.value, db), rise(reference.value, dc)]
  const denominator = np.multiply(np.square(np.multiply(db, dc)), np.subtract(db, dc))
  const a = np.divide(
    np.subtract(np.multiply(np.square(dc), rb), np.multiply(np.square(db), rc)),
    denominator,
  )
  const b = np.divide(
    np.subtract(np.multiply(np.power(db, 3), rc), np.multiply(np.power(dc, 3), rb)),
    denominator,
  )
  const radical = np.subtract(np.square(b), np.multiply(np.multiply(3, a), low.slope))
  return np.add(low.stepsize, np.divide(np.subtract(np.sqrt(radical), b), np.multiply(3, a)))
}

/** The minimum of the parabola through two points with a slope at the first. */
function quadraticMinimum(low: Point, high: Point): NDArray {
  const d = np.subtract(high.stepsize, low.stepsize)
  const rise = np.subtract(np.subtract(high.value, low.value), np.multiply(low.slope, d))
  return np.subtract(
    low.stepsize,
    np.divide(low.slope, np.multiply(2, np.divide(rise, np.square(d)))),
  )
}

/** A point well inside the interval: the cubic's minimum, or the parabola's, or the middle. */
function insideInterval({ low, high, reference }: Search): NDArray {
  const length = np.abs(np.subtract(high.stepsize, low.stepsize))
  const left = np.minimum(high.stepsize, low.stepsize)
  const right = np.maximum(high.stepsize, low.stepsize)
  const isInside = (x: NDArray, margin: number): NDArray =>
    np.logicalAnd(
      np.greater(x, np.add(left, np.multiply(margin, length))),
      np.less(x, np.subtract(right, np.multiply(margin, length))),
    )
  const cubic = cubicMinimum(low, high, reference)
  const quadratic = quadraticMinimum(low, high)
  const middle = np.multiply(0.5, np.add(low.stepsize, high.stepsize))
  return np.where(
    isInside(cubic, 0.2),
    cubic,
    np.where(isInside(quadratic, 0.1), quadratic, middle),
  )
}

/**
 * Multiplies the updates by a step size that satisfies the strong Wolfe conditions: sufficient
 * decrease, and a slope that is much flatter. Wants the extra arguments `value`, `grad` and `valueFn`
 * at the parameters; the value and gradient at the new ones stay in the state
 * (`valueAndGradFromState`).
 *
 * Where no step satisfies both within `maxLinesearchSteps`, the best one that decreases is taken.
 *
 * @param maxLinesearchSteps how often the function is evaluated at most
 * @example
 * const loss = (w: NDArray): NDArray => np.sum(np.square(w))
 * const optimiser = chain(sgd(1), scaleByZoomLinesearch(20))
 * const w = np.ones([2])
 * const state = optimiser.init(w)
 * const [value, grad] = valueAndGradFromState(loss)(w, { state })
 * const [updates] = optimiser.update(grad, state, w, { value, grad, valueFn: loss })
 * applyUpdates(w, updates) // Array([0., 0.], dtype=float32)
 */
export function scaleByZoomLinesearch(
  maxLinesearchSteps: Scalar,
  options: ZoomLinesearchOptions = {},
): GradientTransformation {
  checkOptions('scaleByZoomLinesearch', options, [
    'maxLearningRate',
    'tol',
    'increaseFactor',
    'slopeRtol',
    'curvRtol',
    'approxDecRtol',
    'stepsizePrecision',
    'initialGuessStrategy',
  ])
  const { maxLearningRate, tol = 0, increaseFactor = 2, slopeRtol = 1e-4, curvRtol = 0.9 } = options
  const { approxDecRtol = 1e-6, stepsizePrecision = 1e-5, initialGuessStrategy = 'keep' } = options

  const decreaseErrorOf = (at: Point, start: Point): NDArray => {
    const bound = np.multiply(np.multiply(slopeRtol, at.stepsize), start.slope)
    const exact = np.subtract(np.subtract(at.value, start.value), bound)
    if (approxDecRtol === null) return violation(exact)
    // Near a minimum rounding hides the decrease of the value, but not that of the slope.
    const flatter = np.subtract(
      at.slope,
      np.multiply(np.subtract(np.multiply(2, slopeRtol), 1), start.slope),
    )
    const near = np.subtract(
      np.subtract(at.value, start.value),
      np.multiply(approxDecRtol, np.abs(start.value)),
    )
    return violation(np.minimum(np.maximum(flatter, near), exact))
  }
  const curvatureErrorOf = (at: Point, start: Point): NDArray =>
    violation(np.subtract(np.abs(at.slope), np.multiply(curvRtol, np.abs(start.slope))))

  /** The next step size, while the interval is looked for. */
  const furtherOut = (search: Search, guess: NDArray): NDArray => {
    const next = np.where(
      np.equal(search.count, 0),
      guess,
      np.multiply(increaseFactor, search.point.stepsize),
    )
    return maxLearningRate === undefined ? next : np.minimum(next, maxLearningRate)
  }

  /** What the new point means while the interval is looked for. Algorithm 3.5. */
  const searched = (search: Search, at: Point, decrease: NDArray, good: NDArray) => {
    const rises = np.logicalAnd(
      np.greaterEqual(at.value, search.point.value),
      np.greater(search.count, 0),
    )
    const highIsNew = np.logicalOr(np.greater(decrease, 0), rises)
    const lowIsNew = np.logicalAnd(np.greaterEqual(at.slope, 0), np.logicalNot(highIsNew))
    const low = select(lowIsNew, at, search.point)
    const found = np.logicalOr(np.logicalOr(highIsNew, lowIsNew), good)
    const atEnd =
      maxLearningRate === undefined
        ? np.array(false)
        : np.greaterEqual(at.stepsize, maxLearningRate)
    return {
      low,
      high: select(lowIsNew, search.point, at),
      reference: { stepsize: low.stepsize, value: low.value },
      intervalFound: found,
      done: np.logicalOr(good, np.logicalAnd(atEnd, np.logicalNot(found))),
    }
  }

  /** What the new point means inside the interval. Algorithm 3.6. */
  const zoomed = (search: Search, at: Point, decrease: NDArray, good: NDArray) => {
    const { low, high } = search
    const highIsNew = np.logicalOr(np.greater(decrease, 0), np.greaterEqual(at.value, low.value))
    const beyond = np.greaterEqual(
      np.multiply(at.slope, np.subtract(high.stepsize, low.stepsize)),
      0,
    )
    const highIsLow = np.logicalAnd(beyond, np.logicalNot(highIsNew))
    const moved = np.logicalOr(highIsNew, highIsLow)
    const outOfUse = select(moved, high, low)
    return {
      low: select(highIsNew, low, at),
      high: select(highIsLow, low, select(highIsNew, at, high)),
      reference: { stepsize: outOfUse.stepsize, value: outOfUse.value },
      intervalFound: search.intervalFound,
      done: good,
    }
  }

  return transformation<ZoomState>({
    init: (params) => {
      const dtype = searchDType(params)
      return {
        learningRate: np.ones([], { dtype }),
        value: np.full([], Infinity, { dtype }),
        grad: zerosLike(params),
        info: {
          numLinesearchSteps: np.zeros([], { dtype: 'int32' }),
          decreaseError: np.full([], Infinity, { dtype }),
          curvatureError: np.full([], Infinity, { dtype }),
        },
      }
    },
    update: (updates, state, given, extra) => {
      const { dtype } = state.value
      const known = searchArguments('scaleByZoomLinesearch', dtype, given, extra)
      const { params, number } = known
      const valueAndGradient = valueAndGrad(known.valueFn)
      const startGrad = keepDtypes(known.grad, params)
      const startSlope = number(vdot(updates, startGrad))
      const start: Point = {
        stepsize: np.zeros([], { dtype }),
        value: known.value,
        slope: startSlope,
      }
      const guess = initialGuessStrategy === 'one' ? np.ones([], { dtype }) : state.learningRate
      const infinite = np.full([], Infinity, { dtype })

      const step = (search: Search): Search => {
        const stepsize = np.where(
          search.intervalFound,
          insideInterval(search),
          furtherOut(search, guess),
        )
        const there = mapLeaves(
          (p, u) => np.add(p, np.multiply(stepsize, u)).astype(p.dtype),
          params,
          updates,
        )
        const [value, gradient] = valueAndGradient(there) as readonly [NDArray, unknown]
        const grad = keepDtypes(gradient, params)
        const at: Point = { stepsize, value: number(value), slope: number(vdot(grad, updates)) }

        const decreaseError = number(decreaseErrorOf(at, start))
        const curvatureError = number(curvatureErrorOf(at, start))
        const decreases = np.lessEqual(decreaseError, tol)
        const good = np.logicalAnd(decreases, np.lessEqual(curvatureError, tol))
        const outcome = select(
          search.intervalFound,
          zoomed(search, at, decreaseError, good),
          searched(search, at, decreaseError, good),
        )
        const isSafer = np.logicalAnd(
          decreases,
          np.logicalOr(np.logicalNot(search.intervalFound), np.less(at.value, search.safe.value)),
        )
        const safe = select(isSafer, { stepsize, value: at.value, grad }, search.safe)
        const count = np.add(search.count, 1)
        // A narrow interval is given up only when there is something to fall back on.
        const narrow = np.logicalAnd(
          np.lessEqual(
            np.abs(np.subtract(search.high.stepsize, search.low.stepsize)),
            stepsizePrecision,
          ),
          np.logicalAnd(search.intervalFound, np.greater(safe.stepsize, 0)),
        )
        const givenUp = np.logicalOr(np.greaterEqual(count, maxLinesearchSteps), narrow)
        return {
          ...outcome,
          count,
          point: at,
          grad,
          decreaseError,
          curvatureError,
          failed: np.logicalAnd(givenUp, np.logicalNot(outcome.done)),
          safe,
        }
      }

      const initial: Search = {
        count: np.zeros([], { dtype: 'int32' }),
        point: start,
        grad: startGrad,
        decreaseError: infinite,
        curvatureError: infinite,
        intervalFound: np.array(false),
        done: np.array(false),
        failed: np.array(false),
        low: start,
        high: start,
        reference: { stepsize: start.stepsize, value: start.value },
        safe: { stepsize: start.stepsize, value: start.value, grad: startGrad },
      }
      const last = whileLoop<Search>(
        (search: Search) => np.logicalNot(np.logicalOr(search.done, search.failed)),
        step,
        initial,
      )
      // Outside the function's domain it is better not to move at all.
      const fallBack = np.logicalAnd(
        last.failed,
        np.logicalOr(np.greater(last.safe.stepsize, 0), np.isinf(last.decreaseError)),
      )
      const chosen = select(fallBack, last.safe, {
        stepsize: last.point.stepsize,
        value: last.point.value,
        grad: last.grad,
      })
      return [
        mapLeaves((u) => np.multiply(chosen.stepsize, u).astype(u.dtype), updates),
        {
          learningRate: chosen.stepsize,
          value: chosen.value,
          grad: chosen.grad,
          info: {
            numLinesearchSteps: last.count,
            decreaseError: last.decreaseError,
            curvatureError: last.curvatureError,
          },
        },
      ]
    },
  })
}

/** The value and gradient that a line search left in a state, of which there may be several links. */
function storedIn(state: OptState): ZoomState | null {
  if (typeof state !== 'object' || state === null) return null
  if ('value' in state && 'grad' in state && 'info' in state) return state as ZoomState
  for (const part of Object.values(state)) {
    const found = storedIn(part)
    if (found !== null) return found
  }
  return null
}

/**
 * `valueAndGrad(valueFn)` that takes the results from the state of a line search, which has them
 * already, and computes them only before the first step.
 *
 * @example
 * const loss = (w: NDArray): NDArray => np.sum(np.square(w))
 * const optimiser = lbfgs()
 * const params = np.ones([2])
 * const state = optimiser.init(params)
 * const valueAndGradient = valueAndGradFromState(loss)
 * const [value, grad] = valueAndGradient(params, { state })
 * const [updates, next] = optimiser.update(grad, state, params, { value, grad, valueFn: loss })
 */
export function valueAndGradFromState<P>(
  valueFn: (params: P) => NDArray,
): (params: P, options: { readonly state: OptState }) => [value: NDArray, grad: P] {
  return (params, { state }) => {
    const stored = storedIn(state)
    if (stored === null) {
      throw new ArgumentError({
        op: 'valueAndGradFromState',
        problem: 'there are no value and gradient in this state',
        hint: 'use an optimiser with a line search, such as lbfgs()',
      })
    }
    const compute = valueAndGrad((p: unknown) => valueFn(p as P)) as (
      p: unknown,
    ) => readonly [NDArray, unknown]
    if (stored.grad === null) {
      throw new ArgumentError({
        op: 'valueAndGradFromState',
        problem: 'this line search keeps no gradient',
        hint: 'scaleByBacktrackingLinesearch(steps, { storeGrad: true }) does',
      })
    }
    const [value, grad] = cond(
      np.isfinite(stored.value),
      (_: unknown, known: readonly [NDArray, unknown]) => known,
      (p: unknown) => {
        const [fresh, gradient] = compute(p)
        return [fresh.astype(stored.value.dtype), gradient] as const
      },
      params as unknown,
      [stored.value, stored.grad] as const,
    )
    return [value, grad as P]
  }
}
