import { bitsText } from '../emit'
import type { FunctionBuilder, Local, PlainOp, V128Bits } from '../emit'

/**
 * A v128 value as an expression: nothing is written until an `Emission` needs it. Vectors that are
 * written the same way are the same object, so common subexpressions are computed once.
 */
export interface Vec {
  readonly kind: 'constant' | 'local' | 'operation' | 'guarded'
  readonly args: readonly Vec[]
  /** Leaves the value on the stack, taking its arguments from the emission. */
  readonly write: (emission: Emission) => void
  /** The bits, where they are known now. */
  readonly bits: V128Bits | undefined
}

export class VectorGraph {
  private readonly known = new Map<string, Vec>()
  private readonly names = new Map<Vec, number>()

  /** The bits of a v128 constant, kept in a local for the whole function. */
  constant(bits: V128Bits): Vec {
    return this.unique(`const ${bitsText(bits)}`, {
      kind: 'constant',
      args: [],
      write: ({ f }) => f.get(f.hoisted(bits)),
      bits,
    })
  }

  /** What a local holds at the time of the emission. */
  local(local: Local<'v128'>): Vec {
    return this.unique(`local ${local.index}`, {
      kind: 'local',
      args: [],
      write: ({ f }) => f.get(local),
      bits: undefined,
    })
  }

  op(name: PlainOp, ...args: Vec[]): Vec {
    return this.operation(name, args, ({ f }) => f.op(name))
  }

  /** A shift of every lane by the same number of bits. */
  shift(name: PlainOp, x: Vec, amount: number): Vec {
    return amount === 0
      ? x
      : this.operation(`${name} ${amount}`, [x], ({ f }) => f.i32Const(amount).op(name))
  }

  /** Lanes of 32 bits: 0–3 from x, 4–7 from y. */
  shuffle32(x: Vec, y: Vec, ...lanes: [number, number, number, number]): Vec {
    return this.operation(`shuffle32 ${lanes.join()}`, [x, y], ({ f }) => f.shuffle32(...lanes))
  }

  /** Instructions that run after the arguments have been pushed; `key` tells them from others. */
  operation(key: string, args: readonly Vec[], write: (emission: Emission) => void): Vec {
    return this.special(key, args, (emission) => {
      for (const arg of args) emission.push(arg)
      write(emission)
    })
  }

  /** Like `operation`, but `write` pushes the arguments itself, each exactly once. */
  special(key: string, args: readonly Vec[], write: (emission: Emission) => void): Vec {
    return this.unique(`${key}(${args.map((arg) => this.names.get(arg)).join()})`, {
      kind: 'operation',
      args,
      write,
      bits: undefined,
    })
  }

  /**
   * `rare` where any bit of `condition` is set in the whole vector, else `usual`: the rare code is
   * jumped over when no lane needs it. It sees only its inputs and must itself keep `usual` in the
   * lanes that do not need it.
   */
  guarded(
    condition: Vec,
    usual: Vec,
    inputs: readonly Vec[],
    rare: (usual: Vec, ...inputs: Vec[]) => Vec,
  ): Vec {
    const args = [condition, usual, ...inputs]
    const vec: Vec = {
      kind: 'guarded',
      args,
      bits: undefined,
      write: (emission) => {
        const { f } = emission
        const locals = inputs.map((input) => emission.toLocal(input))
        const result = f.scratch('v128')
        emission.push(usual)
        f.set(result)
        emission.push(condition)
        f.op('v128.any_true').if(() => {
          const value = rare(this.local(result), ...locals.map(({ local }) => this.local(local)))
          new Emission(f, [value]).push(value)
          f.set(result)
        })
        f.get(result)
        f.release(result)
        for (const { release } of locals) release()
      },
    }
    this.names.set(vec, this.names.size)
    return vec
  }

  /**
   * A value computed by instructions for each 64-bit lane where `mask` is set; anything elsewhere.
   * `body` takes the lane's arguments from the input locals and leaves an f64 in the output local.
   */
  eachLane64(
    key: string,
    mask: Vec,
    args: readonly Vec[],
    body: (f: FunctionBuilder, inputs: readonly Local<'f64'>[], output: Local<'f64'>) => void,
  ): Vec {
    return this.special(key, [mask, ...args], (emission) => {
      const { f } = emission
      const sources = [mask, ...args].map((arg) => emission.toLocal(arg))
      const [wanted, ...operands] = sources.map(({ local }) => local)
      if (!wanted) throw new Error('the mask comes first')
      const inputs = operands.map(() => f.scratch('f64'))
      const output = f.scratch('f64')
      const lane = f.scratch('i32')
      const result = f.scratch('v128')
      f.forRange({ index: lane, from: 0, to: 2, nonEmpty: true }, () => {
        f.get(wanted)
          .lane('i32x4.extract_lane', 0)
          .if(() => {
            operands.forEach((operand, position) => {
              const input = inputs[position]
              if (input) f.get(operand).lane('f64x2.extract_lane', 0).set(input)
            })
            body(f, inputs, output)
          })
        // Each round takes the low lane, puts its result on top and turns the vectors.
        f.get(result).get(output).op('f64x2.splat').shuffle32(2, 3, 4, 5).set(result)
        for (const source of [wanted, ...operands]) {
          f.get(source).get(source).shuffle32(2, 3, 0, 1).set(source)
        }
      })
      f.get(result)
      f.release(...inputs, output)
      f.release(lane)
      f.release(result)
      for (const { release } of sources) release()
    })
  }

  private unique(key: string, vec: Vec): Vec {
    const found = this.known.get(key)
    if (found) return found
    this.known.set(key, vec)
    this.names.set(vec, this.names.size)
    return vec
  }
}

/**
 * Writes vectors and what they need, each once. A vector with one use stays on the stack; one with
 * several lives in a local from its first use to its last.
 */
export class Emission {
  private readonly remaining = new Map<Vec, number>()
  private readonly places = new Map<Vec, Local<'v128'>>()

  constructor(
    readonly f: FunctionBuilder,
    roots: readonly Vec[],
  ) {
    for (const root of roots) this.count(root)
  }

  /** Leaves the value on the stack. */
  push(vec: Vec): void {
    if (vec.kind === 'constant' || vec.kind === 'local') return vec.write(this)
    const place = this.places.get(vec)
    if (place) this.f.get(place)
    else vec.write(this)
    const remaining = (this.remaining.get(vec) ?? 1) - 1
    this.remaining.set(vec, remaining)
    if (place && remaining === 0) {
      this.places.delete(vec)
      this.f.release(place)
    } else if (!place && remaining > 0) {
      const fresh = this.f.scratch('v128')
      this.f.tee(fresh)
      this.places.set(vec, fresh)
    }
  }

  /** A local that holds the value until released. Counts as one use. */
  toLocal(vec: Vec): { readonly local: Local<'v128'>; readonly release: () => void } {
    const local = this.f.scratch('v128')
    this.push(vec)
    this.f.set(local)
    return { local, release: () => this.f.release(local) }
  }

  private count(vec: Vec): void {
    const uses = this.remaining.get(vec) ?? 0
    this.remaining.set(vec, uses + 1)
    if (uses === 0) for (const arg of vec.args) this.count(arg)
  }
}
