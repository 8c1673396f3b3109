/** Calls of the primitives that hold programs, got by staging small functions that use them. */
import { np, type NDArray, type Shape } from '@adjoint/core'
import {
  allocateHost,
  type Aval,
  type Equation,
  hostArray,
  type HostArray,
  isFloating,
  type Primitive,
} from '@adjoint/core/internal'
import type { PrimitiveSample } from '@adjoint/core/samples'
import {
  checkpoint,
  cond,
  customJvp,
  customVjp,
  customVmap,
  jit,
  makeJaxpr,
  scan,
  switchCase,
  whileLoop,
} from '@adjoint/transforms'
import fc from 'fast-check'
import { bothModes, type Mode } from './laws.fixture'

/** Exist only in programs under `vmap` with a named axis or in linear programs, or compute nothing. */
export const onlyInside = [
  'psum',
  'pmax',
  'pmin',
  'axis_index',
  'all_gather',
  'ppermute',
  'custom_lin',
  'name',
  'debug_callback',
  // What its solver closes over and what its matrix closes over change together: custom-solve.test.ts.
  'custom_linear_solve',
]

type ArrayFunction = (...xs: NDArray[]) => unknown

interface ProgramFamily {
  readonly modes: readonly Mode[]
  /** Functions in which the primitive occurs, and the shapes of their arguments. */
  readonly variants: Readonly<Record<string, readonly [f: ArrayFunction, ...shapes: Shape[]]>>
}

const wave = (x: NDArray, y: NDArray): NDArray =>
  np.add(np.multiply(np.sin(x), y), np.multiply(x, 0.25))

const families: Readonly<Record<string, ProgramFamily>> = {
  jit: {
    modes: bothModes,
    variants: {
      'two results': [jit((x: NDArray, y: NDArray) => [wave(x, y), np.sum(x, 0)]), [2, 3], [2, 3]],
      nested: [
        jit((x: NDArray) => np.multiply(jit(np.sin)(x), jit((z: NDArray) => np.square(z))(x))),
        [3],
      ],
    },
  },
  remat2: {
    modes: bothModes,
    variants: {
      'two results': [
        checkpoint((x: NDArray, y: NDArray) => [wave(x, y), np.matmul(x, y.T)]),
        [2, 3],
        [2, 3],
      ],
    },
  },
  scan: {
    modes: bothModes,
    variants: {
      'carry, slices, stacked results and a constant': [
        (w, c, xs) =>
          scan(
            (h: NDArray, x: NDArray): [NDArray, NDArray] => [
              np.tanh(wave(h, w).add(x)),
              np.multiply(h, x),
            ],
            c,
            xs,
          ),
        [3],
        [3],
        [4, 3],
      ],
      'backwards, with carries that change places and a counter': [
        (a, b, xs) =>
          scan(
            (
              [i, u, v]: [NDArray, NDArray, NDArray],
              x: NDArray,
            ): [[NDArray, NDArray, NDArray], NDArray] => [
              [i.add(1), wave(v, x), u],
              np.multiply(u, i),
            ],
            [np.array(0, { dtype: 'int32' }), a, b] as [NDArray, NDArray, NDArray],
            xs,
            { reverse: true },
          ),
        [2],
        [2],
        [3, 2],
      ],
      'no slices': [
        (x) => scan((c: NDArray): [NDArray, null] => [np.cos(c), null], x, null, { length: 3 })[0],
        [2, 2],
      ],
      'in a scan': [
        (x, ys) =>
          scan(
            (c: NDArray, y: NDArray): [NDArray, NDArray] =>
              scan(
                (d: NDArray, z: NDArray): [NDArray, NDArray] => [
                  np.sin(d.add(z)),
                  np.multiply(d, c),
                ],
                c,
                y,
              ),
            x,
            ys,
          ),
        [],
        [2, 3],
      ],
    },
  },
  while: {
    modes: ['forward'],
    variants: {
      'as often as a counter says': [
        (w, x) =>
          whileLoop(
            ([i]: [NDArray, NDArray]) => np.less(i, 3),
            ([i, c]: [NDArray, NDArray]): [NDArray, NDArray] => [i.add(1), wave(c, w)],
            [np.array(0, { dtype: 'int32' }), x] as [NDArray, NDArray],
          )[1],
        [3],
        [3],
      ],
      'as long as the values are small': [
        (x) =>
          whileLoop(
            (c: NDArray) => np.less(np.sum(np.square(c)), 40),
            (c: NDArray) =>
              np.add(np.multiply(c, 1.75), np.multiply(0.5, np.exp(np.negative(np.square(c))))),
            x,
          ),
        [2],
      ],
    },
  },
  cond: {
    modes: bothModes,
    variants: {
      'two branches': [
        (p, x, y) =>
          cond(np.greater(p, 0), wave, (u: NDArray, v: NDArray) => np.multiply(np.cos(v), u), x, y),
        [],
        [3],
        [3],
      ],
      'three branches, of which one ignores its operand': [
        (i, x) =>
          switchCase(
            np.floor(i).astype('int32'),
            [
              (u: NDArray) => np.square(u),
              (u: NDArray) => np.zerosLike(u),
              (u: NDArray) => np.sin(u),
            ],
            x,
          ),
        [],
        [2, 2],
      ],
    },
  },
  custom_jvp_call: {
    modes: bothModes,
    variants: {
      'a rule by hand': [
        customJvp((x: NDArray, y: NDArray) => np.multiply(np.sin(x), y)).defjvp(
          ([x, y], [xDot, yDot]) => [
            np.multiply(np.sin(x), y),
            np.add(np.multiply(np.multiply(np.cos(x), y), xDot), np.multiply(np.sin(x), yDot)),
          ],
        ),
        [3],
        [3],
      ],
    },
  },
  custom_vjp_call: {
    modes: ['reverse'],
    variants: {
      'a rule by hand': [
        customVjp((x: NDArray, y: NDArray) => np.multiply(np.sin(x), y)).defvjp(
          (x, y) => [np.multiply(np.sin(x), y), { x, y }],
          ({ x, y }: { x: NDArray; y: NDArray }, zBar: NDArray) => [
            np.multiply(np.multiply(np.cos(x), y), zBar),
            np.multiply(np.sin(x), zBar),
          ],
        ),
        [3],
        [3],
      ],
    },
  },
  custom_vmap_call: {
    modes: bothModes,
    variants: {
      'a rule by hand': [
        customVmap((x: NDArray) => np.sin(np.cumsum(x, 0))).defvmap((_size, _mapped, x) => [
          np.sin(np.cumsum(x, 1)),
          true,
        ]),
        [3],
      ],
    },
  },
}

