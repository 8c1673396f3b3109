"""Indexed reads and updates as JAX makes them. Run: python packages/core/scripts/golden/indexing.py"""
import json
import os

import jax
import jax.numpy as jnp
import numpy as np
from record import array, encode

T = array(np.arange(24).reshape(2, 3, 4))
V = array([0.5, -1.5, 2.25, 3.0])
I = array(np.arange(6), 'int32')




def entry(e):
    if e is Ellipsis:
        return '...'
    if e is None:
        return None
    if isinstance(e, slice):
        part = lambda v: '' if v is None else str(v)
        return f'{part(e.start)}:{part(e.stop)}' + ('' if e.step is None else f':{e.step}')
    return encode(e)


def ints(*values):
    return array(np.array(values), 'int32')


s = slice
mask_row = array([True, False], 'bool')
mask_all = T > 10
indices = [
    (0,), (-1,), (1, 2, 3), (s(None),), (s(1, None),), (s(None, None, -1),), (0, s(1, 3)),
    (s(None), s(None, None, 2), s(3, 0, -2)), (Ellipsis, 0), (Ellipsis, None), (None, 1, None, s(0, 2)),
    (s(5, 9),), (s(-2, None), Ellipsis, s(None, -1)), (5,), (-9,), (0, 7, -8),
    (ints(0, 1, 0),), (ints(-1, 5, -7),), (s(None), ints(2, 0)), (Ellipsis, ints(3, 0, 1)),
    (ints(0, 1), ints(2, 1)), (ints(0, 1), s(None), ints(3, 0)), (0, s(None), ints(1, 2)),
    (s(None), 1, ints(1, 2)), (s(None), ints(1, 2), 0), (0, None, ints(1, 2)),
    (ints(0, 1), None, ints(1, 2)), (ints(0, 1)[:, None], ints(0, 2)), (ints(1, 0)[:, None], s(0, 2), ints(0, 3)),
    (None, ints(1, 0), Ellipsis), (s(None, None, -1), ints(0, 2), s(1, 3)), (ints(),), (mask_row,),
    (mask_all,), (s(None), array([True, False, True], 'bool')), (mask_row, s(None), ints(2)),
    (array(1, 'int32'),), (array(1, 'int32'), s(None), 2), (s(None), array(7, 'int32')), (s(None), array(2, 'int32'), ints(0, 1)),
]
reads = []
updates = []
for index in indices:
    recorded = [entry(e) for e in index]
    reads.append({'index': recorded, 'result': encode(T[index])})
    for mode in ('fill', 'clip'):
        reads.append({'index': recorded, 'mode': mode, 'result': encode(T.at[index].get(mode=mode))})
    part = T[index]
    value = (jnp.arange(part.size, dtype='float32').reshape(part.shape) - 7) / 4
    for op in 'set add multiply min max'.split():
        unique = op != 'set' or not any(getattr(e, 'ndim', 0) for e in index)
        for v in (value, array(2.5)) if unique else (array(2.5),):
            updates.append({'index': recorded, 'op': op, 'value': encode(v), 'result': encode(getattr(T.at[index], op)(v))})
    updates.append({'index': recorded, 'op': 'add', 'mode': 'clip', 'value': 1, 'result': encode(T.at[index].add(1, mode='clip'))})

folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'test-data')
path = os.path.join(folder, 'indexing.json')
write = lambda cases: ',\n'.join(json.dumps(c, separators=(',', ':')) for c in cases)
with open(path, 'w') as f:
    f.write(f'{{"jax":"{jax.__version__}","operand":{json.dumps(encode(T))},"reads":[\n{write(reads)}\n],"updates":[\n{write(updates)}\n]}}\n')
print(len(reads), 'reads and', len(updates), 'updates in', path)
