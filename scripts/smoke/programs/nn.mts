import * as it from '@adjoint/nn'
if (typeof it !== 'object') throw new Error('no module')
