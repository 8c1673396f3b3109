import type { WasmFeatures } from '../emit'
import { v128 } from '../emit'
import type { Vec, VectorGraph } from './graph'

/** Facts about the two floating-point formats, as the algorithms need them. */
interface Format {
  /** The instructions on its lanes, and on integers of the same width. */
  readonly float: ReturnType<typeof floatOps>
  readonly whole: ReturnType<typeof integerOps>
  readonly bits: 32 | 64
  readonly mantissaBits: number
  readonly bias: number
  readonly smallestNormal: number
  /** 1.5 · 2^mantissaBits: adding it rounds to an integer, which then stands in the low bits. */
  readonly rounder: number
}

function floatOps<Lanes extends 'f32x4' | 'f64x2'>(lanes: Lanes) {
  return {
    abs: `${lanes}.abs`,
    add: `${lanes}.add`,
    ceil: `${lanes}.ceil`,
    div: `${lanes}.div`,
    eq: `${lanes}.eq`,
    floor: `${lanes}.floor`,
    ge: `${lanes}.ge`,
    gt: `${lanes}.gt`,
    le: `${lanes}.le`,
    lt: `${lanes}.lt`,
    mul: `${lanes}.mul`,
    ne: `${lanes}.ne`,
    nearest: `${lanes}.nearest`,
    neg: `${lanes}.neg`,
    pmax: `${lanes}.pmax`,
    pmin: `${lanes}.pmin`,
    relaxed_madd: `${lanes}.relaxed_madd`,
    relaxed_nmadd: `${lanes}.relaxed_nmadd`,
    sqrt: `${lanes}.sqrt`,
    sub: `${lanes}.sub`,
    trunc: `${lanes}.trunc`,
  } as const
}

function integerOps<Lanes extends 'i32x4' | 'i64x2'>(lanes: Lanes) {
  return {
    add: `${lanes}.add`,
    sub: `${lanes}.sub`,
    shl: `${lanes}.shl`,
    shr_u: `${lanes}.shr_u`,
    ne: `${lanes}.ne`,
  } as const
}

const formats: { readonly f32: Format; readonly f64: Format } = {
  f32: {
    float: floatOps('f32x4'),
    whole: integerOps('i32x4'),
    bits: 32,
    mantissaBits: 23,
    bias: 127,
    smallestNormal: 2 ** -126,
    rounder: 1.5 * 2 ** 23,
  },
  f64: {
    float: floatOps('f64x2'),
    whole: integerOps('i64x2'),
    bits: 64,
    mantissaBits: 52,
    bias: 1023,
    smallestNormal: 2 ** -1022,
    rounder: 1.5 * 2 ** 52,
  },
}

/**
 * Arithmetic on the lanes of one vector of a floating-point format, in the words of the formulas.
 * Masks are vectors of the same lane width, all ones or all zeros.
 */
export class FloatLanes {
  readonly format: Format

  constructor(
    readonly graph: VectorGraph,
    readonly type: 'f32' | 'f64',
    readonly features: WasmFeatures,
    /**
     * f64 lanes whose arguments and results are f32: no subnormal numbers come in, and what goes
     * beyond 2^±1000 need only do so too.
     */
    readonly widened = false,
  ) {
    this.format = formats[type]
  }

  // ---- constants ----------------------------------------------------------------------------

  constant(value: number): Vec {
    return this.graph.constant(this.type === 'f32' ? v128.f32x4(value) : v128.f64x2(value))
  }

  /** An integer of the lane width. */
  integer(value: number | bigint): Vec {
    return this.graph.constant(
      this.type === 'f32' ? v128.i32x4(Number(value)) : v128.i64x2(BigInt(value)),
    )
  }

  get signBit(): Vec {
    return this.constant(-0)
  }

  // ---- arithmetic ---------------------------------------------------------------------------

  add(x: Vec, y: Vec): Vec {
    return this.graph.op(this.format.float.add, x, y)
  }

  sub(x: Vec, y: Vec): Vec {
    return this.graph.op(this.format.float.sub, x, y)
  }

