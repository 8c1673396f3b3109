/**
 * The `while` primitive: a loop whose number of steps is found out by running it.
 *
 * Operands are the condition's constants, the body's constants and the carries. Forward mode carries
 * tangents along; reverse mode would need every step's values in memory of unknown size, so there
 * is none.
 */
import {
  type Aval,
  avalsMatch,
  bind,
  definePrimitive,
  DifferentiationError,
  evaluateJaxpr,
  evaluateOnHost,
  identityOf,
  instantiate,
  type Jaxpr,
  JaxprTypeError,
  type MappedAxis,
  moveAxis,
  type NDArray,
  type Primitive,
  readElements,
  reduceOr,
  register,
  select,
  tangentAval,
  useControlFlow,
  Var,
  withMappedAxis,
  broadcastInDim,
} from '@adjoint/core/internal'
import { type ClosedProgram, derivedOnce, flagsKey, stageWith } from '../derived'
import { jvpJaxpr } from '../jvp'
import { batchJaxpr } from '../vmap'
import { nonzeros, present, withZeros } from '../zeros'
import { carriedFixpoint, count, cut, every, none, reordered, where } from './groups'

export type WhileParams = {
  readonly bodyJaxpr: Jaxpr
  readonly bodyNconsts: number
  readonly condJaxpr: Jaxpr
  readonly condNconsts: number
}

export const bindWhile = (operands: readonly NDArray[], params: WhileParams): readonly NDArray[] =>
  bind(whilePrimitive, operands, params)

// --- derived loops -------------------------------------------------------------------------------

interface JvpLoop extends ClosedProgram {
  readonly carryTangents: readonly boolean[]
}

/** The body on carries with their tangents. Constants first, then their tangents. */
const jvpLoopBody = derivedOnce(
  (numConsts: number, tangentIn: readonly boolean[]) => `${numConsts}|${flagsKey(tangentIn)}`,
  (body, numConsts, tangentIn): JvpLoop => {
    const consts = tangentIn.slice(0, numConsts)
    const derive = (carry: readonly boolean[]) => jvpJaxpr(body, [...consts, ...carry], carry)
    const carryTangents = carriedFixpoint(tangentIn.slice(numConsts), (c) => derive(c).tangentOut)
    const { jaxpr, constants } = derive(carryTangents)
    const [k, c, s, cDot, sDot] = cut(
      jaxpr.inputs,
      constants.length,
      numConsts,
      carryTangents.length,
      count(consts),
    )
    return {
      jaxpr: reordered(jaxpr, [...k, ...c, ...cDot, ...s, ...sDot]),
      constants,
      carryTangents,
    }
  },
)

interface BatchedLoop extends ClosedProgram {
  /** Constants of the body that stand between the condition's operands and the body's own. */
  readonly innerConstants: readonly NDArray[]
  readonly condition: Jaxpr
  readonly conditionConstants: readonly NDArray[]
  readonly mappedCarry: readonly boolean[]
  /** Whether lanes can end at different times. */
  readonly mappedCondition: boolean
}

/**
 * Both programs over a mapped axis; `jaxpr` is the body. When the condition differs between lanes, the loop runs while
 * any lane is active, and lanes that have ended keep their values.
 */
