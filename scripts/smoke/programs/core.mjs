import * as it from '@adjoint/core'
if (typeof it !== 'object') throw new Error('no module')
