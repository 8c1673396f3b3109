/** Functions whose forward derivative is given by a rule. */
import {
  type Aval,
  avalsMatch,
  type BatchDim,
  bind,
  checkOptions,
  convert,
  definePrimitive,
  DifferentiationError,
  evaluateJaxpr,
  instantiate,
  isFloating,
  isZero,
  Jaxpr,
  type JvpResult,
  type MappedAxis,
  type NDArray,
  type Primitive,
  register,
  stage,
  type Tangent,
  tangentAval,
  TransformationError,
  tree,
  Var,
  withMappedAxis,
  zeroLike,
} from '@adjoint/core/internal'
import {
  argnumsOf,
  type CallParams,
  callRules,
  isRecording,
  recordRule,
  splitNondiff,
} from './custom-function'
import {
  callName,
  flattenArrays,
  flattenFunction,
  type FlatFunction,
  refusePromise,
  requireFunction,
} from './flat-function'
import type { ArgumentsAt, NondiffOf, RefuseAsync, WithoutArguments } from './function-types'
import { linearizeFlat } from './linearize'
import { batchFlat, batchJaxpr, mappedFirst } from './vmap'
import { nonzeros, withZeros } from './zeros'

type FlatJvpRule = (operands: readonly NDArray[], tangents: readonly NDArray[]) => JvpResult

type CustomJvpParams = CallParams & {
  /** On all operands, and the tangents of those that are not constants. */
  readonly jvp: FlatJvpRule
  readonly numConsts: number
  readonly symbolicZeros: boolean
}

/** Rules say nothing about what a function closes over. */
export function refuseClosedOverTangents(
  kind: string,
  name: string,
  tangents: readonly Tangent[],
): void {
  if (tangents.every(isZero)) return
  throw new DifferentiationError({
    op: name,
    problem: `a ${kind} function is differentiated with respect to a closed-over value`,
    operands: tangents
      .filter((t) => !isZero(t))
      .map((t) => ({ name: 'closed-over value', aval: t.aval })),
    rule: 'a custom rule says how to differentiate with respect to the arguments only',
    hint: 'pass the value as an argument',
  })
}

const customJvpPrimitive: Primitive<CustomJvpParams> = register(
  definePrimitive<CustomJvpParams>({
    name: 'custom_jvp_call',
    ...callRules,
    jvp: (primals, tangents, { name, jvp, numConsts }) => {
      refuseClosedOverTangents('customJvp', name, tangents.slice(0, numConsts))
      return jvp(primals, tangents.slice(numConsts).map(instantiate))
    },
    // The rule is linear in the tangents, so as a function of them it is its own derivative, at zero
    // as anywhere. Linearizing it splits every program in it, a loop for example, into what the
    // primals determine and what is linear; recording its equations as they are would not.
    linearize: (primals, tangentIn, { name, jvp, numConsts }) => {
      const zeros = primals.map(zeroLike)
      refuseClosedOverTangents(
        'customJvp',
        name,
        zeros.slice(0, numConsts).map((zero, i) => (tangentIn[i] ? instantiate(zero) : zero)),
      )
      let numOut = 0
      const {
        primals: results,
        linear,
        tangentOut,
      } = linearizeFlat(
        (xDots) => {
          const { primals: ys, tangents: yDots } = jvp(primals, xDots)
          numOut = ys.length
          return [...ys, ...yDots.map(instantiate)]
        },
        zeros.slice(numConsts).map(instantiate),
        tangentIn.slice(numConsts),
        { name: 'customJvp', subject: name },
      )
      const ys = results.slice(0, numOut)
      return {
        primals: ys,
        tangentOut: tangentOut.slice(numOut),
        linear: (tangents) =>
          withZeros(
            evaluateJaxpr(linear.jaxpr, [...linear.residuals, ...nonzeros(tangents)]),
            tangentOut.slice(numOut),
            ys.map((y) => y.aval),
          ),
      }
    },
    batch: (axis, operands, dims, params) => {
      const values = mappedFirst(operands, dims)
      const mapped = dims.map((dim) => dim !== null)
      const front = mapped.map((m) => (m ? 0 : null))
      const jvp: FlatJvpRule = (primals, tangents) => {
        const numPrimals = primals.length
        let numOut = 0
        const results = batchAll(
          (xs) => {
            const out = params.jvp(xs.slice(0, numPrimals), xs.slice(numPrimals))
            numOut = out.primals.length
            return [...out.primals, ...out.tangents.map(instantiate)]
          },
          axis,
          [...primals, ...tangents],
          [...front, ...front.slice(params.numConsts)],
        )
        return { primals: results.slice(0, numOut), tangents: discreteZeros(results, numOut) }
      }
      if (typeof params.callJaxpr === 'function') {
        const call = params.callJaxpr
        const callJaxpr: FlatFunction = (xs) => batchAll(call, axis, xs, front)
        const outputs = bind(customJvpPrimitive, values, { ...params, callJaxpr, jvp })
        return { outputs, dims: outputs.map(() => 0) }
      }
      const batched = batchJaxpr(
        params.callJaxpr,
        axis,
        mapped,
        params.callJaxpr.outputs.map(() => true),
      )
      const outputs = bind(customJvpPrimitive, [...batched.constants, ...values], {
        ...params,
        callJaxpr: batched.jaxpr,
        numConsts: params.numConsts + batched.constants.length,
        jvp: (primals, tangents) => jvp(primals.slice(batched.constants.length), tangents),
      })
      return { outputs, dims: outputs.map(() => 0) }
    },
  }),
)

