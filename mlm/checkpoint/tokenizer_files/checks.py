"""The tokenizer files of a checkpoint folder, each looked at before a library opens it."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mlm.checkpoint.file_limits import LARGEST_SMALL_FILE
from mlm.checkpoint.strict_json import parse_strictly, shown
from mlm.checkpoint.tokenizer_files.rules import LONGEST_TOKEN, is_text
from mlm.checkpoint.tokenizer_files.settings import check_tokenizer_settings, check_types
from mlm.checkpoint.tokenizer_files.vocabulary import check_ids, check_tokenizer_json
from mlm.errors import CheckpointError

READ = (
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "config.json",
)
SENTENCE_PIECE = {"spiece.model", "spm.model", "sentencepiece.bpe.model", "tokenizer.model"}
# What transformers would try to open, or what names itself a tokenizer.
LIKE_A_TOKENIZER = re.compile(
    r"(.*token.*|vocab.*|merges.*|tekken.*)\.(json|txt|py|pkl|pickle|bin|pt|gguf)|.*\.model",
    re.IGNORECASE,
)
# int(1e30), which transformers writes for "no limit": the one number beyond 64 bits that is known.
NO_LIMIT, LARGE = b"1000000000000000019884624838656", b"1e30"
VALUES_AN_ID, FURTHER_VALUES = 16, 100_000  # in JSON; a value takes 60 bytes and more when read


def check_tokenizer_files(folder: Path, vocab_size: int) -> None:
    """CheckpointError, naming file and rule, if a tokenizer file could do harm or does not fit.

    Looked at: names, sizes, JSON, settings that reach for code or other files, unknown parts, and
    every id, which has to be below `vocab_size`, the rows of the embedding.
    """
    folder = Path(folder)
    present = _checked_names(folder)
    whole_file = "tokenizer.json" in present

    def settings(content: Any) -> None:
        check_tokenizer_settings(content, vocab_size, whole_file=whole_file)

    def added(content: Any) -> None:
        if content != {}:
            check_ids("it", content, vocab_size)

    checks: dict[str, Callable[[Any], None]] = {
        "config.json": check_types,
        "tokenizer_config.json": settings,
        "special_tokens_map.json": settings,
        "added_tokens.json": added,
    }
    if whole_file:
        checks["tokenizer.json"] = lambda content: check_tokenizer_json(content, vocab_size)
    else:
        checks["vocab.json"] = lambda content: check_ids("it", content, vocab_size)
        checks["vocab.txt"] = lambda lines: _check_lines(lines, vocab_size, pieces=0)
        checks["merges.txt"] = lambda lines: _check_lines(lines, 4 * vocab_size, pieces=2)
    for name in sorted(checks.keys() & present):
        _check_file(folder / name, checks[name], vocab_size)


def _check_file(path: Path, check: Callable[[Any], None], vocab_size: int) -> None:
    content = _bounded_bytes(path)
    try:
        if path.suffix == ".txt":
            check(_lines(content.decode("utf-8")))
        else:
            check(_parsed(content, vocab_size))
    except UnicodeDecodeError as error:
        reason = f"it is not UTF-8 at byte {error.start:,}"
        raise CheckpointError(f"{path}: {reason}; fetch or save the file again") from None
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}; fetch or save the file again") from None


def _lines(text: str) -> list[str]:
    """A token a line, as a file is read: not cut at U+2028 and the like, which may be tokens."""
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    return lines if lines[-1] else lines[:-1]


def _checked_names(folder: Path) -> set[str]:
    """The names in the folder, once it is found to hold a tokenizer and nothing in its guise."""
    present = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    for name in sorted(present):
        known = name in READ or name in SENTENCE_PIECE
        if LIKE_A_TOKENIZER.fullmatch(name) and not known:
            raise CheckpointError(
                f"{folder} holds {shown(name)}, which is none of the tokenizer files that are read "
                f"here ({', '.join(READ[:-1])}): take it out."
            )
        if name in READ and not (folder / name).is_file():
            raise CheckpointError(f"{folder / name} is no file; fetch or save it again")
    _check_vocabulary_is_there(folder, present)
    return present


def _check_vocabulary_is_there(folder: Path, present: set[str]) -> None:
    if "tokenizer.json" in present:
        return
    if SENTENCE_PIECE & present:
        raise CheckpointError(
            f"{folder} has its tokenizer as {min(SENTENCE_PIECE & present)} alone, which is not "
            'read here: where sentencepiece is installed, AutoTokenizer.from_pretrained("...")'
            '.save_pretrained("...") writes a tokenizer.json from it.'
        )
    if "vocab.txt" not in present and not {"vocab.json", "merges.txt"} <= present:
        raise CheckpointError(
            f"{folder} has no tokenizer: expected tokenizer.json, or vocab.txt, or vocab.json with "
            "merges.txt; save the tokenizer into it with save_pretrained."
        )


def _bounded_bytes(path: Path) -> bytes:
    most = LARGEST_SMALL_FILE[path.name]
    try:
        with path.open("rb") as file:
            content = file.read(most + 1)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from None
    if len(content) > most:
        raise CheckpointError(
            f"{path} has {path.stat().st_size:,} bytes; such a file has {most:,} at most"
        )
    return content


def _parsed(content: bytes, vocab_size: int) -> Any:
    """The value of a JSON text that is no larger than a vocabulary of this size asks for."""
    most = VALUES_AN_ID * vocab_size + FURTHER_VALUES
    values = max(content.count(b","), content.count(b"[") + content.count(b"{"))
    if values > most:
        raise ValueError(f"it has {values:,} values, too many for {vocab_size:,} ids")
    return parse_strictly(content.replace(NO_LIMIT, LARGE))


def _check_lines(lines: list[str], most: int, pieces: int) -> None:
    """A token a line, or so many tokens a line."""
    if len(lines) > most:
        raise ValueError(f"it has {len(lines):,} lines; the model has room for {most:,}")
    for number, line in enumerate(lines, 1):
        too_long = not is_text(line, LONGEST_TOKEN * max(pieces, 1))
        if too_long or (pieces and not line.startswith("#") and len(line.split()) not in (0, 2)):
            raise ValueError(f"line {number:,} is {shown(line)}; expected {pieces or 1} token(s)")