  mul(x: Vec, y: Vec): Vec {
    return this.graph.op(this.format.float.mul, x, y)
  }

  div(x: Vec, y: Vec): Vec {
    return this.graph.op(this.format.float.div, x, y)
  }

  /** x y + z, rounded once where the engine can. */
  madd(x: Vec, y: Vec, z: Vec): Vec {
    return this.features.relaxed
      ? this.graph.op(this.format.float.relaxed_madd, x, y, z)
      : this.add(this.mul(x, y), z)
  }

  /** z − x y, rounded once where the engine can. */
  nmadd(x: Vec, y: Vec, z: Vec): Vec {
    return this.features.relaxed
      ? this.graph.op(this.format.float.relaxed_nmadd, x, y, z)
      : this.sub(z, this.mul(x, y))
  }

  scale(x: Vec, factor: number): Vec {
    return this.mul(x, this.constant(factor))
  }

  plus(x: Vec, term: number): Vec {
    return this.add(x, this.constant(term))
  }

  neg(x: Vec): Vec {
    return this.graph.op(this.format.float.neg, x)
  }

  abs(x: Vec): Vec {
    return this.graph.op(this.format.float.abs, x)
  }

  sqrt(x: Vec): Vec {
    return this.graph.op(this.format.float.sqrt, x)
  }

  floor(x: Vec): Vec {
    return this.graph.op(this.format.float.floor, x)
  }

  ceil(x: Vec): Vec {
    return this.graph.op(this.format.float.ceil, x)
  }

  trunc(x: Vec): Vec {
    return this.graph.op(this.format.float.trunc, x)
  }

  /** To the nearest integer, ties to even. */
  nearest(x: Vec): Vec {
    return this.graph.op(this.format.float.nearest, x)
  }

  /** The smaller; x where either is NaN. */
  atMost(x: Vec, limit: Vec): Vec {
    return this.graph.op(this.format.float.pmin, x, limit)
  }

  /** The larger; x where either is NaN. */
  atLeast(x: Vec, limit: Vec): Vec {
    return this.graph.op(this.format.float.pmax, x, limit)
  }

  /** IEEE maximum: NaN propagates and +0 is above −0. */
  max(x: Vec, y: Vec): Vec {
    return this.extremum(x, y, true)
  }

  /** IEEE minimum: NaN propagates and −0 is below +0. */
  min(x: Vec, y: Vec): Vec {
    return this.extremum(x, y, false)
  }

  /**
   * The IEEE instructions take two to three times as long on x64 as the comparing ones, which
   * answer their first operand where either is NaN or both are equal: the rest is put right here.
   */
  private extremum(x: Vec, y: Vec, larger: boolean): Vec {
    const [varying, fixed] = this.isNumber(x) ? [y, x] : [x, y]
    const compared = larger ? this.atLeast(varying, fixed) : this.atMost(varying, fixed)
    if (this.isNumber(fixed)) {
      const zeros = this.constantLanes(fixed).filter((value) => value === 0)
      // Only the zero that should win can lose.
      if (zeros.every((zero) => Object.is(zero, larger ? -0 : 0))) return compared
      if (larger) return this.plus(compared, 0)
    }
    // Where they are equal only the sign of zero can differ.
    const equal = larger ? this.and(varying, fixed) : this.or(varying, fixed)
    const ordered = this.select(this.eq(varying, fixed), equal, compared)
    return this.select(this.isNaN(fixed), fixed, ordered)
  }

  private constantLanes({ bits }: Vec): number[] {
    if (!bits) return []
    return [
      ...(this.type === 'f32' ? new Float32Array(bits.buffer) : new Float64Array(bits.buffer)),
    ]
  }

  /** Whether a vector is a constant without NaN. */
  private isNumber(x: Vec): boolean {
    return x.bits !== undefined && !this.constantLanes(x).some(Number.isNaN)
  }

