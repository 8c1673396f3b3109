/**
 * `pnpm docs:support`: writes docs/support.md, what works with what, found out by trying: every
 * registered primitive and every function that takes functions is run plainly, differentiated in
 * both modes and batched, on every device.
 */
import { writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import {
  AdjointError,
  devices,
  lax,
  linalg,
  np,
  type NDArray,
  random,
  setDevice,
  special,
  tree,
} from '@adjoint/core'
import {
  bind,
  fromHostArray,
  isFloating,
  type Primitive,
  registeredPrimitives,
} from '@adjoint/core/internal'
import { type PrimitiveSample, primitiveSamples } from '@adjoint/core/samples'
import * as transforms from '@adjoint/transforms'
import { jit, jvp, vjp, vmap } from '@adjoint/transforms'
import fc from 'fast-check'
import { format } from 'prettier'
import { root } from './code-blocks'

/** What a row of the table is about: a function of arrays, and arrays to try it on. */
interface Subject {
  readonly name: string
  readonly f: (...xs: NDArray[]) => readonly NDArray[]
  /** Makes the arrays on the device that is current. */
  readonly examples: () => readonly NDArray[]
  /** Per operand: whether there is a derivative with respect to it. */
  readonly smooth: readonly boolean[]
}

/** How trying ended: a word for the table. */
type Outcome = string

const yes = 'yes'

/** Two of it, stacked. */
const twice = (x: NDArray): NDArray => np.stack([x, x])

const columns: Record<string, (subject: Subject, examples: readonly NDArray[]) => Outcome> = {
  eager: ({ f }, xs) => {
    f(...xs)
    return yes
  },
  jit: ({ f }, xs) => {
    jit(f)(...xs)
    return yes
  },
  jvp: (subject, xs) =>
    derivative(subject, xs, (g, floats) => {
      jvp(
        g,
        [...floats],
        floats.map((x) => np.onesLike(x)),
      )
    }),
  'vjp, grad': (subject, xs) =>
    derivative(subject, xs, (g, floats) => {
      const [ys, pullback] = vjp(g, ...floats)
      pullback(ys)
    }),
  vmap: ({ f }, xs) => {
    if (xs.length === 0) return 'no operand'
    vmap(f)(...xs.map(twice))
    return yes
  },
  'jit(vmap(grad))': (subject, xs) =>
    derivative(subject, xs, (g, floats) => {
      const gradient = (...batch: NDArray[]): NDArray[] => {
        const [ys, pullback] = vjp(g, ...batch)
        return [...pullback(ys)]
      }
      jit(vmap(gradient))(...floats.map(twice))
    }),
}

/** Tries the derivative of the floating-point results. */
function derivative(
  { f, smooth }: Subject,
  xs: readonly NDArray[],
  attempt: (g: (...floats: NDArray[]) => NDArray[], floats: readonly NDArray[]) => void,
): Outcome {
  const isFloat = (x: NDArray): boolean => isFloating(x.dtype)
  const floats = xs.filter((_, i) => smooth[i])
  const g = (...given: NDArray[]): NDArray[] => {
    const rest = [...given]
    return f(...xs.map((x, i) => (smooth[i] ? (rest.shift() ?? x) : x))).filter(isFloat)
  }
  if (floats.length === 0 || f(...xs).filter(isFloat).length === 0) return 'discrete'
  attempt(g, floats)
  return yes
}

/** Why not: the first line of the error that says so. */
const reason = (error: unknown): Outcome => {
  if (!(error instanceof AdjointError)) throw error
  return `no: ${error.message.split('\n')[0]}`
}

function outcomes(subject: Subject, device: string): Record<string, Outcome> {
  setDevice(device as 'wasm')
  try {
    const examples = subject.examples()
    return Object.fromEntries(
      Object.entries(columns).map(([column, attempt]) => {
        try {
          return [column, attempt(subject, examples)]
        } catch (error) {
          return [column, reason(error)]
        }
      }),
    )
  } finally {
    setDevice('wasm')
  }
}

// --- primitives -------------------------------------------------------------------------------------

/** The sample that says most: not empty, differentiable where any is. */
function chosenSample(name: string): PrimitiveSample | null {
  const samples = primitiveSamples.get(name)
  if (!samples) return null
  const score = ({ operands, smooth }: PrimitiveSample): number =>
    (operands.every((o) => o.data.length > 0) ? 2 : 0) + (smooth.some(Boolean) ? 1 : 0)
  return fc
    .sample(samples.smooth, { numRuns: 24, seed: 1 })
    .reduce((best, sample) => (score(sample) > score(best) ? sample : best))
}

const primitiveSubject = (
  primitive: Primitive,
  { operands, params, smooth }: PrimitiveSample,
): Subject => ({
  smooth,
  name: primitive.name,
  f: (...xs) => bind(primitive, xs, params),
  examples: () => operands.map(fromHostArray),
})

// --- functions that take functions ------------------------------------------------------------------

type Program = (x: NDArray) => NDArray

const { sin, square } = np

const programs: Record<string, Program> = {
  jit: jit((x: NDArray) => sin(x)),
  scan: (x) => transforms.scan((c: NDArray, _: null) => [sin(c), c], x, null, { length: 3 })[1],
  whileLoop: (x) =>
    transforms.whileLoop(
      (c: NDArray) => np.less(np.sum(c), 8),
      (c: NDArray) => c.mul(2),
      x,
    ),
  'foriLoop, fixed bounds': (x) => transforms.foriLoop(0, 3, (_: NDArray, c: NDArray) => sin(c), x),
  'foriLoop, computed bounds': (x) =>
    transforms.foriLoop(0, np.argmax(x).add(2), (_: NDArray, c: NDArray) => sin(c), x),
  cond: (x) =>
    transforms.cond(
      np.greater(np.sum(x), 0),
      (c: NDArray) => sin(c),
      (c: NDArray) => square(c),
      x,
    ),
  switchCase: (x) =>
    transforms.switchCase(np.argmax(x), [(c: NDArray) => sin(c), (c: NDArray) => square(c)], x),
  map: (x) => transforms.map((c: NDArray) => sin(c), x),
  associativeScan: (x) => transforms.associativeScan((a: NDArray, b: NDArray) => a.mul(b), x),
  checkpoint: transforms.checkpoint((x: NDArray) => sin(sin(x))),
  customJvp: transforms
    .customJvp((x: NDArray) => sin(x))
    .defjvp(([x], [xDot]) => [sin(x), np.multiply(xDot, np.cos(x))]),
  customVjp: transforms
    .customVjp(function ownSine(x: NDArray) {
      return sin(x)
    })
    .defvjp(
      (x) => [sin(x), x],
      (x, yBar) => [np.multiply(yBar, np.cos(x))],
    ),
  customVmap: transforms
    .customVmap((x: NDArray) => sin(x))
    .defvmap((_size, _batched, x) => [sin(x), true]),
  customLinearSolve: (x) =>
    transforms.customLinearSolve(
      (c: NDArray) => c.mul(np.exp(x)),
      x,
      (_matvec, b) => b.div(np.exp(x)),
      { symmetric: true },
    ),
  customRoot: (x) =>
    transforms.customRoot(
      (c: NDArray) => np.exp(c).sub(x),
      x,
      () => np.log(x),
      (g, y) => y.div(g(np.onesLike(y))),
    ),
  'debug.print': (x) => {
    transforms.debug.callback(() => undefined, x)
    return sin(x)
  },
  stopGradient: (x) => x.mul(transforms.stopGradient(x)),
  'grad, inside': transforms.grad((x: NDArray) => np.sum(sin(x))),
  'hessian, inside': transforms.hessian((x: NDArray) => np.sum(np.power(x, 3))),
  'linearize, inside': (x) => {
    const [y, linear] = transforms.linearize((c: NDArray) => sin(c), x)
    return linear(y)
  },
  'psum over a named axis': (x) =>
    vmap((c: NDArray) => sin(c).div(transforms.psum(c, 'i')), { axisName: 'i' })(x),
}

const programSubject = ([name, f]: [string, Program]): Subject => ({
  name,
  f: (x) => [f(x)],
  smooth: [true],
  examples: () => [np.array([0.5, 1.25])],
})

// --- the page ---------------------------------------------------------------------------------------

const escaped = (text: string): string => text.replaceAll('|', '\\|')

/** Rows with the outcome where all devices agree, and one outcome per device where they do not. */
function table(subjects: readonly Subject[], notes: string[]): string {
  const names = devices().map(({ name }) => name)
  const cell = (each: readonly Outcome[]): string => {
    const short = each.map((outcome) => {
      if (!outcome.startsWith('no: ')) return outcome
      if (!notes.includes(outcome)) notes.push(outcome)
      return `no (${notes.indexOf(outcome) + 1})`
    })
    return new Set(short).size === 1
      ? short[0]
      : names.map((name, i) => `${name}: ${short[i]}`).join(', ')
  }
  const rows = subjects.map((subject) => {
    const perDevice = names.map((name) => outcomes(subject, name))
    const cells = Object.keys(columns).map((column) =>
      cell(perDevice.map((found) => found[column])),
    )
    return `| \`${subject.name}\` | ${cells.join(' | ')} |`
  })
  const header = ['', ...Object.keys(columns)].join(' | ')
  return [`| ${header} |`, `|${' --- |'.repeat(Object.keys(columns).length + 1)}`, ...rows].join(
    '\n',
  )
}

/** The functions of a namespace; types leave no trace in it and constants are no functions. */
const functionsOf = (namespace: object): string[] =>
  Object.entries(namespace)
    .filter(([, value]) => typeof value === 'function')
    .map(([name]) => name)
    .sort()

const list = (title: string, namespace: object): string => {
  const names = functionsOf(namespace)
  return `**${title}** (${names.length}): ${names.map((name) => `\`${name}\``).join(', ')}`
}

export async function supportPage(): Promise<string> {
  const primitives = registeredPrimitives().toSorted((a, b) => (a.name < b.name ? -1 : 1))
  const subjects = primitives.flatMap((primitive) => {
    const sample = chosenSample(primitive.name)
    return sample ? [primitiveSubject(primitive, sample)] : []
  })
  const notes: string[] = []
  const forPrograms = table(Object.entries(programs).map(programSubject), notes)
  const forPrimitives = table(subjects, notes)
  const page = `# What works with what

