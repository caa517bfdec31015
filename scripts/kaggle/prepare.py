"""Write the two folders that Kaggle trains from: a data set with the code, and a notebook.

    python scripts/kaggle/prepare.py me --dataset owner/imdb --hub_model_id me/imdb_bert_uncased

Prints the commands of Kaggle's own tool (pip install kaggle) that upload both; this script uploads
nothing. `me` is your name on Kaggle; owner/imdb is the data set there with your CSV.
"""

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import Any

from mlm.hub.source_files import source_files

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
OTHER_FILES = ("LICENSE", "pyproject.toml")
ACCELERATORS: dict[str, dict[str, object]] = {  # names as in Kaggle's tool (February 2026)
    "tpu-v5e-8": {"enable_tpu": True, "machine_shape": "TpuV5E8"},
    "tpu-v6e-8": {"enable_tpu": True, "machine_shape": "TpuV6E8"},
    "t4x2": {"enable_gpu": True, "machine_shape": "NvidiaTeslaT4"},
    "p100": {"enable_gpu": True, "machine_shape": "NvidiaTeslaP100"},
    "cpu": {},
}


def parse(arguments: list[str]) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    add = parser.add_argument
    add("name", help="your name on Kaggle, as in kaggle.com/NAME")
    add("--dataset", required=True, metavar="OWNER/NAME", help="Kaggle's data set with your CSV")
    add("--train_file", default="", help="the file in it; default: its only CSV")
    add("--hub_model_id", default="", metavar="OWNER/NAME", help="publish there; default: nowhere")
    add("--accelerator", choices=ACCELERATORS, default="tpu-v5e-8")
    add("--output_dir", default="runs/kaggle", help="the folder for both")
    return parser.parse_args(arguments)


def lay_out_code(folder: Path, name: str) -> None:
    """Write train.py, the files that it reaches by its imports, and the data set's metadata."""
    for path in [*source_files("scripts.train", ROOT), *OTHER_FILES]:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, folder / path)
    about = {"title": "mlm-code", "id": f"{name}/mlm-code", "licenses": [{"name": "Apache 2.0"}]}
    write_json(folder / "dataset-metadata.json", about)


def lay_out_notebook(folder: Path, given: argparse.Namespace) -> None:
    """Write the notebook and its metadata, with the names from the command line."""
    folder.mkdir(parents=True, exist_ok=True)
    about = read_json(HERE / "kernel-metadata.json")
    about["id"] = about["id"].replace("KAGGLE_NAME", given.name)
    about["dataset_sources"] = [f"{given.name}/mlm-code", given.dataset]
    machine = {"enable_tpu", "machine_shape"}  # the file's own accelerator
    about = {key: value for key, value in about.items() if key not in machine}
    write_json(folder / "kernel-metadata.json", about | ACCELERATORS[given.accelerator])
    notebook = read_json(HERE / "train.ipynb")
    [settings] = (c for c in notebook["cells"] if c["metadata"].get("tags") == ["parameters"])
    own = {"HUB_MODEL_ID": given.hub_model_id, "TRAIN_FILE": given.train_file}
    settings["source"] = [
        f"{name} = {own[name]!r}\n" if (name := line.split(" = ")[0]) in own else line
        for line in settings["source"]
    ]
    write_json(folder / "train.ipynb", notebook)


def read_json(path: Path) -> dict[str, Any]:
    """Read one of the two files of this folder, an object with values of any type."""
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write an object as Kaggle's tool and Jupyter do, indented by one."""
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def main(arguments: list[str]) -> int:
    """Write both folders and print the commands that upload them."""
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
            "The first push creates the notebook. Give it a token with write permission, labelled "
            "HF_TOKEN, under Add-ons > Secrets, and push again."
        )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
