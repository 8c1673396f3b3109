import { binary, select } from '../../../compiler/expr'
import type { SelectAndScatterNode } from '../../../compiler/nodes'
import { rowMajor } from '../../../compiler/views'
import { sizeOf } from '../../../types/aval'
import { bytesOf } from '../../../types/dtype'
import type { CodegenEnvironment } from '../codegen/environment'
import { addressTypes, buffersOf } from '../codegen/environment'
import { forEachRow } from '../codegen/loops'
import type { LaneCount } from '../codegen/memory-forms'
import type { FunctionBuilder, I32Operand, Local, ModuleBuilder } from '../emit/index'
import { v128 } from '../emit/index'
import { shareOf } from '../codegen/threads'
import { VectorGraph } from '../math/index'
import type { Vec } from '../math/index'
import { combineLane } from './combine-lane'
import { assignAndStore, evaluate, newValue, readGroup, variable } from './lane-values'

/** A window of up to so many elements is written out; a larger one is walked by loops. */
const UNROLLED = 16

/**
 * For every window the position of its first extremum, to which the source element is added. An
 * element stands as long as it compares with the next one, so what follows a NaN replaces it. Windows go in vectors when they do not extend along the last axis. Threads share the first
 * axis, along which windows must not overlap.
 */
export function emitSelectAndScatter(
  module: ModuleBuilder,
  node: SelectAndScatterNode,
  env: CodegenEnvironment,
): FunctionBuilder {
  const { operandShape, sourceShape, geometry, operand, source, target } = node
  const { features } = env
  const { dtype } = operand
  const bytes = bytesOf(dtype)
  const buffers = buffersOf(node)
  const rank = operandShape.length
  const operandSteps = rowMajor(operandShape).strides.map((stride) => stride * bytes)
  const windowSteps = operandSteps.map((step, axis) => step * (geometry.strides[axis] ?? 1))
  const signature = {
    name: env.functionName('selectAndScatter'),
    params: addressTypes(buffers),
    results: [],
  }
  return module.function(signature, (f) => {
    if (sourceShape.includes(0)) return
    const addressOf = (id: number): Local<'i32'> =>
      f.param(
        buffers.findIndex((buffer) => buffer.id === id),
        'i32',
      )
    const columns = sourceShape.at(-1) ?? 1
    const inVectors =
      rank > 0 && geometry.window.at(-1) === 1 && geometry.strides.at(-1) === 1 && columns > 1
    const [best, addend] = [newValue(f, dtype), newValue(f, dtype)]
    const bestAt = f.local('v128')
    const [window, from, address, column] = Array.from({ length: 4 }, () => f.local('i32'))
    /** How far behind the first element of its window an element is. */
    const placeOf = (graph: VectorGraph, delta: number, at: Local<'i32'>): Vec =>
      at === window
        ? graph.constant(v128.i32x4(delta))
        : graph.operation(`distance ${delta}`, [], () => {
            f.get(at).get(window).op('i32.sub').op('i32x4.splat')
          })
    const consider = (lanes: LaneCount, first: boolean, delta: number, at: Local<'i32'>): void => {
      const graph = new VectorGraph()
      const value = readGroup(graph, { dtype, pointer: at, delta, lanes })
      const place = placeOf(graph, delta, at)
      if (first) {
        return assignAndStore(
          f,
          graph,
          [
            { to: best, value },
            { to: [bestAt], value: [place] },
          ],
          null,
        )
      }
      const variables = [
        best.map((local) => graph.local(local)),
        value,
        [graph.local(bestAt)],
        [place],
      ]
      const [old, next] = [variable(dtype, 0), variable(dtype, 1)]
      const stands = binary(node.which === 'max' ? 'ge' : 'le', 'bool', old, next)
      const choose = (x: typeof old, y: typeof old) =>
        evaluate(graph, features, select(stands, y, x), variables)
      assignAndStore(
        f,
        graph,
        [
          { to: best, value: choose(next, old) },
          { to: [bestAt], value: choose(variable('int32', 3), variable('int32', 2)) },
        ],
        null,
      )
    }

    /** Pushes where the target of the operand's element at a pointer is. */
    const pushTarget = (at: Local<'i32'>): FunctionBuilder =>
      f.get(at).get(addressOf(operand.id)).op('i32.sub').get(addressOf(target.id)).op('i32.add')

    /** Of elements side by side each window has its own; those that are its extremum get the addend. */
    const addWhereBest = (lanes: LaneCount, delta: number, at: Local<'i32'>): void => {
      const graph = new VectorGraph()
      pushTarget(at).set(address)
      const group = { dtype, pointer: address, delta: at === window ? delta : 0, lanes }
      const [old, more] = [variable(dtype, 0), variable(dtype, 1)]
      const isBest = binary('eq', 'bool', variable('int32', 2), variable('int32', 3))
      const formula = select(isBest, binary('add', dtype, old, more), old)
      const value = evaluate(graph, features, formula, [
        readGroup(graph, group),
        addend.map((local) => graph.local(local)),
        [graph.local(bestAt)],
        [placeOf(graph, delta, at)],
      ])
      assignAndStore(f, graph, [], { group, value })
    }

    const group = (lanes: LaneCount): void => {
      forWindow(f, node, operandSteps, window, (first, delta, at) =>
        consider(lanes, first, delta, at),
      )
      const graph = new VectorGraph()
      const read = readGroup(graph, { dtype, pointer: from, delta: 0, lanes })
      assignAndStore(f, graph, [{ to: addend, value: read }], null)
      if (lanes === 1) {
        pushTarget(window).get(bestAt).lane('i32x4.extract_lane', 0).op('i32.add').set(address)
        combineLane(f, features, 'add', dtype, address, addend, 0)
      } else {
        forWindow(f, node, operandSteps, window, (first, delta, at) => {
          // Loops come by the first element again.
          if (!first || sizeOf(geometry.window) <= UNROLLED) addWhereBest(lanes, delta, at)
        })
      }
      f.add(from, lanes * bytes)
      f.add(window, lanes * (windowSteps.at(-1) ?? 0)).add(column, lanes)
    }

    const outer = sourceShape.slice(0, -1)
    const rows = outer.reduce((size, n) => size * n, 1)
    const { from: firstRow, to: endRow } = shareOf(env, f, rows, rows / (sourceShape[0] ?? 1))
    f.get(addressOf(source.id)).push(firstRow)
    f.i32Const(columns * bytes)
      .op('i32.mul')
      .op('i32.add')
      .set(from)
    const walk = (position: readonly I32Operand[]): void => {
      env.threads?.beat(f)
      f.get(addressOf(operand.id))
      position.forEach((index, axis) => {
        f.push(index)
          .i32Const(windowSteps[axis] ?? 0)
          .op('i32.mul')
          .op('i32.add')
      })
      f.set(window)
      f.i32Const(0).set(column)
      const lanes = inVectors ? 4 : 1
      f.whileLoop(
        () =>
          f
            .get(column)
            .i32Const(columns - lanes)
            .op('i32.le_s'),
        () => group(lanes),
      )
      const rest = columns % lanes
      if (rest === 1 || rest === 2 || rest === 3) group(rest)
    }
    f.push(firstRow).push(endRow).op('i32.lt_u')
    f.if(() => forEachRow(f, outer, { firstRow, endRow }, walk))
  })
}

