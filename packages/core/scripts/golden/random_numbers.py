"""Keys and samples as JAX makes them. Run: python packages/core/scripts/golden/random_numbers.py"""
import os

import jax
import jax.numpy as jnp
import numpy as np
from record import Recorder, array


class Raw:
    """jax.random on raw keys, as they are here."""

    @staticmethod
    def key(seed):
        return jax.random.key_data(jax.random.key(seed))

    def __getattr__(self, name):
        return getattr(jax.random, name)


case = Recorder(Raw())
K = jax.random.PRNGKey(42)
L = jax.random.split(K, 3)[1]

for seed in (0, 1, 42, -1, 2**31 - 1, 2**31, 2**32 + 5, -(2**33) - 3, 2**53 - 1):
    case('key', seed)
case('split', K)
case('split', K, 5)
case('split', K, (2, 3))
for data in (0, 1, 7, 2**31 - 1):
    case('fold_in', K, data)
case('bits', K)
case('bits', K, (7,))
for dtype in ('uint8', 'uint16', 'uint32'):
    case('bits', L, (3, 5), dtype=dtype)
for dtype in ('float32', 'float16', 'bfloat16'):
    case('uniform', K, (9,), dtype=dtype)
    case('normal', L, (9,), dtype=dtype)
case('uniform', K, ())
case('uniform', K, (3, 2), minval=-3.0, maxval=5.5)
case('uniform', K, (2, 3), minval=array([-1.0, 0.0, 2.0]), maxval=array([1.0, 0.5, 9.0]))
case('normal', K, (100,))
case('randint', K, (20,), 0, 10)
case('randint', L, (20,), -5, 1000000)
case('randint', K, (5,), 3, 3)
case('randint', K, (6,), -(2**31), 2**31 - 1)
case('randint', K, (2, 3), array([0, 10, 20], 'int32'), array([5, 15, 1000], 'int32'))
for dtype, low, high in (('uint8', 0, 256), ('int8', -128, 100), ('uint32', 0, 7), ('int16', -9, 9)):
    case('randint', K, (10,), low, high, dtype=dtype)
case('bernoulli', K, 0.3, (20,))
case('bernoulli', K, array([0.1, 0.9, 0.5]))
case('bernoulli', K, array([0.1, 0.9]), (3, 2))
logits = array([[0.1, 2.0, -1.0, 0.5], [1.0, -1.0, 0.0, 3.0]])
case('categorical', K, logits)
case('categorical', K, logits, axis=0)
case('categorical', K, logits, axis=-1, shape=(5, 2))
case('categorical', K, logits, axis=-1, shape=(3, 2), replace=False)
for name in 'exponential gumbel laplace logistic cauchy maxwell'.split():
    case(name, K, (12,))
    case(name, L, (2, 3))
case('rademacher', K, (12,))
case('truncated_normal', K, -1.0, 2.0, (12,))
case('truncated_normal', K, array([-2.0, 0.0]), array([2.0, 0.5]))
case('multivariate_normal', K, array([1.0, -2.0]), array([[2.0, 0.3], [0.3, 1.0]]), (4,))
case('pareto', K, 2.5, (6,))
case('weibull_min', K, 1.5, 2.5, (6,))
case('rayleigh', K, 1.5, (6,))
case('geometric', K, 0.3, (8,))
case('triangular', K, -1.0, 0.5, 2.0, (8,))
case('permutation', K, 10)
case('permutation', L, jnp.arange(2000))
case('permutation', K, array(np.arange(12).reshape(4, 3)))
case('permutation', K, array(np.arange(12).reshape(4, 3)), axis=1, independent=True)
case('choice', K, 5, (10,))
case('choice', K, 20, (6,), replace=False)
case('choice', K, array([0.5, 1.5, 2.5, 9.0]), (6,), p=array([0.1, 0.2, 0.3, 0.4]))
case('choice', K, 4, (3,), replace=False, p=array([0.1, 0.2, 0.3, 0.4]))
case('choice', K, array(np.arange(12).reshape(4, 3)), (2,), axis=1)

folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'test-data')
case.write(os.path.join(folder, 'random.json'))
