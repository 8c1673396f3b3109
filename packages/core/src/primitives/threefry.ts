/**
 * Threefry-2x32 with 20 rounds: the counter-based generator of Salmon, Moraes, Dror and Shaw,
 * "Parallel random numbers: as easy as 1, 2, 3" (SC11), as JAX's `threefry2x32` primitive.
 */
import type { NDArray } from '../array/ndarray'
import * as expr from '../compiler/expr'
import { Aval } from '../types/aval'
import { DTypeError } from '../types/errors'
import { bind } from '../trace/interpreter'
import {
  definePrimitive,
  discreteResult,
  nonlinear,
  type Params,
  type Primitive,
} from '../trace/primitive'
import { operation, type Operation } from './operation'
import { anyDType, checkPointwise, pointwiseBatch } from './pointwise'
import { allocateHost, hostArray } from './strided'

/** Rotation constants (table 2 of the paper) for rounds 4i … 4i + 3, alternating. */
const rotations = [
  [13, 15, 26, 6],
  [17, 29, 16, 24],
] as const
/** The key schedule's parity constant, Skein's C240 cut to 32 bits. */
const parity = 0x1bd11bda

/** The block function in any 32-bit arithmetic. */
function threefryBlock<T>(
  keys: readonly [T, T],
  counters: readonly [T, T],
  word: {
    readonly constant: (value: number) => T
    readonly add: (x: T, y: T) => T
    readonly xor: (x: T, y: T) => T
    readonly rotateLeft: (x: T, by: number) => T
  },
): [T, T] {
  const { constant, add, xor, rotateLeft } = word
  const schedule = [keys[0], keys[1], xor(xor(keys[0], keys[1]), constant(parity))]
  let x = add(counters[0], schedule[0])
  let y = add(counters[1], schedule[1])
  for (let group = 1; group <= 5; group++) {
    for (const by of rotations[(group - 1) % 2]) {
      x = add(x, y)
      y = xor(x, rotateLeft(y, by))
    }
    x = add(x, schedule[group % 3])
    y = add(y, add(schedule[(group + 1) % 3], constant(group)))
  }
  return [x, y]
}

const numbers = {
  constant: (value: number) => value,
  add: (x: number, y: number) => (x + y) >>> 0,
  xor: (x: number, y: number) => (x ^ y) >>> 0,
  rotateLeft: (x: number, by: number) => ((x << by) | (x >>> (32 - by))) >>> 0,
}

const op = (name: expr.BinaryOp, x: expr.Scalar, y: expr.Scalar): expr.Scalar =>
  expr.binary(name, 'uint32', x, y)
const constant = (value: number): expr.Scalar => expr.constant('uint32', value)
const expressions = {
  constant,
  add: (x: expr.Scalar, y: expr.Scalar) => op('add', x, y),
  xor: (x: expr.Scalar, y: expr.Scalar) => op('xor', x, y),
  rotateLeft: (x: expr.Scalar, by: number) =>
    op('or', op('shiftLeft', x, constant(by)), op('shiftRightLogical', x, constant(32 - by))),
}

type Operands = [key0: NDArray, key1: NDArray, counter0: NDArray, counter1: NDArray]

const bindThreefry = (...operands: Operands): readonly NDArray[] =>
  bind(threefryPrimitive, operands, {})

const threefryPrimitive: Primitive = definePrimitive({
  name: 'threefry2x32',
  abstractEval: (operands) => {
    checkPointwise('threefry2x32', operands, anyDType)
    const [{ shape, dtype }] = operands
    if (dtype !== 'uint32') {
      throw new DTypeError({
        op: 'threefry2x32',
        problem: `does not take ${dtype}`,
        operands: operands.map((aval, i) => ({ name: `operand ${i}`, aval })),
        rule: 'keys and counters are uint32',
      })
    }
    const aval = new Aval(shape, 'uint32')
    return [aval, aval]
  },
  jvp: discreteResult(([a, b, c, d]) => bindThreefry(a, b, c, d)),
  transpose: nonlinear,
  batch: pointwiseBatch(([a, b, c, d]) => bindThreefry(a, b, c, d)),
  evaluate: ([key0, key1, counter0, counter1], _params, outputs) => {
    const [first, second] = outputs.map((aval) => allocateHost('uint32', aval.size))
    for (let i = 0; i < first.length; i++) {
      const [x, y] = threefryBlock(
        [key0.data[i], key1.data[i]],
        [counter0.data[i], counter1.data[i]],
        numbers,
      )
      first[i] = x
      second[i] = y
    }
    return [hostArray(outputs[0], first), hostArray(outputs[1], second)]
  },
  lower: (context, operands, _params, outputs) => {
    // One expression with two results, so that a loop that stores both computes it once.
    const [key0, key1, counter0, counter1] = operands.map((operand) => operand.value)
    const words = threefryBlock([key0, key1], [counter0, counter1], expressions)
    return outputs.map((aval, i) => context.map(aval, () => words[i], ...operands))
  },
})

/** Two random words from two key words and two counter words, element by element. */
export const threefry2x32: Operation<Operands, Params, readonly NDArray[]> = operation(
  threefryPrimitive,
  bindThreefry,
)
