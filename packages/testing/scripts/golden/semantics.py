"""Values and gradients where conventions decide, computed by JAX: python semantics.py > ../../test-data/semantics.json

Each program here has its twin of the same name in src/semantics.fixture.ts. For each list of inputs
the value is recorded, and the gradient of its weighted sum in all floating point inputs; for `twice`
also the gradient of the weighted sum of the first gradient. Inputs are written into the data.
"""
import json
import sys

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

INF, NAN = float('inf'), float('nan')
cases = []


def number(v):
    v = float(v)
    if np.isnan(v):
        return 'nan'
    if np.isinf(v):
        return 'inf' if v > 0 else '-inf'
    if v == 0:
        return '-0' if np.signbit(v) else 0
    return int(v) if v == int(v) and abs(v) < 2**53 else float(str(np.float32(v)))


def encode(x):
    a = np.asarray(x)
    return {'dtype': a.dtype.name, 'shape': list(a.shape), 'data': [number(v) for v in a.ravel()]}


def f32(x):
    return jnp.asarray(x, jnp.float32)


def i32(x):
    return jnp.asarray(x, jnp.int32)


def leaves(x):
    return jax.tree.leaves(x)


def weighted(outputs):
    """A scalar that tells all elements apart: weights 1, 1.5, 2, …"""
    total = f32(0)
    for y in leaves(outputs):
        if jnp.issubdtype(y.dtype, jnp.floating):
            total = total + jnp.sum(y.astype(jnp.float32) * (1 + f32(jnp.arange(y.size)) / 2).reshape(y.shape))
    return total


def case(name, f, *inputs, twice=False, gradient=True, compiled=True):
    """inputs: lists of arguments, each an array; a bare array is a list of one.

    Compiled unless XLA's simplifications lose a NaN or a sign that the single operations keep."""
    for args in inputs:
        args = args if isinstance(args, tuple) else (args,)
        args = [x if isinstance(x, jax.Array) else f32(x) for x in args]
        argnums = tuple(i for i, x in enumerate(args) if jnp.issubdtype(x.dtype, jnp.floating))
        floating = any(jnp.issubdtype(y.dtype, jnp.floating) for y in leaves(jax.eval_shape(f, *args)))
        first = jax.grad(lambda *xs: weighted(f(*xs)), argnums)
        second = jax.grad(lambda *xs: weighted(first(*xs)), argnums)
        programs = {'value': f}
        if gradient and floating and argnums:
            programs['gradients'] = first
            if twice:
                programs['second'] = second
        run = lambda *xs: {key: leaves(p(*xs)) for key, p in programs.items()}
        results = (jax.jit(run) if compiled else run)(*args)
        record = {'name': name, 'args': [encode(x) for x in args]}
        cases.append(record | {key: [encode(y) for y in results[key]] for key in programs})
        print(json.dumps(cases[-1], separators=(',', ':')), file=sys.stderr, flush=True)


def softmax(x):
    e = jnp.exp(x - lax.stop_gradient(jnp.max(x)))
    return e / jnp.sum(e)


def log_softmax(x):
    return x - jax.scipy.special.logsumexp(x)


EDGES = [-INF, -2.0, -1.0, -0.5, -0.0, 0.0, 0.5, 1.0, 2.0, INF, NAN]
TAME = [-2.0, -1.0, -0.5, 0.25, 0.5, 1.0, 2.5]

# --- elementwise: special points -------------------------------------------------------------------
for name in ['abs', 'sign', 'floor', 'ceil', 'exp', 'expm1', 'log1p', 'sqrt', 'cbrt', 'tanh', 'sinh', 'arctan',
             'arcsinh', 'square', 'reciprocal', 'log', 'sinc', 'arcsin', 'arccosh', 'arctanh', 'exp2', 'log2', 'log10',
             'rint', 'deg2rad', 'isnan', 'isinf', 'signbit', 'nan_to_num']:
    case(name, getattr(jnp, name), EDGES)
