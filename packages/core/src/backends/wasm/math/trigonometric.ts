import type { FunctionBuilder, Local } from '../emit'
import { v128 } from '../emit'
import type { Vec } from './graph'
import { type Double, FloatLanes } from './lanes'
import { narrow, widen } from './widening'

/**
 * Sine, cosine and tangent. The argument is reduced to x = n π/2 + r, |r| ≤ π/4, always in f64
 * lanes: with π/2 in parts of 33 bits, whose products with n are exact (Cody and Waite; fdlibm,
 * e_rem_pio2.c), while n has 20 bits, and by Payne and Hanek's method beyond.
 */
const HALF_PI_PARTS = [
  1.57079632673412561417, 6.0771005063039659767e-11, 2.0222662487111664558e-21,
  8.47842766036889956997e-32,
] as const
const LARGEST_DIRECT = 2 ** 20

interface Reduced {
  /** n modulo 4 in the two low bits of each 64-bit lane. */
  readonly quadrant: Vec
  readonly r: Double
}

/** `precise` keeps a low part of r, which f64 results need and f32 results do not. */
function reduceDirectly(D: FloatLanes, x: Vec, precise: boolean): Reduced {
  const rounder = D.constant(D.format.rounder)
  const [first, second, third, fourth] = HALF_PI_PARTS
  const shifted = D.madd(x, D.constant(2 / Math.PI), rounder)
  const n = D.sub(shifted, rounder)
  const coarse = D.nmadd(n, D.constant(first), x)
  if (!precise) {
    const high = D.nmadd(n, D.constant(second + third), coarse)
    return { quadrant: shifted, r: { high, low: D.constant(0) } }
  }
  const a = D.twoSum(coarse, D.neg(D.scale(n, second)))
  const b = D.twoSum(a.high, D.neg(D.scale(n, third)))
  const r = D.fastTwoSum(b.high, D.nmadd(n, D.constant(fourth), D.add(a.low, b.low)))
  return { quadrant: shifted, r }
}

/** The same of huge numbers; anything in the other lanes. */
function reduceHuge(D: FloatLanes, x: Vec, precise: boolean): Reduced {
  const mask = isHuge(D, x)
  const exact = (part: HugePart): Vec =>
    D.graph.eachLane64(`payneHanek ${part}`, mask, [x], (f, [input], output) => {
      if (input) payneHanek(f, input, output, part)
    })
  return {
    quadrant: exact('quadrant'),
    r: { high: exact('high'), low: precise ? exact('low') : D.constant(0) },
  }
}

type Reduction = typeof reduceDirectly

const isHuge = (L: FloatLanes, x: Vec): Vec =>
  L.and(L.gt(L.abs(x), L.constant(LARGEST_DIRECT)), L.lt(L.abs(x), L.constant(Infinity)))

/** A function of x by its usual reduction and, where x is huge, by the other one. */
function reducing(
  L: FloatLanes,
  x: Vec,
  name: string,
  f: (L: FloatLanes, x: Vec, reduce: Reduction) => Vec,
): Vec {
  const { graph, type, features } = L
  const huge = isHuge(L, x)
  const key = `${name} of huge ${type}`
  return graph.guarded(key, huge, f(L, x, reduceDirectly), [x, huge], (usual, argument, mask) => {
    const exact = graph.outOfLine(key, [argument], (graph, argument) =>
      f(new FloatLanes(graph, type, features), argument, reduceHuge),
    )
    return L.select(mask, exact, usual)
  })
}

type HugePart = 'quadrant' | 'high' | 'low'

/** 2/π as the bytes of a binary fraction, most significant first. */
const TWO_OVER_PI = [
  0xa2f9836e, 0x4e441529, 0xfc2757d1, 0xf534ddc0, 0xdb629599, 0x3c439041, 0xfe5163ab, 0xdebbc561,
  0xb7246e3a, 0x424dd2e0, 0x06492eea, 0x09d1921c, 0xfe1deb1c, 0xb129a73e, 0xe88235f5, 0x2ebb4484,
  0xe99c7026, 0xb45f7e41, 0x3991d639, 0x835339f4, 0x9c845f8b, 0xbdf9283b, 0x1ff897ff, 0xde05980f,
  0xef2f118b, 0x5a0a6d1f, 0x6d367ecf, 0x27cb09b7, 0x4f463f66, 0x9e5fea2d, 0x7527bac7, 0xebe5f17b,
  0x3d0739f7, 0x8a5292ea, 0x6bfb5fb1, 0x1f8d5d08, 0x56033046, 0xfc7b6bab, 0xf0cfbc20,
] as const

