"""JAX, everything under jit. On the CPU a run waits for its result; on a GPU runs queue up."""
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from data import CNN, FIRST_LOSSES, GPT, MLP, TINY, UNROLLED, integers, numbers, parameter_source


def wait(last):
    """A GPU runs programs in the order of their calls: the last result is ready when all are."""
    jax.block_until_ready(last)


def ready(result):
    return result if jax.default_backend() == "gpu" else jax.block_until_ready(result)


def running(f):
    return (
        lambda: ready(f()),
        lambda: np.concatenate([np.ravel(x) for x in jax.tree.leaves(f())]),
    )


def adam(rate, decay=0.0, b1=0.9, b2=0.999, eps=1e-8):
    def init(params):
        zeros = partial(jax.tree.map, jnp.zeros_like)
        return zeros(params), zeros(params), jnp.zeros([], jnp.int32)

    def update(params, grads, state):
        m, v, count = state
        count = count + 1
        m = jax.tree.map(lambda m, g: b1 * m + (1 - b1) * g, m, grads)
        v = jax.tree.map(lambda v, g: b2 * v + (1 - b2) * g * g, v, grads)
        m_scale, v_scale = 1 / (1 - b1**count), 1 / (1 - b2**count)

        def step(p, m, v):
            return p - rate * (m * m_scale / (jnp.sqrt(v * v_scale) + eps) + decay * p)

        return jax.tree.map(step, params, m, v), (m, v, count)

    return init, update


def sgd(rate):
    return lambda _: (), lambda params, grads, state: (
        jax.tree.map(lambda p, g: p - rate * g, params, grads),
        state,
    )


def training(loss, params, optimiser, *data):
    init, update = optimiser

    @partial(jax.jit, donate_argnums=(0, 1))
    def step(params, state, *data):
        value, grads = jax.value_and_grad(loss)(params, *data)
        params, state = update(params, grads, state)
        return params, state, value

    data = [jnp.asarray(x) for x in data]
    params = jax.tree.map(jnp.asarray, params)
    current = [params, init(params)]

    def run():
        *current[:], value = step(*current, *data)
        return value

    return (
        lambda: ready([run(), current]),
        lambda: [run() for _ in range(FIRST_LOSSES)],
    )


def cross_entropy(logits, labels):
    chosen = jnp.take_along_axis(logits, labels[..., None], -1)[..., 0]
    return jnp.mean(jax.nn.logsumexp(logits, axis=-1) - chosen)


def dense(draw, *shape):
    return {"w": draw(int(np.prod(shape[:-1])), *shape), "b": np.zeros(shape[-1], np.float32)}


def mlp(batch):
    draw, sizes = parameter_source(), MLP["sizes"]
    params = [dense(draw, m, n) for m, n in zip(sizes, sizes[1:])]

    def loss(params, x, y):
        for i, layer in enumerate(params):
            x = x @ layer["w"] + layer["b"]
            x = jax.nn.relu(x) if i < len(params) - 1 else x
        return cross_entropy(x, y)

    x = numbers(batch * sizes[0]).reshape(batch, -1)
    return training(loss, params, adam(1e-3), x, integers(batch, sizes[-1], 2))


