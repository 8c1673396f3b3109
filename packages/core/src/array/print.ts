/**
 * Arrays as text, by NumPy's rules (numpy/_core/arrayprint.py): shortest digits that read back
 * exactly, columns of equal width, scientific notation for wide ranges, and long arrays summarised.
 */
import { type Shape, sizeOf } from '../types/aval'
import { bytesOf, type DType, isFloating } from '../types/dtype'
import { roundToDType } from '../types/float-formats'

/** Element values: 16-bit floats already decoded, booleans as 0 and 1. */
export interface PrintedArray {
  readonly shape: Shape
  readonly dtype: DType
  readonly weakType: boolean
  readonly at: (flat: number) => number
}

/** NumPy's print options. */
const THRESHOLD = 1000
const EDGE_ITEMS = 3
const LINE_WIDTH = 75
const PRECISION = 8

/** `Array([[1., 2.],\n       [3., 4.]], dtype=float32)`. */
export function printArray(x: PrintedArray): string {
  const suffix = `${x.weakType ? `dtype=${x.dtype}, weak_type=True` : `dtype=${x.dtype}`})`
  const prefix = 'Array('
  if (sizeOf(x.shape) === 0) {
    const shape = x.shape.length === 1 ? `${x.shape[0]},` : x.shape.join(', ')
    return `${prefix}[], shape=(${shape}), ${suffix}`
  }
  const format = elementFormat(x)
  const body = nested(x, format, prefix.length)
  const lastLine = body.slice(body.lastIndexOf('\n') + 1)
  const width = lastLine.length + (body.includes('\n') ? 0 : prefix.length)
  const separator =
    width + suffix.length + 1 > LINE_WIDTH ? `,\n${' '.repeat(prefix.length)}` : ', '
  return `${prefix}${body}${separator}${suffix}`
}

// --- layout -----------------------------------------------------------------------------------------

/** The indices that are shown along an axis; null stands for the dots between. */
const shownIndices = (n: number, summarise: boolean): (number | null)[] => {
  const all = Array.from({ length: n }, (_, i) => i)
  if (!summarise || n <= 2 * EDGE_ITEMS) return all
  return [...all.slice(0, EDGE_ITEMS), null, ...all.slice(-EDGE_ITEMS)]
}

function nested(x: PrintedArray, format: (value: number) => string, indent: number): string {
  const summarise = sizeOf(x.shape) > THRESHOLD
  const ndim = x.shape.length
  const level = (axis: number, offset: number, hanging: number): string => {
    if (axis === ndim) return format(x.at(offset))
    const stride = sizeOf(x.shape.slice(axis + 1))
    const pad = ' '.repeat(indent + axis + 1)
    const items = shownIndices(x.shape[axis], summarise).map((i) =>
      i === null ? '...' : level(axis + 1, offset + i * stride, hanging + 1),
    )
    if (axis < ndim - 1) {
      const blankLines = '\n'.repeat(ndim - 1 - axis)
      return `[${items.join(`,${blankLines}${pad}`)}]`
    }
    // The innermost axis: as many elements to a line as fit, leaving room for the brackets.
    const room = LINE_WIDTH - Math.max(hanging, 1)
    const lines: string[] = []
    let line = pad
    items.forEach((item, i) => {
      const text = i < items.length - 1 ? `${item},` : item
      if (line.length + text.length > room && line.trim() !== '') {
        lines.push(line.slice(0, -1))
        line = pad
      }
      line += `${text} `
    })
    lines.push(line.slice(0, -1))
    return `[${lines.join('\n').slice(pad.length)}]`
  }
  return level(0, 0, 0)
}

// --- elements ---------------------------------------------------------------------------------------

/** The values that will be printed, which decide the common format. */
function shownValues(x: PrintedArray): number[] {
  const summarise = sizeOf(x.shape) > THRESHOLD
  const values: number[] = []
  const visit = (axis: number, offset: number): void => {
    if (axis === x.shape.length) {
      values.push(x.at(offset))
      return
    }
    const stride = sizeOf(x.shape.slice(axis + 1))
    for (const i of shownIndices(x.shape[axis], summarise)) {
      if (i !== null) visit(axis + 1, offset + i * stride)
    }
  }
  visit(0, 0)
  return values
}

