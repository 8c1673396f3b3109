/**
 * Bodies of derived scans: what a scan's jvp, linearization, transpose and batching loop over.
 * Each is staged once per body and remembered.
 */
import {
  addTangents,
  type Atom,
  evaluateJaxpr,
  instantiate,
  isVar,
  Jaxpr,
  type MappedAxis,
  pruneJaxpr,
  type Tangent,
  tangentAval,
  type Var,
} from '@adjoint/core/internal'
import { type ClosedProgram, derivedOnce, flagsKey, stageWith } from '../derived'
import { jvpJaxpr } from '../jvp'
import { linearizeJaxpr } from '../linearize'
import { transposeJaxpr } from '../transpose'
import { type BatchedProgram, batchJaxpr } from '../vmap'
import { carriedFixpoint, count, cut, every, none, reordered, where } from './groups'

/** How many operands of a body are constants and carries; the others are slices. */
export interface Layout {
  readonly numConsts: number
  readonly numCarry: number
}
const layoutKey = ({ numConsts, numCarry }: Layout): string => `${numConsts},${numCarry}`

/** Which constants, carries and slices something is true of. */
const grouped = (
  consts: readonly boolean[],
  carry: readonly boolean[],
  xs: readonly boolean[],
): readonly boolean[] => [...consts, ...carry, ...xs]

export interface JvpBody extends ClosedProgram {
  readonly layout: Layout
  readonly carryTangents: readonly boolean[]
  readonly yTangents: readonly boolean[]
}

/** Carries with their tangents, slices with theirs. */
export const jvpBody = derivedOnce(
  (layout: Layout, tangentIn: readonly boolean[]) => `${layoutKey(layout)}|${flagsKey(tangentIn)}`,
  (body, { numConsts, numCarry }, tangentIn): JvpBody => {
    const numYs = body.outputs.length - numCarry
    const [consts, init, xs] = cut(tangentIn, numConsts, numCarry)
    const forced = (carry: readonly boolean[]) => [...carry, ...none(numYs)]
    const derive = (carry: readonly boolean[]) =>
      jvpJaxpr(body, grouped(consts, carry, xs), forced(carry))
    const carry = carriedFixpoint(init, (c) => derive(c).tangentOut.slice(0, numCarry))
    const { jaxpr, constants, tangentOut } = derive(carry)
    const [k, c, s, x, cDot, sDot, xDot] = cut(
      jaxpr.inputs,
      constants.length,
      numConsts,
      numCarry,
      xs.length,
      count(consts),
      count(carry),
    )
    const [sOut, yOut, sDotOut, yDotOut] = cut(jaxpr.outputs, numCarry, numYs, count(carry))
    return {
      jaxpr: reordered(
        jaxpr,
        [...k, ...c, ...cDot, ...s, ...sDot, ...x, ...xDot],
        [...sOut, ...sDotOut, ...yOut, ...yDotOut],
      ),
      constants,
      layout: {
        numConsts: constants.length + numConsts + count(consts),
        numCarry: numCarry + count(carry),
      },
      carryTangents: carry,
      yTangents: tangentOut.slice(numCarry),
    }
  },
)

/** Where the linear loop finds a residual. */
export type ScanResidual =
  /** The same in every step: an operand of the scan, or computed before it. */
  | { readonly kind: 'constant'; readonly index: number }
  | { readonly kind: 'hoisted'; readonly index: number }
  /** One per step: a scanned operand, or a y of the scan. */
  | { readonly kind: 'scanned'; readonly index: number }
  | { readonly kind: 'stacked'; readonly index: number }

export interface LinearizedBody extends ClosedProgram {
  readonly carryTangents: readonly boolean[]
  readonly yTangents: readonly boolean[]
  /** From the constants to residuals that no step changes. */
  readonly prologue: Jaxpr
  readonly residuals: readonly ScanResidual[]
  /** Constants: fixed residuals and tangents; carries; slices: residuals and tangents. */
  readonly linear: Jaxpr
}

const isFixed = ({ kind }: ScanResidual): boolean => kind === 'constant' || kind === 'hoisted'

/** Residuals of each kind in the order in which the linear loop takes them. */
export const fixedResiduals = (body: LinearizedBody): readonly ScanResidual[] =>
  body.residuals.filter(isFixed)
export const steppedResiduals = (body: LinearizedBody): readonly ScanResidual[] =>
  body.residuals.filter((r) => !isFixed(r))

/**
 * The body split into its value and its derivative. A residual that depends on constants only is
 * computed once, before the loop; a residual that is a slice of a scanned operand is not stored
 * again; only what is left is stacked.
 */
