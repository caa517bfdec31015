"""Load, check and save tokenizers; a tokenizer is always a `transformers` fast tokenizer."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from mlm.checkpoint.tokenizer_files import check_tokenizer_files
from mlm.errors import CheckpointError, one_line

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

LARGEST_VOCABULARY = 2**21  # ids, where no embedding says how many rows there are


def load_tokenizer(
    folder: str | Path, vocab_size: int = LARGEST_VOCABULARY
) -> "PreTrainedTokenizerFast":
    """The tokenizer of a checkpoint folder, as `AutoTokenizer` gives it.

    Off line, and never with code from the folder; its files are checked before they are opened.
    Reads tokenizer.json, BERT's vocab.txt, or RoBERTa's vocab.json with merges.txt.
    vocab_size: rows of the embedding, which every id has to have.

    Raises:
        CheckpointError: no such files, files that cannot be read or break a rule of
            `tokenizer_files`, no mask token, ids beyond the embedding.
    """
    from transformers import AutoTokenizer

    folder = Path(folder)
    check_tokenizer_files(folder, vocab_size)
    content = _read_json(folder / "tokenizer.json")
    options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    if not content:
        options |= _vocabulary_options(folder)
    is_cased = _is_cased(folder, content)
    if is_cased is not None:
        options["do_lower_case"] = not is_cased
    tokenizer: Any
    with (
        tokenizer_errors(f"The tokenizer in {folder} cannot be read"),
        _with_tokenizer_json(folder) as whole,
    ):
        tokenizer = AutoTokenizer.from_pretrained(str(whole), **options)
        if tokenizer.is_fast and "Precompiled" in str(content.get("normalizer")):
            _restore_sentencepiece(tokenizer.backend_tokenizer, folder)
    if not tokenizer.is_fast:
        raise CheckpointError(
            f"{folder} holds a {type(tokenizer).__name__}, which has no fast form: use a "
            "checkpoint with a tokenizer.json."
        )
    check_special_tokens(tokenizer, str(folder))
    _forget_lengths(tokenizer)
    with tokenizer_errors(f"The tokenizer in {folder} cannot be used"):
        _check_ids(tokenizer, vocab_size, folder)
    return tokenizer


def _vocabulary_options(folder: Path) -> dict[str, Any]:
    """What `AutoTokenizer` has to be told where there is no tokenizer.json."""
    from tokenizers import AddedToken

    kind = "bert" if (folder / "vocab.txt").is_file() else "roberta"
    options = {} if (folder / "config.json").is_file() else {"tokenizer_type": kind}
    names = ("tokenizer_config.json", "special_tokens_map.json")
    said = [_read_json(folder / name).get("mask_token") for name in names]
    if kind == "roberta" and not any(isinstance(mask, dict) for mask in said):
        # RoBERTa's mask takes the space before it; transformers 5 forgets that without the file.
        return options | {"mask_token": AddedToken("<mask>", lstrip=True, special=True)}
    return options


@contextmanager
def _with_tokenizer_json(folder: Path) -> Iterator[Path]:
    """The folder, or a passing copy with the tokenizer.json that it lacks.

    transformers 5.0 does not read a vocabulary that lies there alone.
    """
    if (folder / "tokenizer.json").is_file():
        yield folder
        return
    from tokenizers.implementations import BertWordPieceTokenizer, ByteLevelBPETokenizer

    with TemporaryDirectory() as copy:
        for path in folder.glob("*.json"):
            shutil.copy(path, copy)
        if (folder / "vocab.txt").is_file():
            made: Any = BertWordPieceTokenizer.from_file(str(folder / "vocab.txt"))
        else:
            names = (str(folder / name) for name in ("vocab.json", "merges.txt"))
            made = ByteLevelBPETokenizer.from_file(*names)
        made.save(str(Path(copy) / "tokenizer.json"))
        yield Path(copy)


def _restore_sentencepiece(backend: "Tokenizer", folder: Path) -> None:
    """Give back what tokenizer.json does to a text first, which transformers 5.0 leaves out."""
    from tokenizers import Tokenizer

    published = Tokenizer.from_file(str(folder / "tokenizer.json"))
    backend.normalizer, backend.pre_tokenizer = published.normalizer, published.pre_tokenizer


@contextmanager
def tokenizer_errors(what_failed: str) -> Iterator[None]:
    """Name what a tokenizer library breaks on, its panics too, in one CheckpointError.

    Rust raises bare Exceptions, and where it panics a BaseException, past any `except Exception`.
    """
    try:
        yield
    except CheckpointError:
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        reason = one_line(error)
        raise CheckpointError(f"{what_failed} ({reason}): fetch or save its files again.") from None


def _check_ids(tokenizer: "PreTrainedTokenizerFast", vocab_size: int, folder: Path) -> None:
    """Every id that the opened tokenizer can give has a row in the embedding; most rows are used.

    transformers adds the special tokens that a vocabulary lacks behind its end, and makes up a
    vocabulary of five where the class it chose does not know the files.
    """
    entries = vocab_size_of(tokenizer)
    text = f"A word, {tokenizer.mask_token} and 2 (two)."
    ids = tokenizer(text, verbose=False).input_ids
    highest = max(entries - 1, len(tokenizer) - 1, *tokenizer.all_special_ids, *ids)
    too_few = vocab_size < LARGEST_VOCABULARY and 2 * entries < vocab_size
    if highest >= vocab_size or too_few:
        raise CheckpointError(
            f"{folder} has a tokenizer of {entries:,} entries, the last of which is {highest:,}, "
            f"and a model of {vocab_size:,}; they do not belong together."
        )
    if ids.count(tokenizer.mask_token_id) != 1:
        raise CheckpointError(
            f"The tokenizer in {folder} does not know its own mask token "
            f"{tokenizer.mask_token!r} in a text: fetch or save its files again."
        )


def _is_cased(folder: Path, content: dict[str, Any]) -> bool | None:
    """Whether capitals are kept, where tokenizer.json's content or vocab.txt alone tells; or None.

    `BertTokenizer` knows of no place but tokenizer_config.json; it ignores what tokenizer.json
    says, and of what it does unless it is told transformers 5.0 is of another opinion than others.
    """
    if "do_lower_case" in _read_json(folder / "tokenizer_config.json"):
        return None
    if content:
        normalizer = content.get("normalizer") or {}
        is_berts = normalizer.get("type") == "BertNormalizer"
        return not normalizer.get("lowercase", True) if is_berts else None
    if not (folder / "vocab.txt").is_file():
        return None
    words = (folder / "vocab.txt").read_text(encoding="utf-8").split("\n")
    return any(word[0] != "[" and word != word.lower() for word in words if word)


def _read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file that was checked; empty where there is no such file."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def check_special_tokens(tokenizer: "PreTrainedTokenizerFast", where: str) -> None:
    """Raise CheckpointError unless the tokenizer has the four tokens that masking needs."""
    names = ("cls_token", "sep_token", "pad_token", "mask_token")
    missing = [name for name in names if getattr(tokenizer, name) is None]
    if missing:
        raise CheckpointError(
            f"The tokenizer of {where} sets no {', '.join(missing)}: name them in "
            "tokenizer_config.json, or use a checkpoint made for masked language modelling."
        )


def _forget_lengths(tokenizer: "PreTrainedTokenizerFast") -> None:
    """Drop the truncation and padding that a tokenizer.json carries from its last use."""
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.no_padding()


def save_tokenizer(
    tokenizer: "PreTrainedTokenizerFast", folder: str | Path, *, model_max_length: int
) -> None:
    """Write tokenizer.json and tokenizer_config.json, for any `AutoTokenizer` to load.

    `model_max_length`: tokens, special ones included, that the model takes.
    """
    _forget_lengths(tokenizer)
    # Bytes, which transformers 5.0 would write; they are in tokenizer.json.
    tokenizer.init_kwargs.pop("_spm_precompiled_charsmap", None)
    try:
        tokenizer.save_pretrained(str(folder))
    except Exception as error:  # the Rust side raises bare Exception where a disk is full
        raise OSError(str(error)) from None
    path = Path(folder) / "tokenizer_config.json"
    config = _read_json(path)
    config["model_max_length"] = model_max_length
    # transformers 5 writes its new name of the class; the old one is known to 4 and 5.
    if config.get("tokenizer_class") == "TokenizersBackend":
        config["tokenizer_class"] = "PreTrainedTokenizerFast"
    path.write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def tokenizer_hash(tokenizer: "PreTrainedTokenizerFast") -> str:
    """sha256, in hex, of how texts become ids; the same before and after saving."""
    content = json.loads(tokenizer.backend_tokenizer.to_str())
    for passing in ("truncation", "padding"):
        content.pop(passing, None)
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def encode_texts(tokenizer: "PreTrainedTokenizerFast", texts: list[str]) -> list[list[int]]:
    """The ids of each text: no special token, no truncation, no warning about lengths.

    A text that spells out a special token ("[SEP]") gets the ids of those letters, not the token.
    """
    backend = tokenizer.backend_tokenizer
    _forget_lengths(tokenizer)
    before = backend.encode_special_tokens
    backend.encode_special_tokens = True
    try:
        with tokenizer_errors("The tokenizer breaks on these texts"):
            encodings = backend.encode_batch_fast(texts, add_special_tokens=False)
    finally:
        backend.encode_special_tokens = before
    return [encoding.ids for encoding in encodings]


def vocab_size_of(tokenizer: "PreTrainedTokenizerFast") -> int:
    """One more than the highest id."""
    return max(tokenizer.get_vocab().values()) + 1
