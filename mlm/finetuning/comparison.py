"""The systems that --compare names, made from the checkpoint that is fine-tuned."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mlm import hub
from mlm.backend.devices import Device
from mlm.checkpoint.task import Task
from mlm.checkpoint.task_checkpoint import OpenTaskCheckpoint, TaskCheckpoint, read_task_checkpoint
from mlm.checkpoint.weights import variables_by_name
from mlm.data.examples.encoded_examples import EncodedExamples, encode_examples
from mlm.data.labelled.labelled_texts import LabelledTexts
from mlm.errors import ConfigError
from mlm.finetuning.config import FinetuningConfig
from mlm.finetuning.features import FEATURES, FeatureCache
from mlm.finetuning.probe import open_head
from mlm.finetuning.systems import (
    ADAPTED,
    BASE,
    RANDOM,
    ProbeSystem,
    System,
    TfidfSystem,
    can_use_tfidf,
)
from mlm.hub.pull import DEMO

if TYPE_CHECKING:
    from mlm.model.task_model import TaskModel


def make_systems(
    config: FinetuningConfig,
    device: Device,
    train: LabelledTexts,
    test: LabelledTexts,
    report: Callable[[str], None],
) -> list[System]:
    """Return the adapted model and the systems of `compare`; say what is left out."""
    read = partial(_read, config, device.policy, train.task)
    adapted = read(str(config.model_name_or_path), config.model_revision)
    systems: list[System] = [_probe(config, ADAPTED, adapted, train, test)]
    for name in dict.fromkeys(config.compare):
        if name == "tfidf" and not can_use_tfidf(adapted.task):
            report("tfidf is left out: it has no features for single words")
        elif name == "tfidf":
            balanced = config.class_weights == "balanced"
            systems.append(TfidfSystem(train, test, balanced=balanced))
        elif name == "random":
            systems.append(
                _probe(
                    config, RANDOM, random_weights(adapted, device.policy, config.seed), train, test
                )
            )
        else:
            systems.extend(_base_system(config, adapted, read, train, test, report))
    return systems


def _base_system(
    config: FinetuningConfig,
    adapted: TaskCheckpoint,
    read: Callable[[str, str | None], TaskCheckpoint],
    train: LabelledTexts,
    test: LabelledTexts,
    report: Callable[[str], None],
) -> Iterator[System]:
    """Yield the model that the checkpoint was adapted from, if it was adapted from one."""
    name, revision = base_model_of(config, adapted)
    if name is None:
        report(
            f"base is left out: {config.model_name_or_path} was trained from scratch, so random "
            "weights are what it was before"
        )
        return
    yield _probe(config, BASE, read(name, revision), train, test)


def _read(
    config: FinetuningConfig, policy: str, task: Task, name: str, revision: str | None
) -> TaskCheckpoint:
    fetched = hub.fetch_checkpoint(name, revision)
    return read_task_checkpoint(
        fetched.folder,
        task,
        classifier_pooling=config.pooling,
        dtype=policy,
        seed=config.seed,
    )


def base_model_of(
    config: FinetuningConfig, adapted: OpenTaskCheckpoint
) -> tuple[str | None, str | None]:
    """Return name and revision of the model that a checkpoint was adapted from; None from scratch.

    Raises ConfigError if its record does not say.
    """
    if config.base_model_name_or_path:
        return config.base_model_name_or_path, None
    training = adapted.training or {}
    settings, base = training.get("config"), training.get("base_model")
    if isinstance(base, dict) and base.get("repo_id"):
        return str(base["repo_id"]), base.get("commit")
    if isinstance(settings, dict) and settings.get("model_name_or_path") in (None, DEMO):
        return settings.get("model_name_or_path"), None
    raise ConfigError(
        f"the record of {config.model_name_or_path} does not say which model it was adapted from; "
        "name that as --base_model_name_or_path, or leave base out of --compare"
    )


def random_weights(checkpoint: TaskCheckpoint, policy: str, seed: int) -> TaskCheckpoint:
    """Return a checkpoint of the same shape with weights that were never trained."""
    import keras

    from mlm.model.task_model import TaskModel

    keras.utils.set_random_seed(seed)
    model = TaskModel(checkpoint.config, dtype=policy, seed=seed)
    model.build()
    new = tuple(name for name in variables_by_name(model) if name.startswith("head/"))
    return replace(checkpoint, model=model, new_variables=new)


def _probe(
    config: FinetuningConfig,
    name: str,
    checkpoint: TaskCheckpoint,
    train: LabelledTexts,
    test: LabelledTexts,
) -> ProbeSystem:
    train_examples, test_examples = (
        encode_examples(
            texts,
            checkpoint.tokenizer,
            max_seq_length=config.max_seq_length,
            truncation=config.truncation,
            has_segments=checkpoint.config.has_segments,
        )
        for texts in (train, test)
    )
    open_head(checkpoint.model, checkpoint.new_variables, train_examples)

    def make_features() -> tuple[np.ndarray, np.ndarray]:
        return tuple(  # type: ignore[return-value]
            _features(config, checkpoint.model, examples, f"{name}: encoding the {side} texts")
            for side, examples in (("training", train_examples), ("test", test_examples))
        )

    balanced = config.class_weights == "balanced"
    return ProbeSystem(name, make_features, train_examples, balanced=balanced)


def _features(
    config: FinetuningConfig, model: "TaskModel", examples: EncodedExamples, what: str
) -> np.ndarray:
    cache = FeatureCache(Path(config.output_dir) / FEATURES)
    return cache.get(model, examples, batch_size=config.per_device_eval_batch_size, what=what)
