"""Writes JAX's type promotion of every pair of dtypes: python promotion.py > ../../test-data/promotion.json"""
import itertools
import json

import jax

strong = ["bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "float16", "bfloat16", "float32", "float64"]
weak = ["int32", "float32"]


def aval(name, is_weak):
    if not is_weak:
        return jax.ShapeDtypeStruct((), name)
    return {"int32": 1, "float32": 1.0}[name]


def main():
    jax.config.update("jax_enable_x64", True)
    # 64-bit integers do not exist in the project: they count as 32-bit ones, as in JAX's default mode.
    narrow = {"int64": "int32", "uint64": "uint32"}
    rows = []
    for a, b in itertools.product([(n, False) for n in strong] + [(n, True) for n in weak], repeat=2):
        if a[1] and b[1]:
            continue
        dtype = jax.numpy.result_type(aval(*a), aval(*b)).name
        rows.append([a[0], a[1], b[0], b[1], narrow.get(dtype, dtype)])
    print(json.dumps({"jax": jax.__version__, "columns": ["a", "a weak", "b", "b weak", "result"], "rows": rows}))


main()
