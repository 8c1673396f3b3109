/** What transformations refuse, and in which words. */
import { devicePut, type NDArray, np, random, setDevice, tree } from '@adjoint/core'
import {
  associativeScan,
  checkpoint,
  cond,
  customJvp,
  customVjp,
  evalShape,
  foriLoop,
  grad,
  hessian,
  jacfwd,
  jacrev,
  jit,
  jvp,
  linearize,
  linearTranspose,
  makeJaxpr,
  map,
  psum,
  scan,
  switchCase,
  valueAndGrad,
  vjp,
  vmap,
  whileLoop,
} from '@adjoint/transforms'
import { beforeEach, describe, expect, it } from 'vitest'
import { f32, i32, like, refusal, refused, refusedEagerly, untyped } from './misuse.fixture'

type Fn = (x: NDArray) => NDArray

beforeEach(() => {
  setDevice('wasm')
})

describe('tracers are not numbers', () => {
  it('in an if, by comparison', () => {
    expect(
      refused(() =>
        jit(function relu(x: NDArray) {
          return untyped(x) > 0 ? x : np.zerosLike(x)
        })(f32(1)),
      ),
    ).toMatchInlineSnapshot(`
      "ConcretizationError: conversion to a JavaScript number: a tracer of jit of relu has no value yet
        x: f32[]
        rule: while a function is being transformed its values are not known
        hint: use np.where or cond instead of if and ?:, np functions instead of + - * / < >, or mark the argument static
        inside: jit of relu"
    `)
  })
  it('in arithmetic', () => {
    expect(refused(() => jit((x: NDArray) => np.add(x, (untyped(x) as number) * 2))(f32(1))))
      .toMatchInlineSnapshot(`
      "ConcretizationError: conversion to a JavaScript number: a tracer of jit has no value yet
        x: f32[]
        rule: while a function is being transformed its values are not known
        hint: use np.where or cond instead of if and ?:, np functions instead of + - * / < >, or mark the argument static
        inside: jit"
    `)
  })
  it('in arithmetic under grad', () => {
    expect(refused(() => grad((x: NDArray) => np.multiply(x, (untyped(x) as number) + 1))(f32(1))))
      .toMatchInlineSnapshot(`
      "ConcretizationError: conversion to a JavaScript number: a tracer of grad has no value yet
        x: f32[]
        rule: while a function is being transformed its values are not known
        hint: use np.where or cond instead of if and ?:, np functions instead of + - * / < >, or mark the argument static
        inside: grad"
    `)
  })
  it('in Math.sin', () => {
    expect(refused(() => vmap((x: NDArray) => np.multiply(x, Math.sin(untyped(x))))(f32([1, 2]))))
      .toMatchInlineSnapshot(`
      "ConcretizationError: conversion to a JavaScript number: a tracer of vmap has no value yet
        x: f32[]
        rule: while a function is being transformed its values are not known
        hint: use np.where or cond instead of if and ?:, np functions instead of + - * / < >, or mark the argument static
        inside: vmap"
    `)
  })
  it('as an index of a JavaScript array', () => {
    expect(
      refused(() =>
        jit((i: NDArray) => np.array(untyped([1, 2, 3][untyped(i) as number])))(i32(1)),
      ),
    ).toMatchInlineSnapshot(`
      "ArgumentError: array(data): takes arrays and scalars, but was given undefined
        rule: an operand is an NDArray, a number or a boolean
        hint: pass an NDArray, a number or a boolean
        inside: jit"
    `)
  })
  it('as a size', () => {
    expect(refused(() => jit((n: NDArray) => np.zeros(untyped([n])))(i32(3))))
      .toMatchInlineSnapshot(`
      "ArgumentError: zeros: shape [an array] contains an array
        rule: a shape is a list of nonnegative integers
        hint: shapes are static: no array, traced or not, can be a size
        inside: jit"
    `)
  })
  it('as an axis', () => {
    expect(refused(() => jit((n: NDArray) => np.sum(like(2, 3), untyped(n)))(i32(1))))
      .toMatchInlineSnapshot(`
      "ArgumentError: sum: axis must be an integer, not Tracer<i32[]> of jit
        a: f32[2,3]
        rule: an axis is an integer from -2 to 1
        inside: jit"
    `)
  })
  it('as the bound of arange', () => {
    expect(refused(() => jit((n: NDArray) => np.arange(untyped(n)))(i32(3))))
      .toMatchInlineSnapshot(`
      "ArgumentError: arange(start, stop, step): needs finite JavaScript numbers, was given an array
        rule: the length of the result is static
        hint: for a traced start use np.add(start, np.arange(n))
        inside: jit"
    `)
  })
  it('as the bound of a slice', () => {
    expect(refused(() => jit((n: NDArray) => like(4).get(untyped(`0:${String(n)}`)))(i32(3))))
      .toMatchInlineSnapshot(`
      "IndexingError: get(...index): cannot read the index '0:Tracer<i32[]> of jit'
        x: f32[4]
        rule: a slice is written 'start:stop:step', with any part left out
        inside: jit"
    `)
  })
  it('read by item()', () => {
    expect(refused(() => jit((x: NDArray) => np.multiply(x, Number(x.item())))(f32(1))))
      .toMatchInlineSnapshot(`
      "ConcretizationError: item(): needs a concrete array, got a tracer of jit
        x: f32[]
        rule: while a function is being transformed its values are not known
        hint: return the value and read it outside, or use cond, where and scan instead of JavaScript control flow
        inside: jit"
    `)
  })
  it('read by toArray()', () => {
    expect(refused(() => vmap((x: NDArray) => np.array(x.toArray() as number[]))(like(2, 3))))
      .toMatchInlineSnapshot(`
      "ConcretizationError: toArray(): needs a concrete array, got a tracer of vmap
        x: f32[3]
        rule: while a function is being transformed its values are not known
        hint: return the value and read it outside, or use cond, where and scan instead of JavaScript control flow
        inside: vmap"
    `)
  })
  it('read by dataSync()', () => {
    expect(refused(() => jit((x: NDArray) => np.array(untyped(x.dataSync())))(like(2))))
      .toMatchInlineSnapshot(`
      "ConcretizationError: dataSync: needs a concrete array, got a tracer of jit
        x: f32[2]
        rule: while a function is being transformed its values are not known
        hint: return the value and read it outside, or use cond, where and scan instead of JavaScript control flow
        inside: jit"
    `)
  })
  it('as a boolean mask', () => {
    expect(refused(() => jit((x: NDArray) => x.get(np.greater(x, 0)))(like(3))))
      .toMatchInlineSnapshot(`
      "ConcretizationError: get(mask): the mask is traced, so the shape of the result is not known
        x:    f32[3]
        mask: bool[3]
        rule: boolean masks must be concrete
        hint: np.where(mask, x, 0) keeps the shape; np.nonzero(mask, { size }) fixes it
        inside: jit"
    `)
  })
  it('in nonzero', () => {
    expect(refused(() => jit((x: NDArray) => np.nonzero(x)[0])(like(3)))).toMatchInlineSnapshot(`
      "ConcretizationError: nonzero(a): the size of the result depends on traced values
        x: f32[3]
        rule: shapes are static
        hint: np.nonzero(a, { size }) fixes it
        inside: jit"
    `)
  })
  it('in unique', () => {
    expect(refused(() => jit((x: NDArray) => np.unique(x))(like(3)))).toMatchInlineSnapshot(`
      "ConcretizationError: unique(a): the size of the result depends on traced values
        a: f32[3]
        rule: shapes are static
        hint: call it outside, or sort and mask
        inside: jit"
    `)
  })
  it('in repeat', () => {
    expect(refused(() => jit((n: NDArray) => np.repeat(like(3), untyped(n)))(i32([1, 2, 3]))))
      .toMatchInlineSnapshot(`
      "ConcretizationError: repeat(a, repeats): needs a concrete array, got a tracer of jit
        x: i32[3]
        rule: while a function is being transformed its values are not known
        hint: return the value and read it outside, or use cond, where and scan instead of JavaScript control flow
        inside: jit"
    `)
  })
  it('in a for of over a traced scalar', () => {
    expect(
      refused(() =>
        jit((x: NDArray) => {
          let s = x
          for (const row of untyped(x) as Iterable<NDArray>) s = s.add(row)
          return s
        })(f32(1)),
      ),
    ).toMatchInlineSnapshot(`
      "IndexingError: iteration: a scalar has no rows
        x: f32[]
        rule: the elements of an iteration are the slices along the first axis
        hint: use the scalar itself, or x.reshape([1])
        inside: jit"
    `)
  })
  it('as a shape of reshape', () => {
    expect(refused(() => jit((n: NDArray) => like(4).reshape(untyped([n, 2])))(i32(2))))
      .toMatchInlineSnapshot(`
      "ArgumentError: reshape: shape [an array, 2] contains an array
        rule: a shape is a list of nonnegative integers
        hint: shapes are static: no array, traced or not, can be a size
        inside: jit"
    `)
  })
  it('as the seed of a key that must be a number', () => {
    expect(refused(() => random.split(random.key(0), untyped(i32(2))))).toMatchInlineSnapshot(`
      "ArgumentError: split: shape must be a list of sizes, not Array(2, dtype=int32)
        rule: a shape is a list of nonnegative integers
        hint: for example [2, 3]"
    `)
  })
})

