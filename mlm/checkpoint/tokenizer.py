"""Load, check, save and apply tokenizers; a tokenizer is always a `transformers` fast tokenizer."""

import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple, cast

from mlm.checkpoint.strict_json import JsonObject
from mlm.checkpoint.tokenizer_files import check_tokenizer_files
from mlm.errors import CheckpointError, one_line

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

MAX_VOCAB_SIZE = 2**21  # ids, if no embedding limits them


def load_tokenizer(
    folder: str | Path, vocab_size: int = MAX_VOCAB_SIZE
) -> "PreTrainedTokenizerFast":
    """Load the tokenizer of a checkpoint folder as `AutoTokenizer` does.

    It is loaded off line, and never with code from the folder; its files are checked before they
    are opened. They are tokenizer.json, BERT's vocab.txt, or RoBERTa's vocab.json and merges.txt.

    Args:
        folder: the checkpoint folder.
        vocab_size: rows of the embedding; every id has to be below it.

    Raises:
        CheckpointError: no such files, files that cannot be read or break a rule of
            `tokenizer_files`, no mask token, ids beyond the embedding.
    """
    folder = Path(folder)
    check_tokenizer_files(folder, vocab_size)
    tokenizer = _open_tokenizer(folder)
    if not tokenizer.is_fast:
        raise CheckpointError(
            f"{folder} holds a {type(tokenizer).__name__}, which has no fast form: use a "
            "checkpoint with a tokenizer.json."
        )
    check_special_tokens(tokenizer, str(folder))
    _drop_truncation_and_padding(tokenizer)
    with tokenizer_errors(f"The tokenizer in {folder} cannot be used"):
        _check_ids(tokenizer, vocab_size, folder)
    return tokenizer


def _open_tokenizer(folder: Path) -> "PreTrainedTokenizerFast":
    """Return the tokenizer of checked files; it may be a slow one."""
    from transformers import AutoTokenizer

    content = _read_json(folder / "tokenizer.json")
    options: dict[str, object] = {"local_files_only": True, "trust_remote_code": False}
    if not content:
        options |= _vocabulary_options(folder)
    options |= _unrepeated_options(folder, content)
    with (
        tokenizer_errors(f"The tokenizer in {folder} cannot be read"),
        _with_tokenizer_json(folder) as complete,
    ):
        loaded = AutoTokenizer.from_pretrained(str(complete), **options)
        tokenizer = cast("PreTrainedTokenizerFast", loaded)
        if tokenizer.is_fast and "Precompiled" in str(content.get("normalizer")):
            _restore_sentencepiece(tokenizer.backend_tokenizer, folder)
    return tokenizer


def _vocabulary_options(folder: Path) -> dict[str, object]:
    """Return the options that `AutoTokenizer` needs if the folder has no tokenizer.json."""
    from tokenizers import AddedToken

    kind = "bert" if (folder / "vocab.txt").is_file() else "roberta"
    options: dict[str, object] = {}
    if not (folder / "config.json").is_file():
        options["tokenizer_type"] = kind
    names = ("tokenizer_config.json", "special_tokens_map.json")
    masks = [_read_json(folder / name).get("mask_token") for name in names]
    if kind == "roberta" and not any(isinstance(mask, dict) for mask in masks):
        # RoBERTa's mask includes the space before it; transformers 5 does so only with the file.
        options["mask_token"] = AddedToken("<mask>", lstrip=True, special=True)
    return options


@contextmanager
def _with_tokenizer_json(folder: Path) -> Iterator[Path]:
    """Yield the folder, or a temporary copy with the tokenizer.json that it lacks.

    transformers 5.0 does not read a vocabulary without that file.
    """
    if (folder / "tokenizer.json").is_file():
        yield folder
        return
    with TemporaryDirectory() as copy:
        for path in folder.glob("*.json"):
            shutil.copy(path, copy)
        _write_tokenizer_json(folder, Path(copy) / "tokenizer.json")
        yield Path(copy)


