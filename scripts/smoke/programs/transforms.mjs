import * as it from '@adjoint/transforms'
if (typeof it !== 'object') throw new Error('no module')
