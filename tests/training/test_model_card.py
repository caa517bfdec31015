"""The card holds what was measured, in a form that the Hub accepts, and nothing else."""

import html as html_module
import json
import re
from pathlib import Path
from xml.etree import ElementTree

import huggingface_hub
import numpy as np
import pytest
import yaml
from huggingface_hub import ModelCard, ModelCardData, constants
from huggingface_hub.utils import close_session
from safetensors.numpy import save_file

from mlm.checkpoint.record.card_metadata import base_model_of, licence_of
from mlm.checkpoint.record.curve_svg import MAX_POINTS, curve_picture
from mlm.errors import CheckpointError
from mlm.hub.local import LocalHub
from mlm.hub.local.card_rules import errors_in
from mlm.training.card import add_measurements, name_model_card, write_model_card
from mlm.training.card.card import SINCE_0_1
from mlm.training.card.stated import licence_fields, stated_facts
from tests.support.sweeps import slow

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
    assert data.datasets == ["me/x"]  # the run read a file of it
    assert data.metrics == ["perplexity", "accuracy"]


STATED = {
    "language": ["en", "de", "en"],
    "license": "MIT",
    "dataset_tags": ["stanfordnlp/imdb", "me/x"],
    "dataset_license": "cc-by-4.0",
    "hub_space": "me/page",
}


def test_stated_facts_are_in_card_and_metadata(folder):
    written = card(folder, TRAINING | {"config": TRAINING["config"] | STATED})
    assert (written.data.language, written.data.license) == (["en", "de"], "mit")
    assert written.data.datasets == ["stanfordnlp/imdb", "me/x"]
    assert "[stanfordnlp/imdb](https://huggingface.co/datasets/stanfordnlp/imdb)" in written.text
    assert "Licence of the texts: cc-by-4.0." in written.text
    assert "[me/page](https://huggingface.co/spaces/me/page)" in written.text
    assert "Its texts are in `en`, `de`" in written.text


def test_facts_stated_of_a_finished_checkpoint_replace_earlier_ones(folder):
    card(folder, TRAINING | {"config": TRAINING["config"] | STATED})
    add_measurements(folder, card={"license": "my-Own-1.0", "language": ["fr"]})
    data = card(folder, None).data
    assert (data.license, data.license_name, data.language) == ("other", "my-own-1.0", ["fr"])
    assert data.datasets == ["stanfordnlp/imdb", "me/x"]
    assert licence_of(folder) == "my-own-1.0"


@pytest.mark.parametrize(
    "odd",
    [
        {"language": ["English", "e"], "license": "all rights", "dataset_tags": ["a b", "a/b/c"]},
        {"language": "\n", "license": ["mit", "x"], "hub_space": "https://evil.test/x"},
    ],
)
def test_what_the_hub_would_refuse_is_not_in_the_card(folder, odd):
    training = TRAINING | {"card": odd} | {"base_model": {"repo_id": "no id at all"}}
    written = card(folder, training)
    assert errors_in(yaml.safe_load(front_of(written))) == []
    assert (written.data.language, written.data.base_model) == (None, None)
    assert "evil" not in written.content


@pytest.mark.parametrize(
    ("file", "dataset"),
    [
        ("hf://datasets/me/x/a/b.csv", ("me/x",)),
        ("hf://datasets/me/x.y@refs%2Fconvert%2Fparquet/a.parquet", ("me/x.y",)),
        ("hf://buckets/me/x/a.csv", ()),
        ("datasets/me/x/a.csv", ()),
    ],
)
def test_a_data_set_that_was_read_from_the_hub_is_named(file, dataset):
    assert stated_facts({"config": {"train_file": [file]}}).datasets == dataset


@pytest.mark.parametrize(
    ("licence", "fields"),
    [
        (None, {}),
        ("Apache-2.0", {"license": "apache-2.0"}),
        ("openrail++", {"license": "openrail++"}),
        ("in-house-1", {"license": "other", "license_name": "in-house-1"}),
        ("mi", {"license": "other", "license_name": "mi"}),
    ],
)
def test_a_licence_that_the_hub_does_not_know_has_a_name(licence, fields):
    assert licence_fields(licence) == fields


def front_of(written: ModelCard) -> str:
    return written.content.split("\n---\n")[0].removeprefix("---\n")


EVALUATION = {
    "files": ["test.csv"],
    "max_seq_length": 64,
    "tokens": {"loss": 2.0, "perplexity": 7.389, "top1": 0.5, "top5": 0.75, "num_tokens": 900},
    "words": {"top1": 0.4, "top5": 0.6, "num_words": 700},
}