for name in ['tanh', 'expm1', 'log1p', 'square', 'sinh', 'sinc', 'arctan', 'cbrt', 'exp2', 'reciprocal']:
    case(name, getattr(jnp, name), TAME if name != 'log1p' else [-0.5, 0.25, 1.0, 3.0], twice=True)
case('expm1', jnp.expm1, [1e-8, -1e-8, 1e-4, 88.0, -100.0])
case('log1p', jnp.log1p, [1e-8, -1e-8, 1e-4, 1e8, -1.0])
case('softplus', jax.nn.softplus, [-100.0, -20.0, -1.0, 0.0, 1.0, 20.0, 100.0, INF, -INF], twice=True)
case('logSigmoid', jax.nn.log_sigmoid, [-100.0, -20.0, -1.0, 0.0, 1.0, 20.0, 100.0, INF, -INF], twice=True)
case('sigmoid', jax.nn.sigmoid, [-100.0, -20.0, -1.0, 0.0, 1.0, 20.0, 100.0, INF, -INF], twice=True)
case('clip', lambda x: jnp.clip(x, -1, 1), [-2.0, -1.0, 0.0, 1.0, 2.0, NAN, INF])
case('clipBounds', lambda x, lo, hi: jnp.clip(x, lo, hi), ([0.0, 1.0, 2.0, 3.0], [1.0], [2.0]), ([0.0, 5.0], [3.0, 3.0], [1.0, 1.0]))
case('roundDecimals', lambda x: jnp.round(x, 1), [0.25, 0.35, -1.25, 2.5, 1e6])

# --- binary: ties, signs, NaN -----------------------------------------------------------------------
A = [1.0, 2.0, 2.0, 0.0, -0.0, NAN, 1.0, INF, -INF, INF]
B = [2.0, 1.0, 2.0, -0.0, 0.0, 1.0, NAN, INF, 1.0, -INF]
for name in ['maximum', 'minimum', 'fmax', 'fmin', 'arctan2', 'hypot', 'logaddexp', 'logaddexp2', 'copysign', 'subtract',
             'multiply', 'true_divide', 'heaviside', 'greater', 'equal', 'not_equal', 'float_power']:
    # Where an operand of logaddexp is NaN the result is, and no gradient is asked for.
    known = [i for i in range(len(A)) if not (name.startswith('logaddexp') and np.isnan(A[i] + B[i]) and i in (5, 6))]
    case(name, getattr(jnp, name), ([A[i] for i in known], [B[i] for i in known]))
for name in ['remainder', 'fmod', 'floor_divide']:
    case(name, getattr(jnp, name), ([5.0, -5.0, 5.0, -5.0, 1.0, 0.0, 5.5, -0.5], [3.0, 3.0, -3.0, -3.0, 0.0, 2.0, INF, 1.0]))
    case(name, getattr(jnp, name), (i32([7, -7, 7, -7, 0, 5, 2147483647]), i32([3, 3, -3, -3, 3, 1, -1])))
case('laxRem', lax.rem, ([5.0, -5.0, 5.5], [3.0, 3.0, -2.0]), (i32([7, -7, 7, -7]), i32([3, 3, -3, -3])))
case('laxDiv', lax.div, (i32([7, -7, 7, -7, 8]), i32([3, 3, -3, -3, 0])))
case('intDivide', lambda x, y: jnp.divide(x, y), (i32([7, -7, 0]), i32([2, 0, 0])))
case('power', jnp.power, ([0.0, 0.0, 0.0, 1.0, 2.0, -2.0, -8.0, 4.0, INF, NAN, 1.0, 2.0], [0.0, 1.0, 2.0, NAN, 3.0, 2.0, 3.0, 0.5, 0.0, 0.0, INF, -1.0]))
case('power', jnp.power, ([0.5, 1.0, 2.0], [2.0, 3.0, -1.5]), twice=True)
case('power', jnp.power, (i32([2, 0, -3, 5]), i32([10, 0, 3, 1])))
for n in [0, 1, 2, 3, -1, -2]:
    case(f'power{n}'.replace('-', 'minus'), lambda x, n=n: x ** n, [-2.0, 0.0, 1.0, 3.0], twice=n >= 0)
