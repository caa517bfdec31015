"""The language of docstrings and strings; ruff checks that public things have a docstring."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.support.places import ROOT

OPENERS = re.compile(r"(What|Whether|Of|Where|Who|Which)\b")  # instead of a verb or a noun
IS_NO = re.compile(r"\b(is|are) no [a-z]")  # instead of "is not a"
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def files() -> list[Path]:
    rooms = [ROOT / name for name in ("mlm", "scripts", "tests")]
    return [ROOT / "app.py", *(path for room in rooms for path in sorted(room.rglob("*.py")))]


@cache
def trees() -> dict[str, ast.Module]:
    return {f"{path.relative_to(ROOT)}": ast.parse(path.read_text("utf-8")) for path in files()}


def nodes() -> Iterator[tuple[str, ast.AST]]:
    for name, tree in trees().items():
        for node in ast.walk(tree):
            yield f"{name}:{getattr(node, 'lineno', 1)}", node


def test_docstrings_open_with_a_verb_or_a_noun():
    docstrings = [
        (place, ast.get_docstring(node) or "")
        for place, node in nodes()
        if isinstance(node, DOCUMENTED)
    ]
    assert [f"{place} {doc[:60]}" for place, doc in docstrings if OPENERS.match(doc)] == []
    assert len(docstrings) > 1000


def test_strings_say_is_not_a():
    strings = [
        (place, node.value)
        for place, node in nodes()
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    found = [(place, IS_NO.search(text)) for place, text in strings]
    assert [f"{place} {hit[0]}" for place, hit in found if hit] == []


def test_a_sample_is_found():
    assert OPENERS.match("Whether it is so.") and not OPENERS.match("Return whether it is so.")
    assert OPENERS.match("Of a text, its words.") and not OPENERS.match("Offsets of words.")
    said = " ".join(["that is no", "file"])  # in two parts, or this file would not pass
    assert IS_NO.search(said) and not IS_NO.search("that is not a file")
