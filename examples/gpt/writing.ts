/** Text by the model, one character after the other, with the keys and values of the past at hand. */
import { np, random, type Key, type NDArray } from '@adjoint/core'
import * as nn from '@adjoint/nn'
import { jit } from '@adjoint/transforms'
import type { GptState } from './model'
import type { Alphabet } from './texts'

export interface WritingOptions<P> {
  readonly model: nn.Layer<P, GptState>
  readonly params: P
  readonly alphabet: Alphabet
  /** How far the model was trained to look back. */
  readonly context: number
  /** Below 1 likely characters become more likely. */
  readonly temperature?: number
}

/**
 * A function that continues a text. The model reads the text once; each further character costs one
 * step with a cache. When the cache is full the second half of it is read anew.
 */
export function writer<P>({
  model,
  params,
  alphabet,
  context,
  temperature = 0.6,
}: WritingOptions<P>): (prompt: string, length: number, key: Key) => string {
  const half = Math.floor(context / 2)
  const empty = nn.withCache(model, null, { length: context })
  /** Reads characters and draws the one after them. */
  const read = jit((own: P, state: GptState, characters: NDArray, key: Key) => {
    const [scores, next] = model.apply({ params: own, state }, characters)
    const drawn = random.categorical(key, np.divide(scores.get(-1), temperature))
    return [drawn, next] as const
  })
  return (prompt, length, key) => {
    const text = [...alphabet.encode(prompt)]
    let state = empty
    let unread = text.slice(-half)
    let cached = 0
    for (let i = 0; i < length; i++) {
      if (cached + unread.length > context) {
        state = empty
        cached = 0
        unread = text.slice(-half)
      }
      const [drawn, next] = read(params, state, np.array(unread), random.foldIn(key, i))
      cached += unread.length
      state = next
      unread = [drawn.item() as number]
      text.push(...unread)
    }
    return alphabet.decode(text)
  }
}
