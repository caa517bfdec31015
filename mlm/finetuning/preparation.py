"""Read everything that a fine-tuning needs before its first step: texts, model, batches."""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mlm import hub
from mlm.backend.devices import Device, choose_device
from mlm.checkpoint.strict_json import JsonObject
from mlm.checkpoint.task import Task
from mlm.checkpoint.task_checkpoint import TaskCheckpoint, read_task_checkpoint
from mlm.data.examples.class_weights import class_weights_of
from mlm.data.examples.encoded_examples import EncodedExamples
from mlm.data.examples.example_batches import ExampleBatches
from mlm.data.examples.example_evaluation_batches import ExampleEvaluationBatches
from mlm.data.labelled.sides import Sides
from mlm.errors import ConfigError
from mlm.finetuning.config import FinetuningConfig
from mlm.finetuning.config_rules import check_task
from mlm.finetuning.labelled_sides import encode_sides, read_texts
from mlm.model.encoder_config import EncoderConfig
from mlm.terminal.progress import progress
from mlm.training.preparation import check_length, count_steps, rows_per_replica

if TYPE_CHECKING:
    from mlm.evaluation.task_evaluator import TaskEvaluator
    from mlm.model.task_model import TaskModel
    from mlm.training.step.loss import ElementLoss

BASE_RATE, BASE_WIDTH, BASE_LAYERS = 5e-5, 768, 12  # of BERT-base
FEWEST_STEPS = 60


@dataclass(frozen=True)
class FinetuningPreparation:
    """Everything that a fine-tuning consists of before its first step.

    base_model: `repo_id` and `commit` of the initial checkpoint; texts: of each side; summary: a
    line on how they were read; examples: the same, encoded; micro_batches: into how many parts a
    replica splits its rows of a step; total_steps: optimizer updates of the whole run;
    curve: the learning curve, as CurveRecord.to_dict writes it, if one was drawn.
    """

    config: FinetuningConfig
    device: Device
    checkpoint: TaskCheckpoint
    base_model: dict[str, str | None]
    texts: Sides
    summary: str
    examples: dict[str, EncodedExamples]
    batches: ExampleBatches
    micro_batches: int
    total_steps: int
    curve: JsonObject | None = None

    @property
    def task(self) -> Task:
        """The task, with the names of its labels."""
        return self.checkpoint.task

    @property
    def model(self) -> "TaskModel":
        """The model, whose weights are trained."""
        return self.checkpoint.model

    @property
    def fingerprint(self) -> str:
        """Hash of the encoded texts and their labels, by which a resumed run is recognized."""
        digest = hashlib.sha256()
        for side, examples in sorted(self.examples.items()):
            digest.update(side.encode())
            for values in (examples.ids, examples.offsets, examples.labels):
                digest.update(np.ascontiguousarray(values).tobytes())
        return digest.hexdigest()

    @property
    def learning_rate(self) -> float:
        """The peak learning rate: as given, or by the size of the model."""
        given, shape = self.config.learning_rate, self.model.config
        by_size = rate_by_size(shape.hidden_size, shape.num_hidden_layers)
        return by_size if given is None else given

    def rate_factors(self) -> dict[str, float]:
        """Return the factors of the learning rates of variables, by their path."""
        return layer_rate_factors(self.model, self.config.layerwise_lr_decay)

    def element_loss(self) -> "ElementLoss":
        """Return the loss of each label."""
        from mlm.training.step.task_loss import task_loss

        return task_loss(self.task.problem_type, self.config.label_smoothing)

    @property
    def evaluation_batches(self) -> ExampleEvaluationBatches:
        """The batches of the validation texts."""
        return self._batches_of("validation")

    def make_evaluator(self, at_most: int | None = None) -> "TaskEvaluator":
        """Return the evaluator on the validation texts; see RunParts."""
        return self.evaluator_on("validation", at_most)

    def evaluator_on(self, side: str, at_most: int | None = None) -> "TaskEvaluator":
        """Return the evaluator on the texts of a side; call it in the scope of the device."""
        from mlm.evaluation.task_evaluator import TaskEvaluator

        batches = self._batches_of(side)
        return TaskEvaluator(
            self.model,
            batches if at_most is None else batches.thinned(at_most),
            metric_name=self.config.metric_name,
            jit_compile=self.device.jit_compile,
        )

    def _batches_of(self, side: str) -> ExampleEvaluationBatches:
        rows = self.config.per_device_eval_batch_size * self.device.num_replicas
        return ExampleEvaluationBatches(self.examples[side], batch_size=rows)


