import type { FunctionBuilder, LoadOp, Local, StoreOp } from '../../emit'

/** How the elements of a contraction lie in vectors, and how they are multiplied and added. */
export interface Element {
  readonly dtype: 'float32' | 'float64' | 'int32'
  readonly bytes: 4 | 8
  /** Elements in a vector. */
  readonly lanes: 4 | 2
  readonly type: 'f32' | 'f64' | 'i32'
  readonly load: LoadOp
  readonly store: StoreOp
  /** Loads one element into every lane. */
  readonly loadSplat: LoadOp
  readonly addOp: 'f32x4.add' | 'f64x2.add' | 'i32x4.add'
  readonly mulOp: 'f32x4.mul' | 'f64x2.mul' | 'i32x4.mul'
  readonly fusedOp: 'f32x4.relaxed_madd' | 'f64x2.relaxed_madd' | null
}

const float32: Element = {
  dtype: 'float32',
  bytes: 4,
  lanes: 4,
  type: 'f32',
  load: 'f32.load',
  store: 'f32.store',
  loadSplat: 'v128.load32_splat',
  addOp: 'f32x4.add',
  mulOp: 'f32x4.mul',
  fusedOp: 'f32x4.relaxed_madd',
}

const float64: Element = {
  dtype: 'float64',
  bytes: 8,
  lanes: 2,
  type: 'f64',
  load: 'f64.load',
  store: 'f64.store',
  loadSplat: 'v128.load64_splat',
  addOp: 'f64x2.add',
  mulOp: 'f64x2.mul',
  fusedOp: 'f64x2.relaxed_madd',
}

const int32: Element = {
  dtype: 'int32',
  bytes: 4,
  lanes: 4,
  type: 'i32',
  load: 'i32.load',
  store: 'i32.store',
  loadSplat: 'v128.load32_splat',
  addOp: 'i32x4.add',
  mulOp: 'i32x4.mul',
  fusedOp: null,
}

const elements = { float32, float64, int32 }
export const elementOf = (dtype: Element['dtype']): Element => elements[dtype]

/** sum += a * b, in every lane. */
export function multiplyAdd(
  f: FunctionBuilder,
  element: Element,
  relaxed: boolean,
  a: Local<'v128'>,
  b: Local<'v128'>,
  sum: Local<'v128'>,
): void {
  if (relaxed && element.fusedOp) f.get(a).get(b).get(sum).op(element.fusedOp).set(sum)
  else f.get(sum).get(a).get(b).op(element.mulOp).op(element.addOp).set(sum)
}
