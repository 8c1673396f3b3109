/** Functions of trees, seen as functions of flat lists of arrays. */
import {
  ArgumentError,
  asArray,
  Aval,
  avalsMatch,
  isFloating,
  leaked,
  makeScalar,
  NDArray,
  TransformationError,
  tree,
} from '@adjoint/core/internal'

/** What interpreters transform: the leaves of the arguments to the leaves of the result. */
export type FlatFunction = (inputs: readonly NDArray[]) => readonly NDArray[]

const asyncTags = new Set([
  '[object AsyncFunction]',
  '[object AsyncGeneratorFunction]',
  '[object GeneratorFunction]',
])

/** Refuses what no transformation can trace: non-functions, async functions, generators. */
export function requireFunction(op: string, f: unknown): void {
  if (typeof f !== 'function') {
    throw new ArgumentError({
      op,
      problem: `takes a function, but was given ${
        f instanceof NDArray ? 'an array' : f === null || f === undefined ? String(f) : described(f)
      }`,
      rule: 'the first operand is the function itself, not its result',
      hint: `write ${op}(f, …), not ${op}(f(x), …)`,
    })
  }
  if (asyncTags.has(Object.prototype.toString.call(f))) {
    throw new TransformationError({
      op: `${op}(${f.name || 'f'})`,
      problem: 'the function is async or a generator',
      rule: 'a transformed function runs to its end at once, on traced values',
      hint: 'do the awaiting outside, and pass its results as arguments',
    })
  }
}

export function refusePromise(op: string, result: unknown): void {
  if (
    typeof result === 'object' &&
    result !== null &&
    'then' in result &&
    typeof result.then === 'function'
  ) {
    throw new TransformationError({
      op,
      problem: 'the function returned a Promise',
      rule: 'a transformed function runs to its end at once, on traced values',
      hint: 'do the awaiting outside, and pass its results as arguments',
    })
  }
}

/** `grad(loss)`: how errors name a transformation of a function. */
export const callName = (op: string, f: { readonly name: string }): string =>
  f.name ? `${op}(${f.name})` : op

/** A leaf as an array; the error names its path. */
export function leafToArray(op: string, leaf: unknown, path: string): NDArray {
  if (leaf instanceof NDArray) return requireAlive(op, leaf)
  if (typeof leaf === 'number' || typeof leaf === 'boolean') return asArray(op, leaf)
  throw new ArgumentError({
    op,
    problem: `${path || 'a value'} is ${described(leaf)}, which is not an array`,
    path: path || undefined,
    rule: 'the leaves of arguments and results are arrays, numbers or booleans',
    hint:
      Array.isArray(leaf) || ArrayBuffer.isView(leaf)
        ? 'make it an array first: np.array(data)'
        : 'close over other values, or list their positions in staticArgnums of jit',
  })
}

/** Refuses a tracer whose transformation has finished. */
function requireAlive(op: string, x: NDArray): NDArray {
  if (x.owner !== null && !x.owner.active) throw leaked(op, x.owner, x.aval)
  return x
}

const described = (leaf: unknown): string => {
  if (leaf === undefined) return 'undefined'
  if (typeof leaf === 'object' && leaf !== null) {
    return `a ${(leaf.constructor as { readonly name: string } | undefined)?.name ?? 'object'}`
  }
  return typeof leaf === 'string' ? `the string ${JSON.stringify(leaf)}` : `a ${typeof leaf}`
}

/** Scalars are weak float32 where they are differentiated; arrays stay as they are. */
export function differentiable(op: string, leaf: unknown, path: string): NDArray {
  return typeof leaf === 'number'
    ? makeScalar(leaf, new Aval([], 'float32', true))
    : leafToArray(op, leaf, path)
}

export interface FlatArguments {
  readonly arrays: readonly NDArray[]
  readonly structure: tree.TreeStructure
}

/** A tree's leaves as arrays. `root` names the tree in errors. */
export function flattenArrays(
  op: string,
  value: unknown,
  root: string,
  convert: (op: string, leaf: unknown, path: string) => NDArray = leafToArray,
): FlatArguments {
  if (value instanceof NDArray) {
    return { arrays: [requireAlive(op, value)], structure: leafStructure }
  }
  const { leaves, structure } = tree.flatten(value)
  if (leaves.every((leaf) => leaf instanceof NDArray)) {
    for (const leaf of leaves) requireAlive(op, leaf)
    return { arrays: leaves, structure }
  }
  const paths = tree.structurePaths(structure, root)
  return { arrays: leaves.map((leaf, i) => convert(op, leaf, paths[i])), structure }
}

const { structure: leafStructure } = tree.flatten(0)

/** The function of flat lists that a function of trees is, and the structure of its last result. */
export interface Flattened {
  readonly call: FlatFunction
  /** Known once the function has been called. */
  readonly structure: () => tree.TreeStructure
}

/**
 * @param args structure of the list of arguments
 * @param result names the result in errors
 */
export function flattenFunction<A extends readonly unknown[]>(
  op: string,
  f: (...args: A) => unknown,
  args: tree.TreeStructure,
  result = 'the result',
): Flattened {
  let structure: tree.TreeStructure | null = null
  return {
    call: (inputs) => {
      const output = f(...(tree.unflatten(args, inputs) as A))
      refusePromise(op, output)
      const flat = flattenArrays(op, output, result)
      structure = flat.structure
      return flat.arrays
    },
    structure: () => {
      if (structure === null) throw new Error(`${op}: the function was not called`)
      return structure
    },
  }
}

/** Whether a value of this type can carry a tangent. */
export const isDifferentiable = (x: { readonly aval: Aval }): boolean => isFloating(x.aval.dtype)

/** `f` with some of its arguments held fixed: what remains is a function of the others. */
export interface Selection {
  readonly chosen: readonly unknown[]
  readonly fill: (chosen: readonly unknown[]) => unknown[]
}

/** Takes the arguments at `argnums` out of the list. */
export function selectArguments(
  op: string,
  args: readonly unknown[],
  argnums: readonly number[],
): Selection {
  const at = argnums.map((argnum) => {
    const i = argnum < 0 ? args.length + argnum : argnum
    if (!Number.isInteger(argnum) || i < 0 || i >= args.length) {
      throw new ArgumentError({
        op,
        problem: `argnums names argument ${argnum}, but the call has ${args.length}`,
        rule: 'argnums are positions of arguments of the call',
      })
    }
    return i
  })
  return {
    chosen: at.map((i) => args[i]),
    fill: (chosen) => {
      const filled = [...args]
      at.forEach((i, k) => {
        filled[i] = chosen[k]
      })
      return filled
    },
  }
}

/** What a result is held to: the argument it must be like, and what the error says. */
export interface Likeness {
  /** The name of that argument. */
  readonly expected: string
  readonly rule: string
  readonly hint?: string
}

/** Refuses a tree that has not the structure, shapes and dtypes of another one. */
export function requireLike(
  op: string,
  name: string,
  like: FlatArguments,
  result: FlatArguments,
  { expected, ...advice }: Likeness,
): void {
  tree.requireSameStructure(op, like.structure, result.structure, {
    expected,
    actual: name,
    root: name,
  })
  const i = like.arrays.findIndex((x, k) => !avalsMatch(x.aval, result.arrays[k].aval))
  if (i < 0) return
  throw new TransformationError({
    op,
    problem: `${name} does not fit ${expected}`,
    operands: [
      { name: expected, aval: like.arrays[i].aval },
      { name, aval: result.arrays[i].aval },
    ],
    path: tree.structurePaths(like.structure, name)[i],
    ...advice,
  })
}
