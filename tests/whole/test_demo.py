"""scripts/demo.py: all steps on a tiny checkpoint, and its functions."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from mlm.errors import TrainingError
from mlm.training.config import TrainingConfig
from scripts import demo


@pytest.fixture
def environment():
    """Return the environment, which is restored after the test."""
    before = dict(os.environ)
    yield os.environ
    os.environ.clear()
    os.environ.update(before)


class FixedModel:
    """A FillMask with fixed answers."""

    def __init__(self, *words: str):
        self.words = words

    def fill(self, sentence: str, top_k: int) -> list[dict]:
        assert "[MASK]" in sentence
        return [
            {"score": 0.5 / rank, "token_str": word, "token": rank, "sequence": sentence}
            for rank, word in enumerate(self.words[:top_k], start=1)
        ]


def run_script(*arguments: str) -> subprocess.CompletedProcess:
    env = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    command = [sys.executable, str(demo.ROOT / "scripts" / "demo.py"), *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=240)


def test_all_steps_but_the_page(tiny_checkpoint_folder, tmp_path):
    output = tmp_path / "adapted"
    done = run_script(
        *("--no_serve", "--max_steps", "4"),
        *("--model_name_or_path", str(tiny_checkpoint_folder), "--output_dir", str(output)),
    )
    assert done.returncode == 0, done.stderr
    commit = re.search(r"published me/demo_adapted at commit ([0-9a-f]{12})", done.stdout)[1]
    assert f"Pull me/demo_adapted back at commit {commit}" in done.stdout
    for sentence in demo.SENTENCES:
        table = done.stdout.split(sentence)[1].split("\n\n")[0]
        assert table.count("%") == 2 * demo.TOP_K
    assert re.search(r"perplexity on held-out documents: [\d.]+ before, [\d.]+ after", done.stdout)
    assert (output / "model.safetensors").is_file()
    assert "Traceback" not in done.stderr


def test_a_user_error_is_one_line_and_exit_code_2(environment, tmp_path, capsys):
    arguments = ["--no_serve", "--model_name_or_path", str(tmp_path), "--output_dir"]
    assert demo.main([*arguments, str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: ") and str(tmp_path) in error


def test_the_recipe_is_valid_and_its_files_exist_from_anywhere(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    config = demo.demo_config(demo.parse([]), "me/model")
    assert config.model_name_or_path == "demo"
    assert [Path(file).is_file() for file in config.train_file] == [True]
    assert (config.push_to_hub, config.hub_model_id) == (True, "me/model")


def test_the_training_script_accepts_the_recipe():
    settings = yaml.safe_load(demo.RECIPE.read_text(encoding="utf-8"))
    config = TrainingConfig.from_dict(settings)
    assert not config.push_to_hub
    header = demo.RECIPE.read_text(encoding="utf-8").split("\n\n")[0]
    assert all(word in header for word in ("Hardware", "Time", "Result", "Command"))


def test_the_command_line_overrides_the_recipe():
    arguments = ["--max_steps", "3", "--output_dir", "elsewhere", "--model_name_or_path", "me/x"]
    config = demo.demo_config(demo.parse(arguments), "me/model")
    assert (config.max_steps, config.output_dir) == (3, "elsewhere")
    assert config.model_name_or_path == "me/x"


def test_without_an_id_the_hub_is_the_stand_in(environment, tmp_path):
    environment |= {"HF_TOKEN": "hf_mine", "HF_HUB_OFFLINE": "1", "NO_PROXY": "example.org"}
    with demo.open_hub(None, tmp_path) as hub_model_id:
        assert hub_model_id == demo.STAND_IN_ID
        assert environment["HF_ENDPOINT"].startswith("http://127.0.0.1:")
        assert environment["HF_TOKEN"] == demo.STAND_IN_TOKEN  # never the user's own
        assert environment["HF_HUB_OFFLINE"] == "0"
        assert environment["NO_PROXY"] == "example.org,127.0.0.1"


def test_with_an_id_the_hub_is_that_of_the_environment(environment, tmp_path):
    environment["HF_TOKEN"] = "hf_mine"
    before = dict(environment)
    with demo.open_hub("me/model", tmp_path) as hub_model_id:
        assert hub_model_id == "me/model"
        assert dict(environment) == before


def test_words_are_side_by_side_in_columns():
    before = FixedModel("movie", "film", "show", "one", "it")
    after = FixedModel("soup", "pasta", "bread", "unbelievablylong", "cake")
    lines = demo.comparison("I ordered the [MASK].", before, after).splitlines()
    assert lines[0] == "  I ordered the [MASK]."
    assert lines[2].split() == ["movie", "50.0%", "soup", "50.0%"]
    assert len(lines) == 2 + demo.TOP_K
    assert {line.index(word) for line, word in zip(lines[2:], after.words, strict=True)} == {
        lines[1].index("after")
    }


def test_a_failure_after_the_training_is_one_line_and_exit_code_1(environment, capsys, monkeypatch):
    def fail(args, workspace):
        raise TrainingError("the page cannot be served: no port is free")

    def interrupt(args, workspace):
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "run_demo", fail)
    assert demo.main([]) == 1
    assert capsys.readouterr().err == "error: the page cannot be served: no port is free\n"
    monkeypatch.setattr(demo, "run_demo", interrupt)
    assert demo.main([]) == 1
    assert capsys.readouterr().err == "\nstopped\n"
