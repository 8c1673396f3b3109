/** How many threads the device uses. */
import { ArgumentError } from '../../../types/errors'
import { MOST_THREADS } from './control'
import { coreCount } from './host'

/** More threads than this rarely pay: they share the memory's bandwidth. */
const MOST_BY_DEFAULT = 8

/**
 * What was asked for, or the environment variable ADJOINT_THREADS, or the number of cores up to 8.
 *
 * @throws ArgumentError for anything but a whole number from 1 to 32
 */
export function threadCount(asked?: number): number {
  if (asked !== undefined) return checked('threads', asked)
  const variable = typeof process === 'object' ? process.env?.['ADJOINT_THREADS'] : undefined
  if (variable !== undefined && variable.trim() !== '') {
    return checked('ADJOINT_THREADS', Number(variable))
  }
  return Math.max(1, Math.min(coreCount(), MOST_BY_DEFAULT))
}

function checked(name: string, threads: number): number {
  if (Number.isInteger(threads) && threads >= 1 && threads <= MOST_THREADS) return threads
  throw new ArgumentError({
    op: 'the wasm device',
    problem: `${name} is ${threads}`,
    rule: `the number of threads is a whole number from 1 to ${MOST_THREADS}`,
    hint: 'leave it out to use the cores of the machine',
  })
}
