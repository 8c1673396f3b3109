"""NumPy, for what it has a function for."""
import numpy as np

from data import numbers


def wait(_last):
    """It computes nothing later."""


def programs(_threads, on_gpu):
    if on_gpu:
        raise RuntimeError("NumPy computes on the processor")
    def program(f):
        return f, lambda: np.ravel(f())

    def unary(f):
        def factory(n):
            x = numbers(n)
            return program(lambda: f(x))

        return factory

    def matmul(n):
        x, y = numbers(n * n, 1, 1).reshape(n, n), numbers(n * n, 1, 2).reshape(n, n)
        return program(lambda: x @ y)

    def batched(batch, n):
        x, y = (numbers(batch * n * n, 1, seed).reshape(batch, n, n) for seed in (1, 2))
        return program(lambda: x @ y)

    def matvec(n):
        x, y = numbers(n * n, 1, 1).reshape(n, n), numbers(n, 1, 2)
        return program(lambda: x @ y)

    def sum_axis(n, axis):
        x = numbers(n * n).reshape(n, n)
        return program(lambda: np.sum(x, axis=axis))

    def add(n):
        x, y = numbers(n, 1, 1), numbers(n, 1, 2)
        return program(lambda: x + y)

    half, scale, cubic = np.float32(0.5), np.float32(np.sqrt(2 / np.pi)), np.float32(0.044715)
    return np.__version__, {
        "matmul": matmul,
        "batched-matmul": batched,
        "matvec": matvec,
        "affine": unary(lambda x: x * 2 + 1),
        "exp": unary(np.exp),
        "gelu": unary(lambda x: half * x * (1 + np.tanh(scale * (x + cubic * x * x * x)))),
        "sum": unary(np.sum),
        "sum-axis": sum_axis,
        "eager-add": add,
    }
