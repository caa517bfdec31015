"""Train a Unigram model on counted words: its pieces and their log-probabilities.

The trainer of `tokenizers` gives other scores in each run, because it adds up floats in the order
of a hash table. Here, the first pieces are those of a BPE several times as large as wanted. Then,
in rounds, words are split in the most probable way, pieces are counted, and those that the
likelihood of the words misses least are dropped.

Source: Kudo 2018, Subword Regularization (ACL), section 3.2, with the best split in place of the
expectation over all splits.
"""

import math
from collections import Counter
from typing import TYPE_CHECKING

from mlm.data.tokens.tokenizer_training.alphabet import Alphabet, choose_alphabet
from mlm.data.tokens.tokenizer_training.backends import SPECIAL_TOKENS, UNKNOWN_ID
from mlm.data.tokens.tokenizer_training.bpe import train_plain

if TYPE_CHECKING:
    from tokenizers.models import Model, Unigram

SEEDS = 4  # times the size of the vocabulary
KEPT = 0.6  # share of the pieces that a round keeps
PASSES = 2  # over the words in a round
LONGEST_PIECE = 16  # characters
MOST_CHARACTERS = 5_000_000  # of the most frequent words, which pieces are counted in
UNSEEN = 0.5  # count of a piece that no split uses

Scores = dict[str, float]  # piece -> log-probability


def train_unigram(counts: Counter[str], vocab_size: int) -> "tuple[Unigram, Alphabet]":
    """Return the model for these word counts, and its alphabet."""
    size = vocab_size - len(SPECIAL_TOKENS)
    alphabet = choose_alphabet(counts, size)
    single = set(alphabet.characters)
    frequent = _most_frequent(counts)
    scores = _seeds(frequent, alphabet.characters, SEEDS * size)
    while True:
        for _ in range(PASSES):
            scores = _scores(_count_pieces(_model(scores), frequent), scores)
        if len(scores) <= size:
            return _model(scores), alphabet
        scores = _prune(scores, single, max(size, math.ceil(KEPT * len(scores))))


def _most_frequent(counts: Counter[str]) -> Counter[str]:
    """Return the most frequent words that have MOST_CHARACTERS together."""
    kept: Counter[str] = Counter()
    room = MOST_CHARACTERS
    for word, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        room -= len(word)
        if room < 0:
            break
        kept[word] = count
    return kept


def _seeds(counts: Counter[str], alphabet: list[str], most: int) -> Scores:
    """Return the tokens of a BPE, scored by how often each was made, merged later or not."""
    merges = train_plain(counts, max(most, len(alphabet)), alphabet, LONGEST_PIECE)
    made = _count_pieces(merges.model, counts)
    for left, right in reversed(merges.pairs):
        made[left] += made[left + right]
        made[right] += made[left + right]
    pieces = dict.fromkeys([*alphabet, *(left + right for left, right in merges.pairs)], 0.0)
    return _scores(made, pieces)


def _count_pieces(model: "Model", counts: Counter[str]) -> Counter[str]:
    """Return how often each piece occurs in the words as the model splits them."""
    pieces: Counter[str] = Counter()
    for word, count in counts.items():
        for token in model.tokenize(word):
            pieces[token.value] += count
    return pieces


def _scores(pieces: Counter[str], known: Scores) -> Scores:
    """Return the log-probability of each known piece by its count."""
    counted = {piece: pieces[piece] or UNSEEN for piece in known}
    total = math.log(sum(counted.values()) or 1)
    return {piece: math.log(count) - total for piece, count in counted.items()}


def _prune(scores: Scores, single: set[str], size: int) -> Scores:
    """Drop all but `size` pieces, those first that the likelihood misses least; characters stay."""

    def missed(piece: str) -> float:
        return math.exp(scores[piece]) * (scores[piece] - _score_without(piece, scores))

    longer = [piece for piece in scores if piece not in single]
    longer.sort(key=lambda piece: (-missed(piece), piece))
    kept = {*single, *longer[: max(0, size - len(single))]}
    return {piece: score for piece, score in scores.items() if piece in kept}


def _score_without(piece: str, scores: Scores) -> float:
    """Return the log-probability of the best split of a piece into other pieces."""
    best = [0.0] + [-math.inf] * len(piece)
    for end in range(1, len(piece) + 1):
        for start in range(end):
            part = piece[start:end]
            if part in scores and part != piece:
                best[end] = max(best[end], best[start] + scores[part])
    return best[-1]


def _model(scores: Scores) -> "Unigram":
    """Return the model of these pieces, the most probable first, after the special tokens."""
    from tokenizers.models import Unigram

    pieces = sorted(scores.items(), key=lambda item: (-item[1], item[0]))
    special = [(token, 0.0) for token in SPECIAL_TOKENS]
    return Unigram([*special, *((piece, round(score, 6)) for piece, score in pieces)], UNKNOWN_ID)
