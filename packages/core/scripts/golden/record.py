"""Writing values computed by JAX as JSON that the test suite reads."""
import json

import jax
import jax.numpy as jnp
import numpy as np

PYTHON_NUMBERS = (bool, int, float)


def number(x):
    """A JSON number, or a name for what JSON cannot write. float32 is written with its own digits."""
    if isinstance(x, (bool, np.bool_)):
        return bool(x)
    if isinstance(x, (int, np.integer)):
        return int(x)
    f = float(x)
    if np.isnan(f):
        return 'nan'
    if np.isinf(f):
        return 'inf' if f > 0 else '-inf'
    if f == 0:
        return '-0' if np.signbit(f) else 0
    return float(str(np.float32(x))) if not isinstance(x, np.float64) else f


def encode_array(x):
    a = np.asarray(x)
    if a.dtype.name in ('float16', 'bfloat16'):
        values = a.astype(np.float32)
    else:
        values = a
    return {
        'dtype': a.dtype.name,
        'shape': list(a.shape),
        'weak': bool(getattr(x, 'weak_type', False)),
        'data': [number(v) for v in values.ravel()],
    }


def encode(x):
    """An argument or result: a scalar as itself, an array with its type, lists and dicts of these."""
    if x is None or isinstance(x, str):
        return x
    if isinstance(x, PYTHON_NUMBERS):
        # A Python float that is integral would be an integer in JavaScript: marked as a float array.
        return number(x)
    if isinstance(x, np.dtype) or isinstance(x, type):
        return np.dtype(x).name
    if isinstance(x, (list, tuple)):
        return [encode(v) for v in x]
    if isinstance(x, dict):
        return {k: encode(v) for k, v in x.items()}
    return {'$': encode_array(x)}


class Recorder:
    """Collects calls: the function's name, its arguments and what JAX answered."""

    def __init__(self, module):
        self.module = module
        self.cases = []

    def __call__(self, name, *args, **options):
        function = self.module
        for part in name.split('.'):
            function = getattr(function, part)
        result = function(*args, **options)
        self.cases.append({
            'name': name,
            'args': [encode(a) for a in args],
            'options': {k: encode(v) for k, v in options.items()},
            'result': encode(result),
        })

    def write(self, path):
        lines = ',\n'.join(json.dumps(c, separators=(',', ':')) for c in self.cases)
        with open(path, 'w') as f:
            f.write(f'{{"jax":"{jax.__version__}","cases":[\n{lines}\n]}}\n')
        print(f'{len(self.cases)} cases in {path}')


def array(values, dtype='float32'):
    return jnp.array(values, dtype=dtype)
