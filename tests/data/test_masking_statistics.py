"""The statistics of masking, for each tokenizer kind and each way to choose.

What can be counted is exact. What is drawn is held against limits that a sound generator passes
except for one seed in a million: `bernstein` for sums of independent draws, `chi_square_limit` for
sums of squares. The seeds are fixed, so a test that passes goes on passing.
"""

import math
from collections import Counter
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest

from mlm.checkpoint.tokenizer import encode_texts
from mlm.data.batches.chunking import Chunking
from mlm.data.batches.masked_batches import MaskedBatches
from mlm.data.batches.masking import Masked, mask_tokens
from mlm.data.tokens.token_facts import TokenFacts
from tests.support.tokenizer_kinds import KINDS, TEXTS

RATE = 0.15
FALSE_ALARM = 1e-6
WAYS = ("tokens", "words", "spans")
WAY = pytest.mark.parametrize("way", WAYS)
ROOM = 40  # slots for whole words, so that none is refused


def bernstein(trials: int, probability: float) -> float:
    """How far a sum of so many independent draws of 0 or 1 may be from its expectation."""
    nats = math.log(2 / FALSE_ALARM)
    return math.sqrt(2 * trials * probability * (1 - probability) * nats) + nats / 3


def chi_square_limit(degrees: int) -> float:
    """What chi-square exceeds with a chance below FALSE_ALARM (Laurent and Massart 2000)."""
    nats = math.log(1 / FALSE_ALARM)
    return degrees + 2 * math.sqrt(degrees * nats) + 2 * nats


def normal_limit(values: np.ndarray) -> float:
    """How far the mean of many independent values may be from its expectation."""
    return 4.9 * values.std() / math.sqrt(len(values)) + 1e-12


def test_the_limits_are_those_of_the_distributions():
    """Seen from below: as many standard deviations as a false alarm of 1e-6 needs, at least."""
    assert bernstein(10_000, 0.5) > 4.9 * 50
    assert chi_square_limit(1) > 23.9  # the exact quantile
    assert chi_square_limit(100) > 181.3


@dataclass(frozen=True)
class Kind:
    """A tokenizer, what masking knows of it, and one long text in it without a separator."""

    tokenizer: object
    facts: TokenFacts
    stream: np.ndarray  # (N,) ids
    words: np.ndarray  # (N,) which run of letters or other sign of the text an id belongs to

    def rows(self, count: int, length: int) -> np.ndarray:
        """(count, length + 2) input_ids: so many tokens of the text between [CLS] and [SEP]."""
        places = (np.arange(count)[:, None] * 7 + np.arange(length)) % (len(self.stream) - length)
        ends = np.full((count, 1), self.facts.cls_id), np.full((count, 1), self.facts.sep_id)
        return np.hstack([ends[0], self.stream[places], ends[1]]).astype(np.int32)

    def mask(self, input_ids: np.ndarray, way: str, seed: int = 0, **changes) -> Masked:
        settings = {
            "mlm_probability": RATE,
            "max_targets": ROOM,
            "mask_token_id": self.facts.mask_id,
            "random_word_ids": self.facts.random_word_ids,
            "word_starts": None if way == "tokens" else self.facts.word_starts,
            "span_mask": way == "spans",
        }
        special = np.isin(input_ids, self.facts.special_ids)
        return mask_tokens(input_ids, special, np.random.default_rng(seed), **(settings | changes))

    def batches(self, num_sequences: int, length: int, **changes) -> MaskedBatches:
        """Sequences of so many candidates each, no separator inside."""
        tokens = np.resize(self.stream, num_sequences * length).astype(np.uint16)
        split = SimpleNamespace(tokens=tokens, offsets=np.array([0, len(tokens)]))
        settings = {"max_seq_length": length + 2, "global_batch_size": num_sequences, "seed": 3}
        return MaskedBatches(split, self.facts, **(settings | changes))


@pytest.fixture(scope="module", params=KINDS)
def kind(request) -> Kind:
    tokenizer = KINDS[request.param]()
    facts = TokenFacts.of(tokenizer)
    ids, words = [], []
    for text in TEXTS:
        found = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        assert encode_texts(tokenizer, [text]) == [found["input_ids"]]
        ids += found["input_ids"]
        words += [len(words) + place for place in words_of(text, found["offset_mapping"])]
    assert not np.isin(ids, facts.special_ids).any()
    return Kind(tokenizer, facts, np.array(ids), np.array(words))


def words_of(text: str, offsets: list[tuple[int, int]]) -> list[int]:
    """For each token where its word begins in the text: a run of letters, or any other sign."""
    beginnings = []
    for start, end in offsets:
        place = next((i for i in range(start, end) if not text[i].isspace()), end)
        while place and text[place : place + 1].isalnum() and text[place - 1].isalnum():
            place -= 1
        beginnings.append(place)
    return beginnings


