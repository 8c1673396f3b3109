/**
 * Every error class of the library.
 *
 * An error names the operation the user called, shows the operands, states the rule that was
 * broken and gives a next step; the same facts are fields, so that programs can read them.
 */

/** Anything that prints as `f32[2,3]`; avals do. */
export interface Described {
  toString(): string
}

export interface ErrorReport {
  /** The operation as the user called it, for example `matmul(a, b)`. */
  readonly op: string
  /** What is wrong, as a clause: `contracting dimensions differ`. */
  readonly problem: string
  /** Operands by the names used in `op`, with an optional remark each. */
  readonly operands?: readonly OperandReport[]
  readonly rule?: string
  readonly hint?: string
  readonly axis?: number
  /** Where in a tree, for example `params.layers[1].weight`. */
  readonly path?: string
  readonly cause?: unknown
}

export interface OperandReport {
  readonly name: string
  readonly aval: Described
  readonly note?: string
}

/** Told by `trace/interpreter.ts`, so that errors can say inside which transformations they arose. */
let describeNesting: () => string = () => ''
export function onDescribeNesting(describe: () => string): void {
  describeNesting = describe
}

function format(report: ErrorReport): string {
  const operands = report.operands ?? []
  const nameWidth = Math.max(0, ...operands.map((o) => o.name.length + 1))
  const avalWidth = Math.max(0, ...operands.map((o) => String(o.aval).length))
  const lines = [`${report.op}: ${report.problem}`]
  for (const { name, aval, note } of operands) {
    const shown = `${`${name}:`.padEnd(nameWidth)} ${String(aval)}`
    lines.push(`  ${note ? `${shown.padEnd(nameWidth + 1 + avalWidth)}   ${note}` : shown}`)
  }
  if (report.path !== undefined) lines.push(`  at: ${report.path}`)
  if (report.rule !== undefined) lines.push(`  rule: ${report.rule}`)
  if (report.hint !== undefined) lines.push(`  hint: ${report.hint}`)
  const nesting = describeNesting()
  if (nesting) lines.push(`  inside: ${nesting}`)
  return lines.join('\n')
}

/** The base of every error this library throws on purpose. */
export abstract class AdjointError extends Error {
  readonly op: string
  readonly avals: readonly Described[]
  readonly axis: number | undefined
  readonly path: string | undefined
  readonly rule: string | undefined
  readonly hint: string | undefined

  constructor(report: ErrorReport) {
    super(format(report), report.cause === undefined ? undefined : { cause: report.cause })
    this.op = report.op
    this.avals = (report.operands ?? []).map((o) => o.aval)
    this.axis = report.axis
    this.path = report.path
    this.rule = report.rule
    this.hint = report.hint
  }
}

// `name` is set from a literal, because bundlers rename classes.

/** Shapes, ranks or axes that do not fit an operation. */
export class ShapeError extends AdjointError {
  override readonly name = 'ShapeError'
}
/** A dtype that does not exist, that an operation does not take, or that a device lacks. */
export class DTypeError extends AdjointError {
  override readonly name = 'DTypeError'
}
/** An argument of the right type with an impossible value. */
export class ArgumentError extends AdjointError {
  override readonly name = 'ArgumentError'
}
/** An index, slice or mask that cannot select from the array. */
export class IndexingError extends AdjointError {
  override readonly name = 'IndexingError'
}
/** Trees whose structures differ, or a leaf that cannot be an array. */
export class TreeError extends AdjointError {
  override readonly name = 'TreeError'
}
/** A tracer used where a concrete value is needed. */
export class ConcretizationError extends AdjointError {
  override readonly name = 'ConcretizationError'
}
/** A tracer used after the transformation that made it has finished. */
export class LeakedTracerError extends AdjointError {
  override readonly name = 'LeakedTracerError'
}
/** A derivative that does not exist or is not defined for these arguments. */
export class DifferentiationError extends AdjointError {
  override readonly name = 'DifferentiationError'
}
/** A function that a transformation cannot take: async, impure in a visible way, or ill-typed. */
export class TransformationError extends AdjointError {
  override readonly name = 'TransformationError'
}
/** An array that was disposed of, or donated to a compiled program. */
export class DeletedArrayError extends AdjointError {
  override readonly name = 'DeletedArrayError'
}
/** More memory than the engine can give. */
export class OutOfMemoryError extends AdjointError {
  override readonly name = 'OutOfMemoryError'
}
/** A device that is missing, lost, or cannot do what was asked. */
export class DeviceError extends AdjointError {
  override readonly name = 'DeviceError'
}
/** A jaxpr that breaks its own typing rules: a bug in a primitive's rule or in a pass. */
export class JaxprTypeError extends AdjointError {
  override readonly name = 'JaxprTypeError'
}
