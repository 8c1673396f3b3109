import { np, random, tree } from '@adjoint/core'
import { grad, jit } from '@adjoint/transforms'
import { activation, linear, relu, sequential, softmax } from '@adjoint/nn'
import { expectEqual } from './expect-equal.mjs'

const model = sequential(linear(4, 8), activation(relu), linear(8, 3))
const { params, state } = model.init(random.key(0))
const x = random.normal(random.key(1), [5, 4])

const [logits] = model.apply({ params, state }, x)
expectEqual('shape', logits.shape, [5, 3])
const total = Number(np.sum(softmax(logits)).item())
expectEqual('softmax', Math.abs(total - 5) < 1e-4, true)

const loss = (p: typeof params) => np.mean(np.square(model.apply({ params: p, state }, x)[0]))
const gradients = jit(grad(loss))(params)
expectEqual('gradients', String(tree.structure(gradients)), String(tree.structure(params)))
