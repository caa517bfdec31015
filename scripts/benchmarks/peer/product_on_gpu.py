"""Peak speed of the GPU."""

import torch
from timing import Measurement, time_calls


def gpu_product_peak() -> Measurement:
    """Measure GFLOP/s of a matrix product in bf16 on the GPU, by PyTorch."""
    a = torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16)

    def product() -> None:
        a @ a
        torch.cuda.synchronize()

    seconds, _ = time_calls(product, 20)
    return {"seconds": seconds, "result": 2 * 8192**3 / seconds / 1e9}
