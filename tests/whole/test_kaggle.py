"""Kaggle's notebook, as the script writes it, from its first cell to its last, on a small recipe.

`make test-kaggle` runs it on the oldest versions that are supported. Kaggle is simulated by a
folder of inputs and the module that gives secrets.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from tests.support.places import ROOT
from tests.support.served_hub import REPO, TOKEN, Plan, api, served_hub

pytestmark = pytest.mark.kaggle

SECRETS = f"""
class UserSecretsClient:
    def get_secret(self, label):
        return {{"HF_TOKEN": {TOKEN!r}}}[label]
"""
RECIPE = {
    "max_seq_length": 16,
    "per_device_train_batch_size": 4,
    "max_eval_samples": 16,
    "max_steps": 6,
    "eval_steps": 3,
    "save_steps": 3,
    "learning_rate": 1e-3,
    "example_texts": "I watched this [MASK] film.",
}


def prepare(output: Path, *more: str) -> str:
    """Run the script, which writes the notebook and the code below `output`; return its output."""
    program = [sys.executable, "scripts/kaggle/prepare.py", "me", "--dataset", "owner/imdb"]
    command = [*program, "--output_dir", str(output), *more]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def kaggle(tmp_path, monkeypatch, small_corpus):
    """Kaggle's folder of inputs, with the code and a CSV where it puts data sets."""
    prepare(tmp_path / "laid-out", "--hub_model_id", REPO)
    inputs = tmp_path / "input"
    shutil.copytree(tmp_path / "laid-out" / "code", inputs / "datasets" / "me" / "mlm-code")
    (inputs / "imdb").mkdir()
    shutil.copy(small_corpus, inputs / "imdb")
    (tmp_path / "image").mkdir()
    (tmp_path / "image" / "kaggle_secrets.py").write_text(SECRETS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "image"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    return inputs


def execute(folder: Path, inputs: Path, model: Path, **changes) -> nbformat.NotebookNode:
    """Run the notebook that the script wrote with other parameters than its own."""
    notebook = nbformat.read(folder / "laid-out" / "notebook" / "train.ipynb", as_version=4)
    [settings] = (i for i, c in enumerate(notebook.cells) if c.metadata.get("tags"))
    own = {"INPUT": str(inputs), "OUTPUT": str(folder / "model"), "MODEL": str(model)}
    own |= {"SETTINGS": RECIPE, **changes}
    source = "\n".join(f"{name} = {value!r}" for name, value in own.items())
    notebook.cells.insert(settings + 1, nbformat.v4.new_code_cell(source))
    NotebookClient(notebook, timeout=250, resources={"metadata": {"path": str(folder)}}).execute()
    return notebook


def output_of(notebook: nbformat.NotebookNode) -> str:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return "".join(output.get("text", json.dumps(output.get("data", ""))) for output in outputs)


def installed_versions() -> str:
    listing = [sys.executable, "-m", "pip", "list", "--format=freeze"]
    return subprocess.run(listing, check=True, capture_output=True, text=True).stdout


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Jupyter's own
def test_the_notebook_trains_publishes_and_answers(kaggle, tmp_path, tiny_bert_folder, monkeypatch):
    before = installed_versions()
    with served_hub(tmp_path, monkeypatch, Plan()):
        monkeypatch.delenv("HF_TOKEN")  # it has to come from the secrets
        done = execute(tmp_path, kaggle, tiny_bert_folder)
        files = set(api().list_repo_files(REPO, token=TOKEN))
    assert {"model.safetensors", "tokenizer.json", "README.md", "training.json"} <= files
    text = output_of(done)
    assert (
        len(re.findall(r"^ *\d+\.\d%  I have watched this.* and it was awesome\.$", text, re.M))
        == 5
    )
    assert "image/svg+xml" in text and "masked-token perplexity" in text.lower()
    assert TOKEN not in json.dumps(done)
    assert installed_versions() == before
    print(text)  # `make test-kaggle` shows it


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_notebook_without_its_tpu_ends_at_once(kaggle, tmp_path, tiny_bert_folder, monkeypatch):
    monkeypatch.setenv("TPU_ACCELERATOR_TYPE", "v5litepod-8")
    with pytest.raises(CellExecutionError, match="the run is not finished"):
        execute(tmp_path, kaggle, tiny_bert_folder, HUB_MODEL_ID="")
    assert not (tmp_path / "model").exists()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_notebook_with_several_files_lists_them(kaggle, tmp_path, tiny_bert_folder):
    (kaggle / "imdb" / "test.csv").write_text("text\nnot to train on\n")
    with pytest.raises(CellExecutionError, match=r"set TRAIN_FILE .*small\.csv.*test\.csv"):
        execute(tmp_path, kaggle, tiny_bert_folder, HUB_MODEL_ID="")
    assert not (tmp_path / "model").exists()


def test_the_notebook_has_the_names_that_were_given(tmp_path):
    prepare(tmp_path, "--train_file", "imdb_tr.csv", "--hub_model_id", REPO)
    notebook = nbformat.read(tmp_path / "notebook" / "train.ipynb", as_version=4)
    [settings] = (cell.source for cell in notebook.cells if cell.metadata.get("tags"))
    lines = settings.splitlines()
    assert "TRAIN_FILE = 'imdb_tr.csv'" in lines and f"HUB_MODEL_ID = {REPO!r}" in lines


@pytest.mark.parametrize(
    ("accelerator", "shape"),
    [("tpu-v5e-8", "TpuV5E8"), ("t4x2", "NvidiaTeslaT4"), ("cpu", None)],
)
def test_the_metadata_is_what_kaggles_tool_reads(tmp_path, accelerator, shape):
    printed = prepare(tmp_path, "--accelerator", accelerator)
    about = json.loads((tmp_path / "notebook" / "kernel-metadata.json").read_text())
    assert about.get("machine_shape") == shape
    assert about["id"] == "me/" + re.sub(r"\W+", "-", about["title"].lower())  # or Kaggle renames
    assert about["dataset_sources"] == ["me/mlm-code", "owner/imdb"]
    assert about["is_private"] and about["enable_internet"]
    assert (tmp_path / "notebook" / about["code_file"]).is_file()
    assert f"kaggle kernels push -p {tmp_path}/notebook" in printed


def test_the_notebook_is_whole_and_empty():
    notebook = nbformat.read(ROOT / "scripts" / "kaggle" / "train.ipynb", as_version=4)
    nbformat.validate(notebook)
    kinds = [cell.cell_type for cell in notebook.cells]
    assert kinds == ["markdown"] + ["markdown", "code"] * (len(kinds) // 2)
    assert not any(cell.get("outputs") for cell in notebook.cells)
    assert os.environ.get("HF_TOKEN", "no token") not in json.dumps(notebook)
