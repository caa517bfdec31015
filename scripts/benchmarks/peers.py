"""The peers' side of the benchmarks: one task in a process of its own, which bench.py starts.

    python scripts/benchmarks/peers.py fill '{"model": "FOLDER", "sentences": ["..."], "times": 20}'

The package peer has the tasks. The last line printed is a Measurement of timing.py as JSON.
"""

import json
import os
import sys
from importlib import import_module

MODULES = {  # task: its module
    "fill": "pipelines",
    "classify": "pipelines",
    "fill_int8": "onnx_int8",
    "score": "pseudo_log_likelihood",
    "tokens": "tokenization",
    "train": "masked_lm",
    "learn": "masked_lm",
    "finetune": "classification",
    "product_peak": "product_on_cpu",
    "gpu_product_peak": "product_on_gpu",
}
ENVIRONMENT = {  # unless set; read by libraries at their import
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "TOKENIZERS_PARALLELISM": "true",
}


def main(task: str, arguments: str) -> None:
    """Import the module that has the task, run the task, and print its Measurement.

    The other modules stay out: `first` and `start` count the seconds of all imports.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    module = import_module(f"peer.{MODULES[task]}")
    print(json.dumps(getattr(module, task)(**json.loads(arguments))))


if __name__ == "__main__":
    main(*sys.argv[1:])
