"""Write docs/messages.md: every error message that a user can get, with the guide for it.

    python scripts/list_messages.py

The messages are read from the sources; `…` is where a message names a file, a value or a setting.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from mlm import errors

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "messages.md"
GUIDES = {  # where a message comes from, the narrowest place first -> heading, guide
    "mlm/data/tokens/corpus.py": ("Texts", "adapt.md#files"),
    "mlm/data/tokens/tokenizer_training/": ("A new vocabulary", "from_scratch.md"),
    "mlm/data/tokens/": ("Token stores", "large_corpora.md"),
    "mlm/data/labelled/": ("Labels", "finetune.md#labels"),
    "mlm/data/examples/": ("Labels", "finetune.md#labels"),
    "mlm/data/batches/": ("Sequences and masks", "masking.md"),
    "mlm/data/": ("Texts", "adapt.md#files"),
    "mlm/finetuning/": ("Fine-tuning", "finetune.md"),
    "mlm/training/card/": ("The card", "publish.md#the-card"),
    "mlm/training/added_words.py": ("Words of your field", "adapt.md#words-of-your-field"),
    "mlm/training/": ("Settings and runs", "adapt.md#settings"),
    "mlm/model/": ("Settings and runs", "adapt.md#settings"),
    "mlm/backend/": ("Devices and processes", "kaggle_and_clusters.md"),
    "mlm/checkpoint/": ("Checkpoints", "base_models.md#what-is-refused-and-what-is-said"),
    "mlm/hub/space/": ("A Space", "publish.md#a-space-of-the-page"),
    "mlm/hub/": ("The Hub", "publish.md"),
    "mlm/evaluation/": ("Evaluation", "how_much.md#measure"),
    "mlm/inference/engines/": ("Engines", "engine.md"),
    "mlm/inference/classif": ("Texts to classify", "finetune.md#use-it"),
    "mlm/inference/": ("Sentences to fill or to score", "api.md"),
    "mlm/playground/": ("The page", "page.md"),
    "mlm/": ("The command line", "README.md"),
}
INTRODUCTION = """# Every error message

Written by `python scripts/list_messages.py` from the sources, in groups by the part of the program
that a message comes from. `…` is where a message names a file, a value or a setting. Each says what
was received, what was expected and what to do; [troubleshooting.md](troubleshooting.md) has more on
those that people meet.
"""


def user_errors() -> set[str]:
    """Return the names of the exceptions whose text is for a user."""
    kinds = {name for name, kind in vars(errors).items() if isinstance(kind, type)}
    return {name for name in kinds if issubclass(getattr(errors, name), errors.UserError)}


def messages_of(path: Path) -> Iterator[str]:
    """Yield the message of each error that a file makes; `…` for what is known at run time only."""
    names = user_errors() | {"HubUnreachableError"}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in names and node.args:
            message = " ".join(_text(node.args[0]).split())
            if any(map(str.isalpha, message)):
                yield message


def strings_of_the_library() -> Iterator[str]:
    """Yield every string of the library's sources, errors or not, as `messages_of` shows them."""
    for path in sorted((ROOT / "mlm").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant | ast.JoinedStr):
                yield " ".join(_text(node).split())


def messages_by_guide() -> dict[tuple[str, str], set[str]]:
    """Return the messages of the library by (heading, guide), in the order of GUIDES."""
    found: dict[tuple[str, str], set[str]] = {guide: set() for guide in GUIDES.values()}
    for path in sorted((ROOT / "mlm").rglob("*.py")):
        place = path.relative_to(ROOT).as_posix()
        guide = next(guide for start, guide in GUIDES.items() if place.startswith(start))
        found[guide] |= set(messages_of(path))
    return found


def page() -> str:
    """Return the page."""
    sections = [
        f"## {heading}\n\nGuide: [{guide}]({guide})\n\n"
        + "".join(f"- {_as_code(message)}\n" for message in sorted(messages, key=str.lower))
        for (heading, guide), messages in messages_by_guide().items()
        if messages
    ]
    return "\n".join([INTRODUCTION, *sections])


def _as_code(message: str) -> str:
    """Return the message as code in Markdown, which blanks keep apart from its own quotes."""
    blank = " " if "`" in (message[0], message[-1]) else ""
    return f"``{blank}{message}{blank}``"


def _text(node: ast.expr) -> str:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(map(_text, parts))
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _text(left) + _text(right)
        case _:
            return "…"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    sys.exit(print(f"{PAGE}: {sum(map(len, messages_by_guide().values()))} messages"))
