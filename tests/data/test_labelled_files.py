"""mlm.data.labelled: rows of files of all formats as texts with labels; columns and tasks found."""

import bz2
import gzip
import json
import lzma
import zipfile

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlm.checkpoint.task import Task
from mlm.data.labelled.labelled_files import read_labelled
from mlm.data.labelled.labelled_report import LabelledReport
from mlm.data.labelled.labelled_settings import LabelledSettings
from mlm.errors import CorpusError
from tests.support.places import SHARED

IMDB = SHARED / "data" / "imdb"
SINGLE = "single_label_classification"
MULTI = "multi_label_classification"
TOKENS = "token_classification"
TEXTS = ["A fine film.", 'She said "no", twice.', "A poor film."]


def read(*files, report=None, like=None, side="training", **settings):
    report = LabelledReport() if report is None else report
    return read_labelled(list(files), LabelledSettings(**settings), report, like, side)


def remarks_of(*files, **settings) -> list[str]:
    report = LabelledReport()
    read(*files, report=report, **settings)
    return report.remarks()


def refused(*files, **settings) -> str:
    """Return the line with which files are refused, without the folder of a file."""
    with pytest.raises(CorpusError) as caught:
        read(*files, **settings)
    line = str(caught.value)
    return line.replace(f"{files[0].parent}/", "") if files else line


@pytest.fixture
def write(tmp_path):
    """Return a function that writes a file and returns its path."""

    def write_file(name, content):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write_file


def lines_of(*rows):
    return "".join(f"{json.dumps(row)}\n" for row in rows)


def labels_of(labels):
    """Return JSON lines of texts with these labels."""
    return lines_of(*({"text": f"text number {i}", "label": v} for i, v in enumerate(labels)))


# Formats and sources ------------------------------------------------------------------------------

CSV = 'id,text,polarity\n1,A fine film.,1\n2,"She said ""no"", twice.",0\n3,A poor film.,0\n'


