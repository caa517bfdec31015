"""Run by test_tokenizer_files in a process of its own, whose memory is limited.

    python tests/support/fuzz_tokenizers.py FOLDER... MUTATIONS

Each folder's tokenizer.json and tokenizer_config.json are mutated so often, with a fixed seed. A
mutation is accepted, and then opened and used (the first OPENED of each folder), or refused with
a CheckpointError. Prints: accepted, refused, opened, megabytes at the most.
"""

import copy
import json
import random
import re
import resource
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mlm.checkpoint.tokenizer import encode_texts, load_tokenizer
from mlm.checkpoint.tokenizer_files import check_tokenizer_files
from mlm.errors import CheckpointError

FILES = ("tokenizer.json", "tokenizer_config.json")
OPENED, MEMORY = 50, 6 * 2**30
TEXTS = ["The film, (quick) é中 [MASK] <mask> ___", "a" * 5000, " " * 5000]
NUMBERS = [-1, 0, 1, 2**31, 2**40, 2**63, 10**30, 1e308, 3.5]
STRINGS = ["", "a", "x" * 5000, "[MASK]", "\ud800", "\0", "▁", "Ġ"]
VALUES = [None, True, *NUMBERS, *STRINGS, [], {}, [[]], {"type": "Sequence"}]
Way = tuple[Any, ...]


def places(value: Any, way: Way = ()) -> Iterator[Way]:
    """The way to every value within a JSON value."""
    inner: Any = value.items() if isinstance(value, dict) else ()
    for key, entry in enumerate(value) if isinstance(value, list) else inner:
        yield (*way, key)
        yield from places(entry, (*way, key))


def mutate(content: Any, ways: list[Way], rng: random.Random) -> bytes:
    """A copy of a JSON value with one or two of its places changed or taken out, as text."""
    content = copy.deepcopy(content)
    for way in rng.sample(ways, rng.choice((1, 1, 2))):
        holder = content
        try:
            for key in way[:-1]:
                holder = holder[key]
            if rng.random() < 0.15:
                del holder[way[-1]]
            else:
                other = content[rng.choice(list(content))]
                drawn = other if rng.random() < 0.1 else rng.choice(VALUES)
                holder[way[-1]] = copy.deepcopy(drawn)
        except (KeyError, IndexError, TypeError):  # the first change took the place away
            pass
    text = json.dumps(content).encode()
    return damage(text, rng) if rng.random() < 0.3 else text


def damage(text: bytes, rng: random.Random) -> bytes:
    """Some bytes changed, taken out or doubled."""
    data = bytearray(text)
    for _ in range(rng.choice((1, 3))):
        at, length = rng.randrange(len(data)), rng.randrange(1, 40)
        if rng.random() < 0.5:
            data[at] = rng.randrange(256)
        else:
            data[at : at + length] = (
                b"" if rng.random() < 0.5 else bytes(data[at : at + length]) * 2
            )
    return bytes(data)


def ways_of(content: Any, rng: random.Random) -> list[Way]:
    """Every place, but of the vocabulary a few, so that the rest has its turn."""
    ways = list(places(content))
    many = [way for way in ways if {"vocab", "merges"} & set(way)]
    few = [way for way in ways if not {"vocab", "merges"} & set(way)]
    return few + rng.sample(many, min(len(many), len(few) // 6))


def use(folder: Path, size: int) -> None:
    """Open the tokenizer and read texts with it; its ids have to lie in the embedding."""
    for ids in encode_texts(load_tokenizer(folder, size), TEXTS):
        if ids and not 0 <= min(ids) <= max(ids) < size:
            raise AssertionError(f"an id beyond {size}")


def fuzz(folder: Path, count: int, told: Counter[str]) -> None:
    rng = random.Random(11)
    good = {name: json.loads((folder / name).read_text(encoding="utf-8")) for name in FILES}
    ways = {name: ways_of(content, rng) for name, content in good.items()}
    size = json.loads((folder / "config.json").read_text(encoding="utf-8"))["vocab_size"]
    opened = 0
    for _ in range(count):
        changed = rng.choices(FILES, (4, 1))[0]
        for name in FILES:
            text = json.dumps(good[name]).encode()
            text = mutate(good[name], ways[name], rng) if name == changed else text
            (folder / name).write_bytes(text)
        try:
            check_tokenizer_files(folder, size)
            told["accepted"] += 1
        except CheckpointError as error:
            told["refused"] += 1
            if "\n" in str(error):
                raise AssertionError(f"more than a line: {error}") from error
            continue
        if opened < OPENED:
            opened += 1
            try:
                use(folder, size)
            except CheckpointError:
                told["refused when opened"] += 1
    told["opened"] += opened


def main(arguments: list[str]) -> None:
    *folders, count = arguments
    for folder in folders:
        load_tokenizer(Path(folder))  # what is imported is not counted below
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    told: Counter[str] = Counter()
    for folder in folders:
        fuzz(Path(folder), int(count), told)
    # Not getrusage: its peak is that of the process which started this one, where that was higher.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    megabytes = int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) // 1024
    print(json.dumps(told | Counter(megabytes=megabytes)))


if __name__ == "__main__":
    main(sys.argv[1:])
