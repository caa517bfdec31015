"""Choose the tokens of a text that is too long: its head, its tail, or both.

For long reviews, the first 128 and the last 382 tokens gave BERT more than either end.
Source: Sun et al. 2019, "How to Fine-Tune BERT for Text Classification?", section 5.3.1.
"""

from __future__ import annotations

import math
from typing import Literal, get_args

from mlm.errors import ConfigError

Truncation = Literal["head", "tail", "head_tail"]
TRUNCATIONS: tuple[Truncation, ...] = get_args(Truncation)
HEAD_SHARE = 1 / 4  # of the tokens that "head_tail" keeps


def check_truncation(truncation: str) -> None:
    """Raise ConfigError if a truncation is unknown."""
    if truncation not in TRUNCATIONS:
        raise ConfigError(
            f"--truncation is {truncation!r}; expected one of {', '.join(TRUNCATIONS)}"
        )


def truncate(ids: list[int], room: int, truncation: Truncation) -> list[int]:
    """Return at most `room` of a text's ids.

    "head" keeps the first, "tail" the last, "head_tail" a quarter from the head and the rest from
    the tail.
    """
    if len(ids) <= room:
        return ids
    head = {"head": room, "tail": 0, "head_tail": math.ceil(room * HEAD_SHARE)}[truncation]
    tail = room - head
    return ids[:head] + ids[len(ids) - tail :]


def share_room(first: int, second: int, room: int) -> tuple[int, int]:
    """Return how many tokens each text of a pair may keep, of `room` tokens for both.

    The longer one is cut first, as by `truncation="longest_first"` of transformers: if both are
    longer than half of the room, each gets a half, the second the odd one.
    """
    if first + second <= room:
        return first, second
    shorter, longer = min(first, second), max(first, second)
    longer = shorter if shorter > room else max(shorter, room - shorter)
    if shorter + longer > room:
        shorter = room // 2
        longer = shorter + room % 2
    return (shorter, longer) if first <= second else (longer, shorter)
