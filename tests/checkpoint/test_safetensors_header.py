"""The header of a safetensors file: the library's files are read, each rule refuses a file."""

import json
import struct
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save, save_file

from mlm.checkpoint.safetensors_header import (
    MAX_HEADER_BYTES,
    MAX_TENSORS,
    StoredTensor,
    header_of_file,
    read_header,
)
from mlm.errors import CheckpointError

TWO = {
    "a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
    "b": {"dtype": "BF16", "shape": [1, 2], "data_offsets": [8, 12]},
}


def file_of(header: dict | str | bytes, data_bytes: int = 12) -> bytes:
    if isinstance(header, dict):
        header = json.dumps(header)
    text = header if isinstance(header, bytes) else header.encode()
    return struct.pack("<Q", len(text)) + text + bytes(data_bytes)


def parse(content: bytes) -> dict[str, StoredTensor]:
    return read_header(lambda offset, count: content[offset : offset + count], len(content), "it")


def refusal_of(content: bytes) -> str:
    with pytest.raises(CheckpointError) as refusal:
        parse(content)
    message = str(refusal.value)
    assert "\n" not in message
    assert message.startswith("it ")
    assert len(message) < 500
    return message


# Accepted files


def test_what_the_library_writes_is_read(tmp_path):
    tensors = {
        "single": np.zeros((3, 4), "float32"),
        "half": np.zeros(5, "float16"),
        "brain": np.zeros((2, 1), ml_dtypes.bfloat16),
        "double": np.zeros(1, "float64"),
        "ids": np.zeros((1, 7), "int64"),
        "flag": np.zeros(3, "bool"),
        "none": np.zeros((0, 9), "float32"),
        "one number": np.array(1.0, "float32"),
    }
    save_file(tensors, tmp_path / "a.safetensors", metadata={"format": "pt", "note": "ok"})
    header = header_of_file(tmp_path / "a.safetensors")
    assert {name: stored.shape for name, stored in header.items()} == {
        name: value.shape for name, value in tensors.items()
    }
    assert header["brain"].dtype == "BF16"
    assert sum(stored.end - stored.begin for stored in header.values()) == sum(
        value.nbytes for value in tensors.values()
    )


def test_the_order_in_the_header_does_not_matter():
    backwards = dict(reversed(TWO.items()))
    assert parse(file_of(backwards)) == {
        "a": StoredTensor("F32", (2,), 0, 8),
        "b": StoredTensor("BF16", (1, 2), 8, 12),
    }


def test_a_layout_that_is_not_named_is_pytorchs():
    assert parse(save({"a": np.zeros(2, "float32")})).keys() == {"a"}


# Refused files


def entry(**changes) -> dict:
    return TWO | {"b": TWO["b"] | changes}