export const linearizedBody = derivedOnce(
  (layout: Layout, tangentIn: readonly boolean[]) => `${layoutKey(layout)}|${flagsKey(tangentIn)}`,
  (body, { numConsts, numCarry }, tangentIn): LinearizedBody => {
    const numYs = body.outputs.length - numCarry
    const [consts, init, xs] = cut(tangentIn, numConsts, numCarry)
    const derive = (carry: readonly boolean[]) =>
      linearizeJaxpr(body, grouped(consts, carry, xs), [...carry, ...none(numYs)])
    const carry = carriedFixpoint(init, (c) => derive(c).tangentOut.slice(0, numCarry))
    const program = derive(carry)
    const { jaxpr, constants } = program
    const inputs = jaxpr.inputs.slice(constants.length)

    const fixed = loopInvariant(jaxpr, constants.length + numConsts)
    const outputs: Atom[] = jaxpr.outputs.slice(0, body.outputs.length)
    const hoisted: Var[] = []
    const stack = (atom: Atom): ScanResidual => {
      const known = outputs.indexOf(atom, numCarry)
      if (known >= 0) return { kind: 'stacked', index: known - numCarry }
      outputs.push(atom)
      return { kind: 'stacked', index: outputs.length - 1 - numCarry }
    }
    const residuals = program.residuals.map(({ from, index }): ScanResidual => {
      if (from === 'input') {
        if (index < numConsts) return { kind: 'constant', index }
        if (index >= numConsts + numCarry)
          return { kind: 'scanned', index: index - numConsts - numCarry }
        return stack(inputs[index])
      }
      const atom = jaxpr.outputs[index]
      if (isVar(atom) && fixed.has(atom)) {
        hoisted.push(atom)
        return { kind: 'hoisted', index: hoisted.length - 1 }
      }
      return stack(atom)
    })

    const r = program.residuals.length
    const [res, cDot, sDot, xDot] = cut(program.linear.inputs, r, count(consts), count(carry))
    const fixedFlags = residuals.map(isFixed)
    const stepped = fixedFlags.map((flag) => !flag)
    const linear = reordered(program.linear, [
      ...where(res, fixedFlags),
      ...cDot,
      ...sDot,
      ...where(res, stepped),
      ...xDot,
    ])
    linearInCarries.add(linear)
    return {
      jaxpr: pruneJaxpr(
        new Jaxpr(jaxpr.inputs, jaxpr.equations, outputs, jaxpr.name),
        outputs.map(() => true),
        () => true,
      ).jaxpr,
      constants,
      carryTangents: carry,
      yTangents: program.tangentOut.slice(numCarry),
      prologue: pruneJaxpr(
        new Jaxpr(
          jaxpr.inputs.slice(0, constants.length + numConsts),
          jaxpr.equations.filter((e) => e.outputs.some((v) => fixed.has(v))),
          hoisted,
          jaxpr.name,
        ),
        every(hoisted.length),
        () => true,
      ).jaxpr,
      residuals,
      linear,
    }
  },
)

/** The variables that depend on nothing but the first inputs. */
function loopInvariant(jaxpr: Jaxpr, numInputs: number): ReadonlySet<Var> {
  const fixed = new Set(jaxpr.inputs.slice(0, numInputs))
  for (const { inputs, outputs } of jaxpr.equations) {
    if (inputs.every((atom) => !isVar(atom) || fixed.has(atom)))
      for (const v of outputs) fixed.add(v)
  }
  return fixed
}

/** Linear bodies: by construction, linear in all carries. */
const linearInCarries = new WeakSet<Jaxpr>()

/**
 * Whether every carry is linear: it starts linear, or linear values flow into it. A carry may well
 * start as a constant, such as a sum that starts at zero.
 */
export function carriesAreLinear(
  body: Jaxpr,
  { numConsts, numCarry }: Layout,
  linear: readonly boolean[],
): boolean {
  if (linearInCarries.has(body)) return true
  const [consts, init, xs] = cut(linear, numConsts, numCarry)
  const reached = carriedFixpoint(init, (carry) => {
    const dependent = new Set<Atom>(where(body.inputs, grouped(consts, carry, xs)))
    for (const { inputs, outputs } of body.equations) {
      if (inputs.some((atom) => dependent.has(atom))) for (const v of outputs) dependent.add(v)
    }
    return body.outputs.slice(0, numCarry).map((atom) => dependent.has(atom))
  })
  return reached.every(Boolean)
}

export interface TransposedBody extends ClosedProgram {
  readonly layout: Layout
  /** Which linear constants, and which linear slices, have a cotangent that may be nonzero. */
  readonly constCotangents: readonly boolean[]
  readonly xCotangents: readonly boolean[]
}

