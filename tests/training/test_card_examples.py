"""Examples of a card: answered by the saved checkpoint, in its own spelling of the mask."""

import pytest

from mlm.errors import InputError
from mlm.inference.fill_mask import FillMask
from mlm.training.card.examples import try_examples
from mlm.training.card.figures import TOP_K


def test_the_best_words_are_those_that_a_visitor_gets(tiny_bert_folder):
    texts = ["I watched this [MASK] film.", "A _ ending!"]
    tried = try_examples(tiny_bert_folder, texts)
    fill = FillMask.from_pretrained(tiny_bert_folder, engine="keras")
    assert [each["text"] for each in tried] == [texts[0], "A [MASK] ending!"]
    assert [each["output"] for each in tried] == [fill(text, top_k=TOP_K) for text in texts]


@pytest.mark.parametrize("text", ["No gap.", "[MASK] or [MASK].", "[MASK] " + "film " * 200])
def test_a_sentence_that_cannot_be_shown_is_named(tiny_bert_folder, text):
    with pytest.raises(InputError):
        try_examples(tiny_bert_folder, [text])


def test_nothing_is_loaded_for_no_examples(tmp_path):
    assert try_examples(tmp_path / "none", []) == []
