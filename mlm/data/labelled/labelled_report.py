"""LabelledReport: counts and remarks of a pass over labelled files, and the lines for the user."""

from __future__ import annotations

from dataclasses import dataclass, field

from mlm.data.texts.text_report import TextReport


@dataclass
class LabelledReport(TextReport):
    """Row counts and notes of `read_labelled`, and what was decided.

    read: the columns, as text; unlabelled: rows without a label, which were left out.
    """

    read: str = ""
    unlabelled: int = 0
    lines: list[str] = field(default_factory=list)

    def say(self, line: str) -> None:
        """Add a line about what was found, guessed or left out."""
        self.lines.append(line)

    def summary(self) -> str:
        """Return one line with the rows read and left out."""
        files = f"{self.files:,} file" + ("s" if self.files != 1 else "")
        rows = f"{self.rows:,} row" + ("s" if self.rows != 1 else "")
        columns = f" ({self.read})" if self.read else ""
        return (
            f"{rows} read from {files}{columns}: {self.empty:,} without a text and "
            f"{self.unlabelled:,} without a label left out, {self.with_html:,} with HTML cleaned"
        )

    def remarks(self) -> list[str]:
        """Return the decisions, then the notes about files and texts, then the warnings."""
        return [*self.lines, *super().remarks()]
