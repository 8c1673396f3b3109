/** Random programs of views, elementwise operations, reductions and routines, with what they mean. */
import fc from 'fast-check'
import type { Atom, Jaxpr } from '../../jaxpr/ir'
import { Aval, type Shape, sizeOf } from '../../types/aval'
import { type DType, isFloating } from '../../types/dtype'
import type { LoweringContext, Tensor } from '../context'
import {
  type Affine,
  binary,
  type BinaryOp,
  convert,
  index,
  type Scalar,
  unary,
  type UnaryOp,
} from '../expr'
import { applyBinary, applyUnary, converted, held } from '../scalar-semantics'
import { alongAxis, rowMajor } from '../views'
import { type Numbers, Recorder } from './recorder'

/** What an operation means, without the compiler: arrays as nested index functions. */
interface Value {
  readonly aval: Aval
  readonly data: Numbers
}

interface Operation {
  readonly name: string
  readonly inputs: readonly number[]
  readonly aval: Aval
  readonly meaning: (...operands: Value[]) => Numbers
  readonly lower: (context: LoweringContext, ...operands: Tensor[]) => Tensor
}

export interface RandomProgram {
  readonly jaxpr: Jaxpr
  readonly inputs: readonly Numbers[]
  readonly expected: readonly Numbers[]
  readonly text: string
}

function indexList(shape: Shape): readonly (readonly number[])[] {
  let list: number[][] = [[]]
  for (const n of shape) list = list.flatMap((i) => Array.from({ length: n }, (_, k) => [...i, k]))
  return list
}

const flat = (shape: Shape, index: readonly number[]): number =>
  rowMajor(shape).strides.reduce((sum, stride, axis) => sum + stride * index[axis], 0)

const element = (v: Value, index: readonly number[]): number => v.data[flat(v.aval.shape, index)]

/** A stream of small random numbers. */
type Dice = (sides: number) => number

function view(
  name: string,
  from: number,
  x: Aval,
  shape: Shape,
  source: readonly Affine[],
): Operation {
  const aval = new Aval(shape, x.dtype)
  return {
    name,
    inputs: [from],
    aval,
    meaning: (v) =>
      indexList(shape).map((i) =>
        element(
          v,
          source.map((a) => a.offset + a.strides.reduce((sum, s, axis) => sum + s * i[axis], 0)),
        ),
      ),
    lower: (c, t) => c.reindex(t, aval, source),
  }
}

const factorizations = (size: number): readonly Shape[] => {
  const shapes: Shape[] = [[size], [1, size]]
  for (let a = 2; a < size; a++) {
    if (size % a !== 0) continue
    shapes.push([a, size / a])
    for (let b = 2; b < size / a; b++) if ((size / a) % b === 0) shapes.push([a, b, size / a / b])
  }
  return shapes
}

/** Each element less what its row comes to, along the last axes from `axis` on: the step of a softmax. */
function withinRow(from: number, x: Aval, monoid: 'sum' | 'max', axis: number): Operation {
  const { shape, dtype } = x
  const axes = shape.map((_, a) => a).slice(axis)
  const rows = new Aval(shape.slice(0, axis), dtype)
  const length = sizeOf(shape.slice(axis))
  return {
    name: `within_row_${monoid}_${axis}`,
    inputs: [from],
    aval: x,
    meaning: ({ data }) =>
      data.map((e, i) => {
        const row = data.slice(i - (i % length), i - (i % length) + length)
        const total =
          monoid === 'max'
            ? Math.max(...row)
            : row.reduce((sum, value) => held(dtype, sum + value), 0)
        return applyBinary('sub', dtype, dtype, e, total)
      }),
    lower: (c, t) => {
      const total = c.reduce(monoid, t, axes, rows)
      const repeated = c.reindex(
        total,
        x,
        rows.shape.map((_, a) => alongAxis(shape.length, a)),
      )
      return c.map(x, (e, f) => binary('sub', dtype, e, f), t, repeated)
    },
  }
}

/**
 * The first rows and the rows from `cut` on, each among zeros, added up: the cotangent of a split.
 * `missing` rows before the cut come from neither.
 */
