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
    "geluExact": lambda x: jax.nn.gelu(x, approximate=False),
}
x = jnp.asarray(xs, jnp.float32)
cases = {
    name: {"values": f(x).tolist(), "derivatives": jax.vmap(jax.grad(f))(x).tolist()}
    for name, f in functions.items()
}
rows = jnp.asarray([[1.0, 2.0, 3.0], [-1000.0, 0.0, 1000.0], [5.0, 5.0, -jnp.inf]])
print(json.dumps({
    "jax": jax.__version__,
    "xs": xs,
    "cases": cases,
    "softmax": jax.nn.softmax(rows).tolist(),
    "glu": jax.nn.glu(jnp.asarray(xs[:12], jnp.float32)).tolist(),
    "logSoftmax": [[str(v) for v in r] for r in jax.nn.log_softmax(rows).tolist()],
}))
