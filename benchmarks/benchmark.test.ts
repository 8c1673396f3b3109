import { expect, test } from 'vitest'
import { cases, growth, largeCases } from './cases'
import { limitNames, limitsOfMachine } from './limits'
import { cnnTraining } from './models/cnn'
import { gpt, gptTraining } from './models/gpt'
import { mlpTraining } from './models/mlp'
import { tinyTraining } from './models/small'
import type { Training } from './models/training'
import { numbers } from './numbers'
import { adjoint } from './peers/adjoint/programs'

test('every case is a program of ours, and has a name of its own', async () => {
  const all = [...cases, ...largeCases, ...growth.flatMap((series) => series.cases)]
  const { programs } = await adjoint()
  expect(all.filter(({ program }) => programs[program] === undefined)).toEqual([])
  expect(new Set(all.map(({ name }) => name)).size).toBe(all.length)
})

test('numbers are those that the peers in Python make', () => {
  // python3 -c 'from data import numbers; print(numbers(4, 1, 7).tolist())' in peers/python
  expect([...numbers(4, 1, 7)]).toEqual([
    -0.05675947666168213, 0.9447352886199951, -0.05637562274932861, -0.7354549169540405,
  ])
})

test('limits are those of loops that run, and name what cases are held to', () => {
  const limits = limitsOfMachine()()
  expect(limitNames.filter((name) => !(limits[name] > 0.1 && limits[name] < 1e4))).toEqual([])
  for (const { name, limit, flops, bytes } of cases) {
    const amount = limit === 'multiply-add' ? flops : bytes
    expect(limit === undefined || amount !== undefined, name).toBe(true)
  }
})

const models = {
  mlp: () => mlpTraining(),
  gpt: () => gptTraining({ ...gpt, layers: 2, batch: 4 }),
  cnn: () => cnnTraining(),
  tiny: () => tinyTraining(),
}

test.each(Object.entries(models))('%s learns', (_name, model) => {
  const { next } = model()
  const losses = Array.from({ length: 8 }, () => Number(next()))
  expect(losses.every(Number.isFinite)).toBe(true)
  expect(losses[7]).toBeLessThan(losses[0])
})

test('training steps take at most 1.3 times the memory that lives at one time', () => {
  const costOf = <P>({ step, first }: Training<P>) => step.lower(...first).cost()
  const costs = [costOf(mlpTraining()), costOf(gptTraining()), costOf(cnnTraining())]
  for (const { peakTemporaryBytes, liveTemporaryBytes } of costs) {
    expect(peakTemporaryBytes).toBeLessThanOrEqual(1.3 * liveTemporaryBytes)
  }
})
