"""PyTorch, eagerly, as most of its users run it, on the CPU or through CUDA."""
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from data import CNN, FIRST_LOSSES, GPT, MLP, TINY, integers, numbers, parameter_source


def given(array):
    return torch.from_numpy(array).to(torch.get_default_device())


def wait(_last):
    if torch.get_default_device().type == "cuda":
        torch.cuda.synchronize()


def running(f):
    def run():
        with torch.inference_mode():
            return f()

    return run, lambda: run().cpu().numpy().ravel()


def tensor(shape, seed=1):
    return given(numbers(int(np.prod(shape)), 1, seed).reshape(shape))


def set_linear(layer, weights):
    """PyTorch keeps weights as [outputs, inputs]."""
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(np.ascontiguousarray(weights.T)))
        layer.bias.zero_()
    return layer


def linear(draw, inputs, outputs):
    return set_linear(nn.Linear(inputs, outputs), draw(inputs, inputs, outputs))


def training(model, loss, optimiser, x, y):
    def run():
        optimiser.zero_grad(set_to_none=True)
        value = loss(model(x), y)
        value.backward()
        optimiser.step()
        return value

    return run, lambda: [run().item() for _ in range(FIRST_LOSSES)]


def adam(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)


def labels(count, bound):
    return given(integers(count, bound, 2)).long()


def mlp(batch):
    draw, sizes = parameter_source(), MLP["sizes"]
    layers = []
    for m, n in zip(sizes, sizes[1:]):
        layers += [linear(draw, m, n), nn.ReLU()]
    model = nn.Sequential(*layers[:-1])
    x = tensor((batch, sizes[0]))
    return training(model, F.cross_entropy, adam(model), x, labels(batch, sizes[-1]))


class Block(nn.Module):
    def __init__(self, draw, width, heads):
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width)
        self.qkv = linear(draw, width, 3 * width)
        self.projection = linear(draw, width, width)
        self.norm2 = nn.LayerNorm(width)
        self.expand = linear(draw, width, 4 * width)
        self.contract = linear(draw, 4 * width, width)

    def forward(self, x):
        batch, context, width = x.shape
        parts = self.qkv(self.norm1(x)).split(width, -1)
        q, k, v = (p.view(batch, context, self.heads, -1).transpose(1, 2) for p in parts)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.projection(mixed.transpose(1, 2).reshape(batch, context, width))
        return x + self.contract(F.gelu(self.expand(self.norm2(x)), approximate="tanh"))


class Gpt(nn.Module):
    def __init__(self, layers, context):
        super().__init__()
        width, vocabulary, draw = GPT["width"], GPT["vocabulary"], parameter_source()
        self.tokens = nn.Embedding(vocabulary, width)
        self.tokens.weight = nn.Parameter(given(draw(width, vocabulary, width)))
        self.positions = nn.Parameter(given(draw(width, context, width)))
        self.blocks = nn.ModuleList(Block(draw, width, GPT["heads"]) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.head = linear(draw, width, vocabulary)

    def forward(self, x):
        x = self.tokens(x) + self.positions
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


def gpt(layers, context, batch):
    vocabulary, model = GPT["vocabulary"], Gpt(layers, context)
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-4, weight_decay=0.1, fused=True)
    x, y = (
        given(integers(batch * context, vocabulary, seed).reshape(batch, context)).long()
        for seed in (1, 2)
    )

    def loss(logits, y):
        return F.cross_entropy(logits.view(-1, vocabulary), y.view(-1))

    return training(model, loss, optimiser, x, y)


def cnn(batch):
    draw, channels, side = parameter_source(), CNN["channels"], CNN["side"]
    layers = []
    for m, n in zip(channels, channels[1:]):
        layer = nn.Conv2d(m, n, 3, padding=1)
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(draw(9 * m, 3, 3, m, n)).permute(3, 2, 0, 1))
            layer.bias.zero_()
        layers += [layer, nn.ReLU(), nn.MaxPool2d(2)]
    # Its features are channels first, the weights that all peers start from channels last.
    last, pooled = channels[-1], side // 4
    weights = draw(pooled**2 * last, pooled**2, last, CNN["classes"])
    weights = weights.transpose(1, 0, 2).reshape(-1, CNN["classes"])
    dense = set_linear(nn.Linear(*weights.shape), weights)
    model = nn.Sequential(*layers, nn.Flatten(), dense).to(memory_format=torch.channels_last)
    x = tensor((batch, 1, side, side)).to(memory_format=torch.channels_last)
    return training(model, F.cross_entropy, adam(model), x, labels(batch, CNN["classes"]))


def two_layers(sizes):
    draw = parameter_source()
    m, n, k = sizes
    return nn.Sequential(linear(draw, m, n), nn.Tanh(), linear(draw, n, k))


def tiny():
    batch, model = TINY["batch"], two_layers(TINY["sizes"])
    optimiser = torch.optim.SGD(model.parameters(), lr=0.01)
    x, y = tensor((batch, TINY["sizes"][0])), tensor((batch, 1), 2)
    return training(model, F.mse_loss, optimiser, x, y)


def per_example(examples):
    model = two_layers([32, 64, 1])
    params = {name: p.detach() for name, p in model.named_parameters()}
    x, y = tensor((examples, 32)), tensor((examples, 1), 2)

    def loss(params, x, y):
        return F.mse_loss(torch.func.functional_call(model, params, x), y)

    gradients = torch.func.vmap(torch.func.grad(loss), (None, 0, 0))
    return (
        lambda: gradients(params, x, y),
        lambda: gradients(params, x, y)["0.weight"].transpose(1, 2).reshape(-1).cpu().numpy(),
    )


def product(left, right):
    x, y = tensor(left, 1), tensor(right, 2)
    return running(lambda: x @ y)


def unary(f):
    def factory(n):
        x = tensor((n,))
        return running(lambda: f(x))

    return factory


def softmax(rows, columns):
    x = tensor((rows, columns))
    return running(lambda: torch.softmax(x, -1))


def layernorm(rows, columns):
    x, scale, offset = tensor((rows, columns)), tensor((columns,), 2), tensor((columns,), 3)
    return running(lambda: F.layer_norm(x, (columns,), scale, offset))


def sum_axis(n, axis):
    x = tensor((n, n))
    return running(lambda: torch.sum(x, axis))


def add(n):
    x, y = tensor((n,), 1), tensor((n,), 2)
    return running(lambda: x + y)


def programs(threads, on_gpu):
    torch.set_num_threads(threads)
    version = torch.__version__
    if on_gpu:
        if not torch.cuda.is_available():
            raise RuntimeError(f"PyTorch {version} sees no GPU")
        version += f" on {torch.cuda.get_device_name()}"
        torch.set_default_device("cuda")
        # Tensor cores would round operands to 10 bits; everybody computes in single precision.
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
    return version, {
        "matmul": lambda n: product((n, n), (n, n)),
        "batched-matmul": lambda batch, n: product((batch, n, n), (batch, n, n)),
        "matvec": lambda n: product((n, n), (n,)),
        "affine": unary(lambda x: x * 2 + 1),
        "exp": unary(torch.exp),
        "gelu": unary(lambda x: F.gelu(x, approximate="tanh")),
        "sum": unary(torch.sum),
        "sum-axis": sum_axis,
        "softmax": softmax,
        "layernorm": layernorm,
        "mlp": mlp,
        "gpt": gpt,
        "cnn": cnn,
        "tiny": tiny,
        "eager-add": add,
        "per-example": per_example,
    }
