"""np functions as JAX computes them. Run: python packages/core/scripts/golden/np_functions.py"""
import os

import jax.numpy as jnp
import numpy as np
from record import Recorder, array

np_ = Recorder(jnp)
case = np_

rng = np.random.RandomState(0)
A = array(rng.uniform(-2, 2, (3, 4)).round(2))
B = array(rng.uniform(-2, 2, (3, 4)).round(2))
P = array(rng.uniform(0.1, 2, (3, 4)).round(2))
V = array([0.5, -1.5, 2.25, 3.0])
T = array(rng.uniform(-1, 1, (2, 3, 4)).round(2))
I = array([[1, -2, 3, 0], [4, 5, -6, 7], [-8, 9, 2, 2]], 'int32')
J = array([[3, 2, -2, 1], [2, -3, 4, 5], [3, 2, 7, -1]], 'int32')
K = array([7, 3, 250, 0], 'uint8')
L = array([1, 30, 5, 200], 'uint8')
M = array([[True, False, True, True], [False, False, True, False], [True, True, True, False]], 'bool')
S = array([0.0, -0.0, np.inf, -np.inf, np.nan, 2e-38, 3e38, -2.5])
N = array([[1.0, np.nan, 3.0], [np.nan, np.nan, np.nan], [4.0, 0.0, -1.0]])
H = array([0.5, 1.5, -2.25], 'float16')
Q = array([0.5, 1.5, -2.25], 'bfloat16')
SQ = array(rng.uniform(-1, 1, (3, 3)).round(2))

# elementwise ------------------------------------------------------------------------------------
for name in '''exp exp2 expm1 sin cos tan arctan sinh cosh tanh arcsinh floor ceil trunc rint sign abs
    negative square cbrt isnan isinf isfinite isposinf isneginf signbit deg2rad rad2deg sinc positive'''.split():
    case(name, A)
    case(name, I)
    case(name, S if name not in ('sinc',) else V)
for name in 'log log2 log10 log1p sqrt reciprocal arcsin arccos arccosh arctanh'.split():
    case(name, P / 2.5)
    case(name, S)
for name in 'exp sqrt tanh floor square'.split():
    case(name, H)
    case(name, Q)
for name in 'exp sin floor abs logical_not bitwise_not isnan square positive'.split():
    case(name, M)
for name in 'logical_not bitwise_not abs sign negative square floor'.split():
    case(name, K)
for d in (-1, 0, 1, 2):
    case('round', A * 37, d)
case('round', array([0.5, 1.5, 2.5, -0.5, -1.5]))
for name in '''add subtract multiply divide floor_divide mod fmod power maximum minimum fmax fmin arctan2
    hypot copysign logaddexp logaddexp2 heaviside equal not_equal less less_equal greater
    greater_equal logical_and logical_or logical_xor float_power nextafter remainder true_divide'''.split():
    a = P if name in ('power', 'float_power') else A
    case(name, a, B)
    if name != 'power':
        case(name, I, J)
    case(name, a, V)
    case(name, a, 2)
    case(name, a, 0.5)
    if name not in ('subtract',):
        case(name, I, M)
for name in 'add multiply divide floor_divide mod fmod maximum minimum less'.split():
    case(name, K, L)
    case(name, K, I[0])
    case(name, K, 3)
    case(name, K, H[:1])
    case(name, H, 2)
    case(name, H, Q)
for name in 'add multiply maximum logical_or equal'.split():
    case(name, M, M[::-1])
for name in 'maximum minimum fmax fmin arctan2 hypot copysign logaddexp heaviside mod floor_divide'.split():
    case(name, S, S[::-1])
for name in 'bitwise_and bitwise_or bitwise_xor'.split():
    case(name, I, J)
    case(name, K, L)
    case(name, M, M[::-1])
for name in 'left_shift right_shift'.split():
    case(name, I, abs(J))
    case(name, K, array([1, 2, 3, 9], 'uint8'))
