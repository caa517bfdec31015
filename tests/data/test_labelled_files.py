"""mlm.data.labelled: rows of files of all formats as texts with labels, columns and tasks found."""

import pytest

from mlm.checkpoint.task import Task
from mlm.data.labelled.labelled_files import read_labelled
from mlm.data.labelled.labelled_report import LabelledReport
from mlm.data.labelled.labelled_settings import LabelledSettings
from mlm.errors import CorpusError
from tests.support.places import SHARED

IMDB = SHARED / "data" / "imdb"
SINGLE = "single_label_classification"


def read(*files, report=None, like=None, **settings):
    names = {name: settings.pop(name) for name in [*settings]}
    report = LabelledReport() if report is None else report
    return read_labelled([str(file) for file in files], LabelledSettings(**names), report, like)


@pytest.fixture
def write(tmp_path):
    """Return a function that writes a file and returns its path."""

    def write_file(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write_file


CSV = "id,text,polarity\n1,A fine <br /> film.,1\n2,A poor film.,0\n3,A fine <br /> film.,1\n"


def test_texts_are_clean_and_rows_keep_their_labels_and_repeats(write):
    report = LabelledReport()
    found = read(write("a.csv", CSV), report=report)
    assert found.texts == ["A fine film.", "A poor film.", "A fine film."]
    assert found.labels == ["1", "0", "1"]
    assert found.task == Task(SINGLE, ("0", "1"))
    assert found.label_array().tolist() == [1, 0, 1]
    assert report.summary() == (
        "3 rows read from 1 file (text: text; label: polarity): 0 without a text and 0 without a "
        "label left out, 2 with HTML cleaned"
    )
    assert report.remarks() == [
        f"problem type: {SINGLE}, because labels are whole numbers (--problem_type decides)"
    ]


@pytest.mark.skipif(not IMDB.is_dir(), reason="the IMDB reviews are absent")
def test_real_reviews():
    found = read(IMDB / "test_4k.csv.gz")
    assert (len(found), found.task) == (4000, Task(SINGLE, ("0", "1")))
    assert found.columns.names() == ("text", "polarity")
    assert found.label_array().sum() == 1996


def test_a_file_without_labels_is_refused(write):
    with pytest.raises(CorpusError, match="has no labels: its only columns are text"):
        read(write("a.csv", "text\nA fine film.\n"))
