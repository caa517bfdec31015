"""Masked-LM training as a job: what it reads, what it says, and the checkpoint that it writes."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mlm import hub
from mlm.backend import processes
from mlm.checkpoint.folder import OpenCheckpoint, read_training, save_checkpoint
from mlm.errors import one_line
from mlm.evaluation.evaluator import Figures
from mlm.terminal.progress import progress
from mlm.training import card
from mlm.training.card.examples import try_examples, try_examples_of
from mlm.training.card.training_json import Example
from mlm.training.config import TrainingConfig
from mlm.training.first_checks import check_first
from mlm.training.outcome import outcome_lines
from mlm.training.preparation import Preparation, prepare
from mlm.training.publishing import RunResult
from mlm.training.record import training_record
from mlm.training.run_progress import Progress
from mlm.training.summary import settings_table


@dataclass(frozen=True)
class TrainingResult(RunResult):
    """The result of a masked-LM training, with its figures before and after."""

    before: Figures = dataclasses.field(kw_only=True)
    after: Figures = dataclasses.field(kw_only=True)


@dataclass(frozen=True)
class MaskedLMTraining:
    """The job of `train`: adapt a masked language model to texts, or make a new one."""

    config: TrainingConfig

    def check(self, report: Callable[[str], None]) -> None:
        """Check what can be checked before texts are read; raise UserError."""
        check_first(self.config, report)

    def prepare(
        self, report: Callable[[str], None], *, global_batch_size: int | None
    ) -> Preparation:
        """Read model and texts; `global_batch_size` is that of a run to resume."""
        tokens = Path(self.config.output_dir) / "tokens"
        prepared = prepare(self.config, tokens, report, global_batch_size=global_batch_size)
        return dataclasses.replace(prepared, examples=try_before(prepared, report))

    def begin(self, prepared: Preparation) -> None:
        """Do nothing: the weights that were read are those of step 0."""

    def summary(self, prepared: Preparation, step: int) -> str:
        """Return lines on the run that begins or resumes at `step`."""
        return settings_table(prepared, step)

    def result(self, prepared: Preparation, progress: Progress, figures: Figures) -> TrainingResult:
        """Return the result of a run that has ended, nothing of which is written yet."""
        record = training_record(prepared, progress, figures)
        before = Figures.from_dict(record["metrics"]["before"])
        return TrainingResult(Path(self.config.output_dir), record, before=before, after=figures)

    def write(
        self, prepared: Preparation, result: TrainingResult, report: Callable[[str], None]
    ) -> None:
        """Write the checkpoint folder with its record and card. Raises CheckpointError."""
        write_checkpoint(prepared, result, report)

    def outcome(self, prepared: Preparation, result: TrainingResult) -> list[str]:
        """Return the last lines of a run."""
        record = read_training(result.folder) or result.training
        return outcome_lines(self.config, record, prepared.examples)


def try_before(prepared: Preparation, report: Callable[[str], None]) -> list[Example]:
    """Return the best words of the initial checkpoint for the card's examples; [] of a new model.

    In a cluster there are none either: one process cannot compute by itself yet.
    """
    config = prepared.config
    if not (config.model_name_or_path and config.example_texts) or processes.count() > 1:
        return []
    opened = OpenCheckpoint(
        prepared.tokenizer,
        prepared.hf_config,
        prepared.model.config,
        None,
        Path(config.model_name_or_path),
    )
    try:
        with progress("trying the example sentences"):
            return try_examples_of(opened, prepared.model, config.example_texts)
    except Exception as error:  # they are an extra: nothing in them is worth a run
        report(f"the examples cannot be tried: {type(error).__name__}: {one_line(error)}")
        return []


def write_checkpoint(
    prepared: Preparation, result: TrainingResult, report: Callable[[str], None]
) -> None:
    """Write the checkpoint folder with its record and card. Raises CheckpointError."""
    config = prepared.config
    save_checkpoint(
        prepared.model,
        prepared.tokenizer,
        result.folder,
        hf_config=prepared.hf_config,
        training=result.training,
        dtype=config.save_dtype,
    )
    add_examples(result.folder, config, report)
    branch = hub.other_than_main(config.hub_revision)
    card.write_model_card(result.folder, config.hub_model_id, branch)
    report(f"checkpoint: {result.folder}")


def add_examples(folder: Path, config: TrainingConfig, report: Callable[[str], None]) -> None:
    """Record the best words of the checkpoint, as it was saved, for the card's examples."""
    try:
        with progress("trying the example sentences"):
            examples = try_examples(folder, config.example_texts)
        card.add_measurements(folder, examples=examples)
    except Exception as error:  # nothing in a card is worth hours of training
        report(f"the card has no examples: {type(error).__name__}: {one_line(error)}")