Written by \`pnpm docs:support\`, which tries every combination on every device (${devices()
    .map(({ name }) => `\`${name}\``)
    .join(', ')}); a test holds this page to it. A cell speaks for all devices unless it names them.

- _eager_: called by itself. _jit_: as a compiled program.
- _jvp_: forward mode. _vjp, grad_: reverse mode. _discrete_: operands or results are integers or booleans, or a parameter such as the order of a polygamma function: they have no derivative, and gradients pass them by.
- _vmap_: over every operand. The last column is all of it at once: the compiled gradient of each example of a batch.

The device \`webgpu\` is not among them, since its results are read asynchronously: the equivalence suite holds every primitive on it, and its derivatives, to the reference.

## Functions of functions

${forPrograms}

## Primitives

The operations that everything in \`np\`, \`lax\`, \`linalg\`, \`special\` and \`random\` is made of, so that what holds for them holds for all of it. Names are those in jaxprs.

${forPrimitives}

${notes.map((note, i) => `${i + 1}. ${escaped(note.replace('no: ', ''))}`).join('\n')}

## Names

${[
  list('np', np),
  list('lax', lax),
  list('linalg', linalg),
  list('special', special),
  list('random', random),
  list('tree', tree),
  list('transforms', transforms),
].join('\n\n')}
`
  return format(page, { parser: 'markdown', printWidth: 100 })
}

export const supportFile = resolve(root, 'docs/support.md')

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  writeFileSync(supportFile, await supportPage())
}
