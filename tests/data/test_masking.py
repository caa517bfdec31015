"""Masking: degenerate rates are exact; rates and positions hold over many rows, seeds fixed."""

import math

import numpy as np
import pytest

from mlm.data.batches.mask_choice import (
    SPAN_LENGTH_PROBS,
    SPAN_LENGTHS,
    choose_target_spans,
    draw_budgets,
    number_words,
)
from mlm.data.batches.masking import RateSchedule, mask_tokens, max_targets_per_row

CLS, SEP, PAD, MASK = 1, 2, 0, 3
FIRST_WORD = 10  # ids 10..99 are words; random words are drawn from 100..109
RANDOM_WORDS = np.arange(100, 110, dtype=np.int32)
VOCAB_SIZE = 110


def rows_of(*lengths, length=None):
    """Return input_ids and special_tokens_mask of rows of so many words, with [CLS] and [SEP]."""
    length = length or max(lengths) + 2
    input_ids = np.full((len(lengths), length), PAD, np.int32)
    for row, count in zip(input_ids, lengths, strict=True):
        row[0], row[count + 1] = CLS, SEP
        row[1 : count + 1] = FIRST_WORD + np.arange(count) % 90
    return input_ids, input_ids < FIRST_WORD


def mask(input_ids, special, seed=0, **changes):
    settings = {
        "mlm_probability": 0.15,
        "max_targets": max_targets_per_row(input_ids.shape[1], 0.15),
        "mask_token_id": MASK,
        "random_word_ids": RANDOM_WORDS,
    }
    return mask_tokens(input_ids, special, np.random.default_rng(seed), **(settings | changes))


def target_columns(masked, row):
    return masked.masked_positions[row][masked.weights[row] > 0].tolist()


def assert_binomial(count, trials, probability):
    """Allow four standard deviations, which a sound generator exceeds for one seed in 16,000."""
    deviation = math.sqrt(trials * probability * (1 - probability))
    assert abs(count - trials * probability) <= 4 * deviation, (count, trials * probability)


# ---- the number of targets


@pytest.mark.parametrize(
    ("length", "rate", "targets"),
    [(128, 0.15, 19), (128, 0.3, 38), (22, 0.15, 3), (12, 0.5, 5), (12, 1, 10), (12, 0, 1)],
)
def test_max_targets_per_row(length, rate, targets):
    assert max_targets_per_row(length, rate) == targets


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.15, 0.3, 0.5, 0.999, 1.0])
@pytest.mark.parametrize("length", [3, 4, 12, 102, 128])
def test_max_targets_is_the_largest_draw(length, rate):
    largest_draw = 1 - 1e-9
    candidates = length - 2
    most = min(candidates, math.floor(candidates * rate + largest_draw))
    assert max_targets_per_row(length, rate) == max(1, most)


# ---- degenerate rates


def test_rate_one_chooses_every_candidate_in_order():
    input_ids, special = rows_of(10, 4, 1)
    masked = mask(
        input_ids,
        special,
        mlm_probability=1,
        max_targets=10,
        mask_replace_prob=1,
        random_replace_prob=0,
    )
    for row, count in enumerate([10, 4, 1]):
        assert target_columns(masked, row) == list(range(1, count + 1))
        assert masked.labels[row, :count].tolist() == input_ids[row, 1 : count + 1].tolist()
    assert np.array_equal(masked.masked_ids, np.where(special, input_ids, MASK))


def test_rate_zero_chooses_nothing():
    input_ids, special = rows_of(10, 4)
    masked = mask(input_ids, special, mlm_probability=0.0)
    assert not masked.weights.any()
    assert not masked.labels.any()
    assert not masked.masked_positions.any()
    assert np.array_equal(masked.masked_ids, input_ids)


def test_rows_without_candidates_get_no_target():
    input_ids, special = rows_of(0, 0, length=8)
    masked = mask(input_ids, special, mlm_probability=1.0)
    assert not masked.weights.any()
    assert np.array_equal(masked.masked_ids, input_ids)


