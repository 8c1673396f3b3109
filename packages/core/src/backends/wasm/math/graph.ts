import { bitsText } from '../emit'
import type { FunctionBuilder, Local, PlainOp, V128Bits } from '../emit'

/**
 * A v128 value as an expression: nothing is written until an `Emission` needs it. Vectors that are
 * written the same way are the same object, so common subexpressions are computed once.
 */
export interface Vec {
  /** An operation has its arguments pushed for it; a special one pushes them itself, each once. */
  readonly kind: 'constant' | 'local' | 'operation' | 'special' | 'guarded'
  readonly args: readonly Vec[]
  /** Leaves the value on the stack, taking its arguments from the emission or from the stack. */
  readonly write: (emission: Emission) => void
  /** The bits, where they are known now. */
  readonly bits: V128Bits | undefined
  /** What a guarded vector is where its condition holds; its arguments begin with condition and usual. */
  readonly rare: Rare | undefined
  /** Tells the vectors of a graph apart. */
  readonly id: number
  /** What else has the same key and hash. */
  readonly next: Vec | undefined
}

/** Rare code, of the usual value and its inputs; whoever has the same key has the same code. */
interface Rare {
  readonly key: string
  readonly write: (usual: Vec, ...inputs: Vec[]) => Vec
}

const none: readonly Vec[] = []

/** Small for few arguments, so that maps keep it in place of a number on the heap. */
function hashOf(args: readonly Vec[]): number {
  let hash = 0
  for (let i = 0; i < args.length; i++)
    hash = (Math.imul(hash, 31) + (args[i]?.id ?? 0)) & 0x3fffffff
  return hash
}

const areSame = (a: readonly Vec[], b: readonly Vec[]): boolean => {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}

export class VectorGraph {
  /**
   * Vectors by what they do and by a hash of their arguments. Looking one up makes no text: that
   * would be most of the work of translating an expression.
   */
  private readonly known = new Map<string, Map<number, Vec>>()
  private readonly leaves = new Map<string | V128Bits, Vec>()
  private size = 0

  /** The bits of a v128 constant, kept in a local for the whole function. */
  constant(bits: V128Bits): Vec {
    const known = this.leaves.get(bits)
    if (known) return known
    const key = `const ${bitsText(bits)}`
    const same =
      this.leaves.get(key) ??
      this.leaf(key, 'constant', ({ f }) => void f.get(f.hoisted(bits)), bits)
    this.leaves.set(bits, same)
    return same
  }

  /** What a local holds at the time of the emission. */
  local(local: Local<'v128'>): Vec {
    const key = `local ${local.index}`
    return this.leaves.get(key) ?? this.leaf(key, 'local', ({ f }) => void f.get(local))
  }

  op(name: PlainOp, ...args: Vec[]): Vec {
    return this.find(name, args) ?? this.add(name, 'operation', args, ({ f }) => void f.op(name))
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
    if (args.length === 0) return this.leaves.get(key) ?? this.leaf(key, 'operation', write)
    return this.find(key, args) ?? this.add(key, 'operation', args, write)
  }

  /** Like `operation`, but `write` pushes the arguments itself, each exactly once. */
  special(key: string, args: readonly Vec[], write: (emission: Emission) => void): Vec {
    return this.find(key, args) ?? this.add(key, 'special', args, write)
  }

  /**
   * `rare` where any bit of `condition` is set in the whole vector, else `usual`: the rare code is
   * jumped over when no lane needs it. It sees only its inputs and must itself keep `usual` in the
   * lanes that do not need it. Guarded vectors of the same key may share one piece of rare code.
   */
  guarded(
    key: string,
    condition: Vec,
    usual: Vec,
    inputs: readonly Vec[],
    rare: Rare['write'],
  ): Vec {
    const write = (emission: Emission): void => {
      const [result] = emission.guard(this, [vec])
      if (result) emission.f.get(result).release(result)
    }
    const args = [condition, usual, ...inputs]
    const vec: Vec = { ...this.unshared('guarded', args, write), rare: { key, write: rare } }
    return vec
  }

