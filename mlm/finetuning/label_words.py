"""The words that stand for each label at the mask of a prompt, as --label_words gives them.

label_words(["bad,awful", "good,great"], ("0", "1"))      # in the order of the labels
label_words(["1=good,great", "0=bad,awful"], ("0", "1"))  # by name
"""

from collections import Counter
from collections.abc import Sequence
from itertools import chain

from mlm.errors import ConfigError

SHOWN = 6  # labels of an error

LabelWords = dict[str, tuple[str, ...]]  # by label, in the order of the labels


def label_words(given: Sequence[str], labels: Sequence[str]) -> LabelWords:
    """Return the words of each label.

    Args:
        given: for each label its words, separated by commas; all with `label=` before them, or none
            of them, in the order of the labels.
        labels: of the task.

    Raises:
        ConfigError: A label without words, words without a label, or a word that is given twice.
    """
    is_named = [_name_in(text, labels) is not None for text in given]
    if any(is_named) and not all(is_named):
        raise ConfigError(
            f"--label_words has {given[is_named.index(False)]!r} beside "
            f"{given[is_named.index(True)]!r}; expected label=word,word for each of the labels "
            f"{_listed(labels)}, or the words only, in that order"
        )
    found = _by_name(given, labels) if all(is_named) else _by_order(given, labels)
    repeated = [word for word, n in Counter(chain(*found.values())).items() if n > 1]
    if repeated:
        raise ConfigError(f"--label_words has {repeated[0]!r} twice; give each word once")
    return found


def describe_label_words(words: LabelWords) -> str:
    """Return which words stand for which label: "0 = bad, awful; 1 = good, great"."""
    return "; ".join(f"{label} = {', '.join(each)}" for label, each in words.items())


def reversed_argument(words: LabelWords) -> str:
    """Return --label_words of two labels with the words exchanged, as a shell takes it."""
    import shlex

    exchanged = zip(words, reversed(list(words.values())), strict=True)
    return "--label_words " + shlex.join(f"{label}={','.join(each)}" for label, each in exchanged)


def _by_order(given: Sequence[str], labels: Sequence[str]) -> LabelWords:
    if len(given) != len(labels):
        raise ConfigError(
            f"--label_words has {len(given)} group{'s' * (len(given) != 1)} of words, but the "
            f"texts have {len(labels)} labels ({_listed(labels)}); give one group for each, as "
            "word,word in that order or as label=word,word"
        )
    return {label: _split(text) for label, text in zip(labels, given, strict=True)}


def _by_name(given: Sequence[str], labels: Sequence[str]) -> LabelWords:
    names = [_name_in(text, labels) for text in given]
    missing = [label for label in labels if label not in names]
    if missing:
        raise ConfigError(
            f"--label_words has no words for {_listed(missing)}; give label=word,word for each of "
            f"the labels {_listed(labels)}"
        )
    if len(names) > len(labels):
        twice = next(name for name in names if names.count(name) > 1)
        raise ConfigError(
            f"--label_words has the label {twice!r} twice; give all its words at once"
        )
    of_name = {name: text[len(name) + 1 :] for name, text in zip(names, given, strict=True) if name}
    return {label: _split(of_name[label]) for label in labels}


def _name_in(text: str, labels: Sequence[str]) -> str | None:
    """Return the label before the words, None if there is none; it may hold `=` itself."""
    name, equals, _ = text.rpartition("=")
    if equals and name not in labels:
        raise ConfigError(
            f"--label_words has {text!r}, but the texts have no label {name!r}; they have "
            f"{_listed(labels)}"
        )
    return name if equals else None


def _split(text: str) -> tuple[str, ...]:
    words = tuple(word.strip() for word in text.split(","))
    if not all(words):
        raise ConfigError(
            f"--label_words has an empty word in {text!r}; expected words with a comma between them"
        )
    return words


def _listed(labels: Sequence[str]) -> str:
    more = f" and {len(labels) - SHOWN:,} more" if len(labels) > SHOWN else ""
    return ", ".join(labels[:SHOWN]) + more
