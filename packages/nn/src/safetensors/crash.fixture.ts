/** Saves larger and larger numbers over the same file, until somebody ends it. */
import { np } from '@adjoint/core'
import { saveSafetensors } from './index'

const path = process.argv[2]
for (let n = 1; ; n++) {
  const all = np.full([200_000], n, { dtype: 'float32' })
  await saveSafetensors(path, { first: all, second: all, n })
  process.stdout.write(`${n}\n`)
}