def test_the_model_index_has_the_figures(folder):
    training = TRAINING | {"evaluations": [EVALUATION | {"tokens": {}}, EVALUATION]}
    data = card(folder, training).data
    assert data.model_name == "reviews"
    found = {
        (r.dataset_name, r.metric_type, r.metric_name): r.metric_value for r in data.eval_results
    }
    held_out = "held-out documents of reviews.csv"
    assert found[held_out, "perplexity", "masked-token perplexity"] == 5.7546
    assert found[held_out, "accuracy", "right token ranked first"] == 0.5612
    assert found["test.csv", "accuracy", "right token among the first five"] == 0.75
    assert found["test.csv", "accuracy", "right whole word ranked first"] == 0.4
    assert len(found) == len(data.eval_results) == 4 + 4 + 2  # of one file the last counts
    types = {r.dataset_name: r.dataset_type for r in data.eval_results}
    assert types == {held_out: "me/x", "test.csv": "text"}


def test_own_validation_files_are_named(folder):
    sources = {"train": [{"name": "a.csv"}], "validation": [{"name": "b.csv"}]}
    training = TRAINING | {"corpus": {"made_from": {"sources": sources}}}
    assert {r.dataset_name for r in card(folder, training).data.eval_results} == {"b.csv"}


@pytest.mark.parametrize("stated", [{}, STATED, STATED | {"license": "my-own"}])
def test_the_librarys_metadata_classes_lose_nothing(folder, stated):
    training = TRAINING | {"evaluations": [EVALUATION], "card": stated}
    written = card(folder, training)
    front = yaml.safe_load((folder / "README.md").read_text().split("\n---\n")[0])
    assert ModelCardData(**front).to_dict() == front
    assert yaml.safe_load(front_of(written)) == front
    assert "&id" not in written.content  # no references between parts


@pytest.mark.parametrize("training", [None, {}, TRAINING, TRAINING | {"card": STATED}])
def test_the_librarys_own_check_takes_the_card(folder, training, tmp_path, monkeypatch):
    """ModelCard.validate asks the Hub; here a stand-in answers it by the documented rules."""
    if huggingface_hub.__version__.startswith("1."):
        pytest.skip("this version asks huggingface.co even if HF_ENDPOINT names another Hub")
    with LocalHub(tmp_path / "hub", token="hf_local") as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        written = card(folder, training)
        written.validate()
        written.data.base_model = "no id at all"
        with pytest.raises(ValueError, match="base_model"):
            written.validate()
        close_session()


def test_figures_are_those_of_the_record(folder):
    text = card(folder, TRAINING).text
    assert "| loss, nats per masked token | 2.5000 | 1.7500 |" in text
    assert "| masked-token perplexity | 12.18 | 5.75 |" in text
    assert "| right token ranked first | 45.0% | 56.1% |" in text
    assert "136,000 tokens were chosen" in text
    assert "| train | 71,250 | 17,400,123 |" in text
    assert "f1" * 32 in text
    assert "125 parameters" in text
    assert "| tokens per second | 1,234 |" in text
    assert "| hardware | 2 x T4 |" in text
    assert "| replicas | 2 |" in text
    assert "| number format | mixed_float16 |" in text
    assert "| time in training steps | 55 min |" in text
    assert "| `reviews.csv` | train | 5 | `0…` |" in text
    assert "ranks the right token first for 56.1%" in text
    assert "20.0% are not among its first five" in text


def test_the_curve_keeps_its_ends(folder):
    points = re.findall(r"^\| ([\d,]+) \| (\d\.\d{4}) \|$", card(folder, TRAINING).text, re.M)
    assert points[0] == ("0", "3.0000")
    assert points[-1] == ("2,000", "2.0000")
    assert len(points) <= 8


def test_the_curve_is_a_picture_beside_the_card(folder):
    text = card(folder, TRAINING | {"loss_curve": [[50, 2.9], [2000, 2.1]]}).text
    summary = "from 3.00 at step 0 to 2.00 at 2,000"
    assert f"![Loss against the steps of the training: {summary}.](loss_curve.svg)" in text
    picture = ElementTree.parse(folder / "loss_curve.svg").getroot()
    assert picture.tag == "{http://www.w3.org/2000/svg}svg"
    assert len(picture.findall("{*}polyline")) == 2
    assert picture.findtext("{*}title") == f"Loss against steps: {summary}"
    text = "".join(picture.itertext())
    assert "training batches" in text and "held-out texts" in text and "steps" in text


