"""Find fields that have swallowed rows: of a quote that was opened and closed somewhere below."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from mlm.data.texts.text_column import is_number

_LINE_END = re.compile(r"\r\n|\n|\r")


class RowFinder:
    """Counter of the fields of a table that hold whole rows, fed chunk by chunk.

    A line inside a field is taken for a row if it has as many fields as the header, with numbers
    where the columns of the first chunk hold numbers, and no spaces where those hold none.
    """

    def __init__(self, separator: str, width: int) -> None:
        self._separator, self._width = separator, width
        self._numbers: list[int] | None = None
        self._tokens: list[int] = []
        self._rows = self._fields = self._first = 0

    def add(self, cells: Sequence[Sequence[str]]) -> None:
        """Count the fields of a chunk, given as the values of each column."""
        if self._numbers is None:
            self._numbers = [at for at in range(self._width) if _all(cells[at], is_number)]
            self._tokens = [at for at in range(self._width) if _all(cells[at], _is_token)]
        if self._width > 1 and self._numbers + self._tokens:
            for values in cells:
                for number, value in enumerate(values, self._rows + 1):
                    if "\n" in value and self._holds_row(value):
                        self._fields += 1
                        self._first = min(self._first or number, number)
        self._rows += len(cells[0])

    def _holds_row(self, field: str) -> bool:
        return any(self._is_row(line) for line in _LINE_END.split(field)[1:])

    def _is_row(self, line: str) -> bool:
        parts = [part.strip('"') for part in line.split(self._separator)]
        return (
            len(parts) == self._width
            and all(is_number(parts[at]) for at in self._numbers or ())
            and all(_is_token(parts[at]) for at in self._tokens)
        )

    def notes(self) -> Iterator[str]:
        """Describe what was found."""
        if self._fields:
            fields = f"{self._fields:,} field" + ("s hold" if self._fields > 1 else " holds")
            yield (
                f"{fields} what looks like whole rows (the first in row {self._first:,} below the "
                "header): a quote opens there and is closed rows later; mend the file"
            )


def _all(values: Sequence[str], is_kind: Callable[[str], bool]) -> bool:
    present = [value for value in values if value and "\n" not in value]
    return bool(present) and all(is_kind(value) for value in present)


def _is_token(value: str) -> bool:
    return bool(value) and not any(character.isspace() for character in value)