/** Runs a function over the mapped axis; every result carries it in front. */
export const batchAll = (
  f: FlatFunction,
  axis: MappedAxis,
  operands: readonly NDArray[],
  dims: readonly BatchDim[],
): readonly NDArray[] =>
  batchFlat(f, axis, operands, dims).map(({ value, dim }) =>
    withMappedAxis(value, dim, axis.size, 0),
  )

/** The tangents of the results; those of integers are zero by nature. */
const discreteZeros = (results: readonly NDArray[], numOut: number): readonly Tangent[] =>
  results.slice(numOut).map((t, i) => (isFloating(results[i].dtype) ? t : zeroLike(results[i])))

export interface CustomJvpOptions {
  /** Arguments that are handed to the rule first, and are not differentiated. */
  readonly nondiffArgnums?: number | readonly number[]
}

/** What `customJvp` returns: call it like the function, after a rule has been given. */
export interface CustomJvp<A extends readonly unknown[], R, N = readonly []> {
  (...args: A): R
  /**
   * Gives the rule: from arguments and their tangents to the result and its tangent. Arguments at
   * `nondiffArgnums` come first, as they are.
   *
   * @returns the function, for calling
   */
  defjvp(
    rule: (
      ...args: [
        ...nondiff: ArgumentsAt<A, N>,
        primals: WithoutArguments<A, N>,
        tangents: WithoutArguments<A, N>,
      ]
    ) => readonly [R, R],
  ): (...args: A) => R
}

/**
 * A function whose derivative is given by a rule instead of being found by differentiation.
 *
 * The rule is itself differentiated where higher derivatives are asked for. Reverse mode transposes
 * it, so the tangent of the result must be linear in the tangents.
 *
 * @param f a function of trees of arrays
 * @param options.nondiffArgnums positions of arguments that the rule receives first, as they are
 * @returns the function; give it a rule with `defjvp` before calling it
 * @throws DifferentiationError when it is called without a rule
 * @example
 * const safeLog = customJvp((x: NDArray) => np.log(x)).defjvp(
 *   ([x], [xDot]) => [np.log(x), np.divide(xDot, np.maximum(x, 1e-6))],
 * )
 */
export function customJvp<A extends readonly unknown[], R, const O extends CustomJvpOptions = {}>(
  f: ((...args: A) => R) & RefuseAsync<R>,
  options?: O,
): CustomJvp<A, R, NondiffOf<O>> {
  requireFunction('customJvp', f)
  const op = callName('customJvp', f)
  checkOptions<CustomJvpOptions>(op, options ?? {}, ['nondiffArgnums'])
  const nondiff = argnumsOf(options?.nondiffArgnums)
  let rule: ((...args: never) => readonly [unknown, unknown]) | null = null
  const call = (...args: A): R => {
    if (rule === null) {
      throw new DifferentiationError({
        op,
        problem: 'the function has no rule yet',
        rule: 'a customJvp function is given its rule with defjvp before it is called',
        hint: `${f.name || 'f'}.defjvp(([x], [xDot]) => [y, yDot])`,
      })
    }
    return callCustomJvp(op, f, rule, args, nondiff)
  }
  const custom: CustomJvp<A, R, NondiffOf<O>> = Object.assign(call, {
    defjvp: (given: (...args: never) => readonly [R, R]) => {
      requireFunction('defjvp', given)
      rule = given
      return custom
    },
  })
  Object.defineProperty(custom, 'name', { value: f.name })
  return custom
}

function callCustomJvp<A extends readonly unknown[], R>(
  op: string,
  f: (...args: A) => R,
  rule: (...args: never) => readonly [unknown, unknown],
  args: A,
  nondiff: readonly number[],
): R {
  const { fixed, active, merge } = splitNondiff(op, args, nondiff)
  const point = flattenArrays(op, active, 'args')
  const flat = flattenFunction<readonly unknown[]>(
    op,
    (...xs) => f(...(merge(xs) as readonly unknown[] as A)),
    point.structure,
  )
  let structure: tree.TreeStructure | null = null
  const flatRule: FlatJvpRule = (primals, tangents) => {
    const [xs, dots] = [primals, tangents].map((list) => tree.unflatten(point.structure, list))
    const answer: unknown = rule(...([...fixed, xs, dots] as never))
    refusePromise(op, answer)
    const result = ruleResult(op, answer)
    structure = result.structure
    return result
  }
  const name = f.name || '<lambda>'
  const outputs = isRecording(point.arrays)
    ? bindStaged(op, name, flat.call, { run: flatRule, identity: rule }, point.arrays)
    : bind(customJvpPrimitive, point.arrays, {
        name,
        callJaxpr: flat.call,
        jvp: flatRule,
        numConsts: 0,
        symbolicZeros: false,
      })
  // The rule may have run instead of the function.
  return tree.unflatten(structure ?? flat.structure(), outputs) as R
}

