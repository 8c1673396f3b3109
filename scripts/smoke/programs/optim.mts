import { np, type NDArray } from '@adjoint/core'
import { grad, jit } from '@adjoint/transforms'
import { adam, applyUpdates, chain, clipByGlobalNorm } from '@adjoint/optim'

const optimizer = chain(clipByGlobalNorm(10), adam(0.1))
const target = np.array([1, -2, 3])

const loss = (params: { w: NDArray }) => np.sum(np.square(np.subtract(params.w, target)))
const slope = jit(grad(loss))

let params = { w: np.zeros([3]) }
const initialLoss = Number(loss(params).item())
let state = optimizer.init(params)
for (let step = 0; step < 100; step++) {
  const [updates, next] = optimizer.update(slope(params), state, params)
  params = applyUpdates(params, updates)
  state = next
}

const finalLoss = Number(loss(params).item())
if (!(finalLoss < initialLoss / 100)) {
  throw new Error(`adam: the loss went from ${initialLoss} to ${finalLoss}`)
}
