"""Which tokens of a row to predict: single tokens, whole words, or spans of whole words.

Each way spends a row's budget, and its expected number of tokens is the rate times the candidates.
Where the slots are as few as `num_prediction_slots` gives, a last word may not fit, and whole words
and spans come to a little less: 14.95 % for 15 % at 128 tokens of IMDB in BERT's vocabulary.
Nothing here keeps a state: the same generator state and the same batch give the same choice.
"""

import numpy as np

# SpanBERT's lengths of a span, in words: geometric with p = 0.2, at most 10, 3.8 on average.
SPAN_LENGTHS = np.arange(1, 11)
SPAN_SHARES = 0.2 * 0.8 ** (SPAN_LENGTHS - 1) / (1 - 0.8**10)


def draw_budgets(
    num_candidates: np.ndarray, rate: float, num_slots: int, rng: np.random.Generator
) -> np.ndarray:
    """How many tokens each row may choose: (B,) int64, its expectation rate * num_candidates."""
    budgets = np.floor(num_candidates * rate + rng.random(len(num_candidates))).astype(np.int64)
    return np.minimum(budgets, np.minimum(num_candidates, num_slots))


def choose_tokens(
    candidates: np.ndarray, budgets: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """(B, T) bool: `budgets[b]` candidates of row b, each subset equally likely."""
    ranks = _random_ranks(candidates, rng)
    return candidates & (ranks < budgets[:, None])


def number_words(
    input_ids: np.ndarray, candidates: np.ndarray, word_starts: np.ndarray
) -> np.ndarray:
    """(B, T) int64: which word of its row, from 0, a candidate belongs to; -1 for the rest."""
    after_special = np.ones_like(candidates)  # the first column counts as one
    after_special[:, 1:] = ~candidates[:, :-1]
    starts = candidates & (word_starts[input_ids] | after_special)
    return np.where(candidates, starts.cumsum(axis=1) - 1, -1)


def choose_words(
    words: np.ndarray, budgets: np.ndarray, num_slots: int, rng: np.random.Generator
) -> np.ndarray:
    """(B, T) bool: whole words in random order, as many as the row's budget holds.

    words: (B, T) int64, from `number_words`.
    """
    lengths = _word_lengths(words, num_slots)
    ranks = _random_ranks(lengths > 0, rng)
    return _take_words(words, lengths, ranks, budgets, num_slots, rng)


def choose_spans(
    words: np.ndarray, budgets: np.ndarray, num_slots: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Spans of whole words in random order; the last is cut behind the word that ends the budget.

    The row is cut into spans of random length, and any of them is as likely to be the next. It is
    taken for a ring that is cut at a random place: every word is then as likely as any other, which
    starts drawn along a line would not give to the row's first words. So a span may go on from the
    row's end at its beginning, and from one document to the next.

    Returns:
        chosen (B, T) bool; spans (B, T) int64, which span of its row a column belongs to, 0 where
        it is none.
    Source: Joshi et al. 2020, section 3.1.
    """
    num_words = words.max(axis=1) + 1
    turns = (rng.random(len(words)) * num_words).astype(np.int64)
    spans_on_ring = _cut_into_spans(words.shape, rng)
    order = _shuffle_spans(spans_on_ring, num_words, rng)

    places = np.arange(words.shape[1])
    words_on_ring = np.where(
        places < num_words[:, None],
        (places + turns[:, None]) % np.maximum(num_words, 1)[:, None],
        places,
    )
    ranks, spans_of_words = np.empty_like(order), np.empty_like(order)
    np.put_along_axis(ranks, np.take_along_axis(words_on_ring, order, axis=1), places[None], axis=1)
    np.put_along_axis(spans_of_words, words_on_ring, spans_on_ring, axis=1)

    lengths = _word_lengths(words, num_slots)
    chosen = _take_words(words, lengths, ranks, budgets, num_slots, rng)
    return chosen, np.take_along_axis(spans_of_words, np.maximum(words, 0), axis=1)


def _cut_into_spans(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """(B, T) int64: which span, from 0, each of T places in a row belongs to."""
    num_rows, length = shape
    draw = rng.random(shape)
    ends = SPAN_LENGTHS[np.searchsorted(SPAN_SHARES.cumsum()[:-1], draw, side="right")].cumsum(1)
    begins = np.zeros((num_rows, length + 1), np.int64)
    np.put_along_axis(begins, np.minimum(ends, length), 1, axis=1)
    return begins[:, :length].cumsum(axis=1)


def _shuffle_spans(
    spans: np.ndarray, num_words: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """(B, T) int64: the places of each row, spans in random order; those past its words last."""
    keys = np.take_along_axis(rng.random(spans.shape), spans, axis=1)
    keys[np.arange(spans.shape[1]) >= num_words[:, None]] = 1.0  # past every draw of [0, 1)
    return np.argsort(keys, axis=1, kind="stable")  # a span's places stay in their order


def _take_words(
    words: np.ndarray,
    lengths: np.ndarray,
    ranks: np.ndarray,
    budgets: np.ndarray,
    num_slots: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """(B, T) bool: the tokens of the first words, as many as the row's budget holds.

    The word that would cross the budget is taken with the chance (what is left / its length), which
    keeps the expected number of tokens, unless it needs more than the slots there are.

    lengths, ranks: (B, T) int64, how long word w is, 0 for none, and when its turn comes.
    """
    in_order = np.zeros_like(lengths)
    np.put_along_axis(in_order, ranks, lengths, axis=1)
    after = in_order.cumsum(axis=1)
    left = budgets[:, None] - (after - in_order)
    lucky = rng.random(words.shape) * in_order < left
    taken_in_order = (after <= num_slots) & (in_order > 0) & ((in_order <= left) | lucky)
    taken = np.take_along_axis(taken_in_order, ranks, axis=1)
    return (words >= 0) & np.take_along_axis(taken, np.maximum(words, 0), axis=1)


def _word_lengths(words: np.ndarray, num_slots: int) -> np.ndarray:
    """(B, T) int64: how many tokens word w of row b has; 0 past the row's last word.

    Also 0 for a word that no row can hold: it would only stand in the way of those after it.
    """
    num_rows, length = words.shape
    flat = (words + np.arange(num_rows)[:, None] * length)[words >= 0]
    lengths = np.bincount(flat, minlength=num_rows * length).reshape(num_rows, length)
    return np.where(lengths <= num_slots, lengths, 0)


def _random_ranks(eligible: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(B, T) int64: a random order of each row's columns, the eligible ones first."""
    keys = rng.random(eligible.shape)
    keys[~eligible] = 1.0  # past every draw of [0, 1)
    order = np.argsort(keys, axis=1)
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(eligible.shape[1])[None, :], axis=1)
    return ranks