@pytest.mark.parametrize("whole_words", [False, True])
def test_rows_of_no_one_and_two_tokens(whole_words):
    input_ids, special = rows_of(0, 1, 2, length=8)
    starts = np.ones(input_ids.shape, bool) if whole_words else None
    masked = mask(input_ids, special, mlm_probability=1.0, max_targets=6, word_starts=starts)
    assert [target_columns(masked, row) for row in range(3)] == [[], [1], [1, 2]]


def test_mask_replace_prob_one_masks_the_chosen_and_nothing_else():
    input_ids, special = rows_of(40, 30)
    masked = mask(input_ids, special, mask_replace_prob=1, random_replace_prob=0)
    changed = masked.masked_ids != input_ids
    assert (masked.masked_ids[changed] == MASK).all()
    assert changed.sum() == masked.weights.sum() > 0


def test_random_replace_prob_one_draws_from_the_list_alone():
    input_ids, special = rows_of(40, 30)
    masked = mask(input_ids, special, mask_replace_prob=0, random_replace_prob=1)
    changed = masked.masked_ids != input_ids
    assert np.isin(masked.masked_ids[changed], RANDOM_WORDS).all()
    assert changed.sum() == masked.weights.sum() > 0


def test_replace_probs_zero_leave_the_text_but_predict_it():
    input_ids, special = rows_of(40, 30)
    masked = mask(input_ids, special, mask_replace_prob=0, random_replace_prob=0)
    assert np.array_equal(masked.masked_ids, input_ids)
    assert masked.weights.sum() > 0


# ---- the arrays


def test_shapes_types_and_untouched_input():
    input_ids, special = rows_of(20, 20, 5)
    before = input_ids.copy()
    masked = mask(input_ids, special, max_targets=7)
    assert masked.masked_ids.shape == input_ids.shape
    assert {part.shape for part in masked[1:]} == {(3, 7)}
    assert [part.dtype for part in masked] == [np.int32, np.int32, np.int32, np.float32]
    assert np.array_equal(input_ids, before)


def test_labels_are_the_original_tokens():
    input_ids, special = rows_of(60, 60, 12)
    masked = mask(input_ids, special, mlm_probability=0.4, max_targets=25)
    used = masked.weights > 0
    found = np.take_along_axis(input_ids, masked.masked_positions, axis=1)
    assert np.array_equal(masked.labels, np.where(used, found, 0))
    for row in range(3):
        columns = target_columns(masked, row)
        assert columns == sorted(set(columns))


def test_same_generator_state_same_masks_other_state_others():
    input_ids, special = rows_of(60, 60)
    first, again, other = (mask(input_ids, special, seed=seed) for seed in (5, 5, 6))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first.masked_positions, other.masked_positions)


# ---- statistics


def test_special_tokens_are_never_chosen_nor_changed():
    input_ids, special = rows_of(30, 3, 17, 0, length=32)
    input_ids[0, 12] = SEP  # the end of a document inside a packed row
    special = input_ids < FIRST_WORD
    for seed in range(200):
        masked = mask(input_ids, special, seed, mlm_probability=0.5, max_targets=15)
        used = masked.weights > 0
        assert not np.take_along_axis(special, masked.masked_positions, axis=1)[used].any()
        assert np.array_equal(masked.masked_ids[special], input_ids[special])


def test_number_chosen_is_the_floor_or_one_more():
    input_ids, special = rows_of(*[30] * 64)  # 30 * 0.15 = 4.5
    counts = mask(input_ids, special).weights.sum(axis=1)
    assert set(counts) == {4, 5}


@pytest.mark.parametrize("count", [1, 2, 5])
def test_short_rows_are_chosen_at_the_rate_too(count):
    input_ids, special = rows_of(*[count] * 4000)
    chosen = mask(input_ids, special, max_targets=1).weights.sum()
    # floor(n p + u) with n p < 1 is one draw of probability n p.
    assert_binomial(chosen, 4000, count * 0.15)


