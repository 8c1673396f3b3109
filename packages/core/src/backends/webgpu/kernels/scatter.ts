/**
 * Scattering, in the order of the updates. Axes of the updates along which only a fixed part of the
 * position varies form a window (the row of an embedding): its elements are independent. Along the
 * others, few updates are applied one after the other; many are sorted by position first, stably, and
 * one invocation applies all that have the same one. No two invocations write the same element, so
 * results are the same every time.
 */
import {
  accumulator,
  binary,
  type BinaryOp,
  type DynamicOffset,
  index as indexOf,
  type Scalar,
} from '../../../compiler/expr'
import type { ScatterNode } from '../../../compiler/nodes'
import { affinesOf, splitCoordinate } from '../../../compiler/views'
import { type Shape, sizeOf } from '../../../types/aval'
import { elementwiseSize, perElement, unflattened } from '../elements'
import { type Dispatch, KernelSource, type KernelSpace } from '../kernel'
import { ScalarCode } from '../wgsl/scalar'
import { orderOf } from './ordering'

/** Updates of one element that are applied one after the other without being sorted. */
const FEW = 64
/** The key of what is not written: behind all positions. */
const NOWHERE = '0xffffffffu'

export function scatterKernel(node: ScatterNode, space: KernelSpace): readonly Dispatch[] {
  if (sizeOf(node.shape) === 0) return []
  const division = divide(node)
  return sizeOf(division.leading) <= FEW
    ? [applyInOrder(node, division, space)]
    : sortedScatter(node, division, space)
}

interface Division {
  /** Axes of the updates by what they are, and the sizes of each group. */
  readonly isWindow: readonly boolean[]
  readonly leading: Shape
  readonly window: Shape
}

/** Updates at equal positions must be at the same place of the window. */
function divide({ shape, position, inBounds }: ScatterNode): Division {
  const { at, dynamic } = splitCoordinate(position, shape.length)
  const roots = dynamic.map(({ value }) => value)
  const affines = affinesOf(inBounds === null ? roots : [...roots, inBounds])
  const isFixed = shape.map((_, axis) => affines.every(({ strides }) => strides[axis] === 0))
  const isWindow = shape.map(() => false)
  let span = 0
  const candidates = [...shape.keys()]
    .filter((axis) => isFixed[axis] && shape[axis] > 1 && at.strides[axis] > 0)
    .sort((x, y) => at.strides[x] - at.strides[y])
  for (const axis of candidates) {
    // Each place of the window has an address of its own.
    if (at.strides[axis] <= span) continue
    const reach = span + at.strides[axis] * (shape[axis] - 1)
    isWindow[axis] = true
    if (reach < unitOf(shape, at.strides, dynamic, isWindow)) span = reach
    else isWindow[axis] = false
  }
  const group = (which: boolean): Shape => shape.filter((_, axis) => isWindow[axis] === which)
  return { isWindow, leading: group(false), window: group(true) }
}

/** What all that moves the window as a whole is a multiple of. */
function unitOf(
  shape: Shape,
  strides: readonly number[],
  dynamic: readonly DynamicOffset[],
  isWindow: readonly boolean[],
): number {
  const fixed = strides.filter((_, axis) => !isWindow[axis] && shape[axis] > 1)
  const steps = [...fixed, ...dynamic.map(({ stride }) => stride)].filter((step) => step !== 0)
  return steps.length === 0 ? Infinity : steps.map(Math.abs).reduce(greatestCommonDivisor)
}

const greatestCommonDivisor = (a: number, b: number): number =>
  b === 0 ? a : greatestCommonDivisor(b, a % b)

/** The index along every axis of the updates, from the names along each group's. */
function joined(
  { isWindow }: Division,
  leading: readonly string[],
  window: readonly string[],
): readonly string[] {
  let [i, j] = [0, 0]
  return isWindow.map((inside) => (inside ? window[j++] : leading[i++]))
}

const operations: {
  readonly [C in Exclude<ScatterNode['combine'], 'set'>]: BinaryOp
} = { add: 'add', mul: 'mul', min: 'min', max: 'max' }