function accumulated(from: number, x: Aval, cut: number, missing: number): Operation {
  const { shape, dtype } = x
  const rest = shape.slice(1)
  const rows = sizeOf(rest)
  const first = cut - missing
  const part = (c: LoweringContext, t: Tensor, start: number, count: number): Tensor => {
    const zeros = c.constant(x, 0)
    if (count === 0) return zeros
    const aval = new Aval([count, ...rest], dtype)
    const source = shape.map((_, a) => alongAxis(shape.length, a, 1, a === 0 ? start : 0))
    const value = c.reindex(t, aval, source)
    const at = shape.map((_, a) => (a === 0 ? start : 0))
    return c.assemble(x, zeros, [{ value, start: at, step: shape.map(() => 1) }])
  }
  return {
    name: `accumulated_${first}_${cut}`,
    inputs: [from],
    aval: x,
    meaning: ({ data }) => data.map((e, i) => (i < first * rows || i >= cut * rows ? e : 0)),
    lower: (c, t) => c.accumulate(x, part(c, t, 0, first), part(c, t, cut, shape[0] - cut)),
  }
}

/** The next operation of a random program on the values so far. */
function randomOperation(avals: readonly Aval[], dice: Dice): Operation {
  // Late values are preferred, so that chains grow.
  const pick = (): number => Math.max(dice(avals.length), dice(avals.length))
  const from = pick()
  const x = avals[from]
  const { shape, dtype } = x
  const rank = shape.length
  const size = sizeOf(shape)
  switch (dice(18)) {
    case 0: {
      const order = shape.map((_, axis) => axis)
      for (let i = rank - 1; i > 0; i--) {
        const j = dice(i + 1)
        ;[order[i], order[j]] = [order[j], order[i]]
      }
      const source = shape.map((_, axis) => alongAxis(rank, order.indexOf(axis)))
      return view(
        'transpose',
        from,
        x,
        order.map((axis) => shape[axis]),
        source,
      )
    }
    case 1: {
      if (rank >= 3 || size > 40) break
      const at = dice(rank + 1)
      const wide = [...shape.slice(0, at), 1 + dice(3), ...shape.slice(at)]
      return view(
        'broadcast',
        from,
        x,
        wide,
        shape.map((_, axis) => alongAxis(rank + 1, axis < at ? axis : axis + 1)),
      )
    }
    case 2: {
      const starts = shape.map((n) => dice(n))
      const steps = shape.map(() => (dice(3) === 0 ? 2 : 1))
      const taken = shape.map((n, axis) =>
        Math.max(1, Math.ceil((n - starts[axis]) / steps[axis]) - dice(2)),
      )
      return view(
        'slice',
        from,
        x,
        taken,
        starts.map((s, axis) => alongAxis(rank, axis, steps[axis], s)),
      )
    }
    case 3:
      return view(
        'rev',
        from,
        x,
        shape,
        shape.map((n, axis) => alongAxis(rank, axis, -1, n - 1)),
      )
    case 4:
    case 5: {
      const shapes = factorizations(size)
      const aval = new Aval(shapes[dice(shapes.length)], dtype)
      return {
        name: 'reshape',
        inputs: [from],
        aval,
        meaning: (v) => v.data,
        lower: (c, t) => c.reshape(t, aval),
      }
    }
    case 6: {
      if (rank === 0) break
      const axes = shape.map((_, axis) => axis).filter(() => dice(2) === 0)
      const monoid = dice(2) === 0 ? 'sum' : 'max'
      const aval = new Aval(
        shape.filter((_, axis) => !axes.includes(axis)),
        dtype,
      )
      return {
        name: `reduce_${monoid}`,
        inputs: [from],
        aval,
        meaning: (v) => {
          const result = new Array<number>(aval.size).fill(monoid === 'sum' ? 0 : -Infinity)
          for (const i of indexList(shape)) {
            const place = flat(
              aval.shape,
              i.filter((_, axis) => !axes.includes(axis)),
            )
            const value = element(v, i)
            result[place] =
              monoid === 'sum' ? held(dtype, result[place] + value) : Math.max(result[place], value)
          }
          return result
        },
        lower: (c, t) => c.reduce(monoid, t, axes, aval),
      }
    }
    case 7: {
      const low = shape.map(() => dice(2))
      const padded = shape.map((n, axis) => n + low[axis] + dice(2))
      if (sizeOf(padded) > 100) break
      const aval = new Aval(padded, dtype)
      return {
        name: 'pad',
        inputs: [from],
        aval,
        meaning: (v) => {
          const result = new Array<number>(aval.size).fill(3)
          for (const i of indexList(shape))
            result[
              flat(
                padded,
                i.map((k, axis) => k + low[axis]),
              )
            ] = element(v, i)
          return result
        },
        lower: (c, t) =>
          c.assemble(aval, c.constant(aval, 3), [
            { value: t, start: low, step: shape.map(() => 1) },
          ]),
      }
    }
    case 8: {
      if (rank === 0 || size > 40) break
      const aval = new Aval([shape[0] * 2, ...shape.slice(1)], dtype)
      const other = avals.findIndex((a, i) => i !== from && a.shape.join() === shape.join())
      const second = other < 0 ? from : other
      return {
        name: 'concatenate',
        inputs: [from, second],
        aval,
        meaning: (v, w) => [...v.data, ...w.data],
        lower: (c, t, u) =>
          c.assemble(aval, null, [
            { value: t, start: shape.map(() => 0), step: shape.map(() => 1) },
            {
              value: u,
              start: shape.map((n, axis) => (axis === 0 ? n : 0)),
              step: shape.map(() => 1),
            },
          ]),
      }
    }
    case 9: {
      if (rank === 0) break
      // Rows picked by data: the value itself, made an index.
      const n = shape[0]
      const count = 1 + dice(4)
      const aval = new Aval([count, ...shape.slice(1)], dtype)
      const pickRow = (e: Scalar): Scalar => convert('int32', unary('abs', dtype, e))
      return {
        name: 'gather',
        inputs: [from],
        aval,
        meaning: (v) =>
          indexList(aval.shape).map((i) => {
            const row = Math.min(n - 1, converted(dtype, 'int32', Math.abs(v.data[i[0] % size])))
            return element(v, [row, ...i.slice(1)])
          }),
        lower: (c, t) => {
          const flatView = c.reshape(t, new Aval([size], dtype))
          const rows = c.map(
            new Aval([count], 'int32'),
            pickRow,
            c.take(flatView, new Aval([count], dtype), [
              binary('rem', 'int32', index(alongAxis(1, 0)), {
                kind: 'const',
                dtype: 'int32',
                value: size,
              }),
            ]),
          )
          const spread = c.reindex(rows, new Aval(aval.shape, 'int32'), [alongAxis(aval.ndim, 0)])
          const others = aval.shape.slice(1).map((_, axis) => index(alongAxis(aval.ndim, axis + 1)))
          return c.take(t, aval, [spread.value, ...others])
        },
      }
    }
    case 10: {
      if (rank !== 2) break
      const second = avals.findIndex((a) => a.ndim === 2 && a.shape[1] === shape[1])
      const y = avals[second]
      const aval = new Aval([shape[0], y.shape[0]], dtype)
      return {
        name: 'dot',
        inputs: [from, second],
        aval,
        meaning: (v, w) =>
          indexList(aval.shape).map(([i, j]) => {
            let sum = 0
            for (let k = 0; k < shape[1]; k++) {
              const product = element(v, [i, k]) * element(w, [j, k])
              sum = held(
                dtype,
                sum + (shape[1] === 1 || aval.size === 1 ? held(dtype, product) : product),
              )
            }
            return sum
          }),
        lower: (c, t, u) =>
          c.contract({
            batch: [],
            m: [shape[0]],
            n: [y.shape[0]],
            k: [shape[1]],
            lhs: t,
            rhs: u,
            aval,
          }),
      }
    }
    case 11: {
      if (rank === 0) break
      const axis = dice(rank)
      return {
        name: 'cumsum',
        inputs: [from],
        aval: x,
        meaning: (v) => {
          const result = [...v.data]
          const step = rowMajor(shape).strides[axis]
          for (const i of indexList(shape)) {
            const place = flat(shape, i)
            if (i[axis] > 0) result[place] = held(dtype, result[place - step] + result[place])
          }
          return result
        },
        lower: (c, t) => c.cumulative('sum', t, axis, false),
      }
    }
    case 12: {
      const op: UnaryOp = dice(2) === 0 && isFloating(dtype) ? 'tanh' : 'neg'
      return {
        name: op,
        inputs: [from],
        aval: x,
        meaning: (v) => v.data.map((e) => applyUnary(op, dtype, dtype, e)),
        lower: (c, t) => c.map(x, (e) => unary(op, dtype, e), t),
      }
    }
    case 13:
    case 14:
      if (rank > 0) return withinRow(from, x, dice(2) === 0 ? 'sum' : 'max', dice(rank))
      break
    case 15:
      if (rank > 0 && shape[0] > 1) return accumulated(from, x, 1 + dice(shape[0] - 1), dice(2))
      break
    default:
  }
  // Two values of one shape, the second one a late one if there is any.
  let second = from
  avals.forEach((a, i) => {
    if (i !== from && a.shape.join() === shape.join()) second = i
  })
  const op: BinaryOp = ['add', 'sub', 'max'][dice(3)] as 'add' | 'sub' | 'max'
  return {
    name: op,
    inputs: [from, second],
    aval: x,
    meaning: (v, w) => v.data.map((e, i) => applyBinary(op, dtype, dtype, e, w.data[i])),
    lower: (c, t, u) => c.map(x, (e, f) => binary(op, dtype, e, f), t, u),
  }
}