describe('tracers that escape', () => {
  it('from grad', () => {
    expect(
      refused(() => {
        let leak = f32(0)
        grad(function loss(x: NDArray) {
          leak = x
          return x
        })(f32(1))
        return np.add(leak, 1)
      }),
    ).toMatchInlineSnapshot(`
      "LeakedTracerError: add: a tracer of grad of loss is used after it has finished
        tracer: f32[]
        rule: values made inside a transformed function live only while it runs
        hint: return the value from the function (hasAux helps), and do not keep it in outer variables"
    `)
  })
  it('from jit', () => {
    expect(
      refused(() => {
        let leak = f32(0)
        jit(function step(x: NDArray) {
          leak = np.sin(x)
          return x
        })(f32(1))
        return np.multiply(leak, leak)
      }),
    ).toMatchInlineSnapshot(`
      "LeakedTracerError: mul: a tracer of jit of step is used after it has finished
        tracer: f32[]
        rule: values made inside a transformed function live only while it runs
        hint: return the value from the function (hasAux helps), and do not keep it in outer variables"
    `)
  })
  it('from vmap', () => {
    expect(
      refused(() => {
        let leak = f32(0)
        vmap((x: NDArray) => (leak = x))(like(3))
        return np.sin(leak)
      }),
    ).toMatchInlineSnapshot(`
      "LeakedTracerError: sin: a tracer of vmap is used after it has finished
        tracer: f32[]
        rule: values made inside a transformed function live only while it runs
        hint: return the value from the function (hasAux helps), and do not keep it in outer variables"
    `)
  })
  it('from scan', () => {
    expect(
      refused(() => {
        let leak = f32(0)
        scan(
          (c: NDArray, x: NDArray) => {
            leak = x
            return [c.add(x), null]
          },
          f32(0),
          like(3),
        )
        return np.exp(leak)
      }),
    ).toMatchInlineSnapshot(`
      "LeakedTracerError: exp: a tracer of scan is used after it has finished
        tracer: f32[]
        rule: values made inside a transformed function live only while it runs
        hint: return the value from the function (hasAux helps), and do not keep it in outer variables"
    `)
  })
  it('read as a number', () => {
    expect(
      refused(() => {
        let leak = f32(0)
        jit((x: NDArray) => (leak = x))(f32(1))
        return leak.item()
      }),
    ).toMatchInlineSnapshot(`
      "LeakedTracerError: item(): a tracer of jit is used after it has finished
        tracer: f32[]
        rule: values made inside a transformed function live only while it runs
        hint: return the value from the function (hasAux helps), and do not keep it in outer variables"
    `)
  })
  it('returned by another jit', () => {
    expect(
      refused(() => {
        let leak = f32(0)
        jit((x: NDArray) => (leak = x))(f32(1))
        return jit((y: NDArray) => y.add(leak))(f32(1))
      }),
    ).toMatchInlineSnapshot(`
      "LeakedTracerError: add: a tracer of jit is used after it has finished
        tracer: f32[]
        rule: values made inside a transformed function live only while it runs
        hint: return the value from the function (hasAux helps), and do not keep it in outer variables
        inside: jit"
    `)
  })
  it('as an argument of grad', () => {
    expect(
      refused(() => {
        let leak = f32(0)
        grad((x: NDArray) => (leak = x))(f32(1))
        return grad((y: NDArray) => y.mul(y))(leak)
      }),
    ).toMatchInlineSnapshot(`
      "LeakedTracerError: grad: a tracer of grad is used after it has finished
        tracer: f32[]
        rule: values made inside a transformed function live only while it runs
        hint: return the value from the function (hasAux helps), and do not keep it in outer variables"
    `)
  })
})

describe('functions that cannot be transformed', () => {
  it('async', () => {
    expect(
      refused(() =>
        grad(
          untyped(async function loss(x: NDArray) {
            return Promise.resolve(x)
          }),
        ),
      ),
    ).toMatchInlineSnapshot(`
      "TransformationError: grad(loss): the function is async or a generator
        rule: a transformed function runs to its end at once, on traced values
        hint: do the awaiting outside, and pass its results as arguments"
    `)
  })
  it('a generator', () => {
    expect(
      refused(() =>
        jit(
          untyped(function* rows(x: NDArray) {
            yield x
          }),
        ),
      ),
    ).toMatchInlineSnapshot(`
      "TransformationError: jit(rows): the function is async or a generator
        rule: a transformed function runs to its end at once, on traced values
        hint: do the awaiting outside, and pass its results as arguments"
    `)
  })
  it('an async generator', () => {
    expect(
      refused(() =>
        vmap(
          untyped(async function* rows(x: NDArray) {
            yield await Promise.resolve(x)
          }),
        ),
      ),
    ).toMatchInlineSnapshot(`
      "TransformationError: vmap(rows): the function is async or a generator
        rule: a transformed function runs to its end at once, on traced values
        hint: do the awaiting outside, and pass its results as arguments"
    `)
  })
  it('returning a Promise', () => {
    expect(refused(() => (jit(untyped((x: NDArray) => Promise.resolve(x))) as Fn)(f32(1))))
      .toMatchInlineSnapshot(`
      "TransformationError: jit: the function returned a Promise
        rule: a transformed function runs to its end at once, on traced values
        hint: do the awaiting outside, and pass its results as arguments
        inside: jit"
    `)
  })
  it('a scan body that is async', () => {
    expect(
      refused(() =>
        scan(
          untyped(async (c: NDArray, _: null) => Promise.resolve([c, null])),
          f32(0),
          null,
          { length: 2 },
        ),
      ),
    ).toMatchInlineSnapshot(`
      "TransformationError: scan(f): the function is async or a generator
        rule: a transformed function runs to its end at once, on traced values
        hint: do the awaiting outside, and pass its results as arguments"
    `)
  })
  it('a cond branch returning a Promise', () => {
    expect(
      refused(() =>
        cond(
          np.array(true),
          untyped((x: NDArray) => Promise.resolve(x)),
          (x: NDArray) => x,
          f32(1),
        ),
      ),
    ).toMatchInlineSnapshot(`
      "TransformationError: cond: the function returned a Promise
        rule: a transformed function runs to its end at once, on traced values
        hint: do the awaiting outside, and pass its results as arguments
        inside: cond"
    `)
  })
  it('no function: the result of a call', () => {
    expect(refused(() => grad(untyped(f32(1))))).toMatchInlineSnapshot(`
      "ArgumentError: grad: takes a function, but was given an array
        rule: the first operand is the function itself, not its result
        hint: write grad(f, …), not grad(f(x), …)"
    `)
  })
  it('no function: undefined', () => {
    expect(refused(() => jit(untyped(undefined)))).toMatchInlineSnapshot(`
      "ArgumentError: jit: takes a function, but was given undefined
        rule: the first operand is the function itself, not its result
        hint: write jit(f, …), not jit(f(x), …)"
    `)
  })
  it('no function: null for vmap', () => {
    expect(refused(() => vmap(untyped(null)))).toMatchInlineSnapshot(`
      "ArgumentError: vmap: takes a function, but was given null
        rule: the first operand is the function itself, not its result
        hint: write vmap(f, …), not vmap(f(x), …)"
    `)
  })
  it('no result under grad', () => {
    expect(
      refused(() =>
        grad(
          untyped((x: NDArray) => {
            np.sin(x)
          }) as Fn,
        )(f32(1)),
      ),
    ).toMatchInlineSnapshot(`
      "DifferentiationError: grad: the function returned undefined
        rule: a gradient is that of one scalar
        hint: a function with braces needs a return statement"
    `)
  })
  it('a result with a string', () => {
    expect(refused(() => jit(untyped((x: NDArray) => ({ loss: x, name: 'mse' })) as Fn)(f32(1))))
      .toMatchInlineSnapshot(`
      "ArgumentError: jit: the result.name is the string "mse", which is not an array
        at: the result.name
        rule: the leaves of arguments and results are arrays, numbers or booleans
        hint: close over other values, or list their positions in staticArgnums of jit
        inside: jit"
    `)
  })
  it('an argument that is a string', () => {
    expect(
      refused(() =>
        jit((x: NDArray, mode: string) => (mode === 'sin' ? np.sin(x) : x))(f32(1), 'sin'),
      ),
    ).toMatchInlineSnapshot(`
      "ArgumentError: jit: args[1] is the string "sin", which is not an array
        at: args[1]
        rule: the leaves of arguments and results are arrays, numbers or booleans
        hint: close over other values, or list their positions in staticArgnums of jit"
    `)
  })
  it('an argument that is a string, deep in a tree', () => {
    expect(
      refused(() =>
        grad<[never], NDArray>(
          untyped((p: { layers: { w: NDArray }[] }) => np.sum(p.layers[0]?.w ?? 0)),
        )(untyped({ layers: [{ w: like(2), activation: 'relu' }] })),
      ),
    ).toMatchInlineSnapshot(`
      "ArgumentError: grad: args[0].layers[0].activation is the string "relu", which is not an array
        at: args[0].layers[0].activation
        rule: the leaves of arguments and results are arrays, numbers or booleans
        hint: close over other values, or list their positions in staticArgnums of jit"
    `)
  })
  it('an argument that is undefined', () => {
    expect(refused(() => jit((x: NDArray) => np.add(x, 1))(untyped(undefined))))
      .toMatchInlineSnapshot(`
      "ArgumentError: add(a, b): takes arrays and scalars, but was given undefined
        rule: an operand is an NDArray, a number or a boolean
        hint: pass an NDArray, a number or a boolean
        inside: jit"
    `)
  })
  it('an argument that is missing', () => {
    expect(
      refused(() =>
        grad((x: NDArray, y: NDArray) => x.mul(y))(...(untyped([f32(1)]) as [NDArray, NDArray])),
      ),
    ).toMatchInlineSnapshot(`
      "ArgumentError: multiply(a, b): takes arrays and scalars, but was given undefined
        rule: an operand is an NDArray, a number or a boolean
        hint: pass an NDArray, a number or a boolean
        inside: grad"
    `)
  })
  it('an argument that is a typed array', () => {
    expect(refused(() => jit((x: NDArray) => np.add(x, 1))(untyped(new Float32Array(2)))))
      .toMatchInlineSnapshot(`
      "ArgumentError: jit: args[0] is a Float32Array, which is not an array
        at: args[0]
        rule: the leaves of arguments and results are arrays, numbers or booleans
        hint: make it an array first: np.array(data)"
    `)
  })
  it('an argument that is a Map', () => {
    expect(refused(() => jit((x: NDArray) => np.add(x, 1))(untyped(new Map([['w', f32(1)]])))))
      .toMatchInlineSnapshot(`
      "ArgumentError: jit: args[0] is a Map, which is not an array
        at: args[0]
        rule: the leaves of arguments and results are arrays, numbers or booleans
        hint: close over other values, or list their positions in staticArgnums of jit"
    `)
  })
  it('an argument that is a Promise', () => {
    expect(refused(() => jit((x: NDArray) => np.add(x, 1))(untyped(Promise.resolve(1)))))
      .toMatchInlineSnapshot(`
      "ArgumentError: jit: args[0] is a Promise, which is not an array
        at: args[0]
        rule: the leaves of arguments and results are arrays, numbers or booleans
        hint: close over other values, or list their positions in staticArgnums of jit"
    `)
  })
})

