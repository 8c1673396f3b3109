import { np, type NDArray } from '@adjoint/core'
import {
  cond,
  grad,
  hessian,
  jit,
  jvp,
  makeJaxpr,
  scan,
  valueAndGrad,
  vmap,
} from '@adjoint/transforms'
import { expectEqual } from './expect-equal.mjs'

const x = np.array([1, 2, 3], { dtype: 'float32' })

const sumOfSquares = (v: NDArray) => np.sum(np.multiply(v, v))

expectEqual('grad', grad(sumOfSquares)(x).toArray(), [2, 4, 6])
expectEqual('jit of grad', jit(grad(sumOfSquares))(x).toArray(), [2, 4, 6])

const [value, slope] = jit(valueAndGrad(sumOfSquares))(x)
expectEqual('valueAndGrad', [value.item(), slope.toArray()], [14, [2, 4, 6]])

const [, tangent] = jvp(sumOfSquares, [x], [np.ones([3])])
expectEqual('jvp', tangent.item(), 12)
expectEqual('hessian', hessian(sumOfSquares)(x.get('1:')).toArray(), [
  [2, 0],
  [0, 2],
])

const rows = np.reshape(np.arange(1, 5, { dtype: 'float32' }), [2, 2])
expectEqual('vmap of grad', vmap(grad(sumOfSquares))(rows).toArray(), [
  [2, 4],
  [6, 8],
])

const runningProduct = (v: NDArray) =>
  scan((carry, each) => [np.multiply(carry, each), carry], np.ones([]), v)[0]
expectEqual('grad of scan', jit(grad(runningProduct))(x).toArray(), [6, 3, 2])

const absolute = (v: NDArray) =>
  cond(
    np.greater(v, 0),
    (y) => y,
    (y) => np.negative(y),
    v,
  )
expectEqual('grad of cond', jit(grad(absolute))(np.array(-2.5)).item(), -1)
expectEqual('jaxprs print', String(makeJaxpr(sumOfSquares)(x)).includes('f32[3]'), true)
