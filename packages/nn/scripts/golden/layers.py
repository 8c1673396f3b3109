"""Results of layers by PyTorch, JAX and NumPy: python layers.py > ../../test-data/layers.json

Images are NHWC and filters HWIO, as the layers have them; PyTorch's are transposed here.
"""
import json

import jax
import jax.numpy as jnp
import numpy as np
import torch
import torch.nn.functional as F

rng = np.random.default_rng(0)


def draw(*shape):
    return rng.normal(size=shape).astype(np.float32)


def array(x):
    """An array as shape and numbers."""
    x = np.asarray(x.detach() if isinstance(x, torch.Tensor) else x, dtype=np.float64)
    return {"shape": list(x.shape), "data": [float(f"{v:.9g}") for v in x.ravel()]}


def channels_first(x):
    return torch.tensor(np.moveaxis(x, -1, 1).copy())


def channels_last(y):
    return np.moveaxis(y.numpy(), 1, -1)


def torch_filters(w):
    """HWIO to OIHW."""
    return torch.tensor(np.moveaxis(np.moveaxis(w, -1, 0), -1, 1).copy())


def convolution(axes, size, inputs, outputs, window, stride, padding, dilation, groups):
    x, w, b = draw(2, *size, inputs), draw(*window, inputs // groups, outputs), draw(outputs)
    f = [F.conv1d, F.conv2d, F.conv3d][axes - 1]
    pad = padding if isinstance(padding, int) else padding.lower()
    y = f(channels_first(x), torch_filters(w), torch.tensor(b), stride, pad, dilation, groups)
    return {
        "axes": axes, "inputs": inputs, "outputs": outputs, "window": window,
        "options": {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups},
        "x": array(x), "weight": array(w), "bias": array(b), "y": array(channels_last(y)),
    }


convolutions = [
    convolution(1, [7], 3, 4, [3], 2, 1, 1, 1),
    convolution(1, [8], 2, 2, [3], 1, "VALID", 2, 2),
    convolution(2, [5, 6], 2, 3, [3, 3], 1, "SAME", 1, 1),
    convolution(2, [6, 7], 4, 6, [3, 2], 2, 1, 1, 2),
    convolution(2, [5, 5], 3, 6, [3, 3], 1, 1, 1, 3),
    convolution(2, [7, 6], 2, 2, [2, 3], 1, "VALID", 2, 1),
    convolution(3, [4, 3, 5], 2, 3, [2, 3, 2], 1, 1, 1, 1),
]


def transposed(axes, size, inputs, outputs, window, stride, padding):
    x, w = draw(2, *size, inputs), draw(*window, inputs, outputs)
    letters = "HWD"[:axes]
    y = jax.lax.conv_transpose(x, w, [stride] * axes, padding,
                               dimension_numbers=(f"N{letters}C", f"{letters}IO", f"N{letters}C"))
    return {
        "axes": axes, "inputs": inputs, "outputs": outputs, "window": window,
        "options": {"stride": stride, "padding": padding},
        "x": array(x), "weight": array(w), "y": array(y),
    }


transposes = [
    transposed(1, [4], 2, 3, [3], 2, "SAME"),
    transposed(2, [3, 4], 2, 3, [3, 3], 2, "SAME"),
    transposed(2, [3, 2], 3, 2, [2, 3], 3, "VALID"),
    transposed(3, [2, 3, 2], 1, 2, [2, 2, 2], 2, "SAME"),
]

# PyTorch's own transposed convolution flips filters and has no padding by default.
x, w = draw(2, 3, 4, 2), draw(3, 3, 2, 3)
flipped = torch.tensor(np.ascontiguousarray(np.transpose(w[::-1, ::-1], (2, 3, 0, 1))))
y = F.conv_transpose2d(channels_first(x), flipped, stride=2)
transposes.append({
    "axes": 2, "inputs": 2, "outputs": 3, "window": [3, 3],
    "options": {"stride": 2, "padding": "VALID"},
    "x": array(x), "weight": array(w), "y": array(channels_last(y)),
})

# --- norms ---

scale, bias = draw(6), draw(6)
x = draw(3, 4, 5, 6) * 2 + 1
first, t, ts, tb = channels_first(x), torch.tensor(x), torch.tensor(scale), torch.tensor(bias)
mean, var = torch.tensor(draw(6)), torch.tensor(np.abs(draw(6)) + 0.5)
running_mean, running_var = mean.clone(), var.clone()
trained = F.batch_norm(first, running_mean, running_var, ts, tb, training=True, momentum=0.1)
count = 3 * 4 * 5
norms = {
    "x": array(x), "scale": array(scale), "bias": array(bias),
    "layerNorm": array(F.layer_norm(t, [6], ts, tb, eps=1e-6)),
    "rmsNorm": array(F.rms_norm(t, [6], ts, eps=1e-6)),
    "groupNorm": array(channels_last(F.group_norm(first, 3, ts, tb, eps=1e-6))),
    "instanceNorm": array(channels_last(F.instance_norm(first, weight=ts, bias=tb, eps=1e-6))),
    "batchNorm": {
        "mean": array(mean), "variance": array(var),
        "train": array(channels_last(trained)),
        "nextMean": array(running_mean),
        # PyTorch keeps the variance of the population, Flax that of the batch.
        "nextVariance": array(0.9 * var + 0.1 * torch.tensor(x).reshape(-1, 6).var(0, correction=0)),
        "populationVariance": array(running_var), "count": count,
        "evaluate": array(channels_last(F.batch_norm(first, mean, var, ts, tb))),
    },
}

# --- pooling ---

x = draw(2, 7, 6, 3)
first = channels_first(x)
pools = {
    "x": array(x),
    "max": array(channels_last(F.max_pool2d(first, [2, 2]))),
    "maxStrided": array(channels_last(F.max_pool2d(first, [3, 2], 2, [1, 1]))),
    "average": array(channels_last(F.avg_pool2d(first, [2, 3]))),
    "averagePadded": array(channels_last(F.avg_pool2d(first, 3, 2, 1))),
    "averageWithoutPadding": array(
        channels_last(F.avg_pool2d(first, 3, 2, 1, count_include_pad=False))),
    "adaptiveAverage": array(channels_last(F.adaptive_avg_pool2d(first, [3, 4]))),
    "adaptiveMax": array(channels_last(F.adaptive_max_pool2d(first, [3, 4]))),
    "globalAverage": array(channels_last(F.adaptive_avg_pool2d(first, 1))[:, 0, 0]),
}

# --- attention and positions ---


def attention(heads, key_heads, causal, mask, bias, lengths=False, window=None):
    q, k, v = draw(2, 5, heads, 4), draw(2, 6, key_heads, 4), draw(2, 6, key_heads, 4)
    m = rng.random((2, 1, 5, 6)) < 0.7 if mask else None
    b = draw(2, heads, 5, 6) if bias else None
    queries, keys = (np.array([5, 3]), np.array([4, 6])) if lengths else (None, None)
    y = jax.nn.dot_product_attention(q, k, v, bias=b, mask=m, is_causal=causal, query_seq_lengths=queries,
                                     key_value_seq_lengths=keys, local_window_size=window)
    return {
        "query": array(q), "key": array(k), "value": array(v), "isCausal": causal,
        "lengths": [queries.tolist(), keys.tolist()] if lengths else None, "window": window,
        "mask": array(m) if mask else None, "bias": array(b) if bias else None, "y": array(y),
    }


attentions = [
    attention(2, 2, False, False, False),
    attention(2, 2, True, False, False),
    attention(4, 2, True, True, False),
    attention(4, 1, False, True, True),
    attention(2, 2, False, False, False, lengths=True),
    attention(4, 2, True, False, False, lengths=True, window=(1, 0)),
    attention(2, 1, False, True, True, window=2),
]

torch.manual_seed(0)
module = torch.nn.MultiheadAttention(6, 2, batch_first=True)
torch.nn.init.normal_(module.in_proj_bias)
torch.nn.init.normal_(module.out_proj.bias)
x, memory = torch.tensor(draw(2, 5, 6)), torch.tensor(draw(2, 4, 6))
multi_head = {
    "x": array(x), "memory": array(memory),
    "weights": [array(w.T) for w in module.in_proj_weight.chunk(3)] + [array(module.out_proj.weight.T)],
    "biases": [array(b) for b in module.in_proj_bias.chunk(3)] + [array(module.out_proj.bias)],
    "self": array(module(x, x, x)[0]),
    "causal": array(module(x, x, x, attn_mask=torch.triu(torch.ones(5, 5, dtype=bool), 1))[0]),
    "cross": array(module(x, memory, memory)[0]),
}

x = draw(5, 2, 6)
frequencies = 10000.0 ** (-np.arange(3) / 3)
turn = np.exp(1j * np.arange(5)[:, None, None] * frequencies)


def rotated(a, b):
    z = (a + 1j * b) * turn
    return z.real, z.imag


halves = np.concatenate(rotated(x[..., :3], x[..., 3:]), -1)
interleaved = np.stack(rotated(x[..., 0::2], x[..., 1::2]), -1).reshape(x.shape)
table = np.zeros((5, 6))
table[:, 0::2], table[:, 1::2] = np.sin(np.arange(5)[:, None] * frequencies), np.cos(
    np.arange(5)[:, None] * frequencies)
positions = {
    "x": array(x), "halves": array(halves), "interleaved": array(interleaved),
    "sinusoidal": array(table),
}

# --- recurrence ---

x = draw(2, 4, 3)


def recurrence(module, count, one_bias):
    y, state = module(torch.tensor(x))
    weight_ih, weight_hh, bias_ih, bias_hh = [p.detach() for p in module.parameters()]
    bias = bias_ih + bias_hh if one_bias else bias_ih.clone()
    if not one_bias:  # Only the candidate's bias stands inside of the reset gate.
        bias[:10] += bias_hh[:10]
    last = state[1][0] if one_bias else state[0]
    return {
        "x": array(x), "input": array(weight_ih.T), "inputBias": array(bias),
        "recurrent": array(weight_hh.T), "recurrentBias": array(bias_hh[-5:]),
        "y": array(y), "last": array(last),
    }


recurrences = {
    "lstm": recurrence(torch.nn.LSTM(3, 5, batch_first=True), 4, True),
    "gru": recurrence(torch.nn.GRU(3, 5, batch_first=True), 3, False),
}

# --- reparametrisations ---

w, g, x = draw(4, 3), np.abs(draw(3)), draw(2, 4)
reparametrisations = {
    "weight": array(w), "scale": array(g), "x": array(x),
    "weightNorm": array(torch.tensor(x) @ torch._weight_norm(torch.tensor(w), torch.tensor(g), 1)),
    "spectralNorm": array(x @ (w / np.linalg.norm(w.astype(np.float64), 2))),
}

# --- initialisers ---

init = jax.nn.initializers
functions = {
    "glorotUniform": (init.glorot_uniform(), [3, 5]),
    "glorotNormal": (init.glorot_normal(), [2, 3, 4]),
    "heUniform": (init.he_uniform(), [3, 5]),
    "heNormal": (init.he_normal(), [3, 5]),
    "lecunUniform": (init.lecun_uniform(), [3, 3, 2, 2]),
    "lecunNormal": (init.lecun_normal(), [3, 5]),
    "normal": (init.normal(), [6]),
    "uniform": (init.uniform(), [6]),
    "truncatedNormal": (init.truncated_normal(0.5, lower=-1.0, upper=1.5), [3, 4]),
    "orthogonal": (init.orthogonal(), [4, 4]),
    "orthogonalHigh": (init.orthogonal(2.0), [6, 3]),
    "orthogonalWide": (init.orthogonal(), [2, 5]),
    "orthogonalDeep": (init.orthogonal(), [2, 3, 4]),
    "orthogonalColumns": (init.orthogonal(0.5, column_axis=1), [2, 3, 4]),
    "deltaOrthogonal": (init.delta_orthogonal(2.0), [3, 4, 2, 3]),
    "geometric": (init.variance_scaling(2.0, "fan_geo_avg", "uniform"), [3, 5]),
    "ofAxes": (init.variance_scaling(3.0, "fan_in", "truncated_normal", in_axis=(0, 1), out_axis=3, batch_axis=2),
               [2, 3, 4, 5, 2]),
    "heFirst": (init.he_normal(in_axis=1, out_axis=0), [3, 5]),
    "normalNamed": (init.normal(stddev=0.5), [6]),
    "uniformNamed": (init.uniform(scale=2.0), [6]),
}
initialisers = {
    name: array(f(jax.random.key(7), tuple(shape), jnp.float32))
    for name, (f, shape) in functions.items()
}

print(json.dumps({
    "jax": jax.__version__, "torch": torch.__version__.split("+")[0],
    "convolutions": convolutions, "transposes": transposes, "norms": norms, "pools": pools,
    "attentions": attentions, "multiHead": multi_head, "positions": positions,
    "recurrences": recurrences, "reparametrisations": reparametrisations,
    "initialisers": initialisers,
}))
