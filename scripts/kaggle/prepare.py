"""Lay out what Kaggle needs to train: the code as a data set, and the notebook that runs it.

    python scripts/kaggle/prepare.py me --dataset owner/imdb --hub_model_id me/imdb_bert_uncased

Prints the commands of Kaggle's own tool (pip install kaggle) that send both. `me` is your name on
Kaggle; the data set with your CSV is there already. Nothing is sent from here.
"""

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mlm.hub.space.files import ROOT, code_files

HERE = Path(__file__).resolve().parent
BESIDES = ("LICENSE", "pyproject.toml")
ACCELERATORS = {  # with the names that Kaggle's tool lists (February 2026)
    "tpu-v5e-8": {"enable_tpu": True, "machine_shape": "TpuV5E8"},
    "tpu-v6e-8": {"enable_tpu": True, "machine_shape": "TpuV6E8"},
    "t4x2": {"enable_gpu": True, "machine_shape": "NvidiaTeslaT4"},
    "p100": {"enable_gpu": True, "machine_shape": "NvidiaTeslaP100"},
    "cpu": {},
}


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    add = parser.add_argument
    add("name", help="your name on Kaggle, as in kaggle.com/NAME")
    add("--dataset", required=True, metavar="OWNER/NAME", help="Kaggle's data set with your CSV")
    add("--hub_model_id", default="", metavar="OWNER/NAME", help="publish there; else nowhere")
    add("--accelerator", choices=ACCELERATORS, default="tpu-v5e-8")
    add("--output_dir", default="runs/kaggle", help="where both are laid out")
    return parser.parse_args(arguments)


def lay_out_code(folder: Path, name: str) -> None:
    """What train.py reaches by its imports, and what says what it is on Kaggle."""
    for path in [*code_files("scripts/train.py"), *BESIDES]:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, folder / path)
    about = {"title": "mlm-code", "id": f"{name}/mlm-code", "licenses": [{"name": "Apache 2.0"}]}
    write_json(folder / "dataset-metadata.json", about)


def lay_out_notebook(folder: Path, given: argparse.Namespace) -> None:
    """The notebook and its metadata, with the names that are only known here."""
    folder.mkdir(parents=True, exist_ok=True)
    about = read_json(HERE / "kernel-metadata.json")
    about["id"] = about["id"].replace("KAGGLE_NAME", given.name)
    about["dataset_sources"] = [f"{given.name}/mlm-code", given.dataset]
    machine = {"enable_tpu", "machine_shape"}  # of the accelerator that stands in the file
    about = {key: value for key, value in about.items() if key not in machine}
    write_json(folder / "kernel-metadata.json", about | ACCELERATORS[given.accelerator])
    notebook = read_json(HERE / "train.ipynb")
    [settings] = (c for c in notebook["cells"] if c["metadata"].get("tags") == ["parameters"])
    asked = (
        f"HUB_MODEL_ID = {given.hub_model_id!r}\n" if "HUB_" in line else line
        for line in settings["source"]
    )
    settings["source"] = list(asked)
    write_json(folder / "train.ipynb", notebook)


def read_json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def main(arguments: list[str]) -> int:
    given = parse(arguments)
    code, notebook = Path(given.output_dir) / "code", Path(given.output_dir) / "notebook"
    for folder in (code, notebook):
        shutil.rmtree(folder, ignore_errors=True)
    lay_out_code(code, given.name)
    lay_out_notebook(notebook, given)
    print(
        f"kaggle datasets create --dir-mode zip -p {code}\n"
        f"    (later: kaggle datasets version --dir-mode zip -m newer -p {code})\n"
        f"kaggle kernels push -p {notebook}"
    )
    if given.hub_model_id:
        print(
            "The first push makes the notebook. Give it a token that may write, labelled HF_TOKEN, "
            "under Add-ons > Secrets, and push again."
        )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