def gpt(layers, context, batch):
    width, heads, vocabulary = GPT["width"], GPT["heads"], GPT["vocabulary"]
    draw = parameter_source()

    def norm():
        return {"scale": np.ones(width, np.float32), "offset": np.zeros(width, np.float32)}

    params = {
        "tokens": draw(width, vocabulary, width),
        "positions": draw(width, context, width),
        "blocks": [
            {
                "norm1": norm(),
                "qkv": dense(draw, width, 3 * width),
                "projection": dense(draw, width, width),
                "norm2": norm(),
                "expand": dense(draw, width, 4 * width),
                "contract": dense(draw, 4 * width, width),
            }
            for _ in range(layers)
        ],
        "norm": norm(),
        "head": dense(draw, width, vocabulary),
    }

    def linear(x, layer):
        return x @ layer["w"] + layer["b"]

    def layer_norm(x, layer):
        mean = jnp.mean(x, -1, keepdims=True)
        variance = jnp.mean(jnp.square(x - mean), -1, keepdims=True)
        return (x - mean) * lax.rsqrt(variance + 1e-5) * layer["scale"] + layer["offset"]

    def attention(x, block):
        def split(part):
            return part.reshape(batch, context, heads, -1).transpose(0, 2, 1, 3)

        q, k, v = map(split, jnp.split(linear(x, block["qkv"]), 3, -1))
        scores = q @ k.swapaxes(-1, -2) / np.sqrt(width / heads)
        scores = jnp.where(jnp.tri(context, dtype=bool), scores, -1e9)
        mixed = (jax.nn.softmax(scores) @ v).transpose(0, 2, 1, 3)
        return linear(mixed.reshape(batch, context, width), block["projection"])

    def loss(params, x, y):
        x = params["tokens"][x] + params["positions"]
        for block in params["blocks"]:
            x = x + attention(layer_norm(x, block["norm1"]), block)
            hidden = jax.nn.gelu(linear(layer_norm(x, block["norm2"]), block["expand"]))
            x = x + linear(hidden, block["contract"])
        return cross_entropy(linear(layer_norm(x, params["norm"]), params["head"]), y)

    text = [integers(batch * context, vocabulary, seed).reshape(batch, context) for seed in (1, 2)]
    return training(loss, params, adam(3e-4, 0.1), *text)


