"""The regression check against published numbers, here made from the answers of transformers."""

import json
import subprocess
import sys

import numpy as np
import pytest

from mlm.errors import CheckpointError, ConfigError
from mlm.evaluation.published_numbers import (
    compare,
    identify_model,
    log_probabilities,
    read_published_numbers,
    table,
)
from mlm.inference.fill_mask import FillMask
from tests.support.family_tokenizers import KINDS
from tests.support.places import ROOT
from tests.support.small_models import save_random_checkpoint

TEXT, WHOLE = "I watched this [MASK] movie.", "The film was great!"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A RoBERTa in a folder with the name of the model, like a clone of its repository."""
    folder = tmp_path_factory.mktemp("published") / "tiny-base"
    return save_random_checkpoint(folder, KINDS["roberta"](), "roberta")


@pytest.fixture(scope="module")
def pipeline(folder):
    import transformers

    return transformers.pipeline("fill-mask", model=str(folder), device="cpu")


def torch_log_probabilities(pipeline, text):
    """Log-probability of each token with only that token masked, from transformers' model."""
    import torch

    (ids,) = pipeline.tokenizer(text, return_tensors="pt").input_ids
    values = []
    for position in range(1, len(ids) - 1):
        masked = ids.clone()
        masked[position] = pipeline.tokenizer.mask_token_id
        with torch.no_grad():
            logits = pipeline.model(masked[None]).logits[0, position]
        values.append(float(torch.log_softmax(logits, -1)[ids[position]]))
    return values


@pytest.fixture(scope="module")
def content(pipeline):
    """Published numbers in every form that the real file has, made from transformers' answers."""
    text = TEXT.replace("[MASK]", "<mask>")
    top = pipeline(text, top_k=5)
    values = torch_log_probabilities(pipeline, WHOLE)
    weight = pipeline.model.get_input_embeddings().weight[3, 0].item()
    words = [[entry["token_str"], entry["token"], entry["score"]] for entry in top]
    model = "tiny-base"
    likelihood = {"model": model, "text": WHOLE, "per_token": values, "pll": sum(values)}
    probe = {"model": model, "what": "word_embeddings.weight[unk_id=3, 0]", "value": weight}
    return {
        "tutorial": {
            "text": text,
            "model": model,
            "before_finetuning_top5": top,
            "after_2000_steps_top5": [{"score": 1.0, "token": 5, "token_str": "never compared"}],
        },
        "model_cards": [
            {"model": model, "text": text, "top5": words},
            {"model": "other-base", "text": text, "top5": [["x", 5, 0.5]]},
        ],
        "pseudo_log_likelihood": {"cases": [likelihood], "weights_probe": probe},
        "keras_example_from_scratch": {"text": text, "epoch3_top5": [["never compared", 0.5]]},
    }


@pytest.fixture
def numbers_file(tmp_path, content):
    path = tmp_path / "numbers.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_a_checkpoint_agrees_with_its_own_numbers(folder, numbers_file, content):
    comparisons = compare(folder, read_published_numbers(numbers_file), "tiny-base")
    tokens = len(content["pseudo_log_likelihood"]["cases"][0]["per_token"])
    assert len(comparisons) == 5 + 5 + tokens + 1 + 1
    assert tokens > 4
    assert max(one.difference for one in comparisons) < 1e-4
    assert not any("never compared" in one.word for one in comparisons)
    assert "differs" not in table(comparisons)
    assert not any(mark in table(comparisons) for mark in "Ġ▁")


def wrong_score(content):
    content["model_cards"][0]["top5"][0][2] += 0.002


def wrong_word(content):
    content["model_cards"][0]["top5"][0][0] = "otherwise"


def best_word_left_out(content):
    del content["tutorial"]["before_finetuning_top5"][0]


def wrong_likelihood(content):
    content["pseudo_log_likelihood"]["cases"][0]["per_token"][1] -= 0.01


def wrong_weight(content):
    content["pseudo_log_likelihood"]["weights_probe"]["value"] += 0.01