function elementFormat(x: PrintedArray): (value: number) => string {
  const values = shownValues(x)
  const scalar = x.shape.length === 0
  const aligned = (
    texts: readonly string[],
    show: (v: number) => string,
  ): ((v: number) => string) => {
    const width = scalar ? 0 : Math.max(0, ...texts.map((t) => t.length))
    return (v) => show(v).padStart(width)
  }
  if (x.dtype === 'bool' || x.dtype === 'float0') {
    const show = (v: number): string => (v ? 'True' : 'False')
    return aligned(values.map(show), show)
  }
  if (!isFloating(x.dtype)) return aligned(values.map(String), String)
  const show = floatFormat(values, x.dtype)
  return aligned(values.map(show), show)
}

/** The shortest decimal digits that round to `value` in its dtype. */
export function shortestDigits(value: number, dtype: DType): { digits: string; exponent: number } {
  const magnitude = Math.abs(value)
  const parse = (text: string): { digits: string; exponent: number } => {
    const [mantissa, exponent] = text.split('e')
    const digits = mantissa.replace('.', '').replace(/0+$/, '')
    return { digits: digits || '0', exponent: Number(exponent) }
  }
  if (dtype === 'float64') return parse(magnitude.toExponential())
  const most = bytesOf(dtype) === 4 ? 9 : 5
  for (let places = 0; places < most; places++) {
    const text = magnitude.toExponential(places)
    if (roundToDType(Number(text), dtype) === magnitude) return parse(text)
  }
  return parse(magnitude.toExponential(most - 1))
}

/** Decimal digits that a dtype always holds, at most 8: larger numbers are written scientifically. */
const decimalPrecision = (dtype: DType): number =>
  dtype === 'float64' ? 8 : dtype === 'float32' ? 6 : 3

/** One format for all the values: NumPy's FloatingFormat with its default options. */
function floatFormat(values: readonly number[], dtype: DType): (value: number) => string {
  const finite = values.filter((v) => Number.isFinite(v))
  const nonzero = finite.map(Math.abs).filter((v) => v !== 0)
  const largest = Math.max(...nonzero)
  const smallest = Math.min(...nonzero)
  const scientific =
    nonzero.length > 0 &&
    (largest >= 10 ** decimalPrecision(dtype) || smallest < 1e-4 || largest / smallest > 1000)
  const special = (v: number): string | null =>
    Number.isNaN(v) ? 'nan' : v === Infinity ? 'inf' : v === -Infinity ? '-inf' : null
  const sign = (v: number): string => (v < 0 || Object.is(v, -0) ? '-' : '')

  if (scientific) {
    const places = Math.max(
      0,
      ...finite.map((v) => Math.min(PRECISION, shortestDigits(v, dtype).digits.length - 1)),
    )
    return (v) => {
      const name = special(v)
      if (name !== null) return name
      const { digits, exponent } = decimalOf(v, dtype, places)
      const fraction = digits.slice(1).padEnd(places, '0')
      const e = `${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`
      return `${sign(v)}${digits[0]}.${fraction}e${e}`
    }
  }

  const fixed = (v: number): { whole: string; fraction: string } => {
    const { digits, exponent } = shortestDigits(v, dtype)
    const whole = exponent < 0 ? '0' : digits.slice(0, exponent + 1).padEnd(exponent + 1, '0')
    const fraction = exponent < 0 ? '0'.repeat(-exponent - 1) + digits : digits.slice(exponent + 1)
    if (fraction.length <= PRECISION) return { whole, fraction: fraction.replace(/0+$/, '') }
    const rounded = Math.abs(v).toFixed(PRECISION)
    const [w, f] = rounded.split('.')
    return { whole: w, fraction: f.replace(/0+$/, '') }
  }
  const places = Math.max(0, ...finite.map((v) => fixed(v).fraction.length))
  return (v) => {
    const name = special(v)
    if (name !== null) return name
    const { whole, fraction } = fixed(v)
    // NumPy pads with blanks where a shorter number ends.
    return `${sign(v)}${whole}.${fraction}`.padEnd(
      sign(v).length + whole.length + 1 + places,
      fraction.length < places ? padOf(values) : ' ',
    )
  }
}

/** Unique shortest digits are padded with blanks to keep the points in one column. */
const padOf = (values: readonly number[]): string => (values.length === 1 ? '' : ' ')

const decimalOf = (
  value: number,
  dtype: DType,
  places: number,
): { digits: string; exponent: number } => {
  const shortest = shortestDigits(value, dtype)
  if (shortest.digits.length <= places + 1) return shortest
  const [mantissa, exponent] = Math.abs(value).toExponential(places).split('e')
  return { digits: mantissa.replace('.', ''), exponent: Number(exponent) }
}
