"""A tiny training run on one device and on several, as JSON on standard output.

    python tests/support/replica_run.py CHECKPOINT_FOLDER tensorflow|jax NAME...

NAME is one of RUNS; those on one device come first.
The devices are logical CPUs, two on TensorFlow and eight on JAX, like the cores of a TPU v5e-8.
Each sees a part of the batches that the single device sees whole. It is a process of its own,
because devices and backend are fixed before anything else runs.
"""

import dataclasses
import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.support.jax_devices import xla_flags

STEPS, ROWS, LENGTH, SLOTS = 5, 16, 16, 6
COMPILATIONS: list[float] = []  # seconds of each compilation by JAX
DEVICES = {"tensorflow": 2, "jax": 8}
FIRST_LOSS_SCALE = 1024.0  # does not overflow here
RUNS: dict[str, dict] = {  # name, which says on how many devices -> arguments of train_on
    "one": {},
    "one, in parts": {"parts": 4},
    "one, poisoned": {"poisoned": 2},
    "one, shorter": {"shorter": True},
    "one, not clipped": {"max_grad_norm": 0.0},
    "one, fp16, poisoned": {"poisoned": 2},
    "several": {},
    "several, in parts": {"parts": 2},
    "several, poisoned": {"poisoned": 2},
    "several, shorter": {"shorter": True},
    "several, shorter, in parts": {"parts": 2, "shorter": True},
    "several, fp16, poisoned": {"poisoned": 2},
}
ON_TENSORFLOW_ONLY = {"one, not clipped", "one, fp16, poisoned", "several, fp16, poisoned"}
# With a smaller epsilon AdamW would cancel a wrong scale of the gradient.
SETTINGS = {"learning_rate": 0.05, "warmup_steps": 2, "adam_epsilon": 0.1, "max_grad_norm": 0.2}


def prepare(backend: str) -> None:
    """Set the backend and its logical devices."""
    os.environ |= {"KERAS_BACKEND": backend, "CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"}
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    if backend == "jax":
        count_compilations()
        os.environ["XLA_FLAGS"] = xla_flags(DEVICES[backend])
        return
    import tensorflow as tf

    cpu, one = tf.config.list_physical_devices("CPU")[0], tf.config.LogicalDeviceConfiguration()
    tf.config.set_logical_device_configuration(cpu, [one] * DEVICES[backend])


def count_compilations() -> None:
    """Append the seconds of each program that XLA compiles from here on to COMPILATIONS."""
    import jax

    def note(event: str, seconds: float, **_) -> None:
        if event == "/jax/core/compile/backend_compile_duration":
            COMPILATIONS.append(seconds)

    jax.monitoring.register_event_duration_secs_listener(note)


def batch_at(step: int, vocab_size: int):
    """Return a batch; the first half of its rows has 6 target positions each, the second half 1."""
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
    """The attributes of MaskedBatches that TrainingDataset uses."""

    is_padded = True

    def __init__(self, vocab_size: int, poisoned: int | None, shorter: bool):
        self.vocab_size, self.poisoned, self.shorter = vocab_size, poisoned, shorter
        self.sizes = [(LENGTH - 4, SLOTS), (LENGTH, SLOTS)][0 if shorter else 1 :]

    def batch_at(self, step: int):
        """Return a step's batch, with a NaN at the poisoned step, every second one shorter."""
        inputs, labels, weights = batch_at(step, self.vocab_size)
        if step == self.poisoned:
            weights[-1, 0] = float("nan")  # in a row of the last replica
        if self.shorter and step % 2:
            inputs["attention_mask"][:, -4:] = 0
        return inputs, labels, weights

    def trim(self, batch):
        """Return the batch in the smallest of the sizes that holds it."""
        from mlm.data.batches.dynamic_padding import trim_padding

        return trim_padding(batch, self.sizes)


def held_out(tokenizer):
    """Return evaluation batches over random tokens; the last batch is filled up."""
    import numpy as np

    from mlm.data.batches.evaluation_batches import evaluation_batches
    from mlm.data.tokens.token_facts import TokenFacts
    from mlm.data.tokens.token_store import Split

    tokens = np.random.default_rng(9).integers(5, len(tokenizer), 300).astype("int32")
    split = Split(tokens, np.array([0, 300]))
    facts = TokenFacts.of(tokenizer)
    return evaluation_batches(split, facts, max_seq_length=LENGTH, batch_size=ROWS)


def train_on(device, folder: str, parts: int = 1, **changes) -> dict:
    """Train as the trainer does, and return losses, final weights and figures."""
    import keras

    from mlm.backend.input_pipeline import make_input_pipeline
    from mlm.checkpoint.folder import read_checkpoint
    from mlm.checkpoint.weights import variables_by_name
    from mlm.evaluation.evaluator import Evaluator
    from mlm.training.config import TrainingConfig
    from mlm.training.step.dataset import TrainingDataset
    from mlm.training.step.optimizer import make_optimizer
    from tests.support.learners import masked_lm_learner

    poisoned, shorter = changes.pop("poisoned", None), changes.pop("shorter", False)
    with device.scope():
        start = read_checkpoint(folder, dtype=device.policy)
        learner = masked_lm_learner(start.model, parts)
        optimizer = make_optimizer(
            TrainingConfig(**(SETTINGS | changes)),
            STEPS,
            scales_loss=device.policy == "mixed_float16",
        )
        learner.compile_for_training(optimizer, jit_compile=device.jit_compile)
    batches, losses, compiled = Batches(len(start.tokenizer), poisoned, shorter), [], []
    for step in range(STEPS):
        steps = make_input_pipeline(TrainingDataset(batches, step, step + 1))
        losses += learner.fit(steps, verbose=0, shuffle=False).history["mean_loss"]
        compiled.append(len(COMPILATIONS))
    evaluator = Evaluator(start.model, held_out(start.tokenizer), jit_compile=device.jit_compile)
    return {
        "replicas": device.num_replicas,
        "losses": losses,
        "compiled": compiled,
        "figures": evaluator.figures().to_dict(),
        "skipped": [int(optimizer.skipped_steps.numpy()), int(optimizer.last_skipped_step.numpy())],
        "loss_scale": float(optimizer.loss_scale.numpy()),
        "weights": {
            name: keras.ops.convert_to_numpy(variable).ravel().tolist()
            for name, variable in variables_by_name(start.model).items()
        },
    }


def main(folder: str, backend: str, *names: str) -> None:
    """Print the results of the named runs."""
    prepare(backend)
    from mlm.backend.devices import Device, choose_device
    from mlm.backend.startup import load_backend
    from mlm.training.step import safe_update

    load_backend()
    safe_update.FIRST_LOSS_SCALE = FIRST_LOSS_SCALE
    device = Device("cpu", "one CPU", 1, "float32", "for this test", backend == "jax")
    runs = {}
    for name in sorted(names, key=lambda name: not name.startswith("one")):
        if name.startswith("several") and device.num_replicas == 1:
            device = choose_device("fp32")  # on JAX, all later runs use all devices
        policy = "mixed_float16" if "fp16" in name else "float32"
        runs[name] = train_on(dataclasses.replace(device, policy=policy), folder, **RUNS[name])
    json.dump(runs, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
