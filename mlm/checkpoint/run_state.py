"""The resumable state of a run on disk: written in a staging folder, hashed, fsynced, renamed.

    state/step-00001200/  model.safetensors  optimizer.safetensors  run.json  manifest.json

The newest states are kept. A folder without a complete, matching manifest is never resumed from.
"""

import hashlib
import json
import logging
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mlm.backend import atomic_files
from mlm.checkpoint.strict_json import JsonObject
from mlm.errors import CheckpointError

if TYPE_CHECKING:
    import keras

logger = logging.getLogger(__name__)

MANIFEST = "manifest.json"
STAGING = ".writing-"
Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class TrainingState:
    """A saved state.

    Attributes:
        folder: its folder.
        run: the content of run.json (step, config, validation_loss or None, ...).
    """

    folder: Path
    run: JsonObject

    @property
    def step(self) -> int:
        """The number of optimizer updates so far."""
        step: int = self.run["step"]
        return step

    @property
    def best(self) -> Path | None:
        """The folder of the run's best state, if the run ends with that and it is another one."""
        wanted = self.run.get("config", {}).get("load_best_model_at_end")
        step = self.run.get("best_step")
        if not wanted or type(step) is not int or not 0 <= step < self.step:
            return None
        return self.folder.with_name(_folder_name(step))


# Writing


def snapshot(model: "keras.Model", optimizer: "keras.optimizers.Optimizer") -> dict[str, Arrays]:
    """Return copies of all variables, by file; the only part of saving that training waits for.

    Raises:
        CheckpointError: names a variable that is not finite, so that no such state is resumed from.
    """
    return {
        name: {f"{index:05d}": _copy_finite(variable) for index, variable in enumerate(variables)}
        for name, variables in _variables_by_file(model, optimizer).items()
    }


def _copy_finite(variable: "keras.Variable") -> np.ndarray:
    value = np.array(variable.numpy(), order="C")
    if np.issubdtype(value.dtype, np.floating) and not np.isfinite(value).all():
        raise CheckpointError(
            f"{variable.path} is not finite, so the state is not saved; lower --learning_rate"
        )
    return value


def write_state(
    root: Path, arrays: dict[str, Arrays], run: JsonObject, *, keep: int
) -> TrainingState:
    """Write a state under `root`, then remove older ones.

    No state is removed before the new one is complete.

    Args:
        root: the folder of the states.
        arrays: a snapshot.
        run: the content of run.json, with at least `step`.
        keep: how many of the newest states to keep.

    Raises:
        CheckpointError: the state cannot be written; names the last good one.
    """
    folder = root / _folder_name(run["step"])
    try:
        with atomic_files.staging_folder(root, STAGING) as staging:
            _write_files(staging, arrays, run)
            # A state of the same step is damaged or holds the same.
            atomic_files.replace_folder(staging, folder, STAGING)
            atomic_files.sync_to_disk(root)
    except OSError as error:
        last = newest_state(root)
        where = f"the last good state is {str(last.folder)!r}" if last else "there is none yet"
        raise CheckpointError(
            f"cannot save the state to {str(folder)!r}: {error.strerror or error}; {where}; "
            "make room and run the same command again"
        ) from None
    _remove_older(root, keep, folder, best=_folder_name(run.get("best_step", -1)))
    return TrainingState(folder, run)


def _write_files(folder: Path, arrays: dict[str, Arrays], run: JsonObject) -> None:
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
        atomic_files.sync_to_disk(path)


def _folder_name(step: int) -> str:
    return f"step-{step:08d}"


def _remove_older(root: Path, keep: int, newest: Path, *, best: str) -> None:
    """Remove all states but the `keep` newest ones and the best.

    Those later than `newest` are removed too: they were damaged, or the run would have resumed from
    them. `best` is the folder name of the run's best state; if that was not saved, the best of the
    saved ones stays.
    """
    folders = sorted(root.glob("step-*"), reverse=True)
    later = [folder for folder in folders if folder.name > newest.name]
    kept = {root / best, *(folder for _, _, folder in _by_validation_loss(root)[:1])}
    for folder in later + folders[len(later) + keep :]:
        if folder not in kept:
            shutil.rmtree(folder, ignore_errors=True)
    remove_leftovers(root)


