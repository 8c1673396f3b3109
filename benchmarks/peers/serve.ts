/**
 * A peer in a process of its own, which is told on its standard input what to run. Each command and
 * each answer is a line of JSON (`remote.ts` has the other end, `python/serve.py` does the same for
 * libraries of Python).
 */
import { createInterface } from 'node:readline'
import type { ProgramName, Size } from '../case'
import { provideWebGpu } from './node-gpu'
import type { Numbers, Peer, Program } from './program'

export type Command =
  | { readonly prepare: ProgramName; readonly size: Size }
  | { readonly time: number }
  | { readonly result: true }

const RESULTS_SHOWN = 256

async function peerOf(name: string, threads: number, onGpu: boolean): Promise<Peer> {
  if (onGpu) await provideWebGpu()

  switch (name) {
    case 'adjoint':
      return (await import('./adjoint/programs')).adjoint(onGpu)
    case 'jax-js':
      return (await import('./jax-js/programs')).jaxJs(onGpu)
    case 'tfjs':
      return (await import('./tfjs/programs')).tfjs(threads, onGpu)
    default:
      throw new Error(`no peer '${name}'`)
  }
}

/** A few of the numbers, spread evenly. */
function sampled(values: Numbers): number[] {
  const stride = Math.max(1, Math.floor(values.length / RESULTS_SHOWN))
  const shown: number[] = []
  for (let i = 0; i < values.length && shown.length < RESULTS_SHOWN; i += stride) {
    shown.push(values[i])
  }
  return shown
}

async function timeOf(program: Program, runs: number): Promise<number> {
  const started = performance.now()
  for (let i = 0; i < runs; i++) {
    const pending = program.run()
    if (pending) await pending
  }
  await program.finish?.()
  return performance.now() - started
}

const [name = '', threads = '1', device = 'cpu'] = process.argv.slice(2)
const answer = (value: object): void => {
  process.stdout.write(`${JSON.stringify(value)}\n`)
}

try {
  const peer = await peerOf(name, Number(threads), device === 'gpu')
  answer({ version: peer.version })
  let program: Program | null = null
  for await (const line of createInterface({ input: process.stdin })) {
    const command = JSON.parse(line) as Command
    if ('prepare' in command) {
      program = null
      program = (await peer.programs[command.prepare]?.(command.size)) ?? null
      answer({ prepared: program !== null })
    } else if (program === null) {
      answer({ error: 'nothing is prepared' })
    } else if ('time' in command) {
      answer({ milliseconds: await timeOf(program, command.time) })
    } else {
      answer({ result: sampled(await program.result()) })
    }
  }
} catch (error) {
  answer({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) })
}
process.exit()
