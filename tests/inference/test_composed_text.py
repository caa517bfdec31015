"""Unicode forms: texts typed in any form give one answer, and stay as they were typed."""

import unicodedata

import numpy as np
import pytest

from mlm.data.texts.clean_text import clean_text
from mlm.inference.composed_text import compose_text
from mlm.inference.fill_mask import FillMask
from tests.support.script_tokenizers import KINDS
from tests.support.small_models import save_random_checkpoint

TEXTS = ["Le café de l'été est naïf.", "Ein Mädchen hört Bücher.", "La niña comió piñas é à."] * 3
SENTENCE = "Le café ___ l'été"


def decomposed(text: str) -> str:
    return unicodedata.normalize("NFD", text)


@pytest.fixture(scope="module", params=["wordpiece", "byte-level", "unigram"])
def fill(request, tmp_path_factory) -> FillMask:
    """A random model whose tokenizer keeps accents."""
    tokenizer = KINDS[request.param]([unicodedata.normalize("NFC", text) for text in TEXTS])
    folder = tmp_path_factory.mktemp("accents")
    return FillMask.from_pretrained(save_random_checkpoint(folder, tokenizer, "bert"))


def test_both_forms_get_the_same_words_and_keep_the_text(fill):
    composed, typed = fill(SENTENCE), fill(decomposed(SENTENCE))
    assert [(c["token"], c["score"]) for c in composed] == [(t["token"], t["score"]) for t in typed]
    assert [decomposed(c["sequence"]) for c in composed] == [
        decomposed(t["sequence"]) for t in typed
    ]
    assert all(t["sequence"].startswith(decomposed("Le café")) for t in typed)
    assert all(t["sequence"].endswith(decomposed("l'été")) for t in typed)


def test_targets_in_both_forms_are_one_word(fill):
    answers = [fill(SENTENCE, targets=[word]) for word in ("niña", decomposed("niña"))]
    assert answers[0][0]["token"] == answers[1][0]["token"]
    assert answers[0][0]["score"] == answers[1][0]["score"]
    assert fill.is_word(decomposed("été"))


def test_scores_are_the_same_and_words_are_where_they_were_typed(fill):
    text = "Le café est naïf, ñ à"
    composed, typed = fill.score(text), fill.score(decomposed(text))
    assert [w.log_probability for w in composed.words] == [w.log_probability for w in typed.words]
    for one, other in zip(composed.words, typed.words, strict=True):
        assert (other.text, one.text) == (decomposed(one.text), one.text)
        assert decomposed(text)[other.start : other.end] == other.text


@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKD"])
def test_texts_are_composed_as_training_texts_are(form):
    rng = np.random.default_rng(0)
    marks = "\u0301 \u0323 \u0308 \u3099 \u09be \u0dcf"
    korean = "\uac00 \uac01 \u1100 \u1161 \u11a8"
    alphabet = [*"abeo .ệかÅ", *f"{marks} {korean} \u09c7 \u0dd9 \u212b \ufb01".split()]
    for _ in range(500):
        text = unicodedata.normalize(form, "".join(rng.choice(alphabet, 12)).strip()) or "a"
        found = compose_text(text)
        assert found.text == unicodedata.normalize("NFC", text)
        if text.isprintable() and "  " not in text:
            assert found.text.strip() == clean_text(text)[0]
        for at, character in enumerate(found.text):
            start, end = found.span_in_original(at, at + 1)
            assert character in unicodedata.normalize("NFC", text[start:end])


def test_special_tokens_have_no_characters():
    found = compose_text("e\u0301a")
    assert [found.span_in_original(*span) for span in [(0, 0), (0, 1), (1, 2), (2, 2)]] == [
        (0, 0), (0, 2), (2, 3), (3, 3),
    ]  # fmt: skip
    assert compose_text("éa").span_in_original(1, 2) == (1, 2)


def test_a_mask_is_not_combined_with_an_accent():
    assert compose_text("<mask>\u0338e\u0301", "<mask>").text == "<mask>\u0338é"
    assert compose_text("<mask>\u0338e\u0301").text == "<mask≯é"
