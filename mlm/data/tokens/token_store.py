"""The token store on disk: a folder of memory-mapped ids that batches are cut from.

    store = open_token_store("runs/imdb/tokens")
    start, end = store.train.offsets[7:9]
    store.train.tokens[start:end]                   # document 7, its last id the separator

The folder: `train.tokens` and `validation.tokens` (uint16 where the vocabulary fits, else int32),
`train.offsets` and `validation.offsets` (int64), all bare numbers in the machine's byte order, and
`manifest.json`, which says what they were made from and how long they are. A new store is written
beside the old one and renamed, so that what was there stays until the new one is whole.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

import numpy as np

from mlm.data.tokens.document_encoding import DocumentEncoder
from mlm.errors import CorpusError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

SIDES = ("train", "validation")

MANIFEST = "manifest.json"
DTYPES = ("uint16", "int32")
_TEXTS_AT_ONCE = 1000
_CHARACTERS_AT_ONCE = 2_000_000  # the tokenizer takes about 100 bytes a token while it works
_ABANDONED_AFTER = 3600.0  # seconds without a write: whoever wrote it was killed


class TokenSplit(Protocol):
    """One side of a token store: each document is its ids followed by one separator."""

    @property
    def tokens(self) -> Any: ...  # (N,) uint16 or int32: an array, mapped or not, or JoinedNumbers

    @property
    def offsets(self) -> np.ndarray: ...  # (D + 1,) int64, where documents begin in tokens


@dataclass(frozen=True)
class Split:
    """One side of the store: document d is `tokens[offsets[d] : offsets[d + 1]]`.

    tokens: (N,) uint16 or int32. offsets: (D + 1,) int64. Both memory-mapped and read-only.
    """

    tokens: np.ndarray
    offsets: np.ndarray

    @property
    def num_documents(self) -> int:
        return len(self.offsets) - 1


@dataclass(frozen=True)
class TokenStore:
    """An opened token store.

    fingerprint: sha256 over the manifest: sources, cleaning, tokenizer, settings and counts.
    report_line: what was read and dropped; a warning about the encoding follows on its own line.
    """

    train: TokenSplit
    validation: TokenSplit
    manifest: dict[str, Any]
    fingerprint: str
    report_line: str


def open_token_store(folder: str | Path) -> TokenStore:
    """Open the token store in `folder`.

    Raises:
        CorpusError: there is none, or its files do not match its manifest.
    """
    store = whole_store(Path(folder))
    if store is None:
        raise CorpusError(f"{folder} holds no whole token store: build it again from the texts")
    return store


def whole_store(folder: Path) -> TokenStore | None:
    """The store in `folder`; None where there is none or its files do not match its manifest."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        sizes = {name: (folder / name).stat().st_size for name in manifest["sizes"]}
        if sizes != manifest["sizes"] or manifest["fingerprint"] != fingerprint_of(manifest):
            return None
        train, validation = (_open_split(folder, side, manifest["dtype"]) for side in SIDES)
        return TokenStore(
            train, validation, manifest, manifest["fingerprint"], manifest["report_line"]
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def check_manifest(manifest: Any) -> dict[str, Any]:
    """The content of a manifest.json that may be anyone's; CorpusError if it is not to be used."""
    try:
        width = np.dtype(DTYPES[DTYPES.index(manifest["dtype"])]).itemsize
        counts = {side: manifest["counts"][side] for side in SIDES}
        sizes = {f"{side}.tokens": width * count["tokens"] for side, count in counts.items()} | {
            f"{side}.offsets": 8 * (count["documents"] + 1) for side, count in counts.items()
        }
        if sizes == manifest["sizes"] and manifest["fingerprint"] == fingerprint_of(manifest):
            return manifest
    except (ValueError, KeyError, TypeError):
        pass
    raise CorpusError("a manifest.json is not that of a token store, or was changed: make it again")


def _open_split(folder: Path, side: str, dtype: str) -> Split:
    return Split(
        tokens=np.memmap(folder / f"{side}.tokens", dtype=dtype, mode="r"),
        offsets=np.memmap(folder / f"{side}.offsets", dtype=np.int64, mode="r"),
    )


def fingerprint_of(manifest: dict[str, Any]) -> str:
    """sha256, in hex, over all else that a manifest says."""
    content = {key: value for key, value in manifest.items() if key != "fingerprint"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


# Writing ------------------------------------------------------------------------------------------


class StoreWriter:
    """Writes a store into an empty folder: `add` the documents, then `finish`. Use it with `with`.

    Documents keep their order within a side. They are tokenised in batches, so memory stays flat.
    """

    def __init__(self, folder: Path, tokenizer: PreTrainedTokenizerFast) -> None:
        self._folder = folder
        self._dtype = np.dtype(np.uint16 if len(tokenizer) <= 1 << 16 else np.int32)
        self._files = ExitStack()
        encoder = DocumentEncoder(tokenizer, self._dtype)
        self._sides = {
            side: _SideWriter(
                self._files.enter_context((folder / f"{side}.tokens").open("wb")),
                self._files.enter_context((folder / f"{side}.offsets").open("wb")),
                encoder,
            )
            for side in SIDES
        }

    def add(self, side: str, text: str) -> None:
        """Append a document to "train" or "validation"."""
        self._sides[side].add(text)

    def num_documents(self, side: str) -> int:
        """Documents added to `side` so far."""
        return self._sides[side].num_documents

    def flush(self) -> dict[str, dict[str, int]]:
        """Write what waits; the documents of each side, and its tokens with their separators."""
        for side in self._sides.values():
            side.flush()
        return {
            name: {"documents": side.num_documents, "tokens": side.num_tokens}
            for name, side in self._sides.items()
        }

    def finish(self, made_from: dict[str, Any], report_line: str) -> None:
        """Write the rest and the manifest, and see it all on the disk."""
        counts = self.flush()
        for side in self._sides.values():
            side.sync()
        manifest = {
            "made_from": made_from,
            "dtype": self._dtype.name,
            "counts": counts,
            "sizes": {path.name: path.stat().st_size for path in sorted(self._folder.iterdir())},
            "report_line": report_line,
        }
        manifest["fingerprint"] = fingerprint_of(manifest)
        with (self._folder / MANIFEST).open("w", encoding="utf-8") as stream:
            json.dump(manifest, stream, indent=2)
            _sync(stream)

    def __enter__(self) -> StoreWriter:
        return self

    def __exit__(self, *exception: object) -> None:
        self._files.close()


class _SideWriter:
    """Tokenises the documents of one side in batches and appends them to its two files."""

    def __init__(
        self,
        tokens: IO[bytes],
        offsets: IO[bytes],
        encoder: DocumentEncoder,
    ) -> None:
        self.num_documents = 0
        self.num_tokens = 0
        self._tokens, self._offsets = tokens, offsets
        self._encoder = encoder
        self._waiting: list[str] = []
        self._characters = 0
        self._offsets.write(np.zeros(1, np.int64).tobytes())

    def add(self, text: str) -> None:
        self._waiting.append(text)
        self._characters += len(text)
        self.num_documents += 1
        if len(self._waiting) >= _TEXTS_AT_ONCE or self._characters >= _CHARACTERS_AT_ONCE:
            self.flush()

    def flush(self) -> None:
        ids, ends = self._encoder.encode(self._waiting)
        # Not ndarray.tofile: its error for a full disk does not say that the disk is full.
        self._tokens.write(ids.tobytes())
        self._offsets.write((self.num_tokens + ends).tobytes())
        self.num_tokens += len(ids)
        self._waiting.clear()
        self._characters = 0

    def sync(self) -> None:
        _sync(self._tokens)
        _sync(self._offsets)


def _sync(stream: IO[Any]) -> None:
    stream.flush()
    os.fsync(stream.fileno())


# Taking the place of what was there ---------------------------------------------------------------


@contextmanager
def written_beside(folder: Path) -> Iterator[Path]:
    """A temporary folder that takes the place of `folder` when the block ends without an error.

    Raises:
        CorpusError: the disk is full, or `folder` is something else than a token store.
    """
    folder = folder.absolute()
    partial = folder.with_name(f".{folder.name}.building-{os.getpid()}")
    _refuse_foreign(folder)
    try:
        _remove_abandoned(folder)
        partial.mkdir(parents=True)
        yield partial
        _replace(folder, partial)
    except OSError as error:
        raise _storage_error(folder, error) from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _refuse_foreign(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise CorpusError(f"{folder} is a file: name a folder for the token store")
    ours = {MANIFEST, *(f"{side}.{kind}" for side in SIDES for kind in ("tokens", "offsets"))}
    foreign = sorted({path.name for path in folder.glob("*")} - ours)
    if foreign:
        raise CorpusError(f"{folder} holds {foreign[0]}, so is no token store: name another folder")


def _remove_abandoned(folder: Path) -> None:
    """Delete what a killed build left; a running one has written something within the hour."""
    for kind in ("building", "replaced"):
        for leftover in folder.parent.glob(f".{folder.name}.{kind}-*"):
            times = [path.stat().st_mtime for path in (leftover, *leftover.iterdir())]
            if time.time() - max(times) > _ABANDONED_AFTER:
                shutil.rmtree(leftover, ignore_errors=True)


def _replace(folder: Path, partial: Path) -> None:
    """Put `partial` in the place of `folder`, which rename alone does for an empty one only."""
    old = folder.with_name(f".{folder.name}.replaced-{os.getpid()}")
    if folder.exists():
        folder.rename(old)
    partial.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _storage_error(folder: Path, error: OSError) -> CorpusError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return CorpusError(
            f"the disk of {folder} is full: free space (2 to 4 bytes a token are needed) or name a "
            "folder on another disk; what was there is untouched"
        )
    return CorpusError(f"the token store cannot be written to {folder}: {error.strerror or error}")