/**
 * Payne and Hanek, Radian reduction for trigonometric functions (SIGNUM 1983): of x · 2/π only
 * the bits around the binary point matter. x is an integer of 53 bits times a power of two, which
 * selects a window of 192 bits of 2/π; the product modulo 4 is taken in integers.
 */
function payneHanek(
  f: FunctionBuilder,
  x: Local<'f64'>,
  output: Local<'f64'>,
  part: HugePart,
): void {
  const bits = f.scratch('i64')
  const mantissa = f.scratch('i64')
  const position = f.scratch('i32')
  const words = [f.scratch('i64'), f.scratch('i64'), f.scratch('i64')] as const
  const high = f.scratch('i64')
  const low = f.scratch('i64')
  const carry = f.scratch('i64')
  const count = f.scratch('i64')

  f.get(x).op('i64.reinterpret_f64').set(bits)
  f.get(bits)
    .i64Const((1n << 52n) - 1n)
    .op('i64.and')
    .i64Const(1n << 52n)
    .op('i64.or')
    .set(mantissa)
  // x = mantissa · 2^e. Bits of 2/π above weight 2^(1−e) only add multiples of 4, so the window
  // starts e − 2 bits after the binary point. It is addressed by whole bytes and the remaining 0–7
  // bits are moved into the mantissa. e is at least 20 − 52: 16 bytes of zeros stand before.
  f.get(bits).i64Const(52n).op('i64.shr_u').i64Const(0x7ffn).op('i64.and').op('i32.wrap_i64')
  f.i32Const(1075 + 2 - 128)
    .op('i32.sub')
    .set(position)
  f.get(mantissa).get(position).i32Const(7).op('i32.and').op('i64.extend_i32_u').op('i64.shl')
  f.set(mantissa)
  f.get(position).i32Const(3).op('i32.shr_u').set(position)
  readWindow(f, position, words)

  // (high, low) = top 128 bits of the low 192 bits of mantissa · (words[0], words[1], words[2])
  f.get(mantissa).get(words[2])
  multiplyHigh(f)
  f.set(carry)
  f.get(mantissa).get(words[1]).op('i64.mul').get(carry).op('i64.add').tee(low)
  f.get(carry).op('i64.lt_u').op('i64.extend_i32_u').set(carry)
  f.get(mantissa).get(words[1])
  multiplyHigh(f)
  f.get(mantissa).get(words[0]).op('i64.mul').op('i64.add').get(carry).op('i64.add').set(high)

  // high holds the integer part in its top 2 bits: round to the nearest quadrant.
  f.get(high)
    .i64Const(1n << 61n)
    .op('i64.add')
    .i64Const(62n)
    .op('i64.shr_u')
    .set(count)
  if (part === 'quadrant') {
    // −x has the opposite quadrant.
    f.i64Const(0n).get(count).op('i64.sub').get(count)
    f.get(bits).i64Const(0n).op('i64.lt_s').select().i64Const(3n).op('i64.and')
    f.op('f64.reinterpret_i64').set(output)
  } else {
    // The signed fraction of a quadrant, normalised so that its digits fill `high`.
    f.get(high).i64Const(2n).op('i64.shl').get(low).i64Const(62n).op('i64.shr_u').op('i64.or')
    f.set(high)
    f.get(low).i64Const(2n).op('i64.shl').set(low)
    const negative = f.scratch('i64')
    f.get(high).i64Const(63n).op('i64.shr_s').set(negative)
    f.get(high).get(negative).op('i64.xor').set(high)
    f.get(low).get(negative).op('i64.xor').set(low)
    f.get(high).op('i64.clz').set(count)
    f.get(high).get(count).op('i64.shl')
    // shr_u by 64 − count in two steps, because a shift by 64 is a shift by 0.
    f.get(low).i64Const(1n).op('i64.shr_u').i64Const(63n).get(count).op('i64.sub').op('i64.shr_u')
    f.op('i64.or').set(high)
    const r0 = f.scratch('f64')
    const r1 = f.scratch('f64')
    const product = f.scratch('f64')
    const scale = f.scratch('f64')
    // The top 32 bits and the rest are exact in f64; π/2 is split likewise.
    f.get(high)
      .i64Const(32n)
      .op('i64.shr_u')
      .op('f64.convert_i64_u')
      .f64Const(2 ** 32)
      .op('f64.mul')
    f.set(r0)
    f.get(high).i64Const(0xffffffffn).op('i64.and').op('f64.convert_i64_u').set(r1)
    // 2^-64-count: the fraction's unit after normalising
    f.i64Const(1023n - 64n)
      .get(count)
      .op('i64.sub')
      .i64Const(52n)
      .op('i64.shl')
    f.get(bits)
      .get(negative)
      .op('i64.xor')
      .i64Const(-(1n << 63n))
      .op('i64.and')
      .op('i64.or')
    f.op('f64.reinterpret_i64').set(scale)
    // r0 · p1 is exact (32 + 21 bits); then everything else in order of size.
    const rest = f.scratch('f64')
    f.get(r0).f64Const(HALF_PI_HIGH).op('f64.mul').set(product)
    f.get(r0).f64Const(HALF_PI_LOW).op('f64.mul')
    f.get(r1)
      .f64Const(Math.PI / 2)
      .op('f64.mul')
      .op('f64.add')
      .set(rest)
    f.get(product).get(rest).op('f64.add').set(r1)
    if (part === 'high') f.get(r1)
    else f.get(product).get(r1).op('f64.sub').get(rest).op('f64.add')
    f.get(scale).op('f64.mul').set(output)
    f.release(r0, r1, product, scale, rest)
    f.release(negative)
  }
  f.release(bits, mantissa, high, low, carry, count, ...words)
  f.release(position)
}

