"""The card of a classifier holds what was measured, in a form that the Hub accepts."""

import html as html_module
import json
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from huggingface_hub import ModelCard
from safetensors.numpy import save_file

from mlm.checkpoint.file_limits import CHECKPOINT_FILES
from mlm.checkpoint.task import PROBLEM_TYPES
from mlm.commands import classify as classify_command
from mlm.commands.card import main
from mlm.finetuning.config import FinetuningConfig
from mlm.hub.local.card_rules import errors_in
from mlm.training.card import add_measurements, name_model_card, write_model_card
from mlm.training.card.origin import recipe_of
from mlm.training.card.task.figures import PICTURE
from tests.support.small_classifiers import SENTIMENT, TAGS, save_classifier
from tests.support.sweeps import slow
from tests.support.task_records import COMMIT, SCORES, curve, task_record
from tests.training.test_model_card import ODD, paths_in, replace_at

REPO = "me/sentiment"
HOSTILE = ("a|*b*`c`", "<b>&lt;</b> [x](http://e.test) ``` \n# d", "\u202ee_f_ ~~g~~ $h$")


@pytest.fixture
def folder(tmp_path) -> Path:
    config = {"model_type": "bert", "num_hidden_layers": 6, "max_position_embeddings": 512}
    (tmp_path / "config.json").write_text(json.dumps(config))
    save_file({"a": np.zeros((30, 4))}, tmp_path / "model.safetensors")
    return tmp_path


def card(folder: Path, record: object, repo_id: str | None = REPO) -> ModelCard:
    (folder / "training.json").write_text(json.dumps(record))
    write_model_card(folder, repo_id)
    return ModelCard.load(folder / "README.md")


def says_none(text: str) -> bool:
    return "None" in text.replace("top_k=None", "")


def part(text: str, title: str) -> str:
    return text.partition(f"## {title}\n\n")[2].partition("\n\n## ")[0]


def test_metadata_is_what_the_hub_reads(folder):
    data = card(folder, task_record()).data.to_dict()
    assert data["pipeline_tag"] == "text-classification"
    assert data["library_name"] == "transformers"
    assert (data["base_model"], data["base_model_relation"]) == ("me/adapted", "finetune")
    assert data["metrics"] == ["accuracy", "f1", "roc_auc", "matthews_correlation"]
    assert data["tags"] == ["text-classification", "single-label-classification", "bert"]
    assert not {"widget", "mask_token"} & data.keys()
    assert errors_in(data) == []


def test_each_figure_has_its_interval_in_its_name(folder):
    record = task_record()
    after = record["metrics"]["after"]
    written = card(folder, record).data.to_dict()["model-index"][0]["results"]
    assert len(written) == 1
    dataset = {"name": "held-out texts of train.csv", "type": "text", "split": "test"}
    assert written[0]["dataset"] == dataset
    found = {each["name"]: (each["type"], each["value"]) for each in written[0]["metrics"]}
    low, high = (100 * end for end in after["intervals"]["accuracy"])
    accuracy = f"accuracy (95 % interval {low:.1f} to {high:.1f} %)"
    assert found[accuracy] == ("accuracy", round(after["metrics"]["accuracy"], 4))
    assert found["calibration error"] == ("ece", round(after["metrics"]["ece"], 4))
    assert any(name.startswith("F1 of positive (95 % interval ") for name in found)


@pytest.mark.parametrize("problem_type", PROBLEM_TYPES)
def test_each_kind_of_task_has_its_card(folder, problem_type):
    record = task_record(problem_type)
    written = card(folder, record)
    tag = "token" if problem_type == "token_classification" else "text"
    assert written.data.pipeline_tag == f"{tag}-classification"
    assert f'pipeline("{tag}-classification", model="{REPO}"' in written.text
    assert errors_in(written.data.to_dict()) == []
    for name in record["task"]["labels"]:
        assert f"`{name}`" in written.text.partition("\n\n## ")[0]
    assert "On 200 test " in written.text.partition("\n\n## ")[0]
    titles = re.findall(r"^## (.*)", written.text, re.M)
    assert titles == [
        *("How to use it", "Figures", "How it reads texts", "Labels", "Limits and biases"),
        *("Data", "Recipe", "Run"),
    ]
    assert not says_none(written.content)


