/** What the transformations do to this very program. */
import { type NDArray, np, setDevice, tree } from '@adjoint/core'
import { grad, jit, makeJaxpr, vmap } from '@adjoint/transforms'
import { loss, type Params } from './model'

const title = (text: string): void => console.log(`\n── ${text} ${'─'.repeat(Math.max(0, 76 - text.length))}`)

/** The largest difference between two trees, relative to the largest element of the second. */
function relativeDifference(a: Params, b: Params): number {
  const [xs, ys] = [tree.leaves<NDArray>(a), tree.leaves<NDArray>(b)]
  const largest = (arrays: readonly NDArray[]): number =>
    Math.max(...arrays.map((x) => np.max(np.abs(x)).item() as number))
  return largest(xs.map((x, i) => np.subtract(x, ys[i] ?? x))) / largest(ys)
}

export function showTransformations(params: Params, images: NDArray, labels: NDArray): void {
  title('the loss as a jaxpr')
  console.log(String(makeJaxpr(loss)(params, images, labels)))
  title('its gradient as a jaxpr')
  console.log(String(makeJaxpr(grad(loss))(params, images, labels)))

  title('per-example gradients: vmap(grad(loss))')
  const batch = jit(grad(loss))(params, images, labels)
  const perExample = jit(vmap(grad(loss), { inAxes: [null, 0, 0] }))(params, images, labels)
  const first = tree.leaves<NDArray>(perExample)[0]
  console.log(`  ${images.shape[0]} gradients in one program, the first leaf of shape [${first?.shape.join(', ')}]`)
  const mean = tree.map((g: NDArray) => np.mean(g, 0), perExample) as Params
  console.log(`  their mean differs from the batch gradient by ${relativeDifference(mean, batch).toExponential(1)} of its largest element`)

  title('the same gradient on the reference device, in double precision')
  setDevice('reference')
  const reference = grad(loss)(params, images, labels)
  setDevice('wasm')
  console.log(`  WebAssembly differs from it by ${relativeDifference(batch, reference).toExponential(1)} of its largest element`)
}
