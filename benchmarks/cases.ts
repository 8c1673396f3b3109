/** The cases of the table. */
import type { Case } from './case'
import { cnn } from './models/cnn'
import { gpt, type GptSize } from './models/gpt'
import { mlp } from './models/mlp'
import { lorenz, perExample } from './models/small'

const million = 2 ** 20

/** Milliseconds of so many operations at a rate in 10⁹ per second. */
const at = (flops: number, rate: number): number => flops / rate / 1e6

const matmulCase = (n: number, rate: number): Case => ({
  name: `matmul-${n}`,
  what: `a product of two ${n} by ${n} matrices`,
  program: 'matmul',
  size: { n },
  flops: 2 * n ** 3,
  limit: 'multiply-add',
  goal: [at(2 * n ** 3, rate)],
  tolerance: 1e-4,
})

/** One array in, `outputs` elements out, `goal` nanoseconds an element. */
const elementwise = (
  name: 'affine' | 'exp' | 'gelu' | 'sum',
  what: string,
  goal: number,
  outputs = million,
): Case => ({
  name,
  what: `${what} of 2^20 elements`,
  program: name,
  size: { n: million },
  bytes: 4 * (million + outputs),
  limit: outputs === 0 ? 'read-4M' : 'copy-4M',
  goal: [(goal * million) / 1e6],
  tolerance: 1e-4,
})

/** Two products backward for each forward; the first layer needs no gradient of its input. */
const trainingFlops = (forward: readonly number[]): number =>
  forward.reduce((sum, flops, i) => sum + flops * (i === 0 ? 2 : 3), 0)

const mlpFlops = trainingFlops(
  mlp.sizes.slice(1).map((outputs, i) => 2 * mlp.batch * mlp.sizes[i] * outputs),
)

function gptFlops({ layers, width, context, vocabulary, batch }: GptSize): number {
  const dense = layers * 12 * width ** 2 + width * vocabulary
  return 3 * batch * context * (2 * dense + layers * 4 * context * width)
}

const cnnFlops = trainingFlops([
  ...cnn.channels
    .slice(1)
    .map((outputs, i) => 2 * cnn.batch * (cnn.side / 2 ** i) ** 2 * 9 * cnn.channels[i] * outputs),
  2 * cnn.batch * (cnn.side / 4) ** 2 * cnn.channels[2] * cnn.classes,
])

const rows = { rows: 4096, columns: 1024 }

export const mlpCase: Case = {
  name: 'mlp',
  what: 'a training step of an MLP 784-512-256-10, batch 128, Adam',
  program: 'mlp',
  size: { batch: mlp.batch },
  flops: mlpFlops,
  limit: 'multiply-add',
  goal: [7, 4],
  tolerance: 1e-3,
}
export const gptCase: Case = {
  name: 'gpt',
  what: 'a training step of a transformer: 4 layers, width 128, 4 heads, 64 characters, batch 16, AdamW',
  program: 'gpt',
  size: { layers: gpt.layers, context: gpt.context, batch: gpt.batch },
  flops: gptFlops(gpt),
  limit: 'multiply-add',
  goal: [150, 85],
  tolerance: 1e-3,
}
export const cnnCase: Case = {
  name: 'cnn',
  what: 'a training step of two 3×3 convolutions with pooling, 28×28 images, batch 64, Adam',
  program: 'cnn',
  size: { batch: cnn.batch },
  flops: cnnFlops,
  limit: 'multiply-add',
  goal: [18, 10],
  tolerance: 1e-3,
}

const firstCall = (of: Case, goal: number): Case => ({
  name: `first-${of.name}`,
  what: `the first call in a process of ${of.what}`,
  program: of.program,
  size: of.size,
  goal: [goal],
  first: true,
  tolerance: of.tolerance,
})

