"""Tasks of the peers: what people would otherwise use. A process imports one module of tasks.

    pipelines              fill, classify: pipelines of transformers on PyTorch
    onnx_int8              fill_int8: ONNX Runtime with dynamic int8 weights
    pseudo_log_likelihood  score: minicons
    tokenization           tokens: datasets, as run_mlm.py of transformers uses it
    masked_lm              train, learn: a Trainer as run_mlm.py sets it up
    classification         finetune: a Trainer as run_classification.py sets it up
    product_on_cpu         product_peak: NumPy
    product_on_gpu         gpu_product_peak: PyTorch

What the trainings share: `arguments` makes the TrainingArguments, `callbacks` has the times and
losses of steps and the stop at a value to reach, and `held_out` the loss on held-out sequences.
"""

import os

THREADS = int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1)  # PyTorch's number too
