/**
 * The monoids of reductions on vectors.
 *
 * Contributions of groups are first merged among themselves, pairwise, and then added to a running
 * state. For sums of f32 the state is kept in f64, so that the error of a sum does not grow with
 * its length; the pairwise merging makes that almost free.
 */
import { identityElement } from '../../../compiler/identity'
import type { Reduction } from '../../../compiler/nodes'
import { constant } from '../../../compiler/expr'
import type { DType } from '../../../types/dtype'
import { isUnsigned } from '../../../types/dtype'
import { v128 } from '../emit/index'
import type { WasmFeatures } from '../emit/index'
import type { Vec, VectorGraph } from '../math/index'
import { FloatLanes } from '../math/index'
import { convertLanes, joinMasks, laneClass, roundSingle, splitMask } from './conversions'
import { integerBinary, maskBinary, wrapInteger } from './integers'
import type { LaneCount, VectorValue } from './memory-forms'
import { constantLanes, extremum } from './scalar'

/** Vectors in the order of a monoid's own choosing. */
export type State = readonly Vec[]

export interface VectorMonoid {
  /** Vectors of the running state. */
  readonly stateWidth: number
  /** Whether contributions may be merged before they are added to the state. */
  readonly mergesItems: boolean
  initial(graph: VectorGraph): State
  /** The contribution of a group: lanes beyond it contribute nothing. */
  item(graph: VectorGraph, inputs: readonly VectorValue[], lanes: LaneCount): State
  merge(graph: VectorGraph, earlier: State, later: State): State
  add(graph: VectorGraph, state: State, item: State): State
  /** The state of two stretches of items, one behind the other. */
  mergeStates(graph: VectorGraph, earlier: State, later: State): State
  /** The state of all lanes combined, in lane 0. */
  horizontal(graph: VectorGraph, state: State): State
  /** The value in the dtype of the reduction. */
  result(graph: VectorGraph, state: State): VectorValue
}

const at = <T>(values: readonly T[], position: number): T => {
  const value = values[position]
  if (value === undefined) throw new Error(`vector ${position} is missing`)
  return value
}

/** All ones in the first lanes. */
const laneMask = (graph: VectorGraph, lanes: number, width: 4 | 2): Vec => {
  const ones = Array.from({ length: width }, (_, lane) => lane < lanes)
  return graph.constant(
    width === 4
      ? v128.i32x4(...ones.map((on) => (on ? -1 : 0)))
      : v128.i64x2(...ones.map((on) => (on ? -1n : 0n))),
  )
}

/** Keeps the first lanes of a value, and the identity in the others. */
function limited(
  graph: VectorGraph,
  value: VectorValue,
  identity: VectorValue,
  lanes: LaneCount,
): VectorValue {
  if (lanes === 4) return value
  const [only] = value
  if (value.length === 1 && only) {
    return [graph.op('v128.bitselect', only, at(identity, 0), laneMask(graph, lanes, 4))]
  }
  return value.map((half, position) => {
    const kept = Math.min(2, Math.max(0, lanes - 2 * position))
    if (kept === 2) return half
    const nothing = at(identity, position)
    if (kept === 0) return nothing
    return graph.op('v128.bitselect', half, nothing, laneMask(graph, kept, 2))
  })
}

export function vectorMonoid(
  reduction: Reduction,
  count: number,
  features: WasmFeatures,
): VectorMonoid {
  const { monoid, value } = reduction
  if (monoid === 'argmax' || monoid === 'argmin') {
    return new ArgumentMonoid(monoid === 'argmax' ? 'max' : 'min', value.dtype, features)
  }
  const kind = laneClass(value.dtype)
  if ((monoid === 'max' || monoid === 'min') && (kind === 'single' || kind === 'double')) {
    return new ExtremumMonoid(monoid, value.dtype, kind === 'single' ? 'f32' : 'f64', features)
  }
  // A short sum in f32 has too few roundings to be worth a wider state.
  const inDoubles = monoid === 'sum' && laneClass(value.dtype) === 'single' && count > 256
  return new PlainMonoid(monoid, value.dtype, inDoubles, features)
}

