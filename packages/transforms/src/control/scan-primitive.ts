/**
 * The `scan` primitive: a loop of fixed length with carries, over slices of arrays.
 *
 * Operands are constants, initial carries and scanned arrays; results are the last carries and the
 * ys, stacked. Its derivative is a scan again, in both directions: reverse mode runs the linear
 * loop backwards.
 */
import {
  type Aval,
  avalsMatch,
  Aval as AvalClass,
  bind,
  concatenate,
  definePrimitive,
  dynamicSlice,
  evaluateJaxpr,
  evaluateOnHost,
  full,
  hostArray,
  type HostArray,
  instantiate,
  isLinear,
  type Jaxpr,
  JaxprTypeError,
  type LinearOperand,
  moveAxis,
  type NDArray,
  type Primitive,
  register,
  reshape,
  sizeOf,
  type Tangent,
  useControlFlow,
  withMappedAxis,
  zerosLike,
} from '@adjoint/core/internal'
import { linearizeFlat } from '../linearize'
import { backwardPass } from '../transpose'
import { nonzeros, present, withZeros } from '../zeros'
import { count, cut, where } from './groups'
import {
  batchedBody,
  carriesAreLinear,
  fixedResiduals,
  jvpBody,
  type Layout,
  linearizedBody,
  prunedBody,
  type ScanResidual,
  steppedResiduals,
  transposedBody,
} from './scan-programs'

export type ScanParams = {
  readonly jaxpr: Jaxpr
  readonly length: number
  readonly numCarry: number
  readonly numConsts: number
  readonly reverse: boolean
  readonly unroll: number
}

export const bindScan = (operands: readonly NDArray[], params: ScanParams): readonly NDArray[] =>
  bind(scanPrimitive, operands, params)

const stacked = (aval: Aval, length: number): Aval =>
  new AvalClass([length, ...aval.shape], aval.dtype, aval.weakType)

const relaid = (params: ScanParams, jaxpr: Jaxpr, layout: Layout): ScanParams => ({
  ...params,
  jaxpr,
  numCarry: layout.numCarry,
  numConsts: layout.numConsts,
})

/** One step's slice of a stacked host array. */
function sliceOnHost(x: HostArray, step: number): HostArray {
  const shape = x.aval.shape.slice(1)
  const size = sizeOf(shape)
  const aval = new AvalClass(shape, x.aval.dtype, x.aval.weakType)
  return hostArray(aval, x.data.slice(step * size, (step + 1) * size))
}

/** A scan some of whose carries are not linear: split off what is known, transpose the rest. */
function transposeMixed(
  cotangents: readonly Tangent[],
  operands: readonly (NDArray | LinearOperand)[],
  params: ScanParams,
): readonly (Tangent | null)[] {
  const primals = operands.map((x) => (isLinear(x) ? zerosLike(x) : x))
  const { linear, tangentOut } = linearizeFlat(
    (xs) => bindScan(xs, params),
    primals,
    operands.map(isLinear),
  )
  const xBars = backwardPass(
    linear.jaxpr,
    [...linear.residuals, ...operands.filter(isLinear)],
    where(cotangents, tangentOut),
  ).slice(linear.residuals.length)
  let next = 0
  return operands.map((x) => (isLinear(x) ? xBars[next++] : null))
}

