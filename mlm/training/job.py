"""The job of a training run: masked-LM training is one, fine-tuning another.

The trainer runs any of them: it owns signals, states, the cluster and the publication.
"""

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from mlm.training.publishing import RunResult
from mlm.training.run_parts import RunParts
from mlm.training.run_progress import Progress
from mlm.training.run_settings import RunSettings

Parts = TypeVar("Parts", bound=RunParts)
Result = TypeVar("Result", bound=RunResult)


class Job(Protocol[Parts, Result]):
    """The work of a training besides its steps, in the order of the calls."""

    @property
    def config(self) -> RunSettings:
        """The settings of the run."""

    def check(self, report: Callable[[str], None]) -> None:
        """Check what can be checked before texts are read; raise UserError."""

    def prepare(self, report: Callable[[str], None], *, global_batch_size: int | None) -> Parts:
        """Read model and texts; `global_batch_size` is that of a run to resume."""

    def begin(self, prepared: Parts) -> None:
        """Set what a run that is not resumed starts from, beyond the weights that were read."""

    def summary(self, prepared: Parts, step: int) -> str:
        """Return lines on the run that begins or resumes at `step`."""

    def result(self, prepared: Parts, progress: Progress, figures: Any) -> Result:
        """Return the result of a run that has ended, nothing of which is written yet.

        figures: what the evaluator of `prepared` measured last.
        """

    def write(self, prepared: Parts, result: Result, report: Callable[[str], None]) -> None:
        """Write the checkpoint folder with its record and card; raise CheckpointError."""

    def outcome(self, prepared: Parts, result: Result) -> list[str]:
        """Return the last lines of a run."""
