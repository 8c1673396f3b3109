/** What the transformations do to this very program. */
import { type NDArray, np, setDevice, tree } from '@adjoint/core'
import { type ClosedJaxpr, grad, jit, makeJaxpr, vmap } from '@adjoint/transforms'
import { heading } from '../terminal'
import { loss, type Params } from './model'

/** The largest difference between two trees, relative to the largest element of the second. */
function relativeDifference(a: Params, b: Params): number {
  const [xs, ys] = [tree.leaves<NDArray>(a), tree.leaves<NDArray>(b)]
  const largest = (arrays: readonly NDArray[]): number =>
    Math.max(...arrays.map((x) => np.max(np.abs(x)).item() as number))
  return largest(xs.map((x, i) => np.subtract(x, ys[i] ?? x))) / largest(ys)
}

/** The program as text, and how many equations it has. */
function described(program: ClosedJaxpr): string {
  const text = String(program)
  const [equations, products] = [/ = /g, / = dot_general/g].map((p) => text.split(p).length - 1)
  return `${text}\n\n  ${equations} equations, ${products} of them matrix products`
}

export function showTransformations(params: Params, images: NDArray, labels: NDArray): void {
  heading('the loss as a jaxpr')
  console.log(described(makeJaxpr(loss)(params, images, labels)))
  heading('its gradient as a jaxpr')
  console.log(described(makeJaxpr(grad(loss))(params, images, labels)))

  heading('per-example gradients: vmap(grad(loss))')
  const batch = jit(grad(loss))(params, images, labels)
  const perExample = jit(vmap(grad(loss), { inAxes: [null, 0, 0] }))(params, images, labels)
  const first = tree.leaves<NDArray>(perExample)[0]
  console.log(
    `  ${images.shape[0]} gradients in one program, the first leaf of shape [${first?.shape.join(', ')}]`,
  )
  const mean = tree.map((g: NDArray) => np.mean(g, 0), perExample) as Params
  console.log(
    `  their mean differs from the batch gradient by ${relativeDifference(mean, batch).toExponential(1)} of its largest element`,
  )

  heading('the same gradient on the reference device, in double precision')
  setDevice('reference')
  const reference = grad(loss)(params, images, labels)
  setDevice('wasm')
  console.log(
    `  WebAssembly differs from it by ${relativeDifference(batch, reference).toExponential(1)} of its largest element`,
  )
}
