"""The same numbers for everybody: `numbers.ts` in NumPy."""
import numpy as np


def numbers(count, scale=1.0, seed=1):
    with np.errstate(over="ignore"):
        h = np.uint32(seed * 0x9E3779B9 & 0xFFFFFFFF) + np.arange(count, dtype=np.uint32)
        h = (h ^ (h >> np.uint32(16))) * np.uint32(0x85EBCA6B)
        h = (h ^ (h >> np.uint32(13))) * np.uint32(0xC2B2AE35)
        h ^= h >> np.uint32(16)
    unit = (h >> np.uint32(8)).astype(np.float64) / 2**23 - 1
    return (unit * scale).astype(np.float32)


def integers(count, bound, seed=1):
    return np.floor((numbers(count, 0.5, seed).astype(np.float64) + 0.5) * bound).astype(np.int32)


def parameter_source():
    """Uniform weights of variance 1 / inputs, drawn one after the other."""
    seed = 99

    def draw(inputs, *shape):
        nonlocal seed
        seed += 1
        return numbers(int(np.prod(shape)), np.sqrt(3 / inputs), seed).reshape(shape)

    return draw


MLP = {"batch": 128, "sizes": [784, 512, 256, 10]}
GPT = {"layers": 4, "width": 128, "heads": 4, "context": 64, "vocabulary": 65, "batch": 16}
CNN = {"batch": 64, "side": 28, "channels": [1, 16, 32], "classes": 10}
TINY = {"batch": 16, "sizes": [4, 8, 1]}
UNROLLED = {"width": 32, "batch": 8}
FIRST_LOSSES = 3
