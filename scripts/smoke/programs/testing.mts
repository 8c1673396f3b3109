import { np } from '@adjoint/core'
import { checkGrads, checkVmap } from '@adjoint/testing'

const x = np.array([0.1, 0.2, 0.3])

checkGrads((v) => np.sum(np.sin(v)), [x], { order: 2 })
checkVmap((v) => np.exp(v), [x])