  /**
   * What `build` makes of the arguments, as a call of a function that all with this key have in
   * common: for code that is rarely run, which would otherwise be written wherever it may be needed.
   */
  outOfLine(
    key: string,
    args: readonly Vec[],
    build: (graph: VectorGraph, ...args: Vec[]) => Vec,
  ): Vec {
    return this.call(key, args, (f) => {
      const graph = new VectorGraph()
      const value = build(graph, ...args.map((_, at) => graph.local(f.param(at, 'v128'))))
      new Emission(f, [value]).push(value)
    })
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
    return this.call(key, [mask, ...args], (f) => {
      const wanted = f.param(0, 'v128')
      const operands = args.map((_, at) => f.param(at + 1, 'v128'))
      const inputs = operands.map(() => f.local('f64'))
      const output = f.local('f64')
      const lane = f.local('i32')
      const result = f.local('v128')
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
    })
  }

  /** A call of the function with this key, which takes vectors and answers one. */
  private call(key: string, args: readonly Vec[], body: (f: FunctionBuilder) => void): Vec {
    const params = args.map(() => 'v128' as const)
    return this.operation(`call ${key}`, args, ({ f }) => {
      const { module } = f
      f.call(
        module.sharedFunction(key, () =>
          module.function({ name: key, params, results: ['v128'] }, body),
        ),
      )
    })
  }

  private find(key: string, args: readonly Vec[]): Vec | undefined {
    let found = this.known.get(key)?.get(hashOf(args))
    while (found && !areSame(found.args, args)) found = found.next
    return found
  }

  private add(key: string, kind: Vec['kind'], args: readonly Vec[], write: Vec['write']): Vec {
    let same = this.known.get(key)
    if (!same) this.known.set(key, (same = new Map<number, Vec>()))
    const hash = hashOf(args)
    const vec = this.unshared(kind, args, write, undefined, same.get(hash))
    same.set(hash, vec)
    return vec
  }

  private leaf(key: string, kind: Vec['kind'], write: Vec['write'], bits?: V128Bits): Vec {
    const vec = this.unshared(kind, none, write, bits)
    this.leaves.set(key, vec)
    return vec
  }

  private unshared(
    kind: Vec['kind'],
    args: readonly Vec[],
    write: Vec['write'],
    bits?: V128Bits,
    next?: Vec,
  ): Vec {
    return { kind, args, write, bits, rare: undefined, id: this.size++, next }
  }
}

