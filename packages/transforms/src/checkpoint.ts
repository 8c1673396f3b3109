/**
 * Checkpointing: what the backward pass needs is computed again instead of kept.
 *
 * The derivative of a checkpointed program keeps its operands, and those intermediate values that a
 * policy asks for. The rest is recomputed behind a barrier, so that no pass finds out that it was
 * computed before. (Griewank and Walther, "Revolve", ACM TOMS 26:1, 2000, for the idea; JAX's
 * `checkpoint` for policies.)
 */
import {
  ArgumentError,
  type Atom,
  bind,
  bind1,
  checkOptions,
  definePrimitive,
  type Equation,
  evaluateJaxpr,
  evaluateOnHost,
  inlining,
  isLinear,
  isVar,
  isZero,
  Jaxpr,
  type NDArray,
  optimizationBarrier,
  type Primitive,
  pruneJaxpr,
  register,
  stage,
  tree,
  type Var,
  zeroLike,
} from '@adjoint/core/internal'
import { type ClosedProgram, derivedOnce, flagsKey, stageWith } from './derived'
import {
  callName,
  flattenArrays,
  flattenFunction,
  leafToArray,
  requireFunction,
} from './flat-function'
import type { RefuseAsync } from './function-types'
import { jitPrimitive } from './jit/primitive'
import { jvpJaxpr } from './jvp'
import { linearizeJaxpr } from './linearize'
import { transposeJaxpr } from './transpose'
import { batchJaxpr, mappedFirst } from './vmap'
import { nonzeros, present, withZeros } from './zeros'

// --- policies ------------------------------------------------------------------------------------

/** What a policy knows of an intermediate value: the primitive that computes it. */
export interface Saveable {
  readonly primitive: string
  readonly params: { readonly [key: string]: unknown }
}

/**
 * Decides whether a value is kept for the backward pass.
 *
 * @example
 * const keepSines: CheckpointPolicy = ({ primitive }) => primitive === 'sin'
 * const f = checkpoint((x: NDArray) => np.sum(np.exp(np.sin(x))), { policy: keepSines })
 * grad(f)(np.zeros([1])) // Array([1.], dtype=float32)
 */
export type CheckpointPolicy = (value: Saveable) => boolean

const nameOf = ({ primitive, params }: Saveable): string | null =>
  primitive === 'name' && typeof params.name === 'string' ? params.name : null

const hasBatchDimensions = ({ params }: Saveable): boolean => {
  const numbers: unknown = params.dimensionNumbers
  const batch: unknown = Array.isArray(numbers) ? (numbers as readonly unknown[])[1] : null
  return Array.isArray(batch) && batch.some((axes) => Array.isArray(axes) && axes.length > 0)
}

/**
 * Keep nothing but the arguments: the default.
 *
 * @example
 * const f = (w: NDArray) => np.sum(np.tanh(np.matmul(w, w)))
 * grad(checkpoint(f, { policy: nothingSaveable }))(np.zeros([2, 2])).shape // [ 2, 2 ]
 */
export const nothingSaveable: CheckpointPolicy = () => false
/**
 * Keep everything, as without checkpointing.
 *
 * @example
 * const f = (w: NDArray) => np.sum(np.tanh(np.matmul(w, w)))
 * grad(checkpoint(f, { policy: everythingSaveable }))(np.zeros([2, 2])).shape // [ 2, 2 ]
 */
export const everythingSaveable: CheckpointPolicy = () => true
/**
 * Keep the results of matrix products.
 *
 * @example
 * const f = (w: NDArray) => np.sum(np.tanh(np.matmul(w, w)))
 * grad(checkpoint(f, { policy: dotsSaveable }))(np.zeros([2, 2])).shape // [ 2, 2 ]
 */
export const dotsSaveable: CheckpointPolicy = ({ primitive }) => primitive === 'dot_general'
/**
 * Keep the results of matrix products that have no batch dimensions.
 *
 * @example
 * const f = (w: NDArray) => np.sum(np.tanh(np.matmul(w, w)))
 * grad(checkpoint(f, { policy: dotsWithNoBatchDimsSaveable }))(np.zeros([2, 2])).shape // [ 2, 2 ]
 */
export const dotsWithNoBatchDimsSaveable: CheckpointPolicy = (value) =>
  value.primitive === 'dot_general' && !hasBatchDimensions(value)
/**
 * Keep values with these names, given by `checkpointName`.
 *
 * @example
 * const f = (x: NDArray) => np.sum(np.sin(checkpointName(np.sin(x), 'a')))
 * grad(checkpoint(f, { policy: saveOnlyTheseNames('a') }))(np.array([0, 0.5]))
 * // Array([1.       , 0.7786439], dtype=float32)
 */
