"""Warn of texts that are probably not what their user meant to train on."""

from __future__ import annotations

from collections import Counter

from mlm.data.texts.text_report import TextReport

_SHORT = 20  # characters
_FEWEST = 10  # texts, below which nothing is called suspicious
_MOST_UNKNOWN = 0.01  # share of the tokens
_MANY_CONTROLS = 0.05  # share of the texts with control characters


class TextChecks:
    """Lengths of the training texts, for warnings about all of them."""

    def __init__(self) -> None:
        self._lengths: Counter[int] = Counter()

    def add(self, text: str) -> None:
        """Count a training text."""
        self._lengths[len(text)] += 1

    def warnings(self, report: TextReport, num_unknown: int, num_tokens: int) -> list[str]:
        """Return a line with the way out for each thing that is suspicious.

        num_unknown: of the tokens of the training texts, how many are the unknown token;
        num_tokens: their number, without separators.
        """
        checks = (
            _about_empty_rows(report),
            self._about_short_texts(),
            self._about_one_length() if not report.cut else "",  # parts are of about one length
            _about_control_characters(report),
            _about_unknown_tokens(num_unknown, num_tokens),
        )
        return [f"warning: {line}" for line in checks if line]

    def _about_short_texts(self) -> str:
        total = self._lengths.total()
        short = sum(count for length, count in self._lengths.items() if length < _SHORT)
        if total < _FEWEST or 2 * short <= total:
            return ""
        return (
            f"{short:,} of {total:,} texts have fewer than {_SHORT} characters; if they are not "
            "the texts you mean, name the column with --text_column"
        )

    def _about_one_length(self) -> str:
        total = self._lengths.total()
        length, count = max(self._lengths.items(), key=lambda item: item[1], default=(0, 0))
        if total < _FEWEST or 2 * count <= total:
            return ""
        return (
            f"{count:,} of {total:,} texts have {length:,} characters each: an export may have cut "
            "them off, or they are ids; look at the samples, else name the column with "
            "--text_column"
        )


def _about_empty_rows(report: TextReport) -> str:
    if not report.columns or report.rows < _FEWEST or 2 * report.empty <= report.rows:
        return ""
    return (
        f"{report.empty:,} of {report.rows:,} rows have no text in column "
        f"{', '.join(sorted(report.columns))}: name the column with --text_column, or mend the file"
    )


def _about_control_characters(report: TextReport) -> str:
    texts, rows = report.with_control_characters, report.rows
    if rows < _FEWEST or texts <= _MANY_CONTROLS * rows:
        return ""
    return (
        f"{texts:,} of {rows:,} rows held control characters, which were removed: the file may "
        "have another encoding (--encoding), or not be text"
    )


def _about_unknown_tokens(num_unknown: int, num_tokens: int) -> str:
    if num_unknown <= _MOST_UNKNOWN * num_tokens:
        return ""
    share = num_unknown / num_tokens
    return (
        f"{share:.1%} of the tokens of the training texts are unknown to the tokenizer: choose a "
        "base model made for their language, or train from scratch with --tokenizer_type bpe"
    )