def chosen_of(masked: Masked, length: int) -> np.ndarray:
    """(B, length) bool."""
    return chosen_at(masked.masked_positions, masked.weights, length)


def chosen_at(positions: np.ndarray, weights: np.ndarray, length: int) -> np.ndarray:
    chosen = np.zeros((len(weights), length), bool)
    rows, slots = np.nonzero(weights)
    chosen[rows, positions[rows, slots]] = True
    return chosen


# ---- how many


@WAY
@pytest.mark.parametrize("length", [0, 1, 2, 5, 30])
def test_the_rate_is_exact_however_short_the_row(kind, way, length):
    input_ids = kind.rows(6000, length)
    counts = kind.mask(input_ids, way).weights.sum(axis=1)
    expected = length * RATE
    if way == "tokens":
        assert set(counts) <= {math.floor(expected), math.ceil(expected)}
        share = expected - math.floor(expected)
        ceilings = int((counts > math.floor(expected)).sum())
        assert abs(ceilings - len(counts) * share) <= bernstein(len(counts), share)
    assert abs(counts.mean() - expected) <= normal_limit(counts)


@WAY
def test_rows_of_special_tokens_alone_are_left_as_they_are(kind, way):
    input_ids = np.resize(kind.facts.special_ids, (50, 12)).astype(np.int32)
    masked = kind.mask(input_ids, way, mlm_probability=1.0)
    assert not masked.weights.any()
    assert np.array_equal(masked.masked_ids, input_ids)


@WAY
@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_rates_of_zero_and_one_are_exact(kind, way, rate):
    input_ids = kind.rows(50, 30)
    counts = kind.mask(input_ids, way, mlm_probability=rate).weights.sum(axis=1)
    assert set(counts) == {30 * rate}


# ---- which


@WAY
def test_no_special_token_is_chosen_and_none_is_drawn(kind, way):
    facts = kind.facts
    input_ids = kind.rows(300, 60)
    sprinkled = np.random.default_rng(5).random(input_ids.shape) < 0.3
    input_ids[sprinkled] = np.resize(facts.special_ids, sprinkled.sum())
    special = np.isin(input_ids, facts.special_ids)
    masked = kind.mask(
        input_ids,
        way,
        mlm_probability=1.0,
        max_targets=62,
        mask_replace_prob=0.0,
        random_replace_prob=1.0,
    )
    assert np.array_equal(chosen_of(masked, 62), ~special)
    assert np.array_equal(masked.masked_ids[special], input_ids[special])
    assert not np.isin(masked.masked_ids[~special], facts.special_ids).any()


@pytest.mark.parametrize("way", ["words", "spans"])
def test_words_are_never_split(kind, way):
    input_ids = np.array([[kind.facts.cls_id, *kind.stream[:400], kind.facts.sep_id]], np.int32)
    starts = np.flatnonzero(np.diff(kind.words[:400], prepend=-1))
    lengths = np.diff([*starts, 400])
    assert lengths.max() > 1
    seen = np.zeros(len(starts), bool)
    for seed in range(100):
        masked = kind.mask(input_ids, way, seed, max_targets=60)
        tokens = np.add.reduceat(chosen_of(masked, 402)[0, 1:-1], starts, dtype=int)
        assert np.isin(tokens / lengths, [0, 1]).all()
        seen |= tokens > 0
    assert seen.all()


def test_every_position_is_as_likely_in_every_epoch(kind):
    """Cells of one position of one sequence, counted over epochs: chi-square over all of them.

    That k of n are chosen, each set as likely, gives a row's counts the covariance of draws
    without replacement. Masks drawn once for all epochs would give counts of 0 and 40 alone.
    """
    sequences, length, epochs = 24, 30, 40
    batches = kind.batches(sequences, length)
    counts = np.zeros((sequences, length))
    shares = np.zeros((sequences, epochs))
    for epoch in range(epochs):
        inputs, _, weights = batches.batch_at(epoch)
        chosen = chosen_at(inputs["masked_positions"], weights, length + 2)[:, 1:-1]
        order = batches.sequence_indices(epoch)
        counts[order] += chosen
        shares[order, epoch] = chosen.mean(axis=1)
    spread = (shares * (1 - shares)).sum(axis=1, keepdims=True) * length / (length - 1)
    squares = (counts - shares.sum(axis=1, keepdims=True)) ** 2 / spread
    assert squares.sum() <= chi_square_limit(sequences * (length - 1))
    by_position = (counts.sum(axis=0) - shares.sum()) ** 2 / spread.sum()
    assert by_position.sum() <= chi_square_limit(length - 1)


@WAY
def test_positions_are_as_likely_at_the_ends_of_a_row_as_inside(kind, way):
    """With words of one token each, also for spans, whose counts hang together from place to place.

    A position's count is a sum of independent rows: each is held against its own limit.
    """
    rows, length = 20_000, 24
    input_ids = kind.rows(rows, length)
    everything = np.ones_like(kind.facts.word_starts)
    starts = {} if way == "tokens" else {"word_starts": everything}
    chosen = chosen_of(kind.mask(input_ids, way, **starts), length + 2)
    counts = chosen[:, 1:-1].sum(axis=0)
    assert np.abs(counts - rows * RATE).max() <= bernstein(rows, RATE)


