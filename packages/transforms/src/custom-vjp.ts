/** Functions whose reverse derivative is given by a pair of functions. */
import {
  Aval,
  avalsMatch,
  bind,
  checkOptions,
  convert,
  definePrimitive,
  DifferentiationError,
  evaluateJaxpr,
  instantiate,
  isFloating,
  isLinear,
  type Jaxpr,
  type MappedAxis,
  type NDArray,
  type Primitive,
  reduceSum,
  register,
  stage,
  type Tangent,
  tangentAval,
  TransformationError,
  tree,
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
import { batchAll, ignoringMiddle, refuseClosedOverTangents, requireMatch } from './custom-jvp'
import {
  callName,
  flattenArrays,
  flattenFunction,
  type FlatFunction,
  leafToArray,
  refusePromise,
  requireFunction,
} from './flat-function'
import type {
  ArgumentsAt,
  NondiffOf,
  OrNull,
  RefuseAsync,
  WithoutArguments,
} from './function-types'
import { batchFlat, batchJaxpr, mappedFirst } from './vmap'
import { present } from './zeros'

/** The forward function: results, and residuals for the backward function. */
interface Forward {
  readonly outputs: readonly NDArray[]
  readonly residuals: readonly NDArray[]
}
type FlatForward = (operands: readonly NDArray[]) => Forward
/** From residuals and cotangents of all results to cotangents of the arguments. */
type FlatBackward = (
  residuals: readonly NDArray[],
  cotangents: readonly NDArray[],
) => readonly Tangent[]

const forwardMode = (op: string): DifferentiationError =>
  new DifferentiationError({
    op,
    problem: "can't apply forward-mode autodiff (jvp) to a customVjp function",
    rule: 'a customVjp function says how to pull cotangents back, not how to push tangents forward',
    hint: 'use grad, vjp or jacrev, or define the function with customJvp, which serves both modes',
  })

// --- the linear map that a backward function is the transpose of ------------------------------------

type CustomLinearParams = {
  readonly name: string
  readonly numResiduals: number
  readonly outAvals: readonly Aval[]
  readonly bwd: FlatBackward
}

/** Operands: residuals, then tangents. It can be transposed, and nothing else. */
const customLinear: Primitive<CustomLinearParamsOf> = register(
  definePrimitive<CustomLinearParamsOf>({
    name: 'custom_lin',
    abstractEval: (_operands, { program }) => program().outAvals,
    jvp: (_primals, _tangents, { name }) => {
      throw forwardMode(name)
    },
    transpose: (cotangents, operands, { program }) => {
      const { numResiduals, bwd } = program()
      const residuals = operands.filter((x, i): x is NDArray => i < numResiduals && !isLinear(x))
      const xBars = bwd(residuals, cotangents.map(instantiate))
      return operands.map((x, i) => (isLinear(x) ? xBars[i - numResiduals] : null))
    },
    batch: (axis, operands, dims, { name, program }) => {
      const { numResiduals, outAvals, bwd } = program()
      const values = mappedFirst(operands, dims)
      const mapped = dims.map((dim) => dim !== null)
      const params = linearParams({
        name,
        numResiduals,
        outAvals: outAvals.map((aval) => batchedAval(aval, axis)),
        bwd: batchBackward(bwd, axis, mapped.slice(0, numResiduals), mapped.slice(numResiduals)),
      })
      const outputs = bind(customLinear, values, params)
      return { outputs, dims: outputs.map(() => 0) }
    },
    evaluate: (_operands, { name }) => {
      throw forwardMode(name)
    },
    lower: (_context, _operands, { name }) => {
      throw forwardMode(name)
    },
    call: (_operands, { name }) => {
      throw forwardMode(name)
    },
  }),
)

type CustomLinearParamsOf = {
  readonly name: string
  readonly program: () => CustomLinearParams
}
const linearParams = (params: CustomLinearParams): CustomLinearParamsOf => ({
  name: params.name,
  program: () => params,
})

const batchedAval = (aval: Aval, axis: MappedAxis): Aval =>
  new Aval([axis.size, ...aval.shape], aval.dtype, aval.weakType)

/**
 * The backward function over a mapped axis. All results are mapped, so their cotangents are; an
 * argument that is not mapped collects the cotangents of all examples.
 */
const batchBackward =
  (
    bwd: FlatBackward,
    axis: MappedAxis,
    mappedResiduals: readonly boolean[],
    mappedArguments: readonly boolean[],
  ): FlatBackward =>
  (residuals, cotangents) => {
    const dims = [...mappedResiduals.map((m) => (m ? 0 : null)), ...cotangents.map(() => 0)]
    const results = batchAll(
      (inputs) =>
        bwd(inputs.slice(0, residuals.length), inputs.slice(residuals.length)).map(instantiate),
      axis,
      [...residuals, ...cotangents],
      dims,
    )
    return results.map((x, i) =>
      mappedArguments[i] || !isFloating(x.dtype) ? x : reduceSum(x, { axes: [0] }),
    )
  }

// --- the call ----------------------------------------------------------------------------------------

type CustomVjpParams = CallParams & {
  /** On all operands. */
  readonly fwd: FlatForward
  /** The residuals begin with the constants. */
  readonly bwd: FlatBackward
  readonly numConsts: number
  readonly symbolicZeros: boolean
}

const customVjpPrimitive: Primitive<CustomVjpParams> = register(
  definePrimitive<CustomVjpParams>({
    name: 'custom_vjp_call',
    ...callRules,
    jvp: (_primals, _tangents, { name }) => {
      throw forwardMode(name)
    },
    linearize: (primals, tangentIn, { name, fwd, bwd, numConsts }) => {
      refuseClosedOverTangents(
        'customVjp',
        name,
        primals.slice(0, numConsts).map((x, i) => (tangentIn[i] ? x : zeroLike(x))),
      )
      const { outputs, residuals } = fwd(primals)
      const tangentOut = outputs.map((y) => isFloating(y.dtype))
      const floats = outputs.filter((_, i) => tangentOut[i])
      return {
        primals: outputs,
        tangentOut,
        linear: (tangents) => {
          const dots = tangents.slice(numConsts).map(instantiate)
          const params = linearParams({
            name,
            numResiduals: residuals.length,
            outAvals: floats.map((y) => tangentAval(y.aval)),
            bwd: (saved, yBars) => {
              let next = 0
              return bwd(
                saved,
                outputs.map((y, i) => (tangentOut[i] ? yBars[next++] : instantiate(zeroLike(y)))),
              )
            },
          })
          const yDots = bind(customLinear, [...residuals, ...dots], params)
          let next = 0
          return outputs.map((y, i): Tangent => (tangentOut[i] ? yDots[next++] : zeroLike(y)))
        },
      }
    },
    batch: (axis, operands, dims, params) => {
      const { numConsts, callJaxpr } = params
      const values = mappedFirst(operands, dims)
      const mapped = dims.map((dim) => dim !== null)
      const front = mapped.map((m) => (m ? 0 : null))
      let mappedResiduals: readonly boolean[] = []
      const fwd: FlatForward = (inputs) => {
        let numOut = 0
        const results = batchFlat(
          (xs) => {
            const { outputs, residuals } = params.fwd(xs)
            numOut = outputs.length
            return [...outputs, ...residuals]
          },
          axis,
          inputs,
          front,
        )
        const residuals = results.slice(numOut)
        mappedResiduals = residuals.map(({ dim }) => dim !== null)
        return {
          outputs: results
            .slice(0, numOut)
            .map(({ value, dim }) => withMappedAxis(value, dim, axis.size, 0)),
          residuals: mappedFirst(
            residuals.map((r) => r.value),
            residuals.map((r) => r.dim),
          ),
        }
      }
      const bwd: FlatBackward = (residuals, cotangents) =>
        batchBackward(
          params.bwd,
          axis,
          mappedResiduals,
          mapped.slice(numConsts),
        )(residuals, cotangents)
      const call: Jaxpr | FlatFunction =
        typeof callJaxpr === 'function'
          ? (xs) => batchAll(callJaxpr, axis, xs, front)
          : closedBatch(callJaxpr, axis, mapped)
      const outputs = bind(customVjpPrimitive, values, { ...params, callJaxpr: call, fwd, bwd })
      return { outputs, dims: outputs.map(() => 0) }
    },
  }),
)

/** The program over a mapped axis, every result mapped. */
export function closedBatch(jaxpr: Jaxpr, axis: MappedAxis, mapped: readonly boolean[]): Jaxpr {
  const batched = batchJaxpr(
    jaxpr,
    axis,
    mapped,
    jaxpr.outputs.map(() => true),
  )
  if (batched.constants.length > 0) throw new Error('a batched program closes over arrays')
  return batched.jaxpr
}

// --- the user's functions ----------------------------------------------------------------------------

export interface CustomVjpOptions {
  /** Arguments that are handed to the backward function first, and are not differentiated. */
  readonly nondiffArgnums?: number | readonly number[]
}

/** What `customVjp` returns: call it like the function, after its rules have been given. */
export interface CustomVjp<A extends readonly unknown[], R, N = readonly []> {
  (...args: A): R
  /**
   * Gives the forward and the backward function.
   *
   * @param fwd from the arguments to `[result, residuals]`; residuals are a tree of arrays
   * @param bwd from residuals and the cotangent of the result to a tuple with one tree of cotangents
   *   per differentiated argument; null stands for zero
   * @returns the function, for calling
   */
  defvjp<Residuals>(
    fwd: (...args: A) => readonly [R, Residuals],
    bwd: (
      ...args: [...nondiff: ArgumentsAt<A, N>, residuals: Residuals, yBar: R]
    ) => OrNull<WithoutArguments<A, N>>,
  ): (...args: A) => R
}

interface VjpRules {
  readonly fwd: (...args: never) => readonly [unknown, unknown]
  readonly bwd: (...args: never) => unknown
}

/**
 * A function whose reverse derivative is given by a forward and a backward function.
 *
 * @param f a function of trees of arrays
 * @param options.nondiffArgnums positions of arguments that the backward function receives first
 * @returns the function; give it its rules with `defvjp` before calling it
 * @throws DifferentiationError when it is called without rules, or differentiated in forward mode
 * @example
 * const clipped = customVjp((x: NDArray) => x).defvjp(
 *   (x) => [x, null],
 *   (_residuals, yBar) => [np.clip(yBar, -1, 1)],
 * )
 */
export function customVjp<A extends readonly unknown[], R, const O extends CustomVjpOptions = {}>(
  f: ((...args: A) => R) & RefuseAsync<R>,
  options?: O,
): CustomVjp<A, R, NondiffOf<O>> {
  requireFunction('customVjp', f)
  const op = callName('customVjp', f)
  checkOptions<CustomVjpOptions>(op, options ?? {}, ['nondiffArgnums'])
  const nondiff = argnumsOf(options?.nondiffArgnums)
  let rules: VjpRules | null = null
  const call = (...args: A): R => {
    if (rules === null) {
      throw new DifferentiationError({
        op,
        problem: `no VJP defined for customVjp function ${f.name || 'f'} using defvjp`,
        rule: 'a customVjp function is given its rules with defvjp before it is called',
        hint: `${f.name || 'f'}.defvjp(fwd, bwd)`,
      })
    }
    return callCustomVjp(op, f, rules, args, nondiff)
  }
  const custom: CustomVjp<A, R, NondiffOf<O>> = Object.assign(call, {
    defvjp: (
      fwd: (...args: never) => readonly [unknown, unknown],
      bwd: (...args: never) => unknown,
    ) => {
      requireFunction('defvjp', fwd)
      requireFunction('defvjp', bwd)
      rules = { fwd, bwd }
      return custom
    },
  })
  Object.defineProperty(custom, 'name', { value: f.name })
  return custom
}

function callCustomVjp<A extends readonly unknown[], R>(
  op: string,
  f: (...args: A) => R,
  rules: VjpRules,
  args: A,
  nondiff: readonly number[],
): R {
  const { fixed, active, merge } = splitNondiff(op, args, nondiff)
  const point = flattenArrays(op, active, 'args')
  const argumentAvals = point.arrays.map((x) => x.aval)
  const flat = flattenFunction<readonly unknown[]>(
    op,
    (...xs) => f(...(merge(xs) as readonly unknown[] as A)),
    point.structure,
  )
  const found: { result?: tree.TreeStructure; residuals?: tree.TreeStructure } = {}
  const fwd: FlatForward = (inputs) => {
    const all = merge(tree.unflatten(point.structure, inputs) as readonly unknown[])
    const answer: unknown = rules.fwd(...(all as never))
    refusePromise(op, answer)
    if (!Array.isArray(answer) || answer.length !== 2) {
      throw new TransformationError({
        op,
        problem: 'the forward function did not return a pair',
        rule: 'fwd returns [result, residuals]',
      })
    }
    const result = flattenArrays(op, answer[0], 'the result of fwd')
    const residuals = flattenArrays(op, answer[1], 'residuals')
    found.result = result.structure
    found.residuals = residuals.structure
    return { outputs: result.arrays, residuals: residuals.arrays }
  }
  const bwd: FlatBackward = (residuals, cotangents) => {
    if (found.result === undefined || found.residuals === undefined) {
      throw new Error('the backward function was called before the forward function')
    }
    const answer: unknown = rules.bwd(
      ...([
        ...fixed,
        tree.unflatten(found.residuals, residuals),
        tree.unflatten(found.result, cotangents),
      ] as never),
    )
    refusePromise(op, answer)
    return requireCotangents(op, answer, active, argumentAvals)
  }
  const name = f.name || '<lambda>'
  const outputs = isRecording(point.arrays)
    ? bindStaged(op, name, flat.call, { fwd, bwd, identity: rules.fwd }, point.arrays)
    : bind(customVjpPrimitive, point.arrays, {
        name,
        callJaxpr: flat.call,
        fwd,
        bwd,
        numConsts: 0,
        symbolicZeros: false,
      })
  return tree.unflatten(found.result ?? flat.structure(), outputs) as R
}

/** Stages all three functions; what they close over becomes operands, and residuals of bwd. */
function bindStaged(
  op: string,
  name: string,
  call: FlatFunction,
  rules: { readonly fwd: FlatForward; readonly bwd: FlatBackward; readonly identity: object },
  arrays: readonly NDArray[],
): readonly NDArray[] {
  const avals = arrays.map((x) => x.aval)
  const staged = stage(call, avals, 'customVjp', name)
  const fwd: FlatForward = (inputs) => {
    const result = rules.fwd(inputs)
    requireMatch(op, staged.jaxpr.outAvals, result.outputs)
    return result
  }
  const recorded = recordRule(rules.identity, () =>
    recordBoth(name, { fwd, bwd: rules.bwd }, avals),
  )
  if (recorded === null) {
    const skipped = staged.constants.length
    return bind(customVjpPrimitive, [...staged.constants, ...arrays], {
      name,
      callJaxpr: staged.jaxpr,
      fwd: (operands) => fwd(operands.slice(skipped)),
      bwd: rules.bwd,
      numConsts: skipped,
      symbolicZeros: false,
    })
  }
  const { stagedFwd, stagedBwd, numOut, cotangentIn } = recorded
  const [numCall, numFwd] = [staged.constants.length, stagedFwd.constants.length]
  const numBwd = stagedBwd.constants.length
  const ruleConstants = [...stagedFwd.constants, ...stagedBwd.constants]
  return bind(customVjpPrimitive, [...staged.constants, ...ruleConstants, ...arrays], {
    name,
    callJaxpr: ignoringMiddle(staged.jaxpr, numCall, ruleConstants),
    fwd: (operands) => {
      const [fwdConstants, bwdConstants] = [
        operands.slice(numCall, numCall + numFwd),
        operands.slice(numCall + numFwd, numCall + numFwd + numBwd),
      ]
      const results = evaluateJaxpr(stagedFwd.jaxpr, [
        ...fwdConstants,
        ...operands.slice(numCall + numFwd + numBwd),
      ])
      return {
        outputs: results.slice(0, numOut),
        residuals: [...bwdConstants, ...results.slice(numOut)],
      }
    },
    bwd: (residuals, cotangents) =>
      evaluateJaxpr(stagedBwd.jaxpr, [...residuals, ...cotangents]).map((xBar, i): Tangent =>
        cotangentIn[i] ? xBar : zeroLike(arrays[i]),
      ),
    numConsts: numCall + numFwd + numBwd,
    symbolicZeros: false,
  })
}

/** Stages the forward function, and the backward function on what that one answers. */
function recordBoth(
  name: string,
  rules: { readonly fwd: FlatForward; readonly bwd: FlatBackward },
  avals: readonly Aval[],
) {
  let numOut = 0
  const stagedFwd = stage(
    (inputs) => {
      const { outputs, residuals } = rules.fwd(inputs)
      numOut = outputs.length
      return [...outputs, ...residuals]
    },
    avals,
    'customVjp',
    name,
  )
  const [outAvals, residualAvals] = [
    stagedFwd.jaxpr.outAvals.slice(0, numOut),
    stagedFwd.jaxpr.outAvals.slice(numOut),
  ]
  let cotangentIn: readonly boolean[] = []
  const stagedBwd = stage(
    (inputs) => {
      const xBars = rules.bwd(
        inputs.slice(0, residualAvals.length),
        inputs.slice(residualAvals.length),
      )
      cotangentIn = present(xBars)
      return xBars.map(instantiate)
    },
    [...residualAvals, ...outAvals.map(tangentAval)],
    'customVjp',
    name,
  )
  return { stagedFwd, stagedBwd, numOut, cotangentIn }
}

/** Checks what a backward function returned: one tree of cotangents per argument, null for zero. */
function requireCotangents(
  op: string,
  answer: unknown,
  args: readonly unknown[],
  avals: readonly Aval[],
): readonly Tangent[] {
  if (!Array.isArray(answer) || answer.length !== args.length) {
    throw new TransformationError({
      op,
      problem: `the backward function returned ${
        Array.isArray(answer) ? `${answer.length} cotangents` : 'no tuple'
      } for ${args.length} argument${args.length === 1 ? '' : 's'}`,
      rule: 'bwd returns a tuple with one tree of cotangents per differentiated argument',
      hint: args.length === 1 ? 'return [xBar]' : 'return null in the place of a zero cotangent',
    })
  }
  let next = 0
  return args.flatMap((arg, k) => {
    const { structure, leaves } = tree.flatten(arg)
    const own = avals.slice(next, next + leaves.length)
    next += leaves.length
    const given: unknown = answer[k]
    if (given === null || given === undefined) return own.map((aval) => zeroLike({ aval }))
    const flat = tree.flatten(given, (leaf) => leaf === null)
    tree.requireSameStructure(op, structure, flat.structure, {
      expected: `argument ${k}`,
      actual: 'its cotangent',
      root: `cotangents[${k}]`,
    })
    const paths = tree.structurePaths(structure, `cotangents[${k}]`)
    return flat.leaves.map((leaf, i): Tangent => {
      const aval = own[i]
      if (leaf === null || !isFloating(aval.dtype)) return zeroLike({ aval })
      const xBar = leafToArray(op, leaf, paths[i])
      if (avalsMatch(xBar.aval, aval)) return xBar
      if (xBar.aval.weakType && xBar.ndim === 0 && aval.ndim === 0) {
        return convert(xBar, aval.dtype, aval.weakType)
      }
      throw new TransformationError({
        op,
        problem: `${paths[i]} does not fit its argument`,
        operands: [
          { name: `argument ${k}`, aval },
          { name: 'its cotangent', aval: xBar.aval },
        ],
        path: paths[i],
        rule: 'a cotangent has the shape and dtype of its argument',
      })
    })
  })
}
