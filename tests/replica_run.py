"""One tiny training on one device and on two of them, as JSON on standard output.

    python tests/replica_run.py CHECKPOINT_FOLDER tensorflow|jax

The two devices are two logical CPUs; they see halves of the batches that the one device sees
whole. A process of its own, because devices and backend are fixed before anything else is done.
"""

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

STEPS, ROWS, LENGTH, SLOTS = 5, 8, 16, 6
# An epsilon this large keeps AdamW from undoing a wrong scale of the gradient.
SETTINGS = {"learning_rate": 0.05, "warmup_steps": 2, "adam_epsilon": 0.1, "max_grad_norm": 0.2}


def prepare(backend: str) -> None:
    os.environ |= {"KERAS_BACKEND": backend, "CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"}
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    if backend == "jax":
        os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"
        return
    import tensorflow as tf

    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
    )


def batch_at(step: int, vocab_size: int):
    """Of 6 slots a row, the first half of the rows uses all and the second half one."""
    import numpy as np

    rng = np.random.default_rng(step)
    positions = [rng.choice(LENGTH - 4, SLOTS, replace=False) for _ in range(ROWS)]
    attention_mask = np.ones((ROWS, LENGTH), "int32")
    attention_mask[::3, -3:] = 0
    inputs = {
        "input_ids": rng.integers(5, vocab_size, (ROWS, LENGTH)).astype("int32"),
        "attention_mask": attention_mask,
        "masked_positions": np.array(positions, "int32"),
    }
    weights = np.ones((ROWS, SLOTS), "float32")
    weights[ROWS // 2 :, 1:] = 0
    labels = rng.integers(5, vocab_size, (ROWS, SLOTS)).astype("int32")
    return inputs, labels, weights / weights.sum()


class Batches:
    """What TrainingDataset asks of a run's batches."""

    is_padded = True

    def __init__(self, vocab_size: int):
        self.vocab_size = vocab_size

    def batch_at(self, step: int):
        return batch_at(step, self.vocab_size)


def held_out(tokenizer):
    """Evaluation batches over random tokens; the last batch is filled up."""
    import numpy as np

    from mlm.batches import evaluation_batches
    from mlm.token_store import Split
    from mlm.tokenizer import TokenFacts

    tokens = np.random.default_rng(9).integers(5, len(tokenizer), 300).astype("int32")
    split = Split(tokens, np.array([0, 300]))
    facts = TokenFacts.of(tokenizer)
    return evaluation_batches(split, facts, max_seq_length=LENGTH, batch_size=ROWS)


def train_on(device, folder: str, **changes) -> dict:
    """Losses, final weights, and figures of one run, as the trainer does it."""
    import keras

    from mlm.checkpoint import read_checkpoint
    from mlm.config import TrainingConfig
    from mlm.evaluation import Evaluator
    from mlm.optimizer import make_optimizer
    from mlm.training_dataset import TrainingDataset
    from mlm.weights import variables_by_name

    with device.scope():
        start = read_checkpoint(folder, dtype=device.policy)
        model = start.model
        model.compile(
            make_optimizer(TrainingConfig(**(SETTINGS | changes)), STEPS),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="sum"),
            weighted_metrics=[
                keras.metrics.SparseCategoricalCrossentropy(from_logits=True, name="nats")
            ],
            jit_compile=device.jit_compile,
        )
        model.optimizer.build(model.trainable_variables)
    batches, losses = Batches(len(start.tokenizer)), []
    for step in range(STEPS):
        steps = TrainingDataset(batches, step, step + 1)
        losses += model.fit(steps, verbose=0, shuffle=False).history["nats"]
    evaluator = Evaluator(model, held_out(start.tokenizer), jit_compile=device.jit_compile)
    return {
        "replicas": device.num_replicas,
        "losses": losses,
        "figures": evaluator.figures().to_dict(),
        "weights": {
            name: keras.ops.convert_to_numpy(variable).ravel().tolist()
            for name, variable in variables_by_name(model).items()
        },
    }


def main(folder: str, backend: str) -> None:
    prepare(backend)
    from mlm.devices import Device, choose_device

    one = Device("cpu", "one CPU", 1, "float32", "for this test", backend == "jax")
    runs = {"one": train_on(one, folder)}
    if backend == "tensorflow":
        runs["one, not clipped"] = train_on(one, folder, max_grad_norm=0.0)
    runs["two"] = train_on(choose_device("fp32"), folder)
    json.dump(runs, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
