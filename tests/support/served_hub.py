"""A local Hub that HF_ENDPOINT points at, its planned faults, and training states to send."""

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from huggingface_hub import HfApi, constants
from huggingface_hub.utils import close_session
from safetensors.numpy import save_file

from mlm.hub.local import Fault, LocalHub

TOKEN, READ_TOKEN = "hf_0123456789secret", "hf_9876543210reader"
REPO = "me/reviews"


class Plan:
    """Faults for chosen requests, each a given number of times; records all requests."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str]] = []
        self._planned: list[list] = []

    def add(
        self,
        call: tuple[str, str],
        fault: Fault | None,
        times: int = 1,
        do: Callable[[], object] | None = None,
    ) -> None:
        """Plan a fault for the next requests of a call; `do` is called just before each answer."""
        self._planned.append([call, fault, times, do])

    def __call__(self, method: str, path: str) -> Fault | None:
        """Record a request; return the fault planned for it."""
        self.requests.append((method, path))
        for planned in self._planned:
            (wanted, pattern), fault, times, do = planned
            if times and method == wanted and re.fullmatch(pattern, path):
                planned[2] -= 1
                if do:
                    do()
                return fault
        return None

    def count(self, call: tuple[str, str]) -> int:
        """Return how often a call (method, pattern of the path) was requested."""
        return sum(m == call[0] and bool(re.fullmatch(call[1], p)) for m, p in self.requests)


@contextmanager
def served_hub(folder: Path, monkeypatch, plan: Plan) -> Iterator[LocalHub]:
    """Serve a Hub in `folder`; this process and its children are logged in with its write token."""
    with LocalHub(folder / "hub", token=TOKEN, read_token=READ_TOKEN, faults=plan) as local:
        monkeypatch.setenv("HF_ENDPOINT", local.url)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        monkeypatch.setenv("HF_HUB_CACHE", str(folder / "cache"))
        monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(folder / "no-token"))
        yield local
        close_session()


def api() -> HfApi:
    """Return a client of the Hub that is served."""
    return HfApi(endpoint=os.environ["HF_ENDPOINT"])


def write_state(root: Path, step: int, seed: int = 0) -> Path:
    """Write a whole training state below `root`, its weights drawn from step and seed."""
    folder = root / f"step-{step:08d}"
    folder.mkdir(parents=True)
    weights = np.random.default_rng([seed, step]).normal(size=(8, 4)).astype("float32")
    save_file({"00000": weights}, folder / "model.safetensors")
    save_file({"00000": weights * 2, "00001": weights * 3}, folder / "optimizer.safetensors")
    (folder / "run.json").write_text(json.dumps({"step": step, "config": {}, "fingerprint": "f"}))
    write_manifest(folder)
    return folder


def write_manifest(folder: Path) -> None:
    """Write the manifest with the hashes of the folder's files."""
    files = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
    files.pop("manifest.json", None)
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    (folder / "manifest.json").write_text(json.dumps(hashes))


def contents(folder: Path) -> dict[str, bytes]:
    """Return the content of each file by name."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
