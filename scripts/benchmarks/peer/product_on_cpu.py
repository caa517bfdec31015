"""Peak speed of the CPU."""

import numpy as np
from timing import Measurement, time_calls


def product_peak() -> Measurement:
    """Measure GFLOP/s of a matrix product in float32, by NumPy."""
    a = np.random.default_rng(0).random((2048, 2048), np.float32)
    seconds, _ = time_calls(lambda: a @ a, 10)
    return {"seconds": seconds, "result": 2 * 2048**3 / seconds / 1e9}
