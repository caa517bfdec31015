"""Statistics of masking, for each kind of tokenizer and of target: tokens, words or spans.

Counts are exact. Random figures are compared with limits that a sound generator exceeds for one
seed in a million: `bernstein` for sums of independent draws, `chi_square_limit` for sums of
squares. The seeds are fixed, so that the tests are deterministic.
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
MAX_TARGETS = 40  # enough that no whole word is refused


def bernstein(trials: int, probability: float) -> float:
    """Return the limit on the deviation of a sum of independent draws of 0 or 1 from its mean."""
    bound = math.log(2 / FALSE_ALARM)
    return math.sqrt(2 * trials * probability * (1 - probability) * bound) + bound / 3


def chi_square_limit(degrees: int) -> float:
    """Return what chi-square exceeds with probability < FALSE_ALARM (Laurent, Massart 2000)."""
    bound = math.log(1 / FALSE_ALARM)
    return degrees + 2 * math.sqrt(degrees * bound) + 2 * bound


def normal_limit(values: np.ndarray) -> float:
    """Return the limit on the deviation of the mean of many independent values."""
    return 4.9 * values.std() / math.sqrt(len(values)) + 1e-12


def test_the_limits_are_those_of_the_distributions():
    """The limits are at least the standard deviations or quantiles of a false alarm of 1e-6."""
    assert bernstein(10_000, 0.5) > 4.9 * 50
    assert chi_square_limit(1) > 23.9  # the exact quantile
    assert chi_square_limit(100) > 181.3


@dataclass(frozen=True)
class Kind:
    """A tokenizer, its facts, and one long text in its ids, without a separator."""

    tokenizer: object
    facts: TokenFacts
    stream: np.ndarray  # (N,) ids
    words: np.ndarray  # (N,) the word, a run of letters or another character, of each id

    def rows(self, count: int, length: int) -> np.ndarray:
        """Return input_ids of `length` tokens of the text between [CLS] and [SEP], (count, T)."""
        positions = (np.arange(count)[:, None] * 7 + np.arange(length)) % (
            len(self.stream) - length
        )
        ends = np.full((count, 1), self.facts.cls_id), np.full((count, 1), self.facts.sep_id)
        return np.hstack([ends[0], self.stream[positions], ends[1]]).astype(np.int32)

    def mask(self, input_ids: np.ndarray, way: str, seed: int = 0, **changes) -> Masked:
        settings = {
            "mlm_probability": RATE,
            "max_targets": MAX_TARGETS,
            "mask_token_id": self.facts.mask_id,
            "random_word_ids": self.facts.random_word_ids,
            "word_starts": None if way == "tokens" else self.facts.words.starts(input_ids),
            "span_mask": way == "spans",
        }
        special = np.isin(input_ids, self.facts.special_ids)
        return mask_tokens(input_ids, special, np.random.default_rng(seed), **(settings | changes))

    def batches(self, num_sequences: int, length: int, **changes) -> MaskedBatches:
        """Return batches of sequences of `length` candidates each, without a separator."""
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
        words += [len(words) + start for start in words_of(text, found["offset_mapping"])]
    assert not np.isin(ids, facts.special_ids).any()
    return Kind(tokenizer, facts, np.array(ids), np.array(words))


def words_of(text: str, offsets: list[tuple[int, int]]) -> list[int]:
    """Return where each token's word begins in the text: a run of letters, or another character."""
    beginnings = []
    for start, end in offsets:
        begin = next((i for i in range(start, end) if not text[i].isspace()), end)
        while begin and text[begin : begin + 1].isalnum() and text[begin - 1].isalnum():
            begin -= 1
        beginnings.append(begin)
    return beginnings


def targets_of(masked: Masked, length: int) -> np.ndarray:
    """Return the targets as a mask, (B, length) bool."""
    return target_mask(masked.masked_positions, masked.weights, length)


def target_mask(positions: np.ndarray, weights: np.ndarray, length: int) -> np.ndarray:
    chosen = np.zeros((len(weights), length), bool)
    rows, entries = np.nonzero(weights)
    chosen[rows, positions[rows, entries]] = True
    return chosen


