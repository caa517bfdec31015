"""Examples of a card: answered by the saved checkpoint, in its own spelling of the mask."""

import pytest

from mlm.checkpoint.folder import read_checkpoint
from mlm.errors import InputError
from mlm.inference.fill_mask import FillMask
from mlm.training.card.examples import try_examples, try_examples_of
from mlm.training.card.figures import TOP_K


def test_the_best_words_are_those_that_a_visitor_gets(tiny_bert_folder):
    texts = ["I watched this [MASK] film.", "A _ ending!"]
    tried = try_examples(tiny_bert_folder, texts)
    fill = FillMask.from_pretrained(tiny_bert_folder, engine="keras")
    assert [each["text"] for each in tried] == [texts[0], "A [MASK] ending!"]
    assert [each["output"] for each in tried] == [fill(text, top_k=TOP_K) for text in texts]


def test_a_model_in_memory_gives_the_words_of_its_folder(tiny_bert_folder):
    texts = ["I watched this [MASK] film.", "A _ ending!"]
    checkpoint = read_checkpoint(tiny_bert_folder)
    tried = try_examples_of(checkpoint, checkpoint.model, texts)
    for ours, expected in zip(tried, try_examples(tiny_bert_folder, texts), strict=True):
        assert ours["text"] == expected["text"]
        words, scores = zip(*((o["token"], o["score"]) for o in ours["output"]), strict=True)
        assert words == tuple(each["token"] for each in expected["output"])
        assert scores == pytest.approx([each["score"] for each in expected["output"]], abs=1e-5)


@pytest.mark.parametrize("text", ["No gap.", "[MASK] or [MASK].", "[MASK] " + "film " * 200])
def test_a_sentence_that_cannot_be_shown_is_named(tiny_bert_folder, text):
    with pytest.raises(InputError):
        try_examples(tiny_bert_folder, [text])


def test_nothing_is_loaded_for_no_examples(tmp_path):
    assert try_examples(tmp_path / "none", []) == []