export const saveOnlyTheseNames =
  (...names: readonly string[]): CheckpointPolicy =>
  (value) =>
    names.includes(nameOf(value) ?? '')
/**
 * Keep values with names other than these.
 *
 * @example
 * const f = (x: NDArray) => np.sum(np.sin(checkpointName(np.sin(x), 'a')))
 * grad(checkpoint(f, { policy: saveAnyNamesButThese('b') }))(np.array([0, 0.5]))
 * // Array([1.       , 0.7786439], dtype=float32)
 */
export const saveAnyNamesButThese =
  (...names: readonly string[]): CheckpointPolicy =>
  (value) => {
    const name = nameOf(value)
    return name !== null && !names.includes(name)
  }
/**
 * Keep everything except values with these names.
 *
 * @example
 * const f = (x: NDArray) => np.sum(np.sin(checkpointName(np.sin(x), 'a')))
 * grad(checkpoint(f, { policy: saveAnythingExceptTheseNames('b') }))(np.array([0, 0.5]))
 * // Array([1.       , 0.7786439], dtype=float32)
 */
export const saveAnythingExceptTheseNames =
  (...names: readonly string[]): CheckpointPolicy =>
  (value) =>
    !names.includes(nameOf(value) ?? '')

/**
 * The policies under the names that JAX gives them.
 *
 * @example
 * const f = (w: NDArray) => np.sum(np.tanh(np.matmul(w, w)))
 * const g = checkpoint(f, { policy: checkpointPolicies.checkpointDots })
 * grad(g)(np.zeros([2, 2])).shape // [ 2, 2 ]
 */
export const checkpointPolicies = {
  nothingSaveable,
  everythingSaveable,
  dotsSaveable,
  checkpointDots: dotsSaveable,
  dotsWithNoBatchDimsSaveable,
  saveOnlyTheseNames,
  saveAnyNamesButThese,
  saveAnythingExceptTheseNames,
} as const

// --- names -----------------------------------------------------------------------------------------

type NameParams = { readonly name: string }

const namePrimitive: Primitive<NameParams> = register(
  definePrimitive<NameParams>({
    name: 'name',
    abstractEval: (operands) => operands,
    jvp: ([x], [xDot], { name }) => {
      const y = bind1(namePrimitive, [x], { name })
      return { primals: [y], tangents: [isZero(xDot) ? zeroLike(y) : xDot] }
    },
    transpose: ([yBar], [x]) => [isLinear(x) ? yBar : null],
    batch: (_axis, [x], dims, params) => ({ outputs: [bind1(namePrimitive, [x], params)], dims }),
    evaluate: (operands) => operands,
    lower: (_context, operands) => operands,
    splat: ([element]) => element,
  }),
)

/**
 * Names a value, so that policies of `checkpoint` can refer to it. The identity otherwise.
 *
 * @param x a tree of arrays
 * @param name what `saveOnlyTheseNames` and its kin look for
 * @example
 * const f = (x: NDArray) => np.sum(np.sin(checkpointName(np.sin(x), 'inner')))
 * const g = checkpoint(f, { policy: saveOnlyTheseNames('inner') })
 * grad(g)(np.array([0, 0.5])) // Array([1.       , 0.7786439], dtype=float32)
 */
export const checkpointName = <T>(x: T, name: string): T => {
  const { leaves, structure } = tree.flatten(x)
  const named = leaves.map((leaf) =>
    bind1(namePrimitive, [leafToArray('checkpointName', leaf, 'x')], { name }),
  )
  return tree.unflatten(structure, named) as T
}

// --- the primitive -----------------------------------------------------------------------------------

type CheckpointParams = {
  readonly jaxpr: Jaxpr
  readonly policy: CheckpointPolicy | null
  readonly preventCse: boolean
  readonly differentiated: boolean
}

const bindCheckpoint = (
  operands: readonly NDArray[],
  params: CheckpointParams,
): readonly NDArray[] => bind(checkpointPrimitive, operands, params)

interface CheckpointedLinearization extends ClosedProgram {
  /** `jaxpr` gives the results, then what the policy keeps. */
  readonly tangentOut: readonly boolean[]
  /** Constants, operands, what was kept, tangents → tangents: recomputes the residuals first. */
  readonly recompute: Jaxpr
}

const policyIds = new WeakMap<CheckpointPolicy, number>()
let lastPolicy = 0
function policyKey(policy: CheckpointPolicy | null): string {
  if (policy === null) return '-'
  let id = policyIds.get(policy)
  if (id === undefined) policyIds.set(policy, (id = ++lastPolicy))
  return String(id)
}

