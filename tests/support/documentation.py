"""README.md, docs/ and CONTRIBUTING.md as data: their blocks, command lines, links and headings.

A block of commands or Python is run by tests/whole/test_documentation.py if a comment is above it:

    <!-- run -->                        as it is
    <!-- run with --max_steps 2 -->     with these words behind each `mlm train` and `mlm finetune`
    <!-- printed -->                    above a block of text: lines that the block before printed
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.support.places import ROOT

SHELL = ("console", "sh")
FENCED = re.compile(
    r"(?:^<!-- (?P<marker>[^\n]*?) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$",
    re.M | re.S,
)
MARKER = re.compile(r"run|printed|run with (?P<added>--.+)")
LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")
SPAN = re.compile(r"(?<!`)`([^`]+)`(?!`)", re.S)
ASSIGNMENT = re.compile(r"[A-Z][A-Z0-9_]*=.*", re.S)
ENDS_OF_COMMAND = {"&&", "||", ";", "|", "&"}


@dataclass(frozen=True)
class Block:
    """One fenced block of a page; `line` is where it begins, `marker` the comment above it."""

    page: Path
    line: int
    language: str
    text: str
    marker: str | None

    @property
    def place(self) -> str:
        """The page and the line, as editors open them."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def is_run(self) -> bool:
        """True if the block has the marker `run`."""
        return (self.marker or "").startswith("run")

    @property
    def added_words(self) -> str:
        """The words that the marker adds to each `mlm train` and `mlm finetune`."""
        return (self.marker or "").removeprefix("run").removeprefix(" with ")


def pages() -> list[Path]:
    """Return the pages, README first."""
    names = [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    return [*names, *sorted((ROOT / "docs").glob("*.md"))]


@cache
def text_of(page: Path) -> str:
    """Return the page as it is."""
    return page.read_text(encoding="utf-8")


@cache
def blocks_of(page: Path) -> list[Block]:
    """Return the fenced blocks of a page in order."""
    text = text_of(page)
    return [
        Block(
            page,
            text.count("\n", 0, found.start("language")) + 1,
            found["language"],
            found["text"],
            found["marker"],
        )
        for found in FENCED.finditer(text)
    ]


@cache
def prose_of(page: Path) -> str:
    """Return the page without its fenced blocks."""
    return FENCED.sub("", text_of(page))


def blocks(*languages: str) -> list[Block]:
    """Return the blocks of all pages in these languages."""
    return [block for page in pages() for block in blocks_of(page) if block.language in languages]


def command_lines(block: Block) -> list[list[str]]:
    """Return each command of a shell block as words, without NAME=value before it."""
    lines = block.text.replace("\\\n", " ").splitlines()
    return [words for line in lines for words in _commands_of(line) if words]


def spans_of(page: Path) -> list[str]:
    """Return the code spans of a page's prose, each on one line."""
    return [" ".join(span.split()) for span in SPAN.findall(prose_of(page))]


def anchors_of(page: Path) -> set[str]:
    """Return the anchors that GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", prose_of(page), re.M)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


def sections_of(page: Path) -> list[str]:
    """Return the page's sections, each from its heading to the next of any level."""
    return re.split(r"^(?=#+ )", text_of(page), flags=re.M)


def _commands_of(line: str) -> Iterator[list[str]]:
    words: list[str] = []
    inner_too = line.replace("$(", " ; ")  # NAME=$(command ...)
    lexer = shlex.shlex(inner_too, posix=True, punctuation_chars=";&|>")
    lexer.whitespace_split = True
    for word in lexer:
        if set(word) == {">"}:  # into a file
            next(lexer)
        elif word in ENDS_OF_COMMAND:
            yield _without_assignments(words)
            words = []
        else:
            words.append(word)
    yield _without_assignments(words)


def _without_assignments(words: list[str]) -> list[str]:
    while words and ASSIGNMENT.fullmatch(words[0]):
        words = words[1:]
    return words
