/** Gradients of large batches in little memory. */
import { ArgumentError, np, ShapeError, tree, type NDArray } from '@adjoint/core'
import { checkpoint, scan, valueAndGrad } from '@adjoint/transforms'
import type { Layer } from './layer'

/**
 * The value and gradient of a mean over a batch, computed over one part of the batch after the other:
 * memory for activations shrinks by the number of parts, and the result is the same up to rounding.
 * One loop, however many parts.
 *
 * @param loss of parameters and a batch, a mean over the leading axis of every other argument
 * @param parts how many; it divides the leading axis of every array of the batch
 * @returns a function of the arguments of `loss`, to its value and the gradient of the parameters
 * @throws ShapeError when an array of the batch cannot be divided
 * @example
 * const loss = (w: NDArray, x: NDArray): NDArray => np.mean(np.square(np.matmul(x, w)))
 * const [value, gradient] = accumulateGradients(loss, 4)(np.ones([3]), np.ones([8, 3]))
 * value // Array(9., dtype=float32)
 */
export function accumulateGradients<P, A extends readonly unknown[]>(
  loss: (params: P, ...batch: A) => NDArray,
  parts: number,
): (params: P, ...batch: A) => [value: NDArray, gradient: P] {
  const op = `accumulateGradients(loss, ${parts})`
  if (!Number.isInteger(parts) || parts < 1) {
    throw new ArgumentError({ op, problem: 'the number of parts is not a positive integer' })
  }
  return (params, ...batch) => {
    const examples = tree.flatten<NDArray>(batch)
    const start = tree.flatten<NDArray>(params)
    const add = (sums: NDArray[], part: NDArray[]): [NDArray[], NDArray] => {
      const own = tree.unflatten(examples.structure, part) as A
      const [value, gradient] = valueAndGrad((p: P) => loss(p, ...own))(params)
      const gradients = tree.leaves<NDArray>(gradient)
      return [sums.map((sum, i) => np.add(sum, gradients[i])), value]
    }
    const [sums, values] = scan(
      add,
      start.leaves.map((p) => np.zerosLike(p)),
      examples.leaves.map((x) => divide(op, x, parts)),
      { length: parts },
    )
    const means = sums.map((sum) => np.divide(sum, parts))
    return [np.mean(values), tree.unflatten(start.structure, means) as P]
  }
}

function divide(op: string, x: NDArray, parts: number): NDArray {
  const [size, ...rest] = x.shape
  if (x.ndim > 0 && size % parts === 0) return x.reshape([parts, size / parts, ...rest])
  throw new ShapeError({
    op,
    problem: 'an array of the batch cannot be divided',
    operands: [{ name: 'x', aval: x.aval }],
    rule: `the leading axis is a multiple of ${parts}`,
    hint: 'leave the rest of the batch out, or close over arrays that belong to all examples',
  })
}

/**
 * A layer that computes its intermediate values again in the backward pass instead of keeping them.
 * Chen et al. 2016. `repeat(layer, count, { remat: true })` does so for every layer of a stack.
 *
 * @param options.policy which values are kept all the same, for example `dotsSaveable`
 * @example
 * const block = checkpointed(sequential(linear(4, 4), activation(gelu)))
 * block.apply(block.init(random.key(0)), np.ones([4]))[0].shape // [ 4 ]
 */
export function checkpointed<P, S>(
  layer: Layer<P, S>,
  options: Parameters<typeof checkpoint>[1] = {},
): Layer<P, S> {
  return {
    ...layer,
    apply: ({ params, state }, x, context = {}) => {
      const { key, mask, ...rest } = context
      const run = checkpoint(
        (p: P, s: S, input: NDArray, k: typeof key, m: typeof mask) =>
          layer.apply({ params: p, state: s }, input, { ...rest, key: k, mask: m }),
        options,
      )
      return run(params, state, x, key, mask)
    },
  }
}
