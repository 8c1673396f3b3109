/**
 * Reduce nodes. Two ways, by the axis along which groups of four lie: along a reduced axis, with
 * the lanes combined at the end (`reduce-rows.ts`), or along a kept axis, where every lane is a
 * result of its own (`reduce-columns.ts`).
 */
import type { Scalar } from '../../../compiler/expr'
import { index } from '../../../compiler/expr'
import type { ReduceNode } from '../../../compiler/nodes'
import { rowMajor } from '../../../compiler/views'
import { sizeOf } from '../../../types/aval'
import type { FunctionBuilder, ModuleBuilder } from '../emit/index'
import { VectorGraph } from '../math/index'
import { addressParameters, addressTypes, buffersOf } from './environment'
import type { CodegenEnvironment } from './environment'
import { chooseVectorAxis, insertUnitAxis, mergeAxes, permuteAxes } from './iteration'
import type { Space } from './iteration'
import { forEachRow } from './loops'
import { vectorMonoid } from './monoids'
import { reduceColumns } from './reduce-columns'
import { reduceRows } from './reduce-rows'
import { epilogueCode } from './reduction'
import type { ReduceProblem } from './reduction'

/** A reduce node as a function of its buffers' addresses, in the order of `buffersOf(node)`. */
export function emitReduce(
  module: ModuleBuilder,
  node: ReduceNode,
  env: CodegenEnvironment,
): FunctionBuilder {
  const name = env.functionName('reduce')
  if (sizeOf(node.shape) === 0) {
    return module.function({ name, params: addressTypes(buffersOf(node)), results: [] })
  }
  const { problem, alongReduced } = reduceProblem(module, name, node, env)
  if (sizeOf(node.reduced) === 0) return storeIdentities(problem)
  return alongReduced ? reduceRows(problem) : reduceColumns(problem)
}

/** The node with its axes arranged, and whether groups of four lie along a reduced one. */
export function reduceProblem(
  module: ModuleBuilder,
  name: string,
  node: ReduceNode,
  env: CodegenEnvironment,
): { readonly problem: ReduceProblem; readonly alongReduced: boolean } {
  const buffers = buffersOf(node)
  const count = sizeOf(node.reduced)
  const reductionInputs = node.reductions.map((reduction) =>
    reduction.monoid === 'argmax' || reduction.monoid === 'argmin'
      ? [reduction.value, positionAmong(node)]
      : [reduction.value],
  )
  const whole: Space = {
    shape: [...node.shape, ...node.reduced],
    values: reductionInputs.flat(),
    stores: node.stores,
  }
  const inOrder = reductionInputs.some((inputs) => inputs.length > 1)
  const { space, boundary, alongReduced } = arrange(whole, node.shape.length, inOrder)
  let next = 0
  const reductions = node.reductions.map((reduction, slot) => {
    const width = reductionInputs[slot]?.length ?? 0
    const inputs = space.values.slice(next, next + width)
    next += width
    return { monoid: vectorMonoid(reduction, count, env.features), inputs }
  })
  const problem: ReduceProblem = {
    name,
    module,
    env,
    space,
    boundary,
    reductions,
    addresses: (f) => addressParameters(f, buffers),
    addressTypes: addressTypes(buffers),
  }
  return { problem, alongReduced }
}

/** The row-major position among the reduced axes. */
const positionAmong = (node: ReduceNode): Scalar =>
  index({ offset: 0, strides: [...node.shape.map(() => 0), ...rowMajor(node.reduced).strides] })

/**
 * Merged axes, at least one on each side, and the vector axis last on its side. `inOrder` says that
 * the reduced axes must keep their order, as positions of extrema need.
 */
function arrange(
  whole: Space,
  rank: number,
  inOrder: boolean,
): { space: Space; boundary: number; alongReduced: boolean } {
  const merged = mergeAxes(whole, rank)
  let { space, boundary } = merged
  if (space.shape.length === boundary) space = insertUnitAxis(space, boundary)
  if (boundary === 0) {
    space = insertUnitAxis(space, 0)
    boundary = 1
  }
  const axes = space.shape.map((_, axis) => axis)
  const eligible = inOrder
    ? axes.filter((axis) => axis < boundary || axis === axes.length - 1)
    : axes
  const vectorAxis = chooseVectorAxis({ ...space, stores: [] }, eligible)
  const alongReduced = vectorAxis >= boundary
  const kept = axes.slice(0, boundary)
  const reduced = axes.slice(boundary)
  const moveLast = (group: readonly number[]): number[] =>
    group.includes(vectorAxis)
      ? [...group.filter((axis) => axis !== vectorAxis), vectorAxis]
      : [...group]
  const order = [...moveLast(kept), ...moveLast(reduced)]
  return { space: permuteAxes(space, order), boundary, alongReduced }
}

/** What the stores see where nothing is reduced: the identities. */
function storeIdentities(problem: ReduceProblem): FunctionBuilder {
  const { module, space, boundary } = problem
  return module.function({ name: problem.name, params: problem.addressTypes, results: [] }, (f) => {
    const epilogue = epilogueCode(f, problem, boundary - 1)
    epilogue.enterFunction()
    const part = { firstRow: 0, endRow: sizeOf(space.shape.slice(0, boundary)) }
    forEachRow(f, space.shape.slice(0, boundary), part, (position) => {
      epilogue.enterRow(position)
      const graph = new VectorGraph()
      const results = problem.reductions.map(({ monoid }) =>
        monoid.result(graph, monoid.initial(graph)),
      )
      epilogue.store({ lanes: 1, column: 0, row: 0 }, results, graph)
    })
  })
}