def prepare(
    config: FinetuningConfig,
    report: Callable[[str], None],
    *,
    global_batch_size: int | None = None,
) -> FinetuningPreparation:
    """Read texts and model.

    Args:
        config: of the run.
        report: gets lines about the texts.
        global_batch_size: that of the run to resume, whatever devices there are now.

    Raises:
        UserError: what cannot work.
    """
    device = choose_device(config.precision)
    rows, micro_batches = rows_per_replica(config, device.num_replicas, global_batch_size)
    texts, summary = read_texts(config, report)
    check_task(config, texts.train.task)
    checkpoint, base_model = load_checkpoint(config, texts.train.task, device)
    examples = encode_sides(config, texts, checkpoint, report)
    batches = ExampleBatches(
        examples["train"],
        global_batch_size=rows * device.num_replicas,
        seed=config.seed,
        class_weights=_class_weights(config, examples["train"]),
    )
    return FinetuningPreparation(
        config=config,
        device=device,
        checkpoint=checkpoint,
        base_model=base_model,
        texts=texts,
        summary=summary,
        examples=examples,
        batches=batches,
        micro_batches=micro_batches,
        total_steps=_count_steps(config, batches),
    )


def load_checkpoint(
    config: FinetuningConfig, task: Task, device: Device
) -> tuple[TaskCheckpoint, dict[str, str | None]]:
    """Return the initial checkpoint with the task's head, and its origin."""
    fetched = hub.fetch_checkpoint(str(config.model_name_or_path), config.model_revision)
    with device.scope(), progress("reading the model"):
        checkpoint = read_task_checkpoint(
            fetched.folder,
            task,
            classifier_pooling=config.pooling,
            dtype=device.policy,
            seed=config.seed,
        )
    check_length(config, checkpoint.config.max_position_embeddings)
    _check_layerwise(config, checkpoint.config)
    checkpoint.model.freeze_lower_layers(config.freeze_layers)
    return checkpoint, {"repo_id": fetched.repo_id, "commit": fetched.commit}


def _check_layerwise(config: FinetuningConfig, shape: EncoderConfig) -> None:
    """Raise ConfigError if a layer would have several learning rates, as ALBERT's."""
    if config.layerwise_lr_decay != 1.0 and len(shape.depths) > shape.num_hidden_layers:
        raise ConfigError(
            f"--layerwise_lr_decay is {config.layerwise_lr_decay}, but the layers of this model "
            "run at several depths; leave it out"
        )


def rate_by_size(width: int, layers: int) -> float:
    """Return a peak learning rate: that of BERT-base, more for what is narrower or less deep."""
    return BASE_RATE * BASE_WIDTH / width * math.sqrt(BASE_LAYERS / layers)


def layer_rate_factors(model: "TaskModel", decay: float) -> dict[str, float]:
    """Return path -> factor of the learning rate: 1 for the head, `decay` times less a layer down.

    The embeddings are below the lowest layer. Source: Sun et al. 2019, section 5.3.4.
    """
    if decay == 1.0:
        return {}
    top = model.config.num_hidden_layers
    parts = {"embeddings": 0, "relative_positions": 0, "final_norm": top}
    parts |= {f"layer_{index}": index + 1 for index in range(top)}
    factors = {}
    for variable in model.trainable_variables:
        part = variable.path.split("/")[1]
        if part in parts:
            factors[variable.path] = decay ** (top + 1 - parts[part])
    return factors


def _count_steps(config: FinetuningConfig, batches: ExampleBatches) -> int:
    """Return the number of optimizer updates; with few texts, more epochs than were asked for.

    Source: Mosbach et al. 2021, who found that few steps, not few texts, make fine-tuning fail.
    """
    steps = count_steps(config, batches.num_sequences, batches.global_batch_size)
    return steps if config.max_steps > 0 else max(steps, FEWEST_STEPS)


def _class_weights(config: FinetuningConfig, examples: EncodedExamples) -> np.ndarray | None:
    if config.class_weights == "none":
        return None
    return class_weights_of(examples.labels, len(examples.task.labels))
