"""Score the hidden words of passages: how probable a model finds each, and whether it names it.

All pieces of a word are masked, and predicted from left to right given the pieces before, as in
mlm/inference/scoring.py; but all hidden words of a passage at once, which takes a pass for the
longest of them and not one for each token. In the passes after the first, the beginnings of the
other words of several pieces are visible too.

The model sees one mask for each piece, which tells it how many pieces a word has.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mlm.data.batches.dynamic_padding import Batch
from mlm.data.tokens.token_facts import TokenFacts
from mlm.evaluation.shared_words import Passage

if TYPE_CHECKING:
    from mlm.evaluation.evaluator import TargetScores

WIDTH_MULTIPLE = 32  # tokens: batches of few widths, so that few programs are compiled
NO_WORD = -1


@dataclass(frozen=True)
class WordScores:
    """Scores of one model for W hidden words.

    Attributes:
        cross_entropy: (W,) float64, in nats, the sum over a word's pieces.
        worst_rank: (W,) int64, the highest rank of a piece; 0 if the model names the word.
    """

    cross_entropy: np.ndarray
    worst_rank: np.ndarray


class _Row(NamedTuple):
    """One question: a passage with words hidden, and the pieces to predict."""

    input_ids: np.ndarray
    positions: list[int]
    labels: list[int]
    words: list[int]  # the number of the word that each piece is of


class WordBatches:
    """Batches of questions about hidden words, in the form of EvaluationBatches.

    Attributes:
        lengths_vary: batches differ in their width.
        words: (N, P) int64, the number of the word at each target position of all batches,
            NO_WORD for padding.
        num_words: W.
    """

    lengths_vary = True

    def __init__(
        self,
        passages: Sequence[Passage],
        facts: TokenFacts,
        *,
        batch_size: int,
        max_seq_length: int,
    ):
        self._facts, self._batch_size = facts, batch_size
        self._max_seq_length = max_seq_length
        self._rows = sorted(_questions(passages, facts), key=lambda row: -len(row.input_ids))
        self._max_targets = max(len(row.positions) for row in self._rows)
        self.num_words = sum(len(passage.words) for passage in passages)
        self.words = np.full((len(self) * batch_size, self._max_targets), NO_WORD)
        for number, row in enumerate(self._rows):
            self.words[number, : len(row.words)] = row.words

    def __len__(self) -> int:
        return -(-len(self._rows) // self._batch_size)

    def __iter__(self) -> Iterator[Batch]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> Batch:
        """Return batch `index`: inputs, labels (B, P) int32, weights (B, P) float32 of 1 and 0."""
        rows = self._rows[index * self._batch_size : (index + 1) * self._batch_size]
        width = -(-len(rows[0].input_ids) // WIDTH_MULTIPLE) * WIDTH_MULTIPLE
        width = min(width, self._max_seq_length)
        shape = (self._batch_size, self._max_targets)
        input_ids = np.full((self._batch_size, width), self._facts.pad_id, np.int32)
        attention_mask = np.zeros_like(input_ids)
        attention_mask[:, 0] = 1  # a row of padding attends to something
        positions, labels = np.zeros(shape, np.int32), np.zeros(shape, np.int32)
        weights = np.zeros(shape, np.float32)
        for i, row in enumerate(rows):
            input_ids[i, : len(row.input_ids)] = row.input_ids
            attention_mask[i, : len(row.input_ids)] = 1
            positions[i, : len(row.positions)] = row.positions
            labels[i, : len(row.labels)] = row.labels
            weights[i, : len(row.labels)] = 1
        inputs = {
            "input_ids": input_ids,
            "attention_mask": attention_mask,
            "masked_positions": positions,
        }
        return inputs, labels, weights


def word_scores_of(batches: WordBatches, scores: "TargetScores") -> WordScores:
    """Return the scores of each word from those of its pieces."""
    is_piece = batches.words != NO_WORD
    words = batches.words[is_piece]
    cross_entropy = scores.cross_entropy[is_piece].astype(np.float64)
    worst_rank = np.zeros(batches.num_words, np.int64)
    np.maximum.at(worst_rank, words, scores.ranks[is_piece])
    return WordScores(np.bincount(words, cross_entropy, batches.num_words), worst_rank)


def _questions(passages: Sequence[Passage], facts: TokenFacts) -> Iterator[_Row]:
    """Yield for each passage a row for the first pieces of its words, one for the second, ..."""
    first_word = 0
    for passage in passages:
        for piece in range(max(last - first for first, last in passage.words)):
            yield _question(passage, piece, first_word, facts)
        first_word += len(passage.words)


def _question(passage: Passage, piece: int, first_word: int, facts: TokenFacts) -> _Row:
    """Return the question for piece `piece` of all words that have so many."""
    input_ids = np.concatenate([[facts.cls_id], passage.input_ids, [facts.sep_id]])
    row = _Row(input_ids.astype(np.int32), [], [], [])
    for number, (first, last) in enumerate(passage.words, first_word):
        is_asked = first + piece < last
        row.input_ids[1 + first + piece * is_asked : 1 + last] = facts.mask_id
        if is_asked:
            row.positions.append(1 + first + piece)
            row.labels.append(int(passage.input_ids[first + piece]))
            row.words.append(number)
    return row
