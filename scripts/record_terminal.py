"""Run a command on a terminal of its own, and draw what is left on it as a picture.

    python scripts/record_terminal.py train.svg -- mlm train --train_file mlm/bundled/corpus.csv ...

What moved while it ran, such as a progress bar, is not in the picture; FILE.txt has the same as
text. Needs Linux or macOS, and `pip install -e '.[dev]'`.
"""

import argparse
import io
import os
import pty
import shlex
import subprocess
from pathlib import Path

import pyte
from rich.console import Console
from rich.text import Text

COLUMNS, LINES = 100, 400  # the longest output of a command; the screen does not scroll


def main() -> int:
    """Write the picture and the text; return the exit code of the command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", type=Path, help="an .svg")
    parser.add_argument("command", nargs="+")
    args = parser.parse_args()
    screen = pyte.Screen(COLUMNS, LINES)
    code = run(args.command, pyte.ByteStream(screen))
    lines = [f"$ {shlex.join(args.command)}", *(line.rstrip() for line in screen.display)]
    text = "\n".join(lines).rstrip()
    args.file.with_suffix(".txt").write_text(f"{text}\n", encoding="utf-8")
    console = Console(record=True, width=COLUMNS, file=io.StringIO())
    console.print(Text(text))
    console.save_svg(str(args.file), title=args.command[0])
    return code


def run(command: list[str], screen: pyte.ByteStream) -> int:
    """Run the command on a pseudo-terminal, feed the screen, and return the exit code."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": str(COLUMNS), "LINES": "40"}
    child = subprocess.Popen(command, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    try:
        while block := os.read(ours, 65536):
            screen.feed(block)
    except OSError:  # Linux: the other end is closed
        pass
    os.close(ours)
    return child.wait()


if __name__ == "__main__":
    raise SystemExit(main())
