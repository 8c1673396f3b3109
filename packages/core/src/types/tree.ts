/**
 * Pytrees: nested objects, arrays and `null` whose leaves are arrays (or anything else).
 *
 * Dictionaries are visited in sorted key order, as JAX does, so two objects with the same keys have
 * the same structure. A tree is taken apart into its leaves and its `TreeStructure`; all the work
 * of transformations happens on flat lists of leaves.
 */
import * as E from 'fp-ts/lib/Either.js'
import type { Applicative, Applicative1 } from 'fp-ts/lib/Applicative.js'
import type { Eq } from 'fp-ts/lib/Eq.js'
import type { Foldable1 } from 'fp-ts/lib/Foldable.js'
import type { Functor1 } from 'fp-ts/lib/Functor.js'
import type { HKT, Kind, URIS } from 'fp-ts/HKT.js'
import type { Ord } from 'fp-ts/lib/Ord.js'
import type { Show } from 'fp-ts/lib/Show.js'
import type { Traversable1 } from 'fp-ts/lib/Traversable.js'
import type { NDArray } from '../array/ndarray'
import { TreeError } from './errors'
import { identityOf } from './identity'
import { orderedBy } from './order'

// --- registered classes ----------------------------------------------------------------------------

export interface TreeNodeType<T, Aux = unknown> {
  /** The parts that are trees themselves, by name, and what else is needed to rebuild the value. */
  flatten(value: T): { readonly children: Readonly<Record<string, unknown>>; readonly aux: Aux }
  unflatten(children: Readonly<Record<string, unknown>>, aux: Aux): T
}

type Constructor<T> = abstract new (...args: never[]) => T

interface Registration {
  readonly name: string
  readonly type: TreeNodeType<object>
}

const registrations = new WeakMap<object, Registration>()

/**
 * Makes instances of a class trees, so that transformations look inside them.
 *
 * `flatten` names the parts that hold arrays; `aux` is kept aside and must compare equal by `===`
 * (or be built of plain data) for two values to have the same structure.
 *
 * @example
 * class Point { constructor(readonly x: NDArray, readonly y: NDArray) {} }
 * tree.register(Point, {
 *   flatten: (p) => ({ children: { x: p.x, y: p.y }, aux: null }),
 *   unflatten: (c) => new Point(c.x as NDArray, c.y as NDArray),
 * })
 */
export function register<T extends object, Aux>(
  constructor: Constructor<T>,
  type: TreeNodeType<T, Aux>,
): void {
  registrations.set(constructor.prototype as object, {
    name: constructor.name,
    type,
  })
}

const registrationOf = (value: object): Registration | undefined => {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null ? undefined : registrations.get(prototype as object)
}

// --- structure -------------------------------------------------------------------------------------

export type TreeStructure =
  | { readonly kind: 'leaf'; readonly size: 1 }
  | { readonly kind: 'none'; readonly size: 0; readonly value: null | undefined }
  | { readonly kind: 'tuple'; readonly size: number; readonly children: readonly TreeStructure[] }
  | {
      readonly kind: 'dict'
      readonly size: number
      readonly keys: readonly string[]
      readonly children: readonly TreeStructure[]
    }
  | {
      readonly kind: 'class'
      readonly size: number
      readonly registration: Registration
      readonly aux: unknown
      readonly keys: readonly string[]
      readonly children: readonly TreeStructure[]
    }

const leafStructure: TreeStructure = { kind: 'leaf', size: 1 }
const noneStructures = {
  null: { kind: 'none', size: 0, value: null },
  undefined: { kind: 'none', size: 0, value: undefined },
} as const satisfies Record<string, TreeStructure>