/** What an element becomes, over itself and the update. */
function combination({ combine, target: { dtype } }: ScatterNode): Scalar {
  const [old, update] = [accumulator(dtype, 0), accumulator(dtype, 1)]
  return combine === 'set' ? update : binary(operations[combine], dtype, old, update)
}

/** One invocation per place of the window goes through all updates. */
function applyInOrder(node: ScatterNode, division: Division, space: KernelSpace): Dispatch {
  const { target, position, inBounds, update, combine } = node
  const { leading, window } = division
  const source = new KernelSource(space, `scatter ${combine} of [${node.shape.join()}], in order`)
  const places = sizeOf(window)
  const size = elementwiseSize(space.facts)
  perElement(source, places, size, (flat) => {
    const inner = unflattened(source, flat, window)
    const u = source.name('u')
    source.block(`for (var ${u} = 0; ${u} < ${sizeOf(leading)}; ${u}++)`, () => {
      const index = joined(division, unflattened(source, u, leading), inner)
      const code = new ScalarCode(source, index)
      if (inBounds !== null)
        source.line(`if (!${parenthesised(code.value(inBounds))}) { continue; }`)
      const at = code.value(position)
      const value = code.value(update)
      const old = combine === 'set' ? value : source.let('old', source.load(target, at))
      const combined = new ScalarCode(source, [], [old, value])
      source.store(target, at, combined.value(combination(node)))
    })
  })
  return source.finish({ workgroupSize: size, groups: Math.ceil(places / size) })
}

const parenthesised = (text: string): string => `(${text})`

function sortedScatter(
  node: ScatterNode,
  division: Division,
  space: KernelSpace,
): readonly Dispatch[] {
  const { target, position, inBounds, update, combine } = node
  const { leading, window } = division
  const updates = sizeOf(leading)
  const places = sizeOf(window)
  // The position of an update, less what the place in the window adds.
  const corner = window.map(() => '0')
  const { keys, positions, dispatches } = orderOf(
    {
      rows: 1,
      length: updates,
      tie: null,
      key: (source, _row, at) => {
        const index = joined(division, unflattened(source, at, leading), corner)
        const code = new ScalarCode(source, index)
        const place = `bitcast<u32>(${code.value(position)})`
        if (inBounds === null) return place
        return `select(${NOWHERE}, ${place}, ${code.value(inBounds)})`
      },
    },
    space,
  )
  const source = new KernelSource(space, `scatter ${combine} of [${node.shape.join()}], sorted`)
  const size = elementwiseSize(space.facts)
  perElement(source, updates * places, size, (flat) => {
    const first = places === 1 ? flat : source.let('first', `${flat} / ${places}`)
    const place = places === 1 ? '0' : source.let('place', `${flat} % ${places}`)
    const key = source.let('key', source.load(keys, first))
    const before = source.load(keys, `max(${first} - 1, 0)`)
    const isHead = `(${first} == 0 || ${before} != ${key})`
    source.block(`if (${key} != ${NOWHERE} && ${isHead})`, () => {
      const inner = unflattened(source, place, window)
      const { strides } = splitCoordinate(position, node.shape.length).at
      const moved = strides.map((stride, axis) => (division.isWindow[axis] ? stride : 0))
      const offset = new ScalarCode(
        source,
        joined(
          division,
          leading.map(() => '0'),
          inner,
        ),
      )
      const at = source.let(
        'at',
        `bitcast<i32>(${key}) + ${parenthesised(offset.address(indexOf({ offset: 0, strides: moved }).at))}`,
      )
      const value = source.name('value')
      source.line(`var ${value} = ${source.load(target, at)};`)
      const next = source.name('next')
      source.line(`var ${next} = ${first};`)
      source.block('loop', () => {
        const u = source.let('u', `i32(${source.load(positions, next)})`)
        const index = joined(division, unflattened(source, u, leading), inner)
        const own = new ScalarCode(source, index).value(update)
        const combined = new ScalarCode(source, [], [value, own]).value(combination(node))
        source.line(`${value} = ${combined};`)
        source.line(`${next}++;`)
        source.line(`if (${next} >= ${updates} || ${source.load(keys, next)} != ${key}) { break; }`)
      })
      source.store(target, at, value)
    })
  })
  const groups = Math.ceil((updates * places) / size)
  return [...dispatches, source.finish({ workgroupSize: size, groups })]
}