def remove_leftovers(root: Path) -> None:
    """Remove the unfinished states of killed processes."""
    atomic_files.remove_leftovers(root, STAGING)


def remove_states(root: Path) -> None:
    """Remove every state of a run that ended well."""
    shutil.rmtree(root, ignore_errors=True)


# Reading


def newest_state(root: Path) -> TrainingState | None:
    """Return the newest complete state under `root`, or None; damaged ones are logged."""
    return next(_complete_states(root), None)


def newest_run(root: Path) -> JsonObject | None:
    """Return run.json of the newest state, whose other files are not verified; None without one."""
    for folder in sorted(root.glob("step-*"), reverse=True):
        with suppress(OSError, ValueError):
            run: JsonObject = json.loads((folder / "run.json").read_text(encoding="utf-8"))
            return run
    return None


def state_of_step(root: Path, step: int) -> TrainingState | None:
    """Return the complete state of a step; None if there is none."""
    folder = root / _folder_name(step)
    return _complete_state(folder) if folder.is_dir() else None


def _by_validation_loss(root: Path) -> list[tuple[float, int, Path]]:
    """Return (loss, step, folder) of the evaluated states, the best first, damaged or not."""
    measured = []
    for folder in root.glob("step-*"):
        try:
            run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
            measured.append((float(run["validation_loss"]), int(run["step"]), folder))
        except (OSError, ValueError, KeyError, TypeError):
            continue  # not evaluated, or damaged
    return sorted(measured)


def _complete_states(root: Path) -> Iterator[TrainingState]:
    """Yield the complete states, the newest first."""
    return filter(None, map(_complete_state, sorted(root.glob("step-*"), reverse=True)))


def _complete_state(folder: Path) -> TrainingState | None:
    """Return the state in a folder; if it is damaged, log the reason and return None."""
    damage = damage_of(folder)
    if damage is not None:
        logger.warning("%s is not used: %s", folder, damage)
        return None
    return TrainingState(folder, json.loads((folder / "run.json").read_text(encoding="utf-8")))


def damage_of(folder: Path) -> str | None:
    """Return in a few words what is wrong with a state folder; None if it is complete."""
    try:
        hashes = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except OSError:
        return f"it has no {MANIFEST}"
    except ValueError:
        return f"{MANIFEST} is torn"
    if not isinstance(hashes, dict) or "run.json" not in hashes:
        return f"{MANIFEST} does not list the files of a state"
    for name, expected in hashes.items():
        try:
            if _sha256(folder / name) != expected:
                return f"{name} is damaged"
        except OSError:
            return f"{name} is missing"
    return None


def restore_state(
    state: TrainingState, model: "keras.Model", optimizer: "keras.optimizers.Optimizer"
) -> None:
    """Assign the values of a state to a built model and optimizer.

    Raises:
        CheckpointError: a file holds another number of arrays.
    """
    for name, variables in _variables_by_file(model, optimizer).items():
        _restore(state.folder / f"{name}.safetensors", variables)


def _restore(path: Path, variables: Sequence["keras.Variable"]) -> None:
    from safetensors.numpy import load_file

    arrays = load_file(path)
    if len(arrays) != len(variables):
        raise CheckpointError(
            f"{str(path)!r} holds {len(arrays)} arrays, this model and optimizer have "
            f"{len(variables)}; it is another program's state"
        )
    for key, variable in zip(sorted(arrays), variables, strict=True):
        variable.assign(arrays[key])


def _variables_by_file(
    model: "keras.Model", optimizer: "keras.optimizers.Optimizer"
) -> dict[str, Sequence["keras.Variable"]]:
    # model.variables has the dropout seeds, which model.weights does not.
    return {"model": model.variables, "optimizer": optimizer.variables}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
