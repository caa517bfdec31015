"""States written in the background: training goes on meanwhile, and hears of what went wrong."""

import threading

import numpy as np
import pytest

from mlm.backend import atomic_files
from mlm.checkpoint.run_state import newest_state
from mlm.errors import CheckpointError
from mlm.training.state.writer import StateWriter

ARRAYS = {"model": {"00000": np.arange(6.0)}, "optimizer": {"00000": np.zeros(2)}}


@pytest.fixture
def disk(monkeypatch):
    """A disk that answers when `go` is set; `busy` is set once it was asked."""

    class Disk:
        go, busy, fsync = threading.Event(), threading.Event(), atomic_files.sync_to_disk

    def wait(path):
        Disk.busy.set()
        assert Disk.go.wait(20)
        Disk.fsync(path)

    monkeypatch.setattr(atomic_files, "sync_to_disk", wait)
    yield Disk
    Disk.go.set()


def test_a_save_does_not_wait_for_the_disk(tmp_path, disk):
    with StateWriter(tmp_path, keep=2) as writer:
        writer.save(ARRAYS, {"step": 1})  # comes back, though the disk has not answered
        assert disk.busy.wait(20)
        writer.check()
        assert newest_state(tmp_path) is None
        disk.go.set()
    assert newest_state(tmp_path).step == 1


def test_the_next_save_waits_for_the_one_in_hand(tmp_path, disk):
    writer = StateWriter(tmp_path, keep=2)
    writer.save(ARRAYS, {"step": 1})
    assert disk.busy.wait(20)
    second = threading.Thread(target=writer.save, args=(ARRAYS, {"step": 2}))
    second.start()
    assert len(list(tmp_path.glob(".writing-*"))) == 1
    disk.go.set()
    second.join(20)
    writer.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000001", "step-00000002"]


@pytest.mark.parametrize("when", ["save", "check", "close"])
def test_an_error_is_raised_by_the_next_call(when, tmp_path, monkeypatch):
    writer = StateWriter(tmp_path, keep=2)
    writer.save(ARRAYS, {"step": 1})
    writer.close()

    def no_space(path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic_files, "sync_to_disk", no_space)
    writer.save(ARRAYS, {"step": 2})
    writer._thread.join(20)
    with pytest.raises(CheckpointError, match=r"No space left .* last good state .*step-00000001"):
        getattr(writer, when)(*((ARRAYS, {"step": 3}) if when == "save" else ()))
    writer.check()  # told once
    assert newest_state(tmp_path).step == 1


def test_each_whole_state_is_told(tmp_path):
    written = []
    with StateWriter(tmp_path, keep=2, on_written=written.append) as writer:
        for step in (1, 2, 3):
            writer.save(ARRAYS, {"step": step})
    assert [state.step for state in written] == [1, 2, 3]
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["step-00000002", "step-00000003"]


def test_what_a_killed_run_left_is_removed_at_the_start(tmp_path):
    (tmp_path / ".writing-abc").mkdir()
    (tmp_path / ".writing-abc" / "model.safetensors").write_bytes(b"half")
    StateWriter(tmp_path, keep=2)
    assert list(tmp_path.iterdir()) == []


def test_an_error_on_its_way_is_not_replaced(tmp_path, monkeypatch):
    monkeypatch.setattr(atomic_files, "sync_to_disk", lambda path: 1 / 0)
    with pytest.raises(KeyError), StateWriter(tmp_path, keep=2) as writer:
        writer.save(ARRAYS, {"step": 1})
        raise KeyError
