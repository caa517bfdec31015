"""The settings that decide how files become labelled texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mlm.checkpoint.task import PROBLEM_TYPES
from mlm.data.texts.cleaning import ReadingSettings
from mlm.errors import CorpusError

AUTO = "auto"
MOST_TEXT_COLUMNS = 2


@dataclass(frozen=True)
class LabelledSettings:
    """The settings of `read_labelled`.

    text_column_names: one name, or the two of a pair; a name may hold several, separated by commas,
    as `run_classification.py` takes them. Empty finds them. label_column_name: None finds it.
    problem_type: "auto" finds it; the others as in `read_texts`.
    """

    text_column_names: tuple[str, ...] = ()
    label_column_name: str | None = None
    problem_type: str = AUTO
    encoding: str | None = None
    encoding_errors: str = "strict"
    clean_html: str = "auto"

    def __post_init__(self) -> None:
        """Split names at commas; raise CorpusError if a setting cannot work."""
        given = self.text_column_names
        names = [given] if isinstance(given, str) else given
        parts = tuple(part.strip() for name in names for part in name.split(",") if part.strip())
        object.__setattr__(self, "text_column_names", parts)
        if len(parts) > MOST_TEXT_COLUMNS:
            raise CorpusError(
                f"--text_column_names names {len(parts)} columns ({', '.join(parts)}); expected "
                "one, or the two of a pair: join others into one column first"
            )
        if self.label_column_name in parts:
            raise CorpusError(
                f"column {self.label_column_name!r} is given as text and as label: correct "
                "--text_column_names or --label_column_name"
            )
        if self.problem_type not in (AUTO, *PROBLEM_TYPES):
            raise CorpusError(
                f"--problem_type is {self.problem_type!r}; expected one of "
                f"{', '.join((AUTO, *PROBLEM_TYPES))}"
            )

    def reading(self) -> ReadingSettings:
        """Return the settings of reading and cleaning."""
        return ReadingSettings(None, self.encoding, self.encoding_errors, self.clean_html)

    def check(self, urls: Sequence[str]) -> None:
        """Raise CorpusError if a setting of reading is unknown, or applies to none of the files."""
        self.reading().check(urls)
