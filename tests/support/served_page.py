"""Two playgrounds on free loopback ports, in a child process, once for each session.

A plugin for `pytest_plugins`. They need a process of their own, because Gradio's server leaves
event loops open when it ends, and warnings are errors in the tests.
"""

import json
import os
import subprocess
import sys
from typing import NamedTuple

import pytest

from tests.support.places import ROOT
from tests.support.started_space import free_port

SCARCE = {"soup": 8.5, "movie": 7.0, "great": 6.5, "one": 6.2}


class Pages(NamedTuple):
    """Addresses: a page of one fake model, and one of a fake model and its base model."""

    single: str
    double: str


@pytest.fixture(scope="session")
def pages():
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, __file__]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            line = server.stdout.readline()
            assert line.startswith("["), "the pages are not served; see the lines above"
            yield Pages(*json.loads(line))
        finally:
            server.stdin.close()  # ends the process


def models_single():
    from mlm.inference.fill_mask import FillMask
    from tests.support.fake_checkpoint import fake_checkpoint

    return [FillMask(fake_checkpoint(), "me/fake", "0123456789abcdef")]


def models_double():
    from mlm.inference.fill_mask import FillMask
    from tests.support.fake_checkpoint import fake_checkpoint

    adapted = FillMask(
        fake_checkpoint(liked=SCARCE), "me/recipes", "9f3c2ab7788112233445566778899aab"
    )
    adapted.training = {"config": {"model_name_or_path": "me/fake"}}
    return [adapted, *models_single()]


def serve(models) -> str:
    from mlm.playground.page import build_playground, launch_options

    port = free_port()
    page = build_playground(models)
    page.launch(
        prevent_thread_lock=True,
        quiet=True,
        server_name="127.0.0.1",
        server_port=port,
        **launch_options(),
    )
    page._queue.sleep_when_free = 0.01  # seconds; Gradio's 0.001 keeps a core busy between tests
    return f"http://127.0.0.1:{port}"


if __name__ == "__main__":
    print(json.dumps([serve(models_single()), serve(models_double())]), flush=True)
    sys.stdin.read()
    os._exit(0)  # Gradio's threads do not end on their own
