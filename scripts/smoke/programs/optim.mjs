import * as it from '@adjoint/optim'
if (typeof it !== 'object') throw new Error('no module')
