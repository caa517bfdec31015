import subprocess
import sys

import pytest

from mlm.terminal.lines import print_lines, wrapped
from mlm.terminal.tables import PLAIN_WIDTH

LONG = "a sentence of many words that goes on and on, " * 4
COMMAND = f"  mlm train --train_file {'x' * 90}.csv --max_steps 60"


def test_long_lines_are_broken_at_spaces_without_losing_a_word(
    capsys: pytest.CaptureFixture[str], monkeypatch
):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: False)
    print_lines(LONG)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= PLAIN_WIDTH and len(lines) > 1
    assert all(line.startswith("  ") for line in lines[1:])
    assert " ".join(lines).split() == LONG.split()


def test_a_command_and_a_path_stay_whole(capsys: pytest.CaptureFixture[str]):
    print_lines(f"{COMMAND}\n\ncheckpoint: /{'y' * 100}")
    assert capsys.readouterr().out == f"{COMMAND}\n\ncheckpoint:\n  /{'y' * 100}\n"


def test_wrapped_text_is_what_is_printed(capsys: pytest.CaptureFixture[str]):
    print_lines(f"{LONG}\n{COMMAND}")
    assert capsys.readouterr().out == wrapped(f"{LONG}\n{COMMAND}") + "\n"
    assert wrapped(COMMAND) == COMMAND


STORY = """
import sys
from mlm.terminal.lines import print_lines, wrapped
for line in ("first", "second", "third"):
    print_lines(line)
print("the work is done", file=sys.stderr)
"""


def test_lines_that_nothing_takes_do_not_end_the_work():
    command = '"$0" -c "$1" > /dev/full'
    ended = subprocess.run(
        ["bash", "-c", command, sys.executable, STORY], capture_output=True, text=True
    )
    assert ended.returncode == 0 and ended.stdout == ""
    assert ended.stderr.splitlines() == [
        "standard output takes no more lines (No space left on device); the run continues",
        "the work is done",
    ]
