"""`mlm fill`: sentences to words in the terminal, files of sentences to CSV."""

import csv
import io

import pytest

from mlm.commands.fill import main
from mlm.inference.row_reading import MAX_ROWS

SENTENCE = "I have watched this [MASK] and it was awesome."


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
    assert main(["--input_file", str(given)]) == 0
    assert capsysbinary.readouterr().out.startswith(b"row,text,")


def test_a_file_becomes_a_csv_and_what_is_left_out_is_said(tmp_path, capsys):
    given, written = tmp_path / "given.csv", tmp_path / "filled.csv"
    given.write_text(f'id,review\n1,"{SENTENCE}"\n2,nothing to fill\n', encoding="utf-8")
    assert main(["--input_file", str(given), "--output_file", str(written), "--top_k", "3"]) == 0
    rows = rows_of_csv(written.read_bytes())
    assert [row["row"] for row in rows] == ["2", "2", "2", "3"]
    assert rows[0]["word"] == "movie" and rows[0]["sequence"] == SENTENCE.replace("[MASK]", "movie")
    assert "no mask" in rows[3]["error"]
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("2 rows of column 'review'; 1 without words, the first in row 3")


def test_a_file_of_ones_own_may_be_longer_than_a_visitors(tmp_path, capsysbinary):
    given = tmp_path / "given.txt"
    given.write_text(f"{SENTENCE}\n" * (MAX_ROWS + 1), encoding="utf-8")
    assert main(["--input_file", str(given), "--top_k", "1"]) == 0
    assert len(rows_of_csv(capsysbinary.readouterr().out)) == MAX_ROWS + 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "give either sentences, or a file"),
        ([SENTENCE, "--input_file", "x.csv"], "give either sentences, or a file"),
        ([SENTENCE, "--output_file", "x.csv"], "--output_file goes with --input_file"),
        (["--input_file", "x.csv", "--targets", "a"], "--targets goes with sentences"),
        (["--input_file", "x.csv", "--output_file", "no/such/y.csv"], "folder does not exist"),
        (["--input_file", "absent.csv"], "'absent.csv' cannot be opened"),
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