/** Operations of a group from which it takes turns with others: fewer than a processor looks ahead. */
const LONG_CHAIN = 8

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
    else this.write(vec)
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

  /**
   * Computes what several groups of vectors need, an operation of each group in turn. A processor
   * looks only so far ahead (36 operations on floats wait on Zen 2, twice as many on others), and in
   * one long chain after the other all of these would wait for each other. Short chains are left to
   * be written where they are used.
   */
  interleave(graph: VectorGraph, groups: readonly (readonly Vec[])[]): void {
    const orders = groups.map((roots) => this.pending(roots))
    const longest = Math.max(0, ...orders.map(({ length }) => length))
    if (groups.length === 1 || longest < LONG_CHAIN) return
    const steps = Array.from({ length: longest })
    const together = steps.map((_, step) => [
      ...new Set(orders.flatMap((each) => each[step] ?? [])),
    ])
    const guards = together.filter(
      (vecs) =>
        vecs.length > 1 &&
        vecs.every(({ rare }) => rare !== undefined && rare.key === vecs[0]?.rare?.key),
    )
    const conditions = new Map<readonly Vec[], Local<'v128'>>()
    for (const vecs of together) {
      const open = vecs.filter((vec) => !this.places.has(vec))
      if (open.length === vecs.length && guards.includes(vecs)) {
        this.guard(graph, vecs, conditions.get(vecs)).forEach((place, i) => {
          const vec = vecs[i]
          if (vec) this.places.set(vec, place)
        })
      } else for (const vec of open) this.place(vec)
      // One condition takes less room than many.
      for (const guard of guards) {
        if (guard.every(({ args: [condition] }) => condition && vecs.includes(condition))) {
          conditions.set(guard, this.anyCondition(guard))
        }
      }
    }
  }

  /** The conditions of guarded vectors, all in one. */
  private anyCondition(vecs: readonly Vec[]): Local<'v128'> {
    const { f } = this
    const any = f.scratch('v128')
    vecs.forEach(({ args: [condition] }, i) => {
      if (condition) this.push(condition)
      if (i > 0) f.op('v128.or')
    })
    f.set(any)
    return any
  }

  /**
   * Guarded vectors in locals: the conditions of all are looked at together, and the rare code, which
   * must be the same for all, is there once, in a loop.
   */
  guard(graph: VectorGraph, vecs: readonly Vec[], known?: Local<'v128'>): readonly Local<'v128'>[] {
    const { f } = this
    const results = vecs.map(() => f.scratch('v128'))
    const rows = vecs.map(({ args: [, , ...inputs] }) =>
      inputs.map((input) => this.toLocal(input).local),
    )
    vecs.forEach(({ args: [, usual] }, i) => {
      const result = results[i]
      if (!usual || !result) return
      this.push(usual)
      f.set(result)
    })
    const any = known ?? this.anyCondition(vecs)
    f.get(any).op('v128.any_true')
    f.if(() => {
      const [result] = results
      const [inputs = []] = rows
      const rare = vecs[0]?.rare
      if (!result || !rare) return
      const compute = (): void => {
        const value = rare.write(graph.local(result), ...inputs.map((input) => graph.local(input)))
        new Emission(f, [value]).push(value)
      }
      if (vecs.length === 1) {
        compute()
        f.set(result)
        return
      }
      const turn = f.scratch('i32')
      f.forRange({ index: turn, from: 0, to: vecs.length, nonEmpty: true }, () => {
        compute()
        rotate(f, results, () => undefined)
        inputs.forEach((first, position) => {
          const column = rows.map((row) => row[position] ?? first)
          rotate(f, column, () => f.get(first))
        })
      })
      f.release(turn)
    })
    f.release(any, ...rows.flat())
    return results
  }

  /** The operations behind some vectors that have no place yet, arguments first. */
  private pending(roots: readonly Vec[]): readonly Vec[] {
    const order = new Set<Vec>()
    const visit = (vec: Vec): void => {
      if (vec.kind === 'constant' || vec.kind === 'local') return
      if (this.places.has(vec) || order.has(vec)) return
      vec.args.forEach(visit)
      order.add(vec)
    }
    roots.forEach(visit)
    return [...order]
  }

  /** Computes a vector into a local, from where its uses take it. */
  private place(vec: Vec): void {
    const fresh = this.f.scratch('v128')
    this.write(vec)
    this.f.set(fresh)
    this.places.set(vec, fresh)
  }

  private write(vec: Vec): void {
    if (vec.kind === 'operation') {
      for (let i = 0; i < vec.args.length; i++) {
        const arg = vec.args[i]
        if (arg) this.push(arg)
      }
    }
    vec.write(this)
  }

  /** A local that holds the value until released. Counts as one use. */
  toLocal(vec: Vec): { readonly local: Local<'v128'>; readonly release: () => void } {
    const local = this.f.scratch('v128')
    this.push(vec)
    this.f.set(local)
    return { local, release: () => this.f.release(local) }
  }

  private count(vec: Vec): void {
    if (vec.kind === 'constant' || vec.kind === 'local') return
    const uses = this.remaining.get(vec) ?? 0
    this.remaining.set(vec, uses + 1)
    for (let i = 0; uses === 0 && i < vec.args.length; i++) {
      const arg = vec.args[i]
      if (arg) this.count(arg)
    }
  }
}

/** Moves each local's value to the one before it; the last gets what `pushLast` leaves on the stack. */
function rotate(f: FunctionBuilder, locals: readonly Local<'v128'>[], pushLast: () => void): void {
  pushLast()
  for (const local of locals.slice(1)) f.get(local)
  for (const local of locals.slice(0, -1).reverse()) f.set(local)
  const last = locals.at(-1)
  if (last) f.set(last)
}
