"""Unknown words and dropped characters of a text: said with every answer to it."""

import pytest

from mlm.inference.comparison import compare_models, compare_texts
from mlm.inference.fill_mask import FillMask
from mlm.inference.masked_example import mask_example
from mlm.inference.reading_losses import list_some
from tests.support.fake_checkpoint import byte_level_tokenizer, fake_checkpoint

KNOWS_NONE = (
    "The model knows no word of this text: none is in its vocabulary, and each is read as an "
    "unknown word."
)
FOREIGN = "Фильм 電 [MASK] !"


@pytest.fixture(scope="module")
def fill() -> FillMask:
    return FillMask(fake_checkpoint(), "fake")


@pytest.fixture(scope="module")
def byte_level() -> FillMask:
    return FillMask(fake_checkpoint(byte_level_tokenizer(), {}), "bpe")


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("the film [MASK] .", None),
        ("[MASK]", None),
        ("🎬 [MASK] !", "Not in the model's vocabulary, read as unknown: 🎬."),
        ("the 🎬 [MASK] Фильм", "Not in the model's vocabulary, read as unknown: 🎬, Фильм."),
        ("Фильм [MASK] !", KNOWS_NONE),
        ("Фильм ___ !", f"___ was read as [MASK]. {KNOWS_NONE}"),
        ("the fi\u0010lm [MASK]", "Dropped by the tokenizer, not seen by the model: U+0010."),
        (
            "t\bhe \U000fe4fa [MASK] \b",
            "Dropped by the tokenizer, not seen by the model: U+0008 (2 times), U+FE4FA.",
        ),
        ("naïve nai\u0308ve the [MASK] \u00a0\u3000x", None),
        ("the a\u0941 [MASK]", "Dropped by the tokenizer, not seen by the model: U+0941."),
    ],
)
def test_what_the_model_does_not_see_is_said(fill, text, note):
    assert fill.read(text).note == note


def test_bytes_leave_nothing_out(byte_level):
    assert byte_level.read("Фильм \u0010 🎬 ___").note == "___ was read as <mask>."


def test_words_of_a_note_are_few_and_short():
    assert list_some(["a", "b", "a", "c" * 30, "d", "e"]) == f"a, b, {'c' * 20} and 2 more"


def test_every_answer_to_a_text_of_unknown_words_has_a_note(fill):
    answer = fill(FOREIGN, top_k=2)
    assert [candidate["note"] for candidate in answer] == [KNOWS_NONE] * 2
    assert "note" not in fill("the [MASK]")[0]
    assert [list(mask[0])[-1] for mask in fill("Фильм [MASK] [MASK]")] == ["note", "note"]
    (compared,) = compare_texts(fill, "the [MASK]", FOREIGN, 3)
    assert compared.as_dict()["note"] == f"For the second text: {KNOWS_NONE}"
    (compared,) = compare_models(fill, fill, FOREIGN, 3)
    assert compared.note == f"For fake: {KNOWS_NONE} For fake: {KNOWS_NONE}"
    assert "note" not in compare_models(fill, fill, "the [MASK]", 3)[0].as_dict()
    example = mask_example(fill.predictor, fill.vocabulary, fill.token_facts, "Фильм !", seed=1)
    assert example.note == KNOWS_NONE


def test_dropped_characters_are_told_in_the_score(fill):
    dropped = "Dropped by the tokenizer, not seen by the model:"
    assert fill.score("the \U000fe4fa film").note == f"{dropped} U+FE4FA."
    found = fill.score("T\bhe \u0010 film is fi\u0010lm 🎬")
    assert found.note.startswith("Left out of the sums, not in the model's vocabulary: 🎬. ")
    assert found.note.endswith(f"{dropped} U+0008, U+0010 (2 times).")
    assert fill.score("the film").note is None