  /** Σ coefficients[k] x^k by Horner's rule. */
  polynomial(x: Vec, coefficients: readonly number[]): Vec {
    return coefficients
      .slice(0, -1)
      .reduceRight(
        (sum, coefficient) => this.madd(sum, x, this.constant(coefficient)),
        this.constant(coefficients[coefficients.length - 1] ?? 0),
      )
  }

  // ---- comparison and choice ----------------------------------------------------------------

  eq(x: Vec, y: Vec): Vec {
    return this.graph.op(this.format.float.eq, x, y)
  }

  ne(x: Vec, y: Vec): Vec {
    return this.graph.op(this.format.float.ne, x, y)
  }

  lt(x: Vec, y: Vec): Vec {
    return this.graph.op(this.format.float.lt, x, y)
  }

  le(x: Vec, y: Vec): Vec {
    return this.graph.op(this.format.float.le, x, y)
  }

  gt(x: Vec, y: Vec): Vec {
    return this.graph.op(this.format.float.gt, x, y)
  }

  ge(x: Vec, y: Vec): Vec {
    return this.graph.op(this.format.float.ge, x, y)
  }

  select(mask: Vec, onTrue: Vec, onFalse: Vec): Vec {
    return this.features.relaxed
      ? this.graph.op('i32x4.relaxed_laneselect', onTrue, onFalse, mask)
      : this.graph.op('v128.bitselect', onTrue, onFalse, mask)
  }

  and(x: Vec, y: Vec): Vec {
    return this.graph.op('v128.and', x, y)
  }

  or(x: Vec, y: Vec): Vec {
    return this.graph.op('v128.or', x, y)
  }

  xor(x: Vec, y: Vec): Vec {
    return this.graph.op('v128.xor', x, y)
  }

  not(x: Vec): Vec {
    return this.graph.op('v128.not', x)
  }

  /** x and not y */
  andNot(x: Vec, y: Vec): Vec {
    return this.graph.op('v128.andnot', x, y)
  }

  isNaN(x: Vec): Vec {
    return this.ne(x, x)
  }

  signOf(x: Vec): Vec {
    return this.and(x, this.signBit)
  }

  /** A magnitude, which is not negative or already has the sign of `x`, with the sign of `x`. */
  withSignOf(magnitude: Vec, x: Vec): Vec {
    return this.or(magnitude, this.signOf(x))
  }

  // ---- bits ---------------------------------------------------------------------------------

  addBits(x: Vec, y: Vec): Vec {
    return this.graph.op(this.format.whole.add, x, y)
  }

  subBits(x: Vec, y: Vec): Vec {
    return this.graph.op(this.format.whole.sub, x, y)
  }

  shiftLeft(x: Vec, amount: number): Vec {
    return this.graph.shift(this.format.whole.shl, x, amount)
  }

  shiftRight(x: Vec, amount: number): Vec {
    return this.graph.shift(this.format.whole.shr_u, x, amount)
  }

  // ---- powers of two ------------------------------------------------------------------------

  /** 2^n for an integer-valued n with a normal result. */
  powerOfTwo(n: Vec): Vec {
    const { rounder, bias, mantissaBits } = this.format
    return this.shiftLeft(this.plus(n, rounder + bias), mantissaBits)
  }

  /** x 2^n for an integer-valued n, in two steps, so that it may overflow or become subnormal. */
  scaleByPowerOfTwo(x: Vec, n: Vec): Vec {
    if (this.widened) return this.mul(x, this.powerOfTwo(n))
    const { rounder, bias, mantissaBits } = this.format
    // The integers h + bias and n − h + bias with h = n/2 rounded, in the low bits of floats; the
    // sums are exact, as twice the offset is an even number.
    const offset = rounder + bias
    const first = this.madd(n, this.constant(0.5), this.constant(offset))
    const second = this.plus(this.sub(n, first), 2 * offset)
    const partial = this.mul(x, this.shiftLeft(first, mantissaBits))
    return this.mul(partial, this.shiftLeft(second, mantissaBits))
  }

