"""The whole run in one process: texts to a checkpoint that everyone reads; stopping; refusing."""

import json
import os
import signal

import numpy as np
import pytest
import torch
import transformers

from mlm.errors import CheckpointError, ConfigError, CorpusError, HubError, TrainingError, UserError
from mlm.inference.fill_mask import FillMask
from mlm.training import publishing as publishing_module
from mlm.training.config import TrainingConfig
from mlm.training.first_checks import finished_record
from mlm.training.masked_lm import add_examples
from mlm.training.publishing import publish
from mlm.training.trainer import TrainingStopped, train

SHAPE = "hidden_size=32,num_hidden_layers=2,num_attention_heads=2,intermediate_size=48"
SENTENCE = "I watched this [MASK] film."


def small_config(corpus, output, **changes) -> TrainingConfig:
    settings = {
        "train_file": [str(corpus)],
        "output_dir": str(output),
        "config_overrides": SHAPE,
        "vocab_size": 160,
        "max_seq_length": 24,
        "line_by_line": True,
        "per_device_train_batch_size": 32,
        "validation_split_percentage": 10,
        "max_steps": 300,
        "warmup_steps": 5,
        "learning_rate": 5e-3,
        "logging_steps": 10,
        "eval_steps": 150,
        "save_steps": 100,
        "precision": "fp32",
    }
    if changes.get("model_name_or_path"):
        settings |= {"config_overrides": None, "vocab_size": TrainingConfig.vocab_size}
    return TrainingConfig.from_dict(settings | changes)


@pytest.fixture(scope="module")
def finished(small_corpus, tmp_path_factory):
    """One run from scratch, its result and its lines."""
    lines: list[str] = []
    output = tmp_path_factory.mktemp("finished") / "run"
    return train(small_config(small_corpus, output), report=lines.append), lines


def test_training_teaches(finished):
    result, _ = finished
    # 384 sentences of a fixed pattern: uniform guessing is a perplexity of about 60, and the words
    # that the pattern leaves open (6 verbs, 8 adjectives, 8 nouns) bound it from below.
    assert result.before.perplexity > 40
    assert result.after.perplexity < 12
    assert result.after.num_tokens == result.before.num_tokens > 50


def test_the_record_says_what_happened(finished):
    result, _ = finished
    record = json.loads((result.folder / "training.json").read_text(encoding="utf-8"))
    assert record["steps"] == 300
    assert record["seed"] == 42
    assert record["metrics"]["after"]["loss"] == result.after.loss
    assert [step for step, _ in record["loss_curve"]][-3:] == [280, 290, 300]
    assert [step for step, _ in record["validation_curve"]] == [0, 150, 300]
    assert record["loss_curve"][-1][1] < record["loss_curve"][0][1] - 1
    assert record["tokens_per_second"] > 0
    assert record["versions"]["backend"] == "tensorflow"
    assert len(record["corpus"]["fingerprint"]) == 64


def test_the_card_has_words_that_the_checkpoint_gives(finished):
    result, _ = finished
    record = json.loads((result.folder / "training.json").read_text(encoding="utf-8"))
    (example,) = record["examples"]
    ours = FillMask.from_pretrained(result.folder)(example["text"], top_k=5)
    assert example["text"] == "I have watched this [MASK] and it was awesome."
    assert [each["token_str"] for each in example["output"]] == [e["token_str"] for e in ours]
    assert ours[0]["token_str"] in (result.folder / "README.md").read_text(encoding="utf-8")
    assert (result.folder / "loss_curve.svg").is_file()


def test_an_example_that_cannot_be_tried_costs_no_checkpoint(finished, small_corpus, tmp_path):
    result, _ = finished
    lines: list[str] = []
    config = small_config(small_corpus, tmp_path, example_texts=["No gap."])
    add_examples(result.folder, config, lines.append)
    assert len(lines) == 1
    assert lines[0].startswith("the card has no examples: InputError: ")


@pytest.mark.parametrize(
    ("settings", "command"),
    [
        ({}, "me/x"),
        ({"hub_private_repo": True, "hub_tag": "v1"}, "me/x --private --tag v1"),
        ({"hub_revision": "trial"}, "me/x --revision trial"),
    ],
)
def test_how_to_publish_later_is_said_as_it_was_asked(
    finished, small_corpus, tmp_path, monkeypatch, settings, command
):
    """Without --private, what was to be private would be published openly."""
    result, _ = finished

    def refuse(*args, **options):
        raise HubError("could not create me/x")

    monkeypatch.setattr(publishing_module.hub, "push_checkpoint", refuse)
    publishing = {"push_to_hub": True, "hub_model_id": "me/x", **settings}
    config = small_config(small_corpus, tmp_path, **publishing)
    with pytest.raises(TrainingError) as caught:
        publish(result, config, print)
    assert str(caught.value).endswith(f"{result.folder} {command}`")


def test_a_person_is_told_device_texts_and_figures(finished):
    _, lines = finished
    assert lines[0].startswith("tokenizer: wordpiece, lower-cased, ")
    assert "384 rows read from 1 file" in lines[1]
    assert lines[2] == "3 of the texts as the model sees them:"
    assert "\ndevice " in lines[6] and "(as requested)" in lines[6]
    assert sum("masked-token perplexity" in line for line in lines) == 3
    assert "better on held-out texts: perplexity " in lines[-1]
    assert "best words for 'I have watched this [MASK]" in lines[-1]
    assert "before:" not in lines[-1]  # a new model has no words before


