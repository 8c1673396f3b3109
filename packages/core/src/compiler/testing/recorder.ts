/** Small programs for the tests of the compiler: equations with a lowering rule, recorded by hand. */
import { useControlFlow, useWholePrograms } from '../../backends/wasm/rare'
import { type Atom, type Equation, Jaxpr, Literal, Var } from '../../jaxpr/ir'
import { definePrimitive, type LowerRule, nonlinear, type Params } from '../../trace/primitive'
import { Aval, type Shape } from '../../types/aval'
import type { DType } from '../../types/dtype'
import type { LoweringContext, Tensor } from '../context'
import { binary, type BinaryOp, unary, type UnaryOp } from '../expr'
import { allocateCells, type Cells, interpret, plannedMemory, separateMemory } from '../interpret'
import type { Program } from '../nodes'
import type { Plan } from '../plan'
import { alongAxis } from '../views'

// --- jaxprs from lowering rules ------------------------------------------------------------------------

// What primitives that hold programs do, and the entry point that transformations import.
useControlFlow()
useWholePrograms()

const unused = (): never => {
  throw new Error('only lowered in these tests')
}

export const lowered = (name: string, lower: LowerRule<Params>) =>
  definePrimitive<Params>({
    name,
    abstractEval: unused,
    jvp: unused,
    transpose: nonlinear,
    batch: unused,
    evaluate: unused,
    lower,
  })

export function equation(
  name: string,
  inputs: readonly Atom[],
  avals: readonly Aval[],
  lower: LowerRule<Params>,
): Equation {
  return {
    primitive: lowered(name, lower),
    inputs,
    outputs: avals.map((a) => new Var(a)),
    params: {},
  }
}

/** Builds a jaxpr by calling operations on its variables. */
export class Recorder {
  readonly equations: Equation[] = []
  readonly inputs: Var[] = []

  input(shape: Shape, dtype: DType = 'float32'): Var {
    const v = new Var(new Aval(shape, dtype))
    this.inputs.push(v)
    return v
  }

  apply(
    name: string,
    inputs: readonly Atom[],
    aval: Aval,
    lower: (context: LoweringContext, ...operands: Tensor[]) => Tensor,
  ): Var {
    return this.applyAll(name, inputs, [aval], (c, ...operands) => [lower(c, ...operands)])[0]
  }

  applyAll(
    name: string,
    inputs: readonly Atom[],
    avals: readonly Aval[],
    lower: (context: LoweringContext, ...operands: Tensor[]) => readonly Tensor[],
  ): readonly Var[] {
    const made = equation(name, inputs, avals, (context, operands) => lower(context, ...operands))
    this.equations.push(made)
    return made.outputs
  }

  unary(op: UnaryOp, x: Atom): Var {
    return this.apply(op, [x], x.aval, (c, a) =>
      c.map(x.aval, (e) => unary(op, x.aval.dtype, e), a),
    )
  }

  binary(op: BinaryOp, x: Atom, y: Atom): Var {
    const { dtype } = x.aval
    return this.apply(op, [x, y], x.aval, (c, a, b) =>
      c.map(x.aval, (e, f) => binary(op, dtype, e, f), a, b),
    )
  }

  /** Broadcast into `shape`: axis `i` of the operand becomes axis `axes[i]`. */
  broadcast(x: Atom, shape: Shape, axes: readonly number[]): Var {
    const aval = new Aval(shape, x.aval.dtype)
    return this.apply('broadcast', [x], aval, (c, a) =>
      c.reindex(
        a,
        aval,
        axes.map((axis) => alongAxis(shape.length, axis)),
      ),
    )
  }

  transpose(x: Atom, order: readonly number[]): Var {
    const aval = new Aval(
      order.map((axis) => x.aval.shape[axis]),
      x.aval.dtype,
    )
    const source = x.aval.shape.map((_, axis) => alongAxis(aval.ndim, order.indexOf(axis)))
    return this.apply('transpose', [x], aval, (c, a) => c.reindex(a, aval, source))
  }

  reshape(x: Atom, shape: Shape): Var {
    const aval = new Aval(shape, x.aval.dtype)
    return this.apply('reshape', [x], aval, (c, a) => c.reshape(a, aval))
  }

  reduce(monoid: 'sum' | 'max', x: Atom, axes: readonly number[]): Var {
    const aval = new Aval(
      x.aval.shape.filter((_, axis) => !axes.includes(axis)),
      x.aval.dtype,
    )
    return this.apply('reduce', [x], aval, (c, a) => c.reduce(monoid, a, axes, aval))
  }

  /** `x[m, k] · y[k, n]`. */
  matmul(x: Atom, y: Atom): Var {
    const [m, k] = x.aval.shape
    const n = y.aval.shape[1]
    const aval = new Aval([m, n], x.aval.dtype)
    const transposed = new Aval([n, k], x.aval.dtype)
    return this.apply('matmul', [x, y], aval, (c, a, b) =>
      c.contract({
        batch: [],
        m: [m],
        n: [n],
        k: [k],
        lhs: a,
        rhs: c.reindex(b, transposed, [alongAxis(2, 1), alongAxis(2, 0)]),
        aval,
      }),
    )
  }

  jaxpr(outputs: readonly Atom[], name = 'test'): Jaxpr {
    return new Jaxpr(this.inputs, this.equations, outputs, name)
  }
}

export const scalar = (value: number, dtype: DType = 'float32'): Literal =>
  new Literal(value, new Aval([], dtype))

// --- running -------------------------------------------------------------------------------------------

export type Numbers = readonly number[]

const filled = (dtype: DType, values: Numbers): Cells => {
  const cells = allocateCells(dtype, values.length)
  values.forEach((value, i) => cells.set(i, value))
  return cells
}

/** Without the sign of zeros, which a product of depth one may keep and a sum loses. */
const contents = (cells: Cells): Numbers =>
  Array.from({ length: cells.size }, (_, i) => cells.get(i) + 0)

/** Runs with every buffer apart. */
export function runSeparately(program: Program, inputs: readonly Numbers[]): readonly Numbers[] {
  const memory = separateMemory(
    new Map(program.inputs.map((b, i) => [b, filled(b.dtype, inputs[i])])),
  )
  interpret(program, memory)
  return program.outputs.map((b) => contents(memory.cells(b)))
}

/** Runs in one arena full of garbage, with donated storage really reused. */
export function runPlanned(
  program: Program,
  plan: Plan,
  inputs: readonly Numbers[],
): readonly Numbers[] {
  const arena = new ArrayBuffer(plan.arenaBytes)
  new Uint8Array(arena).fill(0xa5)
  const given = program.inputs.map((b, i) => filled(b.dtype, inputs[i]))
  const results = program.outputs.map((b, i) => {
    const input = plan.outputStorage[i]
    return input === null ? allocateCells(b.dtype, b.size) : given[input]
  })
  const places = new Map<Program['inputs'][number], Cells>()
  program.inputs.forEach((b, i) => places.set(b, given[i]))
  program.outputs.forEach((b, i) => places.set(b, results[i]))
  interpret(program, plannedMemory(plan, arena, 0, places))
  return results.map(contents)
}
