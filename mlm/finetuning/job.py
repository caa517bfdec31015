"""Fine-tuning as a job: what it reads, what it says, and the checkpoint that it writes."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from mlm import hub
from mlm.checkpoint.folder import save_checkpoint
from mlm.evaluation.task.task_figures import TaskFigures
from mlm.evaluation.task_evaluator import TaskMeasurement
from mlm.finetuning.config import FinetuningConfig
from mlm.finetuning.features import FEATURES, FeatureCache
from mlm.finetuning.first_checks import check_first
from mlm.finetuning.initial_classifier import fit_initial_classifier, starts_as_probe
from mlm.finetuning.learning_curve import curve_of_run
from mlm.finetuning.outcome import outcome_lines
from mlm.finetuning.preparation import FinetuningPreparation, prepare
from mlm.finetuning.record import finetuning_record
from mlm.finetuning.summary import settings_table
from mlm.terminal.progress import progress as sign_of_life
from mlm.training import card
from mlm.training.publishing import RunResult
from mlm.training.run_progress import Progress


@dataclass(frozen=True)
class FinetuningResult(RunResult):
    """The result of a fine-tuning.

    figures: of the test texts, or of the validation texts if there are none.
    """

    figures: TaskFigures = field(kw_only=True)


@dataclass(frozen=True)
class Finetuning:
    """The job of `finetune`: train a head, and the encoder below it, on labelled texts."""

    config: FinetuningConfig

    def check(self, report: Callable[[str], None]) -> None:
        """Check what can be checked before texts are read; raise UserError."""
        check_first(self.config, report)

    def prepare(
        self, report: Callable[[str], None], *, global_batch_size: int | None
    ) -> FinetuningPreparation:
        """Read texts and model; `global_batch_size` is that of a run to resume."""
        prepared = prepare(self.config, report, global_batch_size=global_batch_size)
        if not self.config.labels_per_class:
            return prepared
        curve = curve_of_run(self.config, prepared, report)
        return replace(prepared, curve=curve.to_dict())

    def begin(self, prepared: FinetuningPreparation) -> None:
        """Fit a new classifier to some of the texts."""
        if starts_as_probe(prepared):
            with prepared.device.scope():
                fit_initial_classifier(prepared)

    def summary(self, prepared: FinetuningPreparation, step: int) -> str:
        """Return lines on the run that begins or resumes at `step`."""
        return settings_table(prepared, step)

    def result(
        self, prepared: FinetuningPreparation, progress: Progress, measured: TaskMeasurement
    ) -> FinetuningResult:
        """Measure on the test texts; return the result, nothing of which is written yet."""
        figures = measured.figures
        if "test" in prepared.examples:
            with prepared.device.scope():
                evaluator = prepared.evaluator_on("test")
            figures = evaluator.figures().figures
        record = finetuning_record(prepared, progress, measured.figures, figures)
        return FinetuningResult(Path(self.config.output_dir), record, figures=figures)

    def write(
        self,
        prepared: FinetuningPreparation,
        result: FinetuningResult,
        report: Callable[[str], None],
    ) -> None:
        """Write the checkpoint folder with its record and card. Raises CheckpointError."""
        config = self.config
        save_checkpoint(
            prepared.model,
            prepared.checkpoint.tokenizer,
            result.folder,
            hf_config=prepared.checkpoint.hf_config,
            training=result.training,
            dtype=config.save_dtype,
        )
        with sign_of_life("writing the card"):
            branch = hub.other_than_main(config.hub_revision)
            card.write_model_card(result.folder, config.hub_model_id, branch)
        FeatureCache(result.folder / FEATURES).delete()
        report(f"checkpoint: {result.folder}")

    def outcome(self, prepared: FinetuningPreparation, result: FinetuningResult) -> list[str]:
        """Return the last lines of a run."""
        return outcome_lines(self.config, result.training)