/**
 * The body of the backward loop. Its carries are the sums of the constants' cotangents so far and
 * the carries' cotangents; its ys are the slices' cotangents.
 *
 * @param linear which constants and which slices are linear; all carries are taken to be
 * @param yBars which ys have a cotangent
 */
export const transposedBody = derivedOnce(
  (layout: Layout, linear: readonly boolean[], yBars: readonly boolean[]) =>
    `${layoutKey(layout)}|${flagsKey(linear)}|${flagsKey(yBars)}`,
  (body, { numConsts, numCarry }, linear, yBars): TransposedBody => {
    const [constLinear, carryLinear, xLinear] = cut(linear, numConsts, numCarry)
    const allLinear = every(carryLinear.length)
    const force = [...none(count(constLinear)), ...allLinear, ...none(count(xLinear))]
    const program = transposeJaxpr(
      body,
      grouped(constLinear, allLinear, xLinear),
      [...every(numCarry), ...yBars],
      force,
    )
    const { jaxpr, constants, cotangentOut } = program
    const constCotangents = cotangentOut.slice(0, count(constLinear))
    const xCotangents = cotangentOut.slice(count(constLinear) + numCarry)
    const [constAvals, carryAvals, xAvals] = cut(body.inAvals, numConsts, numCarry)
    const valueConsts = constLinear.map((flag) => !flag)
    const valueXs = xLinear.map((flag) => !flag)
    const sumAvals = where(where(constAvals, constLinear), constCotangents).map(tangentAval)
    const yAvals = where(body.outAvals.slice(numCarry), yBars)
    const staged = stageWith(
      (inputs) => {
        const [k, cValues, sums, sBars, yBarSlices, xValues] = cut(
          inputs,
          constants.length,
          count(valueConsts),
          sumAvals.length,
          numCarry,
          yAvals.length,
        )
        const results = evaluateJaxpr(jaxpr, [
          ...k,
          ...cValues,
          ...xValues,
          ...sBars,
          ...yBarSlices,
        ])
        const [cBars, sBarsOut, xBars] = cut(results, sumAvals.length, numCarry)
        const total = sums.map((sum, i): Tangent => addTangents(sum, cBars[i])).map(instantiate)
        return { outputs: [...total, ...sBarsOut, ...xBars], facts: null }
      },
      [
        ...constants.map((c) => c.aval),
        ...where(constAvals, valueConsts),
        ...sumAvals,
        ...carryAvals.map(tangentAval),
        ...yAvals.map(tangentAval),
        ...where(xAvals, valueXs),
      ],
      'transpose',
      body.name,
    )
    return {
      jaxpr: staged.jaxpr,
      constants: [...staged.constants, ...constants],
      layout: {
        numConsts: staged.constants.length + constants.length + count(valueConsts),
        numCarry: sumAvals.length + numCarry,
      },
      constCotangents,
      xCotangents,
    }
  },
)

export interface BatchedBody extends BatchedProgram {
  readonly mappedCarry: readonly boolean[]
}

/** The body over a mapped axis. */
export const batchedBody = derivedOnce(
  (layout: Layout, axis: MappedAxis, mappedIn: readonly boolean[]) =>
    `${layoutKey(layout)}|${axis.size}|${axis.name ?? ''}|${flagsKey(mappedIn)}`,
  (body, { numConsts, numCarry }, axis, mappedIn): BatchedBody => {
    const numYs = body.outputs.length - numCarry
    const [consts, init, xs] = cut(mappedIn, numConsts, numCarry)
    const derive = (carry: readonly boolean[]) =>
      batchJaxpr(body, axis, grouped(consts, carry, xs), [...carry, ...none(numYs)])
    const carry = carriedFixpoint(init, (c) => derive(c).mappedOut.slice(0, numCarry))
    return { ...derive(carry), mappedCarry: carry }
  },
)

/** Which operands the used results of a scan need, and its body without the rest. */
export function prunedBody(
  body: Jaxpr,
  { numConsts, numCarry }: Layout,
  usedOutputs: readonly boolean[],
): {
  readonly jaxpr: Jaxpr
  readonly usedInputs: readonly boolean[]
  readonly keptCarry: readonly boolean[]
} {
  const [usedCarry, usedYs] = cut(usedOutputs, numCarry)
  const keptCarry = carriedFixpoint(usedCarry, (carry) =>
    pruneJaxpr(body, [...carry, ...usedYs]).usedInputs.slice(numConsts, numConsts + numCarry),
  )
  const isKept = (i: number): boolean => i >= numConsts && keptCarry[i - numConsts] === true
  const pruned = pruneJaxpr(body, [...keptCarry, ...usedYs], isKept)
  if (linearInCarries.has(body)) linearInCarries.add(pruned.jaxpr)
  return { ...pruned, keptCarry }
}
