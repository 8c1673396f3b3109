/** Scalar expressions as WGSL: statements that leave each value in a register. */
import type { Affine, Buffer, DynamicOffset, Scalar } from '../../../compiler/expr'
import { forEachNode, operandsOf } from '../../../compiler/views'
import { constantText, isLiteral } from './literals'
import { requireMath } from './math/index'
import { isLong, operationText } from './operations'

/** Where statements go: `KernelSource`, as far as expressions are concerned. */
export interface ScalarTarget {
  /** Adds a declaration at module scope, once per key. */
  define(key: string, code: string): void
  line(code: string): void
  name(prefix: string): string
  /** The register at an address, an i32 expression in elements. */
  load(buffer: Buffer, address: string): string
}

/**
 * Writes expressions at one index into a kernel. Registers are named once: what has the same text is
 * the same value, as nothing is written to memory while they are in use.
 */
export class ScalarCode {
  private readonly written = new Map<Scalar, string>()
  private readonly registers = new Map<string, string>()

  constructor(
    private readonly target: ScalarTarget,
    /** The i32 index along each axis. */
    private readonly index: readonly string[],
    /** Registers of accumulators, by slot. */
    private readonly accumulators: readonly string[] = [],
  ) {}

  /** The register (or literal) that holds the value of an expression. */
  value(x: Scalar): string {
    const known = this.written.get(x)
    if (known !== undefined) return known
    for (const calls of repeatedCalls(x)) this.writeLoop(calls)
    return this.valueOf(x)
  }

  private valueOf(x: Scalar): string {
    const known = this.written.get(x)
    if (known !== undefined) return known
    const result = this.write(x)
    this.written.set(x, result)
    return result
  }

  /** Calls of one function by a loop over their operands, so that its code is there once. */
  private writeLoop(calls: readonly Scalar[]): void {
    const pending = calls.filter((call) => !this.written.has(call))
    if (pending.length < REPEATED) return
    const operands = pending.map((call) => operandsOf(call).map((x) => this.valueOf(x)))
    const [first] = pending
    const arrays = operandsOf(first).map((_, slot) => {
      const name = this.target.name('operands')
      const values = operands.map((each) => each[slot]).join(', ')
      this.target.line(`var ${name} = array<f32, ${pending.length}>(${values});`)
      return name
    })
    const i = this.target.name('i')
    const text = operationText(
      first,
      arrays.map((name) => `${name}[${i}]`),
    )
    requireMath(text, (name, code) => this.target.define(name, code))
    const [results] = arrays
    this.target.line(`for (var ${i} = 0; ${i} < ${pending.length}; ${i}++) {`)
    this.target.line(`  ${results}[${i}] = ${text};`)
    this.target.line('}')
    pending.forEach((call, position) =>
      this.written.set(call, this.register(`${results}[${position}]`)),
    )
  }

  /** `at(index) + Σ offset.value · offset.stride`, as an i32 expression. */
  address(at: Affine, offsets: readonly DynamicOffset[] = []): string {
    const terms: string[] = []
    at.strides.forEach((stride, axis) => {
      const position = this.index[axis]
      if (position === undefined) throw new Error(`no index along axis ${axis}`)
      if (stride !== 0 && position !== '0') terms.push(times(position, stride))
    })
    for (const { value, stride } of offsets) {
      if (stride !== 0) terms.push(times(this.value(value), stride))
    }
    if (at.offset !== 0 || terms.length === 0) terms.push(String(at.offset))
    return terms.join(' + ').replaceAll('+ -', '- ')
  }

  private write(x: Scalar): string {
    switch (x.kind) {
      case 'const':
        return this.constant(constantText(x))
      case 'accumulator': {
        const register = this.accumulators[x.slot]
        if (register === undefined) throw new Error(`accumulator ${x.slot} has no register`)
        return register
      }
      case 'index':
        return this.register(this.address(x.at))
      case 'load':
        return this.register(this.target.load(x.source, this.address(x.at, x.offsets)))
      case 'unary':
      case 'convert':
      case 'bitcast':
        return this.operation(x, [this.valueOf(x.x)])
      case 'binary':
        return this.operation(x, [this.valueOf(x.x), this.valueOf(x.y)])
      case 'select':
        return this.operation(x, [
          this.valueOf(x.condition),
          this.valueOf(x.onTrue),
          this.valueOf(x.onFalse),
        ])
    }
  }

  private operation(x: Scalar, operands: readonly string[]): string {
    // An operation on nothing but literals would be evaluated by the WGSL compiler, which refuses
    // overflow and what is not a number. A named value is not looked into.
    const named = operands.every(isLiteral)
      ? operands.map((operand) => this.register(operand))
      : operands
    const text = operationText(x, named)
    requireMath(text, (name, code) => this.target.define(name, code))
    return this.register(text)
  }

  private constant(text: string): string {
    requireMath(text, (name, code) => this.target.define(name, code))
    return isLiteral(text) ? text : this.register(text)
  }

  private register(text: string): string {
    if (identifier.test(text)) return text
    const known = this.registers.get(text)
    if (known !== undefined) return known
    const name = this.target.name('v')
    this.target.line(`let ${name} = ${text};`)
    this.registers.set(text, name)
    return name
  }
}

/** Calls of one function from which on a loop makes them. */
const REPEATED = 4

/**
 * Calls of long functions that do not depend on each other, by function, in the order in which they
 * can be made. WGSL compilers write a function's code wherever it is called.
 */
function repeatedCalls(root: Scalar): readonly (readonly Scalar[])[] {
  const levels = new Map<Scalar, number>()
  const groups = new Map<string, Scalar[]>()
  forEachNode([root], (x) => {
    const below = operandsOf(x).reduce((most, y) => Math.max(most, levels.get(y) ?? 0), 0)
    if (!isLong(x) || (x.kind !== 'unary' && x.kind !== 'binary')) {
      levels.set(x, below)
      return
    }
    levels.set(x, below + 1)
    const key = `${String(below).padStart(4, '0')} ${x.op} ${x.dtype}`
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [x])
    else group.push(x)
  })
  return [...groups.keys()]
    .sort()
    .map((key) => groups.get(key) ?? [])
    .filter((calls) => calls.length >= REPEATED)
}

const identifier = /^[A-Za-z_][A-Za-z_0-9]*$/

const times = (position: string, stride: number): string =>
  stride === 1 ? position : stride === -1 ? `-${position}` : `${position} * ${stride}`
