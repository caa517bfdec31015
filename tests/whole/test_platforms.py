"""Modules, file-system calls, characters and wheels that Windows or macOS lacks: none is used.

No Windows runs these tests: a child process on Linux meets what is missing or refused there.
"""

import os
import re
import subprocess
import sys
import tomllib

import pytest
from packaging.requirements import Requirement

from tests.hub.test_hub import make_checkpoint
from tests.support.places import ROOT
from tests.support.served_hub import REPO, Plan, contents, served_hub, write_state

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="imitates Windows on Linux"),
    pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload:DeprecationWarning"),
]


def run_child(program: str, *arguments: object, **environment: str) -> str:
    """Run a program in the project's folder; return what it prints."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    return done.stdout.decode(environment.get("PYTHONIOENCODING", "utf-8"))


# modules

IMPORT_ALL = """
import importlib, pkgutil
from tests.support.windows_like import block_for
block_for("mlm")
import mlm
found = [module.name for module in pkgutil.walk_packages(mlm.__path__, "mlm.")]
for name in found:
    if not name.endswith("__main__"):
        importlib.import_module(name)
print(len(found))
"""


def test_no_module_imports_what_windows_does_not_have():
    assert int(run_child(IMPORT_ALL)) == len(list((ROOT / "mlm").rglob("*.py"))) - 1


def test_the_peak_of_memory_is_not_known_where_the_system_does_not_tell_it():
    program = "from mlm.backend.hardware import peak_memory; print(peak_memory())"
    assert int(run_child(program)) > 2**20
    blocked = "from tests.support.windows_like import imitate; imitate(); "
    assert run_child(blocked + program) == "None\n"


# the file system

IMITATION = "from tests.support.windows_like import imitate\nimitate()\n"
ATOMIC_FILES = """
import sys, threading
from pathlib import Path
from mlm.backend import atomic_files
root = Path(sys.argv[1])
old, new = root / "state", root / "new"
for folder in (old, new):
    folder.mkdir()
    atomic_files.replace_file(folder / folder.name, folder.name)
    atomic_files.replace_file(folder / folder.name, "again")
    atomic_files.sync_to_disk(folder / folder.name)
    atomic_files.sync_to_disk(folder)
atomic_files.replace_folder(new, old, ".making-")
assert [path.name for path in root.rglob("*")] == ["state", "new"]

reader = (old / "new").open()
try:
    atomic_files.replace_file(old / "new", "newer")
except PermissionError:
    pass
else:
    raise AssertionError("Windows does not replace a file that is open")
assert (old / "new").read_text() == "again"
atomic_files.PAUSES = (0.05,) * 100
threading.Timer(0.2, reader.close).start()
atomic_files.replace_file(old / "new", "newer")  # once the reader has closed it
assert (old / "new").read_text() == "newer"
with atomic_files.staging_folder(root, ".making-"):
    pass
(root / ".making-left").mkdir()
atomic_files.remove_leftovers(root, ".making-")
assert [path.name for path in root.iterdir()] == ["state"]
"""
RUN_LOCK = """
import sys
from pathlib import Path
from mlm.errors import ConfigError
from mlm.training.run_lock import run_lock
folder = Path(sys.argv[1]) / "run"
for _ in range(2):
    with run_lock(folder):
        try:
            with run_lock(folder):
                raise AssertionError("two runs share a folder")
        except ConfigError as error:
            assert "another run is training in" in str(error), error
    assert not folder.exists()
"""
STATES = """
import sys
from pathlib import Path
import numpy as np
from mlm.checkpoint.run_state import newest_state, remove_states, write_state
from mlm.training.state.pusher import _linked_copy
root = Path(sys.argv[1]) / "state"
arrays = {name: {"00000": np.ones((2, 3), "float32")} for name in ("model", "optimizer")}
for step in (1, 2, 2, 3):
    write_state(root, arrays, {"step": step}, keep=2)
assert [folder.name for folder in sorted(root.iterdir())] == ["step-00000002", "step-00000003"]
assert newest_state(root).step == 3
assert newest_state(_linked_copy(root / "step-00000003", None).parent).step == 3
remove_states(root)
assert not root.exists()
"""


@pytest.mark.parametrize(
    "program", [ATOMIC_FILES, RUN_LOCK, STATES], ids=["files", "lock", "state"]
)
def test_files_are_replaced_as_windows_lets_them(program, tmp_path):
    run_child(IMITATION + program, tmp_path)


def test_a_checkpoint_is_pulled_without_links_and_pushed(tmp_path, monkeypatch):
    program = """
import sys
from pathlib import Path
from mlm.hub import fetch_checkpoint, fetch_newest_state, push_checkpoint, push_state
folder, state, states, repo = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]
published = push_checkpoint(folder, repo, tag="v1")
fetched = fetch_checkpoint(repo)
assert fetch_checkpoint(repo, "v1") == fetched and fetched.commit == published.commit
push_state(state, repo)
assert fetch_newest_state(repo, states)
print(fetched.folder)
"""
    with served_hub(tmp_path, monkeypatch, Plan()):
        folder, state = make_checkpoint(tmp_path / "run"), write_state(tmp_path / "states", 7)
        states = tmp_path / "fetched"
        said = run_child(IMITATION + program, folder, state, states, REPO)
    fetched = type(folder)(said.splitlines()[-1])
    assert contents(fetched) == contents(folder)
    assert not any(path.is_symlink() for path in fetched.iterdir())
    assert contents(states / state.name) == contents(state)


def test_a_run_that_is_killed_frees_its_folder(tmp_path):
    program = """
import sys, time
from pathlib import Path
from mlm.training.run_lock import run_lock
with run_lock(Path(sys.argv[1])):
    print("locked", flush=True)
    time.sleep(100)
"""
    command = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "locked\n"
        child.kill()
    run_child(RUN_LOCK, tmp_path)


# the console


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_a_console_without_a_character_prints_another(encoding):
    program = """
from mlm.commands import main
main.HELP = "caf\\u00e9 \\u2192 \\u4e2d"
main.main([])
"""
    printed = run_child(program.replace("main([])", 'main(["--help"])'), PYTHONIOENCODING=encoding)
    expected = {"cp1252": "café ? ?", "ascii": "caf? ? ?", "utf-8": "café → 中"}
    assert printed == expected[encoding] + "\n"


# what is installed

MACHINES = {  # sys_platform, platform_machine -> whether there are wheels of ai-edge-litert
    ("linux", "x86_64"): True,
    ("linux", "aarch64"): False,
    ("win32", "AMD64"): True,
    ("win32", "ARM64"): False,
    ("darwin", "arm64"): True,
    ("darwin", "x86_64"): False,
}


@pytest.mark.parametrize("machine", MACHINES)
def test_where_there_is_no_litert_keras_answers(machine):
    environment = dict(zip(("sys_platform", "platform_machine"), machine, strict=True))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    required = [Requirement(each) for each in project["dependencies"]]
    names = {each.name for each in required if each.marker and each.marker.evaluate(environment)}
    assert names == ({"ai-edge-litert"} if MACHINES[machine] else {"tensorflow", "keras"})


def test_no_text_is_read_or_written_in_the_encoding_of_the_system():
    """On Windows that is not UTF-8; files of the kernel exist on Linux only."""
    call = re.compile(r"\.(read_text|write_text)\((?!.*(utf-8|encoding))")
    for path in sorted((ROOT / "mlm").rglob("*.py")):
        for line in path.read_text(encoding="utf-8").splitlines():
            assert "/sys/" in line or not call.search(line), f"{path}: {line.strip()}"
