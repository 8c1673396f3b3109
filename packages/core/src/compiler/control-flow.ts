/** Programs within programs: scans, loops and branches as nodes. */
import type { Jaxpr } from '../jaxpr/ir'
import { Aval } from '../types/aval'
import type { BranchProgram, ScanProgram, Tensor, WhileProgram } from './context'
import { hoisted } from './hoist'
import type { ControlFlow, NestingContext } from './lowering'
import { stored } from './writer'

function scan(
  context: NestingContext,
  { carries, xs, length, reverse, ...loop }: ScanProgram,
): readonly Tensor[] {
  const { writer, unit } = context
  const { body, constants } = hoisting(context, loop.body, loop.constants)
  const results = body.outAvals.map((aval, i) =>
    i < carries.length ? aval : new Aval([length, ...aval.shape], aval.dtype, aval.weakType),
  )
  if (length === 0)
    return results.map((aval, i) => (i < carries.length ? carries[i] : context.constant(aval, 0)))
  const targets = results.map((aval) => writer.newBuffer(aval))
  writer.nodes.push({
    kind: 'scan',
    length,
    reverse,
    body: unit.program(body),
    constants: constants.map((x) => writer.inMemory(x)),
    initial: carries.map((x) => writer.inMemory(x)),
    xs: xs.map((x) => writer.inMemory(x)),
    final: targets.slice(0, carries.length),
    ys: targets.slice(carries.length),
  })
  return results.map((aval, i) => stored(targets[i], aval))
}

/** A program inside a loop and its constants, with what does not change computed before. */
function hoisting(
  context: NestingContext,
  body: Jaxpr,
  constants: readonly Tensor[],
): { readonly body: Jaxpr; readonly constants: readonly Tensor[] } {
  const found = hoisted(body, constants, (jaxpr, operands) => context.inline(jaxpr, operands))
  return found === null
    ? { body, constants }
    : { body: found.body, constants: [...constants, ...found.results] }
}

function whileLoop(context: NestingContext, program: WhileProgram): readonly Tensor[] {
  const { writer, unit } = context
  const condition = hoisting(context, program.condition, program.conditionConstants)
  const body = hoisting(context, program.body, program.bodyConstants)
  const targets = program.carries.map((x) => writer.newBuffer(x.aval))
  writer.nodes.push({
    kind: 'while',
    condition: unit.program(condition.body),
    conditionConstants: condition.constants.map((x) => writer.inMemory(x)),
    body: unit.program(body.body),
    bodyConstants: body.constants.map((x) => writer.inMemory(x)),
    initial: program.carries.map((x) => writer.inMemory(x)),
    final: targets,
  })
  return program.carries.map((x, i) => stored(targets[i], x.aval))
}

function branch(
  context: NestingContext,
  { index: selector, branches, operands }: BranchProgram,
): readonly Tensor[] {
  const { writer, unit } = context
  const { value } = writer.current(selector)
  if (value.kind === 'const') return context.inline(branches[Number(value.value)], operands)
  const targets = branches[0].outAvals.map((aval) => writer.newBuffer(aval))
  writer.nodes.push({
    kind: 'branch',
    index: writer.inMemory(writer.converted(selector, 'int32')),
    branches: branches.map((b) => unit.program(b)),
    operands: operands.map((x) => writer.inMemory(x)),
    targets,
  })
  return branches[0].outAvals.map((aval, i) => stored(targets[i], aval))
}

export const controlFlow: ControlFlow = { scan, while: whileLoop, branch }
