"""Command lines of this project, parsed by the program that they start and not run."""

import argparse
import runpy
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

from mlm.commands import main
from tests.support.places import ROOT

SCRIPTS = ("app.py", "scripts/*.py", "scripts/kaggle/*.py", "scripts/benchmarks/*.py")


class _Parsed(Exception):
    """Ends a program when it has parsed its command line."""


@contextmanager
def _only_parse(seen: list[argparse.ArgumentParser], *, words: bool) -> Iterator[None]:
    """Let parsers end the program; without `words`, before they look at the command line."""
    original = argparse.ArgumentParser.parse_args

    def parse_args(self, *given, **options):
        seen.append(self)
        if words:
            original(self, *given, **options)
        raise _Parsed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(argparse.ArgumentParser, "parse_args", parse_args)
        patch.chdir(ROOT)
        try:
            yield
        finally:
            _let_pytorch_in()


def parse(words: list[str]) -> None:
    """Parse `mlm NAME ...` or `python FILE ...`.

    Raises:
        SystemExit: the program refuses the words.
        AssertionError: nothing parsed them.
    """
    seen: list[argparse.ArgumentParser] = []
    with _only_parse(seen, words=True):
        try:
            _start(words)
        except _Parsed:
            return
    assert seen or "--help" in words or "--version" in words, f"nothing parsed {words}"


def _let_pytorch_in() -> None:
    """Remove the mark of `keep_pytorch_out`, at which scipy fails in other tests."""
    if sys.modules.get("torch", sys) is None:
        del sys.modules["torch"]


@cache
def known_flags() -> frozenset[str]:
    """Return every flag of every command and script."""
    scripts = [path for pattern in SCRIPTS for path in sorted(ROOT.glob(pattern))]
    started = [path for path in scripts if _has_command_line(path)]
    seen: list[argparse.ArgumentParser] = []
    for words in [
        *(["mlm", name] for name in main.COMMANDS),
        *(["python", str(path.relative_to(ROOT))] for path in started),
    ]:
        with _only_parse(seen, words=False):
            try:
                _start(words)
            except _Parsed:
                continue
            except SystemExit as ended:
                raise AssertionError(f"{words} ended with {ended.code} before it parsed") from None
    flags = {
        flag for parser in seen for action in parser._actions for flag in action.option_strings
    }
    return frozenset(flags | {"--version"})


def _start(words: list[str]) -> None:
    if words[0] == "mlm":
        main.main(words[1:])
        return
    path = ROOT / words[1]
    assert path.is_file(), f"{words[1]} does not exist"
    if not _has_command_line(path):
        assert words[2:] == [], f"{words[1]} takes no arguments"
        raise _Parsed
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [str(path), *words[2:]])
        patch.syspath_prepend(str(path.parent))
        runpy.run_path(str(path), run_name="__main__")


def _has_command_line(path: Path) -> bool:
    """Return whether a script is started by itself and reads its arguments."""
    source = path.read_text(encoding="utf-8")
    is_started = path.name == "app.py" or '__name__ == "__main__"' in source
    return is_started and ("argparse" in source or "import main" in source)
