"""README.md and docs/: commands are accepted, blocks run, links and names exist, messages are ours.

The marked blocks of a page run in the order of the page, in one folder; see tests/support/
documentation.py for the markers.
"""

import ast
import importlib
import re
import subprocess
from functools import cache

import pytest

from scripts import list_messages
from tests.support import documentation, known_commands
from tests.support.documentation import Block, blocks, pages
from tests.support.documentation_folder import documentation_folder
from tests.support.places import ROOT

LANGUAGES = {"console", "sh", "python", "js", "text", "yaml"}
TROUBLESHOOTING = ROOT / "docs" / "troubleshooting.md"
MOST_LINES_OF_README = 150
OTHER_PROGRAMS = {  # that commands of the pages start
    "cd",
    "curl",
    "deactivate",
    "docker",
    "du",
    "export",
    "git",
    "hf",
    "kaggle",
    "pip",
    "sed",
    "source",
    "srun",
    "time",
}
PYTHONS = re.compile(r"(\.venv[-\w]*/bin/)?python3?(\.\d+)?")
OTHER_FLAGS = {"--help", "--no-cache-dir"}  # of other programs, in prose
FLAG = re.compile(r"(?<![\w-])--[a-z][\w-]*")
OURS = re.compile(r"(mlm|scripts|docs|tests(?!/ROOM)|\.github)/[\w./-]+|app\.py|Dockerfile")
SOURCES = ("app.py", "mlm/**/*.py", "scripts/**/*.py")
VARIABLE = re.compile(r"MLM_[A-Z_]+")
FIGURE = re.compile(r"\d\s?(%|s|ms|MB|GB)(?=[ |,.])")
COMMAND = re.compile(r"`(console\n|sh\n)?([A-Z_]+=\S+ )*(mlm|make|\S*python|du|time) ")


def by_place(found: list[Block]) -> list:
    return [pytest.param(block, id=block.place) for block in found]


def name_of(page) -> str:
    return page.relative_to(ROOT).as_posix()


# Commands -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", by_place(blocks("console", "sh")))
def test_every_command_line_is_accepted(block, capsys):
    for words in documentation.command_lines(block):
        check_command(words, capsys)


def check_command(words: list[str], capsys) -> None:
    """Parse a command of this project; of `make`, look the target up; others have to be known."""
    if words[0] == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M)
        assert [word for word in words[1:] if "=" not in word and word not in targets] == []
    elif words[0] == "mlm" or (PYTHONS.fullmatch(words[0]) and words[1].endswith(".py")):
        try:
            known_commands.parse(words)
        except SystemExit as ended:
            assert ended.code == 0, capsys.readouterr().err
    elif PYTHONS.fullmatch(words[0]):
        assert words[1] in ("-m", "-c"), words
    else:
        assert words[0] in OTHER_PROGRAMS | {"pip"}, f"{words[0]} is not a program of ours"


@pytest.mark.parametrize(
    "line",
    [
        "mlm train --train_files reviews.csv",
        "mlm adapt reviews.csv",
        "python scripts/trian.py",
        "make tset",
        "MLM_MODEL=demo maek demo",
    ],
)
def test_a_wrong_command_line_is_found(line, capsys):
    block = Block(ROOT / "README.md", 1, "console", f"cd mlm && {line} # as usual\n", None)
    with pytest.raises(AssertionError):
        for words in documentation.command_lines(block):
            check_command(words, capsys)


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_every_flag_in_the_prose_exists(page):
    mentioned = {flag for span in documentation.spans_of(page) for flag in FLAG.findall(span)}
    assert mentioned - known_commands.known_flags() - OTHER_FLAGS == set()


