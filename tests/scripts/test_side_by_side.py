"""The comparison with run_classification.py of transformers, for which a stand-in is run here."""

import json
import subprocess
import sys

import pytest

from tests.support.places import ROOT

BENCHMARKS = ROOT / "scripts" / "benchmarks"
STAND_IN = """
import argparse, csv, json, pathlib
import evaluate

parser = argparse.ArgumentParser()
for name in ("model_name_or_path", "train_file", "test_file", "output_dir", "max_steps", "seed"):
    parser.add_argument(f"--{name}", required=True)
given, _ = parser.parse_known_args()
config = json.loads(pathlib.Path(given.model_name_or_path, "config.json").read_text())
assert config["dtype"] == "float32"
assert given.max_steps == "2" and given.seed == "1"
assert evaluate.load("accuracy", cache_dir=None).compute(predictions=[1, 0], references=[1, 1])
output = pathlib.Path(given.output_dir)
output.mkdir()
rows = sum(1 for _ in csv.DictReader(open(given.test_file)))
(output / "predict_results.txt").write_text(
    "index\\tprediction\\n" + "".join(f"{i}\\t1\\n" for i in range(rows))
)
results = {"train_samples": 5, "train_runtime": 1.5}
(output / "train_results.json").write_text(json.dumps(results))
"""


@pytest.fixture
def figures(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    import classification_figures

    return classification_figures


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, cwd=BENCHMARKS, capture_output=True, text=True)


def texts(path, labels):
    rows = "".join(
        f"{label},a {'good' if label else 'dull'} film {i}\n" for i, label in enumerate(labels)
    )
    path.write_text("polarity,text\n" + rows)
    return path


def test_their_accuracy_is_that_of_all_test_texts(figures, tmp_path):
    (tmp_path / "train_results.json").write_text('{"train_samples": 3, "train_runtime": 2.5}')
    (tmp_path / "predict_results.txt").write_text("index\tprediction\n0\t0\n1\t1\n2\t1\n3\t0\n")
    labels = figures.read_labels(str(texts(tmp_path / "test.csv", [0, 1, 1, 1])))
    assert figures.their_figures(tmp_path, labels) == figures.Figures(3, 2.5, 0.75)
    with pytest.raises(SystemExit, match="4 of 5 test texts were labelled"):
        figures.their_figures(tmp_path, [*labels, "0"])


def test_our_accuracy_is_that_of_all_test_texts(figures, tmp_path):
    after = {"num_examples": 2, "metrics": {"accuracy": 0.5}}
    counts = {"train": {"documents": 7}}
    record = {"metrics": {"after": after}, "corpus": {"counts": counts}, "seconds": 1.5}
    (tmp_path / "training.json").write_text(json.dumps(record))
    assert figures.our_figures(tmp_path, ["0", "1"]) == figures.Figures(7, 1.5, 0.5)
    with pytest.raises(SystemExit, match="2 of 3 test texts were labelled"):
        figures.our_figures(tmp_path, ["0", "1", "1"])


def test_a_file_without_labels_is_named(figures, tmp_path):
    path = tmp_path / "texts.csv"
    path.write_text("text\na film\n")
    with pytest.raises(SystemExit, match=r"texts\.csv: expected .* text and polarity: .*polarity"):
        figures.read_labels(str(path))


def test_the_local_metric_takes_the_place_of_the_library(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import sys, evaluate\n"
        "metric = evaluate.load(sys.argv[1], cache_dir=None)\n"
        "print(__name__, metric.compute(predictions=[0, 1, 1, 1], references=[0, 1, 0, 1]))\n"
    )
    done = run("with_local_accuracy.py", script, "accuracy")
    assert done.stdout == "__main__ {'accuracy': 0.75}\n", done.stderr
    assert "'f1' is not available here" in run("with_local_accuracy.py", script, "f1").stderr


def test_the_memory_of_a_process_is_its_own(tmp_path):
    measure = (
        "from pathlib import Path; from measured_process import run_measured\n"
        f"for size in (0, 300_000_000):\n"
        f"    cost = run_measured(['-c', f'bytearray({{size}})'], Path({str(tmp_path)!r}))\n"
        "    print(cost.megabytes)\n"
        f"run_measured(['-c', 'raise SystemExit(\"no file\")'], Path({str(tmp_path)!r}))"
    )
    done = run("-c", measure)
    small, large = map(float, done.stdout.split())
    assert 290 < large - small < 310
    assert done.returncode == 1 and done.stderr.endswith("failed:\nno file\n\n")


@pytest.mark.slow
def test_both_sides_have_a_row(tmp_path):
    script = tmp_path / "stand_in.py"
    script.write_text(STAND_IN)
    files = {
        "train_file": texts(tmp_path / "train.csv", [0, 1] * 12),
        "validation_file": texts(tmp_path / "validation.csv", [1, 0] * 4),
        "test_file": texts(tmp_path / "test.csv", [1, 1, 1, 0]),
    }
    flags = [f"--{name}={path}" for name, path in files.items()]
    flags += ["--num_train_epochs=1", "--max_seq_length=16", "--run_classification", script]
    model = ROOT / "mlm" / "bundled" / "imdb_modernbert"
    done = run("classification_side_by_side.py", "--model_name_or_path", model, *flags)
    *_, ours, theirs = done.stdout.splitlines()
    assert ours.startswith("| mlm finetune | 1 | "), done.stderr
    assert theirs.startswith("| stand_in.py | 1 | 5 | 75.00% | ")