def test_no_row_exceeds_its_max_targets():
    input_ids, special = rows_of(30, 30)
    masked = mask(input_ids, special, mlm_probability=0.5, max_targets=3)
    assert masked.weights.sum(axis=1).tolist() == [3, 3]


def test_eighty_ten_ten():
    input_ids, special = rows_of(*[80] * 64)
    chosen = masks = randoms = 0
    for seed in range(40):
        masked = mask(input_ids, special, seed)
        chosen += int(masked.weights.sum())
        masks += int((masked.masked_ids == MASK).sum())
        randoms += int(np.isin(masked.masked_ids, RANDOM_WORDS).sum())
    assert chosen == 12 * 64 * 40  # 80 * 0.15 is whole: nothing to round
    assert_binomial(masks, chosen, 0.8)
    assert_binomial(randoms, chosen, 0.1)
    assert_binomial(chosen - masks - randoms, chosen, 0.1)


def test_random_words_are_drawn_evenly():
    input_ids, special = rows_of(*[80] * 64)
    masked = mask(
        input_ids,
        special,
        mlm_probability=1,
        max_targets=80,
        mask_replace_prob=0,
        random_replace_prob=1,
    )
    counts = np.bincount(masked.masked_ids[~special], minlength=VOCAB_SIZE)[RANDOM_WORDS]
    for count in counts:
        assert_binomial(count, 64 * 80, 1 / len(RANDOM_WORDS))


@pytest.mark.parametrize("whole_words", [False, True])
def test_every_position_is_as_likely(whole_words):
    input_ids, special = rows_of(*[40] * 100)
    starts = np.ones(input_ids.shape, bool) if whole_words else None
    counts = np.zeros(42)
    for seed in range(40):
        masked = mask(input_ids, special, seed, word_starts=starts)
        counts += np.bincount(masked.masked_positions[masked.weights > 0], minlength=42)
    assert counts.sum() == 6 * 100 * 40
    assert counts[0] == counts[41] == 0
    for count in counts[1:41]:
        assert_binomial(count, 100 * 40, 0.15)


# ---- whole words


def words_of(lengths, num_rows):
    """Return input_ids, special, word_starts and each column's word, for words of these lengths."""
    length = sum(lengths) + 2
    starts = np.zeros(VOCAB_SIZE, bool)
    starts[FIRST_WORD::2] = True  # even ids begin a word, odd ones continue it
    row = [CLS]
    word_of_column = [-1]
    for word, count in enumerate(lengths):
        row += [FIRST_WORD] + [FIRST_WORD + 1] * (count - 1)
        word_of_column += [word] * count
    input_ids = np.array([[*row, SEP]] * num_rows, np.int32)
    return (
        input_ids,
        input_ids < FIRST_WORD,
        starts[input_ids],
        np.array([*word_of_column, -1])[:length],
    )


def assert_words_whole(masked, word_of_column):
    for row in range(len(masked.weights)):
        columns = target_columns(masked, row)
        words = set(word_of_column[columns])
        assert len(columns) == np.isin(word_of_column, list(words)).sum()


@pytest.mark.parametrize("rate", [0.15, 0.3, 0.5, 1.0])
def test_words_are_never_split_nor_max_targets_exceeded(rate):
    lengths = [1, 3, 2, 1, 1, 4, 2, 1, 1, 2, 1, 1, 3, 1]
    input_ids, special, starts, word_of_column = words_of(lengths, num_rows=500)
    most = max_targets_per_row(input_ids.shape[1], rate)
    masked = mask(input_ids, special, mlm_probability=rate, max_targets=most, word_starts=starts)
    assert_words_whole(masked, word_of_column)
    assert masked.weights.sum(axis=1).max() == most


def test_whole_words_at_rate_one_and_zero():
    input_ids, special, starts, _ = words_of([2, 1, 3], num_rows=4)
    every = mask(input_ids, special, mlm_probability=1.0, max_targets=6, word_starts=starts)
    assert every.weights.all()
    assert every.masked_positions.tolist() == [[1, 2, 3, 4, 5, 6]] * 4
    assert not mask(input_ids, special, mlm_probability=0.0, word_starts=starts).weights.any()


