import { once } from 'node:events'
import type { Worker } from 'node:worker_threads'
import { np, random, setDevice, type NDArray } from '@adjoint/core'
import { createWasmBackend, registerDevice, shareEverything } from '@adjoint/core/internal'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { allGather, axisIndex, pmean, ppermute, psum } from './collectives'
import { valueAndGrad } from './grad'
import { jit } from './jit/jit'
import { pmap } from './pmap'

type Device = ReturnType<typeof createWasmBackend>

/** A device whose two threads share everything, and its worker. */
async function twoThreads(): Promise<{ backend: Device; worker: Worker }> {
  const backend = createWasmBackend({ threads: 2, sharing: { ...shareEverything, patience: 1 } })
  registerDevice('wasm', () => backend)
  setDevice('wasm')
  const started = once(process, 'worker') as Promise<[Worker]>
  np.arange(64).add(1).dispose()
  const [worker] = await started
  await waitFor(backend)
  return { backend, worker }
}

async function waitFor(backend: Device): Promise<void> {
  const until = performance.now() + 20_000
  while (backend.runningThreads < 2 && performance.now() < until) {
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  expect(backend.runningThreads).toBe(2)
}

interface Params {
  readonly w1: NDArray
  readonly w2: NDArray
}

const loss = ({ w1, w2 }: Params, x: NDArray, y: NDArray): NDArray =>
  np.mean(np.square(np.subtract(np.matmul(np.tanh(np.matmul(x, w1)), w2), y)))

const shards = 2
const batch = 64
const data = (): readonly [Params, NDArray, NDArray] => {
  const [a, b, c, d] = random.split(random.key(0), 4)
  return [
    { w1: random.normal(a, [12, 32]), w2: random.normal(b, [32, 3]) },
    random.normal(c, [batch, 12]),
    random.normal(d, [batch, 3]),
  ]
}
const sharded = (x: NDArray): NDArray => x.reshape([shards, batch / shards, ...x.shape.slice(1)])

const descend = (params: Params, gradient: Params): Params => ({
  w1: params.w1.sub(gradient.w1.mul(0.05)),
  w2: params.w2.sub(gradient.w2.mul(0.05)),
})

const parallelStep = () =>
  pmap(
    (params: Params, x: NDArray, y: NDArray) => {
      const [value, gradient] = valueAndGrad(loss)(params, x, y)
      const mean = pmean(gradient, 'batch')
      return [descend(params, mean), pmean(value, 'batch')] as const
    },
    { axisName: 'batch', devices: shards, inAxes: [null, 0, 0], outAxes: null },
  )

/** Losses of a few steps on two shards. */
function lossesOf(steps: number): number[] {
  const step = parallelStep()
  const [initial, x, y] = data()
  let params = initial
  return Array.from({ length: steps }, () => {
    const [next, value] = step(params, sharded(x), sharded(y))
    params = next
    return Number(value.item())
  })
}

describe('pmap', () => {
  let device: Awaited<ReturnType<typeof twoThreads>>
  beforeEach(async () => {
    device = await twoThreads()
  })
  afterEach(() => device.backend.setThreads(1))

  it('has collectives across the shards', () => {
    const f = pmap(
      (x: NDArray) => ({
        sum: psum(x, 'i'),
        mean: pmean(x, 'i'),
        all: allGather(x, 'i'),
        next: ppermute(x, 'i', [
          [0, 1],
          [1, 2],
          [2, 0],
        ]),
        index: axisIndex('i'),
      }),
      { axisName: 'i', devices: 3 },
    )
    const { sum, mean, all, next, index } = f(np.array([1, 2, 6]))
    expect(sum.toArray()).toEqual([9, 9, 9])
    expect(mean.toArray()).toEqual([3, 3, 3])
    expect(all.toArray()).toEqual([
      [1, 2, 6],
      [1, 2, 6],
      [1, 2, 6],
    ])
    expect(next.toArray()).toEqual([6, 1, 2])
    expect(index.toArray()).toEqual([0, 1, 2])
  })

  it('has the gradients of the whole batch', () => {
    const [params, x, y] = data()
    const [value, gradient] = jit(valueAndGrad(loss))(params, x, y)
    const f = pmap(
      (p: Params, xs: NDArray, ys: NDArray) => pmean(valueAndGrad(loss)(p, xs, ys), 'batch'),
      { axisName: 'batch', devices: shards, inAxes: [null, 0, 0], outAxes: null },
    )
    const [meanValue, meanGradient] = f(params, sharded(x), sharded(y))
    expect(meanValue.item()).toBeCloseTo(Number(value.item()), 5)
    for (const name of ['w1', 'w2'] as const) {
      const difference = np.max(np.abs(np.subtract(gradient[name], meanGradient[name]))).item()
      expect(difference).toBeLessThan(1e-5)
    }
  })

  it('trains as one worker does, with the same bits on one thread and on two', () => {
    const together = lossesOf(10)
    device.backend.setThreads(1)
    expect(lossesOf(10)).toEqual(together)
    const step = jit((params: Params, x: NDArray, y: NDArray) => {
      const [value, gradient] = valueAndGrad(loss)(params, x, y)
      return [descend(params, gradient), value] as const
    })
    const [initial, x, y] = data()
    let params = initial
    for (const expected of together) {
      const [next, value] = step(params, x, y)
      params = next
      expect(value.item()).toBeCloseTo(expected, 4)
    }
  })

  it('traces once', () => {
    let traces = 0
    const f = pmap(
      (x: NDArray) => {
        traces++
        return psum(x, 'i')
      },
      { axisName: 'i', devices: 2 },
    )
    for (let i = 0; i < 3; i++) f(np.array([i, 1]))
    expect(traces).toBe(1)
  })

  it('names the worker that ended', async () => {
    const step = parallelStep()
    const [params, x, y] = data()
    const expected = step(params, sharded(x), sharded(y))[1].item()
    await device.worker.terminate()
    const act = () => step(params, sharded(x), sharded(y))
    expect(act).toThrow(/worker thread 1 ended/)
    expect(step(params, sharded(x), sharded(y))[1].item()).toBe(expected)
    await waitFor(device.backend)
    expect(step(params, sharded(x), sharded(y))[1].item()).toBe(expected)
  })

  it('wants as many shards as there are devices', () => {
    const f = pmap(
      function scaled(x: NDArray, y: NDArray) {
        return np.multiply(x, y)
      },
      { devices: 2 },
    )
    expect(() => f(np.ones([2, 3]), np.ones([4, 3]))).toThrowErrorMatchingInlineSnapshot(`
      [TransformationError: pmap(scaled): there are 2 devices, and not as many shards
        args[1]: f32[4,3]   axis 0 is 4
        rule: the axis of shards has one element for each device
        hint: reshape it, for example [batch, …] to [2, batch / 2, …], or give inAxes null for what all shards share
        inside: jit of scaled]
    `)
    expect(() => pmap((x: NDArray) => x, { devices: 0 })).toThrow(/devices is 0/)
    expect(() => f(np.ones([]), np.ones([2, 3]))).toThrow(
      /args\[0\]: f32\[\] {3}there is no axis 0/,
    )
    const two = pmap((x: NDArray, y: NDArray) => np.multiply(x, y))
    expect(() => two(np.ones([2, 3]), np.ones([4, 3]))).toThrowErrorMatchingInlineSnapshot(`
      [TransformationError: pmap: the arguments do not have the same number of shards
        args[0]: f32[2,3]   axis 0 is 2
        args[1]: f32[4,3]   axis 0 is 4
        rule: the axis of shards has one element for each device
        hint: reshape it, for example [batch, …] to [2, batch / 2, …], or give inAxes null for what all shards share
        inside: jit]
    `)
  })
})
