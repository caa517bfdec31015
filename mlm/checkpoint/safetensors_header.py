"""The header of a safetensors file: read first, and believed only where it fits the file's size.

A file is 8 bytes that give the header's length N, N bytes of JSON, and the tensors' bytes:

    {"__metadata__": {"format": "pt"}, "a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}

It is read by (offset, count), so that a file on the Hub needs two ranges of a megabyte at most.
Source: the format's description in the safetensors repository.
"""

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from mlm.checkpoint.strict_json import parse_strictly, shown
from mlm.errors import CheckpointError

MAX_HEADER_BYTES = 1024 * 1024
MAX_TENSORS = 10_000  # a model of 128 layers has about 2,000
MAX_DIMENSIONS = 8
MAX_DIMENSION = 2**40
LENGTH_BYTES = 8  # the header's own length, little-endian, in front of it
LONGEST_NAME = 256

FLOAT_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}
DTYPE_BYTES = FLOAT_BYTES | {  # those of buffers, which are not read
    "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U64": 8, "U32": 4, "U16": 2, "U8": 1, "BOOL": 1,
}  # fmt: skip
CONVERSION = (  # elsewhere, because transformers 5 has none of these any more
    'convert it elsewhere: pip install "transformers<5" torch{library}; python -c "from '
    "transformers import AutoModelForMaskedLM as M; M.from_pretrained('FOLDER'{option})"
    ".save_pretrained('converted')\""
)
OTHER_LAYOUTS = {
    "tf": {"library": " tensorflow", "option": ", from_tf=True"},
    "flax": {"library": " flax", "option": ", from_flax=True"},
}

Read = Callable[[int, int], bytes]


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A tensor's place: bytes `begin` to `end`, counted from the end of the header."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


Header = Mapping[str, StoredTensor]


def header_of_file(path: str | Path) -> dict[str, StoredTensor]:
    """The checked header of a file; see read_header."""
    where = repr(str(path))
    try:
        with Path(path).open("rb") as file:

            def read(offset: int, count: int) -> bytes:
                file.seek(offset)
                return file.read(count)

            return read_header(read, os.fstat(file.fileno()).st_size, where)
    except OSError as error:
        raise CheckpointError(f"{where} cannot be read: {error.strerror}") from None


def read_header(read: Read, size: int, where: str) -> dict[str, StoredTensor]:
    """The tensors of a safetensors file by name, none of whose values is read.

    Args:
        read: (offset, count) -> that many bytes of the file.
        size: of the whole file, in bytes.
        where: what to call the file in a message.

    Raises:
        CheckpointError: the header is above 1 MiB or no such JSON; a dtype, a shape or a layout is
            not known; the tensors do not fill the file exactly, without overlap or gap.
    """
    content = _header_bytes(read, size, where)
    try:
        header = parse_strictly(content)
    except ValueError as error:
        raise _broken(where, f"its header cannot be read, {error}") from None
    if not isinstance(header, dict):
        raise _broken(where, "its header is no object")
    _check_metadata(header.pop("__metadata__", {}), where)
    if not 1 <= len(header) <= MAX_TENSORS:
        raise _broken(where, f"it has {len(header):,} tensors, expected 1 to {MAX_TENSORS:,}")
    tensors = {name: _stored_tensor(name, entry, where) for name, entry in header.items()}
    _check_tiling(tensors, size - LENGTH_BYTES - len(content), where)
    return tensors


def _broken(where: str, what: str) -> CheckpointError:
    return CheckpointError(f"{where} is no safetensors file to rely on: {what}; fetch it again")


def _header_bytes(read: Read, size: int, where: str) -> bytes:
    if size <= LENGTH_BYTES:
        raise _broken(where, f"it has {size:,} bytes")
    length = int.from_bytes(_exactly(read, 0, LENGTH_BYTES, where), "little")
    if length > MAX_HEADER_BYTES:
        raise _broken(
            where, f"its header has {length:,} bytes, expected {MAX_HEADER_BYTES:,} at most"
        )
    if length > size - LENGTH_BYTES:
        raise _broken(where, f"it has {size:,} bytes and a header of {length:,}; it is cut short")
    return _exactly(read, LENGTH_BYTES, length, where)


def _exactly(read: Read, offset: int, count: int, where: str) -> bytes:
    content = read(offset, count)
    if len(content) != count:
        raise _broken(where, f"{len(content):,} bytes came where {count:,} were asked for")
    return content


def _check_metadata(metadata: Any, where: str) -> None:
    """The layout has to be PyTorch's: another is read without an error, all values wrong."""
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise _broken(where, "its __metadata__ is no object of strings")
    layout = metadata.get("format", "pt")
    if layout != "pt":
        ways = OTHER_LAYOUTS.get(layout, {"library": "", "option": ""})
        raise CheckpointError(
            f"{where} is in the layout {shown(layout)}, not PyTorch's 'pt'; "
            + CONVERSION.format(**ways)
        )


def _stored_tensor(name: str, entry: Any, where: str) -> StoredTensor:
    """One entry of a header, its length held against its shape and dtype."""
    if len(name) > LONGEST_NAME or not name.isprintable():
        raise _broken(where, f"a tensor is called {shown(name)}")
    label = shown(name)
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise _broken(where, f"{label} has not just dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPE_BYTES:
        raise _broken(
            where, f"{label} has the dtype {shown(dtype)}, expected {', '.join(DTYPE_BYTES)}"
        )
    if not _are_counts(shape, MAX_DIMENSION) or len(shape) > MAX_DIMENSIONS:
        raise _broken(
            where,
            f"{label} has the shape {shown(shape)}, expected {MAX_DIMENSIONS} numbers at most",
        )
    if not _are_counts(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise _broken(where, f"{label} has the offsets {shown(offsets)}, expected begin and end")
    begin, end = offsets
    expected = math.prod(shape) * DTYPE_BYTES[dtype]
    if end - begin != expected:
        raise _broken(
            where, f"{label} takes {end - begin:,} bytes, its shape and dtype make {expected:,}"
        )
    return StoredTensor(dtype, tuple(shape), begin, end)


def _are_counts(values: Any, most: float = math.inf) -> bool:
    """Whether this is a list of integers from 0 to `most`; true and false are none."""
    return isinstance(values, list) and all(type(v) is int and 0 <= v <= most for v in values)


def _check_tiling(tensors: Header, data_bytes: int, where: str) -> None:
    """In the order of their offsets the tensors fill the data from its first byte to its last."""
    placed = sorted(tensors.items(), key=lambda item: (item[1].begin, item[1].end))
    first, last = placed[0], placed[-1]
    if first[1].begin:
        raise _broken(where, f"the {first[1].begin:,} bytes before {shown(first[0])} are no tensor")
    for (name, tensor), (following, after) in pairwise(placed):
        if after.begin < tensor.end:
            raise _broken(where, f"{shown(name)} and {shown(following)} overlap")
        if after.begin > tensor.end:
            raise _broken(where, f"there is a gap between {shown(name)} and {shown(following)}")
    if last[1].end != data_bytes:
        raise _broken(
            where,
            f"it has {data_bytes:,} bytes of data where its header says {last[1].end:,}",
        )