def test_whole_words_keep_the_rate():
    input_ids, special, starts, word_of_column = words_of([2, 1, 1, 2, 3, 1] * 10, num_rows=1000)
    # Room to spare, so that no word is refused.
    masked = mask(input_ids, special, max_targets=20, word_starts=starts)
    assert_words_whole(masked, word_of_column)
    mean = masked.weights.sum(axis=1).mean()
    spread = masked.weights.sum(axis=1).std() / math.sqrt(1000)
    assert abs(mean - 100 * 0.15) <= 4 * spread


def test_a_single_long_word_is_chosen_at_the_rate():
    input_ids, special, starts, _ = words_of([4], num_rows=4000)
    counts = mask(input_ids, special, max_targets=4, word_starts=starts).weights.sum(axis=1)
    assert set(counts) == {0, 4}
    assert_binomial((counts == 4).sum(), 4000, 0.15)


def test_a_word_longer_than_max_targets_does_not_block_the_others():
    input_ids, special, starts, word_of_column = words_of([9, 1, 1, 1, 1, 1], num_rows=300)
    masked = mask(input_ids, special, mlm_probability=0.2, max_targets=3, word_starts=starts)
    counts = masked.weights.sum(axis=1)
    assert counts.min() >= 2  # 14 * 0.2 = 2.8: two or three short words, always
    assert not (word_of_column[masked.masked_positions[masked.weights > 0]] == 0).any()


@pytest.mark.parametrize("span_mask", [False, True])
@pytest.mark.parametrize("lengths", [[4] * 10, [40], [7, 9, 3, 11, 10]])
def test_words_that_are_cut_keep_every_row_at_the_rate(lengths, span_mask):
    """40 tokens at 15 % are 6 targets, and no more fit: whole words alone would give 0 to 4."""
    input_ids, special, starts, word_of_column = words_of(lengths, num_rows=200)
    options = {"max_targets": 6, "word_starts": starts, "span_mask": span_mask}
    whole = mask(input_ids, special, **options)
    assert whole.weights.sum(axis=1).max() <= 4 * (max(lengths) == 4) + 3 * (3 in lengths)
    cut = mask(input_ids, special, cut_words=True, **options)
    assert set(cut.weights.sum(axis=1)) == {6}
    for row in range(200):
        columns = np.array(target_columns(cut, row))
        words = word_of_column[columns]
        in_part = [w for w in set(words) if (words == w).sum() < lengths[w]]
        assert len(in_part) <= 1
        for word in in_part:  # its tokens are side by side
            assert np.ptp(columns[words == word]) == (words == word).sum() - 1


def test_every_token_of_a_word_that_is_cut_is_chosen_sometimes():
    input_ids, special, starts, _ = words_of([40], num_rows=2000)
    masked = mask(input_ids, special, max_targets=6, word_starts=starts, cut_words=True)
    firsts = np.bincount(masked.masked_positions[:, 0], minlength=42)
    assert not firsts[[0, *range(36, 42)]].any()
    for count in firsts[1:36]:
        assert_binomial(count, 2000, 1 / 35)


def test_words_with_room_are_the_same_with_and_without_cutting():
    input_ids, special, starts, _ = words_of([2, 1, 1, 2, 3, 1] * 10, num_rows=300)
    options = {"max_targets": 20, "word_starts": starts}
    whole, cut = (mask(input_ids, special, cut_words=cut, **options) for cut in (False, True))
    assert all(np.array_equal(*pair) for pair in zip(whole, cut, strict=True))


def test_a_word_starts_after_a_special_token_whatever_its_id():
    inner = FIRST_WORD + 1
    input_ids = np.array([[CLS, inner, inner, SEP, inner, SEP]] * 200, np.int32)
    starts = np.zeros(input_ids.shape, bool)
    masked = mask(
        input_ids, input_ids < FIRST_WORD, mlm_probability=0.34, max_targets=2, word_starts=starts
    )
    seen = {tuple(target_columns(masked, row)) for row in range(200)}
    assert {(1, 2), (4,)} <= seen <= {(), (1, 2), (4,)}


