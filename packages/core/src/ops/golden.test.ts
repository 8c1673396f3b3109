/** lax, special and linalg against JAX's own values, on every device of core. */
import { describe, test } from 'vitest'
import laxRecording from '../../test-data/lax.json'
import linalgRecording from '../../test-data/linalg.json'
import specialRecording from '../../test-data/special.json'
import { devices, withDevice } from '../array/device'
import { install } from '../install'
import { call, expectRecorded, type RecordedCall } from './golden.fixture'
import * as lax from './lax'
import * as linalg from './linalg'
import * as special from './special'

install()

const recordings: [string, object, unknown[]][] = [
  ['lax', lax, laxRecording.cases],
  ['special', special, specialRecording.cases],
  ['linalg', linalg, linalgRecording.cases],
]

for (const { name: device } of devices()) {
  for (const [title, namespace, cases] of recordings) {
    const calls = cases as RecordedCall[]
    describe(`${title} on ${device}`, () => {
      test.each([...new Set(calls.map((c) => c.name))])('%s', (name) => {
        withDevice(device, () => {
          for (const recorded of calls.filter((c) => c.name === name)) {
            try {
              expectRecorded(call(namespace, recorded), recorded.result)
            } catch (error) {
              const shown = JSON.stringify({ args: recorded.args, options: recorded.options })
              throw new Error(`${name} ${shown}`, { cause: error })
            }
          }
        })
      })
    })
  }
}
