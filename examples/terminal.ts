/** What the examples share about talking to people: headings, progress and flags. */
import { SingleBar } from 'cli-progress'
import { parseArgs, type ParseArgsConfig } from 'node:util'

export const heading = (text: string): void => {
  console.log(`\n── ${text} ${'─'.repeat(Math.max(0, 76 - text.length))}`)
}

/** A bar in a terminal, and silence in a file. */
export interface Progress {
  update(step: number, loss: number): void
  stop(): void
}

/** @param measure what the number beside the bar is */
export function progress(total: number, measure = 'loss'): Progress {
  if (!process.stderr.isTTY) return { update: () => {}, stop: () => {} }
  const bar = new SingleBar({
    format: `  {bar} {percentage}% │ step {value}/{total} │ ${measure} {loss} │ {eta_formatted} left`,
    barCompleteChar: '█',
    barIncompleteChar: '░',
    hideCursor: true,
    clearOnComplete: true,
  })
  bar.start(total, 0, { loss: '–' })
  return {
    update: (step, loss) => {
      bar.update(step, { loss: loss.toFixed(4) })
    },
    stop: () => {
      bar.stop()
    },
  }
}

/** Ends the program with a message when a flag does not mean anything. */
export function refuse(problem: string): never {
  console.error(problem)
  process.exit(2)
}

/** The flags that the program was given, or the end of the program when it does not know one. */
export function flagsOf<const Options extends NonNullable<ParseArgsConfig['options']>>(
  options: Options,
) {
  try {
    return parseArgs({ options }).values
  } catch (error) {
    return refuse(error instanceof Error ? error.message : String(error))
  }
}

/** The number that a flag was given, or the end of the program. */
export function numberFlag(
  name: string,
  text: string,
  { integer = false, max = Infinity }: { readonly integer?: boolean; readonly max?: number } = {},
): number {
  const value = Number(text)
  const fits =
    text.trim() !== '' && value > 0 && value <= max && (!integer || Number.isInteger(value))
  const kind = integer ? 'a whole number' : 'a number'
  const range = max === Infinity ? 'above 0' : `from ${integer ? 1 : 0} to ${max}`
  return fits ? value : refuse(`--${name} is ${kind} ${range}, not '${text}'`)
}