/**
 * Calls of jitted functions are written out, so that policies see the equations inside. Functions
 * with rules of their own stay as they are: written out, they would lose their rules.
 */
const writeOutCalls = inlining(({ primitive }) => primitive === jitPrimitive)

const linearizeCheckpoint = derivedOnce(
  (policy: CheckpointPolicy | null, tangentIn: readonly boolean[]) =>
    `${policyKey(policy)}|${flagsKey(tangentIn)}`,
  (body, policy, tangentIn): CheckpointedLinearization => {
    const numOut = body.outputs.length
    const program = linearizeJaxpr(writeOutCalls.run(body), tangentIn, [])
    const { jaxpr, constants, linear } = program
    const numInputs = jaxpr.inputs.length
    const keep = policy ?? nothingSaveable
    const isKept = ({ primitive, params }: Equation): boolean =>
      keep({ primitive: primitive.name, params })

    // The residuals as a program of the operands and of what is kept.
    const residualAtoms = program.residuals.map(({ from, index }): Atom =>
      from === 'input' ? jaxpr.inputs[constants.length + index] : jaxpr.outputs[index],
    )
    const candidates = new Set<Var>(jaxpr.equations.filter(isKept).flatMap((e) => e.outputs))
    const inputs = new Set(jaxpr.inputs)
    const needed = liveFrom(
      residualAtoms.filter((a) => !inputs.has(a as Var)),
      jaxpr,
      candidates,
    )
    const kept = [...candidates].filter((v) => needed.has(v))
    const keptSet = new Set(kept)
    const residualProgram = pruneJaxpr(
      new Jaxpr(
        [...jaxpr.inputs, ...kept],
        jaxpr.equations.filter((e) => !e.outputs.some((v) => keptSet.has(v))),
        residualAtoms,
        body.name,
      ),
      residualAtoms.map(() => true),
      () => true,
    ).jaxpr
    const tangentAvals = linear.inputs.slice(residualAtoms.length).map((v) => v.aval)
    const recompute = stageWith(
      (operands) => {
        const given = operands.slice(0, numInputs + kept.length)
        const dots = operands.slice(numInputs + kept.length)
        const residuals = evaluateJaxpr(residualProgram, optimizationBarrier(...given))
        const tangents = evaluateJaxpr(linear, [...residuals, ...dots])
        return { outputs: tangents, facts: null }
      },
      [...jaxpr.inAvals, ...kept.map((v) => v.aval), ...tangentAvals],
      'checkpoint',
      body.name,
    )
    if (recompute.constants.length > 0) throw new Error('recomputation closes over arrays')
    const forward = pruneJaxpr(
      new Jaxpr(
        jaxpr.inputs,
        jaxpr.equations,
        [...jaxpr.outputs.slice(0, numOut), ...kept],
        body.name,
      ),
      [...body.outputs, ...kept].map(() => true),
      () => true,
    )
    return {
      jaxpr: forward.jaxpr,
      constants,
      tangentOut: program.tangentOut,
      recompute: recompute.jaxpr,
    }
  },
)

/** The variables that lead to `atoms`, going back no further than `stops`. */
function liveFrom(
  atoms: readonly Atom[],
  jaxpr: Jaxpr,
  stops: ReadonlySet<Var>,
): ReadonlySet<Atom> {
  const live = new Set<Atom>(atoms.filter(isVar))
  for (let i = jaxpr.equations.length - 1; i >= 0; i--) {
    const { inputs, outputs } = jaxpr.equations[i]
    if (!outputs.some((v) => live.has(v) && !stops.has(v))) continue
    for (const atom of inputs) if (isVar(atom)) live.add(atom)
  }
  return live
}