def cnn(batch):
    side, channels, classes = CNN["side"], CNN["channels"], CNN["classes"]
    draw = parameter_source()
    filters = [dense(draw, 3, 3, m, n) for m, n in zip(channels, channels[1:])]
    params = {"filters": filters, "dense": dense(draw, (side // 4) ** 2 * channels[-1], classes)}

    def loss(params, x, y):
        for f in params["filters"]:
            x = lax.conv_general_dilated(
                x, f["w"], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
            )
            x = jax.nn.relu(x + f["b"])
            x = lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
        return cross_entropy(x.reshape(batch, -1) @ params["dense"]["w"] + params["dense"]["b"], y)

    x = numbers(batch * side**2).reshape(batch, side, side, 1)
    return training(loss, params, adam(1e-3), x, integers(batch, classes, 2))


def two_layers(sizes):
    draw = parameter_source()
    return [dense(draw, m, n) for m, n in zip(sizes, sizes[1:])]


def squared_error(params, x, y):
    first, second = params
    h = jnp.tanh(x @ first["w"] + first["b"])
    return jnp.mean(jnp.square(h @ second["w"] + second["b"] - y))


def tiny():
    batch, sizes = TINY["batch"], TINY["sizes"]
    x, y = numbers(batch * sizes[0], 1, 1).reshape(batch, -1), numbers(batch, 1, 2)[:, None]
    return training(squared_error, two_layers(sizes), sgd(0.01), x, y)


def per_example(examples):
    params = jax.tree.map(jnp.asarray, two_layers([32, 64, 1]))
    x = jnp.asarray(numbers(examples * 32, 1, 1).reshape(examples, 32))
    y = jnp.asarray(numbers(examples, 1, 2)[:, None])
    gradients = jax.jit(jax.vmap(jax.grad(squared_error), (None, 0, 0)))
    run, _ = running(lambda: gradients(params, x, y))
    return run, lambda: np.ravel(gradients(params, x, y)[0]["w"])


def lorenz_end(start, steps):
    h, sigma, rho, beta = 0.001, 10.0, 28.0, 8 / 3

    def slope(at):
        x, y, z = at
        return sigma * (y - x), x * (rho - z) - y, x * y - beta * z

    def step(at, _):
        def along(k, t):
            return tuple(v + t * d for v, d in zip(at, k))

        k1 = slope(at)
        k2 = slope(along(k1, h / 2))
        k3 = slope(along(k2, h / 2))
        k4 = slope(along(k3, h))
        mean = [a + 2 * b + 2 * c + d for a, b, c, d in zip(k1, k2, k3, k4)]
        return along(mean, h / 6), None

    return lax.scan(step, start, None, length=steps)[0]


START = tuple(np.float32(1) for _ in range(3))


def lorenz(steps):
    solve = jax.jit(partial(lorenz_end, steps=steps))
    start = jax.tree.map(jnp.asarray, START)
    return running(lambda: solve(start))


def lorenz_gradient(steps):
    gradient = jax.jit(jax.grad(lambda start: sum(lorenz_end(start, steps))))
    start = jax.tree.map(jnp.asarray, START)
    return running(lambda: gradient(start))


def chain(equations):
    def f(x):
        for i in range(0, equations, 2):
            x = jnp.sin(x) * (1 + i / equations)
        return x

    return unary(f)(1024)


def unrolled(steps):
    width, batch = UNROLLED["width"], UNROLLED["batch"]
    weight = jnp.asarray(numbers(width * width, 1 / np.sqrt(width), 1).reshape(width, width))
    x = jnp.asarray(numbers(batch * width, 1, 2).reshape(batch, width))

    def loss(weight, x):
        h = x
        for _ in range(steps):
            h = jnp.tanh(h @ weight + x)
        return jnp.sum(h)

    gradient = jax.jit(jax.grad(loss))
    return running(lambda: gradient(weight, x))


def unary(f):
    def factory(n):
        x, compiled = jnp.asarray(numbers(n)), jax.jit(f)
        return running(lambda: compiled(x))

    return factory


def over_rows(f, *vectors):
    def factory(rows, columns):
        x = jnp.asarray(numbers(rows * columns).reshape(rows, columns))
        others = [jnp.asarray(numbers(columns, 1, seed)) for seed in vectors]
        compiled = jax.jit(f)
        return running(lambda: compiled(x, *others))

    return factory


def layer_norm(x, scale, offset):
    mean = jnp.mean(x, -1, keepdims=True)
    variance = jnp.mean(jnp.square(x - mean), -1, keepdims=True)
    return (x - mean) * lax.rsqrt(variance + 1e-5) * scale + offset


def product(left, right):
    x = jnp.asarray(numbers(int(np.prod(left)), 1, 1).reshape(left))
    y = jnp.asarray(numbers(int(np.prod(right)), 1, 2).reshape(right))
    matmul = jax.jit(jnp.matmul)
    return running(lambda: matmul(x, y))


def add(f):
    def factory(n):
        x, y = jnp.asarray(numbers(n, 1, 1)), jnp.asarray(numbers(n, 1, 2))
        return running(lambda: f(x, y))

    return factory


def sum_axis(n, axis):
    x = jnp.asarray(numbers(n * n).reshape(n, n))
    compiled = jax.jit(partial(jnp.sum, axis=axis))
    return running(lambda: compiled(x))


def programs(_threads, on_gpu):
    version = jax.__version__
    if on_gpu:
        if jax.default_backend() != "gpu":
            raise RuntimeError(f"JAX {version} sees no GPU")
        version += f" on {jax.devices()[0].device_kind}"
        # Tensor cores would round operands to 10 bits; everybody computes in single precision.
        jax.config.update("jax_default_matmul_precision", "highest")
    return version, {
        "matmul": lambda n: product((n, n), (n, n)),
        "batched-matmul": lambda batch, n: product((batch, n, n), (batch, n, n)),
        "matvec": lambda n: product((n, n), (n,)),
        "affine": unary(lambda x: x * 2 + 1),
        "exp": unary(jnp.exp),
        "gelu": unary(jax.nn.gelu),
        "sum": unary(jnp.sum),
        "sum-axis": sum_axis,
        "softmax": over_rows(jax.nn.softmax),
        "layernorm": over_rows(layer_norm, 2, 3),
        "mlp": mlp,
        "gpt": gpt,
        "cnn": cnn,
        "tiny": tiny,
        "jit-add": add(jax.jit(jnp.add)),
        "eager-add": add(jnp.add),
        "per-example": per_example,
        "lorenz": lorenz,
        "lorenz-gradient": lorenz_gradient,
        "chain": chain,
        "unrolled": unrolled,
    }