case('power', I, 3)
case('power', A, 3)
case('power', A, -2)
case('power', I, abs(J))
case('power', 2, array([0, 1, 5], 'int32'))
case('power', M, 2)
case('clip', A, -0.5, 0.5)
case('clip', I, 0, 4)
case('clip', A, None, 0.25)
case('clip', I, 0.5, 2)
case('where', M, A, B)
case('where', M, A, 0)
case('where', I, 1, 2.5)
case('where', M[0], I, V)
case('nan_to_num', S)
case('nan_to_num', S, nan=1.0, posinf=5.0, neginf=-5.0)

# reductions -------------------------------------------------------------------------------------
for name in 'sum prod mean std var max min any all argmax argmin cumsum cumprod ptp median count_nonzero'.split():
    for x in (A, I, M, T):
        if name in ('argmax', 'argmin', 'cumsum', 'cumprod') or x is not M or name not in ('ptp', 'median'):
            case(name, x)
            case(name, x, axis=-1)
            case(name, x, axis=0)
            if name not in ('cumsum', 'cumprod'):
                case(name, x, axis=1, keepdims=True)
            if name not in ('argmax', 'argmin', 'cumsum', 'cumprod', 'median'):
                case(name, x, axis=(0, 1))
for name in 'sum prod max min'.split():
    case(name, A, where=M, initial=0.5)
    case(name, A, axis=1, initial=1)
    case(name, S)
    case(name, K)
case('sum', A, where=M)
case('sum', M, dtype='float32')
case('sum', A, dtype='int32')
case('sum', H)
case('sum', K)
case('mean', A, where=M)
case('mean', I, axis=0, where=M)
case('mean', H)
case('mean', A, dtype='float16')
case('var', A, ddof=1)
case('std', A, axis=0, ddof=1, keepdims=True)
case('var', A, where=M)
case('std', H)
case('any', N)
case('all', N, axis=1)
case('all', A, where=M)
case('argmax', S)
case('argmin', S)
case('argmax', array([1, 3, 3, 2], 'int32'))
for name in 'nansum nanprod nanmean nanmax nanmin nanvar nanstd nanargmax nanargmin'.split():
    x = N if 'arg' not in name else N[::2]
    case(name, x)
    case(name, x, axis=1)
for q in (0.25, array([0.0, 0.3, 1.0])):
    for method in 'linear lower higher midpoint nearest'.split():
        case('quantile', A, q, axis=1, method=method)
    case('quantile', T, q, axis=(0, 2), keepdims=True)
    case('quantile', A, q)
case('percentile', A, 30)
case('median', N, axis=1)
case('average', A, axis=1, weights=V)
case('average', A)
case('average', A, weights=P)
case('cumsum', K)
case('cumsum', A, axis=1, dtype='float32')
case('cumprod', H)

# shape ------------------------------------------------------------------------------------------
case('reshape', A, (4, 3))
case('reshape', A, (2, -1))
case('ravel', T)
case('transpose', T)
case('transpose', T, (1, 2, 0))
case('swapaxes', T, 0, 2)
case('moveaxis', T, 0, -1)
case('moveaxis', T, (0, 1), (-1, 0))
case('expand_dims', A, 1)
case('expand_dims', A, (0, -1))
case('squeeze', A[:, None, :1])
case('squeeze', A[:, None, :1], 1)
case('broadcast_to', V, (2, 3, 4))
for axis in (0, 1):
    case('concatenate', [A, B], axis)
    case('stack', [A, B], axis)
    case('flip', A, axis)
    case('roll', A, 2, axis)
    case('roll', A, -1, axis)
case('stack', [A, B], -1)
case('concatenate', [A, I], 1)
for name in 'vstack hstack dstack column_stack'.split():
    case(name, [V, V * 2])
    case(name, [A, B])
case('flip', A)
case('roll', A, 5)
for k in (0, 1, 2, 3, -1):
    case('rot90', A, k=k)
