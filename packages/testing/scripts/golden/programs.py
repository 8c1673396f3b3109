"""Whole programs, computed by JAX: python programs.py > ../../test-data/programs.json

Each function here has its twin in src/programs.test.ts; inputs are written into the data, so the
tests need no Python.
"""
import json

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax


def data(seed, *shape):
    """Numbers that float32 holds exactly, so that both sides start from the same bits."""
    return np.round(np.random.default_rng(seed).normal(size=shape) * 64) / 64


def rnn():
    """Five steps of gradient descent on an RNN that runs by scan over 7 time steps, batch 4."""
    xs, ys = data(1, 7, 4, 3), data(2, 7, 4, 2)
    params = {"wh": data(3, 5, 5) / 4, "wx": data(4, 3, 5) / 2, "b": data(5, 5), "wo": data(6, 5, 2) / 2}
    params = jax.tree.map(lambda x: jnp.asarray(np.round(x * 1024) / 1024, jnp.float32), params)

    def loss(p, xs, ys):
        def cell(h, x):
            h = jnp.tanh(h @ p["wh"] + x @ p["wx"] + p["b"])
            return h, h @ p["wo"]

        _, out = lax.scan(cell, jnp.zeros((4, 5)), xs)
        return jnp.mean((out - ys) ** 2)

    inputs = {"params": params, "xs": xs, "ys": ys}
    losses, p = [], params
    step = jax.jit(jax.value_and_grad(loss))
    for _ in range(5):
        value, g = step(p, jnp.asarray(xs, jnp.float32), jnp.asarray(ys, jnp.float32))
        losses.append(value)
        p = jax.tree.map(lambda a, b: a - 0.5 * b, p, g)
    return inputs, {"losses": jnp.stack(losses), "params": p}


def per_example_gradients():
    """vmap(grad) of a small network, one gradient per example."""
    w1, w2 = data(7, 4, 6) / 2, data(8, 6, 1) / 2
    x, y = data(9, 8, 4), data(10, 8)

    def loss(params, x, y):
        return (jnp.tanh(x @ params[0]) @ params[1] - y)[0] ** 2

    f32 = [jnp.asarray(v, jnp.float32) for v in (w1, w2, x, y)]
    grads = jax.vmap(jax.grad(loss), in_axes=(None, 0, 0))((f32[0], f32[1]), f32[2], f32[3])
    return {"w1": w1, "w2": w2, "x": x, "y": y}, {"w1": grads[0], "w2": grads[1]}


def logistic_hessian():
    """The Hessian of a logistic regression's mean loss."""
    w, x = data(11, 4), data(12, 10, 4)
    y = (data(13, 10) > 0).astype(np.float64)

    def loss(w):
        z = jnp.asarray(x, jnp.float32) @ w
        return jnp.mean(jnp.logaddexp(0.0, z) - jnp.asarray(y, jnp.float32) * z)

    return {"w": w, "x": x, "y": y}, {"hessian": jax.hessian(loss)(jnp.asarray(w, jnp.float32))}


def newton():
    """Newton's method for x^3 = a in a while loop, under vmap, with its forward-mode derivative."""
    a = np.array([0.5, 1.0, 2.0, 27.0, 100.0])

    def root(a):
        def unfinished(state):
            x, previous, n = state
            return (jnp.abs(x - previous) > 1e-6 * jnp.abs(x)) & (n < 50)

        def step(state):
            x, _, n = state
            return x - (x**3 - a) / (3 * x**2), x, n + 1

        x, _, n = lax.while_loop(unfinished, step, (a / 3 + 1, jnp.zeros_like(a), 0))
        return x, n

    roots, iterations = jax.vmap(root)(jnp.asarray(a, jnp.float32))
    slopes = jax.vmap(lambda a: jax.jvp(lambda t: root(t)[0], (a,), (jnp.ones_like(a),))[1])(jnp.asarray(a, jnp.float32))
    return {"a": a}, {"roots": roots, "iterations": iterations, "slopes": slopes}


def ode():
    """The gradient of the end point of a pendulum, integrated by RK4 in a scan, in its parameters."""
    y0 = np.array([1.0, 0.0])
    theta = np.array([2.0, 0.25])

    def end(y0, theta):
        def f(y):
            return jnp.stack([y[1], -theta[0] * jnp.sin(y[0]) - theta[1] * y[1]])

        def step(y, _):
            h = 0.0625
            k1 = f(y)
            k2 = f(y + h / 2 * k1)
            k3 = f(y + h / 2 * k2)
            k4 = f(y + h * k3)
            return y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4), y[0]

        y, path = lax.scan(step, y0, None, length=32)
        return y[0] ** 2 + jnp.sum(path) / 32

    value, grads = jax.value_and_grad(end, argnums=(0, 1))(jnp.asarray(y0, jnp.float32), jnp.asarray(theta, jnp.float32))
    return {"y0": y0, "theta": theta}, {"value": value, "y0": grads[0], "theta": grads[1]}


def plain(tree):
    return jax.tree.map(lambda x: np.asarray(x, np.float64).tolist(), tree)


def main():
    programs = [rnn, per_example_gradients, logistic_hessian, newton, ode]
    cases = {}
    for program in programs:
        inputs, outputs = program()
        cases[program.__name__] = {"what": program.__doc__, "inputs": plain(inputs), "outputs": plain(outputs)}
    print(json.dumps({"jax": jax.__version__, "cases": cases}, indent=1))


main()