def test_another_masking_rate_in_training_is_noted_below_the_curve(folder):
    curve = {"loss_curve": [[50, 2.9], [2000, 2.1]]}
    assert "another measure" not in card(folder, TRAINING | curve).text
    curve["config"] = TRAINING["config"] | {"mlm_probability": 0.3}
    assert (
        "Of training batches 30% of the tokens were chosen" in card(folder, TRAINING | curve).text
    )


def test_without_a_curve_there_is_no_picture(folder):
    card(folder, TRAINING)
    text = card(folder, TRAINING | {"validation_curve": [[0, 3.0]], "loss_curve": []}).text
    assert "loss_curve" not in text
    assert not (folder / "loss_curve.svg").exists()


def test_a_long_curve_makes_no_large_picture():
    curve = [[step, 1 / (step + 1)] for step in range(100_000)]
    picture = curve_picture(curve, curve)
    first, last = re.search(r'points="(\S+)[^"]* (\S+)"', picture).groups()
    assert (first[:5], last[:6]) == ("48.0,", "624.0,")
    assert picture.count("<circle") <= MAX_POINTS
    assert len(picture) < 60_000


@pytest.mark.parametrize(
    ("last", "shown"),
    [
        (1, "0 1"),
        (7, "0 2 4 6"),
        (300, "0 50 100 150 200 250 300"),
        (4500, "0 1,000 2,000 3,000 4,000"),
    ],
)
def test_the_steps_of_a_curve_are_labelled_in_round_numbers(last, shown):
    picture = ElementTree.fromstring(curve_picture([[0, 3.0], [last, 2.0]], []))
    texts = [text.text for text in picture.findall("{*}text") if text.get("y") == "280"]
    assert " ".join(texts) == shown


def test_a_card_on_a_branch_loads_from_there(folder):
    write_model_card(folder, REPO, "feature/longer")
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert f'pipeline("fill-mask", model="{REPO}", revision="feature/longer")' in card
    assert f'FillMask.from_pretrained("{REPO}@feature/longer")' in card
    name_model_card(folder, REPO)  # not edited, so it is written for the main branch
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert f'pipeline("fill-mask", model="{REPO}")' in card and "feature/longer" not in card
    name_model_card(folder, REPO, "trial")
    assert f"{REPO}@trial" in (folder / "README.md").read_text(encoding="utf-8")


def test_the_bundled_model_is_named_as_a_clone_has_it(folder, monkeypatch):
    monkeypatch.setattr("mlm.training.card.card.BUNDLED_FOLDER", folder)
    text = card(folder, TRAINING, repo_id=None).text
    assert f'model="{"/".join(folder.parts[-3:])}"' in text
    assert 'FillMask.from_pretrained("demo")' in text
    name_model_card(folder, REPO)
    assert f'model="{REPO}"' in (folder / "README.md").read_text()


def test_a_card_gets_its_published_name(folder):
    card(folder, TRAINING, repo_id=None)
    name_model_card(folder, REPO)
    assert f'model="{REPO}"' in (folder / "README.md").read_text()
    name_model_card(folder, "me/other")
    assert 'model="me/other"' in (folder / "README.md").read_text()
    (folder / "README.md").unlink()
    name_model_card(folder, REPO)
    assert f'model="{REPO}"' in (folder / "README.md").read_text()


def test_a_card_that_version_0_1_wrote_is_not_an_edited_one(folder):
    training = TRAINING | {"config": {"max_steps": 3}, "skipped_steps": 2}
    card(folder, training, repo_id="me/before")
    written = (folder / "README.md").read_text(encoding="utf-8")
    for before, now in SINCE_0_1.items():
        written = written.replace(now, before)
    written = written.replace("`mlm serve me/before`", "`MLM_MODEL=me/before python app.py`")
    assert "MLM_MODEL=" in written
    assert "python scripts/train.py" in written and "it is asked for" in written
    (folder / "README.md").write_text(written, encoding="utf-8")
    name_model_card(folder, REPO)
    assert f'model="{REPO}"' in (folder / "README.md").read_text()


@pytest.mark.parametrize("edited", ["# Mine\n", 'pipeline("fill-mask", model="me/x")', "\udcff"])
def test_an_edited_card_is_left_alone(folder, edited):
    (folder / "README.md").write_text(edited, errors="surrogateescape")
    before = (folder / "README.md").read_bytes()
    name_model_card(folder, REPO)
    assert (folder / "README.md").read_bytes() == before