case('powerHalf', lambda x: x ** 0.5, [0.0, 1.0, 4.0, -1.0])
case('xlogy', jax.scipy.special.xlogy, ([1.0, 2.0, 0.0, 0.0], [0.0, 3.0, 2.0, NAN]))
case('xlogy', jax.scipy.special.xlogy, ([0.0], [0.0]), gradient=False)
case('xlog1py', jax.scipy.special.xlog1py, ([2.0, 0.0], [3.0, 2.0]))
case('xlog1py', jax.scipy.special.xlog1py, ([0.0], [-1.0]), gradient=False)
case('whereNan', lambda x: jnp.where(x > 0, jnp.sqrt(x), 0.0), [-1.0, 0.0, 4.0])
case('doubleWhere', lambda x: jnp.where(x > 0, jnp.sqrt(jnp.where(x > 0, x, 1.0)), 0.0), [-1.0, 0.0, 4.0], twice=True)
case('whereBroadcast', lambda x, y: jnp.where(x > y, x, y), ([[1.0, 2.0], [3.0, 4.0]], [2.0, 3.0]))

# --- promotion ----------------------------------------------------------------------------------------
case('intPlusHalf', lambda x: x + 0.5, i32([1, 2]))
case('intPlusOne', lambda x: x + 1, i32([2147483647, 2]))
case('boolSum', lambda x: jnp.sum(x > 0), [1.0, -1.0, 2.0])
case('boolMean', lambda x: jnp.mean(x > 0), [1.0, -1.0, 2.0])
case('boolTimesFloat', lambda x: (x > 0) * x, [1.0, 0.0, 2.0])
case('intTimesFloat', lambda i, x: i * x, (i32([1, 2]), [0.5, 0.25]))
case('halfChain', lambda x: (x.astype(jnp.float16) * 3.3).astype(jnp.float32), [0.1, 1.5, 1000.0])
case('bfloatChain', lambda x: (x.astype(jnp.bfloat16) + jnp.float16(1)).astype(jnp.float32), [0.1, 1.5, 1000.0])
case('toInt', lambda x: x.astype(jnp.int32), [1.7, -1.7, 3e9, -3e9, NAN, INF])
case('toUint8', lambda x: x.astype(jnp.uint8), [1.7, -1.7, 300.0, NAN])
case('intToUint8', lambda x: x.astype(jnp.uint8), i32([-1, 256, 300]))
case('straightThrough', lambda x: x + lax.stop_gradient(jnp.round(x) - x), [0.3, 0.7, 1.5])

