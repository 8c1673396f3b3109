"""Values and derivatives of JAX's linalg: python linalg.py > ../../test-data/linalg.json"""
import json

import jax

jax.config.update("jax_enable_x64", True)
import jax.numpy as jnp
import numpy as np

rng = np.random.default_rng(7)
matrices = {
    "square": rng.normal(size=(4, 4)),
    "batch": rng.normal(size=(2, 3, 3)),
    "tall": rng.normal(size=(5, 3)),
    "wide": rng.normal(size=(3, 5)),
    "odd": rng.normal(size=(5, 5)),
    "one": rng.normal(size=(1, 1)),
}
matrices = {name: np.round(a * 64) / 64 for name, a in matrices.items()}
b = np.round(rng.normal(size=(4,)) * 64) / 64
columns = np.round(rng.normal(size=(5, 2)) * 64) / 64
la = jnp.linalg
functions = {
    "qr": (["square", "batch", "tall", "odd", "one"], lambda a: list(la.qr(a))),
    "qrComplete": (["tall", "wide"], lambda a: list(la.qr(a, mode="complete"))),
    "qrWide": (["wide"], lambda a: list(la.qr(a))),
    "lu": (["square", "tall", "wide", "one"], lambda a: list(jax.scipy.linalg.lu(a))),
    "solve": (["square"], lambda a: [la.solve(a, b)]),
    "inv": (["square", "batch", "odd"], lambda a: [la.inv(a)]),
    "det": (["square", "batch", "odd", "one"], lambda a: [la.det(a)]),
    "slogdet": (["square", "batch", "odd"], lambda a: list(la.slogdet(a))),
    "eigvalsh": (["square", "batch", "odd", "one"], lambda a: [la.eigvalsh(a + a.mT)]),
    "projector": (["square", "odd"], lambda a: [(lambda v: v[:, :2] @ v[:, :2].T)(la.eigh(a + a.T)[1])]),
    "svdvals": (["square", "batch", "tall", "wide", "one"], lambda a: [la.svdvals(a)]),
    "polar": (["square", "tall", "wide"], lambda a: [(lambda u, s, vh: u @ vh)(*la.svd(a, full_matrices=False))]),
    "pinv": (["square", "tall", "wide", "batch"], lambda a: [la.pinv(a)]),
    "lstsq": (["tall"], lambda a: list(la.lstsq(a, columns)[:1])),
    "norm2": (["square", "tall"], lambda a: [la.norm(a, 2)]),
    "nuclear": (["square", "wide"], lambda a: [la.norm(a, "nuc")]),
    "cond": (["square", "tall"], lambda a: [la.cond(a)]),
    "power": (["square"], lambda a: [la.matrix_power(a, -2)]),
}
constant = {"lu", "qrComplete", "qrWide"}


def weights(x):
    """The same numbers there: cos(i), element by element."""
    return jnp.cos(jnp.arange(x.size)).reshape(x.shape)


cases = []
for name, (on, f) in functions.items():
    for key in on:
        a = jnp.asarray(matrices[key])
        values = [np.asarray(x).tolist() for x in f(a)]
        case = {"name": name, "matrix": key, "values": values}
        if name not in constant:
            loss = lambda a: sum(jnp.sum(weights(x) * x) for x in f(a))
            case["gradient"] = np.asarray(jax.grad(loss)(a)).tolist()
        cases.append(case)
print(json.dumps({
    "jax": jax.__version__,
    "matrices": {name: a.tolist() for name, a in matrices.items()},
    "b": b.tolist(),
    "columns": columns.tolist(),
    "cases": cases,
}))