ENTRIES = {
    "an unknown dtype": (entry(dtype="F99"), "'b' has the dtype 'F99', expected F64, F32"),
    "8-bit floats": (entry(dtype="F8_E4M3"), "'b' has the dtype 'F8_E4M3'"),
    "a dtype of numbers": (entry(dtype=32), "'b' has the dtype 32"),
    "a negative dimension": (entry(shape=[-1, -2]), "'b' has the shape [-1, -2], expected 8"),
    "a true dimension": (entry(shape=[True, 2]), "'b' has the shape [True, 2]"),
    "half a dimension": (entry(shape=[1.0, 2]), "'b' has the shape [1.0, 2]"),
    "a dimension beyond": (entry(shape=[2**41, 0]), "'b' has the shape [2199023255552, 0]"),
    "nine dimensions": (entry(shape=[1] * 8 + [2]), "expected 8 numbers at most"),
    "a product beyond 64 bits": (entry(shape=[2**40] * 8), "its shape and dtype make 4,271,"),
    "a product that wraps to 4": (entry(shape=[2**33, 2**31 + 1]), "takes 4 bytes, its shape"),
    "a shape of words": (entry(shape="12"), "'b' has the shape '12'"),
    "one offset": (entry(data_offsets=[12]), "'b' has the offsets [12], expected begin and end"),
    "backward offsets": (entry(data_offsets=[12, 8]), "'b' has the offsets [12, 8]"),
    "negative offsets": (entry(data_offsets=[-4, 0]), "'b' has the offsets [-4, 0]"),
    "offsets of words": (entry(data_offsets=["8", "12"]), "'b' has the offsets ['8', '12']"),
    "too few bytes": (entry(data_offsets=[8, 11]), "'b' takes 3 bytes, its shape and dtype make 4"),
    "a further key": (
        entry(loader="code"),
        "'b' does not have exactly dtype, shape and data_offsets",
    ),
    "a missing key": (TWO | {"b": {"dtype": "F32"}}, "'b' does not have exactly dtype"),
    "a list": (TWO | {"b": [1]}, "'b' does not have exactly dtype"),
    "a long name": ({"n" * 257: TWO["a"]}, "a tensor is called 'nnn"),
    "a name of lines": ({"a\nb": TWO["a"]}, r"a tensor is called 'a\nb'"),
}
TILING = {
    "overlap": (entry(data_offsets=[4, 8]), "'a' and 'b' overlap"),
    "the same bytes": (entry(dtype="F32", data_offsets=[0, 8]), "'a' and 'b' overlap"),
    "a gap": (entry(data_offsets=[9, 13]), "there is a gap between 'a' and 'b'"),
    "bytes before": ({"b": TWO["b"]}, "the 8 bytes before 'b' belong to no tensor"),
    "bytes behind": ({"a": TWO["a"]}, "12 bytes of data where its header says 8"),
    "beyond the file": (entry(shape=[2**38], data_offsets=[8, 8 + 2**39]), "12 bytes of data"),
}
METADATA = {
    "a list": ({"__metadata__": ["pt"]} | TWO, "its __metadata__ is not an object of strings"),
    "null": ({"__metadata__": None} | TWO, "its __metadata__ is not an object of strings"),
    "a number": ({"__metadata__": {"format": 1}} | TWO, "its __metadata__ is not an object of"),
    "tf": ({"__metadata__": {"format": "tf"}} | TWO, "is in the layout 'tf', not PyTorch's 'pt'"),
    "flax": ({"__metadata__": {"format": "flax"}} | TWO, "from_flax=True"),
    "mlx": ({"__metadata__": {"format": "mlx"}} | TWO, "is in the layout 'mlx'"),
}
WHOLE = {
    "empty": (b"", "it has 0 bytes"),
    "no header": (struct.pack("<Q", 2), "it has 8 bytes"),
    "a header of 2**63 bytes": (struct.pack("<Q", 2**63) + b"{}", "9,223,372,036,854,775,808"),
    "a header above 1 MiB": (file_of(b" " * (MAX_HEADER_BYTES + 1)), "expected 1,048,576 at most"),
    "cut within the header": (file_of(TWO)[:60], "a header of 127; it is cut short"),
    "cut within the data": (file_of(TWO)[:-1], "11 bytes of data where its header says 12"),
    "longer than said": (file_of(TWO) + b"more", "16 bytes of data where its header says 12"),
    "a pickle": (b"\x80\x02}q\x00." + bytes(100), "its header has 50,579,438,895,744 bytes"),
    "noise": (file_of(b"\x93" * 64), "is not UTF-8 at byte 0"),
    "torn JSON": (file_of('{"a": '), "is not valid JSON at character 6"),
    "a list": (file_of("[]"), "its header is not a JSON object"),
    "no tensor": (file_of("{}"), "it has 0 tensors, expected 1 to 10,000"),
    "metadata alone": (file_of('{"__metadata__": {"format": "pt"}}'), "it has 0 tensors"),
    "a tensor twice": (
        file_of('{"a": 1, "a": 2}'),
        "its header cannot be read, it has the key 'a' twice",
    ),
    "a key twice": (file_of('{"a": {"dtype": "F32", "dtype": "F16"}}'), "key 'dtype' twice"),
    "NaN": (file_of('{"a": NaN}'), "it holds NaN"),
    "a number of a thousand digits": (file_of('{"a": ' + "9" * 1000 + "}"), "1,000 digits"),
    "depth": (file_of("[" * 500_000), "its JSON is nested too deeply"),
    "more tensors than any model": (
        file_of(
            {
                str(n): {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]}
                for n in range(MAX_TENSORS + 1)
            }
        ),
        "it has 10,001 tensors",
    ),
}


@pytest.mark.parametrize("rule", ENTRIES)
def test_an_entry_that_breaks_a_rule_is_refused(rule):
    header, said = ENTRIES[rule]
    assert said in refusal_of(file_of(header))


@pytest.mark.parametrize("rule", TILING)
def test_tensors_that_do_not_fill_the_file_exactly_are_refused(rule):
    header, said = TILING[rule]
    assert said in refusal_of(file_of(header))


@pytest.mark.parametrize("rule", METADATA)
def test_metadata_that_breaks_a_rule_are_refused(rule):
    header, said = METADATA[rule]
    assert said in refusal_of(file_of(header))


@pytest.mark.parametrize("rule", WHOLE)
def test_a_file_that_breaks_a_rule_is_refused(rule):
    content, said = WHOLE[rule]
    assert said in refusal_of(content)


def test_tensorflows_layout_is_refused_with_the_command_that_converts_it():
    content = save({"a": np.zeros(2, "float32")}, metadata={"format": "tf"})
    assert refusal_of(content).endswith(
        'convert it elsewhere: pip install "transformers<5" torch tensorflow; python -c "from '
        "transformers import AutoModelForMaskedLM as M; M.from_pretrained('FOLDER', from_tf=True)"
        ".save_pretrained('converted')\""
    )


# Bytes that are read


def test_no_more_than_the_header_is_ever_asked_for():
    content, ranges = file_of(TWO), []

    def read(offset: int, count: int) -> bytes:
        ranges.append((offset, count))
        return content[offset : offset + count]

    read_header(read, len(content), "it")
    assert ranges == [(0, 8), (8, len(content) - 8 - 12)]
    ranges.clear()
    content = struct.pack("<Q", 2**40) + b"{}"
    with pytest.raises(CheckpointError, match=r"its header has 1,099,511,627,776 bytes"):
        read_header(read, 2**50, "it")
    assert ranges == [(0, 8)]


def test_a_range_that_comes_short_is_noticed():
    content = file_of(TWO)
    with pytest.raises(CheckpointError, match="30 of 127 bytes could be read"):
        read_header(lambda offset, count: content[offset : offset + count][:30], 147, "it")


def test_a_file_that_is_mostly_a_hole_is_not_read(tmp_path: Path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(file_of(TWO))
    with path.open("r+b") as file:
        file.truncate(2**40)
    with pytest.raises(CheckpointError, match=r"1,099,511,627,641 bytes of data where"):
        header_of_file(path)


def test_a_file_that_cannot_be_opened_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="cannot be read: Is a directory"):
        header_of_file(tmp_path)