# ---- the number of targets


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
def test_rows_of_special_tokens_are_unchanged(kind, way):
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


# ---- their positions


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
    assert np.array_equal(targets_of(masked, 62), ~special)
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
        tokens = np.add.reduceat(targets_of(masked, 402)[0, 1:-1], starts, dtype=int)
        assert np.isin(tokens / lengths, [0, 1]).all()
        seen |= tokens > 0
    assert seen.all()


def test_every_position_is_as_likely_in_every_epoch(kind):
    """Count each position of each sequence over the epochs, and take chi-square over all of them.

    If k of n are chosen and each set is equally likely, a row's counts have the covariance of draws
    without replacement. Masks drawn once for all epochs would only give counts of 0 and 40.
    """
    sequences, length, epochs = 24, 30, 40
    batches = kind.batches(sequences, length)
    counts = np.zeros((sequences, length))
    shares = np.zeros((sequences, epochs))
    for epoch in range(epochs):
        inputs, _, weights = batches.batch_at(epoch)
        chosen = target_mask(inputs["masked_positions"], weights, length + 2)[:, 1:-1]
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
    """Use words of one token. The counts of spans correlate from position to position.

    Therefore each position's count, a sum over independent rows, is compared with its own limit.
    """
    rows, length = 20_000, 24
    input_ids = kind.rows(rows, length)
    everything = np.ones(input_ids.shape, bool)
    starts = {} if way == "tokens" else {"word_starts": everything}
    chosen = targets_of(kind.mask(input_ids, way, **starts), length + 2)
    counts = chosen[:, 1:-1].sum(axis=0)
    assert np.abs(counts - rows * RATE).max() <= bernstein(rows, RATE)


def test_a_sequence_has_other_masks_in_the_next_epoch(kind):
    """Two epochs share k * k / n positions on average, as two independent sets do."""
    sequences, length, epochs = 60, 40, 20  # 40 * 0.15 = 6 in each row
    batches = kind.batches(sequences, length)
    kept = np.zeros((epochs, sequences, length), bool)
    for epoch in range(epochs):
        inputs, _, weights = batches.batch_at(epoch)
        chosen = target_mask(inputs["masked_positions"], weights, length + 2)[:, 1:-1]
        kept[epoch, batches.sequence_indices(epoch)] = chosen
    common = (kept[1:] & kept[:-1]).sum(axis=2).ravel()
    assert abs(common.mean() - 6 * 6 / 40) <= normal_limit(common)


# ---- their replacements


@pytest.mark.parametrize("way", ["tokens", "words"])
def test_eighty_ten_ten(kind, way):
    """A random word may equal the original token, which then counts as unchanged."""
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


def unmask(batch) -> np.ndarray:
    """Return the input_ids of a batch before masking."""
    inputs, labels, weights = batch
    input_ids = inputs["input_ids"].copy()
    rows, entries = np.nonzero(weights)
    input_ids[rows, inputs["masked_positions"][rows, entries]] = labels[rows, entries]
    return input_ids


@pytest.mark.parametrize("line_by_line", [False, True])
@pytest.mark.parametrize("batch_size", [1, 3, 7, 16, 40])
def test_an_epoch_is_a_permutation_whatever_the_batch_size(kind, batch_size, line_by_line):
    """Sequences are recognized by their tokens; batches cross the ends of epochs."""
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
    rows = np.concatenate([unmask(batches.batch_at(step)) for step in range(steps)])
    run = np.array([names[row.tobytes()] for row in rows])[: 4 * size].reshape(4, size)
    assert all(sorted(epoch) == list(range(size)) for epoch in run.tolist())
    assert len({tuple(epoch) for epoch in run.tolist()}) == 4


def test_every_order_of_an_epoch_is_as_likely(kind):
    """Count all 24 orders of four sequences over 2,400 epochs."""
    batches = kind.batches(4, 10)
    orders = Counter(tuple(batches.sequence_indices(epoch)) for epoch in range(2400))
    assert len(orders) == 24
    squares = sum((count - 100) ** 2 / 100 for count in orders.values())
    assert squares <= chi_square_limit(23)
