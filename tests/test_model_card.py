"""The card says what was measured, in a form that the Hub takes, and nothing else."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from huggingface_hub import ModelCard, ModelCardData
from safetensors.numpy import save_file

from mlm.errors import CheckpointError
from mlm.model_card import add_measurements, base_model_of, licence_of, write_model_card

REPO = "me/reviews"
TRAINING = {
    "config": {
        "train_file": ["/home/someone/secret folder/reviews.csv", "hf://datasets/me/x/more.csv"],
        "model_name_or_path": "google-bert/bert-base-uncased",
        "max_seq_length": 128,
        "learning_rate": 1e-05,
        "max_steps": 2000,
        "mlm_probability": 0.15,
        "whole_word_mask": True,
        "output_dir": "/home/someone/runs/x",
        "push_to_hub": True,
    },
    "base_model": {"repo_id": "google-bert/bert-base-uncased", "commit": "a" * 40},
    "corpus": {
        "fingerprint": "f1" * 32,
        "counts": {
            "train": {"documents": 71250, "tokens": 17400123},
            "validation": {"documents": 3750, "tokens": 912345},
        },
        "made_from": {"sources": {"train": [{"name": "reviews.csv", "size": 5, "sha256": "0"}]}},
        "report_line": "75,000 rows\nreviews.csv was read as ISO-8859-1",
    },
    "metrics": {
        "before": {"loss": 2.5, "perplexity": 12.18249, "top1": 0.45, "top5": 0.7},
        "after": {
            "loss": 1.75,
            "perplexity": 5.7546,
            "top1": 0.5612,
            "top5": 0.8,
            "num_tokens": 136000,
        },
    },
    "validation_curve": [[step, 3 - step / 2000] for step in range(0, 2001, 100)],
    "tokens_per_second": 1234.5,
    "seconds": 3318.2,
    "steps": 2000,
    "seed": 42,
    "hardware": {"device": "2 x T4", "replicas": 2, "policy": "mixed_float16"},
    "versions": {"keras": "3.15.0"},
    "examples": [
        {
            "text": "A [MASK] | with: a bar.",
            "output": [
                {"score": 0.51234, "token": 7, "token_str": " movie", "sequence": "A movie"},
                {"score": 0.25, "token": 8, "token_str": "film", "sequence": "A film"},
            ],
        },
        {"text": "No answer was measured for this [MASK]."},
    ],
}


@pytest.fixture
def folder(tmp_path) -> Path:
    config = {"model_type": "bert", "num_hidden_layers": 12, "hidden_size": 768}
    (tmp_path / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 512}))
    (tmp_path / "tokenizer_config.json").write_text('{"mask_token": "[MASK]"}')
    save_file({"a": np.zeros((30, 4)), "b": np.zeros(5)}, tmp_path / "model.safetensors")
    return tmp_path


def card(folder: Path, training: dict | None, repo_id: str | None = REPO) -> ModelCard:
    if training is not None:
        (folder / "training.json").write_text(json.dumps(training))
    write_model_card(folder, repo_id)
    return ModelCard.load(folder / "README.md")


def test_metadata_is_what_the_hub_reads(folder):
    data = card(folder, TRAINING).data
    assert isinstance(data, ModelCardData)
    assert data.pipeline_tag == "fill-mask"
    assert data.library_name == "transformers"
    assert data.base_model == "google-bert/bert-base-uncased"
    assert data.get("mask_token") == "[MASK]"
    assert data.get("widget")[0] == {
        "text": "A [MASK] | with: a bar.",
        "output": [{"label": "movie", "score": 0.5123}, {"label": "film", "score": 0.25}],
    }
    assert data.get("widget")[1] == {"text": "No answer was measured for this [MASK]."}
    assert data.license is None
    assert data.language is None


def test_figures_are_those_of_the_record(folder):
    text = card(folder, TRAINING).text
    assert "| loss, nats per masked token | 2.5000 | 1.7500 |" in text
    assert "| masked-token perplexity | 12.18 | 5.75 |" in text
    assert "| right word ranked first | 45.0% | 56.1% |" in text
    assert "136,000 tokens were chosen" in text
    assert "| train | 71,250 | 17,400,123 |" in text
    assert "f1" * 32 in text
    assert "125 parameters" in text
    assert "| tokens per second | 1,234 |" in text
    assert "device 2 x T4, replicas 2, policy mixed_float16" in text


def test_the_curve_keeps_its_ends(folder):
    points = re.findall(r"^\| ([\d,]+) \| (\d\.\d{4}) \|$", card(folder, TRAINING).text, re.M)
    assert points[0] == ("0", "3.0000")
    assert points[-1] == ("2,000", "2.0000")
    assert len(points) <= 8


def test_the_recipe_can_be_copied(folder):
    command = re.search(r"```sh\n(.*?)\n```", card(folder, TRAINING).text, re.S)
    assert command is not None
    lines = [line.strip(" \\") for line in command[1].splitlines()]
    assert lines == [
        "python scripts/train.py",
        "--train_file reviews.csv hf://datasets/me/x/more.csv",
        "--model_name_or_path google-bert/bert-base-uncased",
        "--whole_word_mask",
        "--max_steps 2000",
        "--learning_rate 1e-05",
    ]


def test_no_folder_of_this_machine_is_named(folder):
    text = (folder / "README.md").read_text() if card(folder, TRAINING) else ""
    assert "someone" not in text
    assert str(folder) not in text


def test_a_bar_in_a_sentence_does_not_end_a_cell(folder):
    assert "| A [MASK] \\| with: a bar. | movie 51.2%, film 25.0% |" in card(folder, TRAINING).text


@pytest.mark.parametrize("absent", sorted(TRAINING))
def test_what_was_not_measured_is_left_out(folder, absent):
    training = {name: value for name, value in TRAINING.items() if name != absent}
    text = card(folder, training).content
    assert "None" not in text
    assert "## How to use it" in text


@pytest.mark.parametrize("training", [None, {}, {"metrics": {"before": None, "after": None}}])
def test_without_a_record_there_are_no_figures(folder, training):
    text = card(folder, training).content
    for section in ("## Figures", "## Data", "## Recipe", "## Run", "## Examples", "None"):
        assert section not in text


def test_from_scratch_there_is_no_base_model(folder):
    training = TRAINING | {"config": {"train_file": ["a.csv"], "model_type": "bert"}}
    training.pop("base_model")
    written = card(folder, training)
    assert written.data.base_model is None
    assert "trained from scratch" in written.text


def test_a_folder_as_base_is_not_taken_for_a_repository(folder):
    training = TRAINING | {"config": {"model_name_or_path": "/home/someone/bert"}}
    training.pop("base_model")
    written = card(folder, training)
    assert written.data.base_model is None
    assert "adapted from `bert`" in written.text


def test_the_name_is_the_repositorys_or_the_folders(folder):
    assert "\n# reviews\n" in card(folder, TRAINING).content
    assert f"\n# {folder.name}\n" in card(folder, TRAINING, repo_id=None).content


def test_a_torn_record_is_said(folder, caplog):
    (folder / "training.json").write_text("{")
    write_model_card(folder)
    assert "is no JSON" in caplog.text


def test_any_text_makes_valid_metadata(folder):
    odd = 'A: "quoted" [MASK] --- # {x} \u2028 电影 \n---\n - y'
    training = TRAINING | {"examples": [{"text": odd, "output": []}]}
    content = card(folder, training).content
    front = content.split("\n---\n")[0].removeprefix("---\n")
    assert yaml.safe_load(front)["widget"][0]["text"] == odd


ODD = [
    None,
    True,
    7,
    10**400,
    -1.5,
    "a",
    "\ud800",
    [],
    [[]],
    ["a", 1],
    {},
    {"a": 1},
    {"\ud800": {}},
]


def paths_in(value, path=()):
    """The way to every part of a JSON value."""
    yield path
    if isinstance(value, dict | list):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from paths_in(part, (*path, key))


def changed(value, path, odd):
    if not path:
        return odd
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = changed(value[path[0]], path[1:], odd)
    return copy


@pytest.mark.parametrize("odd", ODD, ids=range(len(ODD)))
def test_an_odd_record_spoils_no_card(folder, odd):
    """Of a stranger's training.json every part may be anything: a card comes all the same."""
    for path in paths_in(TRAINING):
        written = card(folder, changed(TRAINING, path, odd))
        assert written.data.pipeline_tag == "fill-mask", path
        assert "## How to use it" in written.text and "None" not in written.text, path


