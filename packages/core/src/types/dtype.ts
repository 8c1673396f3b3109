/**
 * Element types and JAX's promotion lattice.
 *
 * A dtype is its own name: `x.dtype === 'float32'`. The lattice is the one of JAX's type-promotion
 * page (https://docs.jax.dev/en/latest/type_promotion.html), restricted to the dtypes that exist
 * here; joins that would need a 64-bit integer fall back to int32, as JAX does with 64-bit types
 * switched off.
 */
export type DType =
  | 'bool'
  | 'int8'
  | 'uint8'
  | 'int16'
  | 'uint16'
  | 'int32'
  | 'uint32'
  | 'float16'
  | 'bfloat16'
  | 'float32'
  | 'float64'
  | 'float0'

/** The dtypes by name, so that `dtypes.float32` can be written where a string could be mistyped. */
export const dtypes = {
  bool: 'bool',
  int8: 'int8',
  uint8: 'uint8',
  int16: 'int16',
  uint16: 'uint16',
  int32: 'int32',
  uint32: 'uint32',
  float16: 'float16',
  bfloat16: 'bfloat16',
  float32: 'float32',
  float64: 'float64',
  float0: 'float0',
} as const satisfies { readonly [D in DType]: D }

export type DTypeKind = 'bool' | 'int' | 'uint' | 'float' | 'float0'

interface DTypeFacts {
  readonly kind: DTypeKind
  /** Bytes one element takes in memory. */
  readonly bytes: number
  /** JAX's short name, as jaxprs print it. */
  readonly short: string
}

const facts: { readonly [D in DType]: DTypeFacts } = {
  bool: { kind: 'bool', bytes: 1, short: 'bool' },
  int8: { kind: 'int', bytes: 1, short: 'i8' },
  uint8: { kind: 'uint', bytes: 1, short: 'u8' },
  int16: { kind: 'int', bytes: 2, short: 'i16' },
  uint16: { kind: 'uint', bytes: 2, short: 'u16' },
  int32: { kind: 'int', bytes: 4, short: 'i32' },
  uint32: { kind: 'uint', bytes: 4, short: 'u32' },
  float16: { kind: 'float', bytes: 2, short: 'f16' },
  bfloat16: { kind: 'float', bytes: 2, short: 'bf16' },
  float32: { kind: 'float', bytes: 4, short: 'f32' },
  float64: { kind: 'float', bytes: 8, short: 'f64' },
  // The tangent type of integers and booleans: it carries no information, only a shape.
  float0: { kind: 'float0', bytes: 1, short: 'float0' },
}

export const allDTypes = Object.keys(facts) as readonly DType[]

export const isDType = (name: unknown): name is DType =>
  typeof name === 'string' && Object.hasOwn(facts, name)

export const kindOf = (dtype: DType): DTypeKind => facts[dtype].kind
export const bytesOf = (dtype: DType): number => facts[dtype].bytes
export const shortName = (dtype: DType): string => facts[dtype].short

export const isFloating = (dtype: DType): boolean => facts[dtype].kind === 'float'
export const isInteger = (dtype: DType): boolean =>
  facts[dtype].kind === 'int' || facts[dtype].kind === 'uint'
export const isUnsigned = (dtype: DType): boolean => facts[dtype].kind === 'uint'

/** Smallest and largest value of an integer dtype (bool counts as 0..1). */
export function integerRange(dtype: DType): readonly [min: number, max: number] {
  const bits = facts[dtype].bytes * 8
  switch (facts[dtype].kind) {
    case 'int':
      return [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1]
    case 'uint':
      return [0, 2 ** bits - 1]
    default:
      return [0, 1]
  }
}

export interface FloatInfo {
  /** Distance from 1 to the next larger number. */
  readonly eps: number
  readonly max: number
  readonly smallestNormal: number
  readonly smallestSubnormal: number
}

