"""The resumable state: restored to the bit, pruned, and never used if it is damaged."""

import logging
import os
import resource
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest

from mlm.backend import atomic_files
from mlm.checkpoint.run_state import (
    newest_state,
    restore_state,
    snapshot,
    state_of_step,
    write_state,
)
from mlm.errors import CheckpointError
from mlm.training.config import TrainingConfig
from mlm.training.step.optimizer import make_optimizer


def small_run(seed: int):
    """Return a model with dropout and an optimizer, whose values depend on the seed."""
    keras.utils.set_random_seed(seed)
    layers = [keras.layers.Dense(4, name="dense"), keras.layers.Dropout(0.5, seed=seed)]
    model = keras.Sequential([keras.Input((3,)), *layers])
    optimizer = make_optimizer(TrainingConfig(), total_steps=10)
    optimizer.build(model.trainable_variables)
    rng = np.random.default_rng(seed)
    for variable in (*model.variables, *optimizer.variables):
        noise = rng.integers(0, 1000, variable.shape)
        variable.assign((noise / 7).astype(variable.dtype))
    return model, optimizer


@pytest.fixture(scope="module")
def saved_run():
    return small_run(1)


@pytest.fixture
def other_run():
    return small_run(2)


@pytest.fixture
def root(tmp_path) -> Path:
    return tmp_path / "state"


def values(run) -> list[np.ndarray]:
    model, optimizer = run
    return [variable.numpy() for variable in (*model.variables, *optimizer.variables)]


def save(root: Path, run, step: int, keep: int = 2):
    return write_state(root, snapshot(*run), {"step": step, "curve": [[step, 0.1]]}, keep=keep)


def names(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir())


def test_a_state_puts_everything_back_to_the_bit(root, saved_run, other_run):
    assert any("seed" in variable.path for variable in saved_run[0].variables)
    assert not all(map(np.array_equal, values(other_run), values(saved_run)))
    saved = save(root, saved_run, 7)
    found = newest_state(root)
    assert found == saved
    assert (found.step, found.run["curve"]) == (7, [[7, 0.1]])
    restore_state(found, *other_run)
    for actual, expected in zip(values(other_run), values(saved_run), strict=True):
        assert actual.dtype == expected.dtype
        np.testing.assert_array_equal(actual, expected)


def test_dropout_goes_on_as_it_would_have(root, saved_run, other_run):
    save(root, saved_run, 1)
    restore_state(newest_state(root), *other_run)
    ones = np.ones((4, 3), "float32")
    ours, theirs = (
        [run[0](ones, training=True) for _ in range(2)] for run in (other_run, saved_run)
    )
    assert not np.array_equal(ours[0], ours[1])
    np.testing.assert_array_equal(ours, theirs)


def test_a_folder_without_states_has_no_newest(root):
    assert newest_state(root) is None
    root.mkdir()
    assert newest_state(root) is None


def test_the_newest_stay(root, saved_run):
    for step in (5, 90, 100, 1000):
        save(root, saved_run, step)
    assert names(root) == ["step-00000100", "step-00001000"]
    save(root, saved_run, 1001, keep=3)
    assert names(root) == ["step-00000100", "step-00001000", "step-00001001"]