/** Visits a window's elements in row-major order: an address, as a pointer and a distance. */
function forWindow(
  f: FunctionBuilder,
  { geometry, operandShape }: SelectAndScatterNode,
  steps: readonly number[],
  start: Local<'i32'>,
  visit: (first: boolean, delta: number, at: Local<'i32'>) => void,
): void {
  const axes = geometry.window
    .map((size, axis) => ({ size, step: steps[axis] ?? 0 }))
    .filter(({ size }) => size > 1)
  const distances = axes.reduce<number[]>(
    (found, { size, step }) =>
      found.flatMap((base) => Array.from({ length: size }, (_, i) => base + i * step)),
    [0],
  )
  if (distances.length <= UNROLLED || operandShape.length === 0) {
    distances.forEach((delta, i) => visit(i === 0, delta, start))
    return
  }
  visit(true, 0, start)
  const pointers = [start, ...axes.map(() => f.scratch('i32'))]
  const walk = (axis: number): void => {
    const { size, step } = axes[axis] ?? { size: 1, step: 0 }
    const [outer, pointer] = [pointers[axis], pointers[axis + 1]]
    if (!outer || !pointer) return visit(false, 0, pointers.at(-1) ?? start)
    const left = f.scratch('i32')
    f.get(outer).set(pointer).i32Const(size).set(left)
    f.loop((again) => {
      walk(axis + 1)
      f.add(pointer, step)
      f.get(left).i32Const(1).op('i32.sub').tee(left).brIf(again)
    })
    f.release(left)
  }
  walk(0)
  f.release(...pointers.slice(1))
}
