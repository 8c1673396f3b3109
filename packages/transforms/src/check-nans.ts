/** Finding the operation that makes a NaN. */
import {
  AdjointError,
  type Aval,
  bind,
  checkOptions,
  currentInterpreter,
  describe,
  evaluateJaxpr,
  type Interpreter,
  isFloating,
  type NDArray,
  type Params,
  type Primitive,
  readElements,
  runInterpreter,
  TransformationError,
  underParent,
  withInterpreter,
} from '@adjoint/core/internal'
import { callName, requireFunction } from './flat-function'
import type { RefuseAsync } from './function-types'

/**
 * An operation made a NaN (or an infinity) of operands that had none; `checkNans` throws it.
 *
 * @example
 * const found = (() => {
 *   try {
 *     return checkNans((x: NDArray) => np.log(x))(np.array([-1]))
 *   } catch (error) {
 *     return error instanceof NonFiniteError ? error.op : 'another error'
 *   }
 * })()
 * found // checkNans
 */
export class NonFiniteError extends AdjointError {
  override readonly name = 'NonFiniteError'
}

export interface CheckNansOptions {
  /** Whether infinities are errors too; not unless asked for. */
  readonly infinities?: boolean
}

interface Census {
  readonly nans: number
  readonly infinities: number
  readonly least: number
  readonly largest: number
}

function censusOf(x: NDArray): Census {
  const values = readElements(x, 'checkNans')
  let [nans, infinities, least, largest] = [0, 0, Infinity, -Infinity]
  for (let i = 0; i < values.length; i++) {
    const value = Number(values[i])
    if (Number.isNaN(value)) nans++
    else if (!Number.isFinite(value)) infinities++
    else {
      least = Math.min(least, value)
      largest = Math.max(largest, value)
    }
  }
  return { nans, infinities, least, largest }
}

const described = ({ nans, infinities, least, largest }: Census): string =>
  [
    least <= largest ? `${shortNumber(least)} to ${shortNumber(largest)}` : '',
    nans > 0 ? `${nans} NaN` : '',
    infinities > 0 ? `${infinities} infinite` : '',
  ]
    .filter(Boolean)
    .join(', ')

const shortNumber = (x: number): string => String(Number(x.toPrecision(4)))

/** Runs every operation one further out, and looks at what comes of it. */
class NanInterpreter implements Interpreter {
  readonly name = 'checkNans'
  readonly parent: Interpreter = currentInterpreter()
  active = true

  constructor(
    readonly subject: string,
    private readonly infinities: boolean,
  ) {}

  process<P extends Params>(
    primitive: Primitive<P>,
    operands: readonly NDArray[],
    params: P,
  ): readonly NDArray[] {
    const tracer = operands.find((x) => x.owner !== null)
    if (tracer) throw refuseTracer(this.subject, tracer)
    const run = (jaxpr: Parameters<typeof evaluateJaxpr>[0], xs: readonly NDArray[]) =>
      withInterpreter(this, () => evaluateJaxpr(jaxpr, xs))
    const callee = primitive.callee(params)
    if (callee) return run(callee, operands)
    if (primitive.call !== null) {
      const { call } = primitive
      return withInterpreter(this, () => call(operands, params))
    }
    if (primitive.steps !== null) return primitive.steps(operands, params, run)
    const results = underParent(this, () => bind(primitive, operands, params))
    results.forEach((result, i) => {
      if (isFloating(result.dtype)) this.check(primitive.name, operands, result, i)
    })
    return results
  }

  private check(name: string, operands: readonly NDArray[], result: NDArray, i: number): void {
    const census = censusOf(result)
    const bad = (c: Census): boolean => c.nans > 0 || (this.infinities && c.infinities > 0)
    if (!bad(census)) return
    const noted = (x: NDArray, label: string): { name: string; aval: Aval; note: string } => ({
      name: label,
      aval: x.aval,
      note: described(censusOf(x)),
    })
    const floats = operands.filter((x) => isFloating(x.dtype))
    const passedOn = floats.some((x) => bad(censusOf(x)))
    const what = census.nans > 0 ? 'NaN' : 'an infinity'
    throw new NonFiniteError({
      op: callName('checkNans', { name: this.subject }),
      problem: passedOn ? `${name} was given ${what}` : `${name} made ${what}`,
      operands: [
        ...operands.map((x, k) => noted(x, `operand ${k}`)),
        noted(result, i === 0 ? 'result' : `result ${i}`),
      ],
      rule: passedOn
        ? 'an argument, or a value that the function closes over, was not finite to begin with'
        : 'finite operands were to give finite results',
      hint: 'keep operands away from the edge of the domain: np.where on the operand, not only on the result; log1p, expm1 or logsumexp; clip; a small constant under a root or a fraction',
    })
  }
}

const refuseTracer = (subject: string, tracer: NDArray): TransformationError =>
  new TransformationError({
    op: callName('checkNans', { name: subject }),
    problem: `a tracer of ${tracer.owner === null ? 'nothing' : describe(tracer.owner)} has no value yet`,
    operands: [{ name: 'x', aval: tracer.aval }],
    rule: 'checkNans looks at values, so it stands outside of all other transformations',
    hint: 'write checkNans(jit(f)) or checkNans(grad(f)) instead of the other way around',
  })

/**
 * A function that does the same, operation by operation, and throws where the first NaN is made:
 * the error names the operation, its operands and their ranges. Slow, and for looking only.
 *
 * It sees into `jit`, loops, branches and derivatives: `checkNans(grad(loss))` tells a NaN of the
 * backward pass from one of the value.
 *
 * @param f a function of trees of arrays
 * @param options.infinities also refuse infinities
 * @returns a function of the same arguments
 * @throws NonFiniteError from the function that is returned
 * @example
 * const root = checkNans((x: NDArray) => np.sqrt(x))
 * root(np.array([4, 9])) // Array([2., 3.], dtype=float32)
 */
export function checkNans<A extends readonly unknown[], R>(
  f: ((...args: A) => R) & RefuseAsync<R>,
  options: CheckNansOptions = {},
): (...args: A) => R {
  requireFunction('checkNans', f)
  const { infinities = false } = checkOptions('checkNans', options, ['infinities'])
  const checked = (...args: A): R =>
    runInterpreter(new NanInterpreter(f.name, infinities), () => f(...args))
  Object.defineProperty(checked, 'name', { value: f.name })
  return checked
}