def _write_tokenizer_json(folder: Path, path: Path) -> None:
    """Write the tokenizer.json of a folder's vocab.txt, or of its vocab.json and merges.txt."""
    from tokenizers.implementations.base_tokenizer import BaseTokenizer
    from tokenizers.implementations.bert_wordpiece import BertWordPieceTokenizer
    from tokenizers.implementations.byte_level_bpe import ByteLevelBPETokenizer

    tokenizer: BaseTokenizer
    if (folder / "vocab.txt").is_file():
        tokenizer = BertWordPieceTokenizer.from_file(str(folder / "vocab.txt"))
    else:
        names = (str(folder / name) for name in ("vocab.json", "merges.txt"))
        tokenizer = ByteLevelBPETokenizer.from_file(*names)
    tokenizer.save(str(path))


def _restore_sentencepiece(backend: "Tokenizer", folder: Path) -> None:
    """Restore the first steps of tokenizer.json, which transformers 5.0 leaves out."""
    from tokenizers import Tokenizer

    published = Tokenizer.from_file(str(folder / "tokenizer.json"))
    backend.normalizer, backend.pre_tokenizer = published.normalizer, published.pre_tokenizer


@contextmanager
def tokenizer_errors(what_failed: str) -> Iterator[None]:
    """Turn any error of a tokenizer library, panics included, into one CheckpointError.

    Rust raises bare Exceptions, and for a panic a BaseException that is not an Exception.
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
    """Check that each id of the loaded tokenizer has a row in the embedding, and most rows an id.

    transformers appends special tokens that the vocabulary lacks, and invents a vocabulary of five
    if the class that it chose does not know the files.
    """
    entries = vocab_size_of(tokenizer)
    text = f"A word, {tokenizer.mask_token} and 2 (two)."
    ids = tokenizer(text, verbose=False).input_ids
    highest = max(entries - 1, len(tokenizer) - 1, *tokenizer.all_special_ids, *ids)
    too_few = vocab_size < MAX_VOCAB_SIZE and 2 * entries < vocab_size
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


def _unrepeated_options(folder: Path, content: JsonObject) -> dict[str, object]:
    """Return the options that only tokenizer.json or vocab.txt tells, by their names for a class.

    The classes of transformers 5 read them from tokenizer_config.json only, and rebuild the
    normalizer from their defaults, whatever tokenizer.json says. That of `do_lower_case` in
    transformers 5.0 is not that of other versions.

    content: of tokenizer.json; empty if that does not exist.
    """
    normalizer, splitter = (content.get(name) or {} for name in ("normalizer", "pre_tokenizer"))
    options: dict[str, object] = {}
    if normalizer.get("type") == "BertNormalizer":
        options["do_lower_case"] = normalizer.get("lowercase", True)
        if normalizer.get("strip_accents") is not None:
            options["strip_accents"] = normalizer["strip_accents"]
        if not normalizer.get("handle_chinese_chars", True):
            options["tokenize_chinese_chars"] = False
    if splitter.get("type") == "ByteLevel" and splitter.get("add_prefix_space"):
        options["add_prefix_space"] = True
    if not content and (folder / "vocab.txt").is_file():
        words = (folder / "vocab.txt").read_text(encoding="utf-8").split("\n")
        is_cased = any(word[0] != "[" and word != word.lower() for word in words if word)
        options["do_lower_case"] = not is_cased
    repeated = _read_json(folder / "tokenizer_config.json")
    return {name: value for name, value in options.items() if name not in repeated}


def _read_json(path: Path) -> JsonObject:
    """Return the object of a JSON file that was checked; empty if the file does not exist."""
    if not path.is_file():
        return {}
    content: JsonObject = json.loads(path.read_text(encoding="utf-8"))
    return content


def check_special_tokens(tokenizer: "PreTrainedTokenizerFast", where: str) -> None:
    """Raise CheckpointError unless the tokenizer has the four tokens that masking needs."""
    names = ("cls_token", "sep_token", "pad_token", "mask_token")
    missing = [name for name in names if getattr(tokenizer, name) is None]
    if missing:
        raise CheckpointError(
            f"The tokenizer of {where} sets no {', '.join(missing)}: name them in "
            "tokenizer_config.json, or use a checkpoint made for masked language modelling."
        )


def _drop_truncation_and_padding(tokenizer: "PreTrainedTokenizerFast") -> None:
    """Drop the truncation and padding that a tokenizer.json keeps from its last use."""
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.no_padding()


def save_tokenizer(
    tokenizer: "PreTrainedTokenizerFast", folder: str | Path, *, model_max_length: int
) -> None:
    """Write tokenizer.json and tokenizer_config.json, for any `AutoTokenizer` to load.

    Args:
        tokenizer: loses its truncation and padding.
        folder: an existing folder.
        model_max_length: the most tokens that the model takes, special ones included.

    Raises:
        OSError: the files cannot be written.
    """
    _drop_truncation_and_padding(tokenizer)
    # Bytes, which transformers 5.0 would write; they are in tokenizer.json.
    tokenizer.init_kwargs.pop("_spm_precompiled_charsmap", None)
    try:
        tokenizer.save_pretrained(str(folder))
    except Exception as error:  # the Rust side raises a bare Exception if the disk is full
        raise OSError(str(error)) from None
    path = Path(folder) / "tokenizer_config.json"
    config = _read_json(path)
    config["model_max_length"] = model_max_length
    # transformers 5 writes its new name of the class; both 4 and 5 know the old one.
    if config.get("tokenizer_class") == "TokenizersBackend":
        config["tokenizer_class"] = "PreTrainedTokenizerFast"
    path.write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def tokenizer_hash(tokenizer: "PreTrainedTokenizerFast") -> str:
    """Return a sha256, in hex, of how texts become ids; saving does not change it."""
    content = json.loads(tokenizer.backend_tokenizer.to_str())
    for name in ("truncation", "padding"):
        content.pop(name, None)
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


class EncodedWords(NamedTuple):
    """The ids of a text of words, and for each id the number of its word."""

    ids: list[int]
    words: list[int]


class Encoded(NamedTuple):
    """The ids of a text, and for each id its characters [first, last)."""

    ids: list[int]
    offsets: list[tuple[int, int]]


def encode_texts(tokenizer: "PreTrainedTokenizerFast", texts: list[str]) -> list[list[int]]:
    """Return the ids of each text: no special tokens, no truncation, no warning about lengths.

    A special token spelled out in a text ("[SEP]") gets the ids of its letters, not the token's.
    """
    with _plain_encoding(tokenizer) as backend:
        encodings = backend.encode_batch_fast(texts, add_special_tokens=False)
    return [encoding.ids for encoding in encodings]


def encode_with_offsets(tokenizer: "PreTrainedTokenizerFast", texts: list[str]) -> list[Encoded]:
    """Return what `encode_texts` does, with the characters of each id."""
    with _plain_encoding(tokenizer) as backend:
        encodings = backend.encode_batch(texts, add_special_tokens=False)
    return [Encoded(encoding.ids, encoding.offsets) for encoding in encodings]


def encode_words(
    tokenizer: "PreTrainedTokenizerFast", texts: Sequence[Sequence[str]]
) -> list[EncodedWords]:
    """Return the ids of each text that is given as its words: no special tokens, no truncation.

    If the space before a word belongs to its first token, every word has one, the first too, as
    with `add_prefix_space` of transformers.
    """
    space = " " if _joins_spaces_to_words(tokenizer) else ""
    words = [[f"{space}{word}" for word in text] for text in texts]
    with _plain_encoding(tokenizer) as backend:
        encodings = backend.encode_batch(words, is_pretokenized=True, add_special_tokens=False)
    return [
        EncodedWords(encoding.ids, [0 if word is None else word for word in encoding.word_ids])
        for encoding in encodings
    ]


def _joins_spaces_to_words(tokenizer: "PreTrainedTokenizerFast") -> bool:
    """Return whether tokens contain the space before a word, and no step adds one by itself."""
    splitter = json.loads(tokenizer.backend_tokenizer.to_str())["pre_tokenizer"] or {}
    steps = splitter.get("pretokenizers", [splitter])
    return any(
        step.get("type") == "ByteLevel" and not step.get("add_prefix_space") for step in steps
    )


@contextmanager
def _plain_encoding(tokenizer: "PreTrainedTokenizerFast") -> Iterator["Tokenizer"]:
    """Yield the library's tokenizer, which takes special tokens in texts for letters meanwhile."""
    backend = tokenizer.backend_tokenizer
    _drop_truncation_and_padding(tokenizer)
    before = backend.encode_special_tokens
    backend.encode_special_tokens = True
    try:
        with tokenizer_errors("The tokenizer breaks on these texts"):
            yield backend
    finally:
        backend.encode_special_tokens = before


def vocab_size_of(tokenizer: "PreTrainedTokenizerFast") -> int:
    """Return the highest id plus one."""
    return max(tokenizer.get_vocab().values()) + 1