case('tile', A, 2)
case('tile', A, (2, 1, 3))
case('repeat', A, 2, axis=1)
case('repeat', V, 3)
case('repeat', A, array([1, 0, 2], 'int32'), axis=0)
for mode in 'constant edge reflect symmetric wrap'.split():
    case('pad', A, 2, mode=mode)
    case('pad', A, ((1, 5), (4, 0)), mode=mode)
    case('pad', V, (7, 9), mode=mode)
case('pad', A, ((1, 2), (0, 1)), mode='constant', constant_values=7)
case('append', V, V)
case('append', A, B, axis=0)
for n in (2, [1, 3]):
    case('split', A, n, axis=1)
case('array_split', A, 3, axis=1)
case('array_split', V, 3)
case('atleast_2d', V)
case('atleast_3d', A)
case('diag', V)
case('diag', V, 1)
case('diag', A, -1)
case('diagonal', T, offset=1, axis1=1, axis2=2)
case('diagonal', A)
case('trace', A)
case('trace', T, axis1=1, axis2=2)
case('tril', A)
case('triu', A, 1)
case('tril', T, -1)

# creation ---------------------------------------------------------------------------------------
case('arange', 5)
case('arange', 2, 9, 3)
case('arange', 0.0, 1.0, 0.25) if False else case('arange', 0.5, 3.0)
case('arange', 5, 0, -2)
case('linspace', 0, 1, 5)
case('linspace', -1, 3, 7, endpoint=False)
case('linspace', V, V * 2, 3, axis=1)
case('linspace', 0, 10, 4, dtype='int32')
case('linspace', 2, 3, 1)
case('logspace', 0, 2, 5)
case('eye', 3)
case('eye', 2, 4, k=1, dtype='int32')
case('identity', 3)
case('tri', 3, 4, k=-1)
case('zeros_like', I)
case('ones_like', A, dtype='bool')
case('full_like', I, 2.7)
case('full', (2, 3), 1.5)
case('meshgrid', V, V[:2])
case('meshgrid', V, V[:2], indexing='ij')

# products ---------------------------------------------------------------------------------------
case('matmul', A, B.T)
case('matmul', A, V)
case('matmul', V, A.T)
case('matmul', V, V)
case('matmul', T, SQ[:, :2] @ SQ[:2, :1] * jnp.ones((2, 4, 1)) if False else jnp.swapaxes(T, 1, 2))
case('matmul', T, V)
case('matmul', A, jnp.swapaxes(T, 1, 2))
case('matmul', T[:1], jnp.swapaxes(T, 1, 2))
case('matmul', I, J.T)
case('matmul', M, M.T)
case('matmul', I, B.T)
case('dot', T, B.T)
case('dot', T, V)
case('dot', V, 2.0)
case('inner', A, B)
case('inner', T, V)
case('outer', V, A)
case('vdot', A, B)
case('tensordot', T, A, axes=2)
case('tensordot', T, A, axes=((1, 2), (0, 1)))
case('tensordot', V, V, axes=0)
case('kron', A, SQ)
case('kron', V, A)
case('cross', SQ, SQ[::-1])
case('cross', V[:2], V[2:])
case('cross', V[:2], V[1:])
for spec, xs in [
    ('ij,kj->ik', [A, B]), ('ij,ij', [A, B]), ('ij->ji', [A]), ('ii', [SQ]), ('ii->i', [SQ]),
    ('bij,bkj->bik', [T, T]), ('...ij,...kj->...ik', [T, A]), ('ij,jk,kl->il', [A, B.T, SQ]),
    ('i,j->ij', [V, V]), ('ij->', [A]), ('bij->b', [T]), ('...j,j', [T, V]), ('ij,ij,ij->j', [A, B, P]),
    ('bij,bij->bi', [T, T]), ('abc,abd,e->cde', [T, T, V]), ('ij', [A]), ('ba', [A]), ('a...->...', [T]),
]:
    case('einsum', spec, *xs)

