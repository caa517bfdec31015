"""Open several token stores as one: local ones memory-mapped, remote ones read by range.

    store = open_token_stores(["hf://datasets/me/tokens/*"], tokenizer)

For a corpus that does not fit on one disk: tokenize each shard into its own store
(`mlm tokenize`), upload it to a bucket or the Hub, and name it here. Of a remote store
only the blocks read last are kept, in memory.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from typing import IO, TYPE_CHECKING, Protocol

import fsspec
import numpy as np

from mlm.checkpoint.tokenizer import tokenizer_hash
from mlm.data.texts.text_files import expand_paths, is_remote, reading_errors
from mlm.data.tokens.read_window import BLOCK_TOKENS, BLOCKS_PER_WINDOW
from mlm.data.tokens.token_store import (
    MANIFEST,
    SIDES,
    Counts,
    Manifest,
    TokenStore,
    check_manifest,
)
from mlm.errors import CorpusError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

REQUEST_BYTES = 1 << 20  # size of a block, fetched by one request
SPARE_BLOCKS = 32  # cached besides those of a read window
USES = {"train": "train on", "validation": "validate on"}
ATTEMPTS = 5  # with pauses of 1, 2, 4 and 8 seconds
MAX_MANIFEST_BYTES = 16 << 20


class NumberArray(Protocol):
    """A 1-D array that can be sliced: in memory, memory-mapped or remote."""

    def __len__(self) -> int: ...

    def __getitem__(self, span: slice, /) -> np.ndarray: ...


class BlockCache:
    """Thread-safe cache of the blocks of several files that were used last."""

    def __init__(self, max_blocks: int) -> None:
        self._max_blocks = max_blocks
        self._blocks: OrderedDict[tuple[str, int], bytes] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, url: str, number: int, fetch: Callable[[], bytes]) -> bytes:
        """Return block `number` of a file, from the cache or by `fetch`."""
        with self._lock:
            if (url, number) not in self._blocks:
                self._blocks[url, number] = fetch()
            if len(self._blocks) > self._max_blocks:
                self._blocks.popitem(last=False)
            self._blocks.move_to_end((url, number))
            return self._blocks[url, number]


class RemoteArray:
    """An array in a remote file; `array[first:end]` is read by range, in blocks."""

    def __init__(self, url: str, dtype: np.dtype, count: int, cache: BlockCache):
        self._url, self._dtype, self._count, self._cache = url, dtype, count, cache
        self._file: IO[bytes] | None = None

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, span: slice, /) -> np.ndarray:
        width = self._dtype.itemsize
        first, end = span.start * width, span.stop * width
        numbers = range(first // REQUEST_BYTES, -(-end // REQUEST_BYTES))
        with reading_errors(self._url):
            blocks = b"".join(
                self._cache.get(self._url, number, partial(self._fetch, number))
                for number in numbers
            )
        content = blocks[first - numbers.start * REQUEST_BYTES :][: end - first]
        return np.frombuffer(content, self._dtype)

    def _fetch(self, number: int) -> bytes:
        """Return a block, with retries."""
        first = number * REQUEST_BYTES
        end = min(first + REQUEST_BYTES, self._count * self._dtype.itemsize)
        for attempt in range(ATTEMPTS - 1):
            try:
                return self._read(first, end)
            except FileNotFoundError:
                raise
            except Exception:  # each file system has its own errors
                self._file = None
                time.sleep(2**attempt)
        return self._read(first, end)

    def _read(self, first: int, end: int) -> bytes:
        file = self._file
        if file is None:
            filesystem, path = fsspec.core.url_to_fs(self._url)
            file = self._file = filesystem.open(path, "rb", cache_type="none")
        file.seek(first)
        content: bytes = file.read(end - first)
        if len(content) != end - first:
            raise EOFError("it is shorter than its manifest says")
        return content


class JoinedArray:
    """Concatenation of arrays, local or remote; each is opened when it is first read."""

    def __init__(self, shards: Sequence[NumberArray]):
        self._shards = shards
        self._firsts = np.cumsum([0, *map(len, shards)])

    def __len__(self) -> int:
        return int(self._firsts[-1])

    def __getitem__(self, positions: np.ndarray, /) -> np.ndarray:
        """Return the numbers at positions (B, T), ascending in each row: (B, T)."""
        return np.stack([self.span(row[0], row[-1] + 1)[row - row[0]] for row in positions])

    def span(self, first: int, end: int) -> np.ndarray:
        """Return the numbers `first:end`."""
        pieces = []
        while first < end:
            shard = int(np.searchsorted(self._firsts, first, side="right")) - 1
            begin, stop = self._firsts[shard], min(end, self._firsts[shard + 1])
            pieces.append(self._shards[shard][int(first - begin) : int(stop - begin)])
            first = stop
        return np.concatenate(pieces)


class JoinedSplit:
    """One side of several stores; see `TokenSplit`."""

    def __init__(self, tokens: JoinedArray, offsets: Sequence[NumberArray]):
        self.tokens = tokens
        self._offsets = offsets

    @property
    def offsets(self) -> np.ndarray:
        """Offsets of the documents, (D + 1,) int64; read whole, but not for packed sequences."""
        pieces, first = [np.zeros(1, np.int64)], 0
        for offsets in self._offsets:
            pieces.append(np.asarray(offsets[1 : len(offsets)]) + first)
            first = int(pieces[-1][-1]) if len(pieces[-1]) else first
        return np.concatenate(pieces)


def open_token_stores(patterns: Sequence[str], tokenizer: PreTrainedTokenizerFast) -> TokenStore:
    """Open the stores that folders, URLs and globs name as one, in the order of `expand_paths`.

    Raises:
        CorpusError: a store is missing or incomplete, or was made with another tokenizer.
    """
    manifests = expand_paths([f"{pattern.rstrip('/')}/{MANIFEST}" for pattern in patterns])
    stores = [(url.removesuffix(f"/{MANIFEST}"), _read_manifest(url)) for url in manifests]
    for folder, manifest in stores:
        if manifest["made_from"]["tokenizer"] != tokenizer_hash(tokenizer):
            raise CorpusError(
                f"{folder} was made with another tokenizer than the model's: make it again with "
                "`mlm tokenize` and this --model_name_or_path"
            )
    manifest = _merge_manifests([manifest for _, manifest in stores])
    train, validation = (_join_side(stores, side) for side in SIDES)
    return TokenStore(train, validation, manifest, manifest["fingerprint"], manifest["report_line"])


def _read_manifest(url: str) -> Manifest:
    """Return the manifest of a store; CorpusError if its files do not have the sizes it gives."""
    folder = url.removesuffix(f"/{MANIFEST}")
    with reading_errors(url):
        filesystem, path = fsspec.core.url_to_fs(url)
        if filesystem.size(path) > MAX_MANIFEST_BYTES:
            raise CorpusError(f"{url} is too large for the manifest of a token store")
        manifest = check_manifest(json.loads(filesystem.cat_file(path)))
        root = path.removesuffix(f"/{MANIFEST}")
        sizes = {name: filesystem.size(f"{root}/{name}") for name in manifest["sizes"]}
    if sizes != manifest["sizes"]:
        raise CorpusError(f"{folder} is not a complete token store: upload all of its files again")
    return manifest


def _join_side(stores: list[tuple[str, Manifest]], side: str) -> JoinedSplit:
    widest = max(np.dtype(manifest["dtype"]).itemsize for _, manifest in stores)
    cache = BlockCache(_blocks_per_window(widest) + SPARE_BLOCKS)
    tokens, offsets = [], []
    for folder, manifest in stores:
        counts = manifest["counts"][side]
        dtype = np.dtype(manifest["dtype"])
        tokens.append(_open_array(f"{folder}/{side}.tokens", dtype, counts["tokens"], cache))
        count = counts["documents"] + 1
        offsets.append(_open_array(f"{folder}/{side}.offsets", np.dtype(np.int64), count, cache))
    return JoinedSplit(JoinedArray([shard for shard in tokens if len(shard)]), offsets)


def _blocks_per_window(width: int) -> int:
    """Return how many blocks of a file a read window can touch, with tokens of `width` bytes.

    One more per block of tokens than its size takes, because it begins anywhere in a file's block.
    """
    return BLOCKS_PER_WINDOW * (-(-BLOCK_TOKENS * width // REQUEST_BYTES) + 1)


def _open_array(url: str, dtype: np.dtype, count: int, cache: BlockCache) -> NumberArray:
    if is_remote(url):
        return RemoteArray(url, dtype, count, cache)
    path = url.removeprefix("file://")
    return np.memmap(path, dtype=dtype, mode="r") if count else np.empty(0, dtype)


def _merge_manifests(manifests: list[Manifest]) -> Manifest:
    """Return one manifest for all stores, for the record of a training run."""
    counts = {
        side: Counts(
            documents=sum(manifest["counts"][side]["documents"] for manifest in manifests),
            tokens=sum(manifest["counts"][side]["tokens"] for manifest in manifests),
        )
        for side in SIDES
    }
    fingerprints = [manifest["fingerprint"] for manifest in manifests]
    sizes = ", ".join(f"{counts[side]['tokens']:,} tokens to {use}" for side, use in USES.items())
    return {
        "made_from": {"token_stores": fingerprints},
        "counts": counts,
        "report_line": f"{len(manifests):,} token stores: {sizes}",
        "fingerprint": hashlib.sha256("\n".join(fingerprints).encode()).hexdigest(),
    }