describe('derivatives', () => {
  it('with respect to integers', () => {
    expect(refused(() => grad((x: NDArray) => x.astype('float32').sum())(i32([1, 2]))))
      .toMatchInlineSnapshot(`
      "DifferentiationError: grad: cannot differentiate with respect to int32 values
        args[0]: i32[2]
        at: args[0]
        rule: differentiated arguments are floating point
        hint: convert with astype, choose other argnums, or pass { allowInt: true } for float0 zeros"
    `)
  })
  it('with respect to integers inside a tree', () => {
    expect(
      refused(() =>
        grad((p: { w: NDArray; steps: NDArray }) => p.w.mul(p.steps))({ w: f32(2), steps: i32(3) }),
      ),
    ).toMatchInlineSnapshot(`
      "DifferentiationError: grad: cannot differentiate with respect to int32 values
        args[0].steps: i32[]
        at: args[0].steps
        rule: differentiated arguments are floating point
        hint: convert with astype, choose other argnums, or pass { allowInt: true } for float0 zeros"
    `)
  })
  it('with respect to booleans', () => {
    expect(refused(() => grad((x: NDArray) => np.where(x, 1, 0).astype('float32'))(np.array(true))))
      .toMatchInlineSnapshot(`
      "DifferentiationError: grad: cannot differentiate with respect to bool values
        args[0]: bool[]
        at: args[0]
        rule: differentiated arguments are floating point
        hint: convert with astype, choose other argnums, or pass { allowInt: true } for float0 zeros"
    `)
  })
  it('of a vector', () => {
    expect(
      refused(() =>
        grad(function predictions(x: NDArray) {
          return np.sin(x)
        })(like(3)),
      ),
    ).toMatchInlineSnapshot(`
      "DifferentiationError: grad(predictions): the function returned an array, not a scalar
        result: f32[3]
        rule: a gradient is that of one scalar
        hint: sum or average the result; jacrev and vjp differentiate functions with several results"
    `)
  })
  it('of an integer', () => {
    expect(refused(() => grad((x: NDArray) => np.argmax(x))(like(3)))).toMatchInlineSnapshot(`
      "DifferentiationError: grad: the function returned int32, which has no derivative
        result: i32[]
        rule: a differentiated function returns a floating point scalar"
    `)
  })
  it('of a tree', () => {
    expect(refused(() => grad(untyped((x: NDArray) => ({ loss: x, accuracy: x })) as Fn)(f32(1))))
      .toMatchInlineSnapshot(`
      "DifferentiationError: grad: the function returned a tree, not one scalar
        result.accuracy: f32[]
        result.loss:     f32[]
        rule: a gradient is that of one scalar
        hint: return the loss only, or [loss, aux] with { hasAux: true }; jacrev and vjp take any result"
    `)
  })
  it('of a tree, for valueAndGrad', () => {
    expect(refused(() => valueAndGrad(untyped((x: NDArray) => [x, x]) as Fn)(f32(1))))
      .toMatchInlineSnapshot(`
      "DifferentiationError: valueAndGrad: the function returned a tree, not one scalar
        result[0]: f32[]
        result[1]: f32[]
        rule: a gradient is that of one scalar
        hint: return the loss only, or [loss, aux] with { hasAux: true }; jacrev and vjp take any result"
    `)
  })
  it('with hasAux, without aux', () => {
    expect(
      refused(() =>
        grad(untyped((x: NDArray) => x) as (x: NDArray) => [NDArray, NDArray], { hasAux: true })(
          f32(1),
        ),
      ),
    ).toMatchInlineSnapshot(`
      "TransformationError: grad: hasAux is true, but the function did not return a pair
        rule: with { hasAux: true } the function returns [value, aux]
        inside: grad"
    `)
  })
  it('of a vector inside other transformations', () => {
    expect(
      refused(() =>
        vmap(
          jit(
            grad(function loss(x: NDArray) {
              return np.sin(x)
            }),
          ),
        )(like(3, 2)),
      ),
    ).toMatchInlineSnapshot(`
      "DifferentiationError: grad(loss): the function returned an array, not a scalar
        result: f32[2]
        rule: a gradient is that of one scalar
        hint: sum or average the result; jacrev and vjp differentiate functions with several results
        inside: vmap of jit of grad(loss)"
    `)
  })
  it('with argnums out of range', () => {
    expect(refused(() => grad((x: NDArray) => x, { argnums: 1 })(f32(1)))).toMatchInlineSnapshot(`
      "ArgumentError: grad: argnums names argument 1, but the call has 1
        rule: argnums are positions of arguments of the call"
    `)
  })
  it('with argnums that is no integer', () => {
    expect(refused(() => grad((x: NDArray) => x, { argnums: untyped('x') })(f32(1))))
      .toMatchInlineSnapshot(`
      "ArgumentError: grad: argnums names argument x, but the call has 1
        rule: argnums are positions of arguments of the call"
    `)
  })
  it('jacrev with respect to integers', () => {
    expect(refused(() => jacrev((x: NDArray) => x.astype('float32'))(i32([1]))))
      .toMatchInlineSnapshot(`
      "DifferentiationError: jacrev: the argument has a leaf of dtype int32, which has no derivative
        leaf: i32[1]
        rule: jacobians are taken between floating point arrays
        hint: convert with astype, or choose other argnums"
    `)
  })
  it('jacfwd with respect to integers', () => {
    expect(refused(() => jacfwd((x: NDArray) => x.astype('float32'))(i32([1]))))
      .toMatchInlineSnapshot(`
      "DifferentiationError: jacfwd: the argument has a leaf of dtype int32, which has no derivative
        leaf: i32[1]
        rule: jacobians are taken between floating point arrays
        hint: convert with astype, or choose other argnums"
    `)
  })
  it('hessian with respect to integers', () => {
    expect(refused(() => hessian((x: NDArray) => x.astype('float32').sum())(i32([1]))))
      .toMatchInlineSnapshot(`
        "DifferentiationError: hessian: the argument has a leaf of dtype int32, which has no derivative
          leaf: i32[1]
          rule: jacobians are taken between floating point arrays
          hint: convert with astype, or choose other argnums"
      `)
  })
  it('jvp with tangents of another shape', () => {
    expect(refused(() => jvp((x: NDArray) => np.sin(x), [like(3)], [like(2)])))
      .toMatchInlineSnapshot(`
      "TransformationError: jvp: a tangent does not fit its primal
        primals[0]:  f32[3]
        tangents[0]: f32[2]
        at: tangents[0]
        rule: a tangent has the shape and dtype of its primal, and float0 for integers
        hint: make it f32[3]"
    `)
  })
  it('jvp with tangents of another dtype', () => {
    expect(refused(() => jvp((x: NDArray) => np.sin(x), [like(2)], [i32([1, 2])])))
      .toMatchInlineSnapshot(`
      "TransformationError: jvp: a tangent does not fit its primal
        primals[0]:  f32[2]
        tangents[0]: i32[2]
        at: tangents[0]
        rule: a tangent has the shape and dtype of its primal, and float0 for integers
        hint: make it f32[2]"
    `)
  })
  it('jvp with another tree of tangents', () => {
    expect(
      refused(() =>
        jvp(
          (p: { w: NDArray; b: NDArray }) => p.w.add(p.b),
          [{ w: f32(1), b: f32(2) }],
          untyped([{ w: f32(1) }]),
        ),
      ),
    ).toMatchInlineSnapshot(`
      "TreeError: jvp: primals and tangents have different tree structures: missing there
        at: tangents[0].b
        rule: primals is [{b: *, w: *}], tangents is [{w: *}]
        hint: give both trees the same keys and lengths"
    `)
  })
  it('jvp with fewer tangents', () => {
    expect(
      refused(() => jvp((x: NDArray, y: NDArray) => x.mul(y), [f32(1), f32(2)], untyped([f32(1)]))),
    ).toMatchInlineSnapshot(`
      "TreeError: jvp: primals and tangents have different tree structures: 2 elements here, 1 there
        at: tangents
        rule: primals is [*, *], tangents is [*]
        hint: give both trees the same keys and lengths"
    `)
  })
  it('jvp with primals that are no list', () => {
    expect(refused(() => jvp((x: NDArray) => np.sin(x), untyped(f32(1)), untyped(f32(1)))))
      .toMatchInlineSnapshot(`
      "ArgumentError: jvp: primals is not a list
        rule: primals and tangents are lists, with one entry per argument of the function
        hint: jvp(f, [x], [xDot])"
    `)
  })
  it('vjp with a cotangent of another shape', () => {
    expect(refused(() => vjp((x: NDArray) => np.sin(x), like(3))[1](like(2))))
      .toMatchInlineSnapshot(`
      "TransformationError: the pullback of f: a cotangent has another shape than the result
        cotangent:  f32[2]
        the result: f32[3]
        at: cotangent
        rule: a cotangent has the shape and dtype of the value it belongs to"
    `)
  })
  it('vjp with a cotangent of another dtype', () => {
    expect(refused(() => vjp((x: NDArray) => np.sin(x), like(2))[1](i32([1, 2]))))
      .toMatchInlineSnapshot(`
      "TransformationError: the pullback of f: a cotangent has another dtype than the result
        cotangent:  i32[2]
        the result: f32[2]
        at: cotangent
        rule: a cotangent has the shape and dtype of the value it belongs to"
    `)
  })
  it('vjp with another tree of cotangents', () => {
    expect(
      refused(() =>
        vjp((x: NDArray) => ({ y: np.sin(x), z: [x] }), f32(1))[1](
          untyped({ y: f32(1), z: f32(1) }),
        ),
      ),
    ).toMatchInlineSnapshot(`
      "TreeError: the pullback of f: the result and the cotangent have different tree structures: an array of 1 here, a leaf there
        at: cotangent.z
        rule: the result is {y: *, z: [*]}, the cotangent is {y: *, z: *}
        hint: give both trees the same keys and lengths"
    `)
  })
  it('linearize with a tangent of another shape', () => {
    expect(refused(() => linearize((x: NDArray) => np.sin(x), like(3))[1](like(2))))
      .toMatchInlineSnapshot(`
      "TransformationError: the derivative of f: a tangent does not fit its primal
        primals[0]:  f32[3]
        tangents[0]: f32[2]
        at: tangents[0]
        rule: a tangent has the shape and dtype of its primal, and float0 for integers
        hint: make it f32[3]"
    `)
  })
  it('linearTranspose of a function that is not linear', () => {
    expect(refused(() => linearTranspose((x: NDArray) => np.sin(x), f32(1))(f32(1))))
      .toMatchInlineSnapshot(`
      "DifferentiationError: transpose: this operation is not linear in the operand whose cotangent is asked for
        operand 0: f32[]
        rule: only linear programs can be transposed
        hint: use vjp or grad for functions that are not linear"
    `)
  })
  it('reverse mode through whileLoop', () => {
    expect(
      refused(() =>
        grad((x: NDArray) =>
          whileLoop(
            (c: NDArray) => np.less(c, 10),
            (c: NDArray) => c.mul(2),
            x,
          ),
        )(f32(1)),
      ),
    ).toMatchInlineSnapshot(`
      "DifferentiationError: whileLoop: reverse mode cannot go through a loop whose number of steps is not known beforehand
        operand 0: f32[]
        operand 1: f32[]
        rule: grad, vjp and jacrev need a fixed number of steps; jvp and jacfwd do not
        hint: use scan, or foriLoop with bounds that are known while tracing: with others it is a whileLoop"
    `)
  })
  it('reverse mode through foriLoop with a traced bound', () => {
    expect(
      refused(() =>
        jit(
          grad((x: NDArray, n: NDArray) =>
            foriLoop(0, untyped(n), (_i, c: NDArray) => c.mul(2), x),
          ),
        )(f32(1), i32(3)),
      ),
    ).toMatchInlineSnapshot(`
      "DifferentiationError: whileLoop: reverse mode cannot go through a loop whose number of steps is not known beforehand
        operand 0: i32[]
        operand 1: i32[]
        operand 2: f32[]
        operand 3: f32[]
        rule: grad, vjp and jacrev need a fixed number of steps; jvp and jacfwd do not
        hint: use scan, or foriLoop with bounds that are known while tracing: with others it is a whileLoop
        inside: jit of grad"
    `)
  })
  it('jvp through customVjp', () => {
    expect(
      refused(() => {
        const f = customVjp((x: NDArray) => np.sin(x)).defvjp(
          (x) => [np.sin(x), x],
          (x, g) => [g.mul(np.cos(x))],
        )
        return jvp(f, [f32(1)], [f32(1)])
      }),
    ).toMatchInlineSnapshot(`
      "DifferentiationError: <lambda>: can't apply forward-mode autodiff (jvp) to a customVjp function
        rule: a customVjp function says how to pull cotangents back, not how to push tangents forward
        hint: use grad, vjp or jacrev, or define the function with customJvp, which serves both modes"
    `)
  })
  it('jacfwd through customVjp, named', () => {
    expect(
      refused(() => {
        const f = customVjp(function clipped(x: NDArray) {
          return np.sin(x)
        }).defvjp(
          (x) => [np.sin(x), x],
          (x, g) => [g.mul(np.cos(x))],
        )
        return jacfwd(f)(f32(1))
      }),
    ).toMatchInlineSnapshot(`
      "DifferentiationError: clipped: can't apply forward-mode autodiff (jvp) to a customVjp function
        rule: a customVjp function says how to pull cotangents back, not how to push tangents forward
        hint: use grad, vjp or jacrev, or define the function with customJvp, which serves both modes
        inside: vmap of clipped"
    `)
  })
  it('customVjp without rules', () => {
    expect(
      refused(() =>
        grad<[NDArray], NDArray>(untyped(customVjp((x: NDArray) => np.sin(x))))(f32(1)),
      ),
    ).toMatchInlineSnapshot(`
      "DifferentiationError: customVjp: no VJP defined for customVjp function f using defvjp
        rule: a customVjp function is given its rules with defvjp before it is called
        hint: f.defvjp(fwd, bwd)
        inside: grad"
    `)
  })
  it('customJvp without a rule', () => {
    expect(
      refused(() =>
        grad<[NDArray], NDArray>(untyped(customJvp((x: NDArray) => np.sin(x))))(f32(1)),
      ),
    ).toMatchInlineSnapshot(`
      "DifferentiationError: customJvp: the function has no rule yet
        rule: a customJvp function is given its rule with defjvp before it is called
        hint: f.defjvp(([x], [xDot]) => [y, yDot])
        inside: grad"
    `)
  })
  it('customVjp whose backward answers too few cotangents', () => {
    expect(
      refused(() => {
        const f = customVjp((x: NDArray, y: NDArray) => x.mul(y)).defvjp(
          (x, y) => [x.mul(y), [x, y] as const],
          untyped((_r: unknown, g: NDArray) => [g]),
        )
        return grad(f)(f32(1), f32(2))
      }),
    ).toMatchInlineSnapshot(`
      "TransformationError: customVjp: the backward function returned 1 cotangents for 2 arguments
        rule: bwd returns a tuple with one tree of cotangents per differentiated argument
        hint: return null in the place of a zero cotangent"
    `)
  })
  it('customVjp whose backward answers another shape', () => {
    expect(
      refused(() => {
        const f = customVjp((x: NDArray) => np.sum(x)).defvjp(
          (x) => [np.sum(x), x],
          (_x, g) => [g],
        )
        return grad(f)(like(3))
      }),
    ).toMatchInlineSnapshot(`
      "TransformationError: customVjp: cotangents[0] does not fit its argument
        argument 0:    f32[3]
        its cotangent: f32[]
        at: cotangents[0]
        rule: a cotangent has the shape and dtype of its argument"
    `)
  })
  it('customVjp whose backward answers an array', () => {
    expect(
      refused(() => {
        const f = customVjp((x: NDArray) => np.sin(x)).defvjp(
          (x) => [np.sin(x), x],
          untyped((_x: NDArray, g: NDArray) => g),
        )
        return grad(f)(f32(1))
      }),
    ).toMatchInlineSnapshot(`
      "TransformationError: customVjp: the backward function returned no tuple for 1 argument
        rule: bwd returns a tuple with one tree of cotangents per differentiated argument
        hint: return [xBar]"
    `)
  })
  it('customVjp whose forward answers no pair', () => {
    expect(
      refused(() => {
        const f = customVjp((x: NDArray) => np.sin(x)).defvjp(
          untyped((x: NDArray) => np.sin(x)),
          untyped((_x: NDArray, g: NDArray) => [g]),
        )
        return grad(f)(f32(1))
      }),
    ).toMatchInlineSnapshot(`
      "TransformationError: customVjp: the forward function did not return a pair
        rule: fwd returns [result, residuals]"
    `)
  })
  it('customJvp whose tangent has another shape', () => {
    expect(
      refused(() => {
        const f = customJvp((x: NDArray) => np.sin(x)).defjvp(([x], [t]) => [np.sin(x), np.sum(t)])
        return jvp(f, [like(2)], [like(2)])
      }),
    ).toMatchInlineSnapshot(`
      "TransformationError: customJvp: the rule's yDot does not fit its result
        y:    f32[2]
        yDot: f32[]
        at: yDot
        rule: a tangent has the shape and dtype of its primal"
    `)
  })
})

