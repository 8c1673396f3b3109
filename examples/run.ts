/**
 * `pnpm example NAME [flags]` runs one example; `pnpm example` says which there are;
 * `pnpm examples` runs all in their quick mode.
 */
import { spawnSync } from 'node:child_process'
import { resolve } from 'node:path'
import { refuse } from './terminal'

const examples: Readonly<Record<string, string>> = {
  mnist: 'a classifier of digits, and what the transformations make of it',
  rnn: 'a recurrent network, trained through scan',
  'per-example': 'one gradient per example: wrong labels found, influence clipped',
  logistic: "the Hessian of logistic regression: Newton's method and standard errors",
  newton: "Newton's method in a while loop under vmap: a fractal",
  cnn: 'a convolutional network with batch norm and residual connections',
  gpt: 'a language model from scratch, and adapters for another style',
  distributed: 'the language model by several workers: the same curve as by one',
  gradients: 'vanishing and exploding gradients: 30 layers, and what is said of them',
  bayes: 'the posterior of a hierarchical regression by Hamiltonian Monte Carlo',
  export: 'programs as .wasm files: a classifier and its training, without the library',
  ode: 'rates of a differential equation, found through its solution',
}

function run(name: string, flags: readonly string[]): void {
  const file = resolve(import.meta.dirname, name, 'main.ts')
  const source = resolve(import.meta.dirname, '../scripts/run-source.mjs')
  const { status } = spawnSync(process.execPath, ['--import', source, file, ...flags], {
    stdio: 'inherit',
  })
  if (status !== 0) process.exit(status ?? 1)
}

const [name, ...flags] = process.argv.slice(2)
if (name === undefined) {
  for (const [each, what] of Object.entries(examples)) console.log(`${each.padEnd(12)} ${what}`)
} else if (name === '--all') {
  for (const each of Object.keys(examples)) {
    console.log(`\n══ ${each}: ${examples[each]}`)
    run(each, flags)
  }
} else if (name in examples) {
  run(name, flags)
} else {
  refuse(`there is no example '${name}'; there are ${Object.keys(examples).join(', ')}`)
}
