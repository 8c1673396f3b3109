"""A file by the Python library: python weight-files.py > ../../test-data/python.safetensors"""
import sys

import ml_dtypes
import numpy as np
from safetensors.numpy import save

tensors = {
    "embedding.weight": np.arange(6, dtype=np.float32).reshape(2, 3) / 4,
    "layers.0.bias": np.array([-0.0, np.inf, np.nan], np.float16),
    "layers.0.scale": np.array(2.5, np.float64),
    "mask": np.array([[True, False], [False, True]]),
    "empty": np.zeros((0, 4), np.float32),
    "i8": np.array([-128, 127], np.int8),
    "u8": np.array([0, 255], np.uint8),
    "i16": np.array([-32768, 32767], np.int16),
    "u16": np.array([65535], np.uint16),
    "i32": np.array([-(2**31), 2**31 - 1], np.int32),
    "u32": np.array([2**32 - 1], np.uint32),
    "bf16": np.array([1.5, -3.0], ml_dtypes.bfloat16),
    'a "quoted" name, Ω': np.array([1.0], np.float32),
}
if "wide" in sys.argv:  # > ../../test-data/python-wide.safetensors
    tensors = {"steps": np.array([-1, 2**31 - 1], np.int64), "large": np.array([2**40], np.uint64)}
sys.stdout.buffer.write(save(tensors, metadata={"format": "np"}))
