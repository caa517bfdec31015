"""One text through a training step's masking: the draw, the tokens shown, PyTorch's loss."""

import math

import numpy as np
import pytest
import torch

from mlm.errors import ConfigError, InputError
from mlm.inference import masked_example
from mlm.inference.fill_mask import FillMask
from mlm.inference.masked_example import MaskedExample, mask_example
from tests.support.fake_checkpoint import fake_checkpoint
from tests.support.family_tokenizers import KINDS
from tests.support.small_models import save_random_checkpoint

TEXT = "I have watched this movie again and it was awesome, a great story with an end!"


@pytest.fixture(scope="module", params=["bert", "roberta"])
def folder(request, tmp_path_factory):
    """A random checkpoint with WordPiece, and one with byte-level BPE."""
    path = tmp_path_factory.mktemp(f"tiny-{request.param}")
    return save_random_checkpoint(path, KINDS[request.param](), request.param)


@pytest.fixture(scope="module")
def fake() -> FillMask:
    return FillMask(fake_checkpoint(), "fake")


def draw(fill: FillMask, text: str = TEXT, **changes) -> MaskedExample:
    settings = {"seed": 1, "mlm_probability": 0.5} | changes
    return mask_example(fill.predictor, fill.vocabulary, fill.token_facts, text, **settings)


def fates(example: MaskedExample) -> list[str | None]:
    return [token.prediction and token.prediction.fate for token in example.tokens]


def test_the_loss_is_what_pytorch_computes_for_the_same_masked_text(folder, monkeypatch):
    import transformers

    fill, seen = FillMask.from_pretrained(folder), []
    whole = masked_example.mask_tokens
    monkeypatch.setattr(
        masked_example, "mask_tokens", lambda *a, **k: seen.append(whole(*a, **k)) or seen[-1]
    )
    example = draw(fill)
    (masked,) = seen
    labels = torch.full(masked.masked_ids.shape, -100)
    rows, slots = np.nonzero(masked.weights)
    labels[rows, masked.masked_positions[rows, slots]] = torch.tensor(
        masked.labels[rows, slots]
    ).long()
    model = transformers.AutoModelForMaskedLM.from_pretrained(folder).eval()
    with torch.no_grad():
        theirs = model(torch.tensor(masked.masked_ids).long(), labels=labels).loss
    assert example.loss == pytest.approx(float(theirs), rel=1e-4)
    assert len(example.predictions) == len(slots) > 3


def test_a_seed_decides_the_draw(fake):
    assert draw(fake) == draw(fake)
    assert len({str(fates(draw(fake, seed=seed))) for seed in range(20)}) > 15


def test_special_tokens_are_never_targets(fake):
    for seed in range(30):
        example = draw(fake, seed=seed, mlm_probability=1.0)
        assert [t.special for t in example.tokens] == [t.prediction is None for t in example.tokens]
        assert example.tokens[0].special and example.tokens[-1].special


def test_the_fates_are_those_of_bert(fake):
    every = [f for seed in range(200) for f in fates(draw(fake, seed=seed, mlm_probability=1.0))]
    chosen = [fate for fate in every if fate]
    shares = {fate: chosen.count(fate) / len(chosen) for fate in ("mask", "random", "same")}
    error = 4 * math.sqrt(0.8 * 0.2 / len(chosen))
    assert shares["mask"] == pytest.approx(0.8, abs=error)
    assert shares["same"] == pytest.approx(
        0.1 + 0.1 / len(fake.token_facts.random_word_ids), abs=error
    )


def test_each_prediction_agrees_with_its_fate(fake):
    for token in draw(fake, mlm_probability=1.0).tokens:
        prediction = token.prediction
        if prediction is None:
            continue
        same = prediction.shown == token.token
        assert {"mask": prediction.shown == "[MASK]", "same": same, "random": not same}[
            prediction.fate
        ]
        best = prediction.guesses[0]
        assert (best[0] == token.token) == (prediction.rank == 0) or best[
            1
        ] == prediction.probability
        assert prediction.loss == pytest.approx(-math.log(prediction.probability))


def test_there_is_no_loss_without_targets(fake):
    example = draw(fake, mlm_probability=0.0)
    assert example.loss is None and example.predictions == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no word that the model knows"),
        ("☃", "has no word that the model knows"),
        ("a [MASK]", "has a mask"),
        (None, "NoneType"),
        ("the " * 126, "128 tokens"),
        ("x" * 30_000, "30,000 characters"),
    ],
)
def test_texts_that_are_refused(fake, text, message):
    if "128" in message:
        long = FillMask(fake_checkpoint(max_length=400), "long")
        with pytest.raises(InputError, match="152 tokens; at most 128 are drawn"):
            draw(long, "the " * 150)
    else:
        with pytest.raises(InputError, match=message):
            draw(fake, text)


def test_a_rate_outside_0_and_1_is_refused(fake):
    with pytest.raises(ConfigError):
        draw(fake, mlm_probability=1.5)
