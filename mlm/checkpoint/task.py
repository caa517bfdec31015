"""The supervised task of a checkpoint: its problem type, and the names of its labels."""

from dataclasses import dataclass
from typing import Literal, get_args

ProblemType = Literal[
    "single_label_classification",
    "multi_label_classification",
    "regression",
    "token_classification",
]
PROBLEM_TYPES: tuple[ProblemType, ...] = get_args(ProblemType)
TEXT_PROBLEM_TYPES = PROBLEM_TYPES[:3]  # those that a config.json may name


@dataclass(frozen=True)
class Task:
    """Problem type of a classifier, and the names of its labels.

    problem_type: as transformers has it in config.json; "token_classification" is ours, because
        there the architecture says it.
    labels: the names by id; those of tokens are in BIO form, a regression has one name.
    """

    problem_type: ProblemType
    labels: tuple[str, ...]

    @property
    def is_of_tokens(self) -> bool:
        """Return whether each token has a label, instead of the whole text."""
        return self.problem_type == "token_classification"

    @property
    def kind(self) -> Literal["sequence", "token"]:
        """The kind of its head, as of a TaskHeadConfig."""
        return "token" if self.is_of_tokens else "sequence"