const isPlainObject = (value: object): value is Record<string, unknown> => {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

const totalSize = (children: readonly TreeStructure[]): number => {
  let size = 0
  for (const child of children) size += child.size
  return size
}

export interface Flattened<Leaf = unknown> {
  readonly leaves: Leaf[]
  readonly structure: TreeStructure
}

/** No tree of arrays is nested like this, but one that contains itself is. */
const DEEPEST = 1000

const endless = (): TreeError =>
  new TreeError({
    op: 'tree.flatten',
    problem: `the tree is nested more than ${DEEPEST} levels deep`,
    rule: 'a tree is finite: no object contains itself',
    hint: 'pass the arrays only, not objects that refer to their owners',
  })

/** Leaves in order, and the structure that puts them back. */
export function flatten<Leaf = unknown>(
  tree: unknown,
  isLeaf: (value: unknown) => boolean = () => false,
): Flattened<Leaf> {
  const leaves: unknown[] = []
  let depth = 0
  const visit = (value: unknown): TreeStructure => {
    if (depth === DEEPEST) throw endless()
    depth++
    const structure = structureOf(value)
    depth--
    return structure
  }
  const structureOf = (value: unknown): TreeStructure => {
    if (value === null) return isLeaf(value) ? leaf(value) : noneStructures.null
    if (value === undefined) return noneStructures.undefined
    if (typeof value !== 'object' || isLeaf(value)) return leaf(value)
    if (Array.isArray(value)) {
      const children = value.map(visit)
      return { kind: 'tuple', size: totalSize(children), children }
    }
    const registration = registrationOf(value)
    if (registration) {
      const { children: parts, aux } = registration.type.flatten(value)
      const keys = Object.keys(parts)
      const children = keys.map((key) => visit(parts[key]))
      return { kind: 'class', size: totalSize(children), registration, aux, keys, children }
    }
    if (!isPlainObject(value)) return leaf(value)
    const keys = Object.keys(value).sort()
    const children = keys.map((key) => visit(value[key]))
    return { kind: 'dict', size: totalSize(children), keys, children }
  }
  const leaf = (value: unknown): TreeStructure => {
    leaves.push(value)
    return leafStructure
  }
  const structure = visit(tree)
  return { leaves: leaves as Leaf[], structure }
}

/** Puts leaves back into a structure. */
export function unflatten(structure: TreeStructure, leaves: readonly unknown[]): unknown {
  if (leaves.length !== structure.size) {
    throw new TreeError({
      op: 'tree.unflatten',
      problem: `structure has ${structure.size} leaves, got ${leaves.length}`,
      hint: `the structure is ${showStructure(structure)}`,
    })
  }
  let next = 0
  const build = (node: TreeStructure): unknown => {
    switch (node.kind) {
      case 'leaf':
        return leaves[next++]
      case 'none':
        return node.value
      case 'tuple':
        return node.children.map(build)
      case 'dict':
        return recordOf(node.keys, node.children.map(build))
      case 'class':
        return node.registration.type.unflatten(
          recordOf(node.keys, node.children.map(build)),
          node.aux,
        )
    }
  }
  return build(structure)
}

function recordOf(keys: readonly string[], values: readonly unknown[]): Record<string, unknown> {
  const record: Record<string, unknown> = {}
  keys.forEach((key, i) => {
    // Assignment would call a setter for this one key, and lose the value.
    if (key === '__proto__')
      Object.defineProperty(record, key, { value: values[i], enumerable: true })
    else record[key] = values[i]
  })
  return record
}

export const leaves = <Leaf = unknown>(tree: unknown): Leaf[] => flatten<Leaf>(tree).leaves
export const structure = (tree: unknown): TreeStructure => flatten(tree).structure

/** `{a: [*, *], b: null}`: leaves print as stars. */
export function showStructure(node: TreeStructure): string {
  switch (node.kind) {
    case 'leaf':
      return '*'
    case 'none':
      return String(node.value)
    case 'tuple':
      return `[${node.children.map(showStructure).join(', ')}]`
    case 'dict':
      return `{${node.keys.map((k, i) => `${k}: ${showChild(node.children, i)}`).join(', ')}}`
    case 'class':
      return `${node.registration.name}(${node.keys
        .map((k, i) => `${k}: ${showChild(node.children, i)}`)
        .join(', ')})`
  }
}
const showChild = (children: readonly TreeStructure[], i: number): string => {
  const child = children[i]
  return child ? showStructure(child) : ''
}

export function structuresEqual(a: TreeStructure, b: TreeStructure): boolean {
  return a === b || firstDifference(a, b) === null
}

export const structureEq: Eq<TreeStructure> = { equals: structuresEqual }
export const structureShow: Show<TreeStructure> = { show: showStructure }

/** A key that is equal for equal structures: what caches are keyed by. */
export function structureKey(node: TreeStructure): string {
  switch (node.kind) {
    case 'leaf':
      return '*'
    case 'none':
      return node.value === null ? 'n' : 'u'
    case 'tuple':
      return `[${node.children.map(structureKey).join(',')}]`
    case 'dict':
      return `{${node.keys.map((k, i) => `${JSON.stringify(k)}:${keyOfChild(node.children, i)}`).join(',')}}`
    case 'class':
      return `${identityOf(node.registration)}<${auxKey(node.aux)}>(${node.children
        .map(structureKey)
        .join(',')})`
  }
}
const keyOfChild = (children: readonly TreeStructure[], i: number): string => {
  const child = children[i]
  return child ? structureKey(child) : ''
}

const auxKey = (aux: unknown): string =>
  aux !== null && (typeof aux === 'object' || typeof aux === 'function')
    ? isPlainData(aux)
      ? JSON.stringify(aux)
      : `#${identityOf(aux)}`
    : `${typeof aux}:${String(aux)}`

const isPlainData = (value: unknown): boolean => {
  if (value === null) return true
  if (Array.isArray(value)) return value.every(isPlainData)
  if (typeof value === 'object')
    return isPlainObject(value) && Object.values(value).every(isPlainData)
  return typeof value === 'number' || typeof value === 'string' || typeof value === 'boolean'
}

// --- paths -----------------------------------------------------------------------------------------

export const structureOrd: Ord<TreeStructure> = orderedBy(structureKey)

const identifier = /^[A-Za-z_$][\w$]*$/
const property = (key: string): string =>
  identifier.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`

/** The path of every leaf, in order: `.layers[1].weight`; the empty string for a lone leaf. */
export function paths(treeOrStructure: unknown, root = ''): string[] {
  return structurePaths(structure(treeOrStructure), root)
}

export function structurePaths(node: TreeStructure, root = ''): string[] {
  const result: string[] = []
  const visit = (n: TreeStructure, path: string): void => {
    switch (n.kind) {
      case 'leaf':
        result.push(path)
        return
      case 'none':
        return
      case 'tuple':
        n.children.forEach((child, i) => visit(child, `${path}[${i}]`))
        return
      default:
        n.children.forEach((child, i) => visit(child, `${path}${property(n.keys[i] ?? '')}`))
    }
  }
  visit(node, root)
  return result
}

export interface StructureDifference {
  readonly path: string
  readonly problem: string
}

/** The first place where two structures differ, or null when they are equal. */
export function firstDifference(
  a: TreeStructure,
  b: TreeStructure,
  path = '',
): StructureDifference | null {
  if (a.kind !== b.kind) return { path, problem: `${nameOf(a)} here, ${nameOf(b)} there` }
  if (a.kind === 'none' || b.kind === 'none' || a.kind === 'leaf' || b.kind === 'leaf') {
    return a.kind === 'none' && b.kind === 'none' && a.value !== b.value
      ? { path, problem: `${String(a.value)} here, ${String(b.value)} there` }
      : null
  }
  if (a.kind === 'class' && b.kind === 'class') {
    if (a.registration !== b.registration) {
      return { path, problem: `a ${a.registration.name} here, a ${b.registration.name} there` }
    }
    if (auxKey(a.aux) !== auxKey(b.aux)) {
      return { path, problem: `${a.registration.name}s that differ in their static part` }
    }
  }
  if ('keys' in a && 'keys' in b) {
    const missing = a.keys.find((k) => !b.keys.includes(k))
    if (missing !== undefined) return { path: path + property(missing), problem: 'missing there' }
    const extra = b.keys.find((k) => !a.keys.includes(k))
    if (extra !== undefined) return { path: path + property(extra), problem: 'missing here' }
  }
  if (a.children.length !== b.children.length) {
    return { path, problem: `${a.children.length} elements here, ${b.children.length} there` }
  }
  for (const [i, child] of a.children.entries()) {
    const other = b.children[i]
    const step = 'keys' in a ? property(a.keys[i] ?? '') : `[${i}]`
    const difference = other ? firstDifference(child, other, path + step) : null
    if (difference) return difference
  }
  return null
}

const nameOf = (node: TreeStructure): string => {
  switch (node.kind) {
    case 'leaf':
      return 'a leaf'
    case 'none':
      return String(node.value)
    case 'tuple':
      return `an array of ${node.children.length}`
    case 'dict':
      return 'an object'
    case 'class':
      return `a ${node.registration.name}`
  }
}

/** Throws a TreeError with the path of the first difference unless the structures are equal. */
export function requireSameStructure(
  op: string,
  expected: TreeStructure,
  actual: TreeStructure,
  names: { readonly expected: string; readonly actual: string; readonly root?: string },
): void {
  const difference = firstDifference(expected, actual, names.root ?? '')
  if (difference === null) return
  throw new TreeError({
    op,
    problem: `${names.expected} and ${names.actual} have different tree structures: ${difference.problem}`,
    path: difference.path || 'the root of the tree',
    rule: `${names.expected} is ${showStructure(expected)}, ${names.actual} is ${showStructure(actual)}`,
    hint: 'give both trees the same keys and lengths',
  })
}

// --- maps and folds --------------------------------------------------------------------------------

/** A tree of the same structure with other leaves. */
export type Mapped<T, Leaf, Result> = T extends Leaf
  ? Result
  : T extends null | undefined
    ? T
    : T extends (...args: never[]) => unknown
      ? Result
      : T extends object
        ? { [K in keyof T]: Mapped<T[K], Leaf, Result> }
        : Result

/** What a function of leaves is given, where it does not say so itself. */
export type LeafOf<T> = unknown extends T
  ? unknown
  : T extends null | undefined | ((...args: never[]) => unknown)
    ? never
    : T extends NDArray
      ? NDArray
      : T extends readonly (infer Element)[]
        ? LeafOf<Element>
        : T extends object
          ? { [K in keyof T]: LeafOf<T[K]> }[keyof T]
          : T

/**
 * Applies `f` to corresponding leaves of trees of equal structure.
 *
 * @example
 * const params = { w: np.array([1, 2]) }
 * tree.map((x: NDArray) => np.multiply(0.5, x), params)
 * // { w: Array([0.5, 1. ], dtype=float32, weak_type=True) }
 * @throws TreeError naming the path of the first difference
 */
export function map<T, Result, Leaf = LeafOf<T>>(
  f: (leaf: Leaf, ...others: Leaf[]) => Result,
  tree: T,
  ...rest: readonly unknown[]
): Mapped<T, Leaf, Result> {
  const first = flatten<Leaf>(tree)
  const others = rest.map((other, i) => {
    const flat = flatten<Leaf>(other)
    requireSameStructure('tree.map', first.structure, flat.structure, {
      expected: 'the first tree',
      actual: `tree ${i + 2}`,
    })
    return flat.leaves
  })
  const results = first.leaves.map((leaf, i) => f(leaf, ...others.map((o) => o[i])))
  return unflatten(first.structure, results) as Mapped<T, Leaf, Result>
}

/** `map` with the path of each leaf. */
export function mapWithPath<T, Result, Leaf = LeafOf<T>>(
  f: (path: string, leaf: Leaf) => Result,
  tree: T,
): Mapped<T, Leaf, Result> {
  const flat = flatten<Leaf>(tree)
  const names = structurePaths(flat.structure)
  const results = flat.leaves.map((leaf, i) => f(names[i] ?? '', leaf))
  return unflatten(flat.structure, results) as Mapped<T, Leaf, Result>
}

/** Folds the leaves from left to right. */
export function reduce<Leaf, Result>(
  f: (accumulator: Result, leaf: Leaf) => Result,
  tree: unknown,
  initial: Result,
): Result {
  return leaves<Leaf>(tree).reduce(f, initial)
}

/** Turns a tree of trees inside out: `outer` of `inner` becomes `inner` of `outer`. */
export function transpose(outer: TreeStructure, inner: TreeStructure, tree: unknown): unknown {
  const flat = flatten(tree).leaves
  if (flat.length !== outer.size * inner.size) {
    throw new TreeError({
      op: 'tree.transpose',
      problem: `a tree of ${flat.length} leaves is not ${outer.size} times ${inner.size}`,
      rule: 'the tree has the outer structure, and each of its places the inner structure',
    })
  }
  const inverted = Array.from({ length: inner.size }, (_, i) =>
    unflatten(
      outer,
      Array.from({ length: outer.size }, (_unused, o) => flat[o * inner.size + i]),
    ),
  )
  return unflatten(inner, inverted)
}

// --- the fp-ts view --------------------------------------------------------------------------------

/** A tree taken apart: the form in which trees are Functor, Foldable and Traversable. */
export interface FlatTree<A> {
  readonly structure: TreeStructure
  readonly leaves: readonly A[]
}

export const URI = 'adjoint/FlatTree'
export type URI = typeof URI
declare module 'fp-ts/HKT.js' {
  interface URItoKind<A> {
    readonly [URI]: FlatTree<A>
  }
}

const mapFlat = <A, B>(fa: FlatTree<A>, f: (a: A) => B): FlatTree<B> => ({
  structure: fa.structure,
  leaves: fa.leaves.map(f),
})
const foldFlat = <A, B>(fa: FlatTree<A>, initial: B, f: (b: B, a: A) => B): B =>
  fa.leaves.reduce(f, initial)

export const functor: Functor1<URI> = { URI, map: mapFlat }

export const foldable: Foldable1<URI> = {
  URI,
  reduce: foldFlat,
  reduceRight: (fa, b, f) => fa.leaves.reduceRight((acc, a) => f(a, acc), b),
  foldMap: (M) => (fa, f) => fa.leaves.reduce((acc, a) => M.concat(acc, f(a)), M.empty),
}

function traverseFlat<F extends URIS>(
  F: Applicative1<F>,
): <A, B>(ta: FlatTree<A>, f: (a: A) => Kind<F, B>) => Kind<F, FlatTree<B>>
function traverseFlat<F>(
  F: Applicative<F>,
): <A, B>(ta: FlatTree<A>, f: (a: A) => HKT<F, B>) => HKT<F, FlatTree<B>>
function traverseFlat<F>(F: Applicative<F>) {
  return <A, B>(ta: FlatTree<A>, f: (a: A) => HKT<F, B>): HKT<F, FlatTree<B>> => {
    const collected = ta.leaves.reduce<HKT<F, readonly B[]>>(
      (acc, a) =>
        F.ap(
          F.map(acc, (list) => (b: B) => [...list, b]),
          f(a),
        ),
      F.of<readonly B[]>([]),
    )
    return F.map(collected, (list) => ({ structure: ta.structure, leaves: list }))
  }
}

export const traversable: Traversable1<URI> = {
  URI,
  map: mapFlat,
  reduce: foldable.reduce,
  reduceRight: foldable.reduceRight,
  foldMap: foldable.foldMap,
  traverse: traverseFlat,
  sequence: <F>(F: Applicative<F>) => {
    const traverse = traverseFlat(F)
    return <A>(ta: FlatTree<HKT<F, A>>): HKT<F, FlatTree<A>> => traverse(ta, (fa) => fa)
  },
}

export interface BadLeaf {
  readonly path: string
  readonly problem: string
}

/** Checks or converts every leaf; on failure answers *all* bad leaves with their paths. */
export function validate<A, B>(
  tree: FlatTree<A>,
  f: (leaf: A, path: string) => E.Either<string, B>,
  root = '',
): E.Either<readonly BadLeaf[], FlatTree<B>> {
  const names = structurePaths(tree.structure, root)
  const combineFailures = E.getApplicativeValidation<readonly BadLeaf[]>({
    concat: (x, y) => [...x, ...y],
  })
  const located = tree.leaves.map((leaf, i) => ({ leaf, path: names[i] ?? '' }))
  return traversable.traverse(combineFailures)(
    { structure: tree.structure, leaves: located },
    ({ leaf, path }) =>
      E.mapLeft((problem: string): readonly BadLeaf[] => [{ path, problem }])(f(leaf, path)),
  )
}