/** The primitives that hold programs and have laws here. */
export const programPrimitives: readonly string[] = Object.keys(families)

/** One way of calling a primitive that holds programs, with operands at random. */
export interface ProgramCase {
  readonly title: string
  readonly primitive: Primitive
  readonly modes: readonly Mode[]
  readonly samples: fc.Arbitrary<PrimitiveSample>
}

function arbitraryOperand(aval: Aval): fc.Arbitrary<HostArray> {
  const element = isFloating(aval.dtype)
    ? fc.integer({ min: -96, max: 96 }).map((n) => n / 64)
    : // Counters, predicates and numbers of branches.
      fc.integer({ min: 0, max: 1 })
  return fc.array(element, { minLength: aval.size, maxLength: aval.size }).map((values) => {
    const data = allocateHost(aval.dtype, aval.size)
    data.set(values)
    return hostArray(aval, data)
  })
}

function equationOf(name: string, f: ArrayFunction, shapes: readonly Shape[]): Equation {
  const { jaxpr } = makeJaxpr(f)(...shapes.map((shape) => np.zeros(shape)))
  const found = jaxpr.equations.find(({ primitive }) => primitive.name === name)
  if (found === undefined) throw new Error(`the program has no ${name}:\n${jaxpr}`)
  return found
}

/** All cases; staged when asked for, because staging needs a device. */
export const programCases = (): readonly ProgramCase[] =>
  Object.entries(families).flatMap(([name, { modes, variants }]) =>
    Object.entries(variants).map(([variant, [f, ...shapes]]): ProgramCase => {
      const { primitive, inputs, params } = equationOf(name, f, shapes)
      const avals = inputs.map((atom) => atom.aval)
      return {
        title: `${name}: ${variant}`,
        primitive,
        modes,
        samples: fc.tuple(...avals.map(arbitraryOperand)).map((operands) => ({
          operands,
          params,
          smooth: avals.map((aval) => isFloating(aval.dtype)),
          tolerance: 1e-5,
          toString: () =>
            operands.map(({ aval, data }) => `${aval} ${[...data].join()}`).join('; '),
        })),
      }
    }),
  )
