"""Values and derivatives of JAX's activations: python activations.py > ../../test-data/activations.json"""
import json

import jax
import jax.numpy as jnp

xs = [-100.0, -20.0, -3.0, -1.0, -0.5, -1e-3, 0.0, 1e-3, 0.5, 1.0, 3.0, 20.0, 100.0]
functions = {
    "relu": jax.nn.relu,
    "sigmoid": jax.nn.sigmoid,
    "silu": jax.nn.silu,
    "softplus": jax.nn.softplus,
    "logSigmoid": jax.nn.log_sigmoid,
    "leakyRelu": jax.nn.leaky_relu,
    "elu": jax.nn.elu,
    "gelu": jax.nn.gelu,
    "celu": jax.nn.celu,
    "selu": jax.nn.selu,
    "relu6": jax.nn.relu6,
    "hardTanh": jax.nn.hard_tanh,
    "hardSigmoid": jax.nn.hard_sigmoid,
    "hardSilu": jax.nn.hard_silu,
    "mish": jax.nn.mish,
    "softSign": jax.nn.soft_sign,
    "squareplus": jax.nn.squareplus,
    "sparsePlus": jax.nn.sparse_plus,
    "sparseSigmoid": jax.nn.sparse_sigmoid,
    "tanh": jax.nn.tanh,
    "identity": jax.nn.identity,
    # Keyword arguments.
    "leakyRelu02": lambda x: jax.nn.leaky_relu(x, negative_slope=0.2),
    "elu05": lambda x: jax.nn.elu(x, alpha=0.5),
    "celu05": lambda x: jax.nn.celu(x, alpha=0.5),
    "squareplus1": lambda x: jax.nn.squareplus(x, b=1.0),
    "log1mexp": lambda x: jax.nn.log1mexp(jnp.abs(x) + 1e-3),
    "geluExact": lambda x: jax.nn.gelu(x, approximate=False),
}
x = jnp.asarray(xs, jnp.float32)
cases = {
    name: {"values": f(x).tolist(), "derivatives": jax.vmap(jax.grad(f))(x).tolist()}
    for name, f in functions.items()
}
rows = jnp.asarray([[1.0, 2.0, 3.0], [-1000.0, 0.0, 1000.0], [5.0, 5.0, -jnp.inf]])
mask = jnp.asarray([[True, True, False], [True, False, False], [False, False, False]])
plain = jnp.asarray([[1.0, 2.0, 3.0], [-1.0, 0.5, 2.0], [5.0, 5.0, 0.0]])
cube = jnp.arange(24.0).reshape(2, 3, 4) / 7
# JAX's own variance, E[x²] − E[x]², has lost some digits.
standardized = (cube - cube.mean(-1, keepdims=True)) / jnp.sqrt(cube.var(-1, keepdims=True) + 1e-5)


def masked(f):
    """The values, and the gradients of a weighted sum of those that are finite."""
    weights = jnp.arange(9.0).reshape(3, 3)
    loss = lambda x: jnp.sum(jnp.where(mask, f(x, where=mask), 0) * weights)
    return {"values": [[str(v) for v in r] for r in f(plain, where=mask).tolist()],
            "gradient": jax.grad(loss)(plain).tolist()}


print(json.dumps({
    "plain": plain.tolist(),
    "mask": mask.tolist(),
    "softmaxWhere": masked(jax.nn.softmax),
    "logSoftmaxWhere": masked(jax.nn.log_softmax),
    "cube": cube.tolist(),
    "softmaxOfAxes": jax.nn.softmax(cube, axis=(0, 2)).tolist(),
    "standardize": standardized.tolist(),
    "standardizeGiven": jax.nn.standardize(cube, axis=1, mean=0.5, variance=2.0, epsilon=0.1).tolist(),
    "logmeanexp": jax.nn.logmeanexp(cube, axis=1).tolist(),
    "oneHotFirst": jax.nn.one_hot(jnp.asarray([[0, 2], [3, -1]]), 3, axis=1).tolist(),
    "jax": jax.__version__,
    "xs": xs,
    "cases": cases,
    "softmax": jax.nn.softmax(rows).tolist(),
    "glu": jax.nn.glu(jnp.asarray(xs[:12], jnp.float32)).tolist(),
    "logSoftmax": [[str(v) for v in r] for r in jax.nn.log_softmax(rows).tolist()],
}))
