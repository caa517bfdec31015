"""Count the words of a stream of texts, in bounded memory."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

MOST_CHARACTERS = 50_000_000  # of distinct words; a character takes about 10 bytes while counting
RAW_WORDS_AT_ONCE = 1_000_000
LONGEST_WORD = 100  # characters; longer ones are counted in parts, as training time needs it


class WordCounts(NamedTuple):
    """Occurrences of each word; `left_out`: occurrences of words that came after the limit."""

    counts: Counter[str]
    left_out: int

    def line(self) -> str:
        """Return one line about the words left out, for people; empty if there are none."""
        if not self.left_out:
            return ""
        return (
            f"{self.left_out:,} words were left out of the count: they first occur after "
            f"{MOST_CHARACTERS:,} characters of other distinct words"
        )


def count_words(
    texts: Iterable[str],
    split: Callable[[str], list[str]],
    words_of: Callable[[str], list[str]],
    most_characters: int = MOST_CHARACTERS,
) -> WordCounts:
    """Return the count of each word of the texts, which are read once.

    Args:
        texts: clean texts.
        split: cuts a text at its spaces, which is fast.
        words_of: cuts a part between spaces into words; called once for parts that repeat.
        most_characters: of distinct words. From there on, new words are not counted.
    """
    counter = _Counter(words_of, most_characters)
    raw: Counter[str] = Counter()
    for text in texts:
        raw.update(split(text))
        if len(raw) >= RAW_WORDS_AT_ONCE:
            counter.add(raw)
            raw.clear()
    counter.add(raw)
    return WordCounts(counter.counts, counter.left_out)


def repeat_words(counts: Counter[str], most: int = 100_000) -> Iterator[str]:
    """Yield each word as often as it was counted: trainers of `tokenizers` take texts."""
    for word, count in counts.items():
        for start in range(0, count, most):
            yield f"{word} " * min(most, count - start)


class _Counter:
    def __init__(self, words_of: Callable[[str], list[str]], most_characters: int):
        self.counts: Counter[str] = Counter()
        self.left_out = 0
        self._words_of, self._room = words_of, most_characters

    def add(self, raw: Counter[str]) -> None:
        """Count the words of parts that occur so often."""
        for part, count in raw.items():
            for word in self._words_of(part):
                for start in range(0, len(word), LONGEST_WORD):
                    self._add_word(word[start : start + LONGEST_WORD], count)

    def _add_word(self, word: str, count: int) -> None:
        if word in self.counts:
            self.counts[word] += count
        elif len(word) <= self._room:
            self.counts[word] = count
            self._room -= len(word)
        else:
            self.left_out += count