def test_the_base_model_is_named_with_its_commit(folder):
    text = card(folder, task_record()).text
    link = f"[`{COMMIT[:12]}`](https://huggingface.co/me/adapted/tree/{COMMIT})"
    assert (
        f"It was fine-tuned from [me/adapted](https://huggingface.co/me/adapted) at commit {link}"
        in text
    )
    record = task_record(base_model={}, config={"model_name_or_path": "/home/someone/imdb"})
    written = card(folder, record)
    assert "It was fine-tuned from `imdb`." in written.text
    assert not {"base_model", "base_model_relation"} & written.data.to_dict().keys()


def test_figures_of_validation_texts_say_so(folder):
    text = card(folder, task_record(measured_on="validation")).text
    assert "On 100 validation texts, its accuracy is " in text
    assert "Weights or settings may have been chosen by these texts, so" in text
    assert "which no training step saw" not in text
    assert "On the validation texts, for choosing by: " not in text
    assert "measure it on others before you rely on it" in part(text, "Limits and biases")
    tested = card(folder, task_record()).text
    assert "On 200 test texts, which no training step saw, its accuracy is " in tested
    assert "On the validation texts, for choosing by: accuracy " in tested


@pytest.mark.parametrize(
    ("labels", "said"),
    [(("O", "B-PER"), "its entity F1 is "), (("NOUN", "VERB"), "its F1 is ")],
)
def test_only_entities_have_an_entity_f1(folder, labels, said):
    text = card(folder, task_record("token_classification", labels)).text
    assert said in text
    assert ("type of entity" in text) == ("B-PER" in labels)


@pytest.mark.parametrize(
    ("truncation", "differs"), [("head", False), ("tail", True), ("head_tail", True)]
)
def test_long_texts_are_cut_as_in_the_training(folder, truncation, differs):
    text = card(folder, task_record(task={"truncation": truncation})).text
    usage = part(text, "How to use it")
    assert 'classify("A text to label.", top_k=None, truncation=True, max_length=64)' in usage
    assert ("`transformers` keeps the beginning of a text longer than 64" in usage) is differs
    assert f'Classifier.from_pretrained("{REPO}")("A text to label.")' in usage
    reading = part(text, "How it reads texts")
    assert "more than 64 tokens, special ones included" in reading
    assert (
        "That was so for 90 of 900 training texts, 10 of 100 validation texts, 20 of 200" in reading
    )


def test_pairs_are_given_as_pairs(folder):
    text = card(folder, task_record(task={"is_of_pairs": True})).text
    pair = '{"text": "The first text.", "text_pair": "The second one."}'
    assert f"classify({pair}, top_k=None, truncation=True, max_length=64)" in text
    assert f'Classifier.from_pretrained("{REPO}")({pair})' in text
    assert "it gives a pair of texts one of 2 labels" in text
    assert "the longer one is cut first" in text
    command = f"mlm classify FILE.csv --text_column_names A B --model_name_or_path {REPO}"
    assert f"in two columns: `{command}`." in text
    assert classify_command.parse(command.split()[2:]).text_column_names == ["A", "B"]


@pytest.mark.parametrize(
    ("task", "is_of_pairs"), [(SENTIMENT, False), (SENTIMENT, True), (TAGS, False)]
)
def test_its_code_gives_our_answers(tmp_path, monkeypatch, task, is_of_pairs):
    reading = {"truncation": "head", "is_of_pairs": is_of_pairs}
    record = task_record(task.problem_type, task.labels, task=reading)
    folder = save_classifier(tmp_path / "mine", task=task, training=record)
    write_model_card(folder)
    monkeypatch.chdir(tmp_path)  # the card names the folder
    text = (folder / "README.md").read_text(encoding="utf-8")
    with_transformers, with_ours = re.findall(r"```python\n(.*?)\n```", text, re.S)
    theirs, ours = last_value(with_transformers), last_value(with_ours)
    assert len(theirs) == len(ours) > 0
    for one, other in zip(theirs, ours, strict=True):
        assert one.keys() == other.keys()
        assert one == pytest.approx(other, abs=1e-4)