class PlainMonoid implements VectorMonoid {
  readonly stateWidth: number
  readonly mergesItems = true

  constructor(
    private readonly monoid: 'sum' | 'prod' | 'max' | 'min' | 'and' | 'or',
    private readonly dtype: DType,
    private readonly inDoubles: boolean,
    private readonly features: WasmFeatures,
  ) {
    this.stateWidth = inDoubles || laneClass(dtype) === 'double' ? 2 : 1
  }

  private get stateDType(): DType {
    return this.inDoubles ? 'float64' : this.dtype
  }

  private identity(graph: VectorGraph, dtype: DType): VectorValue {
    return constantLanes(graph, constant(dtype, identityElement(this.monoid, this.dtype)))
  }

  initial(graph: VectorGraph): State {
    return this.identity(graph, this.stateDType)
  }

  item(graph: VectorGraph, inputs: readonly VectorValue[], lanes: LaneCount): State {
    return limited(graph, at(inputs, 0), this.identity(graph, this.dtype), lanes)
  }

  merge(graph: VectorGraph, earlier: State, later: State): State {
    return this.combine(graph, this.dtype, earlier, later)
  }

  add(graph: VectorGraph, state: State, item: State): State {
    const wide = this.inDoubles ? convertLanes(graph, 'float32', 'float64', item) : item
    return this.combine(graph, this.stateDType, state, wide)
  }

  mergeStates(graph: VectorGraph, earlier: State, later: State): State {
    return this.combine(graph, this.stateDType, earlier, later)
  }

  horizontal(graph: VectorGraph, state: State): State {
    const combine = (x: State, y: State): State => this.combine(graph, this.stateDType, x, y)
    if (state.length === 2) {
      const [low, high] = [at(state, 0), at(state, 1)]
      const one = at(this.combineHalves(graph, [low], [high]), 0)
      const both = at(this.combineHalves(graph, [one], [graph.shuffle32(one, one, 2, 3, 0, 1)]), 0)
      return [both, both]
    }
    const all = at(state, 0)
    const pairs = combine([all], [graph.shuffle32(all, all, 2, 3, 0, 1)])
    const two = at(pairs, 0)
    return combine([two], [graph.shuffle32(two, two, 1, 0, 3, 2)])
  }

  private combineHalves(graph: VectorGraph, x: State, y: State): State {
    return this.combine(graph, 'float64', x, y)
  }

  result(graph: VectorGraph, state: State): VectorValue {
    switch (laneClass(this.dtype)) {
      case 'integer':
        return [wrapInteger(graph, this.dtype, at(state, 0))]
      case 'single': {
        const value = this.inDoubles ? convertLanes(graph, 'float64', this.dtype, state) : state
        return value.map((vec) => roundSingle(graph, this.dtype, vec))
      }
      default:
        return state
    }
  }

  private combine(graph: VectorGraph, dtype: DType, x: State, y: State): State {
    return x.map((left, position) => this.combineVectors(graph, dtype, left, at(y, position)))
  }

  private combineVectors(graph: VectorGraph, dtype: DType, x: Vec, y: Vec): Vec {
    const op = operations[this.monoid]
    switch (laneClass(dtype)) {
      case 'mask':
        return known(maskBinary(graph, op, x, y))
      case 'integer':
        // Narrow integers accumulate in 32 bits and wrap at the end.
        return known(integerBinary(graph, op, isUnsigned(dtype) ? 'uint32' : 'int32', x, y))
      case 'single':
      case 'double': {
        const type = laneClass(dtype) === 'single' ? 'f32' : 'f64'
        const lanes = new FloatLanes(graph, type, this.features)
        switch (op) {
          case 'add':
            return lanes.add(x, y)
          case 'mul':
            return lanes.mul(x, y)
          case 'max':
          case 'min':
            return extremum(lanes, op, x, y)
          default:
            throw new Error(`${op} does not reduce floats`)
        }
      }
    }
  }
}

/**
 * The extremum of floats: the state is the best number of each lane, and a mask of the lanes in which
 * there was a NaN. Five instructions for a vector, where the IEEE extremum of two takes nine.
 */
