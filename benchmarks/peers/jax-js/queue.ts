/**
 * Work of @jax-js/jax is handed to a GPU when somebody waits for it. So a run on a GPU starts to wait
 * and does not end: so many runs wait at the same time, and the GPU need not.
 */
import type { Program } from '../program'

let length = 1

/** How many runs are on their way at one time; 1 is the way of a processor. */
export function setQueueLength(runs: number): void {
  length = runs
}

/** A program of which `once` is one run until its result is there. */
export function queued(once: () => Promise<unknown>): Required<Pick<Program, 'run' | 'finish'>> {
  const waiting: Promise<unknown>[] = []
  return {
    run: async () => {
      waiting.push(once())
      if (waiting.length >= length) await waiting.shift()
    },
    finish: async () => {
      await Promise.all(waiting.splice(0))
    },
  }
}