# --- reductions -----------------------------------------------------------------------------------------
case('max', jnp.max, [NAN, 1.0], compiled=False)
case('min', jnp.min, [NAN, 1.0], compiled=False)
case('max', jnp.max, [1.0, 3.0, 3.0, 2.0], [2.0], [-INF, -INF], [-0.0, 0.0])
case('min', jnp.min, [1.0, 3.0, 1.0, 2.0], [0.0, -0.0])
case('maxAxis', lambda x: jnp.max(x, axis=1), [[1.0, 1.0, 0.0], [2.0, 3.0, 3.0]])
case('sum', jnp.sum, np.zeros([0]), [INF, -INF], [1.0, NAN], 3.0)
case('sumAxis', lambda x: jnp.sum(x, axis=0), np.zeros([0, 3]), np.zeros([3, 0]), [[1.0, 2.0], [3.0, 4.0]])
case('mean', jnp.mean, [1.0, 2.0], np.zeros([0]), 3.0)
case('prod', jnp.prod, [1.0, 2.0, 3.0], [0.0, 2.0, 3.0], [0.0, 0.0, 3.0], np.zeros([0]), [[1.0, 0.0], [2.0, 0.5]], twice=True)
case('prodAxis', lambda x: jnp.prod(x, axis=0), [[1.0, 0.0, 2.0], [3.0, 4.0, 0.0]])
case('std', jnp.std, [1.0, 2.0, 4.0], [2.0, 2.0])
case('var', lambda x: jnp.var(x, ddof=1), [1.0, 2.0, 4.0], twice=True)
case('norm', jnp.linalg.norm, [3.0, 4.0], [0.0, 0.0])
case('normOne', lambda x: jnp.linalg.norm(x, 1), [3.0, -4.0, 0.0])
case('normInf', lambda x: jnp.linalg.norm(x, jnp.inf), [3.0, -4.0, 4.0])
case('ptp', jnp.ptp, [3.0, 1.0, 3.0])
case('median', jnp.median, [3.0, 1.0, 2.0], [4.0, 1.0, 2.0, 3.0], [1.0, NAN])
case('quantile', lambda x: jnp.quantile(x, jnp.array([0.25, 0.9])), [4.0, 1.0, 2.0, 3.0])
case('argmax', jnp.argmax, [1.0, 3.0, 3.0], [1.0, NAN, 5.0], [-0.0, 0.0], gradient=False)
case('argmin', jnp.argmin, [1.0, 0.0, 0.0], [1.0, NAN, 5.0], gradient=False)
case('any', lambda x: jnp.any(x), [0.0, NAN], [0.0, 0.0], np.zeros([0]))
case('all', lambda x: jnp.all(x), [1.0, NAN], [1.0, 0.0], np.zeros([0]))
case('nansum', jnp.nansum, [1.0, NAN, 2.0])
case('nanmean', jnp.nanmean, [1.0, NAN, 2.0])
case('nanmax', jnp.nanmax, [1.0, NAN, 2.0], [NAN, NAN])
for name, f in [('logsumexp', jax.scipy.special.logsumexp), ('softmax', softmax), ('logSoftmax', log_softmax)]:
    case(name, f, [1.0, 2.0, 3.0], [90.0, 90.0], [-1000.0, 0.0, 1000.0], [0.0, -INF], twice=True)
case('logsumexp', jax.scipy.special.logsumexp, [-INF, -INF], [INF, 1.0], [NAN, 1.0], 5.0)
case('logsumexpAxis', lambda x: jax.scipy.special.logsumexp(x, axis=0, keepdims=True), [[1.0, 2.0], [1.0, -3.0]], twice=True)
case('average', lambda x, w: jnp.average(x, weights=w), ([1.0, 2.0, 3.0], [1.0, 0.0, 3.0]))

# --- cumulative ---------------------------------------------------------------------------------------
for name in ['cumsum', 'cumprod']:
    case(name, getattr(jnp, name), [1.0, 0.0, 2.0, 3.0], np.zeros([0]), [1.0, 2.0, 3.0], twice=True)
for name, f in [('cummax', lax.cummax), ('cummin', lax.cummin), ('cumlogsumexp', lax.cumlogsumexp)]:
    case(name, f, [1.0, 3.0, 3.0, 2.0], [1.0, NAN, 2.0], [-INF, 0.0, 1.0])
    case(name + 'Reverse', lambda x, f=f: f(x, reverse=True), [1.0, 3.0, 3.0, 2.0])
case('cumsumAxis', lambda x: jnp.cumsum(x, axis=0), [[1.0, 2.0], [3.0, 4.0]])

# --- sorting ------------------------------------------------------------------------------------------
case('sort', jnp.sort, [3.0, 1.0, 2.0, 1.0], [NAN, 1.0, -INF, INF, 0.0], [0.0, -0.0, 0.0], np.zeros([0]))
case('sortAxis', lambda x: jnp.sort(x, axis=0), [[3.0, 1.0], [2.0, 5.0]])
case('argsort', jnp.argsort, [3.0, 1.0, 2.0, 1.0], [NAN, 1.0, NAN, 0.0], gradient=False)
case('sortDescending', lambda x: jnp.sort(x, descending=True), [3.0, NAN, 2.0, 1.0])
case('topK', lambda x: tuple(lax.top_k(x, 2)), [3.0, 1.0, 3.0, 2.0], [1.0, NAN, 2.0], [[1.0, 2.0, 3.0], [6.0, 5.0, 4.0]])

