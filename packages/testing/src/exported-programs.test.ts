/** A trained model and a whole training step, run by a process that has nothing of the library. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type NDArray, np, random } from '@adjoint/core'
import * as nn from '@adjoint/nn'
import * as optim from '@adjoint/optim'
import { type Exported, jit, valueAndGrad } from '@adjoint/transforms'
import { afterAll, beforeAll, expect, test } from 'vitest'

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'adjoint-exported-'))
})
afterAll(() => {
  rmSync(folder, { recursive: true })
})

function elsewhere(programs: Readonly<Record<string, Exported>>, lines: string): unknown {
  for (const [name, { wasm, loader }] of Object.entries(programs)) {
    writeFileSync(join(folder, `${name}.wasm`), wasm)
    writeFileSync(join(folder, 'loader.mjs'), loader)
  }
  writeFileSync(
    join(folder, 'main.mjs'),
    `import { readFile } from 'node:fs/promises'
    import { load } from './loader.mjs'
    const programs = {}
    for (const name of ${JSON.stringify(Object.keys(programs))}) {
      programs[name] = await load(readFile(name + '.wasm'))
    }
    ${lines}
    console.log(JSON.stringify(answer))`,
  )
  // Nothing is found from there: no packages, no flags, no settings.
  const output = execFileSync(process.execPath, ['main.mjs'], {
    cwd: folder,
    encoding: 'utf8',
    env: {},
  })
  return JSON.parse(output)
}

const [batch, inputs] = [32, 20]
const model = nn.sequential(
  nn.linear(inputs, 48),
  nn.activation(nn.relu),
  nn.linear(48, 32),
  nn.activation(nn.relu),
  nn.linear(32, 10),
)
type Params = ReturnType<typeof model.init>['params']
const state: ReturnType<typeof model.init>['state'] = [null, null, null, null, null]
const logits = (params: Params, x: NDArray): NDArray => model.apply({ params, state }, x)[0]
const loss = (params: Params, x: NDArray, labels: NDArray): NDArray =>
  np.mean(optim.softmaxCrossEntropyWithIntegerLabels(logits(params, x), labels))
const optimiser = optim.adam(0.01)
const trainStep = (params: Params, optState: optim.OptState, x: NDArray, labels: NDArray) => {
  const [value, gradient] = valueAndGrad(loss)(params, x, labels)
  const [updates, next] = optimiser.update(gradient, optState, params)
  return [optim.applyUpdates(params, updates), next, value] as const
}

const x = random.normal(random.key(1), [batch, inputs])
const labels = random.randint(random.key(2), [batch], 0, 10)
const steps = 10

/** Parameters after some steps, and the losses on the way. */
function trained(): { readonly params: Params; readonly losses: readonly number[] } {
  const step = jit(trainStep)
  let { params } = model.init(random.key(0))
  let optState = optimiser.init(params)
  const losses: number[] = []
  for (let i = 0; i < steps; i++) {
    const [nextParams, nextState, value] = step(params, optState, x, labels)
    params = nextParams
    optState = nextState
    losses.push(Number(value))
  }
  return { params, losses }
}

const list = (array: NDArray): string => JSON.stringify(Array.from(array.ravel().dataSync()))

test('a trained model classifies as it does here', () => {
  const { params } = trained()
  const classify = jit((x: NDArray) => nn.softmax(logits(params, x)))
  const answer = elsewhere(
    { classify: classify.lower(x).export() },
    `const answer = Array.from(programs.classify.run(${list(x)}))`,
  ) as number[]
  const expected = classify(x).ravel().dataSync()
  expect(answer).toHaveLength(expected.length)
  answer.forEach((p, i) => {
    expect(p).toBeCloseTo(expected[i], 5)
  })
})

test('a whole training step trains as it does here', () => {
  const initialise = jit((key: random.Key) => {
    const { params } = model.init(key)
    return [params, optimiser.init(params)] as const
  })
  const { params } = model.init(random.key(0))
  const step = jit(trainStep, { donateArgnums: [0, 1] })
  const answer = elsewhere(
    {
      initialise: initialise.lower(random.key(0)).export(),
      step: step.lower(params, optimiser.init(params), x, labels).export(),
    },
    `let [params, state] = programs.initialise.run([0, 0])
    const answer = []
    for (let i = 0; i < ${steps}; i++) {
      let loss
      ;[params, state, loss] = programs.step.run(params, state, ${list(x)}, ${list(labels)})
      answer.push(loss)
    }`,
  ) as number[]
  const { losses } = trained()
  expect(losses[steps - 1]).toBeLessThan(0.7 * losses[0])
  answer.forEach((value, i) => {
    expect(value).toBeCloseTo(losses[i], 4)
  })
  expect(answer).toHaveLength(steps)
})