def test_what_cannot_be_written_is_one_line_and_leaves_what_was_there(folder):
    (folder / "README.md").mkdir()
    (folder / "training.json").mkdir()
    with pytest.raises(CheckpointError, match=r"cannot write '.*README\.md'"):
        write_model_card(folder)
    with pytest.raises(CheckpointError, match=r"cannot write '.*training\.json'"):
        add_measurements(folder, examples=[])
    assert not list(folder.glob(".*.new"))


@pytest.mark.parametrize(
    ("content", "licence"),
    [
        ("---\nlicense: apache-2.0\n---\n# x", "apache-2.0"),
        ("---\nlicense: other\nlicense_name: my-own\n---\n", "my-own"),
        ("# no metadata", None),
        ("---\nlicense: [mit]\n---\n", None),
        (f"---\nlicense: {'x' * 61}\n---\n", None),
        ("---\n- a list\n---\n", None),
        ("---\nlicense: {\n---\n", None),
        ("---\n" + "[" * 50_000, None),
        ("---\na: &a [x]\nlicense: *b\n---\n", None),
    ],
)
def test_the_licence_is_what_the_card_names(folder, content, licence):
    (folder / "README.md").write_text(content)
    assert licence_of(folder) == licence


@pytest.mark.parametrize(
    ("content", "base"),
    [
        ("---\nbase_model: google-bert/bert-base-uncased\n---\n", "google-bert/bert-base-uncased"),
        ("---\nbase_model:\n- me/a\n- me/b\n---\n", "me/a"),
        ("---\nbase_model: []\n---\n", None),
        ("---\nbase_model: {a: b}\n---\n", None),
        ("---\nbase_model: 7\n---\n", None),
        (f"---\nbase_model: {'x' * 201}\n---\n", None),
    ],
)
def test_the_base_model_is_what_the_card_names(folder, content, base):
    (folder / "README.md").write_text(content)
    assert base_model_of(folder) == base


def test_without_a_card_there_is_no_licence(folder):
    assert licence_of(folder) is None
    (folder / "README.md").write_bytes(b"---\nlicense: \xff\n---\n")
    assert licence_of(folder) is None
