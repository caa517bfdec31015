"""The resumable state of a run on disk: written beside, hashed, fsynced, renamed; the newest stay.

    state/step-00001200/  model.safetensors  optimizer.safetensors  run.json  manifest.json

A folder without a whole, matching manifest does not exist as far as resuming is concerned.
"""

import hashlib
import json
import logging
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mlm.errors import CheckpointError, ConfigError

logger = logging.getLogger(__name__)

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class TrainingState:
    """One saved state. run: plain values (step, config, loss curve, ...)."""

    folder: Path
    run: dict[str, Any]

    @property
    def step(self) -> int:
        return self.run["step"]


def save_state(root: Path, model, optimizer, run: dict[str, Any], *, keep: int) -> TrainingState:
    """Write one state under `root` and prune the older ones; CheckpointError if it cannot be.

    `run` is JSON-able and has at least `step`. Nothing is removed before the new state is whole.
    """
    folder = root / f"step-{run['step']:08d}"
    try:
        root.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=".writing-", dir=root))
        try:
            _write(staging, model, optimizer, run)
            if folder.exists():
                shutil.rmtree(folder)
            staging.replace(folder)
            _fsync(root)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    except OSError as error:
        last = newest_state(root)
        where = f"the last good state is {str(last.folder)!r}" if last else "there is none yet"
        raise CheckpointError(
            f"cannot save the state to {str(folder)!r}: {error.strerror or error}; {where}; "
            "make room and run the same command again"
        ) from None
    _prune(root, keep, folder)
    return TrainingState(folder, run)


def newest_state(root: Path) -> TrainingState | None:
    """The newest whole state under `root`, or None; damaged ones are named and passed over."""
    if not root.is_dir():
        return None
    for folder in sorted(root.glob("step-*"), reverse=True):
        damage = _damage(folder)
        if damage is None:
            run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
            return TrainingState(folder, run)
        logger.warning("%s is not used: %s", folder, damage)
    return None


def restore_state(state: TrainingState, model, optimizer) -> None:
    """Put a state's values back into a built model and optimizer."""
    for name, variables in _groups(model, optimizer).items():
        _restore(state.folder / f"{name}.safetensors", variables)


def remove_states(root: Path) -> None:
    """Delete every state of a run that ended well."""
    shutil.rmtree(root, ignore_errors=True)


def check_same_run(
    state: TrainingState, config: dict[str, Any], fingerprint: str, *, may_differ: set[str]
) -> None:
    """ConfigError naming the first setting in which a resumed run would not be the same run."""
    before = state.run["config"]
    for name in sorted(config.keys() - may_differ):
        if before.get(name) != config[name]:
            raise ConfigError(
                f"--{name} was {before.get(name)!r} when this run was saved and is "
                f"{config[name]!r} now; give the old value, another --output_dir, or "
                "--overwrite_output_dir to start anew"
            )
    if state.run["fingerprint"] != fingerprint:
        raise ConfigError(
            "the texts or the tokenizer have changed since this run was saved "
            f"({state.run['fingerprint'][:12]} then, {fingerprint[:12]} now); "
            "give another --output_dir, or --overwrite_output_dir to start anew"
        )


def _groups(model, optimizer) -> dict[str, list]:
    # The seeds of dropout are among a model's variables, but not among its weights.
    return {"model": model.variables, "optimizer": optimizer.variables}


def _write(folder: Path, model, optimizer, run: dict[str, Any]) -> None:
    from safetensors.numpy import save_file

    for name, variables in _groups(model, optimizer).items():
        arrays = {
            f"{index:05d}": np.array(v.numpy(), order="C") for index, v in enumerate(variables)
        }
        try:
            save_file(arrays, folder / f"{name}.safetensors")
        except Exception as error:  # safetensors hides a full disk's OSError in its own class
            raise OSError(str(error)) from None
    (folder / "run.json").write_text(json.dumps(run), encoding="utf-8")
    hashes = {path.name: _sha256(path) for path in sorted(folder.iterdir())}
    (folder / MANIFEST).write_text(json.dumps(hashes), encoding="utf-8")
    for path in (*folder.iterdir(), folder):
        _fsync(path)


def _restore(path: Path, variables: list) -> None:
    from safetensors.numpy import load_file

    arrays = load_file(path)
    if len(arrays) != len(variables):
        raise CheckpointError(
            f"{str(path)!r} holds {len(arrays)} arrays, this model and optimizer have "
            f"{len(variables)}; it is another program's state"
        )
    for key, variable in zip(sorted(arrays), variables, strict=True):
        variable.assign(arrays[key])


def _damage(folder: Path) -> str | None:
    """What is wrong with a state folder, None if nothing is."""
    try:
        hashes = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        for name, expected in hashes.items():
            if _sha256(folder / name) != expected:
                return f"{name} is damaged"
    except (OSError, ValueError, AttributeError):
        return "it is not whole"
    return None if "run.json" in hashes else "it is not whole"


def _prune(root: Path, keep: int, newest: Path) -> None:
    # A later state was damaged, or the run would have gone on from it: it must not count.
    folders = sorted(root.glob("step-*"), reverse=True)
    later = [folder for folder in folders if folder.name > newest.name]
    for folder in later + folders[len(later) + keep :]:
        shutil.rmtree(folder, ignore_errors=True)
    for leftover in root.glob(".writing-*"):
        shutil.rmtree(leftover, ignore_errors=True)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
