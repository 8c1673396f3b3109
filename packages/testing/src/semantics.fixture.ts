/** The twins of the programs in scripts/golden/semantics.py: same names, same meanings. */
import { lax, linalg, type NDArray, np, special } from '@adjoint/core'
import {
  associativeScan,
  checkpoint,
  cond,
  customJvp,
  customVjp,
  foriLoop,
  grad,
  hessian,
  jacfwd,
  jacrev,
  jvp,
  linearize,
  map,
  scan,
  stopGradient,
  switchCase,
  vmap,
  whileLoop,
} from '@adjoint/transforms'

type Results = NDArray | readonly NDArray[]
export type Program = (...args: NDArray[]) => Results
type Fn = (x: NDArray) => NDArray

const one = (): NDArray => np.array(1, { dtype: 'float32' })
const zero = (): NDArray => np.array(0, { dtype: 'float32' })
const two = (): NDArray => np.array(2, { dtype: 'float32' })

const g: Fn = (x) => np.sin(x).mul(x.pow(2))
const h: Fn = (x) => np.prod(np.sin(x)).add(np.sum(x.pow(3)).mul(x.get(0)))

const relu: Fn = customJvp((x: NDArray) => np.maximum(x, 0)).defjvp(([x], [t]) => [
  relu(x),
  t.mul(x).mul(10),
])
const clip: Fn = customVjp((x: NDArray) => x.mul(1)).defvjp(
  (x) => [x, x],
  (r, yBar) => [np.clip(yBar, -1, 1).mul(r)],
)
const withClip: Fn = (x) => np.sum(clip(x).mul(3))
const step = (c: NDArray, v: NDArray): [NDArray, NDArray] => [np.sin(c.mul(v)), c]

const layout = ['NHWC', 'HWIO', 'NHWC'] as const
const branches = [np.sin, np.cos, (u: NDArray) => u.mul(u)] as const
const unary = (f: (x: NDArray) => NDArray): Program => f
const binary = (f: (x: NDArray, y: NDArray) => NDArray): Program => f

