"""The wheel in a fresh environment, far from the checkout: it answers, serves, trains, lays out.

The environment borrows the libraries of the one that tests run in, so that nothing is downloaded;
the package itself is only there as the wheel has it.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
import zipfile
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from tests.support.places import ROOT
from tests.support.started_space import free_port

SENTENCE = "I have watched this [MASK] and it was awesome."
NOT_BUILT = shutil.ignore_patterns(".*", "runs", "__pycache__", "tests")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Built from a checkout in which a run has left its folder, without the network."""
    checkout = tmp_path_factory.mktemp("build") / "checkout"
    shutil.copytree(ROOT, checkout, ignore=NOT_BUILT)
    (checkout / "runs" / "mlm").mkdir(parents=True)
    (checkout / "runs" / "mlm" / "config.json").write_text("{}")
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index"),
            *("--no-build-isolation", "--wheel-dir", checkout.parent, checkout),
        ],
        check=True,
    )
    (built,) = checkout.parent.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def programs(wheel, tmp_path_factory) -> Path:
    """The folder of `mlm` and `python` of an environment in which the wheel is installed."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--no-index", wheel], check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    # A path in a .pth file is searched, but .pth files in it are not read: the checkout's own
    # installation stays out of sight.
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python.parent


@pytest.fixture
def environment(programs, tmp_path) -> dict[str, str]:
    return {
        "PATH": os.pathsep.join((str(programs), os.defpath)),
        "HOME": str(tmp_path),
        "HF_HOME": str(tmp_path / "hf"),
        "HF_HUB_OFFLINE": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "PYTHONUNBUFFERED": "1",
    }


@pytest.fixture
def run(programs, environment, tmp_path):
    """run(program, *arguments) -> what it printed."""

    def call(program: str, *arguments: str) -> str:
        done = subprocess.run(
            [programs / program, *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=200,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    return call


def test_the_wheel_has_what_the_package_reads_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as content:
        names = set(content.namelist())
    assert {name.split("/")[0] for name in names} == {
        "mlm",
        wheel.name[: -len("-py3-none-any.whl")] + ".dist-info",
    }
    tracked = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "mlm").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name for name in names if name.startswith("mlm/")} == tracked
    assert {"mlm/py.typed", "mlm/bundled/corpus.csv", "mlm/playground/static/page.js"} <= names


def test_it_is_the_wheel_that_runs(run, programs):
    place = run("python", "-c", "import mlm; print(mlm.__file__)")
    assert Path(place.strip()).is_relative_to(programs.parent)


def test_it_answers_off_line(run):
    lines = run("mlm", "fill", SENTENCE).splitlines()
    assert lines[0] == SENTENCE
    words = [line.split()[-1] for line in lines[1:]]
    assert len(words) == 5 and {"movie", "film"} <= set(words)


@pytest.mark.slow
def test_it_trains_three_steps(run, tmp_path):
    corpus = run("python", "-c", "import mlm; print(mlm.__path__[0] + '/bundled/corpus.csv')")
    settings = "--max_steps 3 --max_seq_length 32 --per_device_train_batch_size 4"
    printed = run(
        *("mlm", "train", "--model_name_or_path", "demo", "--train_file", corpus.strip()),
        *("--text_column", "text", "--output_dir", "out", "--max_eval_samples", "8"),
        *settings.split(),
    )
    assert "checkpoint: out" in printed
    record = json.loads((tmp_path / "out" / "training.json").read_text(encoding="utf-8"))
    assert record["steps"] == 3
    assert (tmp_path / "out" / "model.safetensors").is_file()


def test_it_lays_out_a_space(run):
    plan = json.loads(run("mlm", "space", "me/page", "--dry_run", "--json"))
    assert {"app.py", "mlm/playground/static/page.js"} <= {file["path"] for file in plan["files"]}


def test_it_serves_the_page(programs, environment, tmp_path):
    port = free_port()
    bind = {"GRADIO_SERVER_NAME": "127.0.0.1", "GRADIO_SERVER_PORT": str(port)}
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(
            [programs / "mlm", "serve"],
            cwd=tmp_path,
            env=environment | bind,
            stdout=log,
            stderr=subprocess.STDOUT,
            # A shell's background jobs ignore Ctrl-C, and so do their children.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
    try:
        assert "Which word is missing?" in front_page(f"http://127.0.0.1:{port}", server)
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(timeout=30)


def front_page(url: str, server: subprocess.Popen) -> str:
    """The page as soon as it is served; a TimeoutError after two minutes."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        assert server.poll() is None, "the page ended"
        try:
            with urlopen(url, timeout=5) as answer:
                return answer.read().decode()
        except (URLError, OSError):
            time.sleep(0.2)
    raise TimeoutError("no page after 120 s")