class ExtremumMonoid implements VectorMonoid {
  readonly stateWidth: number
  readonly mergesItems = true

  constructor(
    private readonly which: 'max' | 'min',
    private readonly dtype: DType,
    private readonly type: 'f32' | 'f64',
    private readonly features: WasmFeatures,
  ) {
    this.stateWidth = type === 'f32' ? 2 : 4
  }

  private lanes(graph: VectorGraph): FloatLanes {
    return new FloatLanes(graph, this.type, this.features)
  }

  private worst(graph: VectorGraph): VectorValue {
    return constantLanes(graph, constant(this.dtype, identityElement(this.which, this.dtype)))
  }

  initial(graph: VectorGraph): State {
    const worst = this.worst(graph)
    return [...worst, ...worst.map(() => graph.constant(v128.i32x4(0)))]
  }

  item(graph: VectorGraph, inputs: readonly VectorValue[], lanes: LaneCount): State {
    const value = limited(graph, at(inputs, 0), this.worst(graph), lanes)
    return [...value, ...value.map((vec) => this.lanes(graph).isNaN(vec))]
  }

  merge(graph: VectorGraph, earlier: State, later: State): State {
    const lanes = this.lanes(graph)
    const half = earlier.length / 2
    return earlier.map((x, position) => {
      const y = at(later, position)
      if (position >= half) return lanes.or(x, y)
      // Each way gives its first operand where both are zeros: −0 has the sign bit that 0 lacks.
      return this.which === 'max'
        ? lanes.and(lanes.atLeast(x, y), lanes.atLeast(y, x))
        : lanes.or(lanes.atMost(x, y), lanes.atMost(y, x))
    })
  }

  add(graph: VectorGraph, state: State, item: State): State {
    return this.merge(graph, state, item)
  }

  mergeStates(graph: VectorGraph, earlier: State, later: State): State {
    return this.merge(graph, earlier, later)
  }

  horizontal(graph: VectorGraph, state: State): State {
    const shuffled = (from: State, ...lanes: [number, number, number, number]): State =>
      from.map((vec) => graph.shuffle32(vec, vec, ...lanes))
    if (this.type === 'f64') {
      const one = this.merge(graph, [at(state, 0), at(state, 2)], [at(state, 1), at(state, 3)])
      const [value, mask] = this.merge(graph, one, shuffled(one, 2, 3, 0, 1))
      return [value, value, mask, mask].map((vec) => known(vec ?? null))
    }
    const two = this.merge(graph, state, shuffled(state, 2, 3, 0, 1))
    return this.merge(graph, two, shuffled(two, 1, 0, 3, 2))
  }

  result(graph: VectorGraph, state: State): VectorValue {
    const lanes = this.lanes(graph)
    const half = state.length / 2
    return state
      .slice(0, half)
      .map((value, position) =>
        lanes.select(at(state, half + position), lanes.constant(NaN), value),
      )
  }
}

const known = (vec: Vec | null): Vec => {
  if (!vec) throw new Error('an operation that does not exist for these lanes')
  return vec
}

const operations = {
  sum: 'add',
  prod: 'mul',
  max: 'max',
  min: 'min',
  and: 'and',
  or: 'or',
} as const

/**
 * Position of the extremum: the state is the best value of each lane and its position. Positions
 * arrive in increasing order, so a new value wins only if it is better; NaN beats every number.
 */
class ArgumentMonoid implements VectorMonoid {
  readonly stateWidth: number
  readonly mergesItems = false
  /** Values are compared in this dtype. */
  private readonly dtype: DType

  constructor(
    private readonly which: 'max' | 'min',
    private readonly valueDType: DType,
    private readonly features: WasmFeatures,
  ) {
    this.dtype = valueDType === 'bool' ? 'int32' : valueDType
    this.stateWidth = laneClass(this.dtype) === 'double' ? 3 : 2
  }

  /** The worst value at position 0: right also when every value is the worst one. */
  initial(graph: VectorGraph): State {
    return [...this.worst(graph), graph.constant(v128.i32x4(0))]
  }

