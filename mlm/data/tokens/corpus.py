"""Build a token store from text files: read, clean, split into train and validation, tokenize.

    store = build_token_store("runs/imdb/tokens", tokenizer, train_files=["imdb_tr.csv"])
    print(store.report_line)

A store that was made from the same files, tokenizer and settings is used again. Reading is in
data/texts/, the folder on disk in token_store.py; this module decides the split.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlm.checkpoint.tokenizer import tokenizer_hash
from mlm.data.texts.cleaning import CLEANING_VERSION, ReadingSettings, read_texts
from mlm.data.texts.seen_texts import SeenTexts, text_digest
from mlm.data.texts.text_files import expand_files, file_identity, version_of
from mlm.data.texts.text_report import TextReport
from mlm.data.tokens.text_checks import TextChecks
from mlm.data.tokens.token_store import (
    SIDES,
    Counts,
    StoreWriter,
    TokenStore,
    find_token_store,
    open_token_store,
    staged_store,
)
from mlm.errors import CorpusError
from mlm.terminal.progress import counted, progress

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

# Not raised for the cutting of long documents: stores without any stay what they are.
FORMAT_VERSION = 1  # raise it if the split or the files change: stores are then rebuilt


@dataclass(frozen=True)
class _Settings(ReadingSettings):
    """The settings that, with the files and the tokenizer, determine a store's content."""

    validation_split_percentage: float = 5
    max_train_samples: int | None = None

    def reading(self) -> dict[str, Any]:
        """Return the settings of `read_texts`."""
        return {field.name: getattr(self, field.name) for field in fields(ReadingSettings)}


def build_token_store(
    folder: str | Path,
    tokenizer: PreTrainedTokenizerFast,
    *,
    train_files: Sequence[str],
    validation_files: Sequence[str] = (),
    text_column: str | None = None,
    encoding: str | None = None,
    encoding_errors: str = "strict",
    clean_html: str = "auto",
    validation_split_percentage: float = 5,
    max_train_samples: int | None = None,
) -> TokenStore:
    """Read, clean, split and tokenize the files into `folder`, or open the same store found there.

    Args:
        folder: of the store; an older store in it is replaced.
        tokenizer: gives the ids and the separator.
        train_files: paths, globs or URLs; see `read_texts`.
        validation_files: if given, they are the validation side, and their texts are dropped from
            the training side; else `validation_split_percentage` of the texts is, by their hash.
        text_column: None finds the one obvious column.
        encoding: None is UTF-8.
        encoding_errors: "strict", "replace" or "ignore"; see `read_texts`.
        clean_html: "auto", "yes" or "no"; see html_markup.py.
        validation_split_percentage: in (0, 100), of the documents.
        max_train_samples: number of training documents to keep; validation stays the same.

    Raises:
        CorpusError: files cannot be read, one was written meanwhile, a side has no documents, the
            disk is full, or `folder` is not a token store.
    """
    folder = Path(folder)
    settings = _Settings(
        text_column,
        encoding,
        encoding_errors,
        clean_html,
        validation_split_percentage,
        max_train_samples,
    )
    files = _files_of_sides(train_files, validation_files)
    _check_settings(settings, files)
    versions = {url: version_of(url) for urls in files.values() for url in urls}
    with progress("hashing the files"):
        made_from = _describe_sources(files, tokenizer, settings)
    store = find_token_store(folder)
    if store is not None and store.manifest["made_from"] == made_from:
        return store
    with staged_store(folder) as new, StoreWriter(new, tokenizer) as writer:
        report_line = _write_documents(writer, files, settings)
        _check_unchanged(versions)
        writer.finish(made_from, report_line)
    return open_token_store(folder)


def side_of(text: str, validation_split_percentage: float) -> str:
    """Return "train" or "validation", by the text only: the same in any file, order or run."""
    share = int.from_bytes(text_digest(text)[:8], "big") / 2.0**64
    return "validation" if share < validation_split_percentage / 100 else "train"


def texts_of_side(
    side: str,
    *,
    train_files: Sequence[str],
    validation_files: Sequence[str] = (),
    text_column: str | None = None,
    encoding: str | None = None,
    encoding_errors: str = "strict",
    clean_html: str = "auto",
    validation_split_percentage: float = 5,
    report: TextReport | None = None,
) -> Iterator[str]:
    """Yield the clean texts that `build_token_store` puts on a side, "train" or "validation".

    A limit by `max_train_samples` is not applied. `report` grows while the stream is consumed.
    Raises CorpusError as `build_token_store` does.
    """
    settings = _Settings(
        text_column, encoding, encoding_errors, clean_html, validation_split_percentage
    )
    files = _files_of_sides(train_files, validation_files)
    _check_settings(settings, files)
    read = _read_documents(files, settings, report or TextReport())
    documents = counted(read, "reading texts for a tokenizer", unit="texts")
    return (text for own_side, text in documents if own_side == side)


