"""A few steps of fine-tuning equal PyTorch's: its BERT, its losses, its AdamW, rates by layer."""

import math

import numpy as np
import pytest
import torch
import transformers

from mlm.backend.input_pipeline import make_input_pipeline
from mlm.checkpoint.folder import save_checkpoint
from mlm.finetuning.preparation import prepare
from mlm.training.compiled_learner import compile_learner
from mlm.training.step.dataset import TrainingDataset
from tests.support.labelled_texts import (
    labelled_texts,
    several_labels,
    small_finetuning,
    tagged_lines,
    write_csv,
)
from tests.support.small_models import save_random_checkpoint

STEPS, PEAK, DECAY = 4, 1e-3, 0.5
EPSILON, BETA2 = 1e-6, 0.999
NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


@pytest.fixture(scope="module")
def start(tmp_path_factory, words_tokenizer):
    folder = tmp_path_factory.mktemp("bert-without-dropout")
    return save_random_checkpoint(
        folder, words_tokenizer, "bert", initializer_range=0.1, **NO_DROPOUT
    )


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Problem type -> a file of labelled texts."""
    folder = tmp_path_factory.mktemp("files")
    several = [(text, "|".join(names)) for text, names in several_labels()]
    numbers = [(text, len(text) / 7) for text, _ in labelled_texts()]
    tagged = folder / "tagged.conll"
    tagged.write_text(tagged_lines(), encoding="utf-8")
    return {
        "single": write_csv(folder / "single.csv", ("text", "label"), labelled_texts()),
        "multi": write_csv(folder / "multi.csv", ("text", "labels"), several),
        "regression": write_csv(folder / "numbers.csv", ("text", "label"), numbers),
        "tokens": tagged,
    }


AUTO = {"tokens": transformers.AutoModelForTokenClassification}


def group_of(name: str) -> int:
    """Return how many layers a parameter is below the head."""
    if "embeddings" in name:
        return 3
    return 2 - int(name.split("encoder.layer.")[1].split(".")[0]) if "encoder.layer." in name else 0


def of_pytorch(kind, folder, batches, decay: float):
    """Return the parameters after some steps, and the loss of each."""
    auto = AUTO.get(kind, transformers.AutoModelForSequenceClassification)
    model = auto.from_pretrained(folder).train()
    groups = [
        {
            "params": [parameter],
            "factor": decay ** group_of(name),
            "weight_decay": 0.0 if "bias" in name or "LayerNorm" in name else 0.01,
        }
        for name, parameter in model.named_parameters()
    ]
    optimizer, losses = torch.optim.AdamW(groups), []
    for step, (inputs, labels, weights) in enumerate(batches):
        given = torch.tensor(labels)
        if kind == "tokens":
            given = torch.where(torch.tensor(weights) > 0, given, -100)
        given = given.float() if kind in ("multi", "regression") else given.long()
        tensors = {name: torch.tensor(value).long() for name, value in inputs.items()}
        loss = model(**tensors, labels=given).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for group in optimizer.param_groups:
            group["lr"] = PEAK * (1 - step / STEPS) * group["factor"]
            # Keras adds epsilon before the correction of the second moment, PyTorch after it.
            group["eps"] = EPSILON / math.sqrt(1 - BETA2 ** (step + 1))
        optimizer.step()
        losses.append(float(loss.detach()))
    return {name: value.detach().numpy() for name, value in model.named_parameters()}, losses


@pytest.mark.parametrize(
    ("kind", "decay"),
    [("single", DECAY), ("multi", 1.0), ("regression", 1.0), ("tokens", DECAY)],
)
def test_steps_equal_pytorchs(kind, decay, start, files, tmp_path):
    config = small_finetuning(
        files[kind],
        start,
        tmp_path / "run",
        max_steps=STEPS,
        learning_rate=PEAK,
        warmup_ratio=0.0,
        adam_epsilon=EPSILON,
        layerwise_lr_decay=decay,
    )
    prepared = prepare(config, lambda line: None)
    first = tmp_path / "first"
    save = {"hf_config": prepared.checkpoint.hf_config}
    save_checkpoint(prepared.model, prepared.checkpoint.tokenizer, first, **save)
    batches = [prepared.batches.batch_at(step) for step in range(STEPS)]
    theirs, losses = of_pytorch(kind, first, batches, decay)
    learner, _, mean_loss = compile_learner(prepared)
    ours = []
    for step in range(STEPS):
        data = make_input_pipeline(TrainingDataset(prepared.batches, step, step + 1))
        learner.fit(data, verbose=0, shuffle=False)
        ours.append(float(mean_loss.result()))
    np.testing.assert_allclose(ours, losses, rtol=1e-5)
    save_checkpoint(prepared.model, prepared.checkpoint.tokenizer, tmp_path / "last", **save)
    auto = AUTO.get(kind, transformers.AutoModelForSequenceClassification)
    after = dict(auto.from_pretrained(tmp_path / "last").named_parameters())
    assert after.keys() == theirs.keys()
    for name, value in after.items():
        if not name.endswith("key.bias"):  # its gradient is rounding only, which Adam enlarges
            np.testing.assert_allclose(value.detach(), theirs[name], atol=1e-5, err_msg=name)