export const scanPrimitive: Primitive<ScanParams> = register(
  definePrimitive<ScanParams>({
    name: 'scan',
    abstractEval: (operands, { jaxpr, length, numCarry, numConsts }) => {
      const [consts, carry, xs] = cut(operands, numConsts, numCarry)
      const slices = xs.map((x) => new AvalClass(x.shape.slice(1), x.dtype, x.weakType))
      const given = [...consts, ...carry, ...slices]
      const fits =
        given.length === jaxpr.inputs.length &&
        given.every((aval, i) => avalsMatch(aval, jaxpr.inputs[i].aval)) &&
        carry.every((aval, i) => avalsMatch(aval, jaxpr.outputs[i].aval))
      if (!fits) {
        throw new JaxprTypeError({
          op: 'scan',
          problem: 'operands do not fit the body',
          operands: given.map((aval, i) => ({
            name: `operand ${i}`,
            aval,
            note: `the body takes ${jaxpr.inputs[i]?.aval.toString() ?? 'nothing'}`,
          })),
        })
      }
      const [carryOut, ys] = cut(jaxpr.outAvals, numCarry)
      return [...carryOut, ...ys.map((y) => stacked(y, length))]
    },

    jvp: (primals, tangents, params) => {
      const { numConsts, numCarry, jaxpr, length } = params
      const body = jvpBody(jaxpr, params, present(tangents))
      const [c, s, x] = cut(primals, numConsts, numCarry)
      const [cDot, sDot, xDot] = cut(tangents, numConsts, numCarry)
      const results = bindScan(
        [
          ...body.constants,
          ...c,
          ...nonzeros(cDot),
          ...s,
          ...where(sDot, body.carryTangents).map(instantiate),
          ...x,
          ...nonzeros(xDot),
        ],
        relaid(params, body.jaxpr, body.layout),
      )
      const numYs = jaxpr.outputs.length - numCarry
      const [sOut, sDotOut, y, yDot] = cut(results, numCarry, count(body.carryTangents), numYs)
      const avals = jaxpr.outAvals.map((aval, i) => (i < numCarry ? aval : stacked(aval, length)))
      return {
        primals: [...sOut, ...y],
        tangents: withZeros(
          [...sDotOut, ...yDot],
          [...body.carryTangents, ...body.yTangents],
          avals,
        ),
      }
    },

    linearize: (primals, tangentIn, params) => {
      const { numConsts, numCarry, jaxpr, length } = params
      const body = linearizedBody(jaxpr, params, tangentIn)
      const [consts, , xs] = cut(primals, numConsts, numCarry)
      const results = bindScan(
        [...body.constants, ...primals],
        relaid(params, body.jaxpr, { numConsts: body.constants.length + numConsts, numCarry }),
      )
      const ys = results.slice(numCarry)
      const hoisted = evaluateJaxpr(body.prologue, [...body.constants, ...consts])
      const sources = { constant: consts, hoisted, scanned: xs, stacked: ys }
      const valueOf = ({ kind, index }: ScanResidual): NDArray => sources[kind][index]
      const fixed = fixedResiduals(body).map(valueOf)
      const stepped = steppedResiduals(body).map(valueOf)
      const tangentOut = [...body.carryTangents, ...body.yTangents]
      const avals = jaxpr.outAvals.map((aval, i) => (i < numCarry ? aval : stacked(aval, length)))
      return {
        primals: results.slice(0, jaxpr.outputs.length),
        tangentOut,
        linear: (tangents) => {
          const [cDot, sDot, xDot] = cut(tangents, numConsts, numCarry)
          const dots = bindScan(
            [
              ...fixed,
              ...nonzeros(cDot),
              ...where(sDot, body.carryTangents).map(instantiate),
              ...stepped,
              ...nonzeros(xDot),
            ],
            relaid(params, body.linear, {
              numConsts: fixed.length + nonzeros(cDot).length,
              numCarry: count(body.carryTangents),
            }),
          )
          return withZeros(dots, tangentOut, avals)
        },
      }
    },

    transpose: (cotangents, operands, params) => {
      const { numConsts, numCarry, jaxpr, reverse } = params
      const [consts, , xs] = cut(operands, numConsts, numCarry)
      if (!carriesAreLinear(jaxpr, params, operands.map(isLinear))) {
        return transposeMixed(cotangents, operands, params)
      }
      const [sBars, yBars] = cut(cotangents, numCarry)
      const body = transposedBody(jaxpr, params, operands.map(isLinear), present(yBars))
      const linearConsts = consts.filter(isLinear)
      const linearXs = xs.filter(isLinear)
      const values = (list: readonly (NDArray | LinearOperand)[]): NDArray[] =>
        list.filter((x): x is NDArray => !isLinear(x))
      const results = bindScan(
        [
          ...body.constants,
          ...values(consts),
          ...where(linearConsts, body.constCotangents).map((c) => zerosLike(c)),
          ...sBars.map(instantiate),
          ...nonzeros(yBars),
          ...values(xs),
        ],
        { ...relaid(params, body.jaxpr, body.layout), reverse: !reverse },
      )
      const [cBars, sBarsIn, xBars] = cut(results, count(body.constCotangents), numCarry)
      const avalsOf = (list: readonly LinearOperand[]): readonly Aval[] => list.map((x) => x.aval)
      const constAnswers = withZeros(cBars, body.constCotangents, avalsOf(linearConsts))
      const xAnswers = withZeros(xBars, body.xCotangents, avalsOf(linearXs))
      let [nextConst, nextX] = [0, 0]
      return operands.map((x, i) => {
        if (!isLinear(x)) return null
        if (i < numConsts) return constAnswers[nextConst++]
        return i < numConsts + numCarry ? sBarsIn[i - numConsts] : xAnswers[nextX++]
      })
    },

    batch: (axis, operands, dims, params) => {
      const { numConsts, numCarry, jaxpr } = params
      const body = batchedBody(
        jaxpr,
        params,
        axis,
        dims.map((dim) => dim !== null),
      )
      const aligned = operands.map((x, i) => {
        const dim = dims[i]
        const isCarry = i >= numConsts && i < numConsts + numCarry
        if (dim === null) {
          return isCarry && body.mappedCarry[i - numConsts] ? repeated(x, axis.size) : x
        }
        // The scanned axis stays in front of the mapped one.
        return moveAxis(x, dim, i < numConsts + numCarry ? 0 : 1)
      })
      const outputs = bindScan(
        [...body.constants, ...aligned],
        relaid(params, body.jaxpr, { numConsts: body.constants.length + numConsts, numCarry }),
      )
      return {
        outputs,
        dims: body.mappedOut.map((mapped, i) => (mapped ? (i < numCarry ? 0 : 1) : null)),
      }
    },

    evaluate: (operands, { jaxpr, length, numCarry, numConsts, reverse }, outputs) => {
      const [consts, init, xs] = cut(operands, numConsts, numCarry)
      const ys = outputs.slice(numCarry).map((aval) => hostArray(aval))
      let carry = init
      for (let i = 0; i < length; i++) {
        const step = reverse ? length - 1 - i : i
        const results = evaluateOnHost(jaxpr, [
          ...consts,
          ...carry,
          ...xs.map((x) => sliceOnHost(x, step)),
        ])
        carry = results.slice(0, numCarry)
        results.slice(numCarry).forEach((y, k) => ys[k].data.set(y.data, step * y.data.length))
      }
      return [...carry, ...ys]
    },

    steps: (operands, { jaxpr, length, numCarry, numConsts, reverse }, run) => {
      const [consts, init, xs] = cut(operands, numConsts, numCarry)
      const rows: (readonly NDArray[])[] = []
      let carry = init
      for (let i = 0; i < length; i++) {
        const step = reverse ? length - 1 - i : i
        const results = run(jaxpr, [...consts, ...carry, ...xs.map((x) => rowOf(x, step))])
        carry = results.slice(0, numCarry)
        rows[step] = results.slice(numCarry)
      }
      const ys = jaxpr.outAvals.slice(numCarry).map((aval, k) => {
        const column = rows.map((row) => reshape(row[k], { newSizes: [1, ...aval.shape] }))
        return length === 0
          ? full([0, ...aval.shape], 0, aval.dtype)
          : concatenate(column, { dimension: 0 })
      })
      return [...carry, ...ys]
    },

    lower: (context, operands, { jaxpr, length, numCarry, numConsts, reverse }) => {
      useControlFlow()
      const [constants, carries, xs] = cut(operands, numConsts, numCarry)
      return context.scan({ body: jaxpr, constants, carries, xs, length, reverse })
    },

    prune: (params, usedOutputs) => {
      const { numConsts, numCarry } = params
      const pruned = prunedBody(params.jaxpr, params, usedOutputs)
      if (pruned.jaxpr === params.jaxpr) return null
      return {
        params: relaid(params, pruned.jaxpr, {
          numConsts: count(pruned.usedInputs.slice(0, numConsts)),
          numCarry: count(pruned.keptCarry),
        }),
        usedInputs: pruned.usedInputs,
        keptOutputs: [...pruned.keptCarry, ...usedOutputs.slice(numCarry)],
      }
    },
  }),
)

/** One step's slice of a scanned array. */
function rowOf(x: NDArray, step: number): NDArray {
  const shape = x.shape.slice(1)
  const starts = x.shape.map((_, axis) => full([], axis === 0 ? step : 0, 'int32'))
  return reshape(dynamicSlice(x, starts, { sliceSizes: [1, ...shape] }), { newSizes: shape })
}

/** The same carry for every example. */
const repeated = (x: NDArray, size: number): NDArray => withMappedAxis(x, null, size, 0)