def _files_of_sides(
    train_files: Sequence[str], validation_files: Sequence[str]
) -> dict[str, list[str]]:
    files = {"train": expand_files(train_files)}
    if validation_files:
        files["validation"] = expand_files(validation_files)
    return files


def _check_settings(settings: _Settings, files: dict[str, list[str]]) -> None:
    for urls in files.values():
        settings.check(urls)
    percentage, limit = settings.validation_split_percentage, settings.max_train_samples
    if "validation" not in files and not 0 < percentage < 100:
        raise CorpusError(
            f"--validation_split_percentage is {percentage}, expected more than 0 and less than 100"
        )
    if limit is not None and limit < 1:
        raise CorpusError(f"--max_train_samples is {limit}, expected 1 or more, or leave it out")


def _check_unchanged(versions: dict[str, tuple[int, int] | None]) -> None:
    """Raise CorpusError if a file is not the one that was hashed: its store would be another's."""
    for url, version in versions.items():
        if version_of(url) != version:
            raise CorpusError(f"{url} was changed while it was read: run again when it is complete")


def _describe_sources(
    files: dict[str, list[str]], tokenizer: PreTrainedTokenizerFast, settings: _Settings
) -> dict[str, object]:
    """Return the `made_from` of a manifest; an equal one means the same store."""
    return {
        "format": FORMAT_VERSION,
        "cleaning": CLEANING_VERSION,
        "sources": {side: [file_identity(url) for url in urls] for side, urls in files.items()},
        "tokenizer": tokenizer_hash(tokenizer),
        "settings": asdict(settings),
    }


def _write_documents(writer: StoreWriter, files: dict[str, list[str]], settings: _Settings) -> str:
    """Add each document to its side of `writer`; return the report line."""
    report, checks, left_out = TextReport(), TextChecks(), 0
    limits = {"train": settings.max_train_samples}
    documents = _read_documents(files, settings, report)
    for side, text in counted(documents, "reading and tokenizing", unit="texts"):
        limit = limits.get(side)
        if limit is not None and writer.num_documents(side) >= limit:
            left_out += 1
            continue
        writer.add(side, text)
        if side == "train":
            checks.add(text)
    counts = writer.flush()
    _check_counts(counts, report, by_percentage="validation" not in files)
    train = counts["train"]
    report.warnings += checks.warnings(
        report, writer.num_unknown("train"), train["tokens"] - train["documents"]
    )
    return _report_line(report, counts, left_out)


def _read_documents(
    files: dict[str, list[str]], settings: _Settings, report: TextReport
) -> Iterator[tuple[str, str]]:
    """Yield (side, text) in the order of the files."""

    def read(
        urls: list[str], held_out: SeenTexts | None = None, remember: SeenTexts | None = None
    ) -> Iterator[str]:
        return read_texts(
            urls, **settings.reading(), report=report, held_out=held_out, remember=remember
        )

    train, validation = files["train"], files.get("validation")
    if validation is None:
        for text in read(train):
            yield side_of(text, settings.validation_split_percentage), text
        return
    with SeenTexts() as held_out:
        for text in read(validation, remember=held_out):
            yield "validation", text
        for text in read(train, held_out=held_out):
            yield "train", text


def _check_counts(counts: dict[str, Counts], report: TextReport, *, by_percentage: bool) -> None:
    """Raise CorpusError if a side has no document."""
    train, validation = (counts[side]["documents"] for side in SIDES)
    if train and validation:
        return
    if train:
        advice = "give a --validation_file with more texts"
        if by_percentage and train == 1:
            advice = f"it is 1 document; put each paragraph on a line of its own, or {advice}"
        elif by_percentage:
            advice = f"raise --validation_split_percentage or {advice}"
        raise CorpusError(f"no document is left for validation ({report.summary()}): {advice}")
    percentage = "lower --validation_split_percentage or "
    advice = f"{percentage if by_percentage and validation else ''}give a --train_file with texts"
    raise CorpusError(f"no document is left to train on ({report.summary()}): {advice}")


def _report_line(report: TextReport, counts: dict[str, Counts], left_out: int) -> str:
    train, validation = (counts[side]["documents"] for side in SIDES)
    tokens = sum(counts[side]["tokens"] for side in SIDES)
    limited = f", {left_out:,} left out by --max_train_samples" if left_out else ""
    line = (
        f"{report.summary()}; {train + validation:,} documents ({train:,} train, "
        f"{validation:,} validation{limited}), {_format_count(tokens)} tokens"
    )
    return "\n".join([line, *report.remarks()])


def _format_count(count: int) -> str:
    return f"{count / 1e6:.1f} M" if count >= 1_000_000 else f"{count:,}"