# indexing, searching, sorting -------------------------------------------------------------------
ix = array([0, 2, -1, 5], 'int32')
case('take', V, ix)
for mode in 'fill clip wrap'.split():
    case('take', A, ix, axis=1, mode=mode)
case('take', A, array([[0, 1], [2, 0]], 'int32'), axis=0)
case('take', A, 3)
case('take_along_axis', A, array([[0, 3], [1, 1], [2, -1]], 'int32'), axis=1)
case('take_along_axis', A, array([[0, 2, 1, 1]], 'int32'), axis=0)
case('nonzero', A > 0)
case('nonzero', I, size=5)
case('nonzero', M, size=10, fill_value=-1)
case('flatnonzero', M)
case('argwhere', M)
for side in ('left', 'right'):
    case('searchsorted', array([1.0, 2.0, 2.0, 3.0, np.nan]), array([0.5, 2.0, 2.5, 4.0, np.nan]), side=side)
    case('searchsorted', array([1, 3, 3, 7], 'int32'), array([[0, 3], [7, 9]], 'int32'), side=side)
case('digitize', array([0.2, 6.4, 3.0, 1.6]), array([0.0, 1.0, 2.5, 4.0, 10.0]))
case('digitize', array([0.2, 6.4, 3.0, 1.6]), array([10.0, 4.0, 2.5, 1.0, 0.0]), right=True)
case('bincount', array([0, 1, 1, 3, 2, 1, 7], 'int32'))
case('bincount', array([0, 1, 1, 3], 'int32'), weights=V, length=6)
case('bincount', array([0, 1, 1, 3], 'int32'), minlength=6)
case('histogram', A, bins=4)
case('histogram', A, bins=array([-1.0, 0.0, 0.5, 2.0]))
case('histogram', A, bins=5, range=(-1.03, 1.07), density=True)
for x in (A, I, S):
    case('sort', x)
    case('argsort', x)
    case('argsort', x, descending=True)
    case('sort', x, descending=True)
case('sort', A, axis=0)
case('sort', A, axis=None)
case('argsort', A, axis=0)
case('lexsort', [array([1, 1, 0, 2], 'int32'), array([3, 1, 1, 1], 'int32')])
case('unique', array([3, 1, 2, 1, 3, 3], 'int32'))
case('unique', array([3, 1, 2, 1, 3, 3], 'int32'), return_index=True, return_inverse=True, return_counts=True)

# sequences --------------------------------------------------------------------------------------
case('diff', A)
case('diff', A, n=2, axis=0)
case('diff', V, prepend=0.5, append=V[:2])
case('diff', M, axis=0)
case('ediff1d', A)
for mode in 'full same valid'.split():
    case('convolve', V, array([1.0, -0.5, 0.25]), mode=mode)
    case('correlate', V, array([1.0, -0.5, 0.25]), mode=mode)
    case('convolve', array([1.0, 2.0]), V, mode=mode)
case('correlate', array([1.0, 2.0]), V, mode='full')
xp = array([0.0, 1.0, 2.5, 4.0])
case('interp', array([-1.0, 0.0, 0.3, 2.5, 3.0, 9.0]), xp, V)
case('interp', array([-1.0, 0.3, 9.0]), xp, V, left=-7.0, right=8.0)
case('interp', array([-1.0, 0.3, 9.0]), xp, V, period=5.0)
case('interp', array([-1.0, 9.0]), xp, V, left='extrapolate', right='extrapolate')
case('trapezoid', A)
case('trapezoid', A, x=V)
case('trapezoid', A, dx=0.5, axis=0)
case('isclose', S, S)
case('isclose', S, S, equal_nan=True)
case('isclose', A, A + 1e-6)
case('allclose', A, A + 1e-6, atol=1e-5)
case('array_equal', A, A)
case('array_equal', A, V)
case('array_equiv', V, jnp.stack([V, V]))

folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'test-data')
np_.write(os.path.join(folder, 'np.json'))
