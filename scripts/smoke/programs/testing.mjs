import * as it from '@adjoint/testing'
if (typeof it !== 'object') throw new Error('no module')