def last_value(code: str) -> list[dict]:
    """Run lines of code; return the value of the last one."""
    *lines, last = code.split("\n")
    names: dict[str, object] = {}
    exec("\n".join(lines), names)
    return eval(last, names)


def test_masked_words_are_not_asked_of_a_classifier(tmp_path, capsys):
    folder = save_classifier(tmp_path / "mine", training=task_record())
    assert main([str(folder), "--example", "A [MASK] film."]) == 2
    assert f"{folder} is a classifier, and masked words are asked for" in capsys.readouterr().err


def test_the_curve_is_drawn_tabled_and_said(folder):
    text = card(folder, task_record(curve=curve())).text
    shown = part(text, "Learning curve")
    assert f"]({PICTURE})" in shown and PICTURE in CHECKPOINT_FILES
    ElementTree.fromstring((folder / PICTURE).read_text(encoding="utf-8"))
    assert "| 16 | 70.5 ± 0.7 % | 50.5 ± 0.7 % | 55.5 ± 0.7 % |" in shown
    assert (
        "With 16 labels, `adapted` has accuracy 70.5 %; for that, `base` needs 256 (16x)" in shown
    )
    assert (
        "With 64 labels, `adapted` has accuracy 80.5 %; for that, `base` needs more than 256"
        in shown
    )
    assert "its last point is not the figure of this model" in shown
    probe = task_record(curve=curve(), config={"freeze_encoder": True})
    assert "as this model is" in part(card(folder, probe).text, "Learning curve")
    assert "## Learning curve" not in card(folder, task_record()).text
    assert not (folder / PICTURE).exists()


def test_a_curve_of_one_system_saves_no_labels(folder):
    text = card(folder, task_record(curve=curve({"adapted": SCORES["adapted"]}))).text
    assert "needs" not in part(text, "Learning curve")


def test_a_probe_has_no_steps(folder):
    text = card(folder, task_record(config={"freeze_encoder": True})).text
    assert "only the classifier on it was trained (a linear probe)" in text
    assert "steps" not in part(text, "Run") and "| seed | 42 |" in part(text, "Run")


def test_limits_say_balance_calibration_and_the_weakest_label(folder):
    record = task_record()
    limits = part(card(folder, record).text, "Limits and biases")
    figures = record["metrics"]["after"]
    share = max(each["support"] for each in figures["per_label"]) / 200
    assert f"is the label of {100 * share:.1f} % of the test texts" in limits
    assert f"Its scores are {100 * figures['metrics']['ece']:.1f} points off" in limits
    weakest = min(figures["per_label"], key=lambda each: each["recall"])
    assert f"It finds `{weakest['label']}` least often: {100 * weakest['recall']:.1f} %" in limits
    assert "with so few" not in limits
    few = task_record(measured_on="validation")
    few["metrics"]["after"]["num_examples"] = 99
    assert "with so few, its figures may be chance" in card(folder, few).text


def test_the_recipe_can_be_copied(folder):
    recipe = {"train_file": ["a b.csv"], "freeze_encoder": True, "zero_shot": "x\n```\n# y"}
    text = card(folder, task_record(recipe=recipe | {"not a flag": 1})).text
    command = [
        "mlm finetune",
        "--train_file 'a b.csv'",
        "--freeze_encoder",
        "--zero_shot 'x\n```\n# y'",
    ]
    joined = " \\\n    ".join(command)
    assert part(text, "Recipe").endswith(f"defaults.\n\n````sh\n{joined}\n````")


def test_the_record_keeps_the_settings_of_the_recipe():
    config = FinetuningConfig(
        train_file=["/home/someone/a.csv"],
        model_name_or_path="me/adapted",
        label_column_name="kind",
        freeze_encoder=True,
        output_dir="/home/someone/run",
        hub_model_id="me/x",
    )
    assert list(recipe_of(FinetuningConfig, config.to_public_dict(), COMMIT).items()) == [
        ("train_file", ["a.csv"]),
        ("label_column_name", "kind"),
        ("model_name_or_path", "me/adapted"),
        ("model_revision", COMMIT),
        ("freeze_encoder", True),
    ]