/** π/2 = high + low, high of 21 bits. */
const HALF_PI_HIGH = 1.57079601287841796875
const HALF_PI_LOW = 3.1391647865048132117e-7

/** The 24 bytes of 2/π from a byte position on, sixteen bytes of zeros standing before. */
function readWindow(
  f: FunctionBuilder,
  position: Local<'i32'>,
  words: readonly Local<'i64'>[],
): void {
  const bytes = new Uint8Array(16 * Math.ceil((16 + 4 * TWO_OVER_PI.length + 24) / 16))
  const view = new DataView(bytes.buffer)
  TWO_OVER_PI.forEach((word, index) => view.setUint32(16 + 4 * index, word))
  const index = f.scratch('v128')
  const window = f.scratch('v128')
  words.forEach((word, number) => {
    // A little-endian word takes the bytes in falling order.
    const order = Array.from({ length: 16 }, (_, byte) => 8 * number + 7 - (byte % 8))
    f.get(position)
      .op('i8x16.splat')
      .v128Const(v128.i8x16(...order))
      .op('i8x16.add')
      .set(index)
    // Swizzle gives 0 for indices outside the 16 bytes at hand.
    for (let start = 0; start < bytes.length; start += 16) {
      f.v128Const(bytes.slice(start, start + 16)).get(index)
      if (start > 0) f.v128Const(v128.i8x16(start)).op('i8x16.sub')
      f.op('i8x16.swizzle')
      if (start > 0) f.get(window).op('v128.or')
      f.set(window)
    }
    f.get(window).lane('i64x2.extract_lane', 0).set(word)
  })
  f.release(index, window)
}

/** The high 64 bits of the product of the two unsigned 64-bit integers on the stack. */
function multiplyHigh(f: FunctionBuilder): void {
  const a = f.scratch('i64')
  const b = f.scratch('i64')
  const middle = f.scratch('i64')
  const cross = f.scratch('i64')
  const low32 = (x: Local<'i64'>): FunctionBuilder => f.get(x).i64Const(0xffffffffn).op('i64.and')
  const high32 = (x: Local<'i64'>): FunctionBuilder => f.get(x).i64Const(32n).op('i64.shr_u')
  f.set(b).set(a)
  low32(a)
  low32(b).op('i64.mul').i64Const(32n).op('i64.shr_u')
  high32(a)
  low32(b).op('i64.mul').op('i64.add').set(middle)
  low32(a)
  high32(b).op('i64.mul')
  low32(middle).op('i64.add').set(cross)
  high32(a)
  high32(b).op('i64.mul')
  high32(middle).op('i64.add')
  high32(cross).op('i64.add')
  f.release(a, b, middle, cross)
}

// ---- kernels on |r| ≤ π/4 ---------------------------------------------------------------------

/** sin(r + low), fdlibm k_sin.c in f64 and Cephes sinf.c in f32. */
function sinKernel(L: FloatLanes, { high: r, low }: Double): Vec {
  const z = L.mul(r, r)
  if (L.type === 'f32') {
    const odd = L.polynomial(z, [-1.6666654611e-1, 8.3321608736e-3, -1.9515295891e-4])
    return L.madd(L.mul(z, r), odd, r)
  }
  const odd = L.polynomial(
    z,
    [
      8.33333333332248946124e-3, -1.98412698298579493134e-4, 2.75573137070700676789e-6,
      -2.50507602534068634195e-8, 1.58969099521155010221e-10,
    ],
  )
  const cube = L.mul(z, r)
  // r − ((z (low/2 − r³ P) − low) + r³/6)
  const inner = L.sub(L.mul(z, L.sub(L.scale(low, 0.5), L.mul(cube, odd))), low)
  return L.sub(r, L.madd(cube, L.constant(1.66666666666666324348e-1), inner))
}