def test_the_same_step_can_be_saved_again(root, saved_run, other_run):
    save(root, other_run, 4)
    save(root, saved_run, 4)
    restore_state(newest_state(root), *other_run)
    np.testing.assert_array_equal(values(other_run)[0], values(saved_run)[0])


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def zero_the_tail(path: Path) -> None:
    size = path.stat().st_size
    os.truncate(path, size - min(40, size // 2))
    os.truncate(path, size)  # as a file system may after a power cut


FILES = ("model.safetensors", "optimizer.safetensors", "run.json", "manifest.json")
DAMAGE = [
    (break_it, name)
    for break_it in (flip_a_bit, truncate, zero_the_tail, Path.unlink)
    for name in FILES
]


@pytest.mark.parametrize(
    ("break_it", "name"), DAMAGE, ids=[f"{b.__name__} {name}" for b, name in DAMAGE]
)
def test_a_damaged_state_is_passed_over(break_it, name, root, saved_run, caplog):
    save(root, saved_run, 1)
    newest = save(root, saved_run, 2)
    break_it(newest.folder / name)
    with caplog.at_level(logging.WARNING, logger="mlm.checkpoint.run_state"):
        assert newest_state(root).step == 1
    assert len(caplog.records) == 1
    assert f"{newest.folder} is not used" in caplog.text
    # A flipped bit in the manifest is a wrong hash of another file.
    assert name in caplog.text or (break_it is flip_a_bit and name == "manifest.json")


def test_where_every_state_is_damaged_there_is_none(root, saved_run, caplog):
    for step in (1, 2):
        truncate(save(root, saved_run, step).folder / "manifest.json")
    assert newest_state(root) is None
    assert len(caplog.records) == 2


def test_damaged_later_states_do_not_push_out_the_new_one(root, saved_run):
    for step in (100, 200, 300):
        save(root, saved_run, step, keep=3)
    for step in (200, 300):
        truncate(root / f"step-{step:08d}" / "run.json")
    save(root, saved_run, 150)  # the run resumed from 100
    assert names(root) == ["step-00000100", "step-00000150"]


def test_what_a_killed_save_left_is_cleaned_up(root, saved_run):
    save(root, saved_run, 1)
    shutil.copytree(root / "step-00000001", root / ".writing-abc")
    assert newest_state(root).step == 1
    save(root, saved_run, 2)
    assert names(root) == ["step-00000001", "step-00000002"]


def no_space(*args):
    raise OSError(28, "No space left on device")


def assert_save_fails(root: Path, run, said: str) -> None:
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    with pytest.raises(CheckpointError, match=said) as refusal:
        save(root, run, 3)
    assert "\n" not in str(refusal.value)
    assert "last good state is" in str(refusal.value)
    assert "step-00000002" in str(refusal.value)
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before
    assert names(root) == ["step-00000001", "step-00000002"]


def test_a_full_disk_keeps_the_older_states(root, saved_run, monkeypatch):
    for step in (1, 2):
        save(root, saved_run, step)
    monkeypatch.setattr(atomic_files, "sync_to_disk", no_space)
    assert_save_fails(root, saved_run, "No space left on device")


def test_weights_that_do_not_fit_keep_the_older_states(root, saved_run):
    for step in (1, 2):
        save(root, saved_run, step)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        assert_save_fails(root, saved_run, "too large")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_save_that_fails_first_says_that_there_is_none(root, saved_run, monkeypatch):
    monkeypatch.setattr(atomic_files, "sync_to_disk", no_space)
    with pytest.raises(CheckpointError, match="there is none yet"):
        save(root, saved_run, 1)
    assert names(root) == []


def test_a_file_in_the_way_is_told_in_one_line(root, saved_run):
    root.write_text("not a folder", encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"cannot save the state to .*there is none yet"):
        save(root, saved_run, 1)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_not_saved(value, other_run):
    model, optimizer = other_run
    kernel = model.trainable_variables[0]
    kernel.assign(kernel.numpy() * 0 + value)
    with pytest.raises(CheckpointError, match=r"dense/kernel is not finite"):
        snapshot(model, optimizer)


@pytest.mark.parametrize(
    ("losses", "kept"),
    [
        ({1: 3.0, 2: 1.0, 3: 2.0, 4: 2.5, 5: None}, [2, 4, 5]),
        ({1: 1.0, 2: 1.0, 3: 1.0, 4: 1.0}, [1, 3, 4]),
        ({1: None, 2: None, 3: None}, [2, 3]),
        ({1: 3.0, 2: 2.0, 3: 1.0}, [2, 3]),
    ],
)
def test_the_best_stays_beside_the_newest(losses, kept, root, saved_run):
    for step, loss in losses.items():
        run = {"step": step, "validation_loss": loss}
        write_state(root, snapshot(*saved_run), run, keep=2)
    assert [int(name.removeprefix("step-")) for name in names(root)] == kept


def test_another_models_state_is_refused(root, saved_run):
    save(root, saved_run, 1)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4)])
    with pytest.raises(CheckpointError, match="holds 3 arrays, this model and optimizer have 2"):
        restore_state(newest_state(root), model, saved_run[1])


def test_a_damaged_state_of_a_step_does_not_exist(root, saved_run):
    save(root, saved_run, 1)
    assert state_of_step(root, 1).step == 1
    truncate(root / "step-00000001" / "model.safetensors")
    assert state_of_step(root, 1) is None
