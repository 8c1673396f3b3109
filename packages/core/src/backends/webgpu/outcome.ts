/** What became of asking the device for something: it answers later, and only when it failed. */
import type { AdjointError } from '../../types/errors'

export class Outcome {
  private error: AdjointError | null = null
  private settled: Promise<void> | null

  constructor(answer: Promise<AdjointError | null>) {
    const settle = (error: AdjointError | null): void => {
      this.error = error
      this.settled = null
    }
    // A lost device does not say what became of things; whoever reads learns of the loss.
    this.settled = answer.then(settle, () => settle(null))
  }

  /** What became of all of several things; null where all went well already. */
  static ofAll(outcomes: Iterable<Outcome>): Outcome | null {
    const open = [...new Set(outcomes)].filter(({ matters }) => matters)
    if (open.length <= 1) return open[0] ?? null
    return new Outcome(
      Promise.all(open.map((each) => each.answer())).then(
        (errors) => errors.find((error) => error !== null) ?? null,
      ),
    )
  }

  get failed(): boolean {
    return this.error !== null
  }

  /** False once it is known that all went well. */
  get matters(): boolean {
    return this.settled !== null || this.error !== null
  }

  /** Throws what went wrong, if something did. */
  async check(): Promise<void> {
    const error = await this.answer()
    if (error !== null) throw error
  }

  private async answer(): Promise<AdjointError | null> {
    await this.settled
    return this.error
  }
}

/** Runs `make` in an error scope of the device. */
export function watched<T>(
  device: GPUDevice,
  filter: GPUErrorFilter,
  describe: (error: GPUError) => AdjointError,
  make: () => T,
): { readonly made: T; readonly outcome: Outcome } {
  device.pushErrorScope(filter)
  const made = make()
  const answer = device.popErrorScope()
  return {
    made,
    outcome: new Outcome(answer.then((error) => (error === null ? null : describe(error)))),
  }
}
