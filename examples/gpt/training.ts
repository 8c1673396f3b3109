/** Training with a checkpoint: a run that is stopped goes on where it was, bit for bit. */
import { existsSync, mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { np, random, type Key, type NDArray } from '@adjoint/core'
import * as nn from '@adjoint/nn'
import * as optim from '@adjoint/optim'
import { jit } from '@adjoint/transforms'
import { progress } from '../terminal'
import { allWindows, type Corpus, randomWindows, windowsAt } from './texts'

/** The mean loss of windows `[count, time + 1]`. */
export type Loss<P> = (params: P, windows: NDArray) => NDArray

export interface TrainingOptions<P> {
  readonly loss: Loss<P>
  /** `valueAndGrad(loss)`. */
  readonly lossAndGradient: (params: P, windows: NDArray) => readonly [NDArray, P]
  /** Where training begins, unless there is a checkpoint. */
  readonly params: P
  readonly optimiser: optim.GradientTransformation
  readonly corpus: Corpus
  readonly steps: number
  /** How many windows a step looks at, and how many characters each has. */
  readonly batch: number
  readonly context: number
  /** Says which windows. */
  readonly key: Key
  /** The file that the run is saved to. */
  readonly checkpoint: string
}

/** Everything that a run needs to go on. */
interface Run<P> {
  readonly params: P
  readonly optState: optim.OptState
  readonly step: NDArray
  /** The loss of each step so far, NaN for those to come. */
  readonly losses: NDArray
  /** The loss on unseen text at each of `reports`. */
  readonly validation: NDArray
}

export interface Trained<P> {
  readonly params: P
  readonly losses: readonly number[]
  readonly validation: readonly { readonly step: number; readonly loss: number }[]
  readonly seconds: number
  /** Steps done now, without those of an earlier run. */
  readonly stepsDone: number
}

/** How often a run is saved and looked at. */
const reports = 12

const breathe = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/**
 * Trains, or goes on training. Ctrl-C saves the run first.
 *
 * @param report is told the number of the step and the losses, now and then
 */
export async function train<P>(
  options: TrainingOptions<P>,
  report: (step: number, training: number, validation: number) => void,
): Promise<Trained<P>> {
  const { loss, lossAndGradient, optimiser, corpus, steps, batch, context, key, checkpoint } =
    options
  const step = jit(
    (params: P, optState: optim.OptState, windows: NDArray) => {
      const [value, gradient] = lossAndGradient(params, windows)
      const [updates, next] = optimiser.update(gradient, optState, params)
      return [optim.applyUpdates(params, updates), next, value] as const
    },
    { donateArgnums: [0, 1], name: 'step' },
  )
  const evaluate = evaluation(loss, context)
  const every = Math.ceil(steps / reports)

  const fresh: Run<P> = {
    params: options.params,
    optState: optimiser.init(options.params),
    step: np.zeros([], { dtype: 'int32' }),
    losses: np.full([steps], NaN),
    validation: np.full([reports], NaN),
  }
  const start = existsSync(checkpoint)
    ? await nn.loadSafetensors(checkpoint, { into: fresh })
    : fresh
  mkdirSync(dirname(checkpoint), { recursive: true })

  let { params, optState } = start
  const losses = start.losses.dataSync() as Float32Array
  const validation = start.validation.dataSync() as Float32Array
  const first = start.step.item() as number
  const save = async (done: number): Promise<void> => {
    const run: Run<P> = {
      params,
      optState,
      step: np.array(done),
      losses: np.array(losses),
      validation: np.array(validation),
    }
    await nn.saveSafetensors(checkpoint, run)
  }

  let stopped = false
  const stop = (): void => {
    stopped = true
  }
  process.once('SIGINT', stop)
  const bar = progress(steps)
  const started = performance.now()
  for (let i = first; i < steps; i++) {
    const windows = randomWindows(corpus.train, random.foldIn(key, i), batch, context + 1)
    const [nextParams, nextState, value] = step(params, optState, windows)
    params = nextParams
    optState = nextState
    losses[i] = value.item() as number
    bar.update(i + 1, losses[i])
    if (stopped) {
      bar.stop()
      await save(i + 1)
      console.log(`  stopped after step ${i + 1}; the same command goes on from there`)
      process.exit(130)
    }
    if ((i + 1) % every === 0 || i + 1 === steps) {
      const at = Math.ceil((i + 1) / every) - 1
      validation[at] = evaluate(params, corpus.validation, 256)
      report(i + 1, meanOf(losses.subarray(Math.max(0, i + 1 - every), i + 1)), validation[at])
      await save(i + 1)
    }
    await breathe()
  }
  bar.stop()
  process.off('SIGINT', stop)
  return {
    params,
    losses: Array.from(losses),
    validation: Array.from(validation, (value, at) => ({
      step: Math.min(steps, (at + 1) * every),
      loss: value,
    })).filter((point) => Number.isFinite(point.loss)),
    seconds: (performance.now() - started) / 1000,
    stepsDone: steps - first,
  }
}

const meanOf = (numbers: ArrayLike<number>): number =>
  Array.from(numbers).reduce((sum, x) => sum + x, 0) / numbers.length

/**
 * The mean loss over a text cut into windows, in nats a character. Every character but the first of
 * the text is predicted once.
 *
 * @param most look at no more windows than this, spread over the text
 */
export function evaluation<P>(
  loss: Loss<P>,
  context: number,
): (params: P, text: Int32Array, most?: number) => number {
  const batch = 32
  const compiled = jit(loss)
  return (params, text, most = Infinity) => {
    const all = allWindows(text, context + 1)
    const apart = Math.max(1, Math.floor(all.length / most))
    const starts = all.filter((_, i) => i % apart === 0)
    let sum = 0
    for (let i = 0; i < starts.length; i += batch) {
      const some = starts.slice(i, i + batch)
      const value = compiled(params, windowsAt(text, some, context + 1)).item() as number
      sum += value * some.length
    }
    return sum / starts.length
  }
}
