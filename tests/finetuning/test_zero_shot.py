"""The masked LM as a classifier: windows, scores of a model that counts words, calibration."""

from types import SimpleNamespace

import numpy as np
import pytest

from mlm.checkpoint.tokenizer import encode_texts
from mlm.errors import ConfigError
from mlm.finetuning.zero_shot import WINDOW, ZeroShotClassifier, calibrate, cut_evenly
from mlm.inference.fill_mask import FillMask
from tests.support.fake_checkpoint import wordpiece_tokenizer
from tests.support.tokenizer_kinds import KINDS

PROMPT = "It was [MASK]."
WORDS = {"0": ("soup", "un"), "1": ("great",)}


class CountingEngine:
    """The logit of a token is how often the input holds it; keeps the questions."""

    num_parameters, kind = 0, "counts"

    def __init__(self, tokenizer, max_length: int = 512):
        self.config = SimpleNamespace(
            max_position_embeddings=max_length, vocab_size=len(tokenizer), position_offset=0
        )
        self.asked = []

    def logits(self, questions):
        self.asked += questions
        size = self.config.vocab_size
        return [
            np.array([np.bincount(each.input_ids, minlength=size) for _ in each.positions], "f4")
            for each in questions
        ]


def counting_model(tokenizer=None, max_length: int = 512) -> FillMask:
    tokenizer = tokenizer or wordpiece_tokenizer()
    checkpoint = SimpleNamespace(tokenizer=tokenizer, training=None)
    return FillMask(checkpoint, "counts", engine=CountingEngine(tokenizer, max_length))


def test_scores_are_means_over_words_and_windows():
    model = ZeroShotClassifier(counting_model(), PROMPT, WORDS)
    texts = ["great great soup", "a film"]
    assert model.scores(texts).tolist() == [[0.5, 2.0], [0.0, 0.0]]
    assert model.empty_scores().tolist() == [0.0, 0.0]
    long = " ".join(["great"] * 2 * model.room)  # two full windows
    assert model.scores([f"{long} soup"]).tolist() == [pytest.approx([0.5 / 3, 2 * model.room / 3])]


@pytest.mark.parametrize("kind", KINDS)
def test_a_question_is_a_window_and_the_prompt(kind):
    """The ids are those of text and prompt written behind each other, as the tokenizer has them."""
    tokenizer = KINDS[kind]()
    fill = counting_model(tokenizer)
    words = {"0": ("was",), "1": ("The",)}
    model = ZeroShotClassifier(fill, "The film was [MASK]!", words)
    model.scores(["I liked this"])
    (question,) = fill.engine.asked
    written = tokenizer(f"I liked this The film was {tokenizer.mask_token}!")["input_ids"]
    assert question.input_ids == written
    assert question.positions == [written.index(tokenizer.mask_token_id)]


@pytest.mark.parametrize("length", [0, 1, 53, 54, 55, 108, 109, 1000])
def test_windows_hold_every_token_once(length):
    ids = list(range(length))
    parts = cut_evenly(ids, 54)
    assert [token for part in parts for token in part] == ids
    sizes = [len(part) for part in parts]
    assert max(sizes) <= 54
    assert max(sizes) - min(sizes) <= 1
    assert len(parts) == max(1, -(-length // 54))


def test_inputs_fit_the_window_the_setting_and_the_model():
    text = "the movie was a great story , and i have watched it again . " * 20
    for max_length, setting, most in ((512, 256, WINDOW), (512, 20, 20), (24, 256, 24)):
        fill = counting_model(max_length=max_length)
        model = ZeroShotClassifier(fill, PROMPT, WORDS, max_seq_length=setting)
        model.scores([text])
        asked = fill.engine.asked
        assert max(len(each.input_ids) for each in asked) <= most
        mask_id = fill.predictor.mask_id
        assert all(each.input_ids[each.positions[0]] == mask_id for each in asked)
        prompt = encode_texts(fill.checkpoint.tokenizer, ["it was"])[0]
        assert model.room == most - len(fill.read(PROMPT).question.input_ids)
        found = [
            token for each in asked for token in each.input_ids[1 : each.positions[0] - len(prompt)]
        ]
        assert found == encode_texts(fill.checkpoint.tokenizer, [text])[0]


def test_a_mask_in_a_text_is_text():
    fill = counting_model()
    model = ZeroShotClassifier(fill, "it was ___ .", WORDS)
    model.scores(["a [MASK] film"])
    (question,) = fill.engine.asked
    assert question.input_ids.count(fill.predictor.mask_id) == 1
    assert model.note == "___ was read as [MASK]."


def test_calibration_shifts_exactly():
    scores = np.array([[1.0, 4.0], [3.0, 0.0]])
    assert calibrate(scores, "none") is scores
    assert calibrate(scores, "empty", np.array([1.0, 2.0])).tolist() == [[0, 2], [2, -2]]
    assert calibrate(scores, "texts").tolist() == [[-1, 2], [1, -2]]


@pytest.mark.parametrize(
    ("prompt", "words", "message"),
    [
        (
            "It was good.",
            WORDS,
            "--zero_shot 'It was good.' cannot be used: The text has no mask: write [MASK] or ___ "
            "in place of a word.",
        ),
        (
            "[MASK] was [MASK].",
            WORDS,
            "--zero_shot '[MASK] was [MASK].' has 2 masks; expected one, in the place of the word "
            "that tells the label",
        ),
        (
            PROMPT,
            {"0": ("watching",), "1": ("great",)},
            "--label_words 'watching', for 0, is 2 tokens for counts (watch ##ing), and a mask is "
            "one; give another word",
        ),
        (
            PROMPT,
            {"0": ("Great", "soup"), "1": ("great",)},
            "--label_words has 'Great' and 'great', which are the same token; leave one out",
        ),
        (
            PROMPT,
            {"0": ("日",), "1": ("great",)},
            "--label_words '日', for 0: '日' is not a word for counts: its vocabulary has no "
            "pieces for it.",
        ),
    ],
)
def test_refused(prompt, words, message):
    with pytest.raises(ConfigError) as error:
        ZeroShotClassifier(counting_model(), prompt, words)
    assert str(error.value) == message


def test_a_prompt_that_leaves_no_room_is_refused():
    with pytest.raises(ConfigError) as error:
        ZeroShotClassifier(counting_model(), PROMPT, WORDS, max_seq_length=6)
    assert str(error.value) == (
        "the prompt of --zero_shot has 4 tokens, which leaves no room for a text in 6: shorten it"
    )


def test_a_model_without_a_head_is_refused():
    fill = counting_model()
    fill.checkpoint.fresh_head = True
    with pytest.raises(ConfigError) as error:
        ZeroShotClassifier(fill, PROMPT, WORDS)
    assert str(error.value) == (
        "counts has no masked-LM head, so its words at a mask would be random; --zero_shot needs a "
        "masked LM, as `mlm train` writes it"
    )