function bindStaged(
  op: string,
  name: string,
  call: FlatFunction,
  rule: { readonly run: FlatJvpRule; readonly identity: object },
  arrays: readonly NDArray[],
): readonly NDArray[] {
  const avals = arrays.map((x) => x.aval)
  const n = avals.length
  const staged = stage(call, avals, 'customJvp', name)
  const checkedRule: FlatJvpRule = (primals, tangents) => {
    const result = rule.run(primals, tangents)
    requireMatch(op, staged.jaxpr.outAvals, result.primals)
    return result
  }
  const stagedRule = recordRule(rule.identity, () =>
    stage(
      (inputs) => {
        const { primals, tangents } = checkedRule(inputs.slice(0, n), inputs.slice(n))
        return [...primals, ...tangents.map(instantiate)]
      },
      [...avals, ...avals.map(tangentAval)],
      'customJvp',
      name,
    ),
  )
  if (stagedRule === null) {
    const skipped = staged.constants.length
    return bind(customJvpPrimitive, [...staged.constants, ...arrays], {
      name,
      callJaxpr: staged.jaxpr,
      jvp: (operands, tangents) => checkedRule(operands.slice(skipped), tangents),
      numConsts: skipped,
      symbolicZeros: false,
    })
  }
  const numCall = staged.constants.length
  const numConsts = numCall + stagedRule.constants.length
  const numOut = staged.jaxpr.outputs.length
  const constants = [...staged.constants, ...stagedRule.constants]
  return bind(customJvpPrimitive, [...constants, ...arrays], {
    name,
    callJaxpr: ignoringMiddle(staged.jaxpr, numCall, stagedRule.constants),
    jvp: (operands, tangents) => {
      const ruleOperands = [...operands.slice(numCall), ...tangents]
      const results = evaluateJaxpr(stagedRule.jaxpr, ruleOperands)
      return { primals: results.slice(0, numOut), tangents: discreteZeros(results, numOut) }
    },
    numConsts,
    symbolicZeros: false,
  })
}

/** A program that takes further operands after its first ones and ignores them. */
export function ignoringMiddle(jaxpr: Jaxpr, first: number, ignored: readonly NDArray[]): Jaxpr {
  if (ignored.length === 0) return jaxpr
  const inputs = [
    ...jaxpr.inputs.slice(0, first),
    ...ignored.map((x) => new Var(x.aval)),
    ...jaxpr.inputs.slice(first),
  ]
  return new Jaxpr(inputs, jaxpr.equations, jaxpr.outputs, jaxpr.name)
}

/** Checks what a rule returned: a pair of trees of the same structure and fitting types. */
function ruleResult(op: string, answer: unknown): JvpResult & { structure: tree.TreeStructure } {
  if (!Array.isArray(answer) || answer.length !== 2) {
    throw new TransformationError({
      op,
      problem: 'the jvp rule did not return a pair',
      rule: 'a jvp rule returns [y, yDot]',
    })
  }
  const primal = flattenArrays(op, answer[0], 'y')
  const tangent = flattenArrays(op, answer[1], 'yDot')
  tree.requireSameStructure(op, primal.structure, tangent.structure, {
    expected: 'the result y of the rule',
    actual: 'its tangent yDot',
    root: 'yDot',
  })
  const paths = tree.structurePaths(primal.structure, 'yDot')
  const tangents = tangent.arrays.map((t, i): Tangent => {
    const y = primal.arrays[i]
    if (!isFloating(y.dtype)) return zeroLike(y)
    const expected = tangentAval(y.aval)
    if (avalsMatch(t.aval, expected)) return t
    const weak = t.aval.weakType && t.ndim === 0 && y.ndim === 0
    if (weak) return convert(t, expected.dtype, expected.weakType)
    throw new TransformationError({
      op,
      problem: `the rule's ${paths[i]} does not fit its result`,
      operands: [
        { name: paths[i].replace('yDot', 'y'), aval: y.aval },
        { name: paths[i], aval: t.aval },
      ],
      path: paths[i],
      rule: 'a tangent has the shape and dtype of its primal',
    })
  })
  return { primals: primal.arrays, tangents, structure: primal.structure }
}

/** Refuses a rule whose results have other types than the function's. */
export function requireMatch(
  op: string,
  expected: readonly Aval[],
  actual: readonly NDArray[],
): void {
  const differs =
    expected.length !== actual.length || expected.some((a, i) => !avalsMatch(a, actual[i].aval))
  if (!differs) return
  throw new TransformationError({
    op,
    problem: 'the rule returns another type of result than the function',
    operands: [
      ...expected.map((aval, i) => ({ name: `function ${i}`, aval })),
      ...actual.map((x, i) => ({ name: `rule ${i}`, aval: x.aval })),
    ],
    rule: 'a rule returns what the function returns, and more',
  })
}
