"""Many rows filled: as each alone, in chunks, with an error in place of a bad row."""

import pytest

from mlm.inference import row_filling
from mlm.inference.fill_mask import FillMask
from mlm.inference.row_filling import RowResult, fill_rows
from mlm.inference.row_reading import Row, rows_of
from tests.support.fake_checkpoint import fake_checkpoint

SENTENCE = "I have watched this [MASK] and it was awesome."


@pytest.fixture
def fill() -> FillMask:
    return FillMask(fake_checkpoint(), "fake")


def fill_all(model: FillMask, rows, top_k: int = 3) -> list[RowResult]:
    return list(fill_rows(model, rows, top_k))


def test_rows_are_filled_as_each_alone(fill):
    texts = [SENTENCE, "[MASK] and [MASK]", "the [MASK]"] * 30
    results = fill_all(fill, rows_of(texts))
    assert [result.number for result in results] == list(range(1, 91))
    assert [result.filling.as_pipeline() for result in results] == [fill(t, 3) for t in texts]
    assert {result.error for result in results} == {None}


def test_only_the_bad_rows_get_an_error(fill):
    texts = [SENTENCE, "no gap", None, "[MASK] \ud800", "x" * 900_000, "[MASK] " * 40, SENTENCE]
    results = fill_all(fill, [*rows_of(texts), Row(8, "", "unreadable"), Row(9, "a\0 [MASK]\0")])
    assert [result.number for result in results if result.filling] == [1, 7, 9]
    found = ["no mask", "NoneType", "surrogate", "900,000 characters", "40 masks", "unreadable"]
    for result, message in zip([*results[1:6], results[7]], found, strict=True):
        assert message in result.error
    assert results[0].filling.as_pipeline() == results[6].filling.as_pipeline() == fill(SENTENCE, 3)


def test_no_rows_give_no_results_and_top_k_ends_at_the_vocabulary(fill):
    assert fill_all(fill, []) == []
    assert len(fill_all(fill, rows_of([SENTENCE]), 10**6)[0].filling.masks[0]) == fill.vocab_size


def test_a_call_of_the_model_has_many_rows_and_few_masks(fill):
    fill_all(fill, rows_of([SENTENCE] * 64))
    assert [shape[0] for shape in fill.checkpoint.model.shapes] == [32, 32]
    masks_per_call = []
    answer = fill.answer
    fill.answer = lambda texts, *more, **options: (
        masks_per_call.append(sum(len(text.spans) for text in texts))
        or answer(texts, *more, **options)
    )
    fill_all(fill, rows_of(["[MASK] " * 30] * 5 + ["[MASK]"] * 10))
    assert masks_per_call == [60, 60, 40]


def test_each_text_is_encoded_once_even_beside_a_bad_row(fill, monkeypatch):
    encoded = []
    encode = fill.predictor.encode_with_offsets
    monkeypatch.setattr(
        fill.predictor, "encode_with_offsets", lambda text: encoded.append(text) or encode(text)
    )
    results = fill_all(fill, rows_of(["a [MASK]", "no gap", "the [MASK]"]))
    assert [result.error is None for result in results] == [True, False, True]
    assert encoded == ["a [MASK]", "the [MASK]"]


def test_an_answer_that_would_be_huge_is_refused_row_by_row(fill, monkeypatch):
    monkeypatch.setattr(row_filling, "MAX_ANSWER", 3 * len(SENTENCE) * 3 + 3 * len("[MASK]"))
    results = fill_all(fill, rows_of([SENTENCE, "[MASK]", SENTENCE, SENTENCE, SENTENCE, "no gap"]))
    assert [result.number for result in results if result.filling] == [1, 2, 3, 4]
    assert "ask for fewer words or fewer rows" in results[4].error
    assert "no mask" in results[5].error


def test_results_come_before_all_rows_are_filled(fill):
    results = fill_rows(fill, rows_of([SENTENCE] * 100), 1)
    next(results)
    assert len(fill.checkpoint.model.shapes) == 1