# --- products -----------------------------------------------------------------------------------------
M = np.arange(6.0).reshape(2, 3) - 2
case('matmul', jnp.matmul, (M, M.T), ([1.0, 2.0], M), (M, [1.0, 2.0, 3.0]), (np.ones([2, 1, 2, 3]), np.arange(9.0).reshape(3, 3)), (np.zeros([2, 0]), np.zeros([0, 3])))
case('matmulNan', jnp.matmul, ([[0.0, 1.0]], [[NAN], [1.0]]), ([[0.0]], [[INF]]))
case('dot', jnp.dot, (2.0, [1.0, 2.0]), ([1.0, 2.0], [3.0, 4.0]), (np.ones([2, 3]), np.ones([2, 3, 4])))
case('tensordot', lambda x, y: jnp.tensordot(x, y, ((1, 0), (0, 1))), (M, M.T))
case('outer', jnp.outer, ([1.0, 2.0], [3.0, 4.0, 5.0]))
case('einsumTrace', lambda x: jnp.einsum('ii', x), [[1.0, 2.0], [3.0, 4.0]])
case('einsumDiagonal', lambda x: jnp.einsum('ii->i', x), [[1.0, 2.0], [3.0, 4.0]])
case('einsumChain', lambda x, y, z: jnp.einsum('ij,jk,kl->il', x, y, z), (M, M.T, M))
case('einsumBroadcast', lambda x, y: jnp.einsum('...ij,jk->...ki', x, y), (np.arange(12.0).reshape(2, 2, 3), M.T))
case('einsumBilinear', lambda x, w, y: jnp.einsum('bi,oij,bj->bo', x, w, y), (M, np.arange(12.0).reshape(2, 3, 2) / 4, [[1.0, 2.0], [3.0, -1.0]]))
case('cross', jnp.cross, ([1.0, 2.0, 3.0], [4.0, 5.0, 6.0]))
case('kron', jnp.kron, ([1.0, 2.0], [3.0, 4.0]))
case('cholesky', jnp.linalg.cholesky, [[4.0, 2.0], [2.0, 3.0]], [[1.0, 2.0], [2.0, 1.0]])
case('triangularSolve', lambda a, b: jax.scipy.linalg.solve_triangular(a, b, lower=True), ([[2.0, 0.0], [1.0, 3.0]], [[1.0], [2.0]]))

