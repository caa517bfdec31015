"""The training step of each family, lowered for a TPU of eight cores on a machine without one.

    python tests/support/lowered_step.py [STEP...]

A STEP is "family optimizer micro-batches"; without one, all of STEPS are lowered.
Prints JSON: for each step the platform, the number of devices and of matmuls, and the custom calls,
which are outside StableHLO, so that a TPU may lack them.
"""

import json
import os
import re
import sys
from pathlib import Path

os.environ |= {
    "KERAS_BACKEND": "jax",
    "JAX_PLATFORMS": "cpu",
    "XLA_FLAGS": "--xla_force_host_platform_device_count=8",
}
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import jax
import numpy as np

from mlm.backend.devices import choose_device
from mlm.checkpoint.families import encoder_config_of, new_config
from mlm.model.encoder import MaskedLM
from mlm.training.config import TrainingConfig
from mlm.training.step.optimizer import make_optimizer
from tests.support.learners import masked_lm_learner

ROWS, LENGTH, SLOTS, VOCABULARY = 32, 128, 20, 512
SHAPE = {
    "vocab_size": VOCABULARY,
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "pad_token_id": 0,
}
SETTINGS = {
    "modernbert": {"cls_token_id": 2, "sep_token_id": 3, "bos_token_id": 2, "eos_token_id": 3},
    "deberta-v2": {
        "relative_attention": True,
        "position_biased_input": False,
        "pos_att_type": ["p2c", "c2p"],
        "share_att_key": True,
        "norm_rel_ebd": "layer_norm",
        "position_buckets": 16,
    },
}
STEPS = [  # family, optimizer, micro-batches
    ("bert", "adamw", 1),
    ("bert", "adamw", 2),
    ("modernbert", "muon", 1),
    ("distilbert", "adamw", 1),
    ("albert", "adamw", 1),
    ("mpnet", "adamw", 1),
    ("deberta-v2", "adamw", 1),
]


def batch() -> tuple:
    """Return a batch with all inputs of a step, the attention mask included."""
    rng = np.random.default_rng(0)
    inputs = {
        "input_ids": rng.integers(5, VOCABULARY, (ROWS, LENGTH)).astype("int32"),
        "attention_mask": np.ones((ROWS, LENGTH), "int32"),
        "masked_positions": np.tile(np.arange(SLOTS, dtype="int32"), (ROWS, 1)),
    }
    labels = rng.integers(5, VOCABULARY, (ROWS, SLOTS)).astype("int32")
    return inputs, labels, np.full((ROWS, SLOTS), 1 / (ROWS * SLOTS), "float32")


def lower_step(family: str, optim: str, micro_batches: int, device) -> dict:
    """Lower one training step for a TPU, and return what main prints for it."""
    config = new_config(family, **SHAPE, **SETTINGS.get(family, {}))
    model = MaskedLM(encoder_config_of(config), dtype=device.policy)
    model.build()
    learner = masked_lm_learner(model, micro_batches)
    optimizer = make_optimizer(TrainingConfig(optim=optim), 10)
    learner.compile_for_training(optimizer, jit_compile=True)
    data = batch()
    learner._symbolic_build(data_batch=data)
    state = tuple(
        [variable.value for variable in variables]
        for variables in (
            learner.trainable_variables,
            learner.non_trainable_variables,
            optimizer.variables,
            learner.metrics_variables,
        )
    )
    step = jax.export.export(jax.jit(learner.train_step), platforms=["tpu"])(state, data)
    program = step.mlir_module()
    return {
        "platforms": step.platforms,
        "devices": step.nr_devices,
        "products": program.count("dot_general"),
        "calls": sorted(set(re.findall(r"custom_call @(\w+)", program))),
    }


if __name__ == "__main__":
    eight, names = choose_device("bf16"), {" ".join(map(str, step)): step for step in STEPS}
    print(json.dumps({name: lower_step(*names[name], eight) for name in sys.argv[1:] or names}))