def test_the_folder_is_the_checkpoint_and_nothing_of_the_run_stays(finished):
    result, _ = finished
    names = {path.name for path in result.folder.iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", "README.md"} <= names
    assert "state" not in names


def test_transformers_loads_it_whole_and_answers_the_same(finished):
    result, _ = finished
    model, loading = transformers.AutoModelForMaskedLM.from_pretrained(
        result.folder, output_loading_info=True
    )
    assert not loading["missing_keys"]
    assert not loading["unexpected_keys"]
    tokenizer = transformers.AutoTokenizer.from_pretrained(result.folder)
    pipeline = transformers.pipeline("fill-mask", model=model.eval(), tokenizer=tokenizer)
    with torch.no_grad():
        theirs = pipeline(SENTENCE, top_k=5)
    ours = FillMask.from_pretrained(result.folder)(SENTENCE, top_k=5)
    assert [c["token"] for c in ours] == [c["token"] for c in theirs]
    np.testing.assert_allclose([c["score"] for c in ours], [c["score"] for c in theirs], atol=1e-4)


def test_a_finished_checkpoint_is_not_overwritten_unasked(finished, small_corpus):
    result, _ = finished
    with pytest.raises(ConfigError, match="--overwrite_output_dir"):
        train(small_config(small_corpus, result.folder))


def test_the_same_command_finds_that_it_has_finished(finished, small_corpus):
    result, _ = finished
    config = small_config(small_corpus, result.folder)
    assert finished_record(config) == json.loads((result.folder / "training.json").read_text())


def test_a_checkpoint_is_adapted(finished, small_corpus, tmp_path):
    base, _ = finished
    config = small_config(
        small_corpus,
        tmp_path / "adapted",
        model_name_or_path=str(base.folder),
        max_steps=3,
        learning_rate=1e-5,
        save_dtype="float16",
    )
    lines: list[str] = []
    result = train(config, report=lines.append)
    (words_before,) = (line for line in lines[-1].splitlines() if line.startswith("  before: "))
    best = FillMask.from_pretrained(base.folder, engine="keras")(config.example_texts[0])[0]
    assert words_before.startswith(f"  before: {best['token_str']} {best['score']:.0%}, ")
    assert result.before.loss == pytest.approx(base.after.loss, abs=1e-5)
    assert result.after.loss == pytest.approx(base.after.loss, abs=0.05)
    smaller = (result.folder / "model.safetensors").stat().st_size
    assert smaller < 0.6 * (base.folder / "model.safetensors").stat().st_size


@pytest.mark.parametrize("optim", ["adamw", pytest.param("muon", marks=pytest.mark.slow)])
def test_a_stopped_run_goes_on_as_if_it_had_not_been(small_corpus, tmp_path, optim):
    changes = {
        "model_type": "bert",  # has dropout
        "config_overrides": SHAPE.replace("layers=2", "layers=1"),
        "max_steps": 24,
        "logging_steps": 4,
        "eval_steps": 8,
        "save_steps": 100,
        "optim": optim,
    }

    def interrupt(line):
        if line.startswith("step 8"):
            os.kill(os.getpid(), signal.SIGINT)

    stopped = small_config(small_corpus, tmp_path / "stopped", **changes)
    with pytest.raises(TrainingStopped) as stop:
        train(stopped, report=interrupt)
    assert stop.value.step == 9
    lines: list[str] = []
    resumed = train(stopped, report=lines.append)
    assert any("resuming from step 9" in line for line in lines)
    straight = train(
        small_config(small_corpus, tmp_path / "straight", **changes), report=lines.append
    )
    ours = (resumed.folder / "model.safetensors").read_bytes()
    assert ours == (straight.folder / "model.safetensors").read_bytes()
    assert resumed.after == straight.after
    assert resumed.training["validation_curve"] == straight.training["validation_curve"]


def test_a_run_with_another_setting_is_not_the_same_run(small_corpus, tmp_path):
    config = small_config(small_corpus, tmp_path, max_steps=6, save_steps=2, eval_steps=2)

    def interrupt(line):
        if line.startswith("step 2"):
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(TrainingStopped):
        train(config, report=interrupt)
    other = small_config(small_corpus, tmp_path, max_steps=6, save_steps=2, eval_steps=2, seed=43)
    with pytest.raises(ConfigError, match=r"--seed was 42 .* is 43 now"):
        train(other)


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"train_file": ["no/such.csv"]}, CorpusError, "no/such.csv"),
        ({"text_column": "review"}, CorpusError, "'?id'?, '?text'?"),
        ({"max_seq_length": 4096}, ConfigError, "positions for 64"),
        ({"model_name_or_path": "no/folder/at/all"}, UserError, "no/folder/at/all"),
        ({"config_overrides": "hidden_size=33", "model_name_or_path": None}, CheckpointError, "33"),
    ],
)
def test_bad_input_is_refused_before_training(
    changes, error, said, small_corpus, tiny_bert_folder, tmp_path
):
    settings = {"model_name_or_path": str(tiny_bert_folder)} | changes
    lines: list[str] = []
    with pytest.raises(error, match=said) as refusal:
        train(small_config(small_corpus, tmp_path / "run", **settings), report=lines.append)
    assert "\n" not in str(refusal.value)
    assert not any("perplexity" in line for line in lines)
    assert not (tmp_path / "run" / "model.safetensors").exists()