# --- convolution and pooling ----------------------------------------------------------------------------
IMG = (np.arange(2 * 2 * 5 * 4.0).reshape(2, 2, 5, 4) % 7 - 3) / 4
KER = (np.arange(3 * 2 * 3 * 2.0).reshape(3, 2, 3, 2) % 5 - 2) / 2
case('convValid', lambda x, w: lax.conv_general_dilated(x, w, (1, 1), 'VALID'), (IMG, KER))
case('convSame', lambda x, w: lax.conv_general_dilated(x, w, (2, 1), 'SAME'), (IMG, KER))
case('convPadding', lambda x, w: lax.conv_general_dilated(x, w, (1, 2), [(2, -1), (0, 3)]), (IMG, KER))
case('convDilated', lambda x, w: lax.conv_general_dilated(x, w, (1, 1), [(1, 1), (0, 2)], lhs_dilation=(2, 1), rhs_dilation=(1, 2)), (IMG, KER))
case('convGroups', lambda x, w: lax.conv_general_dilated(x, w, (1, 1), 'VALID', feature_group_count=2), (IMG, KER[:2, :1]))
case('convBatchGroups', lambda x, w: lax.conv_general_dilated(x, w, (1, 1), 'VALID', batch_group_count=2), (IMG, KER[:2]))
case('convNhwc', lambda x, w: lax.conv_general_dilated(x, w, (1, 1), 'SAME', dimension_numbers=('NHWC', 'HWIO', 'NHWC')), (IMG.transpose(0, 2, 3, 1), KER.transpose(2, 3, 1, 0)))
case('convTransposed', lambda x, w: lax.conv_transpose(x, w, (2, 2), 'SAME', dimension_numbers=('NHWC', 'HWIO', 'NHWC')), (IMG.transpose(0, 2, 3, 1), KER.transpose(2, 3, 1, 0)))
case('convolve', lambda x, w: jnp.convolve(x, w, 'same'), ([1.0, 2.0, 3.0, 4.0], [1.0, 0.0, -1.0]))
case('maxPool', lambda x: lax.reduce_window(x, -jnp.inf, lax.max, (2, 2), (1, 1), 'SAME'), [[1.0, 1.0, 0.0], [2.0, 2.0, 2.0]])
case('maxPool', lambda x: lax.reduce_window(x, -jnp.inf, lax.max, (2, 2), (1, 1), 'SAME'), [[NAN, 1.0], [0.0, 2.0]], gradient=False)
case('maxPoolStride', lambda x: lax.reduce_window(x, -jnp.inf, lax.max, (2, 2), (2, 2), 'VALID'), np.arange(20.0).reshape(4, 5) % 7)
case('sumPool', lambda x: lax.reduce_window(x, 0.0, lax.add, (2, 3), (1, 2), ((1, 0), (0, 2))), np.arange(20.0).reshape(4, 5))
case('sumPoolDilated', lambda x: lax.reduce_window(x, 0.0, lax.add, (2,), (1,), 'VALID', base_dilation=(2,), window_dilation=(3,)), np.arange(5.0))

# --- shapes and indices -----------------------------------------------------------------------------------
V = [1.0, 2.0, 3.0, 4.0]
case('reversed', lambda x: x[::-1], V)
case('strided', lambda x: x[3:0:-2], V)
case('indexStaticOut', lambda x: x[7], V)
case('indexStaticBelow', lambda x: x[-9], V)
case('indexTraced', lambda x, i: x[i], (V, i32(7)), (V, i32(-1)), (V, i32(-9)))
case('indexArray', lambda x, i: x[i], (V, i32([0, 0, 3, -1, 9, -9])))
case('indexPairs', lambda x, i: x[i, ::-1], (M, i32([1, 0, 1])))
case('take', lambda x, i: jnp.take(x, i), (V, i32([0, 5, -1, -7])))
case('takeClip', lambda x, i: jnp.take(x, i, mode='clip'), (V, i32([0, 5, -1])))
case('takeWrap', lambda x, i: jnp.take(x, i, mode='wrap'), (V, i32([0, 5, -1])))
case('takeAlongAxis', lambda x, i: jnp.take_along_axis(x, i, axis=1), (M, i32([[2, 0], [1, 1]])))
case('getFill', lambda x, i: x.at[i].get(mode='fill', fill_value=-5), (V, i32([0, 9, -1])))
case('atSet', lambda x, i, v: x.at[i].set(v), (V, i32([1, 3]), [9.0, 8.0]), (V, i32([9, -1]), [9.0, 8.0]))
case('atAdd', lambda x, i, v: x.at[i].add(v), (V, i32([1, 1, 9]), [9.0, 8.0, 7.0]))
case('atMul', lambda x, i, v: x.at[i].multiply(v), (V, i32([1, 2]), [9.0, 8.0]), gradient=False)
case('atMax', lambda x, i, v: x.at[i].max(v), (V, i32([1, 1, 2]), [9.0, 8.0, 0.0]), gradient=False)
case('atSetClip', lambda x, i, v: x.at[i].set(v, mode='clip'), (V, i32([9]), [8.0]))
case('atSetScalar', lambda x, v: x.at[1:3].set(v), (V, 9.0))
case('dynamicSlice', lambda x, i: lax.dynamic_slice(x, (i,), (2,)), (V, i32(1)), (V, i32(3)), (V, i32(-9)), (V, i32(9)))
case('dynamicUpdateSlice', lambda x, u, i: lax.dynamic_update_slice(x, u, (i,)), (V, [9.0, 8.0], i32(3)), (V, [9.0, 8.0], i32(-3)))
case('padNegative', lambda x, v: lax.pad(x, v, [(-1, 2, 1)]), (V, 7.0))
case('padReflect', lambda x: jnp.pad(x, (2, 1), mode='reflect'), V)
case('padEdge', lambda x: jnp.pad(x, (2, 1), mode='edge'), V)
case('roll', lambda x: jnp.roll(x, 5), V)
case('tile', lambda x: jnp.tile(x, (2, 2)), V)
case('repeat', lambda x: jnp.repeat(x, 2), V)
case('diag', jnp.diag, V[:2], M)
case('tril', jnp.tril, M)
case('broadcastTo', lambda x: jnp.broadcast_to(x, (2, 4)), V, 3.0)
case('concatenateEmpty', lambda x, y: jnp.concatenate([x, y, x]), (V, np.zeros([0])))
case('expandSqueeze', lambda x: jnp.squeeze(x[None, :, None]), V, [3.0])
case('searchsorted', lambda x, v: jnp.searchsorted(x, v), (V, [0.0, 2.0, 2.5, 9.0, NAN]), gradient=False)
case('interp', lambda x, xp, fp: jnp.interp(x, xp, fp), ([-1.0, 0.5, 1.0, 9.0], [0.0, 1.0, 2.0], [1.0, 3.0, 2.0]))
case('diff', lambda x: jnp.diff(x, 2), V)