describe('vmap', () => {
  it('with axes of different sizes', () => {
    expect(
      refused(() =>
        vmap(function predict(p: { w: NDArray; b: NDArray }, x: NDArray) {
          return p.w.mul(x).add(p.b)
        })({ w: like(3), b: like(4) }, like(3)),
      ),
    ).toMatchInlineSnapshot(`
      "TransformationError: vmap(predict): mapped axes have different sizes
        args[0].b: f32[4]   axis 0 is 4
        args[0].w: f32[3]   axis 0 is 3
        args[1]:   f32[3]   axis 0 is 3
        rule: all mapped axes have one size
        hint: use inAxes: null for arguments that are the same for all examples"
    `)
  })
  it('with an axis out of range', () => {
    expect(refused(() => vmap((x: NDArray) => x, { inAxes: 2 })(like(2, 3))))
      .toMatchInlineSnapshot(`
      "TransformationError: vmap: cannot map axis 2 of args[0], which has 2 dimensions
        args[0]: f32[2,3]
        at: args[0]
        rule: a mapped argument has the axis named by inAxes
        hint: use inAxes: null for arguments that are the same for all examples"
    `)
  })
  it('with a negative axis out of range', () => {
    expect(refused(() => vmap((x: NDArray) => x, { inAxes: -3 })(like(2, 3))))
      .toMatchInlineSnapshot(`
      "TransformationError: vmap: cannot map axis -3 of args[0], which has 2 dimensions
        args[0]: f32[2,3]
        at: args[0]
        rule: a mapped argument has the axis named by inAxes
        hint: use inAxes: null for arguments that are the same for all examples"
    `)
  })
  it('of a scalar', () => {
    expect(refused(() => vmap((x: NDArray) => x)(f32(1)))).toMatchInlineSnapshot(`
      "TransformationError: vmap: cannot map axis 0 of args[0], which has 0 dimensions
        args[0]: f32[]
        at: args[0]
        rule: a mapped argument has the axis named by inAxes
        hint: use inAxes: null for arguments that are the same for all examples"
    `)
  })
  it('with nothing mapped', () => {
    expect(refused(() => vmap((x: NDArray) => x, { inAxes: untyped(null) })(like(2))))
      .toMatchInlineSnapshot(`
      "TransformationError: vmap: no argument is mapped, so the size of the mapped axis is unknown
        rule: some entry of inAxes is not null, or axisSize is given"
    `)
  })
  it('with nothing mapped, in a list', () => {
    expect(
      refused(() =>
        vmap((x: NDArray, y: NDArray) => x.add(y), { inAxes: [null, null] })(like(2), like(2)),
      ),
    ).toMatchInlineSnapshot(`
      "TransformationError: vmap: no argument is mapped, so the size of the mapped axis is unknown
        rule: some entry of inAxes is not null, or axisSize is given"
    `)
  })
  it('with another tree of inAxes', () => {
    expect(
      refused(() =>
        vmap((p: { w: NDArray; b: NDArray }) => p.w.add(p.b), {
          inAxes: untyped([{ w: 0, c: null }]),
        })({ w: like(2), b: f32(1) }),
      ),
    ).toMatchInlineSnapshot(`
      "ArgumentError: vmap: inAxes[0] does not fit args[0]: it names c, which is not there
        at: inAxes[0]
        rule: an axis specification is an integer, null, or a tree of them shaped like the values"
    `)
  })
  it('with too few inAxes', () => {
    expect(
      refused(() =>
        vmap((x: NDArray, y: NDArray) => x.add(y), { inAxes: untyped([0]) })(like(2), like(2)),
      ),
    ).toMatchInlineSnapshot(`
      "ArgumentError: vmap: inAxes does not fit args: 1 entries for 2 elements
        at: inAxes
        rule: an axis specification is an integer, null, or a tree of them shaped like the values"
    `)
  })
  it('with inAxes that are no integers', () => {
    expect(refused(() => vmap((x: NDArray) => x, { inAxes: untyped(0.5) })(like(2))))
      .toMatchInlineSnapshot(`
      "ArgumentError: vmap: inAxes does not fit args: 0.5 is not an axis
        at: inAxes
        rule: an axis specification is an integer, null, or a tree of them shaped like the values"
    `)
  })
  it('with outAxes out of range', () => {
    expect(refused(() => vmap((x: NDArray) => x, { outAxes: 2 })(like(2)))).toMatchInlineSnapshot(`
      "ShapeError: vmap: axis 2 is out of range for 1 dimension
        a: f32[2]
        rule: an axis is from -1 to 0
        hint: the last axis is 0 or -1"
    `)
  })
  it('with another tree of outAxes', () => {
    expect(refused(() => vmap((x: NDArray) => [x, x], { outAxes: untyped([0, 0, 0]) })(like(2))))
      .toMatchInlineSnapshot(`
      "ArgumentError: vmap: outAxes does not fit the result: 3 entries for 2 elements
        at: outAxes
        rule: an axis specification is an integer, null, or a tree of them shaped like the values"
    `)
  })
  it('with outAxes null for a mapped result', () => {
    expect(refused(() => vmap((x: NDArray) => x, { outAxes: untyped(null) })(like(2))))
      .toMatchInlineSnapshot(`
      "TransformationError: vmap: outAxes is null for a result that depends on the mapped axis
        the result: f32[2]
        rule: only results that are the same for all examples can have outAxes null
        hint: give the axis a place in the result, or reduce over the examples outside"
    `)
  })
  it('with an axisSize that differs', () => {
    expect(refused(() => vmap((x: NDArray) => x, { axisSize: 4 })(like(3)))).toMatchInlineSnapshot(`
      "TransformationError: vmap: mapped axes do not have axisSize 4
        args[0]: f32[3]   axis 0 is 3
        rule: all mapped axes have one size
        hint: use inAxes: null for arguments that are the same for all examples"
    `)
  })
  it('psum over a name that nobody gave', () => {
    expect(refused(() => psum(f32(1), 'batch'))).toMatchInlineSnapshot(`
      "ArgumentError: psum(x, 'batch'): no axis is named batch here
        rule: no enclosing vmap names its axis
        hint: call it inside of vmap(f, { axisName: 'batch' })"
    `)
  })
  it('psum over another name', () => {
    expect(refused(() => vmap((x: NDArray) => psum(x, 'batch'), { axisName: 'i' })(like(2))))
      .toMatchInlineSnapshot(`
      "ArgumentError: psum(x, 'batch'): no axis is named batch here
        rule: named axes here: i
        hint: call it inside of vmap(f, { axisName: 'batch' })
        inside: vmap"
    `)
  })
  it('of shapes that do not fit inside', () => {
    expect(
      refused(() =>
        vmap(function score(x: NDArray) {
          return np.matmul(x, like(4, 2))
        })(like(5, 3)),
      ),
    ).toMatchInlineSnapshot(`
      "ShapeError: matmul(a, b): contracting dimensions differ
        a: f32[3]     axis 0 is 3
        b: f32[4,2]   axis 0 is 4
        rule: a.shape[0] === b.shape[0]
        hint: transpose or reshape an operand so that these sizes agree
        inside: vmap of score"
    `)
  })
})

