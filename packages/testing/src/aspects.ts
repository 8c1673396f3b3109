/** What transformations make of a function: the programs whose results devices must agree on. */
import { ArgumentError, np, type NDArray, tree } from '@adjoint/core'
import { asArray, isFloating, withDevice } from '@adjoint/core/internal'
import { jvp, vjp, vmap } from '@adjoint/transforms'

/** What is compared: the function itself and what transformations make of it. */
export type Aspect =
  | 'eager value'
  | 'value'
  | 'jvp'
  | 'vmapped jvp'
  | 'gradient'
  | 'vmapped gradient'
  | 'Hessian-vector product'

export type FlatFunction = (...inputs: NDArray[]) => readonly NDArray[]

export interface AspectProgram {
  readonly aspect: Aspect
  readonly program: FlatFunction
  readonly inputs: readonly NDArray[]
}

export interface AspectOptions {
  readonly gradients?: boolean
  readonly modes?: readonly ('forward' | 'reverse')[]
}

/** Numbers of different signs and sizes, the same at every call and exact in every floating dtype. */
const directionLike = (x: NDArray): NDArray =>
  np
    .array(Array.from({ length: x.size }, (_, i) => Math.round(64 * Math.sin(1.3 * i + 0.4)) / 64))
    .astype(x.dtype)
    .reshape(x.shape)

interface FlatProblem {
  readonly value: FlatFunction
  /** The floating results as a function of the floating inputs. */
  readonly floating: FlatFunction
  readonly inputs: readonly NDArray[]
  readonly varied: readonly NDArray[]
}

function flatProblem(f: (...args: never[]) => unknown, args: readonly unknown[]): FlatProblem {
  const { leaves, structure } = tree.flatten<NDArray | number | boolean>(args)
  const inputs = leaves.map((leaf) => asArray('equivalence', leaf))
  const value: FlatFunction = (...xs) =>
    tree
      .leaves<NDArray>(f(...(tree.unflatten(structure, xs) as never[])))
      .map((y) => asArray('equivalence', y))
  const isVaried = inputs.map((x) => isFloating(x.dtype))
  const floating: FlatFunction = (...xs) => {
    let next = 0
    return value(...inputs.map((x, i) => (isVaried[i] ? xs[next++] : x))).filter((y) =>
      isFloating(y.dtype),
    )
  }
  return { value, floating, inputs, varied: inputs.filter((_, i) => isVaried[i]) }
}

/** Σ ⟨x, y⟩ over two lists of arrays. */
const innerProduct = (xs: readonly NDArray[], ys: readonly NDArray[]): NDArray =>
  xs
    .map((x, i) => np.sum(np.multiply(x, ys[i])).astype('float32'))
    .reduce((total, term) => np.add(total, term))

/** ∇²⟨f, w⟩ v, forward over reverse where the function has both modes. */
function hessianTimesVector(gradient: FlatFunction, hasForward: boolean): FlatFunction {
  if (hasForward)
    return (...xs) => jvp((...ys: NDArray[]) => [...gradient(...ys)], xs, xs.map(directionLike))[1]
  return (...xs) => {
    const along = (...ys: NDArray[]): NDArray =>
      innerProduct(gradient(...ys), ys.map(directionLike))
    const [value, pullback] = vjp(along, ...xs)
    return [...pullback(np.onesLike(value))]
  }
}

/** The programs to compare for a function and its arguments. */
export function aspectsOf(
  f: (...args: never[]) => unknown,
  args: readonly unknown[],
  options: AspectOptions,
): readonly AspectProgram[] {
  const { value, floating, inputs, varied } = flatProblem(f, args)
  const values: AspectProgram[] = [
    { aspect: 'eager value', program: value, inputs },
    { aspect: 'value', program: value, inputs },
  ]
  const results = withDevice('reference', () => value(...inputs))
  const smooth = varied.length > 0 && results.some((y) => isFloating(y.dtype))
  if (options.gradients === true && !smooth) throw notSmooth(inputs, results)
  if (options.gradients === false || !smooth) return values

  const modes = options.modes ?? ['forward', 'reverse']
  const hasForward = modes.includes('forward')
  const forward: FlatFunction = (...xs) => jvp(floating, xs, xs.map(directionLike))[1]
  const gradient: FlatFunction = (...xs) => {
    const [ys, pullback] = vjp(floating, ...xs)
    return [...pullback(ys.map(directionLike))]
  }
  const batch = withDevice('reference', () =>
    varied.map((x) => np.stack([x, np.multiply(x, 0.875).astype(x.dtype)])),
  )
  const mapped = (g: FlatFunction): FlatFunction => {
    return (...xs) => vmap((...rows: NDArray[]) => [...g(...rows)])(...xs)
  }
  const ofVaried = (aspect: Aspect, program: FlatFunction): AspectProgram => ({
    aspect,
    program,
    inputs: varied,
  })
  if (hasForward) values.push(ofVaried('jvp', forward))
  if (!modes.includes('reverse')) {
    return [...values, { aspect: 'vmapped jvp', program: mapped(forward), inputs: batch }]
  }
  return [
    ...values,
    ofVaried('gradient', gradient),
    { aspect: 'vmapped gradient', program: mapped(gradient), inputs: batch },
    ofVaried('Hessian-vector product', hessianTimesVector(gradient, hasForward)),
  ]
}

const notSmooth = (inputs: readonly NDArray[], results: readonly NDArray[]): ArgumentError =>
  new ArgumentError({
    op: 'equivalence(name, f, args, { gradients: true })',
    problem: 'there are no derivatives to compare',
    operands: [
      ...inputs.map((x, i) => ({ name: `argument ${i}`, aval: x.aval })),
      ...results.map((y, i) => ({ name: `result ${i}`, aval: y.aval })),
    ],
    rule: 'derivatives are those of floating results by floating arguments',
  })