/** cos(r + low), fdlibm k_cos.c in f64 and Cephes sinf.c in f32. */
function cosKernel(L: FloatLanes, { high: r, low }: Double): Vec {
  const z = L.mul(r, r)
  const one = L.constant(1)
  const half = L.scale(z, 0.5)
  if (L.type === 'f32') {
    const even = L.polynomial(
      z,
      [4.166664568298827e-2, -1.388731625493765e-3, 2.443315711809948e-5],
    )
    return L.add(L.madd(L.mul(z, z), even, L.neg(half)), one)
  }
  const even = L.polynomial(
    z,
    [
      4.16666666666666019037e-2, -1.38888888888741095749e-3, 2.48015872894767294178e-5,
      -2.75573143513906633035e-7, 2.0875723212981748279e-9, -1.13596475577881948265e-11,
    ],
  )
  const leading = L.sub(one, half)
  const rounding = L.sub(L.sub(one, leading), half)
  return L.add(leading, L.add(rounding, L.nmadd(r, low, L.mul(L.mul(z, z), even))))
}

/** The sine (or cosine) of x, whose quadrant and remainder are known in the lanes' own width. */
function fromQuadrant(L: FloatLanes, quadrant: Vec, r: Double, cosine: boolean): Vec {
  const { whole, bits } = L.format
  const sin = sinKernel(L, r)
  const cos = cosKernel(L, r)
  const turned = cosine ? L.addBits(quadrant, L.integer(1)) : quadrant
  const swapped = L.graph.op(whole.ne, L.and(turned, L.integer(1)), L.integer(0))
  const sign = L.and(L.shiftLeft(turned, bits - 2), L.signBit)
  return L.xor(L.select(swapped, cos, sin), sign)
}

/** ±0 and the smallest numbers are their own sine and tangent; the reduction loses the sign of 0. */
function keepTiny(L: FloatLanes, x: Vec, value: Vec): Vec {
  return L.select(L.lt(L.abs(x), L.constant(L.type === 'f32' ? 2 ** -13 : 2 ** -27)), x, value)
}

function sinOrCos64(D: FloatLanes, x: Vec, cosine: boolean, reduce: Reduction): Vec {
  const { quadrant, r } = reduce(D, x, true)
  const value = fromQuadrant(D, quadrant, r, cosine)
  return cosine ? value : keepTiny(D, x, value)
}

/** f32 lanes, reduced in f64 halves. */
function sinOrCos32(L: FloatLanes, x: Vec, cosine: boolean, reduce: Reduction): Vec {
  const { graph } = L
  const D = new FloatLanes(graph, 'f64', L.features)
  const [a, b] = widen(graph, x)
  const [low, high] = [reduce(D, a, false), reduce(D, b, false)]
  const quadrant = graph.shuffle32(low.quadrant, high.quadrant, 0, 2, 4, 6)
  const r = { high: narrow(graph, low.r.high, high.r.high), low: L.constant(0) }
  const value = fromQuadrant(L, quadrant, r, cosine)
  return cosine ? value : keepTiny(L, x, value)
}

const sinOrCos = (L: FloatLanes, x: Vec, cosine: boolean): Vec =>
  reducing(L, x, cosine ? 'cos' : 'sin', (lanes, argument, reduce) =>
    (lanes.type === 'f32' ? sinOrCos32 : sinOrCos64)(lanes, argument, cosine, reduce),
  )

export const sin = (L: FloatLanes, x: Vec): Vec => sinOrCos(L, x, false)
export const cos = (L: FloatLanes, x: Vec): Vec => sinOrCos(L, x, true)

/** tan in f64 lanes: sin r / cos r, or −cos r / sin r in odd quadrants. */
export const tan = (D: FloatLanes, x: Vec): Vec => reducing(D, x, 'tan', reducedTan)

function reducedTan(D: FloatLanes, x: Vec, reduce: Reduction): Vec {
  const { quadrant, r } = reduce(D, x, true)
  const sine = sinKernel(D, r)
  const cosine = cosKernel(D, r)
  const odd = D.graph.op('i64x2.ne', D.and(quadrant, D.integer(1)), D.integer(0))
  const ratio = D.div(D.select(odd, cosine, sine), D.select(odd, sine, cosine))
  return keepTiny(D, x, D.xor(ratio, D.and(odd, D.signBit)))
}
