"""The Fill tab: one reading of the text for all of its answers."""

from mlm.inference.fill_mask import FillMask
from mlm.playground.tabs import fill_tab
from tests.support.fake_checkpoint import fake_checkpoint
from tests.support.tokenizer_kinds import unigram


def test_a_text_is_encoded_once_for_all_answers(monkeypatch):
    model = FillMask(fake_checkpoint(), "fake")
    encoded = []
    encode = model.predictor.encode_with_offsets
    monkeypatch.setattr(
        model.predictor, "encode_with_offsets", lambda text: encoded.append(text) or encode(text)
    )
    html = fill_tab.answer_html([(model, "")], "The <MASK> was <mask>.", 5, longer=True)
    assert 'role="alert"' not in html
    assert encoded == ["The [MASK] was [MASK]."]


def test_the_pages_own_mask_is_not_a_note_but_what_else_is_said_is():
    model = FillMask(fake_checkpoint(unigram(), {}), "fake")
    html = fill_tab.answer_html([(model, "")], "I liked [MASK] 电影", 5)
    assert "was read as" not in html
    assert "read as unknown: 电影" in html
