"""The first words of commands, what is refused before anything heavy is imported, and Ctrl-C."""

import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.places import ROOT

HEAVY = ("tensorflow", "keras", "transformers", "gradio", "jax", "torch")
# Runs a command as `mlm` does, then names the heavy libraries that it has imported.
REPORTING = f"""
import sys
from mlm.commands.main import main
code = main(sys.argv[1:])
print("loaded:", *(name for name in {HEAVY!r} if sys.modules.get(name)), file=sys.stderr)
sys.exit(code)
"""


def environment(**more: str) -> dict[str, str]:
    known = {name: value for name, value in os.environ.items() if name != "HF_TOKEN"}
    return {**known, "HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": "/nonexistent", **more}


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "empty").mkdir()
    (tmp_path / "texts.txt").write_text("A text.\n" * 30, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("evaluate nofolder --validation_file nofile.csv", "nofile.csv"),
        ("evaluate ./nofolder --validation_file texts.txt", "'nofolder' does not exist"),
        ("evaluate empty --validation_file texts.txt", "'empty' has no config.json"),
        ("evaluate demo", "give either --validation_file, or --train_file"),
        ("evaluate demo --validation_file texts.txt --max_seq_length 2", "expected at least 3"),
        ("evaluate a b --validation_file texts.txt --model_revision v1", "owner/name@revision"),
        ("card nofolder", "'nofolder' does not exist"),
        ("card empty --language english", "'empty' has no config.json"),
        ("push nofolder me/x", "'nofolder' does not exist"),
        ("push texts.txt me/x", "'texts.txt' is a file"),
        ("tokenize out --train_file nofile.csv --model_name_or_path demo", "nofile.csv"),
        ("tokenize out --train_file texts.txt --model_name_or_path ./no", "'no' does not exist"),
        ("serve ./nofolder", "'nofolder' does not exist"),
        ("space me/page --dry_run --hardware t4-small", "expected cpu-basic or cpu-upgrade"),
        ("space me/page --json", "--json goes with --dry_run"),
        ("models --language german", "expected an ISO 639 code"),
        ("models --language tlh", "no base model of this list knows the language 'tlh'"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_heavy_is_imported(command, said, folder):
    done = subprocess.run(
        [sys.executable, "-c", REPORTING, *command.split()],
        cwd=folder,
        env=environment(PYTHONPATH=str(ROOT)),
        capture_output=True,
        text=True,
    )
    refusal, loaded = done.stderr.splitlines()  # nothing else was said
    assert done.returncode == 2
    assert refusal.startswith("error: ") and said in refusal
    assert loaded == "loaded:"
    assert done.stdout == ""  # no address of a page that is not there


def test_a_checkpoint_is_checked_before_the_hub_is_asked(folder, tiny_bert_folder):
    """The Hub of `environment` cannot be reached: asking it would take seconds and other words."""
    (folder / "broken").mkdir()
    (folder / "broken" / "config.json").write_bytes((tiny_bert_folder / "config.json").read_bytes())
    done = subprocess.run(
        [sys.executable, "-m", "mlm", "push", "broken", "me/x"],
        cwd=folder,
        env=environment(PYTHONPATH=str(ROOT), HF_TOKEN="hf_nobody"),
        capture_output=True,
        text=True,
    )
    first, *rest = done.stderr.splitlines()
    assert (done.returncode, first) == (2, "publishing broken as me/x")
    assert "model.safetensors" in rest[-1] and "127.0.0.1" not in done.stderr


def test_the_first_words_come_before_keras(folder):
    command = [sys.executable, "-m", "mlm", "evaluate", "demo", "--validation_file", "texts.txt"]
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        command,
        cwd=folder,
        env=environment(PYTHONPATH=str(ROOT)),
        stdout=theirs,
        stderr=theirs,
        preexec_fn=heed_ctrl_c,
    ) as child:
        os.close(theirs)
        shown = read_until(ours, b"loading Keras")
        maps = Path(f"/proc/{child.pid}/maps")
        assert not maps.exists() or "tensorflow" not in maps.read_text()
        child.send_signal(signal.SIGINT)
        shown += read_until(ours, b"stopped by Ctrl-C")
        assert child.wait(60) == 130
    os.close(ours)
    assert shown.startswith(b"measuring demo on texts.txt\r\n")
    assert b"Traceback" not in shown


def heed_ctrl_c() -> None:
    """Undo what a shell does to programs in the background, as the tests may be one."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def read_until(stream: int, words: bytes, seconds: float = 120.0) -> bytes:
    shown, end = b"", time.monotonic() + seconds
    while words not in shown:
        assert time.monotonic() < end, shown
        chunk = os.read(stream, 65536)
        assert chunk, shown
        shown += chunk
    return shown


def test_a_page_ends_with_one_line_too(tmp_path, tiny_checkpoint_folder):
    environ = environment(PYTHONPATH=str(ROOT), PYTHONUNBUFFERED="1", HF_HUB_OFFLINE="1")
    environ.pop("GRADIO_SERVER_PORT", None)
    command = [sys.executable, "-m", "mlm", "serve", str(tiny_checkpoint_folder)]
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=heed_ctrl_c,
    ) as child:
        assert child.stderr is not None and child.stdout is not None
        first = child.stderr.readline().decode()
        read_until(child.stdout.fileno(), b"http://")
        child.send_signal(signal.SIGINT)
        rest = child.stderr.read().decode()
        assert child.wait(60) == 130
    assert first == f"opening the page on {tiny_checkpoint_folder}\n"
    assert rest.splitlines()[-1] == "stopped by Ctrl-C" and "Traceback" not in rest


def test_a_reader_that_is_gone_gets_no_traceback(folder):
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m mlm models | true; exit ${{PIPESTATUS[0]}}"],
        cwd=folder,
        env=environment(PYTHONPATH=str(ROOT)),
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (141, "")