describe('loops and branches', () => {
  it('a carry that changes its dtype', () => {
    expect(refused(() => scan((c: NDArray, x: NDArray) => [c.add(x), null], i32(0), like(3))))
      .toMatchInlineSnapshot(`
      "TransformationError: scan: carry changes its dtype
        carry:     i32[]
        new carry: f32[]
        at: carry
        rule: a carry has one type in all steps
        hint: start with f32, or convert the new carry with astype('int32')"
    `)
  })
  it('a carry that changes its shape', () => {
    expect(
      refused(() => scan((c: NDArray, x: NDArray) => [np.append(c, x), null], like(1), like(3))),
    ).toMatchInlineSnapshot(`
      "TransformationError: scan: carry changes its shape
        carry:     f32[1]
        new carry: f32[2]
        at: carry
        rule: a carry has one type in all steps
        hint: carries cannot grow: collect results as ys instead"
    `)
  })
  it('a carry that changes its shape, deep in a tree', () => {
    expect(
      refused(() =>
        scan(
          (c: { layers: { h: NDArray }[] }, x: NDArray) => [
            { layers: [{ h: np.add(c.layers[0]?.h ?? 0, x) }, { h: f32(1) }] },
            null,
          ],
          { layers: [{ h: f32(0) }, { h: like(2) }] },
          like(3),
        ),
      ),
    ).toMatchInlineSnapshot(`
      "TransformationError: scan: carry.layers[1].h changes its shape
        carry:     f32[2]
        new carry: f32[]
        at: carry.layers[1].h
        rule: a carry has one type in all steps
        hint: carries cannot grow: collect results as ys instead"
    `)
  })
  it('a carry that changes its structure', () => {
    expect(
      refused(() =>
        scan(
          untyped((c: { a: NDArray }, _x: NDArray) => [{ a: c.a, b: c.a }, null]),
          { a: f32(0) },
          like(3),
        ),
      ),
    ).toMatchInlineSnapshot(`
      "TreeError: scan: the carry and the new carry have different tree structures: missing here
        at: carry.b
        rule: the carry is {a: *}, the new carry is {a: *, b: *}
        hint: give both trees the same keys and lengths"
    `)
  })
  it('a body that answers no pair', () => {
    expect(
      refused(() =>
        scan(
          untyped((c: NDArray, x: NDArray) => c.add(x)),
          f32(0),
          like(3),
        ),
      ),
    ).toMatchInlineSnapshot(`
      "TransformationError: scan: the body returned something that is not a pair
        rule: the body of a scan returns [carry, y]
        hint: return [carry, null] when there is nothing to collect
        inside: scan"
    `)
  })
  it('xs of different lengths', () => {
    expect(
      refused(() =>
        scan((c: NDArray, x: { a: NDArray; b: NDArray }) => [c.add(x.a), x.b], f32(0), {
          a: like(3),
          b: like(4),
        }),
      ),
    ).toMatchInlineSnapshot(`
      "TransformationError: scan: the leading axes of xs have different sizes
        xs.a: f32[3]   axis 0 is 3
        xs.b: f32[4]   axis 0 is 4
        rule: all leaves of xs have the same leading axis, the number of steps"
    `)
  })
  it('xs that are scalars', () => {
    expect(refused(() => scan((c: NDArray, x: NDArray) => [c.add(x), x], f32(0), f32(3))))
      .toMatchInlineSnapshot(`
      "TransformationError: scan: xs is a scalar and has no axis to scan over
        xs: f32[]
        at: xs
        rule: every leaf of xs has a leading axis, one slice per step
        hint: close over values that are the same in all steps"
    `)
  })
  it('no xs and no length', () => {
    expect(refused(() => scan((c: NDArray, _x: null) => [c, null], f32(0), null)))
      .toMatchInlineSnapshot(`
      "TransformationError: scan: the number of steps is unknown
        rule: xs has at least one array, or length is given
        hint: scan(f, init, null, { length: 10 })"
    `)
  })
  it('a length that is not that of xs', () => {
    expect(
      refused(() =>
        scan((c: NDArray, x: NDArray) => [c.add(x), null], f32(0), like(3), { length: 4 }),
      ),
    ).toMatchInlineSnapshot(`
      "TransformationError: scan: the leading axes of xs disagree with length 4
        xs: f32[3]   axis 0 is 3
        rule: all leaves of xs have the same leading axis, the number of steps"
    `)
  })
  it('xs that are a JavaScript list of numbers', () => {
    expect(
      refused(() => scan((c: NDArray, x: NDArray) => [c.add(x), null], f32(0), untyped([1, 2, 3]))),
    ).toMatchInlineSnapshot(`
      "TransformationError: scan: xs[0] is a scalar and has no axis to scan over
        xs[0]: i32[]
        at: xs[0]
        rule: every leaf of xs has a leading axis, one slice per step
        hint: close over values that are the same in all steps"
    `)
  })
  it('a while carry that changes its dtype', () => {
    expect(
      refused(() =>
        whileLoop(
          (c: NDArray) => np.less(c, 10),
          (c: NDArray) => c.mul(1.5),
          i32(1),
        ),
      ),
    ).toMatchInlineSnapshot(`
      "TransformationError: whileLoop: carry changes its dtype
        carry:     i32[]
        new carry: f32[]
        at: carry
        rule: a carry has one type in all steps
        hint: start with f32, or convert the new carry with astype('int32')"
    `)
  })
  it('a while carry that changes its structure', () => {
    expect(
      refused(() =>
        whileLoop(
          untyped(() => np.array(false)),
          untyped((c: { a: NDArray }) => [c.a]),
          { a: f32(1) },
        ),
      ),
    ).toMatchInlineSnapshot(`
      "TreeError: whileLoop: the carry and the new carry have different tree structures: an object here, an array of 1 there
        at: carry
        rule: the carry is {a: *}, the new carry is [*]
        hint: give both trees the same keys and lengths"
    `)
  })
  it('a while predicate that is no boolean', () => {
    expect(
      refused(() =>
        whileLoop(
          untyped((c: NDArray) => c),
          (c: NDArray) => c.sub(1),
          f32(3),
        ),
      ),
    ).toMatchInlineSnapshot(`
      "TransformationError: whileLoop: the condition is not a boolean scalar
        condition: f32[]
        rule: the condition answers one boolean
        hint: compare, or reduce with np.any or np.all
        inside: whileLoop"
    `)
  })
  it('a while predicate that is not scalar', () => {
    expect(
      refused(() =>
        whileLoop(
          (c: NDArray) => np.less(c, 10),
          (c: NDArray) => c.mul(2),
          like(3),
        ),
      ),
    ).toMatchInlineSnapshot(`
      "TransformationError: whileLoop: the condition is not a boolean scalar
        condition: bool[3]
        rule: the condition answers one boolean
        hint: compare, or reduce with np.any or np.all
        inside: whileLoop"
    `)
  })
  it('a while predicate that compares in JavaScript', () => {
    expect(
      refused(() =>
        whileLoop(
          untyped((c: NDArray) => (untyped(c) as number) < 10),
          (c: NDArray) => c.mul(2),
          f32(3),
        ),
      ),
    ).toMatchInlineSnapshot(`
      "ConcretizationError: conversion to a JavaScript number: a tracer of whileLoop has no value yet
        x: f32[]
        rule: while a function is being transformed its values are not known
        hint: use np.where or cond instead of if and ?:, np functions instead of + - * / < >, or mark the argument static
        inside: whileLoop"
    `)
  })
  it('foriLoop with a fractional bound', () => {
    expect(refused(() => foriLoop(0, 2.5, (_i, c: NDArray) => c.mul(2), f32(1))))
      .toMatchInlineSnapshot(`
        "TransformationError: foriLoop: the upper bound 2.5 is not an integer
          upper: f32[]
          rule: foriLoop counts integers"
      `)
  })
  it('foriLoop whose carry changes', () => {
    expect(refused(() => foriLoop(0, 3, (_i, c: NDArray) => np.stack([c, c]), f32(1))))
      .toMatchInlineSnapshot(`
        "TransformationError: foriLoop: carry changes its shape
          carry:     f32[]
          new carry: f32[2]
          at: carry
          rule: a carry has one type in all steps
          hint: carries cannot grow: collect results as ys instead"
      `)
  })
  it('branches with different dtypes', () => {
    expect(
      refused(() =>
        cond(
          np.array(true),
          (x: NDArray) => x,
          (x: NDArray) => x.astype('int32'),
          f32(1),
        ),
      ),
    ).toMatchInlineSnapshot(`
      "TransformationError: cond: the branches differ in the dtype of result
        onFalse: i32[]
        onTrue:  f32[]
        at: result
        rule: all branches return trees of the same structure, shapes and dtypes
        hint: convert with astype, or broadcast the smaller result"
    `)
  })
  it('branches with different shapes', () => {
    expect(
      refused(() =>
        cond(
          np.array(true),
          (x: NDArray) => np.sum(x),
          (x: NDArray) => x,
          like(3),
        ),
      ),
    ).toMatchInlineSnapshot(`
      "TransformationError: cond: the branches differ in the shape of result
        onFalse: f32[3]
        onTrue:  f32[]
        at: result
        rule: all branches return trees of the same structure, shapes and dtypes
        hint: convert with astype, or broadcast the smaller result"
    `)
  })
  it('branches with different trees', () => {
    expect(
      refused(() =>
        cond(
          np.array(true),
          untyped((x: NDArray) => ({ y: x })),
          untyped((x: NDArray) => ({ y: x, z: x })),
          f32(1),
        ),
      ),
    ).toMatchInlineSnapshot(`
      "TreeError: cond: the result of onFalse and the result of onTrue have different tree structures: missing there
        at: result.z
        rule: the result of onFalse is {y: *, z: *}, the result of onTrue is {y: *}
        hint: give both trees the same keys and lengths"
    `)
  })
  it('a predicate that is not scalar', () => {
    expect(
      refused(() =>
        cond(
          np.array([true, false]),
          (x: NDArray) => x,
          (x: NDArray) => x,
          f32(1),
        ),
      ),
    ).toMatchInlineSnapshot(`
      "TransformationError: cond: the predicate is not a scalar
        predicate: bool[2]
        rule: one value chooses one branch
        hint: reduce it with np.any or np.all, choose elementwise with np.where, or use vmap"
    `)
  })
  it('a predicate that is a string', () => {
    expect(
      refused(() =>
        cond(
          untyped('yes'),
          (x: NDArray) => x,
          (x: NDArray) => x,
          f32(1),
        ),
      ),
    ).toMatchInlineSnapshot(`
      "ArgumentError: cond: predicate is the string "yes", which is not an array
        at: predicate
        rule: the leaves of arguments and results are arrays, numbers or booleans
        hint: close over other values, or list their positions in staticArgnums of jit"
    `)
  })
  it('a branch that is no function', () => {
    expect(refused(() => cond(np.array(true), untyped(f32(1)), (x: NDArray) => x, f32(1))))
      .toMatchInlineSnapshot(`
      "ArgumentError: cond: takes a function, but was given an array
        rule: the first operand is the function itself, not its result
        hint: write cond(f, …), not cond(f(x), …)"
    `)
  })
  it('a switch index that is no integer', () => {
    expect(
      refused(() => switchCase(untyped(f32(1)), [(x: NDArray) => x, (x: NDArray) => x], f32(1))),
    ).toMatchInlineSnapshot(`
      "TransformationError: switchCase: the index is not an integer
        index: f32[]
        rule: the index is an integer scalar
        hint: convert with astype('int32')"
    `)
  })
  it('a switch with a fractional number', () => {
    expect(refused(() => switchCase(0.5, [(x: NDArray) => x, (x: NDArray) => x], f32(1))))
      .toMatchInlineSnapshot(`
      "TransformationError: switchCase: the index is not an integer
        index: f32[]
        rule: the index is an integer scalar
        hint: convert with astype('int32')"
    `)
  })
  it('a switch without branches', () => {
    expect(refused(() => switchCase(i32(0), [], f32(1)))).toMatchInlineSnapshot(`
      "ArgumentError: switchCase: there are no branches
        rule: give at least one"
    `)
  })
  it('a switch whose branches differ', () => {
    expect(
      refused(() =>
        switchCase(i32(0), [(x: NDArray) => x, (x: NDArray) => np.stack([x, x])], f32(1)),
      ),
    ).toMatchInlineSnapshot(`
      "TransformationError: switchCase: the branches differ in the shape of result
        branch 0: f32[]
        branch 1: f32[2]
        at: result
        rule: all branches return trees of the same structure, shapes and dtypes
        hint: convert with astype, or broadcast the smaller result"
    `)
  })
  it('map over a scalar', () => {
    expect(refused(() => map((x: NDArray) => x, f32(1)))).toMatchInlineSnapshot(`
      "TransformationError: map: xs is a scalar and has no axis to scan over
        xs: f32[]
        at: xs
        rule: every leaf of xs has a leading axis, one slice per step
        hint: close over values that are the same in all steps"
    `)
  })
  it('associativeScan over a scalar', () => {
    expect(refused(() => associativeScan((a: NDArray, b: NDArray) => a.add(b), f32(1))))
      .toMatchInlineSnapshot(`
      "ShapeError: associativeScan: axis 0 is out of range for 0 dimensions
        a: f32[]
        rule: a scalar has no axes
        hint: leave axis out"
    `)
  })
  it('associativeScan whose function changes the shape', () => {
    expect(refused(() => associativeScan((a: NDArray, b: NDArray) => np.stack([a, b]), like(4))))
      .toMatchInlineSnapshot(`
      "TransformationError: associativeScan: the combination of elements has another shape
        a:       f32[2]
        f(a, b): f32[2,2]
        at: elements
        rule: f combines elementwise along the scanned axis: a, b and f(a, b) have one shape"
    `)
  })
})

