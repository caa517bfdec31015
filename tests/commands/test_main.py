"""The command `mlm`: what it finds, lists and refuses."""

import subprocess
import sys
from importlib import import_module

import pytest

import mlm
from mlm.commands import invocation
from mlm.commands.invocation import program, words_to_repeat
from mlm.commands.main import COMMANDS, main
from tests.support.places import ROOT


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_its_module_and_its_help(name, capsys):
    command = import_module(f"mlm.commands.{name}")
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    assert command.main
    assert "usage: " in capsys.readouterr().out


def test_help_lists_the_commands(capsys):
    assert main(["--help"]) == 0
    listed = capsys.readouterr().out
    assert all(f"\n  {name} " in listed for name in COMMANDS)
    assert main([]) == 2


def test_the_version_is_the_packages(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"mlm {mlm.__version__}\n"


def test_an_unknown_command_is_named(capsys):
    assert main(["trane", "--train_file", "x.csv"]) == 2
    refusal = capsys.readouterr().err.splitlines()
    assert len(refusal) == 2
    assert "'trane' is not a command; expected one of models, train, " in refusal[1]


@pytest.mark.parametrize(
    ("name", "library", "extra"),
    [
        ("train", "keras", "train"),
        ("tokenize", "pandas", "train"),
        ("card", "keras", "train"),
        ("serve", "gradio", "page"),
    ],
)
def test_a_command_without_its_extra_says_how_to_install_it(
    name, library, extra, monkeypatch, capsys
):
    found = invocation.find_spec
    monkeypatch.setattr(
        invocation, "find_spec", lambda wanted: None if wanted == library else found(wanted)
    )
    assert main([name, "--help"]) == 2
    refusal = capsys.readouterr().err
    assert refusal.startswith(f"error: this needs {library}, not installed here: pip install ")
    assert f'".[{extra}]"' in refusal and refusal.count("\n") == 1


def test_an_error_of_a_command_is_one_line_and_2(capsys, tmp_path):
    assert main(["push", str(tmp_path / "absent"), "not/an/id"]) == 2
    refusal = capsys.readouterr().err
    assert refusal.startswith("error: ") and refusal.count("\n") == 1


@pytest.mark.parametrize(
    ("started", "usage", "again"),
    [
        ("/usr/local/bin/mlm", "mlm train", ["mlm", "train"]),
        ("scripts/train.py", "train.py", ["python3", "scripts/train.py"]),
        ("/x/mlm/__main__.py", "mlm train", ["python3", "-m", "mlm", "train"]),
    ],
)
def test_a_command_names_itself_as_it_was_started(monkeypatch, started, usage, again):
    monkeypatch.setattr(sys, "argv", [started])
    monkeypatch.setattr(sys, "executable", "/usr/bin/python3")
    assert program("train") == usage
    assert words_to_repeat("train") == again


def test_it_runs_as_a_module():
    done = subprocess.run(
        [sys.executable, "-m", "mlm", "--version"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.stdout == f"mlm {mlm.__version__}\n"


def test_an_interruption_is_one_line(monkeypatch, capsys):
    from mlm.inference.fill_mask import FillMask

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(FillMask, "from_pretrained", interrupt)
    assert main(["fill", "the [MASK]"]) == 130
    out, err = capsys.readouterr()
    assert out == "" and err.splitlines()[-1] == "stopped by Ctrl-C"


@pytest.mark.parametrize(
    ("redirection", "code", "said"),
    [
        (">&- 2>&- <&-", 0, ""),
        ("> /dev/full", 2, "error: No space left on device; make room and start again\n"),
        ("| true", 141, ""),
    ],
)
@pytest.mark.parametrize("command", ["models", "--version"])
def test_an_output_that_takes_nothing_gives_no_traceback(command, redirection, code, said):
    line = f'sleep 0.1; "$0" -m mlm {command} {redirection}; exit ${{PIPESTATUS[0]}}'
    ended = subprocess.run(
        ["bash", "-c", line, sys.executable], cwd=ROOT, capture_output=True, text=True
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (code, "", said)
