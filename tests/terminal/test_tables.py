import sys

import pytest

from mlm.terminal.tables import PLAIN_WIDTH, format_number, format_table

ROWS = [["before", "18.96", "45.4 %"], ["after", "8.85", "45.5 %"]]


def test_columns_line_up_with_numbers_flush_right():
    assert format_table(["", "perplexity", "top-1"], ROWS, title="held-out texts").split("\n") == [
        "held-out texts",
        "        perplexity   top-1",
        "before       18.96  45.4 %",
        "after         8.85  45.5 %",
    ]


def test_a_table_without_a_header_has_only_its_rows():
    assert format_table(["", ""], [["texts", "a.csv"]], numbers=False) == "texts  a.csv"


def test_a_mask_is_not_taken_for_a_style():
    assert "[MASK] [bold]" in format_table(["text"], [["[MASK] [bold]"]])


def test_a_log_gets_plain_lines_of_80_columns():
    text = format_table(["a", "b"], [["x" * 50, "y" * 90]])
    assert max(map(len, text.splitlines())) <= PLAIN_WIDTH and "\x1b" not in text
    assert text.count("y") == 90  # folded, not cut


def test_a_terminal_gets_styles(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[1m" in format_table(["a", "b"], [["1", "2"]])


@pytest.mark.parametrize(
    ("number", "written"), [(18.964, "18.96"), (8123.4, "8,123.40"), (1.046e37, "1.05e+37")]
)
def test_numbers_stay_short(number, written):
    assert format_number(number) == written