describe('jit', () => {
  it('with an array as a static argument', () => {
    expect(
      refused(() =>
        jit((x: NDArray, n: NDArray) => x.mul(n), { staticArgnums: 1 })(f32(1), f32(2)),
      ),
    ).toMatchInlineSnapshot(`
      "ArgumentError: jit: static argument 1 is an array
        args[1]: f32[]
        rule: static arguments are compared by value, and choose among compiled programs
        hint: leave it out of staticArgnums, or pass x.item() or x.toArray()"
    `)
  })
  it('with a tracer as a static argument', () => {
    expect(
      refused(() =>
        jit((n: NDArray) =>
          jit((x: NDArray, k: NDArray) => x.mul(k), { staticArgnums: 1 })(f32(1), n),
        )(f32(2)),
      ),
    ).toMatchInlineSnapshot(`
      "ArgumentError: jit: static argument 1 is an array
        args[1]: f32[]
        rule: static arguments are compared by value, and choose among compiled programs
        hint: leave it out of staticArgnums, or pass x.item() or x.toArray()
        inside: jit"
    `)
  })
  it('with a negative static argument', () => {
    expect(refused(() => jit((x: NDArray) => x, { staticArgnums: -1 }))).toMatchInlineSnapshot(`
      "ArgumentError: jit: -1 is not the position of an argument
        rule: staticArgnums and donateArgnums are nonnegative integers"
    `)
  })
  it('with an argument both static and donated', () => {
    expect(refused(() => jit((x: NDArray) => x, { staticArgnums: 0, donateArgnums: 0 })))
      .toMatchInlineSnapshot(`
      "ArgumentError: jit: argument 0 is both static and donated
        rule: only arrays can be donated"
    `)
  })
  it('using a donated array again', () => {
    expect(
      refusedEagerly(() => {
        const x = f32([1, 2])
        jit(
          function step(p: NDArray) {
            return p.add(1)
          },
          { donateArgnums: 0 },
        )(x)
        return np.add(x, 1)
      }),
    ).toMatchInlineSnapshot(`
      "DeletedArrayError: add: the array was disposed of, or donated to a compiled program
        x: f32[2]
        hint: use the result of the program instead, or do not donate this argument"
    `)
  })
  it('reading a donated array', () => {
    expect(
      refusedEagerly(() => {
        const x = f32([1, 2])
        jit((p: NDArray) => p.add(1), { donateArgnums: 0 })(x)
        return x.toArray()
      }),
    ).toMatchInlineSnapshot(`
      "DeletedArrayError: toArray(): the array was disposed of, or donated to a compiled program
        x: f32[2]
        hint: use the result of the program instead, or do not donate this argument"
    `)
  })
  it('using a disposed array', () => {
    expect(
      refusedEagerly(() => {
        const x = f32([1, 2])
        x.dispose()
        return x.mul(2)
      }),
    ).toMatchInlineSnapshot(`
      "DeletedArrayError: mul: the array was disposed of, or donated to a compiled program
        x: f32[2]
        hint: use the result of the program instead, or do not donate this argument"
    `)
  })
  it('reading a disposed array', () => {
    expect(
      refusedEagerly(() => {
        const x = f32([1, 2])
        x.dispose()
        return x.dataSync()
      }),
    ).toMatchInlineSnapshot(`
      "DeletedArrayError: dataSync: the array was disposed of, or donated to a compiled program
        x: f32[2]
        hint: use the result of the program instead, or do not donate this argument"
    `)
  })
  it('passing a disposed array to jit', () => {
    expect(
      refusedEagerly(() => {
        const x = f32([1, 2])
        x.dispose()
        return jit((p: NDArray) => p.add(1))(x)
      }),
    ).toMatchInlineSnapshot(`
      "DeletedArrayError: jit: the array was disposed of, or donated to a compiled program
        x: f32[2]
        hint: use the result of the program instead, or do not donate this argument"
    `)
  })
  it('closing over a disposed array', () => {
    expect(
      refusedEagerly(() => {
        const x = f32([1, 2])
        x.dispose()
        return jit((p: NDArray) => p.add(x))(f32([1, 2]))
      }),
    ).toMatchInlineSnapshot(`
      "DeletedArrayError: jit: the array was disposed of, or donated to a compiled program
        x: f32[2]
        hint: use the result of the program instead, or do not donate this argument"
    `)
  })
  it('closing over an array disposed of later', () => {
    expect(
      refusedEagerly(() => {
        const x = f32([1, 2])
        const f = jit((p: NDArray) => p.add(x))
        f(x)
        x.dispose()
        return f(f32([1, 2]))
      }),
    ).toMatchInlineSnapshot(`
      "DeletedArrayError: jit: the array was disposed of, or donated to a compiled program
        x: f32[2]
        hint: use the result of the program instead, or do not donate this argument"
    `)
  })
  it('on an unknown device', () => {
    expect(refused(() => jit((x: NDArray) => x.add(1), { device: untyped('cuda') })(f32(1))))
      .toMatchInlineSnapshot(`
      "DeviceError: jit: this machine has no device 'cuda'
        rule: devices here: reference, wasm
        hint: devices() lists what can be used"
    `)
  })
  it('an error of array functions inside', () => {
    expect(
      refused(() =>
        jit(
          vmap(
            grad(function loss(x: NDArray) {
              return np.sum(np.matmul(x, like(4, 2)))
            }),
          ),
        )(like(5, 3)),
      ),
    ).toMatchInlineSnapshot(`
      "ShapeError: matmul(a, b): contracting dimensions differ
        a: f32[3]     axis 0 is 3
        b: f32[4,2]   axis 0 is 4
        rule: a.shape[0] === b.shape[0]
        hint: transpose or reshape an operand so that these sizes agree
        inside: jit of vmap of grad of loss"
    `)
  })
  it('an error inside a checkpointed scan', () => {
    expect(
      refused(() =>
        grad(
          (x: NDArray) =>
            scan(
              checkpoint((c: NDArray, _x: null): [NDArray, null] => [
                np.add(c, like(2)).get(0),
                null,
              ]),
              x,
              null,
              { length: 2 },
            )[0],
        )(like(3).get(0).mul(like(3)).get(0).mul(like(3))),
      ),
    ).toMatchInlineSnapshot(`
      "ShapeError: add(a, b): shapes cannot be broadcast together
        a: f32[3]   axis 0 is 3
        b: f32[2]   axis 0 is 2
        rule: aligned at the last axis, sizes are equal or one of them is 1
        hint: add axes of size 1 with np.expandDims or x.get(..., null) where the shapes should align
        inside: grad of scan of checkpoint"
    `)
  })
  it('an error under evalShape', () => {
    expect(refused(() => evalShape((x: NDArray) => np.add(x, like(4)), like(3))))
      .toMatchInlineSnapshot(`
      "ShapeError: add(a, b): shapes cannot be broadcast together
        a: f32[3]   axis 0 is 3
        b: f32[4]   axis 0 is 4
        rule: aligned at the last axis, sizes are equal or one of them is 1
        hint: add axes of size 1 with np.expandDims or x.get(..., null) where the shapes should align
        inside: evalShape"
    `)
  })
  it('an error under makeJaxpr', () => {
    expect(
      refused(() =>
        makeJaxpr(function f(x: NDArray) {
          return np.add(x, like(4))
        })(like(3)),
      ),
    ).toMatchInlineSnapshot(`
      "ShapeError: add(a, b): shapes cannot be broadcast together
        a: f32[3]   axis 0 is 3
        b: f32[4]   axis 0 is 4
        rule: aligned at the last axis, sizes are equal or one of them is 1
        hint: add axes of size 1 with np.expandDims or x.get(..., null) where the shapes should align
        inside: makeJaxpr of f"
    `)
  })
})