@pytest.mark.parametrize(
    ("spoil", "lines"),
    [
        (wrong_score, 1),
        (wrong_word, 2),  # the published word that we lack, and our word that was not published
        (best_word_left_out, 1),
        (wrong_likelihood, 1),
        (wrong_weight, 1),
    ],
)
def test_one_wrong_number_is_found(folder, numbers_file, content, spoil, lines):
    spoilt = json.loads(json.dumps(content))
    spoil(spoilt)
    numbers_file.write_text(json.dumps(spoilt), encoding="utf-8")
    comparisons = compare(folder, read_published_numbers(numbers_file), "tiny-base")
    assert [one.agrees for one in comparisons].count(False) == lines
    assert table(comparisons).count("differs") == lines


def test_log_probabilities_are_those_of_transformers(folder, pipeline):
    words, values = log_probabilities(FillMask.from_pretrained(folder, engine="keras"), WHOLE)
    assert values == pytest.approx(torch_log_probabilities(pipeline, WHOLE), abs=1e-4)
    assert len(words) == len(values)
    assert np.isfinite(values).all()


def test_the_model_is_identified_by_folder_config_or_readme(folder, numbers_file, tmp_path):
    published = read_published_numbers(numbers_file)
    assert identify_model(folder, published) == ("tiny-base", "the folder's name")
    other = tmp_path / "download"
    other.mkdir()
    with pytest.raises(ConfigError, match="--model with one of other-base, tiny-base"):
        identify_model(other, published)
    example = "pipeline('fill-mask', model='me/other-base')"
    (other / "README.md").write_text(example, encoding="utf-8")
    assert identify_model(other, published) == ("other-base", "the example in README.md")
    (other / "config.json").write_text('{"_name_or_path": "me/tiny-base"}', encoding="utf-8")
    assert identify_model(other, published) == ("tiny-base", "_name_or_path in config.json")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not valid JSON"),
        ("{}", "nothing to compare"),
        ('{"tutorial": {"text": "a"}}', "not a file of published numbers .KeyError"),
        ('{"model_cards": [{"model": "m", "text": "t", "top5": [["a", "b", "c"]]}]}', "ValueError"),
        ('{"model_cards": 3}', "not a file of published numbers .TypeError"),
        ("[]", "not a file of published numbers .AttributeError"),
    ],
)
def test_a_file_of_another_form_is_named_in_one_line(tmp_path, text, message):
    path = tmp_path / "reference.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=message) as error:
        read_published_numbers(path)
    assert "\n" not in str(error.value)


def test_a_model_that_nobody_published_is_named(folder, numbers_file):
    with pytest.raises(ConfigError, match=r"Nothing was published for 'mine'.*other-base"):
        compare(folder, read_published_numbers(numbers_file), "mine")


def test_another_tokenizer_is_named(folder, numbers_file, content):
    spoilt = json.loads(json.dumps(content))
    spoilt["pseudo_log_likelihood"]["cases"][0]["per_token"].pop()
    numbers_file.write_text(json.dumps(spoilt), encoding="utf-8")
    with pytest.raises(CheckpointError, match="the tokenizer differs"):
        compare(folder, read_published_numbers(numbers_file), "tiny-base")


def test_the_published_file_is_read_whole(shared_data):
    published = read_published_numbers(shared_data / "fill_mask_reference.json")
    tops = [entry for entry in published if entry.top]
    assert [len(entry.top) for entry in tops] == [5] * 6
    assert sum(bool(entry.per_token) for entry in published) == 3
    assert sum(entry.total is not None for entry in published) == 2
    assert [entry.model for entry in published if entry.weight] == ["bert-base-uncased"]


def test_the_exit_codes_of_the_script(folder, numbers_file, content, tmp_path):
    """All three are checked in one process, so that heavy libraries are imported once."""
    wrong = tmp_path / "wrong.json"
    spoilt = json.loads(json.dumps(content))
    wrong_score(spoilt)
    wrong.write_text(json.dumps(spoilt), encoding="utf-8")
    script = ROOT / "scripts" / "check_reference.py"
    calls = [
        [str(folder), "--reference_file", str(numbers_file)],
        [str(folder), "--reference_file", str(wrong)],
        [str(tmp_path / "nowhere"), "--reference_file", str(numbers_file)],
    ]
    code = (
        f"import runpy; main = runpy.run_path({str(script)!r})['main']; "
        f"print([main(call) for call in {calls!r}])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300
    )
    assert done.stdout.splitlines()[-1] == "[0, 1, 2]"
    assert "tiny-base (the folder's name)" in done.stdout
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "is not a folder" in line