const batchedLoop = derivedOnce(
  (
    condition: Jaxpr,
    numConsts: readonly [number, number],
    axis: MappedAxis,
    mapped: readonly boolean[],
  ) =>
    `${identityOf(condition)}|${numConsts.join()}|${axis.size}|${axis.name ?? ''}|${flagsKey(mapped)}`,
  (body, condition, [condNconsts, bodyNconsts], axis, mapped): BatchedLoop => {
    const [condConsts, bodyConsts, init] = cut(mapped, condNconsts, bodyNconsts)
    const batchCondition = (carry: readonly boolean[]) =>
      batchJaxpr(condition, axis, [...condConsts, ...carry], none(1))
    const carryOnly = carriedFixpoint(
      init,
      (carry) => batchJaxpr(body, axis, [...bodyConsts, ...carry], carry).mappedOut,
    )
    const [mappedCondition] = batchCondition(carryOnly).mappedOut
    const mappedCarry = mappedCondition ? every(init.length) : carryOnly
    const lanes = batchJaxpr(body, axis, [...bodyConsts, ...mappedCarry], mappedCarry)
    const active = batchCondition(mappedCarry)
    if (!mappedCondition) {
      return {
        jaxpr: lanes.jaxpr,
        constants: lanes.constants,
        innerConstants: [],
        condition: active.jaxpr,
        conditionConstants: active.constants,
        mappedCarry,
        mappedCondition,
      }
    }
    const numActive = active.constants.length
    const carryAvals = lanes.jaxpr.outAvals
    const anyLane = stageWith(
      (inputs) => ({
        outputs: evaluateJaxpr(active.jaxpr, inputs).map((lane) => reduceOr(lane, { axes: [0] })),
        facts: null,
      }),
      active.jaxpr.inAvals,
      'vmap',
      condition.name,
    )
    // The body needs the condition's constants as well: k_cond, c_cond, k_body, c_body, carry.
    const condAvals = active.jaxpr.inAvals.slice(0, numActive + condNconsts)
    const frozen = stageWith(
      (inputs) => {
        const [cond, rest] = cut(inputs, condAvals.length)
        const carry = rest.slice(rest.length - carryAvals.length)
        const [isActive] = evaluateJaxpr(active.jaxpr, [...cond, ...carry])
        const next = evaluateJaxpr(lanes.jaxpr, rest)
        return {
          outputs: next.map((x, i) => select(spread(isActive, x.shape), x, carry[i])),
          facts: null,
        }
      },
      [...condAvals, ...lanes.jaxpr.inAvals],
      'vmap',
      body.name,
    )
    return {
      jaxpr: frozen.jaxpr,
      constants: [...frozen.constants, ...active.constants],
      innerConstants: lanes.constants,
      condition: anyLane.jaxpr,
      conditionConstants: [...anyLane.constants, ...active.constants],
      mappedCarry,
      mappedCondition,
    }
  },
)

/** One flag per lane, over the lane's whole value. */
const spread = (lane: NDArray, shape: readonly number[]): NDArray =>
  broadcastInDim(lane, { shape, broadcastDimensions: [0] })

// --- the primitive -------------------------------------------------------------------------------

const noReverse = (operands: readonly { readonly aval: Aval }[]): DifferentiationError =>
  new DifferentiationError({
    op: 'whileLoop',
    problem: 'reverse mode cannot go through a loop whose number of steps is not known beforehand',
    operands: operands.map((o, i) => ({ name: `operand ${i}`, aval: o.aval })),
    rule: 'grad, vjp and jacrev need a fixed number of steps; jvp and jacfwd do not',
    hint: 'use scan, or foriLoop with bounds that are known while tracing: with others it is a whileLoop',
  })

function jvpOfWhile(
  primals: readonly NDArray[],
  tangents: readonly (NDArray | ReturnType<typeof withZeros>[number])[],
  params: WhileParams,
) {
  const { bodyJaxpr, bodyNconsts, condJaxpr, condNconsts } = params
  const [condConsts, bodyConsts, init] = cut(primals, condNconsts, bodyNconsts)
  const [, bodyDots, initDots] = cut(tangents, condNconsts, bodyNconsts)
  const body = jvpLoopBody(bodyJaxpr, bodyNconsts, present([...bodyDots, ...initDots]))
  const dotAvals = where(bodyJaxpr.outAvals, body.carryTangents).map(tangentAval)
  // The condition looks at the primals only.
  const condition = reordered(condJaxpr, [
    ...condJaxpr.inputs,
    ...dotAvals.map((aval) => new Var(aval)),
  ])
  const dots = nonzeros(bodyDots)
  const results = bindWhile(
    [
      ...condConsts,
      ...body.constants,
      ...bodyConsts,
      ...dots,
      ...init,
      ...where(initDots, body.carryTangents).map(instantiate),
    ],
    {
      bodyJaxpr: body.jaxpr,
      bodyNconsts: body.constants.length + bodyNconsts + dots.length,
      condJaxpr: condition,
      condNconsts,
    },
  )
  return {
    primals: results.slice(0, init.length),
    tangents: withZeros(results.slice(init.length), body.carryTangents, bodyJaxpr.outAvals),
  }
}

