/** One training step of a dense classifier with Adam, written out as equations. */
import type { Atom, Jaxpr, Var } from '../../jaxpr/ir'
import { binary, constant, select } from '../expr'
import { Recorder, scalar } from './recorder'

/** Inputs: data, labels; for each layer W, b, and the moments m and v of both; the step count. */
export function adamStep(sizes: readonly number[], batch: number): Jaxpr {
  const r = new Recorder()
  const layers = sizes.length - 1
  const classes = sizes[layers]
  const full = (value: number, shape: readonly number[]): Atom =>
    shape.length === 0 ? scalar(value) : r.broadcast(scalar(value), shape, [])
  const [x, labels] = [r.input([batch, sizes[0]]), r.input([batch, classes])]
  const parameters = Array.from({ length: layers }, (_, l) => {
    const [weight, bias] = [[sizes[l], sizes[l + 1]], [sizes[l + 1]]]
    return {
      w: r.input(weight),
      b: r.input(bias),
      wm: r.input(weight),
      wv: r.input(weight),
      bm: r.input(bias),
      bv: r.input(bias),
    }
  })
  const count = r.input([])

  const activations: Var[] = [x]
  const sums: Var[] = []
  parameters.forEach(({ w, b }, l) => {
    const shape = [batch, sizes[l + 1]]
    const z = r.binary('add', r.matmul(activations[l], w), r.broadcast(b, shape, [1]))
    sums.push(z)
    activations.push(l === layers - 1 ? z : r.binary('max', z, full(0, shape)))
  })

  const logits = activations[layers]
  const shape = [batch, classes]
  const shifted = r.binary('sub', logits, r.broadcast(r.reduce('max', logits, [1]), shape, [0]))
  const exponentials = r.unary('exp', shifted)
  const total = r.reduce('sum', exponentials, [1])
  const logProbabilities = r.binary('sub', shifted, r.broadcast(r.unary('log', total), shape, [0]))
  const likelihood = r.reduce('sum', r.binary('mul', logProbabilities, labels), [0, 1])
  const loss = r.unary('neg', r.binary('div', likelihood, scalar(batch)))

  const probabilities = r.binary('div', exponentials, r.broadcast(total, shape, [0]))
  let bar = r.binary('mul', r.binary('sub', probabilities, labels), full(1 / batch, shape))
  const updates: { p: Var; g: Var; m: Var; v: Var }[] = []
  for (let l = layers - 1; l >= 0; l--) {
    const { w, b, wm, wv, bm, bv } = parameters[l]
    // The transpose of dot_general is a product followed by a transposition.
    const wBar = r.transpose(r.matmul(r.transpose(bar, [1, 0]), activations[l]), [1, 0])
    updates.unshift(
      { p: w, g: wBar, m: wm, v: wv },
      { p: b, g: r.reduce('sum', bar, [0]), m: bm, v: bv },
    )
    if (l === 0) break
    const hBar = r.matmul(bar, r.transpose(w, [1, 0]))
    bar = r.apply('relu_transpose', [sums[l - 1], hBar], hBar.aval, (c, z, g) => {
      const zero = constant('float32', 0)
      return c.map(hBar.aval, (e, f) => select(binary('gt', 'bool', e, zero), f, zero), z, g)
    })
  }

  const next = r.binary('add', count, scalar(1))
  const correction1 = r.binary('sub', scalar(1), r.binary('pow', scalar(0.9), next))
  const correction2 = r.binary('sub', scalar(1), r.binary('pow', scalar(0.999), next))
  const decay = (rate: number, moment: Var, g: Var): Var => {
    const space = moment.aval.shape
    return r.binary(
      'add',
      r.binary('mul', moment, full(rate, space)),
      r.binary('mul', g, full(1 - rate, space)),
    )
  }
  const ms = updates.map(({ m, g }) => decay(0.9, m, g))
  const vs = updates.map(({ v, g }) => decay(0.999, v, r.binary('mul', g, g)))
  const ps = updates.map(({ p }, i) => {
    const space = p.aval.shape
    const m = r.binary('div', ms[i], r.broadcast(correction1, space, []))
    const v = r.binary('div', vs[i], r.broadcast(correction2, space, []))
    const step = r.binary('div', m, r.binary('add', r.unary('sqrt', v), full(1e-8, space)))
    return r.binary('sub', p, r.binary('mul', step, full(1e-3, space)))
  })
  return r.jaxpr([loss, ...ms, ...vs, ...ps, next], 'adamStep')
}