export const cases: readonly Case[] = [
  matmulCase(64, 35),
  matmulCase(256, 52),
  matmulCase(512, 52),
  matmulCase(1024, 52),
  {
    name: 'batched-matmul',
    what: '32 products of 128 by 128 matrices',
    program: 'batched-matmul',
    size: { batch: 32, n: 128 },
    flops: 2 * 32 * 128 ** 3,
    limit: 'multiply-add',
    goal: [at(2 * 32 * 128 ** 3, 45)],
    tolerance: 1e-4,
  },
  {
    name: 'matvec',
    what: 'a product of a 2048 by 2048 matrix and a vector',
    program: 'matvec',
    size: { n: 2048 },
    flops: 2 * 2048 ** 2,
    bytes: 4 * 2048 ** 2,
    limit: 'read-16M',
    goal: [at(2 * 2048 ** 2, 14)],
    tolerance: 1e-4,
  },
  elementwise('affine', '2x + 1', 0.15),
  elementwise('exp', 'the exponential', 0.6),
  elementwise('gelu', 'the tanh form of GELU', 0.8),
  elementwise('sum', 'the sum', 0.08, 0),
  {
    name: 'sum-axis-0',
    what: 'the sums of the columns of a 4096 by 4096 matrix',
    program: 'sum-axis',
    size: { n: 4096, axis: 0 },
    bytes: 4 * 4096 ** 2,
    limit: 'read-64M',
    goal: [4.5],
    tolerance: 1e-3,
  },
  {
    name: 'sum-axis-1',
    what: 'the sums of the rows of a 4096 by 4096 matrix',
    program: 'sum-axis',
    size: { n: 4096, axis: 1 },
    bytes: 4 * 4096 ** 2,
    limit: 'read-64M',
    goal: [3],
    tolerance: 1e-3,
  },
  {
    name: 'softmax',
    what: 'the softmax of 4096 rows of 1024',
    program: 'softmax',
    size: rows,
    bytes: 8 * rows.rows * rows.columns,
    limit: 'copy-16M',
    goal: [4],
    tolerance: 1e-4,
  },
  {
    name: 'layernorm',
    what: '4096 rows of 1024, normalised, scaled and shifted',
    program: 'layernorm',
    size: rows,
    bytes: 8 * rows.rows * rows.columns,
    limit: 'copy-16M',
    goal: [4],
    tolerance: 1e-4,
  },
  mlpCase,
  gptCase,
  cnnCase,
  {
    name: 'tiny',
    what: 'a training step of an MLP 4-8-1, batch 16, SGD',
    program: 'tiny',
    size: {},
    goal: [0.005],
    tolerance: 1e-3,
  },
  {
    name: 'jit-add-8',
    what: 'a compiled addition of 8 numbers',
    program: 'jit-add',
    size: { n: 8 },
    goal: [0.001],
    tolerance: 1e-6,
  },
  {
    name: 'eager-add-8',
    what: 'an addition of 8 numbers outside of any compiled function',
    program: 'eager-add',
    size: { n: 8 },
    goal: [0.002],
    tolerance: 1e-6,
  },
  {
    name: 'per-example',
    what: 'vmap(grad) of an MLP 32-64-1 over 256 examples',
    program: 'per-example',
    size: { examples: perExample.examples },
    goal: [0.55],
    tolerance: 1e-3,
  },
  {
    name: 'lorenz',
    what: 'the Lorenz system, 10,000 Runge–Kutta steps in a scan',
    program: 'lorenz',
    size: { steps: lorenz.steps },
    steps: lorenz.steps,
    goal: [(0.05 * lorenz.steps) / 1e3],
    // The system is chaotic: roundings part by this much in 10 units of time.
    tolerance: 0.05,
  },
  {
    name: 'lorenz-gradient',
    what: 'the gradient of where the Lorenz system is after 10,000 steps',
    program: 'lorenz-gradient',
    size: { steps: lorenz.steps },
    steps: lorenz.steps,
    goal: [(0.3 * lorenz.steps) / 1e3],
    tolerance: 0.05,
  },
  firstCall(mlpCase, 60),
  firstCall(gptCase, 250),
  firstCall(cnnCase, 100),
]

/** What keeps a GPU busy, and would keep anything else for long. */
export const largeCases: readonly Case[] = [
  ...[2048, 4096].map((n): Case => ({
    name: `matmul-${n}`,
    what: `a product of two ${n} by ${n} matrices`,
    program: 'matmul',
    size: { n },
    flops: 2 * n ** 3,
    tolerance: 1e-4,
  })),
  ...(['affine', 'gelu', 'sum'] as const).map((name): Case => ({
    name: `${name}-large`,
    what: `${name} of 2^26 elements`,
    program: name,
    size: { n: 2 ** 26 },
    bytes: 4 * 2 ** 26 * (name === 'sum' ? 1 : 2),
    // The sum of so many signs is small beside its terms.
    tolerance: name === 'sum' ? 1e-2 : 1e-4,
  })),
]

// --- growth with work ------------------------------------------------------------------------------

export interface Series {
  readonly name: string
  /** What grows. */
  readonly of: string
  readonly cases: readonly (Case & { readonly amount: number })[]
}

const series = (
  name: string,
  of: string,
  amounts: readonly number[],
  caseOf: (amount: number) => Omit<Case, 'name' | 'what'>,
): Series => ({
  name,
  of,
  cases: amounts.map((amount) => ({
    ...caseOf(amount),
    amount,
    name: `${name}@${amount}`,
    what: `${name} with ${amount} for ${of}`,
  })),
})

/** How time grows with the work. */
export const growth: readonly Series[] = [
  series('matmul', 'rows and columns', [16, 32, 64, 128, 256, 512, 1024, 2048], (n) => ({
    program: 'matmul',
    size: { n },
    flops: 2 * n ** 3,
    tolerance: 1e-3,
  })),
  series('gpt', 'characters in a sequence', [16, 32, 64, 128, 256], (context) => ({
    program: 'gpt',
    size: { layers: 2, context, batch: 4 },
    flops: gptFlops({ ...gpt, layers: 2, context, batch: 4 }),
    tolerance: 1e-3,
  })),
  series('mlp', 'examples in a batch', [1, 8, 32, 128, 512], (batch) => ({
    program: 'mlp',
    size: { batch },
    flops: (mlpFlops / mlp.batch) * batch,
    tolerance: 1e-3,
  })),
  series('lorenz', 'steps of a scan', [10, 100, 1000, 10_000, 100_000], (steps) => ({
    program: 'lorenz',
    size: { steps },
    steps,
    // After a hundred units of time the roundings have the say; nothing is left to compare.
    tolerance: steps <= lorenz.steps ? 0.05 : Infinity,
  })),
  series('chain', 'equations of a function (first call)', [10, 100, 1000, 4000], (equations) => ({
    program: 'chain',
    size: { equations },
    steps: equations,
    first: true,
    tolerance: 1e-4,
  })),
  series('layers', 'layers of a transformer (first call)', [1, 4, 12, 24], (layers) => ({
    program: 'gpt',
    size: { layers, context: 16, batch: 1 },
    steps: layers,
    first: true,
    tolerance: 1e-3,
  })),
  series(
    'unrolled',
    'steps written out, with gradient (first call)',
    [10, 50, 100, 500],
    (steps) => ({
      program: 'unrolled',
      size: { steps },
      steps,
      first: true,
      tolerance: 1e-3,
    }),
  ),
]