def test_contrasts_are_under_limits(folder):
    said = [{"text": "He is a [MASK].", "output": [{"token_str": "cook", "score": 0.5}]}]
    card(folder, TRAINING)
    add_measurements(folder, contrasts=said)
    limits = card(folder, None).text.partition("## Limits and biases")[2]
    assert "| He is a [MASK]. | cook\N{NO-BREAK SPACE}50.0% |" in limits


def test_the_recipe_can_be_copied(folder):
    command = re.search(r"```sh\n(.*?)\n```", card(folder, TRAINING).text, re.S)
    assert command is not None
    lines = [line.strip(" \\") for line in command[1].splitlines()]
    assert lines == [
        "mlm train",
        "--train_file reviews.csv hf://datasets/me/x/more.csv",
        "--model_name_or_path google-bert/bert-base-uncased",
        f"--model_revision {'a' * 40}",
        "--whole_word_mask",
        "--max_steps 2000",
        "--learning_rate 1e-05",
    ]


def test_no_folder_of_this_machine_is_named(folder):
    text = (folder / "README.md").read_text() if card(folder, TRAINING) else ""
    assert "someone" not in text
    assert str(folder) not in text


def test_a_bar_in_a_sentence_does_not_end_a_cell(folder):
    row = "| A [MASK] \\| with: a bar. | movie 51.2% | film 25.0% |  |  |  |"
    assert row in card(folder, TRAINING).text.replace("\N{NO-BREAK SPACE}", " ")


@pytest.mark.parametrize(
    "text",
    [
        "A <mask> film.",
        "*A* _b_ `[MASK]` ~~c~~",
        "<b>[MASK]</b> &lt;",
        "[MASK](http://x.test)",
        "a\\|b",
    ],
)
def test_sentences_and_words_are_shown_as_they_are(folder, text):
    example = {"text": text, "output": [{"token_str": text, "score": 0.5}]}
    section = card(folder, TRAINING | {"examples": [example]}).text.partition("## Examples\n")[2]
    markdown = pytest.importorskip("markdown_it")
    html = markdown.MarkdownIt("commonmark", {"html": True}).enable("table").render(section)
    cells = [html_module.unescape(cell) for cell in re.findall(r"<td>(.*?)</td>", html)]
    assert cells[:2] == [text, f"{text}\N{NO-BREAK SPACE}50.0%"]


@pytest.mark.parametrize("absent", sorted(TRAINING))
def test_an_absent_part_of_the_record_is_left_out(folder, absent):
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


def test_a_folder_as_base_model_is_not_named_as_a_repository(folder):
    training = TRAINING | {"config": {"model_name_or_path": "/home/someone/bert"}}
    training.pop("base_model")
    written = card(folder, training)
    assert written.data.base_model is None
    assert "adapted from `bert`" in written.text


def test_the_name_is_the_repositorys_or_the_folders(folder):
    assert "\n# reviews\n" in card(folder, TRAINING).content
    assert f"\n# {folder.name}\n" in card(folder, TRAINING, repo_id=None).content


def test_a_torn_record_is_logged(folder, caplog):
    (folder / "training.json").write_text("{")
    write_model_card(folder)
    assert "is not a JSON object" in caplog.text


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
    """Yield the path (keys and indices) to every part of a JSON value."""
    yield path
    if isinstance(value, dict | list):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from paths_in(part, (*path, key))


def replace_at(value, path, odd):
    """Return a copy of a JSON value with the part at `path` replaced."""
    if not path:
        return odd
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replace_at(value[path[0]], path[1:], odd)
    return copy


@pytest.mark.parametrize(
    "odd", [slow(odd) if index % 6 else odd for index, odd in enumerate(ODD)], ids=range(len(ODD))
)
def test_an_odd_record_spoils_no_card(folder, odd):
    """Any part of a stranger's training.json may be anything: the card is still written."""
    full = TRAINING | {
        "card": STATED,
        "evaluations": [EVALUATION],
        "contrasts": TRAINING["examples"],
        "loss_curve": [[50, 2.5], [100, 2.25]],
    }
    for path in paths_in(full):
        written = card(folder, replace_at(full, path, odd))
        assert errors_in(written.data.to_dict()) == [], path
        assert written.data.pipeline_tag == "fill-mask", path
        assert "## How to use it" in written.text and "None" not in written.text, path


def test_a_failed_write_is_one_line_and_leaves_the_old_files(folder):
    (folder / "README.md").mkdir()
    (folder / "training.json").mkdir()
    with pytest.raises(CheckpointError, match=r"cannot write '.*README\.md'"):
        write_model_card(folder)
    with pytest.raises(CheckpointError, match=r"cannot write '.*training\.json'"):
        add_measurements(folder, examples=[])
    assert not list(folder.glob(".*"))


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
