"""The card of a classifier: all its parts, in order."""

from pathlib import Path

from mlm.checkpoint.record.reading import config_of
from mlm.evaluation.task.curve_picture import curve_svg
from mlm.training.card.figures import PICTURE as LOSS_PICTURE
from mlm.training.card.names import Names
from mlm.training.card.task.figures import PICTURE, curve_section, figures_section
from mlm.training.card.task.limits import limits_section
from mlm.training.card.task.metadata import task_front_matter
from mlm.training.card.task.origin import (
    labels_section,
    task_data_section,
    task_recipe_section,
    task_run_section,
)
from mlm.training.card.task.summary import task_summary
from mlm.training.card.task.task_record import read_task_record
from mlm.training.card.task.usage import reading_section, usage_section
from mlm.training.card.training_json import TrainingJson


class TaskCard:
    """The card of a classifier."""

    def __init__(self, folder: Path, training: TrainingJson):
        """Read the folder; `training` is the content of its training.json, with a task."""
        self._folder, self._config = folder, config_of(folder)
        self._record = read_task_record(folder, training)

    def pictures(self) -> dict[str, str]:
        """See Card."""
        curve = self._record.curve
        return {PICTURE: curve_svg(curve) if curve else "", LOSS_PICTURE: ""}

    def front_matter(self, names: Names) -> str:
        """See Card."""
        return task_front_matter(names.title, self._record, self._config)

    def sections(self, names: Names) -> list[str]:
        """See Card."""
        record = self._record
        return [
            task_summary(self._folder, record, self._config),
            usage_section(names, record),
            figures_section(record),
            curve_section(record),
            reading_section(record),
            labels_section(record),
            limits_section(record),
            task_data_section(record),
            task_recipe_section(record),
            task_run_section(record),
        ]