export const programs: { readonly [name: string]: Program } = {
  // --- elementwise: special points
  abs: unary(np.abs),
  sign: unary(np.sign),
  floor: unary(np.floor),
  ceil: unary(np.ceil),
  exp: unary(np.exp),
  expm1: unary(np.expm1),
  log1p: unary(np.log1p),
  sqrt: unary(np.sqrt),
  cbrt: unary(np.cbrt),
  tanh: unary(np.tanh),
  sinh: unary(np.sinh),
  arctan: unary(np.arctan),
  arcsinh: unary(np.arcsinh),
  square: unary(np.square),
  reciprocal: unary(np.reciprocal),
  log: unary(np.log),
  sinc: unary(np.sinc),
  arcsin: unary(np.arcsin),
  arccosh: unary(np.arccosh),
  arctanh: unary(np.arctanh),
  exp2: unary(np.exp2),
  log2: unary(np.log2),
  log10: unary(np.log10),
  rint: unary(np.rint),
  deg2rad: unary(np.deg2rad),
  isnan: unary(np.isnan),
  isinf: unary(np.isinf),
  signbit: unary(np.signbit),
  nan_to_num: unary((x) => np.nanToNum(x)),
  softplus: (x) => np.logaddexp(x, 0),
  logSigmoid: (x) => np.logaddexp(x.neg(), 0).neg(),
  sigmoid: unary(special.expit),
  clip: (x) => np.clip(x, -1, 1),
  clipBounds: (x, low, high) => np.clip(x, low, high),
  roundDecimals: (x) => np.round(x, 1),

  // --- binary: ties, signs, NaN
  maximum: binary(np.maximum),
  minimum: binary(np.minimum),
  fmax: binary(np.fmax),
  fmin: binary(np.fmin),
  arctan2: binary(np.arctan2),
  hypot: binary(np.hypot),
  logaddexp: binary(np.logaddexp),
  logaddexp2: binary(np.logaddexp2),
  copysign: binary(np.copysign),
  subtract: binary(np.subtract),
  multiply: binary(np.multiply),
  true_divide: binary(np.trueDivide),
  heaviside: binary(np.heaviside),
  greater: binary(np.greater),
  equal: binary(np.equal),
  not_equal: binary(np.notEqual),
  float_power: binary(np.floatPower),
  remainder: binary(np.remainder),
  fmod: binary(np.fmod),
  floor_divide: binary(np.floorDivide),
  laxRem: binary(lax.rem),
  laxDiv: binary(lax.div),
  intDivide: binary(np.divide),
  power: binary(np.power),
  power0: (x) => x.pow(0),
  power1: (x) => x.pow(1),
  power2: (x) => x.pow(2),
  power3: (x) => x.pow(3),
  powerminus1: (x) => x.pow(-1),
  powerminus2: (x) => x.pow(-2),
  powerHalf: (x) => x.pow(0.5),
  xlogy: binary(special.xlogy),
  xlog1py: binary(special.xlog1py),
  whereNan: (x) => np.where(x.greater(0), np.sqrt(x), 0),
  doubleWhere: (x) => np.where(x.greater(0), np.sqrt(np.where(x.greater(0), x, 1)), 0),
  whereBroadcast: (x, y) => np.where(x.greater(y), x, y),

  // --- promotion
  intPlusHalf: (x) => x.add(0.5),
  intPlusOne: (x) => x.add(1),
  boolSum: (x) => np.sum(x.greater(0)),
  boolMean: (x) => np.mean(x.greater(0)),
  boolTimesFloat: (x) => x.greater(0).mul(x),
  intTimesFloat: (i, x) => i.mul(x),
  halfChain: (x) => x.astype('float16').mul(3.3).astype('float32'),
  bfloatChain: (x) =>
    x
      .astype('bfloat16')
      .add(np.array(1, { dtype: 'float16' }))
      .astype('float32'),
  toInt: (x) => x.astype('int32'),
  toUint8: (x) => x.astype('uint8'),
  intToUint8: (x) => x.astype('uint8'),
  straightThrough: (x) => x.add(stopGradient(np.round(x).sub(x))),

  // --- reductions
  max: (x) => np.max(x),
  min: (x) => np.min(x),
  maxAxis: (x) => np.max(x, 1),
  sum: (x) => np.sum(x),
  sumAxis: (x) => np.sum(x, 0),
  mean: (x) => np.mean(x),
  prod: (x) => np.prod(x),
  prodAxis: (x) => np.prod(x, 0),
  std: (x) => np.std(x),
  var: (x) => np.var(x, { ddof: 1 }),
  norm: (x) => linalg.norm(x),
  normOne: (x) => linalg.norm(x, 1),
  normInf: (x) => linalg.norm(x, Infinity),
  ptp: (x) => np.ptp(x),
  median: (x) => np.median(x),
  quantile: (x) => np.quantile(x, np.array([0.25, 0.9])),
  argmax: (x) => np.argmax(x),
  argmin: (x) => np.argmin(x),
  any: (x) => np.any(x),
  all: (x) => np.all(x),
  nansum: (x) => np.nansum(x),
  nanmean: (x) => np.nanmean(x),
  nanmax: (x) => np.nanmax(x),
  logsumexp: (x) => special.logsumexp(x),
  softmax: (x) => {
    const e = np.exp(x.sub(stopGradient(np.max(x))))
    return e.div(np.sum(e))
  },
  logSoftmax: (x) => x.sub(special.logsumexp(x)),
  logsumexpAxis: (x) => special.logsumexp(x, { axis: 0, keepdims: true }),
  average: (x, w) => np.average(x, { weights: w }),

  // --- cumulative
  cumsum: (x) => np.cumsum(x),
  cumprod: (x) => np.cumprod(x),
  cummax: (x) => lax.cummax(x),
  cummin: (x) => lax.cummin(x),
  cumlogsumexp: (x) => lax.cumlogsumexp(x),
  cummaxReverse: (x) => lax.cummax(x, { reverse: true }),
  cumminReverse: (x) => lax.cummin(x, { reverse: true }),
  cumlogsumexpReverse: (x) => lax.cumlogsumexp(x, { reverse: true }),
  cumsumAxis: (x) => np.cumsum(x, 0),

  // --- sorting
  sort: (x) => np.sort(x),
  sortAxis: (x) => np.sort(x, 0),
  argsort: (x) => np.argsort(x),
  sortDescending: (x) => np.sort(x, { descending: true }),
  topK: (x) => lax.topK(x, 2),

  // --- products
  matmul: binary(np.matmul),
  matmulNan: binary(np.matmul),
  dot: binary(np.dot),
  tensordot: (x, y) =>
    np.tensordot(x, y, [
      [1, 0],
      [0, 1],
    ]),
  outer: binary(np.outer),
  einsumTrace: (x) => np.einsum('ii', x),
  einsumDiagonal: (x) => np.einsum('ii->i', x),
  einsumChain: (x, y, z) => np.einsum('ij,jk,kl->il', x, y, z),
  einsumBroadcast: (x, y) => np.einsum('...ij,jk->...ki', x, y),
  einsumBilinear: (x, w, y) => np.einsum('bi,oij,bj->bo', x, w, y),
  cross: (x, y) => np.cross(x, y),
  kron: binary(np.kron),
  cholesky: (x) => linalg.cholesky(x),
  triangularSolve: (a, b) => linalg.solveTriangular(a, b, { lower: true }),

  // --- convolution and pooling
  convValid: (x, w) => lax.convGeneralDilated(x, w, [1, 1], 'VALID'),
  convSame: (x, w) => lax.convGeneralDilated(x, w, [2, 1], 'SAME'),
  convPadding: (x, w) =>
    lax.convGeneralDilated(
      x,
      w,
      [1, 2],
      [
        [2, -1],
        [0, 3],
      ],
    ),
  convDilated: (x, w) =>
    lax.convGeneralDilated(
      x,
      w,
      [1, 1],
      [
        [1, 1],
        [0, 2],
      ],
      { lhsDilation: [2, 1], rhsDilation: [1, 2] },
    ),
  convGroups: (x, w) => lax.convGeneralDilated(x, w, [1, 1], 'VALID', { featureGroupCount: 2 }),
  convBatchGroups: (x, w) => lax.convGeneralDilated(x, w, [1, 1], 'VALID', { batchGroupCount: 2 }),
  convNhwc: (x, w) => lax.convGeneralDilated(x, w, [1, 1], 'SAME', { dimensionNumbers: layout }),
  convTransposed: (x, w) => lax.convTranspose(x, w, [2, 2], 'SAME', { dimensionNumbers: layout }),
  convolve: (x, w) => np.convolve(x, w, 'same'),
  maxPool: (x) => lax.reduceWindow(x, -Infinity, lax.max, [2, 2], [1, 1], 'SAME'),
  maxPoolStride: (x) => lax.reduceWindow(x, -Infinity, lax.max, [2, 2], [2, 2], 'VALID'),
  sumPool: (x) =>
    lax.reduceWindow(
      x,
      0,
      lax.add,
      [2, 3],
      [1, 2],
      [
        [1, 0],
        [0, 2],
      ],
    ),
  sumPoolDilated: (x) =>
    lax.reduceWindow(x, 0, lax.add, [2], [1], 'VALID', { baseDilation: [2], windowDilation: [3] }),

  // --- shapes and indices
  reversed: (x) => x.get('::-1'),
  strided: (x) => x.get('3:0:-2'),
  indexStaticOut: (x) => x.get(7),
  indexStaticBelow: (x) => x.get(-9),
  indexTraced: (x, i) => x.get(i),
  indexArray: (x, i) => x.get(i),
  indexPairs: (x, i) => x.get(i, '::-1'),
  take: (x, i) => np.take(x, i),
  takeClip: (x, i) => np.take(x, i, { mode: 'clip' }),
  takeWrap: (x, i) => np.take(x, i, { mode: 'wrap' }),
  takeAlongAxis: (x, i) => np.takeAlongAxis(x, i, 1),
  getFill: (x, i) => x.at(i).get({ mode: 'fill', fillValue: -5 }),
  atSet: (x, i, v) => x.at(i).set(v),
  atAdd: (x, i, v) => x.at(i).add(v),
  atMul: (x, i, v) => x.at(i).mul(v),
  atMax: (x, i, v) => x.at(i).max(v),
  atSetClip: (x, i, v) => x.at(i).set(v, { mode: 'clip' }),
  atSetScalar: (x, v) => x.at('1:3').set(v),
  dynamicSlice: (x, i) => lax.dynamicSlice(x, [i], [2]),
  dynamicUpdateSlice: (x, u, i) => lax.dynamicUpdateSlice(x, u, [i]),
  padNegative: (x, v) => lax.pad(x, v, [[-1, 2, 1]]),
  padReflect: (x) => np.pad(x, [2, 1], { mode: 'reflect' }),
  padEdge: (x) => np.pad(x, [2, 1], { mode: 'edge' }),
  roll: (x) => np.roll(x, 5),
  tile: (x) => np.tile(x, [2, 2]),
  repeat: (x) => np.repeat(x, 2),
  diag: (x) => np.diag(x),
  tril: (x) => np.tril(x),
  broadcastTo: (x) => np.broadcastTo(x, [2, 4]),
  concatenateEmpty: (x, y) => np.concatenate([x, y, x]),
  expandSqueeze: (x) => np.squeeze(x.get(null, ':', null)),
  searchsorted: (x, v) => np.searchsorted(x, v),
  interp: (x, xp, fp) => np.interp(x, xp, fp),
  diff: (x) => np.diff(x, 2),

  // --- control flow
  scan: (x) => scan((c: NDArray, v: NDArray) => [c.mul(v), c.add(v)], one(), x),
  scanReverse: (x) =>
    scan((c: NDArray, v: NDArray) => [np.sin(c).mul(v), c], one(), x, { reverse: true }),
  scanClosure: (a, x) => scan((c: NDArray, v: NDArray) => [a.mul(c).add(v), null], zero(), x)[0],
  scanOfScan: (x) =>
    scan(
      (c: NDArray, v: NDArray) => [
        scan((d: NDArray, w: NDArray) => [d.mul(w).add(v), null], c, x)[0],
        c,
      ],
      one(),
      x,
    )[0],
  fori: (x) => foriLoop(0, 3, (i, c: NDArray) => c.mul(x).add(i), x),
  cond: (p, x) => cond(p.greater(0), np.sin, (v: NDArray) => v.mul(v), x),
  condShielded: (x) => cond(x.greater(0), np.log, (v: NDArray) => v.mul(0), x),
  condMapped: vmap((v: NDArray) =>
    cond(v.greater(0), np.log, (u: NDArray) => u.mul(u), v),
  ) as Program,
  switch: (i, x) => switchCase(i, branches, x),
  switchMapped: vmap((j: NDArray, v: NDArray) => switchCase(j, branches, v)) as Program,
  whileForward: (x) =>
    jvp(
      (v: NDArray) =>
        whileLoop(
          (c: NDArray) => c.less(20),
          (c: NDArray) => c.mul(v),
          v,
        ),
      [x],
      [one()],
    )[1],
  whileMapped: vmap((v: NDArray) =>
    whileLoop(
      ([c]: [NDArray, NDArray]) => c.less(10),
      ([c, n]: [NDArray, NDArray]): [NDArray, NDArray] => [c.mul(2).add(1), n.add(1)],
      [v, np.array(0, { dtype: 'int32' })] as [NDArray, NDArray],
    ),
  ) as Program,
  associativeScan: (x) => associativeScan((a: NDArray, b: NDArray) => a.mul(b), x),
  associativeScanAffine: (a, b) =>
    associativeScan(
      (p: [NDArray, NDArray], q: [NDArray, NDArray]): [NDArray, NDArray] => [
        q[0].mul(p[0]),
        q[0].mul(p[1]).add(q[1]),
      ],
      [a, b],
      { reverse: true },
    ),
  map: (x) => map((v: NDArray) => np.sin(v).mul(x.get(0)), x),

  // --- transformations in each other
  gradGrad: grad(grad(g)),
  gradGradGrad: grad(grad(grad(g))),
  perturbation: (x) =>
    grad((y: NDArray) => y.mul(grad((z: NDArray) => y.add(z.mul(y).mul(z)))(two())))(x),
  jvpOfGrad: (x) => jvp(grad(h), [x], [np.onesLike(x)])[1],
  gradOfJvp: grad((v: NDArray) => jvp(h, [v], [v])[1]),
  hessian: hessian(h),
  jacfwdJacrev: jacfwd(jacrev(h)),
  jacrevJacfwd: jacrev(jacfwd(h)),
  jacrevJacrev: jacrev(jacrev(h)),
  vmapGrad: vmap(grad(g)),
  gradOfVmap: grad((v: NDArray) => np.sum(vmap(g)(v).mul(v))),
  vmapHessian: vmap(hessian(h)),
  vmapVmap: (x, y) => vmap((a: NDArray) => vmap((b: NDArray) => np.sin(a.mul(b)))(y))(x),
  vmapOuter: (x) => vmap((r: NDArray, c: NDArray) => np.dot(r, c), { inAxes: [0, 1] })(x, x),
  vmapOutAxis: vmap((r: NDArray) => r.mul(2), { inAxes: 1, outAxes: 1 }),
  closureOverTracer: (x) =>
    grad((y: NDArray) => np.sum(vmap((v: NDArray) => v.mul(y).mul(x.get(0)))(x)))(two()),
  linearizeTwice: (x) => linearize((v: NDArray) => linearize(g, v)[1](v.mul(v)), x)[1](one()),
  stopGradient: (x) => x.mul(stopGradient(x)),
  checkpoint: checkpoint(h),
  checkpointScan: (x) => scan(checkpoint(step), one(), x),
  customJvp: (x) => relu(x).mul(x),
  customJvpMapped: vmap(grad(relu)),
  customVjp: withClip,
  customVjpScan: (x) => scan((c: NDArray, v: NDArray) => [clip(c).mul(v), c], one(), x),
}
