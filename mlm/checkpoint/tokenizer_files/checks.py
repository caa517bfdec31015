"""Check the tokenizer files of a checkpoint folder before a library opens them."""

import re
from collections.abc import Callable
from pathlib import Path

from mlm.checkpoint.file_limits import LARGEST_SMALL_FILE
from mlm.checkpoint.strict_json import parse_strictly, short_repr
from mlm.checkpoint.tokenizer_files.rules import MAX_TOKEN, is_text
from mlm.checkpoint.tokenizer_files.settings import check_tokenizer_class, check_tokenizer_settings
from mlm.checkpoint.tokenizer_files.vocabulary import check_ids, check_tokenizer_json
from mlm.errors import CheckpointError

READ_FILES = (
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
# Names that transformers would try to open, or that claim to be a tokenizer.
LIKE_A_TOKENIZER = re.compile(
    r"(.*token.*|vocab.*|merges.*|tekken.*)\.(json|txt|py|pkl|pickle|bin|pt|gguf)|.*\.model",
    re.IGNORECASE,
)
# int(1e30), which transformers writes for "no limit": the one number beyond 64 bits that is read.
NO_LIMIT, LARGE = b"1000000000000000019884624838656", b"1e30"
# Values of a JSON file, for each id and beyond them; a parsed value takes 60 bytes or more.
VALUES_PER_ID, FURTHER_VALUES = 16, 100_000

Check = Callable[[bytes], None]  # of a file's content; raises ValueError


def check_tokenizer_files(folder: Path, vocab_size: int) -> None:
    """Raise CheckpointError if a tokenizer file could do harm or does not fit the model.

    Checked are names, sizes, JSON, settings that reach code or other files, unknown components,
    and each id. The message names the file and the rule.

    Args:
        folder: the checkpoint folder.
        vocab_size: rows of the embedding; every id has to be below it.
    """
    folder = Path(folder)
    present = _check_names(folder)
    checks = _checks(vocab_size, has_tokenizer_json="tokenizer.json" in present)
    for name in sorted(checks.keys() & present):
        _check_file(folder / name, checks[name])


def _checks(vocab_size: int, *, has_tokenizer_json: bool) -> dict[str, Check]:
    """Return the check of each file that would be read."""

    def json_file(check: Callable[[object], object]) -> Check:
        def check_content(content: bytes) -> None:
            check(_parse(content, vocab_size))

        return check_content

    def text_file(most_lines: int, tokens_per_line: int) -> Check:
        return lambda content: _check_lines(content.decode("utf-8"), most_lines, tokens_per_line)

    settings = json_file(
        lambda content: check_tokenizer_settings(
            content, vocab_size, has_tokenizer_json=has_tokenizer_json
        )
    )
    checks = {
        "config.json": json_file(check_tokenizer_class),
        "tokenizer_config.json": settings,
        "special_tokens_map.json": settings,
        "added_tokens.json": json_file(
            lambda content: content == {} or check_ids("it", content, vocab_size)
        ),
    }
    if has_tokenizer_json:
        return checks | {
            "tokenizer.json": json_file(lambda content: check_tokenizer_json(content, vocab_size))
        }
    return checks | {
        "vocab.json": json_file(lambda content: check_ids("it", content, vocab_size)),
        "vocab.txt": text_file(vocab_size, 1),
        "merges.txt": text_file(4 * vocab_size, 2),
    }


def _check_file(path: Path, check: Check) -> None:
    content = _read_bounded(path)
    try:
        check(content)
    except UnicodeDecodeError as error:
        reason = f"it is not UTF-8 at byte {error.start:,}"
        raise CheckpointError(f"{path}: {reason}; fetch or save the file again") from None
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}; fetch or save the file again") from None


# Names and sizes


def _check_names(folder: Path) -> set[str]:
    """Return the names in the folder, after checking that they include a tokenizer that is read."""
    present = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    for name in sorted(present):
        known = name in READ_FILES or name in SENTENCE_PIECE
        if LIKE_A_TOKENIZER.fullmatch(name) and not known:
            raise CheckpointError(
                f"{folder} holds {short_repr(name)}, which is none of the tokenizer files that are "
                f"read here ({', '.join(READ_FILES[:-1])}): take it out."
            )
        if name in READ_FILES and not (folder / name).is_file():
            raise CheckpointError(f"{folder / name} is not a file; fetch or save it again")
    _check_vocabulary_exists(folder, present)
    return present


def _check_vocabulary_exists(folder: Path, present: set[str]) -> None:
    if "tokenizer.json" in present:
        return
    if SENTENCE_PIECE & present:
        raise CheckpointError(
            f"{folder} has its tokenizer only as {min(SENTENCE_PIECE & present)}, which is not "
            'read here: where sentencepiece is installed, AutoTokenizer.from_pretrained("...")'
            '.save_pretrained("...") writes a tokenizer.json from it.'
        )
    if "vocab.txt" not in present and not {"vocab.json", "merges.txt"} <= present:
        raise CheckpointError(
            f"{folder} has no tokenizer: expected tokenizer.json, or vocab.txt, or vocab.json with "
            "merges.txt; save the tokenizer into it with save_pretrained."
        )


def _read_bounded(path: Path) -> bytes:
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


# Contents


def _parse(content: bytes, vocab_size: int) -> object:
    """Return the value of a JSON text; ValueError if it is too large for such a vocabulary."""
    most = VALUES_PER_ID * vocab_size + FURTHER_VALUES
    values = max(content.count(b","), content.count(b"[") + content.count(b"{"))
    if values > most:
        raise ValueError(f"it has {values:,} values, too many for {vocab_size:,} ids")
    value: object = parse_strictly(content.replace(NO_LIMIT, LARGE))
    return value


def _check_lines(text: str, most: int, tokens_per_line: int) -> None:
    """Check a file of one token a line (vocab.txt) or of two (merges.txt, with # comments)."""
    lines = split_lines(text)
    if len(lines) > most:
        raise ValueError(f"it has {len(lines):,} lines; the model has room for {most:,}")
    is_merges = tokens_per_line > 1
    for number, line in enumerate(lines, 1):
        too_long = not is_text(line, MAX_TOKEN * tokens_per_line)
        wrong_count = is_merges and not line.startswith("#") and len(line.split()) not in (0, 2)
        if too_long or wrong_count:
            raise ValueError(
                f"line {number:,} is {short_repr(line)}; expected {tokens_per_line} token(s)"
            )


def split_lines(text: str) -> list[str]:
    r"""Return the lines of a vocabulary file, cut at \n only: U+2028 and the like may be tokens."""
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    return lines if lines[-1] else lines[:-1]
