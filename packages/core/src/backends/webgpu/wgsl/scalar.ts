/** Scalar expressions as WGSL: statements that leave each value in a register. */
import type { Affine, Buffer, DynamicOffset, Scalar } from '../../../compiler/expr'
import { constantText, isLiteral } from './literals'
import { requireMath } from './math/index'
import { operationText } from './operations'

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
    const result = this.write(x)
    this.written.set(x, result)
    return result
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
        return this.operation(x, [this.value(x.x)])
      case 'binary':
        return this.operation(x, [this.value(x.x), this.value(x.y)])
      case 'select':
        return this.operation(x, [
          this.value(x.condition),
          this.value(x.onTrue),
          this.value(x.onFalse),
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

const identifier = /^[A-Za-z_][A-Za-z_0-9]*$/

const times = (position: string, stride: number): string =>
  stride === 1 ? position : stride === -1 ? `-${position}` : `${position} * ${stride}`
