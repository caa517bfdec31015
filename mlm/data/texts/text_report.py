"""TextReport: counts and remarks of a pass over text files, and the lines that a user reads."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from mlm.data.texts.long_documents import describe_cut


@dataclass
class TextReport:
    """Row counts, notes and warnings, summed over one or more passes of `read_texts`.

    notes: what was unusual in files and how it was read, each with the names of its files;
    warnings: what is probably wrong.
    """

    rows: int = 0
    files: int = 0
    empty: int = 0
    repeated: int = 0
    held_out: int = 0  # dropped from training because they are also in the validation files
    with_html: int = 0
    with_escaped_tags: int = 0  # texts that keep a tag such as &lt;br&gt;
    cut: int = 0  # rows that were too long for one document
    parts: int = 0  # into which they were cut
    control_characters: Counter[str] = field(default_factory=Counter)  # removed
    with_control_characters: int = 0  # texts that had some
    with_lost_characters: int = 0  # texts that hold U+FFFD
    columns: set[str] = field(default_factory=set)
    notes: dict[str, list[str]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def note(self, url: str, text: str) -> None:
        """Add a note about a file."""
        names = self.notes.setdefault(text, [])
        if (name := PurePosixPath(url).name) not in names:
            names.append(name)

    def summary(self) -> str:
        """Return one line with the rows read, dropped and cleaned."""
        column = f" (column {', '.join(sorted(self.columns))})" if self.columns else ""
        files = f"{self.files:,} file" + ("s" if self.files != 1 else "")
        held_out = f", {self.held_out:,} also in the validation files" if self.held_out else ""
        rows = f"{self.rows:,} row" + ("s" if self.rows != 1 else "")
        return (
            f"{rows} read from {files}{column}: {self.empty:,} empty and "
            f"{self.repeated:,} repeated{held_out} dropped, {self.with_html:,} with HTML cleaned"
        )

    def remarks(self) -> list[str]:
        """Return the notes about files, then those about texts, then the warnings."""
        return [*self._file_notes(), *self._text_notes(), *self.warnings]

    def _file_notes(self) -> list[str]:
        return [f"{_join_names(names)}: {text}" for text, names in self.notes.items()]

    def _text_notes(self) -> list[str]:
        notes = describe_cut(self.cut, self.parts)
        if self.control_characters:
            (most, _), *_ = self.control_characters.most_common(1)
            notes.append(
                f"{self.control_characters.total():,} control characters (most often "
                f"U+{ord(most):04X}) removed from {_count_texts(self.with_control_characters)}"
            )
        if self.with_lost_characters:
            notes.append(
                f"U+FFFD, which stands for a character that was lost, is in "
                f"{_count_texts(self.with_lost_characters)}"
            )
        if self.with_escaped_tags:
            notes.append(
                f"escaped tags such as &lt;br&gt; kept in {_count_texts(self.with_escaped_tags)}; "
                "--clean_html yes removes them"
            )
        return notes


def _join_names(names: list[str]) -> str:
    shown = ", ".join(names[:3])
    return f"{shown} and {len(names) - 3:,} more" if len(names) > 3 else shown


def _count_texts(count: int) -> str:
    return f"{count:,} text" + ("s" if count != 1 else "")