# --- control flow -----------------------------------------------------------------------------------------
def scan_prod(x):
    return lax.scan(lambda c, v: (c * v, c + v), f32(1), x)


case('scan', scan_prod, V, [0.0, 2.0, 0.0], np.zeros([0]), twice=True)
case('scanReverse', lambda x: lax.scan(lambda c, v: (jnp.sin(c) * v, c), f32(1), x, reverse=True), V, twice=True)
case('scanClosure', lambda a, x: lax.scan(lambda c, v: (a * c + v, None), f32(0), x)[0], (0.5, V), twice=True)
case('scanOfScan', lambda x: lax.scan(lambda c, v: (lax.scan(lambda d, w: (d * w + v, None), c, x)[0], c), f32(1), x)[0], [0.5, 1.5], twice=True)
case('fori', lambda x: lax.fori_loop(0, 3, lambda i, c: c * x + i, x), 1.5, twice=True)
case('cond', lambda p, x: lax.cond(p > 0, jnp.sin, lambda v: v * v, x), (1.0, 2.0), (-1.0, 2.0), twice=True)
case('condShielded', lambda x: lax.cond(x > 0, jnp.log, lambda v: v * 0, x), 0.0, 2.0)
case('condMapped', lambda x: jax.vmap(lambda v: lax.cond(v > 0, jnp.log, lambda u: u * u, v))(x), [-1.0, 0.0, 2.0])
case('switch', lambda i, x: lax.switch(i, [jnp.sin, jnp.cos, lambda v: v * v], x), (i32(-3), 2.0), (i32(1), 2.0), (i32(9), 2.0))
case('switchMapped', lambda i, x: jax.vmap(lambda j, v: lax.switch(j, [jnp.sin, jnp.cos, lambda u: u * u], v))(i, x), (i32([0, 1, 2, 5]), V))
case('whileForward', lambda x: jax.jvp(lambda v: lax.while_loop(lambda c: c < 20, lambda c: c * v, v), (x,), (f32(1),))[1], 1.5, 3.0, gradient=False)
case('whileMapped', lambda x: jax.vmap(lambda v: lax.while_loop(lambda c: c[0] < 10, lambda c: (c[0] * 2 + 1, c[1] + 1), (v, i32(0))))(x), [0.5, 4.0, 20.0], gradient=False)
case('associativeScan', lambda x: lax.associative_scan(jnp.multiply, x), V, [2.0, 0.0, 3.0], [5.0], twice=True)
case('associativeScanAffine', lambda a, b: lax.associative_scan(lambda p, q: (q[0] * p[0], q[0] * p[1] + q[1]), (a, b), reverse=True), (V, V))
case('map', lambda x: lax.map(lambda v: jnp.sin(v) * x[0], x), V, twice=True)

