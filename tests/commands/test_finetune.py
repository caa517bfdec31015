"""The command `mlm finetune`: refusals in one line, exit codes, and what a finished run says."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mlm.commands import finetune as command
from mlm.commands.main import main
from tests.commands.test_waits import REPORTING, environment
from tests.support.labelled_texts import labelled_texts, write_csv
from tests.support.places import ROOT
from tests.support.small_models import save_random_checkpoint

SMALL = (
    "--max_seq_length 16 --per_device_train_batch_size 16 --max_steps 6 --eval_steps 3 "
    "--precision fp32 --validation_split_percentage 25 --logging_steps 3"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with a.csv and a tiny checkpoint."""
    from mlm.data.tokens.tokenizer_training import train_tokenizer

    folder = tmp_path_factory.mktemp("finetune")
    write_csv(folder / "a.csv", ("text", "label"), labelled_texts())
    tokenizer = train_tokenizer([text for text, _ in labelled_texts()], 120)
    save_random_checkpoint(folder / "model", tokenizer, "bert", num_hidden_layers=1)
    return folder


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--train_file a.csv", "--model_name_or_path is missing; give the checkpoint"),
        ("--model_name_or_path model", "--train_file is missing; give files of labelled texts"),
        ("--train_file no.csv --model_name_or_path model", "no.csv"),
        (
            "--train_file a.csv --model_name_or_path ./no",
            "is neither a folder here nor a Hub id",
        ),
        ("--train_file a.csv --model_name_or_path model --seeds 3", "--seeds is of a learning"),
        ("--label_smoothing 2", "--label_smoothing is 2.0; expected at least 0"),
        ("--freeze_encoder --max_steps 9", "--max_steps is 9, but --freeze_encoder fits"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_heavy_is_imported(words, said, folder):
    program = REPORTING.replace("'torch')", "'torch', 'sklearn')")
    done = subprocess.run(
        [sys.executable, "-c", program, "finetune", *words.split()],
        cwd=folder,
        env=environment(PYTHONPATH=str(ROOT)),
        capture_output=True,
        text=True,
    )
    refusal, loaded = done.stderr.splitlines()
    assert done.returncode == 2
    assert refusal.startswith("error: ") and said in refusal
    assert loaded == "loaded:"


def run(folder: Path, output: Path, *more: str) -> int:
    words = ["finetune", "--train_file", str(folder / "a.csv"), *SMALL.split()]
    words += ["--model_name_or_path", str(folder / "model"), "--output_dir", str(output), *more]
    before = signal.getsignal(signal.SIGTERM)
    try:
        return main(words)
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_run_ends_with_0_and_again_says_that_it_has_finished(folder, tmp_path, capsys):
    output = tmp_path / "run"
    assert run(folder, output, "--dry_run") == 0
    said = " ".join(capsys.readouterr().out.split())  # long lines are folded
    assert "fine-tune" in said and "a dry run, nothing is written" in said
    assert not output.exists()
    assert run(folder, output) == 0
    said = " ".join(capsys.readouterr().out.split())  # long lines are folded
    assert f"result in {output}" in said
    assert "mlm classify" in said
    assert run(folder, output) == 0
    said = " ".join(capsys.readouterr().out.split())  # long lines are folded
    assert f"finished already: {output} holds the result of this command (6 steps)" in said
    assert "to train again: --overwrite_output_dir, or another --output_dir" in said
    assert run(folder, output, "--learning_rate", "1e-3") == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert "holds a finished checkpoint of another run (--learning_rate was " in error


def test_a_stopped_run_ends_with_3_and_the_command_that_resumes_it(folder, tmp_path, capsys):
    output = tmp_path / "run"
    original = command.print_lines

    def interrupt(text: str) -> None:
        original(text)
        if text.startswith("step 3"):
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "print_lines", interrupt)
        assert run(folder, output) == 3
    said = capsys.readouterr().err
    assert "the state is in" in said
    assert "to resume: " in said and "finetune" in said.split("to resume: ")[1]
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, signal.default_int_handler)
    assert run(folder, output) == 0
    assert "resuming from step" in capsys.readouterr().out