def packed(path, content):
    """Write content as the suffix of a path says."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(path.stem, content)
        return path
    pack = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}.get(path.suffix)
    path.write_bytes(pack(content) if pack else content)
    return path


@pytest.mark.parametrize(
    "name", ["a.csv", "a.csv.gz", "a.csv.bz2", "a.csv.xz", "a.csv.zip", "a.tsv", "a.jsonl.gz"]
)
def test_all_formats_give_texts_and_labels(tmp_path, name):
    content = CSV
    if ".tsv" in name:
        content = "text\tpolarity\nA fine film.\t1\nShe said “no”, twice.\t0\nA poor film.\t0\n"
        content = content.replace("“no”", '"no"')
    if ".jsonl" in name:
        rows = zip(TEXTS, [1, 0, 0], strict=True)
        content = lines_of(*({"text": text, "polarity": label} for text, label in rows))
    found = read(packed(tmp_path / name, content.encode()))
    assert (found.texts, found.labels) == (TEXTS, ["1", "0", "0"])
    assert found.task == Task(SINGLE, ("0", "1"))
    assert found.columns.names() == ("text", "polarity")


def test_parquet_and_the_names_that_it_has_for_numbers(tmp_path):
    table = pa.table({"text": TEXTS, "label": [1, 0, -1]})
    pq.write_table(table, tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet", text_column_names="text").labels == ["1", "0"]
    features = {"features": {"label": {"names": ["neg", "pos"], "_type": "ClassLabel"}}}
    named = table.replace_schema_metadata({"huggingface": json.dumps({"info": features})})
    pq.write_table(named, tmp_path / "b.parquet")
    report = LabelledReport()
    found = read(tmp_path / "b.parquet", report=report)
    assert (found.labels, found.task.labels) == (["pos", "neg"], ("neg", "pos"))
    assert report.unlabelled == 1
    assert (
        report.remarks()[-1] == "b.parquet: the numbers of 'label' have names in the file: neg, pos"
    )


def test_globs_and_urls_are_read_with_the_same_columns(write):
    write("a.csv", "text,label\nA fine film.,b\n")
    write("b.csv", "label,more,text\na,x,A poor film.\n")
    found = read(write("c.txt", "").parent / "[ab].csv")
    assert (found.texts, found.labels) == (["A fine film.", "A poor film."], ["b", "a"])
    with fsspec.open("memory://labelled/a.csv", "w") as stream:
        stream.write(CSV)
    assert read("memory://labelled/a.csv").texts == TEXTS


def test_texts_are_clean_and_rows_keep_their_labels_and_repeats(write):
    report = LabelledReport()
    content = "text,label\nA fine <br /> film.,1\nA  poor film.,0\nA fine <br /> film.,1\n"
    found = read(write("a.csv", content), report=report)
    assert found.texts == ["A fine film.", "A poor film.", "A fine film."]
    assert found.label_array().tolist() == [1, 0, 1]
    assert report.summary() == (
        "3 rows read from 1 file (text: text; label: label): 0 without a text and 0 without a "
        "label left out, 2 with HTML cleaned"
    )
    assert report.remarks() == [
        f"problem type: {SINGLE}, because labels are whole numbers (--problem_type decides)"
    ]


def test_a_long_text_is_not_cut_into_documents(write):
    content = f"text,label\n{'word ' * 30_000},1\nshort words,0\n"
    assert len(read(write("a.csv", content)).texts[0]) == 149_999


@pytest.mark.skipif(not IMDB.is_dir(), reason="the IMDB reviews are absent")
def test_real_reviews():
    report = LabelledReport()
    found = read(IMDB / "test_4k.csv.gz", report=report)
    assert (len(found), found.task) == (4000, Task(SINGLE, ("0", "1")))
    assert found.columns.names() == ("text", "polarity")
    assert found.label_array().sum() == 1996
    assert refused(IMDB / "unsup.csv.gz") == (
        "unsup.csv.gz has no column of labels; its columns are id, text: add one, or name it with "
        "--label_column_name"
    )


# Columns ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "row", "names"),
    [
        ("Sentiment,review", "good,A fine film", ("review", "Sentiment")),
        ("text,colour", "A fine film,red", ("text", "colour")),
        ("row_number,text,colour", "0,A fine film,red", ("text", "colour")),
        ("premise,hypothesis,label", "A film,A fine film,0", ("premise", "hypothesis", "label")),
        ("Text,label,label_text", "A fine film,0,bad", ("Text", "label")),
    ],
)
def test_obvious_columns_are_found(write, header, row, names):
    content = f"{header}\n{row}\n{row}\n"
    assert read(write("a.csv", content)).columns.names() == names


def test_given_columns_make_pairs(write):
    path = write("a.csv", "a,b,c\none,two,x\nthree,,y\n")
    report = LabelledReport()
    found = read(path, report=report, text_column_names="a, b", label_column_name="c")
    assert (found.texts, found.second_texts, found.labels) == (["one"], ["two"], ["x"])
    assert report.empty == 1
    same = LabelledSettings(text_column_names=["a", "b"])
    assert same.text_column_names == ("a", "b")


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        (
            {},
            "a.csv: the column of labels is not obvious; it may be kind or colour; its columns are "
            "text, kind, colour: name it with --label_column_name",
        ),
        (
            {"label_column_name": "labels"},
            "a.csv has no column 'labels'; its columns are text, kind, colour: "
            "correct --label_column_name",
        ),
        (
            {"text_column_names": "text,title"},
            "a.csv has no column 'title'; its columns are text, kind, colour: "
            "correct --text_column_names",
        ),
    ],
)
def test_columns_that_are_not_obvious_are_refused(write, settings, line):
    path = write("a.csv", "text,kind,colour\nA fine film,x,red\nA poor film,x,red\n")
    assert refused(path, **settings) == line


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        (
            {"text_column_names": "a,b,c"},
            "--text_column_names names 3 columns (a, b, c); expected one, or the two of a pair: "
            "join others into one column first",
        ),
        (
            {"text_column_names": "a", "label_column_name": "a"},
            "column 'a' is given as text and as label: correct --text_column_names or "
            "--label_column_name",
        ),
        (
            {"problem_type": "classes"},
            "--problem_type is 'classes'; expected one of auto, single_label_classification, "
            "multi_label_classification, regression, token_classification",
        ),
        ({"clean_html": "never"}, "--clean_html is 'never'; expected one of auto, yes, no"),
    ],
)
def test_settings_that_cannot_work_are_refused(write, settings, line):
    assert refused(write("a.csv", "a,b,label\nA film,b,0\n"), **settings) == line


def test_files_of_other_columns_are_refused(write):
    write("a.csv", "text,label\nA fine film.,b\n")
    write("b.csv", "text,colour\nA fine film.,b\n")
    assert refused(*sorted(write("c.csv", "text,label\n").parent.glob("*.csv"))) == (
        "b.csv has no column 'label', which other files of this run have; its columns are text, "
        "colour: rename it, or leave this file out"
    )


# Problem types ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "task", "read_as", "reason"),
    [
        ([10, 2, 2], Task(SINGLE, ("2", "10")), ["10", "2", "2"], "labels are whole numbers"),
        ([1.0, 0.0, 1.0], Task(SINGLE, ("0", "1")), ["1", "0", "1"], "labels are whole numbers"),
        (
            ["02", "1.0", "10"],
            Task(SINGLE, ("1", "02", "10")),
            ["02", "1", "10"],
            "labels are whole",
        ),
        (["b", "a ", "b"], Task(SINGLE, ("a", "b")), ["b", "a", "b"], "labels are words"),
        ([True, False], Task(SINGLE, ("false", "true")), ["true", "false"], "labels are words"),
        ([0.5, 2, "1e1"], Task("regression", ("label",)), [0.5, 2, 10], "labels are numbers with"),
        (
            ["a|b", "b"],
            Task(MULTI, ("a", "b")),
            [["a", "b"], ["b"]],
            "labels are separated by '|' in 1 of 2 rows",
        ),
        ([["a", "b"], "b"], Task(MULTI, ("a", "b")), [["a", "b"], ["b"]], "labels are lists in 1"),
        (
            ["0,5", "0,5", 1],
            Task(SINGLE, ("0,5", "1")),
            ["0,5", "0,5", "1"],
            "labels are words, such as '0,5', although 1 of 3 are numbers",
        ),
        ([["a", "b"], []], Task(MULTI, ("a", "b")), [["a", "b"], []], "labels are lists"),
        (['["b"]', "['a']"], Task(MULTI, ("a", "b")), [["b"], ["a"]], "labels are lists"),
        ([[3, 10], [2]], Task(MULTI, ("2", "3", "10")), [["3", "10"], ["2"]], "labels are lists"),
    ],
)
def test_the_problem_type_is_found_and_said(write, labels, task, read_as, reason):
    path = write("a.jsonl", labels_of(labels))
    found = read(path)
    assert (found.task, found.labels) == (task, read_as)
    line = remarks_of(path)[0]
    assert line.startswith(f"problem type: {task.problem_type}, because {reason}")


def test_labels_as_arrays(write):
    several = read(write("a.jsonl", labels_of([["b"], [], ["b", "a"]]))).label_array()
    assert (several.dtype, several.tolist()) == ("float32", [[0, 1], [0, 0], [1, 1]])
    numbers = read(write("a.jsonl", labels_of([0.5, 2]))).label_array()
    assert (numbers.dtype, numbers.tolist()) == ("float32", [0.5, 2])


def test_a_given_problem_type_wins(write):
    path = write("a.jsonl", labels_of([1, 2, 3]))
    assert read(path, problem_type="regression").labels == [1, 2, 3]
    assert read(path, problem_type=MULTI).labels == [["1"], ["2"], ["3"]]
    assert read(write("b.jsonl", labels_of(["a|b", "c"])), problem_type=SINGLE).labels == [
        "a|b",
        "c",
    ]
    assert refused(write("c.jsonl", labels_of(["good", "bad"])), problem_type="regression") == (
        "label 'good' is not a number, which --problem_type regression asks for: correct it, or "
        "leave --problem_type out"
    )
    assert refused(path, problem_type=TOKENS) == (
        "the problem type is token_classification, but the files have texts: give lines of a word "
        "and its tag (.conll), or JSON lines with 'tokens' and 'tags'"
    )


@pytest.mark.parametrize("label", ["1e999", "-Infinity", "4e38", "1" + "0" * 400])
def test_numbers_beyond_those_of_a_model_are_refused(write, label):
    path = write("a.jsonl", f'{{"text": "a", "label": 0.5}}\n{{"text": "b", "label": {label}}}\n')
    assert "is too large for a 32-bit number: correct it" in refused(path)


def test_labels_of_objects_are_refused(write):
    path = write("a.jsonl", labels_of([{"a": 1}, {"a": 2}]))
    assert refused(path).startswith("a label is a dict ({'a': 1}), expected a word or a number")


def test_lists_are_refused_as_single_labels(write):
    path = write("a.jsonl", labels_of([["a", "b"], ["b"]]))
    assert refused(path, problem_type=SINGLE) == (
        "a label is a list (['a', 'b']), expected a word or a number: give --problem_type "
        "multi_label_classification if a text has several labels, or another column with "
        "--label_column_name"
    )


def test_labels_that_differ_by_capitals_are_said(write):
    remarks = remarks_of(write("a.jsonl", labels_of(["Good", "good", "bad"])))
    assert remarks[1].startswith("labels that differ by capitals only: Good, good; they are")


# Rows without labels ------------------------------------------------------------------------------


def test_rows_without_a_label_or_a_text_are_left_out_and_counted(write):
    report = LabelledReport()
    found = read(write("a.csv", "text,label\na film,x\nb film,\nc film,nan\n,x\n"), report=report)
    assert (found.texts, report.rows, report.unlabelled, report.empty) == (["a film"], 4, 2, 1)
    rows = labels_of(["x", None, float("nan"), "None"])
    assert read(write("a.jsonl", rows)).labels == ["x", "None"]


def test_minus_one_is_no_label_beside_whole_numbers(write):
    report = LabelledReport()
    train = read(write("a.jsonl", labels_of([1, -1, 0, -1])), report=report)
    assert (train.labels, report.unlabelled) == (["1", "0"], 2)
    assert report.lines[1] == (
        "2 rows with label -1 are left out as unlabelled; if -1 is a class, write the labels as "
        "words"
    )
    assert read(write("b.jsonl", labels_of([1, -1])), like=train).labels == ["1"]
    two = read(write("b.jsonl", labels_of([1, -1, 1])))
    assert two.task.labels == ("-1", "1")
    assert read(write("c.jsonl", labels_of([-1, 1])), like=two).labels == ["-1", "1"]
    assert read(write("d.jsonl", labels_of([-1, 0.5]))).labels == [-1, 0.5]


@pytest.mark.parametrize("label", [None, -1, ""])
def test_no_labels_at_all_are_refused(write, label):
    path = write("a.jsonl", labels_of([label, label]))
    assert refused(path, label_column_name="label") == (
        "the training texts have no labels (2 rows read from 1 file (text: text; label: label): 0 "
        "without a text and 2 without a label left out, 0 with HTML cleaned): give a file with "
        "labels, or name their column with --label_column_name"
    )


def test_no_texts_at_all_are_refused(write):
    assert refused(write("a.csv", "text,label\n,1\n"), side="test").startswith(
        "the test files have no texts (1 row read from 1 file (text: text; label: label): 1 without"
    )


# Words with tags ----------------------------------------------------------------------------------

CONLL = """-DOCSTART- -X- O

