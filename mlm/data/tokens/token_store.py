"""The token store on disk: a folder of memory-mapped ids that batches are read from.

    store = open_token_store("runs/imdb/tokens")
    start, end = store.train.offsets[7:9]
    store.train.tokens[start:end]                   # document 7, its last id the separator

The folder holds `train.tokens` and `validation.tokens` (uint16 if the vocabulary fits, else int32),
`train.offsets` and `validation.offsets` (int64), all raw numbers in the machine's byte order, and
`manifest.json` with their sources and sizes. A new store is written beside the old one and renamed,
so that the old one stays until the new one is complete.

The format is our own because a batch is a pure function of (seed, step): any position of 10 GB can
be read after 0.2 s and in 4 MB of memory (measured by scripts/benchmarks/corpus_size.py).
"""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NotRequired, Protocol, TypedDict

import numpy as np

from mlm.backend.atomic_files import replace_folder, staging_folder, sync_to_disk
from mlm.data.tokens.document_encoding import DocumentEncoder
from mlm.errors import CorpusError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

SIDES = ("train", "validation")

MANIFEST = "manifest.json"
DTYPES = ("uint16", "int32")
_TEXTS_AT_ONCE = 1000
_BYTES_AT_ONCE = 2_000_000  # of UTF-8; a tokenizer takes about 100 bytes a token while it works
_ABANDONED_AFTER = 3600.0  # seconds without a write, after which a build counts as killed


class TokenArray(Protocol):
    """A 1-D array of ids, uint16 or int32: memory-mapped, or joined of several."""

    def __len__(self) -> int: ...

    def __getitem__(self, positions: np.ndarray, /) -> np.ndarray: ...


class TokenSplit(Protocol):
    """One side of a token store: each document is its ids followed by one separator."""

    @property
    def tokens(self) -> TokenArray:
        """The ids of all documents in a row, (N,)."""

    @property
    def offsets(self) -> np.ndarray:
        """The start of each document in `tokens`, then the total length: (D + 1,) int64."""


class Counts(TypedDict):
    """Documents of a side, and its tokens with the separators."""

    documents: int
    tokens: int


class Manifest(TypedDict):
    """Content of manifest.json; several stores joined have no `dtype` and `sizes` of their own."""

    made_from: Mapping[str, object]
    dtype: NotRequired[str]
    counts: dict[str, Counts]
    sizes: NotRequired[dict[str, int]]  # bytes of each file
    report_line: str
    fingerprint: str


@dataclass(frozen=True)
class Split:
    """One side of a store on disk: document d is `tokens[offsets[d] : offsets[d + 1]]`.

    tokens: (N,) uint16 or int32. offsets: (D + 1,) int64. Both memory-mapped and read-only.
    """

    tokens: np.ndarray
    offsets: np.ndarray

    @property
    def num_documents(self) -> int:
        """Number of documents of this side."""
        return len(self.offsets) - 1


@dataclass(frozen=True)
class TokenStore:
    """An opened token store.

    fingerprint: sha256 over the manifest: sources, cleaning, tokenizer, settings and counts.
    report_line: the rows read and dropped; notes and warnings follow on their own lines.
    """

    train: TokenSplit
    validation: TokenSplit
    manifest: Manifest
    fingerprint: str
    report_line: str


def open_token_store(folder: str | Path) -> TokenStore:
    """Open the token store in `folder`.

    Raises:
        CorpusError: the folder has none, or its files do not match its manifest.
    """
    store = find_token_store(Path(folder))
    if store is None:
        raise CorpusError(
            f"{folder} does not contain a complete token store: build it again from the texts"
        )
    return store


