import type { FunctionBuilder, FunctionRef, I32Operand, Local, ModuleBuilder } from '../../emit'
import { shared } from '../shared'
import type { Axis } from './axes'

/** Pushes the address (in the axes' unit) of a row-major position within a group of axes. */
export function pushOffset(f: FunctionBuilder, axes: readonly Axis[], position: I32Operand): void {
  const inner = axes.at(-1)
  if (inner === undefined) {
    f.i32Const(0)
    return
  }
  if (axes.length === 1) {
    f.push(position).i32Const(inner.stride).op('i32.mul')
    return
  }
  const rest = f.scratch('i32')
  f.push(position).set(rest)
  f.i32Const(0)
  for (let axis = axes.length - 1; axis >= 0; axis--) {
    const { size, stride } = axes[axis] ?? inner
    f.get(rest)
    if (axis > 0) f.i32Const(size).op('i32.rem_u')
    f.i32Const(stride).op('i32.mul').op('i32.add')
    if (axis > 0) f.get(rest).i32Const(size).op('i32.div_u').set(rest)
  }
  f.release(rest)
}

/**
 * `(table, from, count, padded)`: writes the offsets of positions `from … from + count - 1` of a
 * group, as int32, and repeats the last one until the table has `padded` entries: a ragged panel
 * then reads a row twice rather than memory that is not there.
 */
export function fillOffsets(module: ModuleBuilder, axes: readonly Axis[]): FunctionRef {
  return shared(module, JSON.stringify(['offsets', axes]), () =>
    module.function({ name: 'offsets', params: ['i32', 'i32', 'i32', 'i32'], results: [] }, (f) => {
      const table = f.param(0, 'i32')
      const from = f.param(1, 'i32')
      const count = f.param(2, 'i32')
      const padded = f.param(3, 'i32')
      const counters = axes.map(() => f.local('i32'))
      const offset = f.local('i32')
      const left = f.local('i32')
      pushOffset(f, axes, from)
      f.set(offset)
      f.get(from).set(left)
      for (let axis = axes.length - 1; axis > 0; axis--) {
        const { size } = axes[axis] ?? { size: 1 }
        const counter = counters[axis] ?? left
        f.get(left).i32Const(size).op('i32.rem_u').set(counter)
        f.get(left).i32Const(size).op('i32.div_u').set(left)
      }
      f.get(padded).get(count).op('i32.sub').set(padded)
      f.loop((again) => {
        f.get(table).get(offset).store('i32.store').add(table, 4)
        f.add(count, -1)
        f.get(count).if(() => {
          advance(f, axes, counters, offset)
          f.br(again)
        })
      })
      f.whileLoop(
        () => f.get(padded),
        () => {
          f.get(table).get(offset).store('i32.store').add(table, 4)
          f.add(padded, -1)
        },
      )
    }),
  )
}

/** Takes `offset` to the next position; each axis that wraps carries into the one before. */
function advance(
  f: FunctionBuilder,
  axes: readonly Axis[],
  counters: readonly Local<'i32'>[],
  offset: Local<'i32'>,
): void {
  const step = (axis: number): void => {
    const current = axes[axis]
    const counter = counters[axis]
    if (!current || !counter) return
    f.add(offset, current.stride)
    if (axis === 0) return
    f.get(counter).i32Const(1).op('i32.add').tee(counter)
    f.i32Const(current.size).op('i32.eq')
    f.if(() => {
      f.i32Const(0).set(counter)
      f.add(offset, -current.size * current.stride)
      step(axis - 1)
    })
  }
  step(axes.length - 1)
}
