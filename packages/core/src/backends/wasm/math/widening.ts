import type { Vec, VectorGraph } from './graph'

/** The four f32 lanes as two f64 vectors. */
export function widen(graph: VectorGraph, x: Vec): readonly [Vec, Vec] {
  return [
    graph.op('f64x2.promote_low_f32x4', x),
    graph.op('f64x2.promote_low_f32x4', graph.shuffle32(x, x, 2, 3, 2, 3)),
  ]
}

/** Two f64 vectors as the four lanes of one f32 vector. */
export function narrow(graph: VectorGraph, low: Vec, high: Vec): Vec {
  return graph.shuffle32(
    graph.op('f32x4.demote_f64x2_zero', low),
    graph.op('f32x4.demote_f64x2_zero', high),
    0,
    1,
    4,
    5,
  )
}
