/**
 * A small pretty printer: documents that lie on one line when they fit and break when they do not.
 * The algebra is Wadler's ("A prettier printer", 2003), cut down to groups that break as a whole.
 */
export type Doc =
  | string
  | { readonly kind: 'line'; readonly flat: string | null }
  | { readonly kind: 'nest'; readonly by: number; readonly body: Doc }
  | { readonly kind: 'group'; readonly body: Doc }
  | readonly Doc[]

/** A line break, or `flat` when the enclosing group fits on one line. */
export const line = (flat = ' '): Doc => ({ kind: 'line', flat })
/** A line break that no group can flatten. */
export const hardLine: Doc = { kind: 'line', flat: null }
export const nest = (by: number, body: Doc): Doc => ({ kind: 'nest', by, body })
export const group = (body: Doc): Doc => ({ kind: 'group', body })

export const join = (separator: Doc, docs: readonly Doc[]): Doc =>
  docs.flatMap((doc, i) => (i === 0 ? [doc] : [separator, doc]))

interface Item {
  readonly doc: Doc
  readonly indent: number
  readonly flat: boolean
}

export function layout(doc: Doc, width = 80): string {
  let text = ''
  let column = 0
  const stack: Item[] = [{ doc, indent: 0, flat: false }]
  for (let item = stack.pop(); item !== undefined; item = stack.pop()) {
    const { doc: d, indent, flat } = item
    if (typeof d === 'string') {
      text += d
      column += d.length
    } else if (isList(d)) {
      for (let i = d.length - 1; i >= 0; i--) stack.push({ doc: d[i] ?? '', indent, flat })
    } else if (d.kind === 'line') {
      if (flat && d.flat !== null) {
        text += d.flat
        column += d.flat.length
      } else {
        text = `${text.replace(/ +$/, '')}\n${' '.repeat(indent)}`
        column = indent
      }
    } else if (d.kind === 'nest') {
      stack.push({ doc: d.body, indent: indent + d.by, flat })
    } else {
      stack.push({ doc: d.body, indent, flat: flat || fits(d.body, width - column) })
    }
  }
  return text
}

const isList = (doc: Doc): doc is readonly Doc[] => Array.isArray(doc)

function fits(doc: Doc, room: number): boolean {
  const stack: Doc[] = [doc]
  let left = room
  for (let d = stack.pop(); d !== undefined; d = stack.pop()) {
    if (typeof d === 'string') left -= d.length
    else if (isList(d)) for (let i = d.length - 1; i >= 0; i--) stack.push(d[i] ?? '')
    else if (d.kind === 'line') left -= d.flat === null ? Infinity : d.flat.length
    else stack.push(d.body)
    if (left < 0) return false
  }
  return true
}
