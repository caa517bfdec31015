"""`mlm fill`: sentences to words in the terminal, files of sentences to CSV."""

import csv
import io
import json
import subprocess
import sys

import pytest

from mlm.commands.fill import main
from mlm.inference import row_filling, row_writing
from mlm.inference.fill_mask import FillMask
from mlm.inference.row_reading import MAX_ROWS
from tests.support.places import ROOT

SENTENCE = "I have watched this [MASK] and it was awesome."


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    """Signs of life, which come with time, are not a part of what these tests look at."""
    monkeypatch.setattr("mlm.terminal.progress.PATIENCE", 10_000.0)


def test_each_sentence_has_its_words_with_their_probabilities(capsys):
    assert main([SENTENCE, "The [MASK] was a [MASK].", "--top_k", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == SENTENCE
    share, word = lines[1].split()
    assert word == "movie" and share.endswith("%") and 50 < float(share[:-1]) < 100
    assert [line for line in lines if line.startswith("mask ")] == ["mask 1", "mask 2"]
    assert len(lines) == 1 + 2 + 1 + 2 * 3


def test_targets_are_the_only_words_shown(capsys):
    assert main([SENTENCE, "--targets", "book", "movie"]) == 0
    shown = [line.split()[-1] for line in capsys.readouterr().out.splitlines()[1:]]
    assert shown == ["movie", "book"]


def rows_of_csv(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))


def test_standard_output_has_no_byte_order_mark(tmp_path, capsysbinary):
    given = tmp_path / "given.txt"
    given.write_text(SENTENCE, encoding="utf-8")
    assert main([str(given)]) == 0
    assert capsysbinary.readouterr().out.startswith(b"row,text,")


def test_a_file_becomes_a_csv_and_what_is_left_out_is_said(tmp_path, capsys):
    given, written = tmp_path / "given.csv", tmp_path / "filled.csv"
    given.write_text(f'id,review\n1,"{SENTENCE}"\n2,nothing to fill\n', encoding="utf-8")
    assert main([str(given), "--output", str(written), "--top_k", "3"]) == 0
    rows = rows_of_csv(written.read_bytes())
    assert [row["row"] for row in rows] == ["2", "2", "2", "3"]
    assert [row["id"] for row in rows] == ["1", "1", "1", "2"]
    assert rows[0]["word"] == "movie" and rows[0]["sequence"] == SENTENCE.replace("[MASK]", "movie")
    assert "no mask" in rows[3]["error"]
    printed = capsys.readouterr()
    assert printed.out == ""
    said = printed.err.splitlines()
    assert said[0].startswith("2 rows of column 'review'; 1 without words, the first in row 3: The")
    assert said[1:] == [f"written to {written}"]
    before = written.read_bytes()
    assert main(["--input_file", str(given), "--output_file", str(written), "--top_k", "3"]) == 0
    assert written.read_bytes() == before  # the older names of the options


def test_a_file_of_ones_own_may_be_longer_than_a_visitors(tmp_path, capsysbinary):
    given = tmp_path / "given.txt"
    given.write_text(f"{SENTENCE}\n" * (MAX_ROWS + 1), encoding="utf-8")
    assert main([str(given), "--top_k", "1"]) == 0
    assert len(rows_of_csv(capsysbinary.readouterr().out)) == MAX_ROWS + 1


def test_a_table_of_another_country_comes_back_as_it_was(tmp_path, capsys):
    given, written = tmp_path / "given.csv", tmp_path / "filled.csv"
    given.write_text("sep=;\nid;satz;word\n7;It was [MASK], really.;x\n", encoding="utf-8")
    assert main([str(given), "--output", str(written), "--top_k", "1"]) == 0
    header, line = written.read_text(encoding="utf-8-sig").splitlines()
    assert header == "row;id;input_word;text;mask;rank;word;score;sequence;error;note"
    assert line.startswith("2;7;x;It was [MASK], really.;1;1;")
    assert capsys.readouterr().err.splitlines()[1:3] == [
        "its cells are separated by semicolons",
        "its column 'word' is called 'input_word' in the result",
    ]


def test_a_first_row_that_is_filled_is_said(tmp_path, capsys):
    given = tmp_path / "given.csv"
    given.write_text(f"1,{SENTENCE}\n2,{SENTENCE}\n", encoding="utf-8")
    assert main([str(given), "--top_k", "1"]) == 0
    printed = capsys.readouterr()
    assert printed.err.startswith("2 rows of column 'column 2'\nno header was found")
    assert printed.out.startswith("row,column 1,text,")


def test_json_has_the_answers_of_the_api(tmp_path, capsys):
    fill = FillMask.from_pretrained("demo")
    texts = [SENTENCE, "The [MASK] was a [MASK]."]
    assert main([*texts, "--json", "--top_k", "2"]) == 0
    one, two = map(json.loads, capsys.readouterr().out.splitlines())
    assert one == {"text": SENTENCE, "masks": [fill(SENTENCE, 2)], "note": None}
    assert two["masks"] == fill(texts[1], 2)
    given, written = tmp_path / "given.txt", tmp_path / "filled.jsonl"
    given.write_text("\n".join([*texts, "no gap"]), encoding="utf-8")
    assert main([str(given), "--json", "--output", str(written), "--top_k", "2"]) == 0
    *rows, bad = map(json.loads, written.read_text(encoding="utf-8").splitlines())
    assert [row["masks"] for row in rows] == [one["masks"], two["masks"]]
    assert [row["row"] for row in rows] == [1, 2] and "no mask" in bad["error"]


def test_a_file_is_not_read_into_memory(tmp_path, monkeypatch, capsys):
    """Rows are written while later rows are not read yet, and replace the old file at the end."""
    given, written = tmp_path / "given.txt", tmp_path / "filled.csv"
    given.write_text(f"{SENTENCE}\n" * 300, encoding="utf-8")
    written.write_text("old")
    numbers = []

    class Watched(row_writing.CsvWriter):
        def write(self, result):
            if result.number == 1:
                numbers.append(max(read))
                assert written.read_text() == "old"
            super().write(result)

    read = []
    original = row_filling._count_masks
    monkeypatch.setattr(
        row_filling,
        "_count_masks",
        lambda row, mask: read.append(row.number) or original(row, mask),
    )
    monkeypatch.setattr(row_writing, "CsvWriter", Watched)
    assert main([str(given), "--output", str(written), "--top_k", "1"]) == 0
    assert numbers[0] <= 2 * row_filling.ROWS_AT_ONCE
    assert len(rows_of_csv(written.read_bytes())) == 300
    assert len(list(tmp_path.iterdir())) == 2


def test_the_old_file_stays_if_the_filling_breaks(tmp_path, monkeypatch):
    given, written = tmp_path / "given.txt", tmp_path / "filled.csv"
    given.write_text(SENTENCE, encoding="utf-8")
    written.write_text("old")

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(FillMask, "answer", interrupt)
    assert main([str(given), "--output", str(written)]) == 130
    assert written.read_text() == "old" and len(list(tmp_path.iterdir())) == 2


def test_the_file_that_is_read_is_not_overwritten(tmp_path, capsys):
    given = tmp_path / "given.txt"
    given.write_text(SENTENCE)
    assert main([str(given), "--output", str(given)]) == 2
    assert "--output is the file that is read" in capsys.readouterr().err


def test_a_reader_that_goes_ends_the_program_without_a_traceback(tmp_path):
    given = tmp_path / "given.txt"
    given.write_text(f"{SENTENCE}\n" * 2000, encoding="utf-8")
    command = f"{sys.executable} -m mlm fill {given} --top_k 20 | head -n 1"
    ended = subprocess.run(
        ["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert ended.stdout.startswith("row,text,") and "Traceback" not in ended.stderr


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_hundred_thousand_rows_take_no_more_memory_than_two_thousand(tmp_path, tiny_bert_folder):
    def peak(rows: int) -> int:
        given, written = tmp_path / f"{rows}.csv", tmp_path / f"{rows}-filled.csv"
        with given.open("w", encoding="utf-8") as stream:
            stream.write("id,text\n")
            stream.writelines(f"{i},the [MASK] {i % 9}\n" for i in range(rows))
        arguments = ["fill", str(given), "--output", str(written), "--top_k", "1"]
        arguments += ["--model_name_or_path", str(tiny_bert_folder)]
        ended = subprocess.run(
            [sys.executable, "-c", PEAK, *arguments], cwd=ROOT, capture_output=True, timeout=1700
        )
        with written.open("rb") as stream:
            assert sum(1 for _ in stream) == rows + 1
        return int(ended.stdout)

    few = peak(2_000)
    assert peak(100_000) - few < 30_000  # KiB


PEAK = """
import resource, sys
from mlm.commands.main import main
code = main(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
sys.exit(code)
"""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "give a sentence with a [MASK], or a file: mlm fill reviews.csv"),
        ([SENTENCE, "x.csv"], "either sentences or one file; here are"),
        (["x.csv", "y.csv"], "either sentences or one file; here are 'x.csv' and 'y.csv'"),
        ([SENTENCE, "--text_column", "x"], "--text_column goes with a file"),
        (["x.csv", "--targets", "a"], "--targets goes with sentences"),
        ([SENTENCE, "--output", "no/such/y.csv"], "folder does not exist"),
        ([SENTENCE, "--output", "."], "a folder; give the name of a file"),
        ([SENTENCE, "--top_k", "0"], "--top_k is 0"),
        (["absent.csv"], "the file 'absent.csv' does not exist: check"),
        (["pyproject.toml"], "called 'pyproject.toml'; expected a name that ends in .csv"),
        (["no mask"], "The text has no mask"),
        ([SENTENCE, "--engine", "abacus"], "abacus"),
        ([SENTENCE, "--model_name_or_path", "./absent/folder"], "absent/folder"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(arguments, said, capsys):
    assert main(arguments) == 2
    refusal = capsys.readouterr().err
    assert refusal.startswith("error: ") and refusal.count("\n") == 1
    assert said in refusal