function buildProgram(
  rolls: readonly number[],
  shapes: readonly Shape[],
  length: number,
  dtype: DType,
): RandomProgram {
  let used = 0
  const dice: Dice = (sides) => rolls[used++ % rolls.length] % sides
  const recorder = new Recorder()
  const values: Value[] = []
  const atoms: Atom[] = []
  const text: string[] = []
  shapes.forEach((shape, i) => {
    atoms.push(recorder.input(shape, dtype))
    values.push({
      aval: new Aval(shape, dtype),
      data: Array.from({ length: sizeOf(shape) }, (_, k) => held(dtype, ((k * 7 + i * 3) % 9) - 4)),
    })
  })
  const inputs = values.map((v) => v.data)
  for (let i = 0; i < length; i++) {
    const operation = randomOperation(
      values.map((v) => v.aval),
      dice,
    )
    const operands = operation.inputs.map((k) => values[k])
    atoms.push(
      recorder.apply(
        operation.name,
        operation.inputs.map((k) => atoms[k]),
        operation.aval,
        operation.lower,
      ),
    )
    values.push({ aval: operation.aval, data: operation.meaning(...operands) })
    text.push(
      `v${values.length - 1}:[${operation.aval.shape.join()}] = ${operation.name} ${operation.inputs.map((k) => `v${k}`).join(' ')}`,
    )
  }
  // The last value and some others are results; repeated and passed-through ones as well.
  const results = [values.length - 1, ...Array.from({ length: dice(4) }, () => dice(values.length))]
  text.push(`results ${results.map((k) => `v${k}`).join(' ')}`)
  return {
    jaxpr: recorder.jaxpr(results.map((k) => atoms[k])),
    inputs,
    expected: results.map((k) => values[k].data.map((e) => e + 0)),
    text: text.join('\n'),
  }
}

/** Narrow integers wrap in every order of summing; narrow floats would round differently. */
const programDTypes: readonly DType[] = ['float32', 'int32', 'int16', 'uint8', 'float64']

export const randomProgramsOf = (dtypes: readonly DType[]): fc.Arbitrary<RandomProgram> =>
  fc
    .record({
      rolls: fc.array(fc.nat(5039), { minLength: 20, maxLength: 120 }),
      shapes: fc.array(fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 3 }), {
        minLength: 1,
        maxLength: 3,
      }),
      length: fc.integer({ min: 1, max: 14 }),
      dtype: fc.constantFrom(...dtypes),
    })
    .map(({ rolls, shapes, length, dtype }) => buildProgram(rolls, shapes, length, dtype))

export const randomPrograms = randomProgramsOf(['float32'])
export const randomProgramsOfAnyDType = randomProgramsOf(programDTypes)