def test_tokens_of_one_word_are_corrupted_each_on_its_own():
    input_ids, special, starts, _ = words_of([2], num_rows=400)
    masked = mask(
        input_ids,
        special,
        mlm_probability=1,
        max_targets=2,
        word_starts=starts,
        mask_replace_prob=0.5,
        random_replace_prob=0,
    )
    both = (masked.masked_ids[:, 1:3] == MASK).sum(axis=1)
    assert_binomial((both == 1).sum(), 400, 0.5)
    assert_binomial((both == 2).sum(), 400, 0.25)


# ---- spans


def mask_spans(input_ids, special, seed=0, **changes):
    """Return mask() in spans, and the span of each target column, -1 elsewhere: (B, T)."""
    starts = np.ones(input_ids.shape, bool)
    settings = {"mlm_probability": 0.3, "max_targets": 40, "word_starts": starts} | changes
    masked = mask(input_ids, special, seed, span_mask=True, **settings)
    rng = np.random.default_rng(seed)  # repeats the draws of mask()
    most, starts = settings["max_targets"], settings["word_starts"]
    budgets = draw_budgets((~special).sum(axis=1), settings["mlm_probability"], most, rng)
    chosen, spans = choose_target_spans(number_words(~special, starts), budgets, most, rng)
    return masked, np.where(chosen, spans, -1)


def test_span_lengths_are_those_of_spanbert():
    assert SPAN_LENGTH_PROBS.sum() == pytest.approx(1)
    assert (SPAN_LENGTHS * SPAN_LENGTH_PROBS).sum() == pytest.approx(3.8, abs=0.01)
    assert SPAN_LENGTH_PROBS[1:] / SPAN_LENGTH_PROBS[:-1] == pytest.approx(0.8)


def test_spans_have_the_drawn_lengths():
    input_ids, special = rows_of(*[600] * 100)
    _, spans = mask_spans(input_ids, special, mlm_probability=1.0, max_targets=600)
    # All words are chosen; the first forty spans take at most 400 words, so all are complete.
    lengths = np.array([np.bincount(row[row >= 0])[:40] for row in spans])
    counts = np.bincount(lengths.ravel(), minlength=11)
    assert counts[0] == 0
    assert len(counts) == 11
    for count, share in zip(counts[1:], SPAN_LENGTH_PROBS, strict=True):
        assert_binomial(count, 4000, share)


def test_a_span_is_words_in_a_row():
    lengths = [1, 3, 2, 1, 1, 4, 2, 1, 1, 2, 1, 1, 3, 1] * 3
    input_ids, special, starts, word_of_column = words_of(lengths, num_rows=300)
    masked, spans = mask_spans(input_ids, special, word_starts=starts)
    assert_words_whole(masked, word_of_column)
    several = 0
    for row in spans:
        for span in set(row[row >= 0]):
            words = np.unique(word_of_column[row == span])
            gaps = np.diff(np.append(words, words[0] + len(lengths)))  # around the ring
            assert (gaps != 1).sum() <= 1
            assert len(words) <= 10
            several += len(words) > 1
    assert several > 300


def test_a_row_of_spans_ends_with_its_budget():
    input_ids, special = rows_of(*[60] * 400)  # words of one token: nothing to round
    masked, _ = mask_spans(input_ids, special)
    assert set(masked.weights.sum(axis=1)) == {18}
    assert set(mask_spans(input_ids, special, max_targets=7)[0].weights.sum(axis=1)) == {7}


def test_spans_keep_the_rate():
    input_ids, special, starts, _ = words_of([2, 1, 1, 2, 3, 1] * 10, num_rows=1000)
    counts = mask_spans(input_ids, special, word_starts=starts)[0].weights.sum(axis=1)
    assert abs(counts.mean() - 100 * 0.3) <= 4 * counts.std() / math.sqrt(1000)