const checkpointPrimitive: Primitive<CheckpointParams> = register(
  definePrimitive<CheckpointParams>({
    name: 'remat2',
    abstractEval: (_operands, { jaxpr }) => jaxpr.outAvals,
    jvp: (primals, tangents, params) => {
      const program = jvpJaxpr(params.jaxpr, present(tangents), [])
      const results = bindCheckpoint([...program.constants, ...primals, ...nonzeros(tangents)], {
        ...params,
        jaxpr: program.jaxpr,
      })
      const numOut = params.jaxpr.outputs.length
      return {
        primals: results.slice(0, numOut),
        tangents: withZeros(results.slice(numOut), program.tangentOut, params.jaxpr.outAvals),
      }
    },
    linearize: (primals, tangentIn, params) => {
      const { jaxpr, policy } = params
      const program = linearizeCheckpoint(jaxpr, policy, tangentIn)
      const operands = [...program.constants, ...primals]
      const results = evaluateJaxpr(program.jaxpr, operands)
      const numOut = jaxpr.outputs.length
      const kept = results.slice(numOut)
      return {
        primals: results.slice(0, numOut),
        tangentOut: program.tangentOut,
        linear: (tangents) =>
          withZeros(
            bindCheckpoint([...operands, ...kept, ...nonzeros(tangents)], {
              ...params,
              jaxpr: program.recompute,
              differentiated: true,
            }),
            program.tangentOut,
            jaxpr.outAvals,
          ),
      }
    },
    transpose: (cotangents, operands, params) => {
      const program = transposeJaxpr(params.jaxpr, operands.map(isLinear), present(cotangents), [])
      const results = bindCheckpoint(
        [
          ...program.constants,
          ...operands.filter((x): x is NDArray => !isLinear(x)),
          ...nonzeros(cotangents),
        ],
        { ...params, jaxpr: program.jaxpr },
      )
      const linear = operands.filter(isLinear)
      const xBars = withZeros(
        results,
        program.cotangentOut,
        linear.map((x) => x.aval),
      )
      let next = 0
      return operands.map((x) => (isLinear(x) ? xBars[next++] : null))
    },
    batch: (axis, operands, dims, params) => {
      const mapped = dims.map((dim) => dim !== null)
      const program = batchJaxpr(params.jaxpr, axis, mapped, [])
      const outputs = bindCheckpoint([...program.constants, ...mappedFirst(operands, dims)], {
        ...params,
        jaxpr: program.jaxpr,
      })
      return { outputs, dims: program.mappedOut.map((m) => (m ? 0 : null)) }
    },
    evaluate: (operands, { jaxpr }) => evaluateOnHost(jaxpr, operands),
    lower: (context, operands, { jaxpr }) => context.inline(jaxpr, operands),
    callee: ({ jaxpr }) => jaxpr,
    prune: (params, usedOutputs) => {
      const pruned = pruneJaxpr(params.jaxpr, usedOutputs)
      return pruned.jaxpr === params.jaxpr
        ? null
        : {
            params: { ...params, jaxpr: pruned.jaxpr },
            usedInputs: pruned.usedInputs,
            keptOutputs: usedOutputs,
          }
    },
  }),
)

function requirePolicy(op: string, policy: unknown): void {
  if (typeof policy === 'function') return
  throw new ArgumentError({
    op,
    problem: `the policy is a ${typeof policy}`,
    rule: 'a policy is a function from a value to whether it is kept',
    hint: "for example checkpointPolicies.dotsSaveable, or saveOnlyTheseNames('activations')",
  })
}

export interface CheckpointOptions {
  /** Which intermediate values are kept for the backward pass; by default none. */
  readonly policy?: CheckpointPolicy
}

/**
 * A function that computes its intermediate values again in the backward pass instead of keeping
 * them: more arithmetic for less memory. Values and derivatives do not change.
 *
 * @param f a function of trees of arrays
 * @param options.policy which intermediate values are kept, for example `dotsSaveable`
 * @returns a function of the same arguments
 * @example
 * grad(checkpoint((x: NDArray) => np.sum(np.sin(np.sin(x)))))(np.array([0, 0.5]))
 * // Array([1.       , 0.7786439], dtype=float32)
 */
export function checkpoint<A extends readonly unknown[], R>(
  f: ((...args: A) => R) & RefuseAsync<R>,
  options: CheckpointOptions = {},
): (...args: A) => R {
  requireFunction('checkpoint', f)
  const op = callName('checkpoint', f)
  const { policy = null } = checkOptions(op, options, ['policy'])
  if (policy !== null) requirePolicy(op, policy)
  const checkpointed = (...args: A): R => {
    const { arrays, structure } = flattenArrays(op, args, 'args')
    const flat = flattenFunction<A>(op, f, structure)
    const { jaxpr, constants } = stage(
      flat.call,
      arrays.map((x) => x.aval),
      'checkpoint',
      f.name,
    )
    const outputs = bindCheckpoint([...constants, ...arrays], {
      jaxpr,
      policy,
      preventCse: true,
      differentiated: false,
    })
    return tree.unflatten(flat.structure(), outputs) as R
  }
  Object.defineProperty(checkpointed, 'name', { value: f.name })
  return checkpointed
}

/**
 * JAX's other name for `checkpoint`.
 *
 * @example
 * grad(remat((x: NDArray) => np.sum(np.sin(np.sin(x)))))(np.array([0, 0.5]))
 * // Array([1.       , 0.7786439], dtype=float32)
 */
export const remat = checkpoint
