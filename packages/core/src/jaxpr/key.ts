/** Keys that are equal exactly for programs that compile to the same code. */
import type { Eq } from 'fp-ts/lib/Eq.js'
import type { Ord } from 'fp-ts/lib/Ord.js'
import { avalKey } from '../types/aval'
import { identityOf } from '../types/identity'
import { orderedBy } from '../types/order'
import type { ParamValue, Params } from '../trace/primitive'
import { type Atom, isVar, Jaxpr, type Var } from './ir'

export function paramKey(value: ParamValue): string {
  if (typeof value === 'number') return Object.is(value, -0) ? '-0' : String(value)
  if (typeof value === 'string') return JSON.stringify(value)
  if (value === null || typeof value !== 'object') {
    return typeof value === 'function' ? `#${identityOf(value)}` : String(value)
  }
  if (value instanceof Jaxpr) return jaxprKey(value)
  if (Array.isArray(value)) return `(${value.map(paramKey).join(',')})`
  return paramsKey(value as Params)
}

export function paramsKey(params: Params): string {
  let key = '{'
  for (const name in params) key += `${name}=${paramKey(params[name])};`
  return `${key}}`
}

/** Whether parameters are the same data. False may also mean "equal programs, not one object". */
export function paramsEqual(a: Params, b: Params): boolean {
  if (a === b) return true
  let surplus = 0
  for (const name in a) {
    if (!paramEqual(a[name], b[name])) return false
    surplus++
  }
  for (const _ in b) surplus--
  return surplus === 0
}

function paramEqual(a: ParamValue, b: ParamValue): boolean {
  if (Object.is(a, b)) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (a instanceof Jaxpr || b instanceof Jaxpr) return false
  if (Array.isArray(a) !== Array.isArray(b)) return false
  return paramsEqual(a as Params, b as Params)
}

const keys = new WeakMap<Jaxpr, string>()

/** Equal for jaxprs that differ in nothing but the identity of their variables. */
export function jaxprKey(jaxpr: Jaxpr): string {
  const known = keys.get(jaxpr)
  if (known !== undefined) return known
  const numbers = new Map<Var, number>()
  const define = (v: Var): string => {
    numbers.set(v, numbers.size)
    return avalKey(v.aval)
  }
  const use = (atom: Atom): string =>
    isVar(atom) ? `${numbers.get(atom) ?? '?'}` : `${paramKey(atom.value)}:${avalKey(atom.aval)}`
  const lines = [jaxpr.inputs.map(define).join(' ')]
  for (const { primitive, inputs, outputs, params } of jaxpr.equations) {
    const operands = inputs.map(use).join(' ')
    lines.push(`${outputs.map(define).join(' ')}=${primitive.name}${paramsKey(params)} ${operands}`)
  }
  lines.push(jaxpr.outputs.map(use).join(' '))
  const key = lines.join('\n')
  keys.set(jaxpr, key)
  return key
}

/** Equal are jaxprs that compute the same by the same equations. */
export const jaxprOrd: Ord<Jaxpr> = orderedBy(jaxprKey)
export const jaxprEq: Eq<Jaxpr> = jaxprOrd