  private worst(graph: VectorGraph): VectorValue {
    return constantLanes(graph, constant(this.dtype, identityElement(this.which, this.dtype)))
  }

  /** Inputs are the value and its position. */
  item(graph: VectorGraph, inputs: readonly VectorValue[], lanes: LaneCount): State {
    const value = convertLanes(graph, this.valueDType, this.dtype, at(inputs, 0))
    return [...limited(graph, value, this.worst(graph), lanes), at(at(inputs, 1), 0)]
  }

  merge(): State {
    throw new Error('positions are added in order')
  }

  add(graph: VectorGraph, state: State, item: State): State {
    const values = state.slice(0, -1)
    const better = values.map((best, half) => this.replaces(graph, best, at(item, half)))
    return this.choose(graph, state, item, better, this.joined(graph, better))
  }

  mergeStates(graph: VectorGraph, earlier: State, later: State): State {
    return this.add(graph, earlier, later)
  }

  horizontal(graph: VectorGraph, state: State): State {
    if (state.length === 3) {
      const [low, high, positions] = [at(state, 0), at(state, 1), at(state, 2)]
      const upper = graph.shuffle32(positions, positions, 2, 3, 0, 1)
      const two = this.best(graph, [low, low, positions], [high, high, upper])
      const swap = (vec: Vec): Vec => graph.shuffle32(vec, vec, 2, 3, 0, 1)
      const next = at(two, 2)
      return this.best(graph, two, [
        swap(at(two, 0)),
        swap(at(two, 1)),
        graph.shuffle32(next, next, 1, 0, 3, 2),
      ])
    }
    const shuffled = (from: State, ...lanes: [number, number, number, number]): State =>
      from.map((vec) => graph.shuffle32(vec, vec, ...lanes))
    const two = this.best(graph, state, shuffled(state, 2, 3, 0, 1))
    return this.best(graph, two, shuffled(two, 1, 0, 3, 2))
  }

  result(_graph: VectorGraph, state: State): VectorValue {
    return [at(state, state.length - 1)]
  }

  /** The better of two states in no particular order; of equals, the one further in front. */
  private best(graph: VectorGraph, x: State, y: State): State {
    const positions = x.length - 1
    const inFront = graph.op('i32x4.lt_s', at(y, positions), at(x, positions))
    const inFrontOf = x.length === 3 ? splitMask(graph, inFront) : [inFront]
    const better = x.slice(0, -1).map((value, half) => {
      const other = at(y, half)
      const wins = this.replaces(graph, value, other)
      const loses = this.replaces(graph, other, value)
      const equal = graph.op('v128.not', graph.op('v128.or', wins, loses))
      return graph.op('v128.or', wins, graph.op('v128.and', equal, at(inFrontOf, half)))
    })
    return this.choose(graph, x, y, better, this.joined(graph, better))
  }

  private joined(graph: VectorGraph, masks: readonly Vec[]): Vec {
    return masks.length === 2 ? joinMasks(graph, at(masks, 0), at(masks, 1)) : at(masks, 0)
  }

  private choose(
    graph: VectorGraph,
    x: State,
    y: State,
    better: readonly Vec[],
    position: Vec,
  ): State {
    return x.map((vec, i) =>
      graph.op('v128.bitselect', at(y, i), vec, i === x.length - 1 ? position : at(better, i)),
    )
  }

  /** Whether `next` is better than `best`: larger, or NaN where the best is a number. */
  private replaces(graph: VectorGraph, best: Vec, next: Vec): Vec {
    const kind = laneClass(this.dtype)
    if (kind === 'integer' || kind === 'mask') {
      const sign = isUnsigned(this.dtype) ? 'u' : 's'
      return graph.op(this.which === 'max' ? `i32x4.gt_${sign}` : `i32x4.lt_${sign}`, next, best)
    }
    const lanes = new FloatLanes(graph, kind === 'single' ? 'f32' : 'f64', this.features)
    const noBetter = this.which === 'max' ? lanes.le(next, best) : lanes.ge(next, best)
    return lanes.andNot(lanes.eq(best, best), noBetter)
  }
}
