"""Several token stores as one: a local one is mapped, a remote one read by range.

    store = open_token_stores(["hf://datasets/me/tokens/*"], tokenizer)

For texts that are too many for one disk: each part of them is made a store of its own
(scripts/tokenize_texts.py), sent to a bucket or the Hub by its own tool, and named here. Of a
remote store nothing is kept but the blocks that were read last.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import fsspec
import numpy as np

from mlm.checkpoint.tokenizer import tokenizer_hash
from mlm.data.texts.text_files import expand_paths, is_remote, reading_errors
from mlm.data.tokens import read_window
from mlm.data.tokens.token_store import MANIFEST, SIDES, TokenStore, check_manifest
from mlm.errors import CorpusError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

BLOCK = 1 << 20  # bytes of one request
SPARE_BLOCKS = 32  # that are kept besides those of a window of data_order.py
USES = {"train": "train on", "validation": "validate on"}
ATTEMPTS = 5  # with pauses of 1, 2, 4 and 8 seconds
LARGEST_MANIFEST = 16 << 20


class KeptBlocks:
    """The blocks of some files that were asked for last. One thread at a time is let in."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._blocks: OrderedDict[tuple[str, int], bytes] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, url: str, number: int, fetch: Callable[[], bytes]) -> bytes:
        with self._lock:
            if (url, number) not in self._blocks:
                self._blocks[url, number] = fetch()
            if len(self._blocks) > self._most:
                self._blocks.popitem(last=False)
            self._blocks.move_to_end((url, number))
            return self._blocks[url, number]


