/**
 * The `cond` primitive: one of several programs, chosen by an index. Operands are the index and what
 * every branch takes.
 */
import {
  avalsMatch,
  bind,
  broadcastInDim,
  definePrimitive,
  eq,
  evaluateJaxpr,
  evaluateOnHost,
  full,
  isFloating,
  isLinear,
  type Jaxpr,
  JaxprTypeError,
  type MappedAxis,
  type NDArray,
  type Primitive,
  readElements,
  register,
  select,
  selectN,
  stopGradient,
  useControlFlow,
  withMappedAxis,
} from '@adjoint/core/internal'
import { mappedFirst } from '../vmap'
import { nonzeros, present, withZeros } from '../zeros'
import {
  batchedBranches,
  jvpBranches,
  linearizedBranches,
  prunedBranches,
  transposedBranches,
} from './cond-programs'

export type CondParams = { readonly branches: readonly Jaxpr[] }

export const bindCond = (
  index: NDArray,
  branches: readonly Jaxpr[],
  operands: readonly NDArray[],
): readonly NDArray[] => bind(condPrimitive, [index, ...operands], { branches })

/**
 * Examples that take different branches: all branches are computed for all examples, and each
 * example selects its own. A branch sees operands of which only its own examples carry derivatives,
 * so infinite derivatives of a branch that is not taken cannot turn into NaN.
 */
function selectBranches(
  axis: MappedAxis,
  index: NDArray,
  operands: readonly NDArray[],
  mapped: readonly boolean[],
  branches: readonly Jaxpr[],
): readonly NDArray[] {
  const shielded = operands.map((x, i) =>
    isFloating(x.dtype) && !mapped[i] ? withMappedAxis(x, null, axis.size, 0) : x,
  )
  const mappedIn = operands.map((x, i) => mapped[i] || isFloating(x.dtype))
  const derived = batchedBranches(branches, axis, mappedIn, true)
  const results = derived.branches.map((branch, b) => {
    const taken = eq(index, full(index.shape, b, 'int32'))
    const safe = shielded.map((x) =>
      isFloating(x.dtype) ? select(spread(taken, x.shape), x, stopGradient(x)) : x,
    )
    return evaluateJaxpr(branch, [...derived.constants, ...safe])
  })
  return results[0].map((first, i) =>
    selectN(spread(index, first.shape), ...results.map((branch) => branch[i])),
  )
}

/** One value per example, over the example's whole array. */
const spread = (lane: NDArray, shape: readonly number[]): NDArray =>
  broadcastInDim(lane, { shape, broadcastDimensions: [0] })

export const condPrimitive: Primitive<CondParams> = register(
  definePrimitive<CondParams>({
    name: 'cond',
    abstractEval: ([index, ...operands], { branches }) => {
      const fits =
        index.ndim === 0 &&
        index.dtype === 'int32' &&
        branches.every(
          (b) =>
            b.inputs.length === operands.length &&
            operands.every((aval, i) => avalsMatch(aval, b.inputs[i].aval)) &&
            b.outAvals.every((aval, i) => avalsMatch(aval, branches[0].outAvals[i])),
        )
      if (!fits) {
        throw new JaxprTypeError({
          op: 'cond',
          problem: 'operands do not fit the branches, or the branches do not agree',
          operands: [index, ...operands].map((aval, i) => ({ name: `operand ${i}`, aval })),
        })
      }
      return branches[0].outAvals
    },
    jvp: ([index, ...primals], [, ...tangents], { branches }) => {
      const derived = jvpBranches(branches, present(tangents))
      const results = bindCond(index, derived.branches, [
        ...derived.constants,
        ...primals,
        ...nonzeros(tangents),
      ])
      const { outAvals } = branches[0]
      return {
        primals: results.slice(0, outAvals.length),
        tangents: withZeros(results.slice(outAvals.length), derived.tangentOut, outAvals),
      }
    },
    linearize: ([index, ...primals], [, ...tangentIn], { branches }) => {
      const derived = linearizedBranches(branches, tangentIn)
      const results = bindCond(index, derived.branches, [...derived.constants, ...primals])
      const { outAvals } = branches[0]
      const saved = results.slice(outAvals.length)
      const fromOperands = derived.operandResiduals.map((i) => primals[i])
      return {
        primals: results.slice(0, outAvals.length),
        tangentOut: derived.tangentOut,
        linear: ([, ...tangents]) =>
          withZeros(
            bindCond(index, derived.linear, [...saved, ...fromOperands, ...nonzeros(tangents)]),
            derived.tangentOut,
            outAvals,
          ),
      }
    },
    transpose: (cotangents, [index, ...operands], { branches }) => {
      if (isLinear(index)) throw new Error('cond is not linear in its index')
      const derived = transposedBranches(branches, operands.map(isLinear), present(cotangents))
      const results = bindCond(index, derived.branches, [
        ...derived.constants,
        ...operands.filter((x): x is NDArray => !isLinear(x)),
        ...nonzeros(cotangents),
      ])
      const linear = operands.filter(isLinear)
      const xBars = withZeros(
        results,
        derived.cotangentOut,
        linear.map((x) => x.aval),
      )
      let next = 0
      return [null, ...operands.map((x) => (isLinear(x) ? xBars[next++] : null))]
    },
    batch: (axis, operands, dims, { branches }) => {
      const [index, ...values] = mappedFirst(operands, dims)
      const mapped = dims.slice(1).map((dim) => dim !== null)
      if (dims[0] !== null) {
        const outputs = selectBranches(axis, index, values, mapped, branches)
        return { outputs, dims: outputs.map(() => 0) }
      }
      const derived = batchedBranches(branches, axis, mapped, false)
      return {
        outputs: bindCond(index, derived.branches, [...derived.constants, ...values]),
        dims: derived.mappedOut.map((isMapped) => (isMapped ? 0 : null)),
      }
    },
    evaluate: ([index, ...operands], { branches }) => {
      const chosen = Math.min(Math.max(index.data[0], 0), branches.length - 1)
      return evaluateOnHost(branches[chosen], operands)
    },
    steps: ([index, ...operands], { branches }, run) => {
      const chosen = Number(readElements(index, 'cond')[0])
      return run(branches[Math.min(Math.max(chosen, 0), branches.length - 1)], operands)
    },
    lower: (context, [index, ...operands], { branches }) => {
      useControlFlow()
      return context.branch({ index, branches, operands })
    },
    prune: (params, usedOutputs) => {
      const pruned = prunedBranches(params.branches, usedOutputs)
      if (pruned.branches === params.branches) return null
      return {
        params: { branches: pruned.branches },
        usedInputs: [true, ...pruned.usedInputs],
        keptOutputs: usedOutputs,
      }
    },
  }),
)
