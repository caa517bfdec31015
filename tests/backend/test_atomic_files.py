"""Atomic replacement: a reader sees the old content or the new, never half of it."""

from pathlib import Path

import pytest

from mlm.backend.atomic_files import (
    remove_leftovers,
    replace_file,
    replace_folder,
    replacing_file,
    staging_folder,
)


def test_a_file_is_replaced_and_no_temporary_file_is_left(tmp_path):
    path = tmp_path / "card.md"
    replace_file(path, "old ä")
    replace_file(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_the_old_file_stays_if_the_new_one_cannot_be_written(tmp_path, monkeypatch):
    path = tmp_path / "card.md"
    path.write_text("old")

    def full(self, content):
        self.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        replace_file(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_staging_folder_is_removed_after_an_error(tmp_path):
    parent = tmp_path / "not" / "there"
    with pytest.raises(ZeroDivisionError), staging_folder(parent, ".making-") as staging:
        (staging / "file").touch()
        assert staging.parent == parent
        raise ZeroDivisionError
    assert list(parent.iterdir()) == []


@pytest.mark.parametrize("is_there", [True, False])
def test_a_folder_replaces_another(tmp_path, is_there):
    old, new = tmp_path / "state", tmp_path / "new"
    if is_there:
        old.mkdir()
        (old / "old").touch()
    new.mkdir()
    (new / "new").touch()
    replace_folder(new, old, ".making-")
    assert [path.name for path in old.iterdir()] == ["new"]
    assert list(tmp_path.iterdir()) == [old]


def test_the_old_folder_stays_where_the_new_one_cannot_take_its_place(tmp_path):
    old = tmp_path / "state"
    old.mkdir()
    with pytest.raises(OSError, match="No such file"):
        replace_folder(tmp_path / "absent", old, ".making-")
    assert list(tmp_path.iterdir()) == [old]


def test_leftovers_are_removed_and_nothing_else(tmp_path):
    for name in (".making-abc", "making-abc", ".other-abc"):
        (tmp_path / name).mkdir()
    remove_leftovers(tmp_path, ".making-")
    assert {path.name for path in tmp_path.iterdir()} == {"making-abc", ".other-abc"}


def test_a_file_is_replaced_when_its_block_ends_well(tmp_path):
    path = tmp_path / "filled.csv"
    path.write_text("old")
    with replacing_file(path) as stream:
        stream.write(b"new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    with pytest.raises(KeyboardInterrupt), replacing_file(path) as stream:
        stream.write(b"half")
        raise KeyboardInterrupt
    assert path.read_text() == "new" and list(tmp_path.iterdir()) == [path]


def test_what_is_not_a_file_is_written_to_and_stays(tmp_path):
    path = tmp_path / "null"
    path.symlink_to("/dev/null")
    with replacing_file(path) as stream:
        stream.write(b"new")
    assert path.is_char_device()
