"""Files and folders of labelled texts: found, checked, told apart."""

import pytest

from mlm.data.labelled.labelled_settings import LabelledSettings
from mlm.data.labelled.labelled_sources import check_sources, labelled_sources, source_identities
from mlm.errors import CorpusError


@pytest.fixture
def folder(tmp_path):
    for name in ("pos", "neg"):
        (tmp_path / "acl" / name).mkdir(parents=True)
        (tmp_path / "acl" / name / "0.txt").write_text("A text.")
    (tmp_path / "a.csv").write_text("text,label\na,b\n")
    (tmp_path / "a.conll").write_text("word O\n")
    return tmp_path


def test_files_and_folders_are_told_apart(folder):
    given = [str(folder / "*.c*"), str(folder / "acl")]
    urls, folders = labelled_sources(given)
    assert urls == [str(folder / "a.conll"), str(folder / "a.csv")]
    assert folders == [str(folder / "acl")]
    check_sources(given, LabelledSettings())
    assert labelled_sources([folder / "acl"]) == ([], [folder / "acl"])


def test_what_is_not_there_is_refused(folder):
    with pytest.raises(CorpusError, match="no text file was given"):
        labelled_sources([])
    with pytest.raises(CorpusError, match=r"none\.csv"):
        check_sources([folder / "none.csv"], LabelledSettings())


def test_a_folder_is_one_entry_that_changes_with_its_files(folder):
    (before,) = source_identities([folder / "acl"])
    assert (before["name"], before["files"]) == ("acl", 2)
    assert source_identities([folder / "acl"]) == [before]
    (folder / "acl" / "neg" / "1.txt").write_text("Another.")
    (after,) = source_identities([folder / "acl"])
    assert after["files"] == 3
    assert after["sha256"] != before["sha256"]
    names = [each["name"] for each in source_identities([folder / "a.csv", folder / "acl"])]
    assert names == ["a.csv", "acl"]
