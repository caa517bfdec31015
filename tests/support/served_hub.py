"""A local Hub that the environment points at, its planned faults, and training states to send."""

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
    """Faults for chosen requests, each as often as said; keeps what was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self._planned: list[list] = []

    def add(
        self,
        call: tuple[str, str],
        fault: Fault | None,
        times: int = 1,
        do: Callable[[], object] | None = None,
    ) -> None:
        """`do` is called just before the request is answered."""
        self._planned.append([call, fault, times, do])

    def __call__(self, method: str, path: str) -> Fault | None:
        self.asked.append((method, path))
        for planned in self._planned:
            (wanted, pattern), fault, times, do = planned
            if times and method == wanted and re.fullmatch(pattern, path):
                planned[2] -= 1
                if do:
                    do()
                return fault
        return None

    def count(self, call: tuple[str, str]) -> int:
        return sum(m == call[0] and bool(re.fullmatch(call[1], p)) for m, p in self.asked)


@contextmanager
def served_hub(folder: Path, monkeypatch, plan: Plan) -> Iterator[LocalHub]:
    """A Hub in `folder`, with whose write token this process and its children are logged in."""
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
    return HfApi(endpoint=os.environ["HF_ENDPOINT"])


def write_state(root: Path, step: int, seed: int = 0) -> Path:
    """A whole training state under `root`, its weights drawn from step and seed."""
    folder = root / f"step-{step:08d}"
    folder.mkdir(parents=True)
    weights = np.random.default_rng([seed, step]).normal(size=(8, 4)).astype("float32")
    save_file({"00000": weights}, folder / "model.safetensors")
    save_file({"00000": weights * 2, "00001": weights * 3}, folder / "optimizer.safetensors")
    (folder / "run.json").write_text(json.dumps({"step": step, "config": {}, "fingerprint": "f"}))
    write_manifest(folder)
    return folder


def write_manifest(folder: Path) -> None:
    """The hashes of what the folder holds now."""
    files = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
    files.pop("manifest.json", None)
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    (folder / "manifest.json").write_text(json.dumps(hashes))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
