/** Programs print as JAX prints them (but for the names of variables inside of calls). */
import { type NDArray, np, setDevice } from '@adjoint/core'
import { describe, expect, it } from 'vitest'
import { cond, grad, jit, makeJaxpr, scan, whileLoop } from './index'

setDevice('reference')
const x = np.array(2, { dtype: 'float32' })
const print = (f: (x: NDArray) => unknown): string => String(makeJaxpr(f)(x))

describe('makeJaxpr prints', () => {
  it('calls', () => {
    const f = jit((y: NDArray) => np.multiply(np.sin(y), 2), { name: 'f' })
    expect(print((y) => f(y))).toBe(`{ lambda ; a:f32[]. let
    b:f32[] = jit[
      name=f
      jaxpr={ lambda ; c:f32[]. let
          d:f32[] = sin c
          e:f32[] = mul d 2.0:f32[]
        in (e,) }
    ] a
  in (b,) }`)
  })
  it('loops', () => {
    expect(
      print((y) =>
        scan(
          (c: NDArray, a: NDArray) => [np.add(np.multiply(c, y), a), c],
          np.array(1, { dtype: 'float32' }),
          np.arange(3, { dtype: 'float32' }),
        ),
      ),
    ).toMatchInlineSnapshot(`
      "{ lambda ; a:f32[]. let
          b:f32[3] = iota[dimension=0 dtype=float32 shape=(3,) sharding=None]
          c:f32[] d:f32[3] = scan[
            jaxpr={ lambda ; e:f32[] f:f32[] g:f32[]. let
                h:f32[] = mul f e
                i:f32[] = add h g
              in (i, f) }
            length=3
            num_carry=1
            num_consts=1
            reverse=False
            unroll=1
          ] a 1.0:f32[] b
        in (c, d) }"
    `)
    expect(
      print((y) =>
        whileLoop(
          (c: NDArray) => np.less(c, 10),
          (c: NDArray) => np.multiply(c, y),
          1.5,
        ),
      ),
    ).toMatchInlineSnapshot(`
      "{ lambda ; a:f32[]. let
          b:f32[] = while[
            body_jaxpr={ lambda ; c:f32[] d:f32[]. let e:f32[] = mul d c in (e,) }
            body_nconsts=1
            cond_jaxpr={ lambda ; f:f32[]. let g:bool[] = lt f 10.0:f32[] in (g,) }
            cond_nconsts=0
          ] a 1.5:f32[]
        in (b,) }"
    `)
  })
  it('branches', () => {
    expect(
      print((y) =>
        cond(
          np.greater(y, 0),
          (z: NDArray) => np.sin(z),
          (z: NDArray) => np.cos(z),
          y,
        ),
      ).replace(/(?<=convert_element_type)\[[^\]]*\]/, ''),
    ).toBe(`{ lambda ; a:f32[]. let
    b:bool[] = gt a 0.0:f32[]
    c:i32[] = convert_element_type b
    d:f32[] = cond[
      branches=(
        { lambda ; e:f32[]. let f:f32[] = cos e in (f,) }
        { lambda ; g:f32[]. let h:f32[] = sin g in (h,) }
      )
    ] c a
  in (d,) }`)
  })
  it('derivatives', () => {
    expect(print(grad((y: NDArray) => np.sin(np.multiply(y, y))))).toMatchInlineSnapshot(`
      "{ lambda ; a:f32[]. let
          b:f32[] = mul a a
          _:f32[] = sin b
          c:f32[] = cos b
          d:f32[] = mul 1.0:f32[] c
          e:f32[] = mul a d
          f:f32[] = mul d a
          g:f32[] = add_any e f
        in (g,) }"
    `)
  })
})
