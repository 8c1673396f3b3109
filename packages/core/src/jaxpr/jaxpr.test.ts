import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  add,
  broadcastInDim,
  convertElementType,
  cos,
  exp,
  full,
  mul,
  optimizationBarrier,
  reduceSum,
  reshape,
  sin,
  transpose,
} from '../primitives'
import { install } from '../install'
import type { NDArray } from '../array/ndarray'
import { Aval } from '../types/aval'
import { evaluateOnHost } from '../backends/reference/evaluate'
import { hostArray } from '../backends/reference/host-array'
import { checkJaxpr } from './check'
import { type Equation, Jaxpr, Literal, Var } from './ir'
import { jaxprKey } from './key'
import {
  checkPasses,
  eliminateDeadCode,
  foldConstants,
  optimize,
  type Pass,
  passMonoid,
  shareCommonSubexpressions,
  simplifyViews,
} from './passes'
import { printJaxpr } from './print'
import { stage } from './stage'

install()
beforeAll(() => {
  checkPasses(true)
})
afterAll(() => {
  checkPasses(false)
})

const f32 = (...shape: number[]): Aval => new Aval(shape, 'float32')
const staged = (f: (...xs: NDArray[]) => readonly NDArray[], ...avals: Aval[]): Jaxpr =>
  stage((xs) => f(...xs), avals, 'jit', f.name).jaxpr

describe('printing', () => {
  it('is JAX’s layout: one line per equation, long parameters broken', () => {
    const jaxpr = staged(
      (x) => [reduceSum(mul(sin(x), full([2, 3], 2, 'float32')), { axes: [1] }), x],
      f32(2, 3),
    )
    expect(printJaxpr(jaxpr)).toMatchInlineSnapshot(`
      "{ lambda ; a:f32[2,3]. let
          b:f32[2,3] = sin a
          c:f32[2,3] = broadcast_in_dim 2.0:f32[]
          d:f32[2,3] = mul b c
          e:f32[2] = reduce_sum[axes=(1,) out_sharding=None] d
        in (e, a) }"
    `)
  })

  it('keeps short programs on one line and marks unused results', () => {
    expect(printJaxpr(staged((x) => [sin(x)], f32(2)))).toMatchInlineSnapshot(
      `"{ lambda ; a:f32[2]. let b:f32[2] = sin a in (b,) }"`,
    )
    expect(
      printJaxpr(
        staged((x) => {
          cos(x)
          return [sin(x)]
        }, f32()),
      ),
    ).toMatchInlineSnapshot(`
      "{ lambda ; a:f32[]. let
          _:f32[] = cos a
          b:f32[] = sin a
        in (b,) }"
    `)
  })

  it('writes numbers as Python does', () => {
    const aval = f32()
    const outputs = [1e-6, 1e20, 100000, -0, Infinity, NaN, 0.1].map((x) => new Literal(x, aval))
    const ints = new Literal(3, new Aval([], 'int32'))
    expect(
      printJaxpr(
        new Jaxpr([], [], [...outputs, ints, new Literal(true, new Aval([], 'bool'))]),
        0,
        200,
      ),
    ).toMatchInlineSnapshot(
      `"{ lambda ; . let  in (1e-06:f32[], 1e+20:f32[], 100000.0:f32[], -0.0:f32[], inf:f32[], nan:f32[], 0.1:f32[], 3:i32[], True:bool[]) }"`,
    )
  })

  it('names variables a … z, ba, bb, …', () => {
    const jaxpr = staged((x) => {
      let y = x
      for (let i = 0; i < 27; i++) y = sin(y)
      return [y]
    }, f32())
    expect(printJaxpr(jaxpr)).toContain('bb:f32[] = sin ba')
  })
})

describe('the type checker', () => {
  const x = new Var(f32(2))
  const y = new Var(f32(2))
  const equation = (inputs: Equation['inputs'], outputs: readonly Var[]): Equation => ({
    primitive: sin.primitive,
    inputs,
    outputs,
    params: {},
  })

  it('accepts what staging makes', () => {
    checkJaxpr(staged((a, b) => [add(a, b), mul(a, a)], f32(2), f32(2)))
  })

  it.each([
    [
      'a use before its definition',
      new Jaxpr([], [equation([x], [y])], [y]),
      'uses an undefined variable',
    ],
    [
      'a second definition',
      new Jaxpr([x], [equation([x], [x])], [x]),
      'defines a variable of type f32[2] a second time',
    ],
    [
      'a result of the wrong type',
      new Jaxpr([x], [equation([x], [new Var(f32(3))])], []),
      'but its rule gives (f32[2])',
    ],
    [
      'a literal that is not a scalar',
      new Jaxpr([], [], [new Literal(1, f32(2))]),
      'literals are scalars',
    ],
    ['an undefined output', new Jaxpr([], [], [x]), 'the result uses an undefined variable'],
  ])('refuses %s', (_name, jaxpr, message) => {
    expect(() => {
      checkJaxpr(jaxpr)
    }).toThrow(message)
  })

  it('looks into programs in parameters', () => {
    const bad = new Jaxpr([], [equation([x], [y])], [y])
    const holder: Equation = {
      primitive: { ...sin.primitive, abstractEval: () => [] },
      inputs: [],
      outputs: [],
      params: { body: [bad] },
    }
    expect(() => {
      checkJaxpr(new Jaxpr([], [holder], []))
    }).toThrow('uses an undefined variable')
  })
})

const count = (jaxpr: Jaxpr, name: string): number =>
  jaxpr.equations.filter((e) => e.primitive.name === name).length

