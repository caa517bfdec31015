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
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mlm.errors import CheckpointError

logger = logging.getLogger(__name__)

MANIFEST = "manifest.json"
Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class TrainingState:
    """One saved state. run: plain values (step, config, validation_loss or None, ...)."""

    folder: Path
    run: dict[str, Any]

    @property
    def step(self) -> int:
        return self.run["step"]

    @property
    def best(self) -> Path | None:
        """The folder of the run's best state, if the run ends with that and it is another one."""
        wanted = self.run.get("config", {}).get("load_best_model_at_end")
        step = self.run.get("best_step")
        if not wanted or type(step) is not int or not 0 <= step < self.step:
            return None
        return self.folder.with_name(_name_of(step))


# Taking and writing


def snapshot(model, optimizer) -> dict[str, Arrays]:
    """Copies of all variables, by file; the only part of saving that holds training up.

    Raises CheckpointError naming a variable that is not finite: what is saved can be gone on from.
    """
    return {
        name: {f"{index:05d}": _finite(variable) for index, variable in enumerate(variables)}
        for name, variables in _groups(model, optimizer).items()
    }


def _finite(variable) -> np.ndarray:
    value = np.array(variable.numpy(), order="C")
    if np.issubdtype(value.dtype, np.floating) and not np.isfinite(value).all():
        raise CheckpointError(
            f"{variable.path} is not finite, so the state is not saved; lower --learning_rate"
        )
    return value


def write_state(
    root: Path, arrays: dict[str, Arrays], run: dict[str, Any], *, keep: int
) -> TrainingState:
    """Write one state under `root` and prune the older ones; CheckpointError if it cannot be.

    `run` is JSON-able and has at least `step`. Nothing is removed before the new state is whole.
    """
    folder = root / _name_of(run["step"])
    try:
        root.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=".writing-", dir=root))
        try:
            _write(staging, arrays, run)
            _move(staging, folder)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    except OSError as error:
        last = newest_state(root)
        where = f"the last good state is {str(last.folder)!r}" if last else "there is none yet"
        raise CheckpointError(
            f"cannot save the state to {str(folder)!r}: {error.strerror or error}; {where}; "
            "make room and run the same command again"
        ) from None
    _prune(root, keep, folder, best=_name_of(run.get("best_step", -1)))
    return TrainingState(folder, run)


def _write(folder: Path, arrays: dict[str, Arrays], run: dict[str, Any]) -> None:
    from safetensors.numpy import save_file

    for name, values in arrays.items():
        try:
            save_file(values, folder / f"{name}.safetensors")
        except Exception as error:  # safetensors hides a full disk's OSError in its own class
            raise OSError(str(error)) from None
    (folder / "run.json").write_text(json.dumps(run), encoding="utf-8")
    hashes = {path.name: _sha256(path) for path in sorted(folder.iterdir())}
    (folder / MANIFEST).write_text(json.dumps(hashes), encoding="utf-8")
    for path in (*folder.iterdir(), folder):
        _fsync(path)


def _move(staging: Path, folder: Path) -> None:
    """Put a whole state in its place; one of the same step was damaged, or holds the same."""
    if folder.exists():
        aside = Path(tempfile.mkdtemp(prefix=".writing-", dir=folder.parent)) / "old"
        folder.replace(aside)
        staging.replace(folder)
        shutil.rmtree(aside.parent, ignore_errors=True)
    else:
        staging.replace(folder)
    _fsync(folder.parent)


def _name_of(step: int) -> str:
    return f"step-{step:08d}"


def _prune(root: Path, keep: int, newest: Path, *, best: str) -> None:
    """Leave the `keep` newest states and the best; a later one was damaged, and must not count.

    best: the name of the folder that the run itself calls so; it may not have been saved, and then
    the best of those that were stays.
    """
    folders = sorted(root.glob("step-*"), reverse=True)
    later = [folder for folder in folders if folder.name > newest.name]
    kept = {root / best, *(folder for _, _, folder in _by_validation_loss(root)[:1])}
    for folder in later + folders[len(later) + keep :]:
        if folder not in kept:
            shutil.rmtree(folder, ignore_errors=True)
    remove_leftovers(root)


def remove_leftovers(root: Path) -> None:
    """Delete what killed runs left half written."""
    for leftover in root.glob(".writing-*"):
        shutil.rmtree(leftover, ignore_errors=True)


def remove_states(root: Path) -> None:
    """Delete every state of a run that ended well."""
    shutil.rmtree(root, ignore_errors=True)


# Finding and reading


def newest_state(root: Path) -> TrainingState | None:
    """The newest whole state under `root`, or None; damaged ones are named and passed over."""
    return next(_whole_states(root), None)


def best_state(root: Path) -> TrainingState | None:
    """The whole state with the lowest validation loss, the earliest of equals; None if none has."""
    folders = (folder for _, _, folder in _by_validation_loss(root))
    return next(filter(None, map(_whole_state, folders)), None)


def state_of_step(root: Path, step: int) -> TrainingState | None:
    """The whole state of one step; None if there is none."""
    folder = root / _name_of(step)
    return _whole_state(folder) if folder.is_dir() else None


def _by_validation_loss(root: Path) -> list[tuple[float, int, Path]]:
    """(loss, step, folder) of the states that were evaluated, the best first, whole or not."""
    measured = []
    for folder in root.glob("step-*"):
        try:
            run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
            measured.append((float(run["validation_loss"]), int(run["step"]), folder))
        except (OSError, ValueError, KeyError, TypeError):
            continue  # not evaluated, or damaged
    return sorted(measured)


def _whole_states(root: Path) -> Iterator[TrainingState]:
    """From the newest to the oldest."""
    return filter(None, map(_whole_state, sorted(root.glob("step-*"), reverse=True)))


def _whole_state(folder: Path) -> TrainingState | None:
    """The state in a folder; None, and a line that says why, if it is not whole."""
    damage = damage_of(folder)
    if damage is not None:
        logger.warning("%s is not used: %s", folder, damage)
        return None
    return TrainingState(folder, json.loads((folder / "run.json").read_text(encoding="utf-8")))


def damage_of(folder: Path) -> str | None:
    """What is wrong with a state folder, None if nothing is."""
    try:
        hashes = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except OSError:
        return f"it has no {MANIFEST}"
    except ValueError:
        return f"{MANIFEST} is torn"
    if not isinstance(hashes, dict) or "run.json" not in hashes:
        return f"{MANIFEST} is no list of a state's files"
    for name, expected in hashes.items():
        try:
            if _sha256(folder / name) != expected:
                return f"{name} is damaged"
        except OSError:
            return f"{name} is missing"
    return None


def restore_state(state: TrainingState, model, optimizer) -> None:
    """Put a state's values back into a built model and optimizer."""
    for name, variables in _groups(model, optimizer).items():
        _restore(state.folder / f"{name}.safetensors", variables)


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


def _groups(model, optimizer) -> dict[str, list]:
    # The seeds of dropout are among a model's variables, but not among its weights.
    return {"model": model.variables, "optimizer": optimizer.variables}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
