/** What goes wrong with weight files. */
import { AdjointError } from '@adjoint/core'
import * as TE from 'fp-ts/lib/TaskEither.js'

/** A weight file that cannot be written, or that is not what it should be. */
export class SafetensorsError extends AdjointError {
  override readonly name = 'SafetensorsError'
}

/**
 * Work on a file, done when it is asked for: call it for fp-ts' `Either`, or await it for the result
 * or an exception. Each call and each await does the work once.
 */
export interface FileTask<A> extends TE.TaskEither<AdjointError, A>, PromiseLike<A> {}

export function fileTask<A>(op: string, run: () => Promise<A>): FileTask<A> {
  const failure = (cause: unknown): AdjointError =>
    cause instanceof AdjointError
      ? cause
      : new SafetensorsError({
          op,
          problem: cause instanceof Error ? cause.message : String(cause),
          cause,
        })
  const promise = (): Promise<A> => run().catch((cause: unknown) => Promise.reject(failure(cause)))
  const then: PromiseLike<A>['then'] = async (onValue, onError) => promise().then(onValue, onError)
  // eslint-disable-next-line unicorn/no-thenable -- awaiting it is one of its two uses
  return Object.assign(TE.tryCatch(run, failure), { then })
}
