"""Mutate tokenizer files; test_tokenizer_files runs this in a process of limited memory.

    python tests/support/fuzz_tokenizers.py FOLDER... MUTATIONS

Each folder's tokenizer.json and tokenizer_config.json are mutated MUTATIONS times with a fixed
seed. A mutation is accepted, and then opened and used (the first OPENED of each folder), or refused
with a CheckpointError. Prints counts (accepted, refused, opened) and the peak in megabytes.
"""

import copy
import json
import random
import re
import resource
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mlm.checkpoint.strict_json import JsonObject
from mlm.checkpoint.tokenizer import encode_texts, load_tokenizer
from mlm.checkpoint.tokenizer_files import check_tokenizer_files
from mlm.errors import CheckpointError

FILES = ("tokenizer.json", "tokenizer_config.json")
OPENED, MEMORY = 50, 6 * 2**30
TEXTS = ["The film, (quick) é中 [MASK] <mask> ___", "a" * 5000, " " * 5000]
NUMBERS = [-1, 0, 1, 2**31, 2**40, 2**63, 10**30, 1e308, 3.5]
STRINGS = ["", "a", "x" * 5000, "[MASK]", "\ud800", "\0", "▁", "Ġ"]
VALUES = [None, True, *NUMBERS, *STRINGS, [], {}, [[]], {"type": "Sequence"}]
Keys = tuple[str | int, ...]  # the path to a value in a JSON value


def paths_in(value: object, path: Keys = ()) -> Iterator[Keys]:
    """Yield the path to every value within a JSON value."""
    inner: Iterable[tuple[str | int, object]] = ()
    if isinstance(value, dict):
        inner = value.items()
    elif isinstance(value, list):
        inner = enumerate(value)
    for key, entry in inner:
        yield (*path, key)
        yield from paths_in(entry, (*path, key))


def mutate(content: JsonObject, paths: list[Keys], rng: random.Random) -> bytes:
    """Return the text of a JSON object with one or two of its values changed or removed."""
    content = copy.deepcopy(content)
    for path in rng.sample(paths, rng.choice((1, 1, 2))):
        holder: Any = content
        try:
            for key in path[:-1]:
                holder = holder[key]
            if rng.random() < 0.15:
                del holder[path[-1]]
            else:
                other = content[rng.choice(list(content))]
                drawn = other if rng.random() < 0.1 else rng.choice(VALUES)
                holder[path[-1]] = copy.deepcopy(drawn)
        except (KeyError, IndexError, TypeError):  # the first change removed the path
            pass
    text = json.dumps(content).encode()
    return damage(text, rng) if rng.random() < 0.3 else text


def damage(text: bytes, rng: random.Random) -> bytes:
    """Return the text with some bytes changed, removed or doubled."""
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


def paths_to_mutate(content: JsonObject, rng: random.Random) -> list[Keys]:
    """Return every path, but only some of the vocabulary's, so that the others are drawn too."""
    paths = list(paths_in(content))
    many = [path for path in paths if {"vocab", "merges"} & set(path)]
    few = [path for path in paths if not {"vocab", "merges"} & set(path)]
    return few + rng.sample(many, min(len(many), len(few) // 6))


def use(folder: Path, size: int) -> None:
    """Open the tokenizer and encode texts; each id has to be below `size`."""
    for ids in encode_texts(load_tokenizer(folder, size), TEXTS):
        if ids and not 0 <= min(ids) <= max(ids) < size:
            raise AssertionError(f"an id beyond {size}")


def fuzz(folder: Path, mutations: int, counts: Counter[str]) -> None:
    """Check, and partly use, mutations of a folder's files; add the outcomes to `counts`."""
    rng = random.Random(11)
    good = {name: json.loads((folder / name).read_text(encoding="utf-8")) for name in FILES}
    paths = {name: paths_to_mutate(content, rng) for name, content in good.items()}
    size = json.loads((folder / "config.json").read_text(encoding="utf-8"))["vocab_size"]
    opened = 0
    for _ in range(mutations):
        changed = rng.choices(FILES, (4, 1))[0]
        for name in FILES:
            text = json.dumps(good[name]).encode()
            text = mutate(good[name], paths[name], rng) if name == changed else text
            (folder / name).write_bytes(text)
        try:
            check_tokenizer_files(folder, size)
            counts["accepted"] += 1
        except CheckpointError as error:
            counts["refused"] += 1
            if "\n" in str(error):
                raise AssertionError(f"more than a line: {error}") from error
            continue
        if opened < OPENED:
            opened += 1
            try:
                use(folder, size)
            except CheckpointError:
                counts["refused when opened"] += 1
    counts["opened"] += opened


def main(arguments: list[str]) -> None:
    """Fuzz the folders and print the counts as JSON."""
    *folders, mutations = arguments
    for folder in folders:
        load_tokenizer(Path(folder))  # import everything before memory is limited
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    counts: Counter[str] = Counter()
    for folder in folders:
        fuzz(Path(folder), int(mutations), counts)
    # Not getrusage, which gives the peak of the parent process if that was higher.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    megabytes = int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) // 1024
    print(json.dumps(counts | Counter(megabytes=megabytes)))


if __name__ == "__main__":
    main(sys.argv[1:])
