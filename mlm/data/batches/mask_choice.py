"""Choose target positions: single tokens, whole words, or spans of whole words.

Each method spends a budget per row; the expected number of targets is the masking rate times the
candidates. With the P of `max_targets_per_row`, a row's last word may not fit. It is left out, and
whole words and spans come to slightly less: 14.95 % for 15 % at 128 tokens of IMDB in BERT's
vocabulary. Where words are long, that would be far less; with `cut_words`, as many of its tokens
are chosen as the budget has left. The functions are stateless: the same generator state and batch
give the same targets.
"""

import numpy as np

# SpanBERT's span lengths, in words: geometric with p = 0.2, at most 10, 3.8 on average.
SPAN_LENGTHS = np.arange(1, 11)
SPAN_LENGTH_PROBS = 0.2 * 0.8 ** (SPAN_LENGTHS - 1) / (1 - 0.8**10)


def draw_budgets(
    num_candidates: np.ndarray, rate: float, max_targets: int, rng: np.random.Generator
) -> np.ndarray:
    """Return how many targets each row may have: (B,) int64, on average rate * num_candidates."""
    budgets = np.floor(num_candidates * rate + rng.random(len(num_candidates))).astype(np.int64)
    capped: np.ndarray = np.minimum(budgets, np.minimum(num_candidates, max_targets))
    return capped


