"""Choose the characters of a vocabulary: as many as the script needs, and as fit."""

from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

MIN_FREQUENCY = 2
# A rarer character would take entries of the vocabulary and be too rare to learn.
MIN_CHARACTER_SHARE = 1e-7
SMALL_ALPHABET = 1000  # characters: up to here all that are not too rare are kept
ENOUGH = 0.9995  # from there on, share of the texts' characters that is to be known


class Alphabet(NamedTuple):
    """The characters to keep, ascending.

    needed: entries of the vocabulary that all characters worth keeping take; more than were
    given if some did not fit.
    """

    characters: list[str]
    needed: int


def choose_alphabet(
    counts: Counter[str], entries: int, entries_of: Callable[[str], int] = lambda character: 1
) -> Alphabet:
    """Return the most frequent characters of the words that fit into so many entries.

    Args:
        counts: of the words.
        entries: of the vocabulary that characters may take.
        entries_of: how many one character takes.
    """
    occurrences: Counter[str] = Counter()
    for word, count in counts.items():
        for character in word:
            occurrences[character] += count
    kept, needed = [], 0
    for character in _worth_keeping(occurrences):
        needed += entries_of(character)
        if needed <= entries:
            kept.append(character)
    return Alphabet(sorted(kept), needed)


def _worth_keeping(occurrences: Counter[str]) -> list[str]:
    """Return the characters that are not too rare, the most frequent first."""
    total = occurrences.total()
    rarest = max(MIN_FREQUENCY, MIN_CHARACTER_SHARE * total)
    common = [character for character, count in occurrences.items() if count >= rarest]
    common.sort(key=lambda character: (-occurrences[character], character))
    known = sum(occurrences[character] for character in common[:SMALL_ALPHABET])
    size = SMALL_ALPHABET
    while size < len(common) and known < ENOUGH * total:
        known += occurrences[common[size]]
        size += 1
    return common[:size]