export const whilePrimitive: Primitive<WhileParams> = register(
  definePrimitive<WhileParams>({
    name: 'while',
    abstractEval: (operands, { bodyJaxpr, bodyNconsts, condJaxpr, condNconsts }) => {
      const [condConsts, bodyConsts, carry] = cut(operands, condNconsts, bodyNconsts)
      const agrees = (given: readonly Aval[], jaxpr: Jaxpr): boolean =>
        given.length === jaxpr.inputs.length &&
        given.every((aval, i) => avalsMatch(aval, jaxpr.inputs[i].aval))
      const [test] = condJaxpr.outAvals
      const fits =
        agrees([...condConsts, ...carry], condJaxpr) &&
        agrees([...bodyConsts, ...carry], bodyJaxpr) &&
        carry.length === bodyJaxpr.outputs.length &&
        carry.every((aval, i) => avalsMatch(aval, bodyJaxpr.outputs[i].aval)) &&
        test.dtype === 'bool' &&
        test.ndim === 0
      if (!fits) {
        throw new JaxprTypeError({
          op: 'while',
          problem: 'operands do not fit the condition and the body',
          operands: operands.map((aval, i) => ({ name: `operand ${i}`, aval })),
        })
      }
      return bodyJaxpr.outAvals
    },
    jvp: jvpOfWhile,
    linearize: (primals, tangentIn, params) => {
      const { bodyJaxpr, bodyNconsts, condNconsts } = params
      const body = jvpLoopBody(bodyJaxpr, bodyNconsts, tangentIn.slice(condNconsts))
      return {
        primals: bindWhile(primals, params),
        tangentOut: body.carryTangents,
        // The tangents need the loop's values again: the whole loop is run with them.
        linear: (tangents) => jvpOfWhile(primals, tangents, params).tangents,
      }
    },
    transpose: (_cotangents, operands) => {
      throw noReverse(operands)
    },
    batch: (axis, operands, dims, params) => {
      const { bodyJaxpr, bodyNconsts, condJaxpr, condNconsts } = params
      const loop = batchedLoop(
        bodyJaxpr,
        condJaxpr,
        [condNconsts, bodyNconsts],
        axis,
        dims.map((dim) => dim !== null),
      )
      const numConsts = condNconsts + bodyNconsts
      const front = operands.map((x, i) => {
        const dim = dims[i]
        if (dim !== null) return moveAxis(x, dim, 0)
        return i >= numConsts && loop.mappedCarry[i - numConsts]
          ? withMappedAxis(x, null, axis.size, 0)
          : x
      })
      const [condConsts, bodyConsts, carry] = cut(front, condNconsts, bodyNconsts)
      const conditionOperands = [...loop.conditionConstants, ...condConsts]
      const bodyOperands = loop.mappedCondition
        ? [...loop.constants, ...condConsts, ...loop.innerConstants, ...bodyConsts]
        : [...loop.constants, ...bodyConsts]
      return {
        outputs: bindWhile([...conditionOperands, ...bodyOperands, ...carry], {
          bodyJaxpr: loop.jaxpr,
          bodyNconsts: bodyOperands.length,
          condJaxpr: loop.condition,
          condNconsts: conditionOperands.length,
        }),
        dims: loop.mappedCarry.map((mapped) => (mapped ? 0 : null)),
      }
    },
    evaluate: (operands, { bodyJaxpr, bodyNconsts, condJaxpr, condNconsts }) => {
      const [condConsts, bodyConsts, init] = cut(operands, condNconsts, bodyNconsts)
      let carry = init
      while (evaluateOnHost(condJaxpr, [...condConsts, ...carry])[0].data[0] !== 0) {
        carry = evaluateOnHost(bodyJaxpr, [...bodyConsts, ...carry])
      }
      return carry
    },
    steps: (operands, { bodyJaxpr, bodyNconsts, condJaxpr, condNconsts }, run) => {
      const [condConsts, bodyConsts, init] = cut(operands, condNconsts, bodyNconsts)
      let carry = init
      while (readElements(run(condJaxpr, [...condConsts, ...carry])[0], 'whileLoop')[0]) {
        carry = run(bodyJaxpr, [...bodyConsts, ...carry])
      }
      return carry
    },
    lower: (context, operands, { bodyJaxpr, bodyNconsts, condJaxpr, condNconsts }) => {
      const [conditionConstants, bodyConstants, carries] = cut(operands, condNconsts, bodyNconsts)
      useControlFlow()
      return context.while({
        condition: condJaxpr,
        conditionConstants,
        body: bodyJaxpr,
        bodyConstants,
        carries,
      })
    },
  }),
)