def test_a_sequence_has_other_masks_in_the_next_epoch(kind):
    """The masks of two epochs have k * k / n positions in common, as two independent sets have."""
    sequences, length, epochs = 60, 40, 20  # 40 * 0.15 = 6 in each row
    batches = kind.batches(sequences, length)
    kept = np.zeros((epochs, sequences, length), bool)
    for epoch in range(epochs):
        inputs, _, weights = batches.batch_at(epoch)
        chosen = chosen_at(inputs["masked_positions"], weights, length + 2)[:, 1:-1]
        kept[epoch, batches.sequence_indices(epoch)] = chosen
    common = (kept[1:] & kept[:-1]).sum(axis=2).ravel()
    assert abs(common.mean() - 6 * 6 / 40) <= normal_limit(common)


# ---- what is shown


@pytest.mark.parametrize("way", ["tokens", "words"])
def test_eighty_ten_ten(kind, way):
    """A random word is by chance the one that stood there: such a token counts as left alone."""
    facts = kind.facts
    masked = kind.mask(kind.rows(4000, 60), way)
    used = masked.weights > 0
    shown = np.take_along_axis(masked.masked_ids, masked.masked_positions, axis=1)[used]
    labels = masked.labels[used]
    by_chance = 0.1 / len(facts.random_word_ids)
    shares = np.array([0.8, 0.1 - by_chance, 0.1 + by_chance])
    masks, kept = (shown == facts.mask_id).sum(), (shown == labels).sum()
    counts = np.array([masks, len(shown) - masks - kept, kept])
    squares = (counts - len(shown) * shares) ** 2 / (len(shown) * shares)
    assert np.isin(labels, facts.random_word_ids).all()
    assert squares.sum() <= chi_square_limit(2)


@WAY
def test_random_words_are_drawn_evenly_from_the_whole_vocabulary(kind, way):
    facts = kind.facts
    masked = kind.mask(
        kind.rows(1500, 40),
        way,
        mlm_probability=1.0,
        mask_replace_prob=0.0,
        random_replace_prob=1.0,
    )
    drawn = masked.masked_ids[:, 1:-1]
    counts = np.bincount(drawn.ravel(), minlength=facts.vocab_size)
    words = facts.random_word_ids
    assert counts.sum() == counts[words].sum() == 1500 * 40
    expected = 1500 * 40 / len(words)
    assert ((counts[words] - expected) ** 2 / expected).sum() <= chi_square_limit(len(words) - 1)


# ---- epochs


def restored(batch) -> np.ndarray:
    """The input_ids of a batch before masking."""
    inputs, labels, weights = batch
    input_ids = inputs["input_ids"].copy()
    rows, slots = np.nonzero(weights)
    input_ids[rows, inputs["masked_positions"][rows, slots]] = labels[rows, slots]
    return input_ids


@pytest.mark.parametrize("line_by_line", [False, True])
@pytest.mark.parametrize("batch_size", [1, 3, 7, 16, 40])
def test_an_epoch_is_a_permutation_whatever_the_batch_size(kind, batch_size, line_by_line):
    """Told by the tokens themselves; batches run over the borders of epochs."""
    texts = encode_texts(kind.tokenizer, TEXTS[:23])
    separated = np.array([i for text in texts for i in (*text, kind.facts.sep_id)], np.uint16)
    split = SimpleNamespace(
        tokens=separated, offsets=np.cumsum([0] + [len(text) + 1 for text in texts])
    )
    shape = {"max_seq_length": 24, "line_by_line": line_by_line}
    batches = MaskedBatches(split, kind.facts, global_batch_size=batch_size, seed=1, **shape)
    chunking = Chunking(split, kind.facts, **shape)
    size = chunking.num_sequences
    names = {row.tobytes(): i for i, row in enumerate(chunking.sequences(np.arange(size))[0])}
    assert len(names) == size > 3

    steps = -(-4 * size // batch_size)
    rows = np.concatenate([restored(batches.batch_at(step)) for step in range(steps)])
    run = np.array([names[row.tobytes()] for row in rows])[: 4 * size].reshape(4, size)
    assert all(sorted(epoch) == list(range(size)) for epoch in run.tolist())
    assert len({tuple(epoch) for epoch in run.tolist()}) == 4


def test_every_order_of_an_epoch_is_as_likely(kind):
    """All 24 orders of four sequences, over 2,400 epochs."""
    batches = kind.batches(4, 10)
    orders = Counter(tuple(batches.sequence_indices(epoch)) for epoch in range(2400))
    assert len(orders) == 24
    squares = sum((count - 100) ** 2 / 100 for count in orders.values())
    assert squares <= chi_square_limit(23)
