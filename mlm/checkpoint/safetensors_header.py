"""The header of a safetensors file: read first, and trusted only if it fits the file's size.

A file is 8 bytes that give the header's length N, N bytes of JSON, and the tensors' bytes:

    {"__metadata__": {"format": "pt"}, "a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}

It is read by (offset, count), so that a file on the Hub takes two range requests of 1 MiB at most.
Source: the format's description in the safetensors repository.
"""

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TypeGuard

from mlm.checkpoint.strict_json import parse_strictly, short_repr
from mlm.errors import CheckpointError

MAX_HEADER_BYTES = 1024 * 1024
MAX_TENSORS = 10_000  # a model of 128 layers has about 2,000
MAX_DIMENSIONS = 8
MAX_DIMENSION = 2**40
LENGTH_BYTES = 8  # at the start of the file: the length of the header, little-endian
MAX_NAME = 256

FLOAT_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}
DTYPE_BYTES = FLOAT_BYTES | {  # integers and flags are of buffers, which are not read
    "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U64": 8, "U32": 4, "U16": 2, "U8": 1, "BOOL": 1,
}  # fmt: skip
CONVERSION = (  # elsewhere: transformers 5 does not read these layouts
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
    """A tensor in a file: the bytes from `begin` to `end`, counted from the end of the header."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


Header = Mapping[str, StoredTensor]


def header_of_file(path: str | Path) -> dict[str, StoredTensor]:
    """Return the checked header of a file; see read_header."""
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
    """Return the tensors of a safetensors file by name, without reading their values.

    Args:
        read: (offset, count) -> that many bytes of the file.
        size: the whole file's size in bytes.
        where: the file's name for the message.

    Raises:
        CheckpointError: the header is above 1 MiB or is not the JSON it should be; a dtype, a
            shape or the layout is not known; the tensors overlap, or leave bytes of the file over.
    """
    content = _header_bytes(read, size, where)
    try:
        header = parse_strictly(content)
    except ValueError as error:
        raise _invalid_file(where, f"its header cannot be read, {error}") from None
    if not isinstance(header, dict):
        raise _invalid_file(where, "its header is not a JSON object")
    _check_metadata(header.pop("__metadata__", {}), where)
    if not 1 <= len(header) <= MAX_TENSORS:
        raise _invalid_file(where, f"it has {len(header):,} tensors, expected 1 to {MAX_TENSORS:,}")
    tensors = {name: _stored_tensor(name, entry, where) for name, entry in header.items()}
    _check_tiling(tensors, size - LENGTH_BYTES - len(content), where)
    return tensors


def _invalid_file(where: str, reason: str) -> CheckpointError:
    return CheckpointError(f"{where} is not a valid safetensors file: {reason}; fetch it again")


def _header_bytes(read: Read, size: int, where: str) -> bytes:
    if size <= LENGTH_BYTES:
        raise _invalid_file(where, f"it has {size:,} bytes")
    length = int.from_bytes(_read_exactly(read, 0, LENGTH_BYTES, where), "little")
    if length > MAX_HEADER_BYTES:
        raise _invalid_file(
            where, f"its header has {length:,} bytes, expected {MAX_HEADER_BYTES:,} at most"
        )
    if length > size - LENGTH_BYTES:
        raise _invalid_file(
            where, f"it has {size:,} bytes and a header of {length:,}; it is cut short"
        )
    return _read_exactly(read, LENGTH_BYTES, length, where)


def _read_exactly(read: Read, offset: int, count: int, where: str) -> bytes:
    content = read(offset, count)
    if len(content) != count:
        raise _invalid_file(where, f"{len(content):,} of {count:,} bytes could be read")
    return content


def _check_metadata(metadata: object, where: str) -> None:
    """Check that the layout is PyTorch's: another one would load without an error, all wrong."""
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise _invalid_file(where, "its __metadata__ is not an object of strings")
    layout = metadata.get("format", "pt")
    if layout != "pt":
        options = OTHER_LAYOUTS.get(layout, {"library": "", "option": ""})
        raise CheckpointError(
            f"{where} is in the layout {short_repr(layout)}, not PyTorch's 'pt'; "
            + CONVERSION.format(**options)
        )


def _stored_tensor(name: str, entry: object, where: str) -> StoredTensor:
    """Return the tensor of a header entry, whose length has to follow from its shape and dtype."""
    if len(name) > MAX_NAME or not name.isprintable():
        raise _invalid_file(where, f"a tensor is called {short_repr(name)}")
    label = short_repr(name)
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise _invalid_file(where, f"{label} does not have exactly dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPE_BYTES:
        raise _invalid_file(
            where, f"{label} has the dtype {short_repr(dtype)}, expected {', '.join(DTYPE_BYTES)}"
        )
    if not _are_counts(shape, MAX_DIMENSION) or len(shape) > MAX_DIMENSIONS:
        raise _invalid_file(
            where,
            f"{label} has the shape {short_repr(shape)}, expected {MAX_DIMENSIONS} numbers at most",
        )
    if not _are_counts(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise _invalid_file(
            where, f"{label} has the offsets {short_repr(offsets)}, expected begin and end"
        )
    begin, end = offsets
    expected = math.prod(shape) * DTYPE_BYTES[dtype]
    if end - begin != expected:
        raise _invalid_file(
            where, f"{label} takes {end - begin:,} bytes, its shape and dtype make {expected:,}"
        )
    return StoredTensor(dtype, tuple(shape), begin, end)


def _are_counts(values: object, most: float = math.inf) -> TypeGuard[list[int]]:
    """Return whether a value is a list of integers from 0 to `most`; true and false are not."""
    return isinstance(values, list) and all(type(v) is int and 0 <= v <= most for v in values)


def _check_tiling(tensors: Header, data_bytes: int, where: str) -> None:
    """Check that the tensors, ordered by offset, fill the data without overlap or gap."""
    placed = sorted(tensors.items(), key=lambda item: (item[1].begin, item[1].end))
    first, last = placed[0], placed[-1]
    if first[1].begin:
        raise _invalid_file(
            where, f"the {first[1].begin:,} bytes before {short_repr(first[0])} belong to no tensor"
        )
    for (name, tensor), (following, after) in pairwise(placed):
        if after.begin < tensor.end:
            raise _invalid_file(where, f"{short_repr(name)} and {short_repr(following)} overlap")
        if after.begin > tensor.end:
            raise _invalid_file(
                where, f"there is a gap between {short_repr(name)} and {short_repr(following)}"
            )
    if last[1].end != data_bytes:
        raise _invalid_file(
            where,
            f"it has {data_bytes:,} bytes of data where its header says {last[1].end:,}",
        )