EU NNP B-ORG
rejects VBZ O
New NNP B-LOC
York NNP I-LOC

Peter NNP B-PER
"""
WORDS = [["EU", "rejects", "New", "York"], ["Peter"]]
TAGS = [["B-ORG", "O", "B-LOC", "I-LOC"], ["B-PER"]]


@pytest.mark.parametrize("name", ["a.conll", "a.bio", "a.iob", "a.txt"])
def test_lines_of_words_and_tags(write, name):
    report = LabelledReport()
    found = read(write(name, CONLL), report=report)
    assert (found.words, found.labels) == (WORDS, TAGS)
    assert found.texts == ["EU rejects New York", "Peter"]
    assert found.task == Task(TOKENS, ("B-LOC", "B-ORG", "B-PER", "I-LOC", "O"))
    assert [array.tolist() for array in found.tag_arrays()] == [[1, 4, 0, 3], [2]]
    assert report.summary().startswith("2 rows read from 1 file (words: first column; tags: last")
    assert report.remarks() == [
        f"problem type: {TOKENS}, because each word has a tag (--problem_type decides)"
    ]


@pytest.mark.parametrize("name", ["a.conll", "a.txt"])
def test_a_word_may_hold_a_space_that_separates_no_columns(write, name):
    found = read(write(name, "10\xa0000\tB-MONEY\r\nfrancs I-MONEY \r\n"))
    assert (found.words, found.labels) == ([["10 000", "francs"]], [["B-MONEY", "I-MONEY"]])


@pytest.mark.parametrize("tags", ["tags", "ner_tags"])
def test_json_lines_of_words_and_tags(write, tags):
    rows = [{"id": 1, "tokens": w, tags: t} for w, t in zip(WORDS, TAGS, strict=True)]
    found = read(write("a.jsonl", lines_of(*rows)))
    assert (found.words, found.labels) == (WORDS, TAGS)
    assert found.columns.names() == ("tokens", tags)


def test_parquet_of_words_and_numbers_with_names(tmp_path):
    names = ["O", "B-PER", "I-PER"]
    info = {"info": {"features": {"ner_tags": {"feature": {"names": names}}}}}
    table = pa.table({"tokens": [["Peter", "Pan", "flies"]], "ner_tags": [[1, 2, 0]]})
    pq.write_table(table, tmp_path / "a.parquet")
    assert refused(tmp_path / "a.parquet") == (
        "text 1 has the tag 1, a number; expected names such as B-PER, I-PER and O: replace the "
        "numbers by the names of the tags"
    )
    pq.write_table(
        table.replace_schema_metadata({"huggingface": json.dumps(info)}), tmp_path / "b.parquet"
    )
    assert read(tmp_path / "b.parquet").labels == [["B-PER", "I-PER", "O"]]


@pytest.mark.parametrize(
    ("tags", "bio", "line"),
    [
        (["I-A", "I-A", "I-B"], ["B-A", "I-A", "B-B"], "2 tags I- that begin an entity read as B-"),
        (["S-A", "B-A", "E-A"], ["B-A", "B-A", "I-A"], "2 tags of BIOES or BILOU (such as S-A)"),
        (["U-A", "B-A", "L-A"], ["B-A", "B-A", "I-A"], "2 tags of BIOES or BILOU (such as U-A)"),
        (["B", "I", "O"], ["B", "I", "O"], "problem type"),
    ],
)
def test_other_forms_of_tags_become_bio(write, tags, bio, line):
    report = LabelledReport()
    content = lines_of({"tokens": ["a", "b", "c"], "tags": tags})
    assert read(write("a.jsonl", content), report=report).labels == [bio]
    assert report.lines[-1].startswith(line)


def test_parts_of_speech_stay_as_they_are(write):
    report = LabelledReport()
    content = lines_of({"tokens": ["a", "b", "c"], "tags": ["DET", "NOUN", "O"]})
    texts = read(write("a.jsonl", content), report=report)
    assert texts.labels == [["DET", "NOUN", "O"]]
    assert report.lines[-1] == (
        "tags of single words, not of entities (2 of them, such as DET): each word is counted by "
        "itself"
    )


@pytest.mark.parametrize(
    ("row", "line"),
    [
        (
            {"tokens": ["a", "b"], "tags": ["B-PER", "NOUN"]},
            "text 1 has the tag 'NOUN', expected BIO: O, or B- or I- and the kind of entity, such "
            "as B-PER: correct it, or name the column of tags with --label_column_name",
        ),
        (
            {"tokens": ["a", "b"], "tags": ["O"]},
            "text 1 has 2 words and 1 tags, expected a list of one tag for each word: correct it",
        ),
        (
            {"tokens": ["a", "b"], "tags": "O O"},
            "text 1 has 2 words and the tags 'O O', expected a list of one tag for each word: "
            "correct it",
        ),
    ],
)
def test_odd_tags_are_refused(write, row, line):
    assert refused(write("a.jsonl", lines_of(row))) == line


def test_lower_case_tags_of_entities_are_said(write):
    report = LabelledReport()
    content = lines_of({"tokens": ["a", "b"], "tags": ["b-per", "o"]})
    assert read(write("a.jsonl", content), report=report).labels == [["b-per", "o"]]
    assert report.lines[-1].endswith("; if they are of entities, write B-, I- and O in capitals")


def test_odd_lines_are_refused(write):
    assert "line 2 has 1 column, expected 2" in refused(write("b.conll", "EU B-ORG\nrejects\n"))
    assert refused(write("a.conll", "EU NNP B-ORG\nrejects O\n")) == (
        "a.conll cannot be read: line 2 has 2 columns, expected 3: a word, its tag and what is "
        "between them, separated by spaces or tabs"
    )
    assert refused(write("a.txt", "A fine film.\nA poor film.\n")) == (
        "a.txt cannot be read: plain text has no labels; give a table, JSON lines or Parquet, a "
        "folder with a folder of texts for each class, or lines of a word and its tag"
    )
    assert refused(write("a.conll", CONLL), problem_type=SINGLE) == (
        f"the problem type is {SINGLE}, but the files have lists of words: give texts, or "
        "--problem_type token_classification"
    )


# A folder for each class --------------------------------------------------------------------------


def test_a_folder_for_each_class(write, tmp_path):
    for name, text in (("pos/1.txt", "A fine\nfilm."), ("neg/2.txt", "A poor film.")):
        write(f"train/{name}", text)
    write("train/unsup/3.txt", "No label.")
    write("train/urls.txt", "http://example.org")
    (tmp_path / "train" / "empty").mkdir()
    report = LabelledReport()
    found = read(tmp_path / "train", report=report)
    assert (found.texts, found.labels) == (["A poor film.", "A fine film."], ["neg", "pos"])
    assert report.summary().startswith(
        "2 rows read from 2 files (a folder for each class: neg, pos)"
    )
    assert report.lines[:2] == [
        "empty/ holds no .txt files and is left out",
        "unsup/ has no labels and is left out (1 text)",
    ]
    table = read(write("a.csv", "text,label\nA film.,pos\n"), like=found)
    assert table.label_array().tolist() == [1]


def test_a_folder_above_the_classes_is_refused_with_the_right_one(write, tmp_path):
    for name in ("pos", "neg"):
        write(f"data/train/{name}/1.txt", "A film.")
    assert refused(tmp_path / "data").endswith("or name the files; did you mean data/train?")


def test_a_folder_without_classes_is_refused(write, tmp_path):
    write("train/1.txt", "A film.")
    assert refused(tmp_path / "train") == (
        "train is a folder without folders of .txt files: give a folder for each class, such as "
        f"{tmp_path}/train/pos/ and {tmp_path}/train/neg/, or name the files"
    ).replace(f"{tmp_path}/", "")


# Other sides --------------------------------------------------------------------------------------


def test_another_side_has_the_columns_and_the_task_of_training(write):
    train = read(write("a.csv", "text,kind\nA film,x\nA book,y\nA song,x\n"))
    test = read(write("b.csv", "kind,text,label\ny,A film,5\ny,A play,6\n"), like=train)
    assert (test.labels, test.task, test.label_array().tolist()) == (["y", "y"], train.task, [1, 1])
    assert refused(write("c.csv", "kind,text\nz,A film\n"), like=train, side="test") == (
        "the test texts have the label 'z' (once), which the training texts never have; those "
        "have 'x', 'y': correct the labels, or leave these texts out"
    )
