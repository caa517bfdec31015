"""The kinds of cards: that of a masked LM, and that of a classifier."""

from pathlib import Path
from typing import Protocol

from mlm.checkpoint.record.curve_svg import curve_picture
from mlm.checkpoint.record.reading import config_of, mask_token_of
from mlm.training.card.figures import PICTURE
from mlm.training.card.front_matter import front_matter
from mlm.training.card.names import Names
from mlm.training.card.sections import all_sections
from mlm.training.card.task.task_card import TaskCard
from mlm.training.card.training_json import TrainingJson, read_training_json


class Card(Protocol):
    """The content of a card; everything but the names comes from the checkpoint folder."""

    def pictures(self) -> dict[str, str]:
        """Return the content of each picture by file name; "" for one that is not to be there."""

    def front_matter(self, names: Names) -> str:
        """Return the metadata between their two rules."""

    def sections(self, names: Names) -> list[str]:
        """Return everything below the title, in order."""


def card_of(folder: Path) -> Card:
    """Return the card of a checkpoint folder, by the task that training.json names or not."""
    training = read_training_json(folder)
    if "problem_type" in training.get("task", {}):
        return TaskCard(folder, training)
    return MaskedLMCard(folder, training)


class MaskedLMCard:
    """The card of a masked LM."""

    def __init__(self, folder: Path, training: TrainingJson):
        """Read the folder; `training` is the content of its training.json."""
        self._folder, self._training = folder, training
        self._config, self._mask_token = config_of(folder), mask_token_of(folder)

    def pictures(self) -> dict[str, str]:
        """See Card."""
        training = self._training
        curves = training.get("loss_curve", []), training.get("validation_curve", [])
        return {PICTURE: curve_picture(*curves)}

    def front_matter(self, names: Names) -> str:
        """See Card."""
        return front_matter(names.title, self._training, self._config, self._mask_token)

    def sections(self, names: Names) -> list[str]:
        """See Card."""
        mask_token = self._mask_token or "[MASK]"
        return all_sections(self._folder, names, self._training, self._config, mask_token)
