import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { DeviceError } from '../../types/errors'
import { Outcome } from './outcome'
import { Stream } from './stream'

describe('the stream of work', () => {
  it('runs at once what nothing stands before', () => {
    const stream = new Stream()
    const done: number[] = []
    for (const i of [1, 2]) {
      stream.enqueue(() => {
        done.push(i)
        return null
      })
    }
    expect(done).toEqual([1, 2])
    expect(stream.busy).toBe(false)
  })

  it('keeps the order, whatever waits or fails', async () => {
    const tasks = fc.array(fc.constantFrom('at once', 'waits', 'fails'), { maxLength: 12 })
    await fc.assert(
      fc.asyncProperty(tasks, async (kinds) => {
        const stream = new Stream()
        const begun: number[] = []
        let running = 0
        kinds.forEach((kind, i) =>
          stream.enqueue(() => {
            expect(running).toBe(0)
            begun.push(i)
            if (kind === 'at once') return null
            running++
            return Promise.resolve().then(() => {
              running--
              if (kind === 'fails') throw new Error('failed')
            })
          }),
        )
        await stream.drained()
        expect(begun).toEqual(kinds.map((_, i) => i))
      }),
      { numRuns: 50 },
    )
  })
})

describe('outcomes', () => {
  const failure = new DeviceError({ op: 'test', problem: 'failed' })

  it('matter until they are known to be good', async () => {
    const good = new Outcome(Promise.resolve(null))
    expect(good.matters).toBe(true)
    await good.check()
    expect(good.matters).toBe(false)
    const bad = new Outcome(Promise.resolve(failure))
    await expect(bad.check()).rejects.toBe(failure)
    expect([bad.matters, bad.failed]).toEqual([true, true])
  })

  it('of several things are bad if one of them is', async () => {
    const good = new Outcome(Promise.resolve(null))
    const bad = new Outcome(Promise.resolve(failure))
    await expect(Outcome.ofAll([good, bad, good])?.check()).rejects.toBe(failure)
    expect(Outcome.ofAll([good])).toBe(null)
    expect(Outcome.ofAll([good, bad])).toBe(bad)
  })

  it('are left to the loss of the device where it does not answer', async () => {
    const unanswered = new Outcome(Promise.reject(new Error('gone')))
    await unanswered.check()
    expect(unanswered.matters).toBe(false)
  })
})