# --- transformations in each other ---------------------------------------------------------------------
g = lambda x: jnp.sin(x) * x ** 2
h = lambda x: jnp.prod(jnp.sin(x)) + jnp.sum(x ** 3) * x[0]
W = [0.5, -1.0, 2.0]
case('gradGrad', lambda x: jax.grad(jax.grad(g))(x), 0.7, twice=True)
case('gradGradGrad', lambda x: jax.grad(jax.grad(jax.grad(g)))(x), 0.7)
case('perturbation', lambda x: jax.grad(lambda y: y * jax.grad(lambda z: y + z * y * z)(2.0))(x), 3.0, twice=True)
case('jvpOfGrad', lambda x: jax.jvp(jax.grad(h), (x,), (jnp.ones_like(x),))[1], W)
case('gradOfJvp', lambda x: jax.grad(lambda v: jax.jvp(h, (v,), (v,))[1])(x), W)
case('hessian', jax.hessian(h), W)
case('jacfwdJacrev', jax.jacfwd(jax.jacrev(h)), W)
case('jacrevJacfwd', jax.jacrev(jax.jacfwd(h)), W)
case('jacrevJacrev', jax.jacrev(jax.jacrev(h)), W)
case('vmapGrad', jax.vmap(jax.grad(g)), W, twice=True)
case('gradOfVmap', lambda x: jax.grad(lambda v: jnp.sum(jax.vmap(g)(v) * v))(x), W)
case('vmapHessian', jax.vmap(jax.hessian(h)), [W, [1.0, 2.0, 3.0]])
case('vmapVmap', lambda x, y: jax.vmap(lambda a: jax.vmap(lambda b: jnp.sin(a * b))(y))(x), (W, [1.0, 2.0]), twice=True)
case('vmapOuter', lambda x: jax.vmap(lambda r, c: jnp.dot(r, c), in_axes=(0, 1))(x, x), [[1.0, 2.0], [3.0, 4.0]])
case('vmapOutAxis', lambda x: jax.vmap(lambda r: r * 2, in_axes=1, out_axes=1)(x), M)
case('closureOverTracer', lambda x: jax.grad(lambda y: jnp.sum(jax.vmap(lambda v: v * y * x[0])(x)))(2.0), W)
case('linearizeTwice', lambda x: jax.linearize(lambda v: jax.linearize(g, v)[1](v * v), x)[1](f32(1)), 0.7)
case('stopGradient', lambda x: x * lax.stop_gradient(x), W)
case('checkpoint', lambda x: jax.checkpoint(h)(x), W, twice=True)
case('checkpointScan', lambda x: lax.scan(jax.checkpoint(lambda c, v: (jnp.sin(c * v), c)), f32(1), x), W, twice=True)

relu = jax.custom_jvp(lambda x: jnp.maximum(x, 0))
relu.defjvp(lambda p, t: (relu(p[0]), t[0] * p[0] * 10))
case('customJvp', lambda x: relu(x) * x, W, twice=True)
case('customJvpMapped', lambda x: jax.vmap(jax.grad(relu))(x), W)
clip = jax.custom_vjp(lambda x: x * 1.0)
clip.defvjp(lambda x: (x, x), lambda r, g: (jnp.clip(g, -1, 1) * r,))
case('customVjp', lambda x: jnp.sum(clip(x) * 3), W, twice=True)
case('customVjpScan', lambda x: lax.scan(lambda c, v: (clip(c) * v, c), f32(1), x), W)

print('{"jax":' + json.dumps(jax.__version__) + ',"cases":[')
print(',\n'.join(json.dumps(c, separators=(',', ':')) for c in cases))
print(']}')