def choose_target_tokens(
    candidates: np.ndarray, budgets: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Choose `budgets[b]` candidates of row b, each subset equally likely: (B, T) bool."""
    ranks = _random_ranks(candidates, rng)
    return candidates & (ranks < budgets[:, None])


def number_words(candidates: np.ndarray, word_starts: np.ndarray) -> np.ndarray:
    """Return each candidate's word, numbered from 0 in its row, -1 elsewhere: (B, T) int64.

    word_starts: (B, T) bool, from `WordBoundaries.starts`.
    """
    after_special = np.ones_like(candidates)  # also true of the first column
    after_special[:, 1:] = ~candidates[:, :-1]
    starts = candidates & (word_starts | after_special)
    return np.where(candidates, starts.cumsum(axis=1) - 1, -1)


def choose_target_words(
    words: np.ndarray,
    budgets: np.ndarray,
    max_targets: int,
    rng: np.random.Generator,
    *,
    cut_words: bool = False,
) -> np.ndarray:
    """Choose whole words in random order until the row's budget is spent: (B, T) bool.

    words: (B, T) int64, from `number_words`. cut_words: see `_take_words`.
    """
    lengths = _word_lengths(words, None if cut_words else max_targets)
    ranks = _random_ranks(lengths > 0, rng)
    return _take_words(words, lengths, ranks, budgets, max_targets, rng, cut_words=cut_words)


def choose_target_spans(
    words: np.ndarray,
    budgets: np.ndarray,
    max_targets: int,
    rng: np.random.Generator,
    *,
    cut_words: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Choose spans of whole words in random order; the word that spends the budget ends the last.

    The row is cut into spans of random length, and each of them is equally likely to be next. The
    row is treated as a ring that is cut at a random word, so that every word is equally likely;
    random starts along a line would favour later words over the row's first ones. A span may
    therefore continue from the row's end to its beginning, and from one document to the next.

    Returns:
        targets (B, T) bool; spans (B, T) int64, the span of its row that a column belongs to, 0 in
        columns without a word.

    Source: Joshi et al. 2020, section 3.1.
    """
    num_words = words.max(axis=1) + 1
    turns = (rng.random(len(words)) * num_words).astype(np.int64)
    spans_on_ring = _cut_into_spans(words.shape, rng)
    order = _shuffle_spans(spans_on_ring, num_words, rng)

    indices = np.arange(words.shape[1])
    words_on_ring = np.where(
        indices < num_words[:, None],
        (indices + turns[:, None]) % np.maximum(num_words, 1)[:, None],
        indices,
    )
    ranks, spans_of_words = np.empty_like(order), np.empty_like(order)
    np.put_along_axis(
        ranks, np.take_along_axis(words_on_ring, order, axis=1), indices[None], axis=1
    )
    np.put_along_axis(spans_of_words, words_on_ring, spans_on_ring, axis=1)

    lengths = _word_lengths(words, None if cut_words else max_targets)
    targets = _take_words(words, lengths, ranks, budgets, max_targets, rng, cut_words=cut_words)
    return targets, np.take_along_axis(spans_of_words, np.maximum(words, 0), axis=1)


def _cut_into_spans(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Return the span, numbered from 0, of each of T words of a row: (B, T) int64."""
    num_rows, length = shape
    draw = rng.random(shape)
    numbers = np.searchsorted(SPAN_LENGTH_PROBS.cumsum()[:-1], draw, side="right")
    ends = SPAN_LENGTHS[numbers].cumsum(1)
    begins = np.zeros((num_rows, length + 1), np.int64)
    np.put_along_axis(begins, np.minimum(ends, length), 1, axis=1)
    return begins[:, :length].cumsum(axis=1)


def _shuffle_spans(
    spans: np.ndarray, num_words: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Return each row's word indices, spans in random order, unused indices last: (B, T) int64."""
    keys = np.take_along_axis(rng.random(spans.shape), spans, axis=1)
    keys[np.arange(spans.shape[1]) >= num_words[:, None]] = 1.0  # above every draw of [0, 1)
    return np.argsort(keys, axis=1, kind="stable")  # the words of a span keep their order


def _take_words(
    words: np.ndarray,
    lengths: np.ndarray,
    ranks: np.ndarray,
    budgets: np.ndarray,
    max_targets: int,
    rng: np.random.Generator,
    *,
    cut_words: bool,
) -> np.ndarray:
    """Return the tokens of each row's first words, until its budget is spent: (B, T) bool.

    A word that exceeds the rest of the budget is taken with probability rest / length, which keeps
    the expected number of tokens, unless the row would get more than `max_targets`. Then it is left
    out; with `cut_words`, `rest` of its tokens are taken, side by side, each run equally likely.

    lengths, ranks: (B, T) int64, the length of word w (0 if there is none) and its rank.
    """
    in_order = np.zeros_like(lengths)
    np.put_along_axis(in_order, ranks, lengths, axis=1)
    after = in_order.cumsum(axis=1)
    rest = budgets[:, None] - (after - in_order)
    draws = rng.random(words.shape)
    exceeds = in_order > rest
    taken = (after <= max_targets) & (~exceeds | (draws * in_order < rest))
    counts = np.where(taken, in_order, 0)
    firsts = np.zeros_like(counts)
    if cut_words:
        is_cut = (after > max_targets) & exceeds & (rest > 0)
        counts = np.where(is_cut, rest, counts)
        firsts[is_cut] = (draws * (in_order - rest + 1))[is_cut]
    return _tokens_of_words(
        words,
        np.take_along_axis(firsts, ranks, axis=1),
        np.take_along_axis(counts, ranks, axis=1),
    )


def _tokens_of_words(words: np.ndarray, firsts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return tokens [firsts, firsts + counts) of each word: (B, T) bool.

    firsts, counts: (B, T) int64, of word w in column w.
    """
    columns = np.arange(words.shape[1])
    begins = np.ones(words.shape, np.bool_)
    begins[:, 1:] = words[:, 1:] != words[:, :-1]
    place = columns - np.maximum.accumulate(np.where(begins, columns, 0), axis=1)
    numbers = np.maximum(words, 0)
    place -= np.take_along_axis(firsts, numbers, axis=1)
    chosen: np.ndarray = (
        (words >= 0) & (place >= 0) & (place < np.take_along_axis(counts, numbers, axis=1))
    )
    return chosen


def _word_lengths(words: np.ndarray, longest: int | None) -> np.ndarray:
    """Return the tokens of word w of row b, 0 past the row's last word: (B, T) int64.

    Also 0 for a word of more than `longest` tokens, if given: it can never be taken whole, and
    would only block the words after it.
    """
    num_rows, length = words.shape
    flat = (words + np.arange(num_rows)[:, None] * length)[words >= 0]
    lengths = np.bincount(flat, minlength=num_rows * length).reshape(num_rows, length)
    return lengths if longest is None else np.where(lengths <= longest, lengths, 0)


def _random_ranks(eligible: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a random rank for each column of a row, the eligible ones first: (B, T) int64."""
    keys = rng.random(eligible.shape)
    keys[~eligible] = 1.0  # above every draw of [0, 1)
    order = np.argsort(keys, axis=1)
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(eligible.shape[1])[None, :], axis=1)
    return ranks
