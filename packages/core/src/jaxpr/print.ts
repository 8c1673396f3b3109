/** Printing jaxprs as JAX prints them. */
import type { Show } from 'fp-ts/lib/Show.js'
import type { ParamValue } from '../trace/primitive'
import { isFloating } from '../types/dtype'
import { type Atom, type Equation, isVar, Jaxpr, type Literal, type Var } from './ir'
import { type Doc, group, hardLine, join, layout, line, nest } from './layout'

/** Variables get the names a, b, …, z, ba, bb, … in the order they are printed. */
class Names {
  private readonly names = new Map<Var, string>()
  of(v: Var): string {
    let name = this.names.get(v)
    if (name === undefined) {
      name = letters(this.names.size)
      this.names.set(v, name)
    }
    return name
  }
}

function letters(n: number): string {
  const last = String.fromCharCode(97 + (n % 26))
  return n < 26 ? last : letters(Math.floor(n / 26)) + last
}

const snakeCase = (name: string): string => name.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`)

/** A number as Python writes it. */
function pythonNumber(x: number, floating: boolean): string {
  if (Number.isNaN(x)) return 'nan'
  if (!Number.isFinite(x)) return x > 0 ? 'inf' : '-inf'
  if (!floating) return String(x)
  const magnitude = Math.abs(x)
  if (x !== 0 && (magnitude < 1e-4 || magnitude >= 1e16)) {
    return x.toExponential().replace(/e([+-])(\d)$/, 'e$10$2')
  }
  if (Number.isInteger(x)) return `${Object.is(x, -0) ? '-0' : BigInt(x)}.0`
  return String(x)
}

const pythonBoolean = (x: boolean): string => (x ? 'True' : 'False')

function literal({ value, aval }: Literal): string {
  const text =
    typeof value === 'boolean' || aval.dtype === 'bool'
      ? pythonBoolean(Boolean(value))
      : pythonNumber(value, isFloating(aval.dtype))
  return `${text}:${aval}`
}

function param(value: ParamValue, names: Names): Doc {
  if (value === null || value === undefined) return 'None'
  if (typeof value === 'boolean') return pythonBoolean(value)
  if (typeof value === 'number') return pythonNumber(value, !Number.isInteger(value))
  if (typeof value === 'function') return value.name || '<lambda>'
  if (typeof value === 'string') return value
  if (value instanceof Jaxpr) return jaxprDoc(value, names)
  if (isTuple(value)) {
    if (value.some((v) => v instanceof Jaxpr)) {
      return [
        '(',
        nest(2, [
          line(),
          join(
            line(),
            value.map((v) => param(v, names)),
          ),
        ]),
        line(),
        ')',
      ]
    }
    const items = join(
      ', ',
      value.map((v) => param(v, names)),
    )
    return ['(', items, value.length === 1 ? ',)' : ')']
  }
  const { name, fields } = descriptorOf(Object.keys(value))
  return [
    `${name}(`,
    join(
      ', ',
      fields.map((key) => [`${snakeCase(key)}=`, param(fieldOf(value, key), names)]),
    ),
    ')',
  ]
}

interface Descriptor {
  readonly name: string
  readonly fields: readonly string[]
}

/** JAX's named tuples, with their fields in its order. */
const descriptors: readonly Descriptor[] = [
  { name: 'ConvDimensionNumbers', fields: ['lhsSpec', 'rhsSpec', 'outSpec'] },
  {
    name: 'GatherDimensionNumbers',
    fields: [
      'offsetDims',
      'collapsedSliceDims',
      'startIndexMap',
      'operandBatchingDims',
      'startIndicesBatchingDims',
    ],
  },
  {
    name: 'ScatterDimensionNumbers',
    fields: [
      'updateWindowDims',
      'insertedWindowDims',
      'scatterDimsToOperandDims',
      'operandBatchingDims',
      'scatterIndicesBatchingDims',
    ],
  },
]

const descriptorOf = (keys: readonly string[]): Descriptor =>
  descriptors.find(
    ({ fields }) => fields.length === keys.length && fields.every((key) => keys.includes(key)),
  ) ?? { name: 'dict', fields: [...keys].sort() }

/** How JAX writes what it holds as an enumeration. */
const enumerations: { readonly [key: string]: { readonly [value: string]: string } } = {
  mode: {
    clip: 'GatherScatterMode.CLIP',
    fill: 'GatherScatterMode.FILL_OR_DROP',
    drop: 'GatherScatterMode.FILL_OR_DROP',
    promiseInBounds: 'GatherScatterMode.PROMISE_IN_BOUNDS',
  },
}

/** Parameters that JAX leaves out, because the type of the result or their absence says the same. */
function isShown(primitive: string, key: string, value: ParamValue): boolean {
  if (primitive === 'convert_element_type') return key !== 'sharding'
  if (primitive !== 'broadcast_in_dim') return true
  return key === 'broadcastDimensions' && isTuple(value) && value.length > 0
}

function namedParam(key: string, value: ParamValue, names: Names): Doc {
  const enumerated = typeof value === 'string' ? enumerations[key]?.[value] : undefined
  return [`${snakeCase(key)}=`, enumerated ?? param(value, names)]
}

const isTuple = (value: ParamValue): value is readonly ParamValue[] => Array.isArray(value)
const fieldOf = (value: { readonly [key: string]: ParamValue }, key: string): ParamValue =>
  value[key]

const binder = (v: Var, names: Names, used: ReadonlySet<Var>): string =>
  `${used.has(v) ? names.of(v) : '_'}:${v.aval}`
const reference = (atom: Atom, names: Names): string =>
  isVar(atom) ? names.of(atom) : literal(atom)

/** JAX shows the name of a called function before everything else. */
const nameFirst = (a: string, b: string): number =>
  a === b ? 0 : a === 'name' ? -1 : b === 'name' ? 1 : a < b ? -1 : 1

function equation(e: Equation, names: Names, used: ReadonlySet<Var>): Doc {
  const results = e.outputs.map((v) => binder(v, names, used)).join(' ')
  const keys = Object.keys(e.params)
    .filter((key) => isShown(e.primitive.name, key, e.params[key]))
    .sort(nameFirst)
  const params: Doc =
    keys.length === 0
      ? ''
      : group([
          '[',
          nest(2, [
            line(''),
            join(
              line(),
              keys.map((key) => namedParam(key, e.params[key], names)),
            ),
          ]),
          line(''),
          ']',
        ])
  const operands = e.inputs.map((atom) => reference(atom, names))
  return [
    results,
    ' = ',
    e.primitive.name,
    params,
    operands.length > 0 ? ' ' : '',
    group(nest(2, join(line(), operands))),
  ]
}

function usedVariables(jaxpr: Jaxpr): Set<Var> {
  const used = new Set<Var>()
  for (const { inputs } of jaxpr.equations) for (const a of inputs) if (isVar(a)) used.add(a)
  for (const a of jaxpr.outputs) if (isVar(a)) used.add(a)
  return used
}

function jaxprDoc(jaxpr: Jaxpr, names: Names, constants = 0): Doc {
  const used = usedVariables(jaxpr)
  const inputs = jaxpr.inputs.map((v) => `${names.of(v)}:${v.aval}`)
  const equations = jaxpr.equations.map((e) => equation(e, names, used))
  const outputs = jaxpr.outputs.map((atom) => reference(atom, names))
  const tuple = `(${outputs.join(', ')}${outputs.length === 1 ? ',' : ''})`
  const parameters = [
    ...(constants > 0 ? [' ', inputs.slice(0, constants).join(' ')] : [' ']),
    ';',
    ` ${inputs.slice(constants).join(' ')}`,
  ].join('')
  return group([
    `{ lambda${parameters}. let`,
    nest(4, [
      line(), // Several equations never share a line.
      join(hardLine, equations),
    ]),
    nest(2, line()),
    `in ${tuple} }`,
  ])
}

/** The jaxpr as text; the first `constants` inputs are shown as closed-over constants. */
export const printJaxpr = (jaxpr: Jaxpr, constants = 0, width = 80): string =>
  layout(jaxprDoc(jaxpr, new Names(), constants), width)

export const jaxprShow: Show<Jaxpr> = { show: (jaxpr) => printJaxpr(jaxpr) }