describe('trees', () => {
  it('map over trees of different structure', () => {
    expect(
      refused(() =>
        tree.map(
          (a: NDArray, b: NDArray) => a.add(b),
          { w: f32(1), b: f32(2) },
          untyped({ w: f32(1) }),
        ),
      ),
    ).toMatchInlineSnapshot(`
      "TreeError: tree.map: the first tree and tree 2 have different tree structures: missing there
        at: .b
        rule: the first tree is {b: *, w: *}, tree 2 is {w: *}
        hint: give both trees the same keys and lengths"
    `)
  })
  it('map over trees that differ deep inside', () => {
    expect(
      refused(() =>
        tree.map(
          (a: NDArray, b: NDArray) => a.add(b),
          { layers: [{ w: f32(1) }, { w: f32(2) }] },
          untyped({ layers: [{ w: f32(1) }, { w: [f32(2)] }] }),
        ),
      ),
    ).toMatchInlineSnapshot(`
      "TreeError: tree.map: the first tree and tree 2 have different tree structures: a leaf here, an array of 1 there
        at: .layers[1].w
        rule: the first tree is {layers: [{w: *}, {w: *}]}, tree 2 is {layers: [{w: *}, {w: [*]}]}
        hint: give both trees the same keys and lengths"
    `)
  })
  it('unflatten with too few leaves', () => {
    expect(refused(() => tree.unflatten(tree.structure({ a: 1, b: 2 }), [1])))
      .toMatchInlineSnapshot(`
      "TreeError: tree.unflatten: structure has 2 leaves, got 1
        hint: the structure is {a: *, b: *}"
    `)
  })
  it('a tree that contains itself', () => {
    expect(
      refused(() => {
        const p: { self?: unknown } = {}
        p.self = p
        return tree.flatten(p)
      }),
    ).toMatchInlineSnapshot(`
      "TreeError: tree.flatten: the tree is nested more than 1000 levels deep
        rule: a tree is finite: no object contains itself
        hint: pass the arrays only, not objects that refer to their owners"
    `)
  })
})

