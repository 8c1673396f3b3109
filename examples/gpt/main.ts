/**
 * A character-level GPT learns to write from Moby-Dick, and then, with its weights frozen, adapters
 * of low rank learn to write speeches.
 *
 *   pnpm example gpt [--steps 1200] [--batch 32] [--rate 0.003] [--adapt 300] [--prompt TEXT]
 *     [--out FILE] [--fresh] [--quick]
 *
 * Ctrl-C saves; the same command goes on. `--quick` is a small model and a few steps.
 */
import { rmSync } from 'node:fs'
import { random, type NDArray } from '@adjoint/core'
import * as nn from '@adjoint/nn'
import * as optim from '@adjoint/optim'
import { valueAndGrad } from '@adjoint/transforms'
import { outputPath, saveChart } from '../chart'
import { flagsOf, heading, numberFlag } from '../terminal'
import { gpt, lossOf } from './model'
import { curveChart } from './plot'
import { alphabetOf, corpusOf, novel, speeches } from './texts'
import { evaluation, train, type Trained } from './training'
import { writer } from './writing'

const flags = flagsOf({
  steps: { type: 'string', default: '1200' },
  batch: { type: 'string', default: '32' },
  rate: { type: 'string', default: '0.003' },
  /** Steps of the adapters. */
  adapt: { type: 'string', default: '300' },
  prompt: { type: 'string', default: 'The whale ' },
  /** Where to save: this with -book.safetensors, -speeches.safetensors and .svg after it. */
  out: { type: 'string' },
  /** Begin again, whatever has been saved. */
  fresh: { type: 'boolean', default: false },
  quick: { type: 'boolean', default: false },
})
const { quick } = flags
const rate = numberFlag('rate', flags.rate)
const size = quick
  ? { features: 32, layers: 2, heads: 2, context: 32, steps: 24, batch: 8, adapt: 12 }
  : {
      features: 128,
      layers: 4,
      heads: 4,
      context: 64,
      steps: numberFlag('steps', flags.steps, { integer: true }),
      batch: numberFlag('batch', flags.batch, { integer: true }),
      adapt: numberFlag('adapt', flags.adapt, { integer: true }),
    }
const { context, batch } = size
const { target, shown } = outputPath('gpt', flags)
const checkpoints = {
  book: `${target}-book.safetensors`,
  speeches: `${target}-speeches.safetensors`,
}
if (flags.fresh || quick) {
  rmSync(checkpoints.book, { force: true })
  rmSync(checkpoints.speeches, { force: true })
}

const text = novel()
const alphabet = alphabetOf(text)
const book = corpusOf(alphabet.encode(text))
const model = gpt({ vocabulary: alphabet.size, ...size })
const initial = model.init(random.key(0)).params

heading('a GPT')
console.log(String(nn.summary(initial)).replace(/^/gm, '  '))

const report = (step: number, training: number, validation: number): void => {
  console.log(
    `  step ${String(step).padStart(5)}: training ${training.toFixed(3)}, unseen ${validation.toFixed(3)} nats a character`,
  )
}
const timing = ({ seconds, stepsDone }: Trained<unknown>): string =>
  stepsDone === 0
    ? '  trained before; --fresh begins again'
    : `  ${stepsDone} steps in ${seconds.toFixed(0)} s, ${((seconds / stepsDone) * 1000).toFixed(0)} ms each`

/** AdamW with a warm-up and a cosine; matrices decay, scales do not. */
const optimiser = (
  peak: number,
  steps: number,
  weightDecay: number,
): optim.GradientTransformation =>
  optim.chain(
    optim.clipByGlobalNorm(1),
    optim.adamw(
      optim.warmupCosineDecay(0, peak, Math.min(100, Math.ceil(steps / 10)), steps, {
        endValue: peak / 20,
      }),
      { b2: 0.95, weightDecay, mask: optim.byPath(/weight$/) },
    ),
  )

heading('learning to write from Moby-Dick')
console.log(
  `  ${book.train.length} characters to learn from, ${book.validation.length} to be judged by, ${alphabet.size} kinds`,
)
const loss = (params: typeof initial, windows: NDArray): NDArray => lossOf(model, params, windows)
const learnt = await train(
  {
    loss,
    lossAndGradient: valueAndGrad(loss),
    params: initial,
    optimiser: optimiser(rate, size.steps, 0.1),
    corpus: book,
    steps: size.steps,
    batch,
    context,
    key: random.key(1),
    checkpoint: checkpoints.book,
  },
  report,
)
console.log(timing(learnt))
const evaluate = evaluation(loss, context)
const most = quick ? 64 : Infinity
const bookLoss = evaluate(learnt.params, book.validation, most)
console.log(`  the tenth of the book that it never saw: ${bookLoss.toFixed(4)} nats a character`)

const show = (written: string): void => {
  console.log(written.replace(/^/gm, '  │ '))
}
const length = quick ? 80 : 600
const write = writer({ model, params: learnt.params, alphabet, context })
const begun = performance.now()
const written = write(flags.prompt, length, random.key(2))
const perCharacter = (performance.now() - begun) / length
show(written)
console.log(`  ${perCharacter.toFixed(1)} ms a character, with a cache of keys and values`)

heading('adapters learn to write speeches')
const speech = corpusOf(alphabet.encode(speeches()))
const adapted = nn.lora(model, quick ? 2 : 8)
const start = adapted.adapt(learnt.params, random.key(3))
const sizes = [start.adapters, start.base].map((part) => nn.summary(part).count)
console.log(`  ${sizes[0]} parameters in adapters, ${sizes[1]} frozen`)
const before = evaluate(learnt.params, speech.validation, most)
const adaptedLoss = (adapters: typeof start.adapters, windows: NDArray): NDArray =>
  lossOf(adapted, { base: learnt.params, adapters }, windows)
const tuned = await train(
  {
    loss: adaptedLoss,
    lossAndGradient: valueAndGrad(adaptedLoss),
    params: start.adapters,
    optimiser: optimiser(rate, size.adapt, 0),
    corpus: speech,
    steps: size.adapt,
    batch,
    context,
    key: random.key(4),
    checkpoint: checkpoints.speeches,
  },
  report,
)
console.log(timing(tuned))
const merged = adapted.merge({ base: learnt.params, adapters: tuned.params })
const after = evaluate(merged, speech.validation, most)
console.log(
  `  speeches that it never saw: ${before.toFixed(4)} before, ${after.toFixed(4)} nats a character after`,
)
const again = evaluate(learnt.params, book.validation, most)
console.log(
  `  the frozen weights on the book: ${again.toFixed(4)}, ${again === bookLoss ? 'as before' : 'CHANGED'}`,
)
show(writer({ model, params: merged, alphabet, context })('We must ', length, random.key(5)))

await saveChart(
  curveChart([
    { title: 'Learning to write from Moby-Dick', ...learnt },
    { title: 'Adapters learn to write speeches', ...tuned },
  ]),
  `${target}.svg`,
)
console.log(
  `\n  saved: ${shown('svg')}, and next to it the checkpoints -book.safetensors and -speeches.safetensors`,
)
