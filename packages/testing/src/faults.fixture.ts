/** Primitives with a fault each, for tests that see whether the checks find and name it. */
import { np, type NDArray } from '@adjoint/core'
import {
  bind,
  definePrimitive,
  type Primitive,
  registeredPrimitives,
  stage,
} from '@adjoint/core/internal'

export const named = (name: string): Primitive => {
  const found = registeredPrimitives().find((p) => p.name === name)
  if (found === undefined) throw new Error(`no primitive ${name}`)
  return found
}

/** A primitive like another one, but with a fault; it is not registered, so no law visits it. */
function faulty(name: string, faults: (self: () => Primitive) => Partial<Primitive>): Primitive {
  const primitive: Primitive = definePrimitive({
    ...named(name),
    ...faults(() => primitive),
    name: `faulty_${name}`,
  })
  return primitive
}

export const applied =
  (primitive: Primitive, params = {}) =>
  (x: NDArray): NDArray =>
    bind(primitive, [x], params)[0]

/** d sin x = sin x dx. */
export const wrongDerivative = faulty('sin', (self) => ({
  jvp: ([x], [xDot]) => {
    const y = bind(self(), [x], {})[0]
    return { primals: [y], tangents: [np.multiply(y, xDot as NDArray)] }
  },
}))

/** y = −x is its own transpose; here it loses its sign. */
export const wrongTranspose = faulty('neg', (self) => ({
  jvp: ([x], [xDot]) => ({
    primals: bind(self(), [x], {}),
    tangents: bind(self(), [xDot as NDArray], {}),
  }),
  transpose: ([yBar]) => [yBar],
}))

/** Sums along the axis that it was told, although the mapped one stands before it. */
export const wrongBatching = faulty('cumsum', (self) => ({
  batch: (_axis, operands, dims, params) => ({ outputs: bind(self(), operands, params), dims }),
}))

/** The last element is never written. */
export const shortLowering = faulty('sin', () => ({
  lower: (context, operands) => {
    const withoutLast = ([y]: readonly NDArray[]): NDArray[] => [
      np.pad(np.sin(y.get('0:-1')), [[0, 1]]),
    ]
    return context.inline(stage(withoutLast, [x.aval], 'stage', '').jaxpr, operands)
  },
}))

/** What they are tried on. */
export const x = np.array([0.3, -0.7, 1.2])
export const rows = np.array([
  [0.3, -0.7, 1.2],
  [0.1, 0.9, -0.4],
])