class RemoteNumbers:
    """Numbers in a file of a bucket, `numbers[first:end]`; read by range, in blocks."""

    def __init__(self, url: str, dtype: np.dtype, count: int, kept: KeptBlocks):
        self._url, self._dtype, self._count, self._kept = url, dtype, count, kept
        self._file: Any = None

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, places: slice) -> np.ndarray:
        width = self._dtype.itemsize
        first, end = places.start * width, places.stop * width
        numbers = range(first // BLOCK, -(-end // BLOCK))
        with reading_errors(self._url):
            blocks = b"".join(
                self._kept.get(self._url, number, partial(self._fetch, number))
                for number in numbers
            )
        content = blocks[first - numbers.start * BLOCK :][: end - first]
        return np.frombuffer(content, self._dtype)

    def _fetch(self, number: int) -> bytes:
        first = number * BLOCK
        end = min(first + BLOCK, self._count * self._dtype.itemsize)
        for attempt in range(ATTEMPTS - 1):
            try:
                return self._read(first, end)
            except FileNotFoundError:
                raise
            except Exception:  # each file system has its own
                self._file = None
                time.sleep(2**attempt)
        return self._read(first, end)

    def _read(self, first: int, end: int) -> bytes:
        if self._file is None:
            filesystem, path = fsspec.core.url_to_fs(self._url)
            self._file = filesystem.open(path, "rb", cache_type="none")
        self._file.seek(first)
        content = self._file.read(end - first)
        if len(content) != end - first:
            raise EOFError("it is shorter than its manifest says")
        return content


class JoinedNumbers:
    """Arrays one behind the other, local or remote; each is opened when it is first read."""

    def __init__(self, parts: Sequence[Any]):
        self._parts = parts
        self._firsts = np.cumsum([0, *map(len, parts)])

    def __len__(self) -> int:
        return int(self._firsts[-1])

    def __getitem__(self, places: np.ndarray) -> np.ndarray:
        """Of places (B, T), ascending in each row: the numbers there, (B, T)."""
        return np.stack([self.span(row[0], row[-1] + 1)[row - row[0]] for row in places])

    def span(self, first: int, end: int) -> np.ndarray:
        """The numbers from place `first` to before `end`."""
        found = []
        while first < end:
            part = int(np.searchsorted(self._firsts, first, side="right")) - 1
            begin, stop = self._firsts[part], min(end, self._firsts[part + 1])
            found.append(self._parts[part][int(first - begin) : int(stop - begin)])
            first = stop
        return np.concatenate(found)


class JoinedSplit:
    """One side of several stores, as `token_store.Split` is of one."""

    def __init__(self, tokens: JoinedNumbers, offsets: list[Any]):
        self.tokens = tokens
        self._offsets = offsets

    @property
    def offsets(self) -> np.ndarray:
        """(D + 1,) int64, read whole: 8 bytes a document. Packed sequences do not need them."""
        parts, first = [np.zeros(1, np.int64)], 0
        for offsets in self._offsets:
            parts.append(np.asarray(offsets[1 : len(offsets)]) + first)
            first = int(parts[-1][-1]) if len(parts[-1]) else first
        return np.concatenate(parts)


def open_token_stores(patterns: Sequence[str], tokenizer: PreTrainedTokenizerFast) -> TokenStore:
    """The stores that folders, URLs and globs name, one behind the other in sorted order.

    Raises:
        CorpusError: one is missing or not whole, or was made with another tokenizer.
    """
    manifests = expand_paths([f"{pattern.rstrip('/')}/{MANIFEST}" for pattern in patterns])
    stores = [(url.removesuffix(f"/{MANIFEST}"), _manifest(url)) for url in manifests]
    for folder, manifest in stores:
        if manifest["made_from"]["tokenizer"] != tokenizer_hash(tokenizer):
            raise CorpusError(
                f"{folder} was made with another tokenizer than the model's: make it again with "
                "scripts/tokenize_texts.py and this --model_name_or_path"
            )
    manifest = _joined([manifest for _, manifest in stores])
    train, validation = (_side(stores, side) for side in SIDES)
    return TokenStore(train, validation, manifest, manifest["fingerprint"], manifest["report_line"])


def _manifest(url: str) -> dict[str, Any]:
    """The manifest of a store whose files are as long as it says."""
    folder = url.removesuffix(f"/{MANIFEST}")
    with reading_errors(url):
        filesystem, path = fsspec.core.url_to_fs(url)
        if filesystem.size(path) > LARGEST_MANIFEST:
            raise CorpusError(f"{url} is too large for the manifest of a token store")
        manifest = check_manifest(json.loads(filesystem.cat_file(path)))
        root = path.removesuffix(f"/{MANIFEST}")
        sizes = {name: filesystem.size(f"{root}/{name}") for name in manifest["sizes"]}
    if sizes != manifest["sizes"]:
        raise CorpusError(f"{folder} is no whole token store: send all of its files again")
    return manifest


def _side(stores: list[tuple[str, dict[str, Any]]], side: str) -> JoinedSplit:
    widest = max(np.dtype(manifest["dtype"]).itemsize for _, manifest in stores)
    kept = KeptBlocks(_blocks_of_a_window(widest) + SPARE_BLOCKS)
    tokens, offsets = [], []
    for folder, manifest in stores:
        counts = manifest["counts"][side]
        dtype = np.dtype(manifest["dtype"])
        tokens.append(_numbers(f"{folder}/{side}.tokens", dtype, counts["tokens"], kept))
        count = counts["documents"] + 1
        offsets.append(_numbers(f"{folder}/{side}.offsets", np.dtype(np.int64), count, kept))
    return JoinedSplit(JoinedNumbers([part for part in tokens if len(part)]), offsets)


def _blocks_of_a_window(width: int) -> int:
    """Blocks of a file that a window can touch; one of tokens of `width` bytes begins anywhere."""
    return read_window.BLOCKS_A_WINDOW * (-(-read_window.BLOCK * width // BLOCK) + 1)


def _numbers(url: str, dtype: np.dtype, count: int, kept: KeptBlocks) -> Any:
    if is_remote(url):
        return RemoteNumbers(url, dtype, count, kept)
    path = url.removeprefix("file://")
    return np.memmap(path, dtype=dtype, mode="r") if count else np.empty(0, dtype)


def _joined(manifests: list[dict[str, Any]]) -> dict[str, Any]:
    """One manifest for all, for the record of a training."""
    counts = {
        side: {
            kind: sum(manifest["counts"][side][kind] for manifest in manifests)
            for kind in ("documents", "tokens")
        }
        for side in SIDES
    }
    prints = [manifest["fingerprint"] for manifest in manifests]
    told = ", ".join(f"{counts[side]['tokens']:,} tokens to {use}" for side, use in USES.items())
    return {
        "made_from": {"token_stores": prints},
        "counts": counts,
        "report_line": f"{len(manifests):,} token stores: {told}",
        "fingerprint": hashlib.sha256("\n".join(prints).encode()).hexdigest(),
    }
