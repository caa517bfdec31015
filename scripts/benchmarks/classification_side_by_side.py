r"""Compare `mlm finetune` with run_classification.py of transformers on the same labelled texts.

    python scripts/benchmarks/classification_side_by_side.py --run_classification FILE \
        --model_name_or_path FOLDER --train_file CSV --validation_file CSV --test_file CSV

The script of transformers is not part of this project. Download it from the tag of the installed
version: https://github.com/huggingface/transformers, in examples/pytorch/text-classification/. It
runs unchanged, by with_local_accuracy.py, which takes the place of the library evaluate. The texts
have the columns text and polarity. Both sides need `pip install -e '.[bench]'` (Linux).

Each run is a process of its own, ours and theirs in turn. Both start from a float32 copy of the
model, because transformers trains in the number format of the file. They have the same number of
steps, batch size, learning rate, length, seeds and threads, use the CPU in fp32, and save no state
on the way. For all else each has its own defaults: warm-up, weight decay, pooling, padding, which
part of a long text is read, what is done with markup. Only ours leaves out a training text that is
also a validation or test text. The table has the seconds of the whole command and of its training
steps (ours with their compilation), and the CPU seconds that other processes took meanwhile.
"""

import argparse
import math
import multiprocessing
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from classification_figures import Figures, our_figures, read_labels, their_figures
from material import copy_in_float32
from measured_process import run_measured

from mlm.backend.hardware import available_cpus, cpu_name

LIBRARIES = "mlm", "tensorflow", "keras", "transformers", "torch"
COLUMNS = (
    *("side", "seed", "training texts", "accuracy on the test texts"),
    *("command, s", "training, s", "peak memory, MB", "other processes, CPU s"),
)
NEVER = str(10**9)  # steps


@dataclass(frozen=True)
class Side:
    """A program; read_figures takes its output folder and the right labels of the test texts."""

    name: str
    command: list[str]
    read_figures: Callable[[Path, list[str]], Figures]


def sides(script: Path) -> tuple[Side, Side]:
    """Return both sides; script: run_classification.py."""
    ours = ["-m", "mlm", "finetune", "--precision", "fp32"]
    ours += ["--eval_steps", NEVER, "--save_steps", NEVER, "--save_minutes", "0"]
    theirs = [str(Path(__file__).with_name("with_local_accuracy.py")), str(script), "--use_cpu"]
    theirs += ["--do_train", "--do_eval", "--do_predict", "--metric_name", "accuracy"]
    theirs += ["--shuffle_train_dataset", "--save_strategy", "no", "--report_to", "none"]
    return Side("mlm finetune", ours, our_figures), Side(script.name, theirs, their_figures)


def shared_flags(given: argparse.Namespace) -> list[str]:
    """Return the flags that both sides take, without the model's."""
    names = ("train_file", "validation_file", "test_file", "max_seq_length", "learning_rate")
    flags = [f"--{name}={getattr(given, name)}" for name in names]
    flags += ["--text_column_names=text", "--label_column_name=polarity"]
    size, texts = given.per_device_train_batch_size, len(read_labels(given.train_file))
    flags += [f"--per_device_train_batch_size={size}", "--per_device_eval_batch_size=32"]
    # With few texts, `mlm finetune` makes more steps than its epochs have, unless they are given.
    return [*flags, f"--max_steps={math.ceil(given.num_train_epochs * texts / size)}"]


def run(side: Side, seed: int, flags: list[str], labels: list[str]) -> str:
    """Run a side, and return its row of the table."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "output"
        own = [f"--seed={seed}", f"--output_dir={output}"]
        cost = run_measured([*side.command, *flags, *own], Path(folder) / "cache")
        found = side.read_figures(output, labels)
    figures = f"{found.training_texts:,} | {found.accuracy:.2%} | {cost.seconds:.1f}"
    costs = f"{found.training_seconds:.1f} | {cost.megabytes:,.0f} | {cost.others:.1f}"
    return f"| {side.name} | {seed} | {figures} | {costs} |"


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--run_classification", type=Path, required=True, metavar="FILE")
    for name in ("model_name_or_path", "train_file", "validation_file", "test_file"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--num_train_epochs", type=float, default=3.0)
    parser.add_argument("--per_device_train_batch_size", type=int, default=16)
    parser.add_argument("--learning_rate", type=float, default=5e-5)
    parser.add_argument("--max_seq_length", type=int, default=256)
    parser.add_argument("--seeds", type=int, default=1, help="number of runs of each side")
    given = parser.parse_args(arguments)
    for file in (given.run_classification, Path(given.model_name_or_path) / "config.json"):
        if not file.is_file():
            parser.error(f"{file} was not found; expected run_classification.py and a model folder")
    return given


def main(arguments: list[str]) -> None:
    """Print the table, row by row."""
    given = parse(arguments)
    labels, flags = read_labels(given.test_file), shared_flags(given)
    print(", ".join(f"{name} {version(name)}" for name in LIBRARIES))
    settings = " ".join(flag for flag in flags if "_file=" not in flag)
    print(f"{cpu_name()}, {available_cpus()} threads; {settings}\n")
    with tempfile.TemporaryDirectory() as model:
        # Not in this process, whose peak memory would count as that of the measured ones.
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            pool.submit(copy_in_float32, given.model_name_or_path, Path(model)).result()
        print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}", flush=True)
        for seed in range(1, given.seeds + 1):
            for side in sides(given.run_classification):
                row = run(side, seed, [f"--model_name_or_path={model}", *flags], labels)
                print(row, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
