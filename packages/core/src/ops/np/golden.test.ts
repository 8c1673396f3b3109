/** Every np function against JAX's own values, on every device of core. */
import { describe, test } from 'vitest'
import { devices } from '../../array/device'
import { withDevice } from '../../array/device'
import { install } from '../../install'
import recording from '../../../test-data/np.json'
import { call, expectRecorded, type RecordedCall } from '../golden.fixture'
import * as np from './index'

install()

const byName = new Map<string, RecordedCall[]>()
for (const recorded of recording.cases as unknown[] as RecordedCall[]) {
  byName.set(recorded.name, [...(byName.get(recorded.name) ?? []), recorded])
}

for (const { name: device } of devices()) {
  describe(`np on ${device}`, () => {
    test.each([...byName.keys()])('%s', (name) => {
      for (const recorded of byName.get(name) ?? []) {
        withDevice(device, () => {
          try {
            expectRecorded(call(np, recorded), recorded.result)
          } catch (error) {
            const shown = JSON.stringify({ args: recorded.args, options: recorded.options })
            throw new Error(
              `${name} ${shown}: ${error instanceof Error ? error.message : String(error)}`,
              { cause: error },
            )
          }
        })
      }
    })
  })
}
