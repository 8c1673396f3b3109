import { lax, np, random, setDevice, tree, type NDArray } from '@adjoint/core'
import { expectEqual } from './expect-equal.mjs'

const x = np.array(
  [
    [1, 2],
    [3, 4],
  ],
  { dtype: 'float32' },
)

expectEqual('add broadcasts', np.add(x, np.array([10, 20])).toArray(), [
  [11, 22],
  [13, 24],
])
expectEqual('a method equals its function', x.matmul(x).toArray(), np.matmul(x, x).toArray())
expectEqual('matmul', np.matmul(x, x).toArray(), [
  [7, 10],
  [15, 22],
])
expectEqual('sum over an axis', np.sum(x, { axis: 1, keepdims: true }).toArray(), [[3], [7]])
expectEqual('dtype', [x.dtype === 'float32', np.equal(x, 2).dtype === 'bool'], [true, true])
expectEqual('indexing', x.get('...', -1).toArray(), [2, 4])
expectEqual('updates', x.at(0).set(0).toArray(), [
  [0, 0],
  [3, 4],
])
expectEqual('lax', lax.cumsum(np.array([1, 2, 3])).toArray(), [1, 3, 6])
expectEqual(
  'trees',
  tree.leaves(tree.map((leaf: NDArray) => leaf.sum().item(), { a: x, b: [x] })),
  [10, 10],
)
expectEqual('random keys', Array.from(random.keyData(random.key(7)).dataSync()), [0, 7])
expectEqual('reading back', Array.from(x.dataSync()), [1, 2, 3, 4])

setDevice('reference')
expectEqual('the reference device', np.matmul(x, x).toArray(), [
  [7, 10],
  [15, 22],
])
