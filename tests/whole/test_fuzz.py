"""Thousands of mutations of a valid checkpoint's header, config and index, in a bounded process.

Each mutation is accepted, and then consistent, or refused with a CheckpointError. No other error is
raised, nothing hangs, and memory does not grow. A mutation depends only on its number.

    MLM_FUZZ_ROUNDS=50 python -m pytest tests/whole/test_fuzz.py -s     50 times as many
"""

import json
import os
import random
import resource
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.places import ROOT
from tests.support.sweeps import slow

if TYPE_CHECKING:
    from mlm.model.encoder_config import EncoderConfig

ROUNDS = int(os.environ.get("MLM_FUZZ_ROUNDS", "1"))
CASES = {"header": 5000, "config": 4500, "index": 1000}  # in a round
SECONDS_A_CASE = 5  # of processor time
MOST_GROWTH = 64  # MB of resident memory, all cases together
MORE_ADDRESSES = 512 * 1024**2  # bytes of address space beyond that of the loaded libraries


@pytest.mark.timeout(300 * ROUNDS)
@pytest.mark.parametrize("part", [0.2, slow(1.0)])  # of CASES, in each round
def test_every_mutation_is_read_or_refused(part):
    done = subprocess.run(
        [sys.executable, __file__, str(part)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    report = json.loads(done.stdout.splitlines()[-1])
    print(report)
    for reader, count in CASES.items():
        assert report[reader]["accepted"] + report[reader]["refused"] == int(count * part) * ROUNDS
        assert min(report[reader]["accepted"], report[reader]["kinds of refusal"]) > 10
    assert report["growth in MB"] < MOST_GROWTH


# Mutations

NUMBERS = (
    0, 1, -1, 2, 7, 127, 128, 255, 2**16, 2**21, 2**31 - 1, 2**31, 2**32, 2**40, 2**53,
    2**63 - 1, -(2**63), 0.0, -0.0, 0.5, 1.0, 1e-45, 1e308, 1e-12,
)  # fmt: skip
STRINGS = (
    "", "a", "F32", "F16", "I64", "BOOL", "F8_E5M2", "pt", "tf", "bert", "albert", "gpt2", "gelu",
    "float32", "load", "full_attention", "../x", "/dev/zero", "a\nb", "\x00", "\ud800", "é", "😀",
    "١٢", "x" * 300, "x" * 5000, "NaN", "__class__",
)  # fmt: skip
KEYS = (
    "auto_map", "_attn_implementation", "quantization_config", "custom_pipelines", "to_dict",
    "__class__", "__dict__", "attribute_map", "per_layer_config", "rope_scaling", "rope_parameters",
    "layer_types", "num_labels", "id2label", "label2id", "dtype", "torch_dtype", "pad_token_id",
    "eos_token_id", "model_type", "hidden_size", "dim", "num_hidden_layers", "n_layers",
    "vocab_size", "is_decoder", "position_embedding_type", "tie_word_embeddings", "hidden_act",
    "use_return_dict", "output_attentions", "name_or_path", "problem_type", "sliding_window",
    "num_attention_heads", "embedding_size", "__metadata__", "weight_map", "pruned_heads",
    "share_att_key", "norm_rel_ebd", "pos_att_type", "position_buckets", "conv_kernel_size",
    "local_rope_theta", "global_attn_every_n_layers", "is_encoder_decoder", "architectures",
)  # fmt: skip
TOKENS = (
    b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1", b"18446744073709551616", b"9" * 5000,
    b"null", b"true", b"[]", b"{}", b'""', b"\xff", b"\xc0\x80", b"\xef\xbb\xbf", b"\\ud800",
    b"\\u0000", b"[" * 3000, b'{"a":' * 3000, b",", b":", b'"', b"\\", b" " * 1000, b"0x10", b"1.",
)  # fmt: skip


# The defaults of the other families are supported models.
DEBERTA = {
    "relative_attention": True,
    "position_biased_input": False,
    "pos_att_type": ["p2c", "c2p"],
    "share_att_key": True,
    "norm_rel_ebd": "layer_norm",
    "position_buckets": 256,
}


def some_value(dice: random.Random, depth: int = 0) -> Any:
    """Return any JSON value, mostly of the kinds that are hard for readers."""
    kind = dice.randrange(9 if depth < 7 else 6)
    if kind < 2:
        return dice.choice(NUMBERS)
    if kind < 4:
        return dice.choice(STRINGS)
    if kind < 6:
        return dice.choice((None, True, False, dice.randrange(-10, 200), dice.random() * 20))
    if kind == 6:
        return {dice.choice(KEYS + STRINGS): some_value(dice, depth + 1)}
    if kind == 7:
        return [some_value(dice, depth + 1) for _ in range(dice.randrange(4))]
    return [dice.choice(NUMBERS)] * dice.choice((1, 2, 9, 3000))


def containers(value: Any) -> Iterator[Any]:
    """Yield the value and all lists and dicts inside it."""
    if isinstance(value, dict | list):
        yield value
        for entry in value.values() if isinstance(value, dict) else value:
            yield from containers(entry)


def mutate_structure(value: Any, dice: random.Random) -> None:
    """Change one place of a parsed JSON value."""
    holder = dice.choice([*containers(value)])
    places = [*(holder if isinstance(holder, dict) else range(len(holder)))]
    if not places or dice.random() < 0.15:
        if isinstance(holder, dict):
            holder[dice.choice(KEYS + STRINGS)] = some_value(dice)
        else:
            holder.append(some_value(dice))
        return
    place, other = dice.choice(places), dice.choice(places)
    change = dice.randrange(6)
    if change == 0:
        del holder[place]
    elif change == 1:
        holder[place], holder[other] = holder[other], holder[place]
    elif change == 2:
        holder[place] = [holder[place]]
    elif change == 3 and type(holder[place]) in (int, float):
        holder[place] = dice.choice((holder[place] + 1, holder[place] - 1, -holder[place], 1e400))
    elif change == 4 and isinstance(holder, dict):
        holder[dice.choice(KEYS + STRINGS)] = holder.pop(place)
    else:
        holder[place] = some_value(dice)


def mutate_bytes(content: bytes, dice: random.Random) -> bytes:
    """Change one place of a text: flip a bit, or drop, double, insert or replace a piece."""
    start = dice.randrange(len(content) + 1)
    end = min(len(content), start + dice.choice((1, 1, 2, 5, 40, 400)))
    change = dice.randrange(6)
    if change == 0 and start < len(content):
        bit = bytes([content[start] ^ (1 << dice.randrange(8))])
        return content[:start] + bit + content[start + 1 :]
    if change == 1:
        return content[:start] + content[end:]
    if change == 2:
        return content[:end] + content[start:end] + content[end:]
    if change == 3:
        return content[:start] + dice.randbytes(dice.choice((1, 4, 50))) + content[start:]
    if change == 4:
        return content[:start] + dice.choice(TOKENS) + content[end:]
    return content[:start]


def mutate(content: bytes, dice: random.Random) -> bytes:
    """Apply one to three mutations to the structure or the bytes of a JSON text."""
    for _ in range(dice.choice((1, 1, 1, 2, 3))):
        if dice.random() < 0.6:
            try:
                value = json.loads(content)
                mutate_structure(value, dice)
                content = json.dumps(value).encode()
                continue
            except (ValueError, RecursionError, IndexError):
                pass
        content = mutate_bytes(content, dice)
    return content


def large(dice: random.Random, size: int) -> bytes:
    """Return `size` bytes of a JSON text that takes much memory once it is parsed."""
    unit, opening, closing = dice.choice(
        [
            (b"[],", b"[", b"0]"),
            (b"{},", b"[", b"0]"),
            (b"[[]],", b'{"a":[', b"0]}"),
            (b"0.1,", b"[", b"0]"),
            (b'"",', b"[", b"0]"),
            (b'{"a":1},', b"[", b"0]"),
            (b"[", b"", b""),
            (b'{"":', b"", b""),
            (b"x", b'{"', b'":1}'),
            (b"\\u00e9", b'{"', b'":1}'),
            (b"9", b"[", b"]"),
        ]
    )
    body = unit * ((size - len(opening) - len(closing)) // len(unit))
    return opening + body + closing


# Readers: each case takes its random generator and returns True if the input is accepted


def header_reader(config: "EncoderConfig") -> Callable[[random.Random], bool]:
    import numpy as np
    from safetensors import deserialize
    from safetensors.numpy import save

    from mlm.checkpoint.families import family_of, tensor_shapes
    from mlm.checkpoint.safetensors_header import MAX_HEADER_BYTES, read_header
    from mlm.checkpoint.tensor_locations import check_tensors

    shapes = tensor_shapes("bert", config)
    file = save({n: np.zeros(s, "float32") for n, s in shapes.items()}, {"format": "pt"})
    (length,) = struct.unpack("<Q", file[:8])
    valid, data = file[8 : 8 + length], file[8 + length :]

    def case(dice: random.Random) -> bool:
        size = dice.choice((MAX_HEADER_BYTES, MAX_HEADER_BYTES // 3))
        header = large(dice, size) if dice.random() < 0.01 else mutate(valid, dice)
        wrong = (*range(20), 2**63, 2**64 - 1)
        declared = len(header) if dice.random() < 0.9 else dice.choice(wrong)
        content = struct.pack("<Q", declared) + header + data
        if dice.random() < 0.1:
            content = content[: dice.randrange(len(content))]
        read = read_header(lambda start, count: content[start : start + count], len(content), "it")
        by_library = dict(deserialize(content))
        assert {name: list(t.shape) for name, t in read.items()} == {
            name: t["shape"] for name, t in by_library.items()
        }
        assert sum(t.end - t.begin for t in read.values()) == len(content) - 8 - declared
        check_tensors({"model.safetensors": read}, family_of("bert"), config, "it")
        assert all(read[name].shape == shape for name, shape in shapes.items() if name in read)
        return True

    return case


def config_reader(folder: Path) -> Callable[[random.Random], bool]:
    from mlm.checkpoint.config_json import MAX_CONFIG_BYTES, read_config
    from mlm.checkpoint.families import FAMILIES, encoder_config_of, new_config, tensor_shapes

    valid = [
        new_config(family, **(DEBERTA if family == "deberta-v2" else {}))
        .to_json_string(use_diff=False)
        .encode()
        for family in FAMILIES
    ]

    def case(dice: random.Random) -> bool:
        content = mutate(dice.choice(valid), dice)
        if dice.random() < 0.01:
            content = large(dice, MAX_CONFIG_BYTES)
        (folder / "config.json").write_bytes(content)
        hf_config = read_config(folder)
        config = encoder_config_of(hf_config)
        for name, shape in tensor_shapes(hf_config.model_type, config).items():
            assert all(type(n) is int and 1 <= n <= 2**22 for n in shape), (name, shape)
        assert config.pad_token_id is None or 0 <= config.pad_token_id < config.vocab_size
        hf_config.to_json_string(use_diff=False)
        return True

    return case


def index_reader() -> Callable[[random.Random], bool]:
    from mlm.checkpoint.weight_files import parse_index

    places = {f"layer.{n}.weight": f"model-0000{n % 3 + 1}-of-00003.safetensors" for n in range(40)}
    valid = json.dumps({"metadata": {"total_size": 9}, "weight_map": places}).encode()

    def case(dice: random.Random) -> bool:
        files = parse_index(mutate(valid, dice), "it").values()
        assert all(Path(file).name == file for file in files)
        return True

    return case


# The bounded process


class HungError(BaseException):
    """A case that took too long; not an Exception, so that a reader cannot catch it."""


def raise_hung_error(*_: object) -> None:
    raise HungError


def memory(of: str) -> float:
    """Return in MB what this process holds (VmRSS), or its peak since forget_peak (VmHWM)."""
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in status if line.startswith(of))


def forget_peak() -> None:
    """Reset VmHWM: the peak of the imports would hide later ones."""
    Path("/proc/self/clear_refs").write_text("5")


def bound_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + MORE_ADDRESSES
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def run(reader: str, case: Callable[[random.Random], bool], count: int) -> dict[str, int]:
    """Return the outcomes of a reader's first `count` cases."""
    from mlm.errors import CheckpointError

    outcomes: Counter[str] = Counter()
    kinds = set()
    for number in range(count):
        signal.setitimer(signal.ITIMER_PROF, SECONDS_A_CASE)
        try:
            outcomes["accepted"] += case(random.Random(f"{reader} {number}"))
        except CheckpointError as refusal:
            message = str(refusal)
            assert "\n" not in message and len(message) < 1000, message
            message.encode()
            outcomes["refused"] += 1
            kinds.add("".join(c for c in message if not c.isdigit())[:60])
        except BaseException:
            print(f"case {number} of the {reader} reader", flush=True)
            raise
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
    return {**outcomes, "kinds of refusal": len(kinds)}


def main(part: float) -> None:
    import logging

    from mlm.checkpoint.families import encoder_config_of, new_config

    logging.disable()
    signal.signal(signal.SIGPROF, raise_hung_error)
    shape = {"num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 6}
    tiny = new_config("bert", vocab_size=11, hidden_size=4, max_position_embeddings=8, **shape)
    with tempfile.TemporaryDirectory() as folder:
        cases = {
            "header": header_reader(encoder_config_of(tiny)),
            "config": config_reader(Path(folder)),
            "index": index_reader(),
        }
        for reader, case in cases.items():
            run(reader, case, 50)  # triggers late imports
        forget_peak()
        before, begun = memory("VmRSS"), time.process_time()
        bound_memory()
        report: dict[str, object] = {
            reader: run(reader, case, int(CASES[reader] * part) * ROUNDS)
            for reader, case in cases.items()
        }
    report["growth in MB"] = round(memory("VmHWM") - before, 1)
    report["seconds"] = round(time.process_time() - begun, 1)
    print(json.dumps(report))


if __name__ == "__main__":
    main(float(sys.argv[1]))
