r"""Suggest words of the domain to add to a vocabulary: those that would save the most tokens.

    suggestions = suggest_words(config)
    print(*(word.text for word in suggestions.words), sep="\n")     # a file for --add_words_file

Texts are read as a stream; memory grows with the number of distinct words, up to a limit.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from mlm import hub
from mlm.checkpoint.tokenizer import encode_texts, load_tokenizer
from mlm.data.tokens.tokenizer_training.script import has_unspaced_script
from mlm.data.tokens.tokenizer_training.training import MANY_UNKNOWN
from mlm.data.tokens.tokenizer_training.word_counts import WordCounts, count_words
from mlm.training.added_words import LONGEST_WORD, is_printable
from mlm.training.config import TrainingConfig
from mlm.training.initial_checkpoint import training_texts

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

MIN_COUNT = 5  # occurrences of a word; a rarer one hardly learns a vector of its own
WORDS_AT_ONCE = 10_000  # to encode


@dataclass(frozen=True)
class SuggestedWord:
    """A word in its most frequent spelling, its count in all spellings, and its tokens.

    unknown: whether its only token is the unknown one.
    """

    text: str
    count: int
    pieces: int
    unknown: bool = False

    @property
    def saved(self) -> int:
        """The number of tokens that the texts have less with the word in the vocabulary."""
        return (self.pieces - 1) * self.count


@dataclass(frozen=True)
class Suggestions:
    """The words, those first that save the most, and what they are taken from.

    split: number of words that are split and frequent enough; tokens: of all words of the texts;
    unknown: number of those tokens that are the unknown one for a whole word; unspaced: share of
    the words' occurrences that are of scripts without spaces.
    """

    words: list[SuggestedWord]
    split: int
    tokens: int
    unknown: int
    unspaced: float
    counts: WordCounts

    def explanation(self) -> list[str]:
        """Return lines for people: how the words were chosen, and a table of them."""
        saved = sum(word.saved for word in self.words)
        lines = [
            f"{self.split:,} words of the training texts are split into pieces and occur "
            f"{MIN_COUNT} times or more; {len(self.words):,} of them in the vocabulary would save "
            f"{saved:,} of {self.tokens:,} tokens ({saved / self.tokens:.1%})"
        ]
        if self.unknown > MANY_UNKNOWN * self.tokens:
            lines.append(
                f"warning: {self.unknown / self.tokens:.1%} of the tokens are words unknown to the "
                "tokenizer, which are not suggested: choose a base model made for their language"
            )
        if self.unspaced:
            lines.append(
                f"{self.unspaced:.1%} of the parts between spaces are of scripts without spaces "
                "between words, such as Chinese or Thai: no word is suggested from them"
            )
        if self.counts.left_out:
            lines.append(self.counts.line())
        if self.words:
            lines.append(f"{'saved':>10} {'count':>10} {'pieces':>6}  word")
        for word in self.words:
            lines.append(f"{word.saved:>10,} {word.count:>10,} {word.pieces:>6}  {word.text}")
        return lines


def suggest_words(config: TrainingConfig) -> Suggestions:
    """Return `suggest_words` words of the training texts for the tokenizer of the checkpoint.

    Nothing is written. Raises UserError.
    """
    fetched = hub.fetch_checkpoint(str(config.model_name_or_path), config.model_revision)
    tokenizer = load_tokenizer(fetched.folder)
    texts = islice(training_texts(config), config.max_train_samples)
    return rank_words(tokenizer, texts, int(config.suggest_words or 0))


def rank_words(
    tokenizer: "PreTrainedTokenizerFast", texts: Iterable[str], most: int
) -> Suggestions:
    """Return at most `most` words, by the tokens that each saves, (pieces - 1) x count."""
    from tokenizers.pre_tokenizers import BertPreTokenizer

    between = BertPreTokenizer()  # at spaces and punctuation, as added words are matched
    counts = count_words(
        texts, str.split, lambda raw: [word for word, _ in between.pre_tokenize_str(raw)]
    )
    split = []
    tokens = unknown = 0
    for word in _encoded(tokenizer, counts.counts):
        tokens += word.count * word.pieces
        unknown += word.count * word.unknown
        if word.pieces > 1 and word.count >= MIN_COUNT and _can_be_added(word.text):
            split.append(word)
    split.sort(key=lambda word: (-word.saved, word.text))
    total = max(1, counts.counts.total())
    unspaced = sum(count for word, count in counts.counts.items() if has_unspaced_script(word))
    share = unspaced / total
    return Suggestions(split[:most], len(split), max(1, tokens), unknown, share, counts)


def _encoded(tokenizer: "PreTrainedTokenizerFast", counts: Counter[str]) -> Iterator[SuggestedWord]:
    """Yield each word that the tokenizer tells from others, in its most frequent spelling."""
    normalizer = tokenizer.backend_tokenizer.normalizer
    spellings: defaultdict[str, list[str]] = defaultdict(list)
    for word in counts:
        spellings[normalizer.normalize_str(word).strip() if normalizer else word].append(word)
    groups = iter(spellings.values())
    while group := list(islice(groups, WORDS_AT_ONCE)):
        best = [min(words, key=lambda word: (-counts[word], word)) for words in group]
        # After a space, which byte-level BPE and SentencePiece make part of a word.
        ids = encode_texts(tokenizer, [f" {word}" for word in best])
        for word, spelled, pieces in zip(best, group, ids, strict=True):
            count = sum(counts[each] for each in spelled)
            yield SuggestedWord(word, count, len(pieces), pieces == [tokenizer.unk_token_id])


def _can_be_added(word: str) -> bool:
    """Return whether a word may be in a file for --add_words_file, and has letters."""
    return (
        len(word) <= LONGEST_WORD
        and is_printable(word)
        and any(character.isalpha() for character in word)
        and not has_unspaced_script(word)
    )