  /**
   * Added to a number, it rounds to an integer n; `scaleByCount` finds n in the low bits of the sum,
   * twice the bias above itself so that it is positive, or once where one factor is enough.
   */
  get counter(): number {
    const { rounder, bias } = this.format
    return rounder + (this.widened ? bias : 2 * bias)
  }

  /** x 2^n for the sum of n and the counter: the exponents of two factors, which may overflow. */
  scaleByCount(x: Vec, count: Vec): Vec {
    const { bits, mantissaBits } = this.format
    if (this.widened) return this.mul(x, this.shiftLeft(count, mantissaBits))
    // Sums and masks run on more ports than shifts: the second shift is a doubling.
    const half = this.shiftLeft(count, mantissaBits - 1)
    const exponent = -(2n ** BigInt(mantissaBits))
    const first = this.and(half, this.integer(BigInt.asIntN(bits, exponent)))
    const second = this.subBits(this.addBits(half, half), first)
    return this.mul(this.mul(x, first), second)
  }

  /**
   * x = m 2^k with m in [√½, √2), for positive finite x, subnormal ones too; k is
   * integer-valued in the lanes' own format.
   */
  splitExponent(x: Vec): { readonly m: Vec; readonly k: Vec } {
    const { mantissaBits, bias, smallestNormal } = this.format
    const lift = mantissaBits + 1
    const subnormal = this.lt(x, this.constant(smallestNormal))
    const scaled = this.widened ? x : this.select(subnormal, this.scale(x, 2 ** lift), x)
    const one = this.constant(1)
    const root = this.constant(Math.SQRT1_2)
    // Counting from √½ in the bit pattern moves the upper half of each binade to the next exponent.
    const shifted = this.addBits(this.subBits(scaled, root), one)
    const exponent = this.shiftRight(shifted, mantissaBits)
    const fraction = this.and(shifted, this.integer((1n << BigInt(mantissaBits)) - 1n))
    const m = this.addBits(fraction, root)
    // A small integer in the low bits of 2^mantissaBits is a float whose value is their sum.
    const bottom = 2 ** mantissaBits
    const biased = this.sub(this.or(exponent, this.constant(bottom)), this.constant(bottom + bias))
    const k = this.widened ? biased : this.sub(biased, this.and(subnormal, this.constant(lift)))
    return { m, k }
  }

  // ---- error-free transformations -------------------------------------------------------------

  /** x + y exactly, as a rounded sum and its error, for |x| ≥ |y| or x = 0 (Dekker 1971). */
  fastTwoSum(x: Vec, y: Vec): Double {
    const high = this.add(x, y)
    return { high, low: this.sub(y, this.sub(high, x)) }
  }

  /** x + y exactly, as a rounded sum and its error (Knuth, TAOCP 4.2.2). */
  twoSum(x: Vec, y: Vec): Double {
    const high = this.add(x, y)
    const part = this.sub(high, x)
    return { high, low: this.add(this.sub(x, this.sub(high, part)), this.sub(y, part)) }
  }

  /** x y exactly, as a rounded product and its error (by FMA, or Dekker and Veltkamp's splitting). */
  twoProduct(x: Vec, y: Vec): Double {
    const high = this.mul(x, y)
    if (this.features.relaxed) return { high, low: this.madd(x, y, this.neg(high)) }
    const [xHigh, xLow] = this.split(x)
    const [yHigh, yLow] = this.split(y)
    const cross = this.add(
      this.add(this.sub(this.mul(xHigh, yHigh), high), this.mul(xHigh, yLow)),
      this.mul(xLow, yHigh),
    )
    return { high, low: this.add(cross, this.mul(xLow, yLow)) }
  }

  private split(x: Vec): readonly [Vec, Vec] {
    // 2^ceil(p/2) + 1 for precision p
    const scaled = this.scale(x, this.type === 'f32' ? 4097 : 134217729)
    const high = this.sub(scaled, this.sub(scaled, x))
    return [high, this.sub(x, high)]
  }
}

/** An unevaluated sum of two floats, the second below half a unit in the last place of the first. */
export interface Double {
  readonly high: Vec
  readonly low: Vec
}