describe('devices and memory', () => {
  it('an unknown device', () => {
    expect(
      refused(() => {
        void setDevice(untyped('cuda'))
      }),
    ).toMatchInlineSnapshot(`
      "DeviceError: setDevice('cuda'): this machine has no device 'cuda'
        rule: devices here: reference, wasm
        hint: devices() lists what can be used"
    `)
  })
  it('WebGPU before it is open', () => {
    expect(refused(() => devicePut(np.ones([2]), 'webgpu'))).toMatchInlineSnapshot(`
      "DeviceError: devicePut(tree, 'webgpu'): the webgpu device is not open, or was lost
        rule: a GPU is asked for asynchronously, and its code is loaded then
        hint: await setDevice('webgpu') first"
    `)
  })
  const ramp = np.arange(50_000, { dtype: 'float32' })
  const table = (x: NDArray): NDArray => np.outer(x, x)
  it('more memory than there is', () => {
    expect(refusedEagerly(() => table(ramp).dataSync())).toMatchInlineSnapshot(`
      "OutOfMemoryError: broadcast_in_dim: f32[50000,50000] does not fit into the memory of the device
        array:  f32[50000,50000]   10000000000 bytes
        memory: 2147483648 bytes   201920 bytes are in use by the running operation
        rule: the arrays of one operation and its temporaries fit into the budget together
        hint: use smaller batches, or create the device with a larger budget"
    `)
  })
  it('more memory than there is, inside a program', () => {
    expect(refusedEagerly(() => jit((x: NDArray) => np.sort(table(x)))(ramp).dataSync()))
      .toMatchInlineSnapshot(`
        "OutOfMemoryError: <lambda>: the temporaries of a program (10000800064 bytes) does not fit into the memory of the device
          array:  the temporaries of a program (10000800064 bytes)   10000800064 bytes
          memory: 2147483648 bytes                                   0 bytes are in use by the running operation
          rule: the arrays of one operation and its temporaries fit into the budget together
          hint: use smaller batches, or create the device with a larger budget"
      `)
  })
  it('more elements than can be counted', () => {
    expect(refusedEagerly(() => np.zeros([1e9, 1e9]).dataSync())).toMatchInlineSnapshot(`
      "OutOfMemoryError: allocate: the host has no memory for 1000000000000000000 elements of float32
        rule: the elements of an array that is read, or computed on the host, lie in one buffer
        hint: reduce the array, or read it in parts"
    `)
  })
})

describe('facts are fields', () => {
  it('op, avals, axis, path, rule and hint', () => {
    const shapes = refusal(() => np.matmul(like(2, 3), like(4, 3)))
    expect([shapes.name, shapes.op, shapes.avals.map(String), shapes.hint]).toEqual([
      'ShapeError',
      'matmul(a, b)',
      ['f32[2,3]', 'f32[4,3]'],
      'b.T has shape [3,4]',
    ])
    expect(refusal(() => np.sum(like(2), 1)).axis).toBe(1)
    const carry = refusal(() =>
      scan(
        (c: { h: NDArray }, _: null) => [{ h: np.stack([c.h, c.h]) }, null],
        { h: f32(0) },
        null,
        { length: 1 },
      ),
    )
    expect([carry.name, carry.path]).toEqual(['TransformationError', 'carry.h'])
  })
  it('inside says where, outermost first', () => {
    const text = String(
      refusal(() =>
        jit(
          vmap(
            grad(function loss(x: NDArray) {
              return np.sum(np.add(x, like(2)))
            }),
          ),
        )(like(4, 3)),
      ),
    )
    expect(text).toMatch(/inside: jit of vmap of grad of loss/)
  })
  it('random takes keys', () => {
    expect(refusal(() => random.normal(untyped(0), [2])).hint).toMatch(/random.key\(0\)/)
  })
})