def find_token_store(folder: Path) -> TokenStore | None:
    """Open the store in `folder`; None if there is none or its files do not match its manifest."""
    try:
        manifest: Manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        sizes = {name: (folder / name).stat().st_size for name in manifest["sizes"]}
        if sizes != manifest["sizes"] or manifest["fingerprint"] != fingerprint_of(manifest):
            return None
        train, validation = (_open_split(folder, side, manifest["dtype"]) for side in SIDES)
        return TokenStore(
            train, validation, manifest, manifest["fingerprint"], manifest["report_line"]
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def check_manifest(manifest: Any) -> Manifest:
    """Return the content of an untrusted manifest.json; CorpusError if it is not consistent."""
    try:
        width = np.dtype(DTYPES[DTYPES.index(manifest["dtype"])]).itemsize
        counts = {side: manifest["counts"][side] for side in SIDES}
        sizes = {f"{side}.tokens": width * count["tokens"] for side, count in counts.items()} | {
            f"{side}.offsets": 8 * (count["documents"] + 1) for side, count in counts.items()
        }
        if sizes == manifest["sizes"] and manifest["fingerprint"] == fingerprint_of(manifest):
            checked: Manifest = manifest
            return checked
    except (ValueError, KeyError, TypeError):
        pass
    raise CorpusError("a manifest.json is not that of a token store, or was changed: make it again")


def _open_split(folder: Path, side: str, dtype: str) -> Split:
    return Split(
        tokens=np.memmap(folder / f"{side}.tokens", dtype=dtype, mode="r"),
        offsets=np.memmap(folder / f"{side}.offsets", dtype=np.int64, mode="r"),
    )


def fingerprint_of(manifest: Mapping[str, object]) -> str:
    """Return the sha256, in hex, of a manifest without its fingerprint."""
    content = {key: value for key, value in manifest.items() if key != "fingerprint"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


# Writing ------------------------------------------------------------------------------------------


class StoreWriter:
    """Writer of a store into an empty folder: `add` the documents, then `finish`. Closed by `with`.

    Documents keep their order within a side. They are tokenized in batches, in constant memory.
    """

    def __init__(self, folder: Path, tokenizer: PreTrainedTokenizerFast) -> None:
        self._folder = folder
        self._dtype = np.dtype(np.uint16 if len(tokenizer) <= 1 << 16 else np.int32)
        self._files = ExitStack()
        encoder = DocumentEncoder(tokenizer, self._dtype)
        unknown = tokenizer.unk_token_id
        self._sides = {
            side: _SideWriter(
                self._files.enter_context((folder / f"{side}.tokens").open("wb")),
                self._files.enter_context((folder / f"{side}.offsets").open("wb")),
                encoder,
                -1 if unknown is None else unknown,
            )
            for side in SIDES
        }

    def add(self, side: str, text: str) -> None:
        """Append a document to "train" or "validation"."""
        self._sides[side].add(text)

    def num_documents(self, side: str) -> int:
        """Return the number of documents added to `side` so far."""
        return self._sides[side].num_documents

    def num_unknown(self, side: str) -> int:
        """Return the number of unknown tokens written to `side` so far."""
        return self._sides[side].num_unknown

    def flush(self) -> dict[str, Counts]:
        """Tokenize and write the pending documents; return the counts of each side so far."""
        for side in self._sides.values():
            side.flush()
        return {
            name: {"documents": side.num_documents, "tokens": side.num_tokens}
            for name, side in self._sides.items()
        }

    def finish(self, made_from: Mapping[str, object], report_line: str) -> None:
        """Write the rest and the manifest, and wait until all files are on the disk."""
        counts = self.flush()
        self._files.close()
        content: dict[str, object] = {
            "made_from": made_from,
            "dtype": self._dtype.name,
            "counts": counts,
            "sizes": {path.name: path.stat().st_size for path in sorted(self._folder.iterdir())},
            "report_line": report_line,
        }
        content["fingerprint"] = fingerprint_of(content)
        (self._folder / MANIFEST).write_text(json.dumps(content, indent=2), encoding="utf-8")
        for path in self._folder.iterdir():
            sync_to_disk(path)

    def __enter__(self) -> StoreWriter:
        return self

    def __exit__(self, *exception: object) -> None:
        self._files.close()


class _SideWriter:
    """Writer of one side: tokenizes documents in batches and appends them to its two files."""

    def __init__(
        self,
        tokens: IO[bytes],
        offsets: IO[bytes],
        encoder: DocumentEncoder,
        unknown: int,
    ) -> None:
        self.num_documents = 0
        self.num_tokens = 0
        self.num_unknown = 0
        self._tokens, self._offsets = tokens, offsets
        self._encoder, self._unknown = encoder, unknown
        self._pending: list[str] = []
        self._bytes = 0
        self._offsets.write(np.zeros(1, np.int64).tobytes())

    def add(self, text: str) -> None:
        self._pending.append(text)
        self._bytes += len(text) if text.isascii() else len(text.encode())
        self.num_documents += 1
        if len(self._pending) >= _TEXTS_AT_ONCE or self._bytes >= _BYTES_AT_ONCE:
            self.flush()

    def flush(self) -> None:
        ids, ends = self._encoder.encode(self._pending)
        # Not ndarray.tofile, whose error for a full disk does not say that the disk is full.
        self._tokens.write(ids.tobytes())
        self._offsets.write((self.num_tokens + ends).tobytes())
        self.num_tokens += len(ids)
        self.num_unknown += int(np.count_nonzero(ids == self._unknown))
        self._pending.clear()
        self._bytes = 0


# Replacing the old store --------------------------------------------------------------------------


@contextmanager
def staged_store(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder that replaces `folder` if the block ends without an error.

    Raises:
        CorpusError: the disk is full, or `folder` is not a token store.
    """
    folder = folder.absolute()
    building, replaced = (f".{folder.name}.{kind}-" for kind in ("building", "replaced"))
    _refuse_foreign(folder)
    try:
        for prefix in (building, replaced):
            _remove_abandoned(folder.parent, prefix)
        with staging_folder(folder.parent, building) as staging:
            new = staging / folder.name
            new.mkdir()
            yield new
            replace_folder(new, folder, replaced)
    except OSError as error:
        raise _storage_error(folder, error) from None


def _refuse_foreign(folder: Path) -> None:
    """Raise CorpusError if `folder` is a file or contains files of something else."""
    if folder.exists() and not folder.is_dir():
        raise CorpusError(f"{folder} is a file: name a folder for the token store")
    ours = {MANIFEST, *(f"{side}.{kind}" for side in SIDES for kind in ("tokens", "offsets"))}
    foreign = sorted({path.name for path in folder.glob("*")} - ours)
    if foreign:
        raise CorpusError(
            f"{folder} contains {foreign[0]}, so it is not a token store: name another folder"
        )


def _remove_abandoned(parent: Path, prefix: str) -> None:
    """Delete the staging folders of killed builds; a running build has written within the hour.

    Not `remove_leftovers`, because two builds may run at once.
    """
    for leftover in parent.glob(f"{prefix}*"):
        times = [path.stat().st_mtime for path in (leftover, *leftover.rglob("*"))]
        if time.time() - max(times) > _ABANDONED_AFTER:
            shutil.rmtree(leftover, ignore_errors=True)


def _storage_error(folder: Path, error: OSError) -> CorpusError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return CorpusError(
            f"the disk of {folder} is full: free space (2 to 4 bytes a token are needed) or name a "
            "folder on another disk; an older store is untouched"
        )
    return CorpusError(f"the token store cannot be written to {folder}: {error.strerror or error}")
