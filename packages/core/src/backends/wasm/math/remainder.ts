import type { FunctionBuilder, Local } from '../emit'
import type { Vec } from './graph'
import type { FloatLanes } from './lanes'

/**
 * x − trunc(x / y) y, exactly, with the sign of x (C's fmod). `quotientBits` says how large a
 * quotient may be so that its product with y is exact in f64: the common case. Larger quotients
 * are divided out in integers, bit by bit in lumps.
 */
export function remainder(D: FloatLanes, x: Vec, y: Vec, quotientBits: number): Vec {
  const { graph } = D
  const zero = D.constant(0)
  const infinity = D.constant(Infinity)
  const a = D.abs(x)
  const b = D.abs(y)
  const quotient = D.trunc(D.div(a, b))
  const rest = quotientBits > 0 ? D.sub(a, D.mul(quotient, b)) : a
  // The rounded quotient may be one too large.
  const direct = D.select(D.lt(rest, zero), D.add(rest, b), rest)
  const within = quotientBits > 0 ? D.lt(quotient, D.constant(2 ** quotientBits)) : D.lt(a, b)
  const defined = D.and(D.lt(a, infinity), D.gt(b, zero))
  const far = D.andNot(D.and(defined, D.le(b, infinity)), D.or(within, D.eq(b, infinity)))
  const value = graph.guarded(
    'remainder',
    far,
    direct,
    [a, b, far],
    (usual, dividend, divisor, mask) =>
      D.select(
        mask,
        graph.eachLane64('remainder', mask, [dividend, divisor], (f, [p, q], output) => {
          if (p && q) integerRemainder(f, p, q, output)
        }),
        usual,
      ),
  )
  const exact = D.select(D.lt(a, b), a, value)
  const valid = D.and(defined, D.le(b, infinity))
  return D.select(valid, D.withSignOf(exact, x), D.constant(NaN))
}

/** p mod q for positive finite p and q: mantissas as integers, eleven bits of quotient at a time. */
function integerRemainder(
  f: FunctionBuilder,
  p: Local<'f64'>,
  q: Local<'f64'>,
  output: Local<'f64'>,
): void {
  const rest = f.scratch('i64')
  const divisor = f.scratch('i64')
  const exponent = f.scratch('i64')
  const distance = f.scratch('i64')
  const step = f.scratch('i64')
  const split = (x: Local<'f64'>, mantissa: Local<'i64'>, power: Local<'i64'>): void => {
    f.get(x).op('i64.reinterpret_f64').set(mantissa)
    f.get(mantissa).i64Const(52n).op('i64.shr_u').tee(power).op('i64.eqz')
    // A subnormal number has the exponent of the smallest normal one and no hidden bit.
    f.if(
      () => f.i64Const(1n).set(power),
      () => {
        f.get(mantissa)
          .i64Const((1n << 52n) - 1n)
          .op('i64.and')
        f.i64Const(1n << 52n)
          .op('i64.or')
          .set(mantissa)
      },
    )
  }
  split(q, divisor, exponent)
  split(p, rest, distance)
  f.get(distance).get(exponent).op('i64.sub').set(distance)
  f.get(distance).i64Const(0n).op('i64.lt_s')
  f.if(
    () => f.get(p).set(output),
    () => {
      f.get(rest).get(divisor).op('i64.rem_u').set(rest)
      f.whileLoop(
        () => f.get(distance).i64Const(0n).op('i64.gt_s'),
        () => {
          f.i64Const(11n)
            .get(distance)
            .get(distance)
            .i64Const(11n)
            .op('i64.gt_s')
            .select()
            .set(step)
          f.get(rest).get(step).op('i64.shl').get(divisor).op('i64.rem_u').set(rest)
          f.get(distance).get(step).op('i64.sub').set(distance)
        },
      )
      // rest · 2^(exponent − 1075), by two powers of two that are floats themselves
      const small = f.scratch('i32')
      f.get(exponent).i64Const(53n).op('i64.lt_s').set(small)
      f.get(rest).op('f64.convert_i64_u')
      f.f64Const(2 ** -1074)
        .f64Const(2 ** -52)
        .get(small)
        .select()
        .op('f64.mul')
      f.get(exponent).i64Const(1022n).i64Const(0n).get(small).select().op('i64.add')
      f.i64Const(52n).op('i64.shl').op('f64.reinterpret_i64').op('f64.mul').set(output)
      f.release(small)
    },
  )
  f.release(rest, divisor, exponent, distance, step)
}