def test_labels_are_counted_by_side(folder):
    labels = part(card(folder, task_record()).text, "Labels")
    assert "| label | training | validation | test |" in labels
    assert "| negative | 450 | 50 | 100 |" in labels
    many = tuple(f"label {i}" for i in range(60))
    labels = part(card(folder, task_record(labels=many)).text, "Labels")
    assert "(the 40 with the most, of 60)" in labels and labels.count("\n| label ") == 41
    assert "and 52 more" in (folder / "README.md").read_text()


def test_no_folder_and_no_markup_of_others_is_shown(folder):
    text = card(folder, task_record()).text
    assert "someone" not in text and str(folder) not in text
    assert r"(text: a\_b, label: \*c\*)" in text


@pytest.mark.parametrize("problem_type", [kind for kind in PROBLEM_TYPES if kind != "regression"])
def test_names_of_labels_are_shown_as_they_are(folder, problem_type):
    markdown = pytest.importorskip("markdown_it").MarkdownIt("commonmark", {"html": True})
    record = task_record(problem_type, HOSTILE, curve=curve({"adapted": SCORES["adapted"]}))
    written = card(folder, record)
    assert errors_in(written.data.to_dict()) == []
    shown = html_module.unescape(
        re.sub(
            r"</?(?:code|td|strong)\b[^>]*>", "\n", markdown.enable("table").render(written.text)
        )
    )
    plain = ("a|*b*`c`", "<b>&lt;</b> [x](http://e.test) ``` # d", "\ufffde_f_ ~~g~~ $h$")
    lines = [line.strip() for line in shown.split("\n")]
    for name in plain:
        assert lines.count(name) >= 2, name  # in the summary and in the labels
    html = markdown.render(written.text)
    assert "<b>" not in html and 'http://e.test"' not in html and "<h1>d" not in html


def test_a_card_gets_its_published_name_unless_it_is_edited(folder):
    card(folder, task_record(curve=curve()), repo_id=None)
    for name, revision in ((REPO, None), ("me/other", "trial"), (REPO, None)):
        name_model_card(folder, name, revision)
        text = (folder / "README.md").read_text()
        assert f'model="{name}"' in text and ('revision="trial"' in text) == bool(revision)
    (folder / "README.md").write_text(f"{text}\nMine.\n")
    name_model_card(folder, "me/other")
    assert (folder / "README.md").read_text().endswith("Mine.\n")


def test_facts_that_are_stated_later_are_in_the_card(folder):
    card(folder, task_record())
    add_measurements(folder, card={"language": ["de"], "license": "mit", "hub_space": "me/page"})
    name_model_card(folder, REPO)  # the card counts as edited: the record has changed
    write_model_card(folder, REPO)
    written = ModelCard.load(folder / "README.md")
    assert (written.data.language, written.data.license) == (["de"], "mit")
    assert "Its texts are in `de`" in written.text
    assert "[me/page](https://huggingface.co/spaces/me/page)" in written.text


@pytest.mark.parametrize("absent", sorted(task_record(curve=curve())))
def test_an_absent_part_of_the_record_is_left_out(folder, absent):
    record = task_record(curve=curve())
    del record[absent]
    written = card(folder, record)
    kind = "fill-mask" if absent == "task" else "text-classification"
    assert written.data.pipeline_tag == kind
    assert not says_none(written.content) and "## How to use it" in written.text


@pytest.mark.parametrize(
    "odd", [slow(odd) if index % 6 else odd for index, odd in enumerate(ODD)], ids=range(len(ODD))
)
@pytest.mark.parametrize("problem_type", [PROBLEM_TYPES[0], *map(slow, PROBLEM_TYPES[1:])])
def test_an_odd_record_spoils_no_card(folder, problem_type, odd):
    """Any part of a stranger's training.json may be anything: the card is still written."""
    full = task_record(problem_type, curve=curve({"adapted": (0.7, 0.8, 0.9), "base": (0, 0, 1)}))
    del full["metrics"]["before"], full["metrics"]["validation"]
    full["curve"]["points"] = full["curve"]["points"][::3]
    for path in paths_in(full):
        written = card(folder, replace_at(full, path, odd))
        assert errors_in(written.data.to_dict()) == [], path
        assert "## How to use it" in written.text and not says_none(written.text), path