describe('passes', () => {
  it('share common subexpressions, but never barriers', () => {
    const jaxpr = staged((x) => [add(sin(x), sin(x))], f32(2))
    expect(count(shareCommonSubexpressions.run(jaxpr), 'sin')).toBe(1)
    const guarded = staged((x) => {
      const [a] = optimizationBarrier(x)
      const [b] = optimizationBarrier(x)
      return [add(sin(a), sin(b))]
    }, f32(2))
    expect(count(optimize(guarded), 'sin')).toBe(2)
  })

  it('drop what nobody uses', () => {
    const jaxpr = staged((x) => {
      exp(cos(x))
      return [sin(x)]
    }, f32(2))
    expect(eliminateDeadCode.run(jaxpr).equations.map((e) => e.primitive.name)).toEqual(['sin'])
  })

  it('compute scalar constants, rounded as the dtype is', () => {
    const jaxpr = staged((x) => {
      const third = mul(full([], 1 / 3, 'float32'), full([], 3, 'float32'))
      return [add(x, third)]
    }, f32())
    // Constants are folded when they are traced; a jaxpr with literals is folded by the pass.
    const literal = new Literal(Math.fround(0.1), f32())
    const y = new Var(f32())
    const scalar = new Jaxpr(
      [],
      [{ primitive: mul.primitive, inputs: [literal, literal], outputs: [y], params: {} }],
      [y],
    )
    const [output] = foldConstants.run(scalar).outputs
    expect(output).toMatchObject({ kind: 'literal', value: Math.fround(Math.fround(0.1) ** 2) })
    expect(optimize(jaxpr).equations).toHaveLength(1)
  })

  it('know the algebra of views', () => {
    const names = (f: (x: NDArray) => NDArray, aval: Aval): string[] =>
      optimize(staged((x) => [f(x)], aval)).equations.map((e) => e.primitive.name)
    const turn = { permutation: [1, 0] }
    expect(names((x) => transpose(transpose(x, turn), turn), f32(2, 3))).toEqual([])
    expect(
      names((x) => reshape(reshape(x, { newSizes: [6] }), { newSizes: [2, 3] }), f32(2, 3)),
    ).toEqual([])
    expect(
      names((x) => reshape(reshape(x, { newSizes: [6] }), { newSizes: [3, 2] }), f32(2, 3)),
    ).toEqual(['reshape'])
    expect(
      names(
        (x) =>
          broadcastInDim(broadcastInDim(x, { shape: [2, 3], broadcastDimensions: [1] }), {
            shape: [4, 2, 3],
            broadcastDimensions: [1, 2],
          }),
        f32(3),
      ),
    ).toEqual(['broadcast_in_dim'])
    const through = (dtype: 'float64' | 'float16' | 'int32') => (x: NDArray) =>
      convertElementType(convertElementType(x, { newDtype: dtype }), { newDtype: 'float32' })
    expect(names(through('float64'), f32(2))).toEqual([])
    // These round or truncate in between.
    expect(names(through('float16'), f32(2))).toEqual([
      'convert_element_type',
      'convert_element_type',
    ])
    expect(names(through('int32'), f32(2))).toEqual([
      'convert_element_type',
      'convert_element_type',
    ])
  })

  it('form a monoid', () => {
    const passes: Pass[] = [
      eliminateDeadCode,
      foldConstants,
      shareCommonSubexpressions,
      simplifyViews,
    ]
    const jaxpr = staged((x) => {
      cos(x)
      return [add(sin(x), sin(x))]
    }, f32(2))
    const [a, b, c] = passes
    const { concat, empty } = passMonoid
    const run = (pass: Pass): string => jaxprKey(pass.run(jaxpr))
    expect(run(concat(a, empty))).toBe(run(a))
    expect(run(concat(empty, a))).toBe(run(a))
    expect(run(concat(concat(a, b), c))).toBe(run(concat(a, concat(b, c))))
  })

  it('change no values: random expressions evaluate as before', () => {
    const steps = fc.array(fc.record({ op: fc.nat(5), x: fc.nat(3), y: fc.nat(3) }), {
      minLength: 1,
      maxLength: 12,
    })
    fc.assert(
      fc.property(steps, (program) => {
        const jaxpr = staged(
          (x) => {
            const stack = [x]
            for (const { op, x: i, y: k } of program) {
              const at = (n: number): NDArray => stack[n % stack.length]
              const pair = at(i).shape.join() === at(k).shape.join()
              const make = [
                () => sin(at(i)),
                () => (pair ? add(at(i), at(k)) : at(i)),
                () => (pair ? mul(at(i), at(k)) : at(i)),
                () =>
                  transpose(at(i), { permutation: at(i).shape.map((_, a) => at(i).ndim - 1 - a) }),
                () => reshape(at(i), { newSizes: [at(i).size] }),
                () => full(at(i).shape, 0.5, 'float32'),
              ][op]
              stack.push(make())
            }
            return stack.slice(-3)
          },
          f32(2, 3),
        )
        const input = hostArray(f32(2, 3), Float64Array.from([0.5, -1, 2, 3, 0, 1]))
        const before = evaluateOnHost(jaxpr, [input])
        const after = evaluateOnHost(optimize(jaxpr), [input])
        expect(after.map((x) => [...x.data])).toEqual(before.map((x) => [...x.data]))
      }),
      { numRuns: 50 },
    )
  })
})

describe('keys', () => {
  it('are equal for programs that differ in variables only', () => {
    const make = (c: number): Jaxpr => staged((x) => [mul(x, full([2], c, 'float32'))], f32(2))
    expect(jaxprKey(make(2))).toBe(jaxprKey(make(2)))
    expect(jaxprKey(make(2))).not.toBe(jaxprKey(make(3)))
    expect(jaxprKey(make(0))).not.toBe(jaxprKey(make(-0)))
  })
})