# Names and links ----------------------------------------------------------------------------------


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_every_link_and_anchor_exists(page):
    missing = []
    for target in documentation.LINK.findall(documentation.prose_of(page)):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        if not file.exists() or (anchor and anchor not in documentation.anchors_of(file)):
            missing.append(target)
    assert missing == []


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_every_path_in_the_prose_exists(page):
    paths = {span for span in documentation.spans_of(page) if OURS.fullmatch(span)}
    assert [path for path in sorted(paths) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_every_variable_of_ours_is_read_somewhere(page):
    mentioned = set(VARIABLE.findall(documentation.text_of(page)))
    assert mentioned - variables_of_the_sources() == set()


@cache
def variables_of_the_sources() -> set[str]:
    files = [path for pattern in SOURCES for path in ROOT.glob(pattern)]
    return {name for path in files for name in VARIABLE.findall(path.read_text(encoding="utf-8"))}


def test_the_index_has_every_page():
    index = documentation.text_of(ROOT / "docs" / "README.md")
    linked = set(documentation.LINK.findall(index))
    assert {page.name for page in (ROOT / "docs").glob("*.md")} - {"README.md"} <= linked


def test_the_readme_is_short():
    lines = documentation.text_of(ROOT / "README.md").splitlines()
    assert len(lines) <= MOST_LINES_OF_README


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_a_table_of_figures_has_its_command_in_its_section(page):
    tables = [
        section
        for section in documentation.sections_of(page)
        if any(FIGURE.search(line) for line in section.splitlines() if line.startswith("|"))
    ]
    assert [table.splitlines()[0] for table in tables if not COMMAND.search(table)] == []


# Messages -----------------------------------------------------------------------------------------


def test_the_list_of_messages_is_that_of_the_sources():
    written = documentation.text_of(list_messages.PAGE)
    assert written == list_messages.page(), "run python scripts/list_messages.py"


def test_the_list_has_a_message_with_its_guide():
    found = list_messages.messages_by_guide()
    texts = found["Texts", "adapt.md#files"]
    assert "… is a folder: name its files, for example '…'" in texts
    assert sum(map(len, found.values())) > 250


def test_every_message_in_the_troubleshooting_guide_exists():
    said = " ".join(list_messages.strings_of_the_library())
    rows = re.findall(r"^\| `(.+?)` \| .+ \| .+ \|$", TROUBLESHOOTING.read_text(), re.M)
    quoted = [row.strip("`") for row in rows]
    assert [message for message in quoted if message not in said] == []
    assert len(quoted) > 20


# Blocks -------------------------------------------------------------------------------------------


def test_every_block_has_a_known_language_and_marker():
    found = [block for page in pages() for block in documentation.blocks_of(page)]
    assert [block.place for block in found if block.language not in LANGUAGES] == []
    marked = [block for block in found if block.marker]
    wrong = [each for each in marked if not documentation.MARKER.fullmatch(each.marker)]
    assert [block.place for block in wrong] == []
    assert sum(block.is_run for block in marked) > 10


@pytest.mark.parametrize("block", by_place(blocks("python")))
def test_every_import_of_a_python_block_works(block):
    for node in ast.walk(ast.parse(block.text)):
        if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "mlm":
            names = dir(importlib.import_module(node.module))
            assert [each.name for each in node.names if each.name not in names] == []


@pytest.fixture
def folder(tmp_path, small_tokenizer):
    """The folder to run in and its environment."""
    with documentation_folder(tmp_path, small_tokenizer) as environment:
        yield tmp_path, environment


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "page",
    [page for page in pages() if any(b.is_run for b in documentation.blocks_of(page))],
    ids=name_of,
)
def test_the_marked_blocks_of_a_page_run(page, folder):
    printed = ""
    for block in documentation.blocks_of(page):
        if block.is_run:
            printed = run(block, *folder)
        elif block.marker == "printed":
            expected = [shape(line) for line in block.text.splitlines() if line.strip()]
            lines = {shape(line) for line in printed.splitlines()}
            assert [line for line in expected if line not in lines] == [], printed


def run(block: Block, folder, environment) -> str:
    """Run a block with bash or Python; return what it printed."""
    if block.language == "python":
        words = ["python", "-c", block.text]
    else:
        words = ["bash", "-e", "-c", with_added_words(block)]
    done = subprocess.run(
        words, cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, f"{block.place}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done.stdout + done.stderr


def with_added_words(block: Block) -> str:
    """Return the commands, with the marker's words behind each `mlm train` and `mlm finetune`."""
    text = block.text.replace("\\\n", " ")
    return re.sub(r"(mlm (?:train|finetune) [^\n#]*)", rf"\1 {block.added_words}", text)


def shape(line: str) -> str:
    """Return a line with each number as # and each run of blanks as one."""
    return re.sub(r"\d[\d,.]*", "#", " ".join(line.split()))
