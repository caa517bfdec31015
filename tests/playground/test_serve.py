"""app.py and mlm.playground.serve: the errors, the page that is served, and the imports."""

import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from mlm.inference.fill_mask import FillMask
from mlm.playground import page, serve
from tests.support.fake_checkpoint import fake_checkpoint
from tests.support.places import ROOT
from tests.support.raw_calls import call_endpoint
from tests.support.started_space import free_port

HEAVY = {"gradio", "keras", "tensorflow", "torch", "transformers", "huggingface_hub", "numpy"}


def test_app_names_a_model_that_does_not_exist_in_one_line():
    environment = {"MLM_MODEL": "./no/such/folder", "PATH": "", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, ROOT / "app.py"], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 2
    lines = done.stderr.strip().splitlines()
    assert lines[-1].startswith("error: ") and "no/such/folder" in lines[-1]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("port", ["abc", "70000", "-1", ""])
def test_app_refuses_a_port_that_is_not_valid_in_one_line(port):
    environment = {**os.environ, "GRADIO_SERVER_PORT": port}
    done = subprocess.run(
        [sys.executable, ROOT / "app.py"], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr == (
        f"error: GRADIO_SERVER_PORT is {port!r}; expected a whole number from 1 to 65535, "
        "or leave it unset\n"
    )


def test_a_socks_proxy_without_its_package_is_an_error_in_one_line(monkeypatch, capsys):
    monkeypatch.setenv("all_proxy", "socks5://127.0.0.1:9")
    monkeypatch.setattr("mlm.backend.proxies.find_spec", lambda name: None)
    assert serve.main([]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: all_proxy names a SOCKS proxy, which needs the package socksio")
    assert said.count("\n") == 1


def test_app_serves_the_model_of_its_environment_whatever_proxy_that_names(tiny_checkpoint_folder):
    port = free_port()
    own = {"MLM_MODEL": str(tiny_checkpoint_folder), "GRADIO_SERVER_PORT": str(port)}
    own |= {"HTTP_PROXY": "http://127.0.0.1:9"}  # where nobody listens
    environment = {**os.environ, **own, "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, str(ROOT / "app.py")]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as app:
        try:
            address = f"http://127.0.0.1:{port}"
            assert any(address.encode() in line for line in app.stdout)
            complete = call_endpoint(address, ["I watched this ___.", 3])[1]
        finally:
            app.terminate()
    as_the_page = FillMask.from_pretrained(tiny_checkpoint_folder, dtype="int8")
    expected = as_the_page("I watched this ___.", 3)
    assert json.loads(complete.removeprefix("event: complete\ndata: "))[0] == expected


@pytest.mark.parametrize("arguments", [None, []], ids=["sys.argv", "given"])
def test_a_port_that_is_taken_is_an_error_in_one_line(monkeypatch, capsys, arguments):
    def launch(**options):
        raise OSError("Cannot find empty port in range: 7860-7860.")

    model = FillMask(fake_checkpoint(), "me/fake")
    monkeypatch.setattr(sys, "argv", ["app.py"])
    monkeypatch.setattr(FillMask, "from_pretrained", lambda name, **options: model)
    monkeypatch.setattr(page, "build_playground", lambda *given: SimpleNamespace(launch=launch))
    assert serve.main(arguments) == 2
    assert capsys.readouterr().err.splitlines() == [
        "opening the page on demo",
        "error: Cannot find empty port in range: 7860-7860.",
    ]


def test_the_arguments_reach_gradio(monkeypatch):
    def launch(**options):
        launched.append((options["share"], options["root_path"]))
        raise OSError

    launched = []
    model = FillMask(fake_checkpoint(), "me/fake")
    monkeypatch.setattr(FillMask, "from_pretrained", lambda name, **options: model)
    monkeypatch.setattr(page, "build_playground", lambda *given: SimpleNamespace(launch=launch))
    serve.main(["--share", "--root_path", "/fill", "--engine", "litert"])
    serve.main(["--root_path", "fill"])
    serve.main([])
    assert launched == [(True, "/fill"), (None, "/fill"), (None, None)]


def test_an_engine_that_does_not_exist_is_an_error_in_one_line(capsys):
    assert serve.main(["--engine", "abacus"]) == 2
    assert "engine is 'abacus'; expected one of" in capsys.readouterr().err


def test_importing_serve_loads_nothing_heavy():
    program = "import mlm.playground.serve, sys; print(*{n.split('.')[0] for n in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert set(done.stdout.split()) & HEAVY == set()