def test_spans_at_rate_one_and_zero_and_in_rows_of_few_tokens():
    input_ids, special = rows_of(0, 1, 2, 9, length=12)
    every, _ = mask_spans(input_ids, special, mlm_probability=1.0)
    assert [len(target_columns(every, row)) for row in range(4)] == [0, 1, 2, 9]
    assert not mask_spans(input_ids, special, mlm_probability=0.0)[0].weights.any()


def test_tokens_of_a_span_share_an_outcome_but_not_a_random_word():
    input_ids, special = rows_of(*[60] * 600)
    masked, spans = mask_spans(input_ids, special)
    kinds = np.select(
        [masked.masked_ids == MASK, np.isin(masked.masked_ids, RANDOM_WORDS)], [0, 1], 2
    )
    outcomes, alike, varied = [], 0, False
    for row, shown, ids in zip(spans, kinds, masked.masked_ids, strict=True):
        in_row = []
        for span in sorted(set(row[row >= 0])):
            (outcome,) = set(shown[row == span])
            in_row.append(outcome)
            varied |= outcome == 1 and len(set(ids[row == span])) > 1
        alike += in_row[0] == in_row[1]
        outcomes += in_row
    assert varied
    for outcome, share in enumerate((0.8, 0.1, 0.1)):
        assert_binomial(outcomes.count(outcome), len(outcomes), share)
    assert_binomial(alike, 600, 0.8**2 + 0.1**2 + 0.1**2)  # spans of a row are independent


def test_spans_need_words():
    with pytest.raises(ValueError, match="spans are made of words"):
        mask(*rows_of(5), span_mask=True)


# ---- a changing rate


def test_the_rate_is_linear_from_the_first_step_to_the_last():
    schedule = RateSchedule(0.3, 0.15, total_steps=4)
    assert [schedule.at(step) for step in range(6)] == pytest.approx(
        [0.3, 0.25, 0.2, 0.15, 0.15, 0.15]
    )
    assert (schedule.at(0), schedule.at(3)) == (0.3, 0.15)  # exactly
    assert schedule.highest == 0.3
    assert RateSchedule(0.1, 0.4, total_steps=7).highest == 0.4


def test_a_constant_rate():
    schedule = RateSchedule(0.15)
    assert {schedule.at(step) for step in (0, 1, 10**9)} == {schedule.highest} == {0.15}
    assert RateSchedule(0.3, 0.15, total_steps=1).at(0) == 0.3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ((-0.1,), r"mlm_probability is -0\.1"),
        ((0.3, 1.5, 10), r"final_mlm_probability is 1\.5"),
        ((0.3, 0.15), r"final_mlm_probability is 0\.15 and total_steps None"),
        ((0.3, None, 10), "final_mlm_probability is None and total_steps 10"),
        ((0.3, 0.15, 0), "total_steps is 0"),
    ],
)
def test_a_wrong_schedule_is_named(settings, message):
    with pytest.raises(ValueError, match=message):
        RateSchedule(*settings)


# ---- wrong arguments


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mlm_probability": 1.5}, r"mlm_probability is 1\.5"),
        ({"mlm_probability": float("nan")}, "mlm_probability is nan"),
        ({"mask_replace_prob": -0.1}, r"mask_replace_prob is -0\.1"),
        ({"mask_replace_prob": 0.8, "random_replace_prob": 0.3}, r"add up to 1\.1"),
        ({"random_word_ids": np.empty(0, np.int32)}, "no random word"),
        ({"max_targets": 0}, "max_targets is 0"),
    ],
)
def test_wrong_settings_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        mask(*rows_of(5), **changes)


def test_wrong_arrays_are_named():
    input_ids, special = rows_of(5)
    with pytest.raises(ValueError, match=r"\(1, 7\).*\(1, 6\)"):
        mask(input_ids, special[:, :-1])
    with pytest.raises(ValueError, match="special_tokens_mask is int64"):
        mask(input_ids, special.astype(np.int64))


def test_a_length_without_room_is_refused():
    with pytest.raises(ValueError, match="max_seq_length is 2"):
        max_targets_per_row(2, 0.15)
