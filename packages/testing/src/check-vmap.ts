/** `vmap` against a loop, and `jit` against no `jit`. */
import { ArgumentError, np, type NDArray, tree } from '@adjoint/core'
import { bind, type Equation, makeScalar } from '@adjoint/core/internal'
import { jit, makeJaxpr, vmap } from '@adjoint/transforms'
import { type CompareOptions, requireClose } from './compare'
import { blaming, culpritOf, type Culprit, type Inspection, problemOf } from './culprit'
import { runsInside } from './programs-inside'

type ArrayFunction = (...args: never[]) => unknown
type FlatFunction = (...inputs: NDArray[]) => readonly NDArray[]

/**
 * Checks that `vmap(f)` is the stack of `f` over rows.
 *
 * @param f a function of trees of arrays
 * @param args trees whose leaves all have the mapped axis in front, with one common size
 * @param options.tolerance how far results may be apart; by dtype unless given
 * @throws CheckError that says where the two differ, and names the first equation of the program that
 *   is batched wrongly
 * @throws ArgumentError when there are no rows
 * @example
 * checkVmap((x: NDArray) => np.cumsum(x), [np.array([[1, 2], [3, 4]])])
 */
export function checkVmap(
  f: ArrayFunction,
  args: readonly unknown[],
  options: CompareOptions = {},
): void {
  const name = f.name || 'f'
  // It refuses arguments without a common first axis.
  const actual: unknown = vmap(f)(...(args as never[]))
  const { leaves, structure } = tree.flatten<NDArray>(args)
  const applied = (...xs: NDArray[]): unknown => f(...(tree.unflatten(structure, xs) as never[]))
  const size = leaves.at(0)?.shape.at(0) ?? 0
  if (size === 0) {
    throw new ArgumentError({
      op: `checkVmap(${name}, args)`,
      problem: 'there are no rows',
      operands: leaves.map((x, i) => ({ name: `leaf ${i}`, aval: x.aval })),
      rule: 'the first axis of every argument has at least one element',
    })
  }
  const rows = Array.from({ length: size }, (_, i) => leaves.map((x) => x.get(i)))
  const [first, ...others] = rows.map((row) => applied(...row))
  const expected = tree.map((...xs: NDArray[]) => np.stack(xs), first, ...others)
  blaming(
    () => requireClose(`vmap of ${name}`, actual, expected, options),
    () => wronglyBatched((...xs) => tree.leaves<NDArray>(applied(...xs)), rows, options),
  )
}

/** What a variable of a program is in each row; one array, where it does not depend on the rows. */
type Rows = readonly NDArray[]

const stacked = (rows: Rows): NDArray => (rows.length === 1 ? rows[0] : np.stack([...rows]))

/** The first equation whose batching is not a loop over the rows. */
function wronglyBatched(
  f: FlatFunction,
  given: readonly (readonly NDArray[])[],
  options: CompareOptions,
): Culprit | null {
  // A single row would not tell what depends on rows from what does not.
  const rows = given.length === 1 ? [...given, ...given] : given
  const size = rows.length
  const rowAt = (operands: readonly Rows[], i: number): readonly NDArray[] =>
    operands.map((row) => row[row.length === 1 ? 0 : i])
  const looped = ({ primitive, params }: Equation, operands: readonly Rows[]): readonly Rows[] => {
    const count = operands.some((row) => row.length > 1) ? size : 1
    const each = Array.from({ length: count }, (_, i) =>
      bind(primitive, rowAt(operands, i), params),
    )
    return each[0].map((_, k) => each.map((results) => results[k]))
  }
  const mapped = ({ primitive, params }: Equation, operands: readonly Rows[]) => {
    const isMapped = operands.map((row) => row.length > 1)
    const over = (...xs: NDArray[]): readonly NDArray[] => {
      let next = 0
      const all = operands.map((row, k) => (isMapped[k] ? xs[next++] : row[0]))
      return [...bind(primitive, all, params)]
    }
    return vmap(over)(...operands.filter((_, k) => isMapped[k]).map(stacked))
  }
  const inspection: Inspection<Rows> = {
    literal: ({ value, aval }) => [makeScalar(value, aval)],
    run: looped,
    complaint: (equation, operands) => {
      if (!operands.some((row) => row.length > 1)) return null
      const expected = looped(equation, operands).map((row) => np.stack([...row]))
      const what = `vmap of ${equation.primitive.name}`
      return problemOf(() => requireClose(what, mapped(equation, operands), expected, options))
    },
    inside: (equation, operands) => {
      const [first, ...others] = Array.from({ length: size }, (_, i) =>
        runsInside(equation, rowAt(operands, i)),
      )
      // Rows that run different programs have nothing to be stacked.
      const isSame = others.every(
        (runs) =>
          runs.length === first.length && runs.every((run, k) => run.jaxpr === first[k].jaxpr),
      )
      if (!isSame) return []
      return first.map(({ place, jaxpr, operands: own }, k) => ({
        place,
        jaxpr,
        operands: own.map((x, j): Rows => {
          const row = [x, ...others.map((runs) => runs[k].operands[j])]
          return row.every((y) => y === x) ? [x] : row
        }),
      }))
    },
    shown: (row) => String(stacked(row)),
  }
  const { jaxpr, constants } = makeJaxpr((...xs: NDArray[]) => [...f(...xs)])(...rows[0])
  const inputs = rows[0].map((_, k): Rows => rows.map((row) => row[k]))
  return culpritOf(jaxpr, [...constants.map((x): Rows => [x]), ...inputs], inspection)
}

/**
 * Checks that compiling a function does not change what it computes on the current device.
 *
 * @param f a function of trees of arrays
 * @param args its arguments
 * @param options.tolerance how far results may be apart; by dtype unless given
 * @throws CheckError that says where the two differ
 * @example
 * checkJit((x: NDArray) => np.sum(np.exp(x)), [np.array([0.1, 0.2])])
 */
export function checkJit(
  f: ArrayFunction,
  args: readonly unknown[],
  options: CompareOptions = {},
): void {
  const operands = args as never[]
  requireClose(`jit of ${f.name || 'f'}`, jit(f)(...operands), f(...operands), options)
}
