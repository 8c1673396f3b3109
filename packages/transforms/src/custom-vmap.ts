/** Functions whose batching is given by a rule. */
import {
  ArgumentError,
  type BatchDim,
  bind,
  definePrimitive,
  evaluateJaxpr,
  type NDArray,
  type Primitive,
  register,
  stage,
  type Tangent,
  TransformationError,
  tree,
} from '@adjoint/core/internal'
import { axesOfLeaves, type AxisSpec } from './axes-prefix'
import { callOf, type CallParams, callRules, isRecording } from './custom-function'
import {
  callName,
  flattenArrays,
  flattenFunction,
  type FlatFunction,
  refusePromise,
  requireFunction,
} from './flat-function'
import type { RefuseAsync } from './function-types'
import { jvpFlat } from './jvp'
import { linearizeFlat } from './linearize'
import { mappedFirst } from './vmap'
import { nonzeros, withZeros } from './zeros'

interface MappedResult {
  readonly outputs: readonly NDArray[]
  readonly mapped: readonly boolean[]
}

type CustomVmapParams = CallParams & {
  /** On arguments that carry the mapped axis in front where `mapped` says so. */
  readonly rule: (
    size: number,
    mapped: readonly boolean[],
    operands: readonly NDArray[],
  ) => MappedResult
}

const customVmapPrimitive: Primitive<CustomVmapParams> = register(
  definePrimitive<CustomVmapParams>({
    name: 'custom_vmap_call',
    ...callRules,
    // The rule says nothing about derivatives: those of the function's body are taken.
    jvp: (primals, tangents, { name, callJaxpr }) =>
      jvpFlat(callOf(callJaxpr), primals, tangents, 'jvp', name),
    linearize: (primals, tangentIn, { name, callJaxpr }) => {
      const {
        primals: outputs,
        linear,
        tangentOut,
      } = linearizeFlat(callOf(callJaxpr), primals, tangentIn, { subject: name })
      return {
        primals: outputs,
        tangentOut,
        linear: (tangents): readonly Tangent[] =>
          withZeros(
            evaluateJaxpr(linear.jaxpr, [...linear.residuals, ...nonzeros(tangents)]),
            tangentOut,
            outputs.map((y) => y.aval),
          ),
      }
    },
    batch: (axis, operands, dims, { rule }) => {
      const { outputs, mapped } = rule(
        axis.size,
        dims.map((dim) => dim !== null),
        mappedFirst(operands, dims),
      )
      return { outputs, dims: mapped.map((m): BatchDim => (m ? 0 : null)) }
    },
  }),
)

/** Which leaves are mapped: true or false for a whole subtree, or a tree of these. */
export type MappedSpec = boolean | readonly MappedSpec[] | { readonly [key: string]: MappedSpec }

/** What `customVmap` returns: call it like the function. */
export interface CustomVmap<A extends readonly unknown[], R> {
  (...args: A): R
  /**
   * Gives the rule.
   *
   * @param rule receives the size of the axis, which arguments are mapped (true or false, per leaf),
   *   and the arguments with the axis in front; answers the result and which of it is mapped
   * @returns the function, for calling
   */
  defvmap(
    rule: (axisSize: number, inBatched: readonly unknown[], ...args: A) => readonly [R, MappedSpec],
  ): (...args: A) => R
}

/**
 * A function that says itself how it is mapped over an axis. Its derivatives are those of its body.
 *
 * @param f a function of trees of arrays
 * @returns the function; give it a rule with `defvmap`
 * @example
 * const scaled = customVmap((x: NDArray) => np.multiply(x, 2)).defvmap(
 *   (size, [mapped], xs) => [np.multiply(xs, 2), mapped],
 * )
 */
export function customVmap<A extends readonly unknown[], R>(
  f: ((...args: A) => R) & RefuseAsync<R>,
): CustomVmap<A, R> {
  requireFunction('customVmap', f)
  const op = callName('customVmap', f)
  type Rule = (...args: never) => readonly [unknown, MappedSpec]
  let given: Rule | null = null
  const call = (...args: A): R => {
    const rule = given
    if (rule === null) {
      throw new ArgumentError({
        op,
        problem: 'the function has no rule yet',
        rule: 'a customVmap function is given its rule with defvmap before it is called',
      })
    }
    const point = flattenArrays(op, args, 'args')
    const flat = flattenFunction<A>(op, f, point.structure)
    let structure: tree.TreeStructure | null = null
    const flatRule: CustomVmapParams['rule'] = (size, mapped, operands) => {
      const inBatched = tree.unflatten(point.structure, mapped)
      const trees = tree.unflatten(point.structure, operands) as readonly unknown[]
      const answer: unknown = rule(...([size, inBatched, ...trees] as never))
      refusePromise(op, answer)
      const result = requireMapped(op, answer)
      structure = result.structure
      return result
    }
    const name = f.name || '<lambda>'
    const outputs = isRecording(point.arrays)
      ? bindStaged(name, flat.call, flatRule, point.arrays)
      : bind(customVmapPrimitive, point.arrays, { name, callJaxpr: flat.call, rule: flatRule })
    return tree.unflatten(structure ?? flat.structure(), outputs) as R
  }
  const custom: CustomVmap<A, R> = Object.assign(call, {
    defvmap: (rule: Rule) => {
      requireFunction('defvmap', rule)
      given = rule
      return custom
    },
  })
  Object.defineProperty(custom, 'name', { value: f.name })
  return custom
}

function bindStaged(
  name: string,
  call: FlatFunction,
  rule: CustomVmapParams['rule'],
  arrays: readonly NDArray[],
): readonly NDArray[] {
  const staged = stage(
    call,
    arrays.map((x) => x.aval),
    'customVmap',
    name,
  )
  const numConsts = staged.constants.length
  return bind(customVmapPrimitive, [...staged.constants, ...arrays], {
    name,
    callJaxpr: staged.jaxpr,
    rule: (size, mapped, operands) => {
      if (mapped.slice(0, numConsts).some(Boolean)) {
        throw new TransformationError({
          op: name,
          problem: 'a customVmap function is mapped over a value that it closes over',
          rule: 'its rule says how to map its arguments only',
          hint: 'pass the value as an argument',
        })
      }
      return rule(size, mapped.slice(numConsts), operands.slice(numConsts))
    },
  })
}

function requireMapped(
  op: string,
  answer: unknown,
): MappedResult & { structure: tree.TreeStructure } {
  if (!Array.isArray(answer) || answer.length !== 2) {
    throw new TransformationError({
      op,
      problem: 'the batching rule did not return a pair',
      rule: 'the rule returns [result, outBatched]',
    })
  }
  const result = flattenArrays(op, answer[0], 'the result')
  const spec = tree.unflatten(
    tree.structure(answer[1]),
    tree.leaves(answer[1]).map((flag) => (flag === true ? 0 : null)),
  ) as AxisSpec
  const mapped = axesOfLeaves(op, spec, result.structure, 'the result', 'outBatched')
  return {
    outputs: result.arrays,
    mapped: mapped.map((axis) => axis !== null),
    structure: result.structure,
  }
}