/** Machine limits of a floating dtype, as `np.finfo`. */
export function floatInfo(dtype: DType): FloatInfo {
  const format = (fractionBits: number, minExponent: number, maxExponent: number): FloatInfo => ({
    eps: 2 ** -fractionBits,
    max: (2 - 2 ** -fractionBits) * 2 ** maxExponent,
    smallestNormal: 2 ** minExponent,
    smallestSubnormal: 2 ** (minExponent - fractionBits),
  })
  switch (dtype) {
    case 'float16':
      return format(10, -14, 15)
    case 'bfloat16':
      return format(7, -126, 127)
    case 'float64':
      return {
        eps: Number.EPSILON,
        max: Number.MAX_VALUE,
        smallestNormal: 2 ** -1022,
        smallestSubnormal: Number.MIN_VALUE,
      }
    default:
      return format(23, -126, 127)
  }
}

/** The dtype of the tangent space: floats are their own, everything else is float0. */
export const tangentDType = (dtype: DType): DType => (isFloating(dtype) ? dtype : 'float0')

// --- promotion -----------------------------------------------------------------------------------

/** A node of the lattice: a strong dtype, or one of JAX's two weak scalar types. */
type LatticeNode = DType | 'int*' | 'float*' | 'int64'

/** The covering relation: each node's direct upper neighbours. */
const above: { readonly [N in LatticeNode]: readonly LatticeNode[] } = {
  bool: ['int*'],
  'int*': ['uint8', 'int8'],
  uint8: ['int16', 'uint16'],
  int8: ['int16'],
  uint16: ['int32', 'uint32'],
  int16: ['int32'],
  uint32: ['int64'],
  int32: ['int64'],
  int64: ['float*'],
  'float*': ['bfloat16', 'float16'],
  bfloat16: ['float32'],
  float16: ['float32'],
  float32: ['float64'],
  float64: [],
  float0: [],
}

const upperSets = new Map<LatticeNode, ReadonlySet<LatticeNode>>()
function upperSet(node: LatticeNode): ReadonlySet<LatticeNode> {
  const known = upperSets.get(node)
  if (known) return known
  const result = new Set<LatticeNode>([node])
  for (const next of above[node]) for (const n of upperSet(next)) result.add(n)
  upperSets.set(node, result)
  return result
}

/** The least upper bound; undefined when there is none. */
function join(a: LatticeNode, b: LatticeNode): LatticeNode | undefined {
  const common = [...upperSet(a)].filter((n) => upperSet(b).has(n))
  return common.find((n) => common.every((m) => upperSet(n).has(m)))
}

const knownJoins = new Map<LatticeNode, Map<LatticeNode, LatticeNode | undefined>>()

/** `join`, looked up. */
function joins(a: LatticeNode, b: LatticeNode): LatticeNode | undefined {
  if (a === b) return a
  let row = knownJoins.get(a)
  if (row === undefined) knownJoins.set(a, (row = new Map()))
  if (!row.has(b)) row.set(b, join(a, b))
  return row.get(b)
}

export interface WeakDType {
  readonly dtype: DType
  /** True for values that came from JavaScript numbers: they yield to any strong dtype of their kind. */
  readonly weakType: boolean
}

const toNode = ({ dtype, weakType }: WeakDType): LatticeNode => {
  if (!weakType || dtype === 'bool') return dtype
  return isFloating(dtype) ? 'float*' : 'int*'
}

/**
 * The dtype of an operation on operands of these dtypes, by JAX's lattice.
 * Returns undefined when there is none (float0 with anything else).
 */
export function promoteTypes(operands: readonly WeakDType[]): WeakDType | undefined {
  const first = operands[0]
  if (first === undefined) return { dtype: 'float32', weakType: true }
  // When every operand has the same dtype, or all are weak, the lattice only decides weakness.
  let node: LatticeNode | undefined = toNode(first)
  for (const operand of operands) {
    node = node === undefined ? undefined : joins(node, toNode(operand))
  }
  switch (node) {
    case undefined:
      return undefined
    case 'int*':
      return { dtype: widestOf(operands, 'int32'), weakType: true }
    case 'float*':
      return { dtype: widestOf(operands, 'float32'), weakType: true }
    case 'int64':
      return { dtype: 'int32', weakType: false }
    default:
      return { dtype: node, weakType: false }
  }
}

/** Weak operands keep the default dtype of their kind unless one of them is a weak float64. */
const widestOf = (operands: readonly WeakDType[], fallback: DType): DType =>
  fallback === 'float32' && operands.some((o) => o.dtype === 'float64') ? 'float64' : fallback
