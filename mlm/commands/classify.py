"""Classify texts, or a file of texts, with a fine-tuned checkpoint.

    mlm classify "A fine film." --model_name_or_path runs/sentiment
    mlm classify reviews.csv --output labels.csv --model_name_or_path me/imdb_sentiment
    mlm classify pairs.csv --text_column_names premise hypothesis --model_name_or_path runs/nli

A file is .csv, .tsv or .txt in UTF-8, of any length. The CSV that is written has the separator that
came in and a line for each text: row, the file's other columns, text, label, score, note, error;
with at most 10 labels also the score of each. Of a classifier of words it has a line for each
entity. A row that cannot be classified has its error and does not stop the others. Exit codes: 0
done; 2 a text, a file or a model that cannot be used, in one line; 130 after Ctrl-C.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from mlm.backend.startup import keep_pytorch_out, load_backend
from mlm.commands.invocation import check_installed, exit_code, program
from mlm.commands.row_files import (
    TextEncoder,
    check_files,
    file_notes,
    is_row_file,
    open_output,
    row_progress,
    write_rows,
)
from mlm.errors import ConfigError
from mlm.terminal.progress import progress

if TYPE_CHECKING:
    from mlm.inference.classification import Classification
    from mlm.inference.classified_writing import LabelsCsvWriter, LabelsJsonWriter
    from mlm.inference.classifier import Classifier
    from mlm.inference.row_reading import Table

PAIR = 2  # texts
TOP_K = 5  # labels that are shown on a terminal


def parse(arguments: list[str]) -> argparse.Namespace:
    """Parse the command line; a file among the texts becomes `input_file`."""
    about = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(
        prog=program("classify"), description=about, allow_abbrev=False
    )
    add = parser.add_argument
    add("texts", nargs="*", metavar="TEXT|FILE", help="texts, or a file of them: one a line in a "
        ".txt, a column of a .csv or .tsv, in UTF-8")  # fmt: skip
    add("--text_pair", help="the second text, of a classifier of pairs")
    add("--output", "--output_file", type=Path, help="file to write; default: standard output")
    add("--json", action="store_true", help="write JSON lines: one object a text or row")
    add("--text_column", help="column with the texts; default: the one that is clearly the text")
    add("--text_column_names", nargs="+", metavar="NAME", help="the columns of a pair of texts")
    add(
        "--model_name_or_path",
        default="demo",
        help="the folder of a classifier, a Hub id, or `demo`, the bundled one",
    )
    add("--model_revision", help="branch, tag or commit of a Hub checkpoint")
    add("--top_k", type=int, help=f"labels of a text; default: {TOP_K}, in JSON all")
    add("--aggregation_strategy", help="of a classifier of words: none, simple, first, average or "
        "max; default: first")  # fmt: skip
    add("--engine", default="auto", help="auto, litert (fast) or keras (the reference)")
    given = parser.parse_args(arguments)
    given.input_file = None
    if any(map(is_row_file, given.texts)):
        given.input_file, *given.texts = map(Path, given.texts)
    return given


def main(arguments: list[str]) -> int:
    """Run the command and return its exit code."""
    given = parse(arguments)
    return exit_code(lambda: _classify(given))


def _classify(given: argparse.Namespace) -> None:
    _check(given)
    with progress("loading the model"):
        classifier = _load(given)
    classifier.check_arguments(given.top_k, given.aggregation_strategy)
    if given.input_file:
        _classify_file(classifier, given)
        return
    texts = given.texts
    if given.text_pair is not None:
        texts = [{"text": texts[0], "text_pair": given.text_pair}]
    top_k = given.top_k or (None if given.json or classifier.task.is_of_tokens else TOP_K)
    answers = classifier.answer(texts, top_k, given.aggregation_strategy)
    show = _json_line if given.json else partial(_shown, is_percent=classifier.gives_probabilities)
    with open_output(given.output) as stream:
        stream.write("".join(f"{show(answer)}\n" for answer in answers).encode())


def _load(given: argparse.Namespace) -> "Classifier":
    if given.engine == "keras":
        check_installed("train", "keras")
        load_backend()
    keep_pytorch_out()
    from mlm.inference.classifier import Classifier

    return Classifier.from_pretrained(
        given.model_name_or_path, given.model_revision, engine=given.engine
    )


def _check(given: argparse.Namespace) -> None:
    """Raise ConfigError for arguments that do not go together, before anything is loaded."""
    if not given.texts and not given.input_file:
        raise ConfigError("give a text, or a file: mlm classify reviews.csv")
    if given.texts and given.input_file:
        raise ConfigError(
            "give either texts or one file; here are "
            f"{str(given.input_file)!r} and {str(given.texts[0])!r}"
        )
    if given.text_pair is not None and len(given.texts) != 1:
        raise ConfigError("--text_pair goes with one text: give the first text of the pair")
    if given.text_column and given.text_column_names:
        raise ConfigError("give either --text_column or --text_column_names")
    if len(given.text_column_names or ()) > PAIR:
        raise ConfigError(
            f"--text_column_names has {len(given.text_column_names)} names; expected one, or two "
            "of pairs"
        )
    if given.input_file and given.top_k and not given.json:
        raise ConfigError(
            "--top_k goes with texts or with --json; a CSV has the best label, and the scores of "
            "all labels if these are few"
        )
    for name in ("text_column", "text_column_names"):
        if getattr(given, name) and not given.input_file:
            raise ConfigError(f"--{name} goes with a file: leave it out for texts")
    if given.top_k is not None and given.top_k < 1:
        raise ConfigError(f"--top_k is {given.top_k}; expected a whole number from 1")
    check_files(given.output, given.input_file)


def _shown(answer: "Classification", *, is_percent: bool) -> str:
    """Return the text, then a line for each label or entity with its score, then the note."""
    lines = [answer.text] if answer.text_pair is None else [answer.text, answer.text_pair]
    for label in answer.labels:
        score = f"{label.score:7.1%}" if is_percent else f"{label.score:10.4g}"
        lines.append(f"{score}  {label.shown_in(answer.text)}")
    return "\n".join([*lines, *([answer.note] if answer.note else [])])


def _json_line(answer: "Classification") -> str:
    """Return {text, labels, note}; see Classification.as_json."""
    return json.dumps(answer.as_json(), ensure_ascii=False)


def _classify_file(classifier: "Classifier", given: argparse.Namespace) -> None:
    """Write each row as it is classified, then say on standard error what was read and how."""
    from mlm.inference.row_classifying import classify_rows
    from mlm.inference.row_reading import open_rows

    first, second = _columns(classifier, given)
    with open_rows(given.input_file, first, None, second) as table:
        with open_output(given.output) as stream, row_progress("classifying", given.output) as bar:
            writer, columns = _writer(stream, table, classifier, given)
            strategy = given.aggregation_strategy
            results = classify_rows(classifier, table.rows, given.top_k, strategy)
            rows, bad = write_rows(results, writer, bar, "labels")
        named = " and ".join(repr(name) for name in (table.column, table.second_column) if name)
        what = (" of columns " if table.second_column else " of column ") if named else ""
        print(f"{rows}{what}{named}{bad}", file=sys.stderr)
        for note in file_notes(table, given.input_file, columns, given.output):
            print(note, file=sys.stderr)


def _columns(classifier: "Classifier", given: argparse.Namespace) -> tuple[str | None, str | None]:
    """Return the names of the columns of the texts and of their second texts, None for each."""
    names = given.text_column_names or [given.text_column]
    if len(names) == PAIR and classifier.task.is_of_tokens:
        raise ConfigError(
            f"{classifier.name} labels the words of one text; name one column, not "
            f"{' and '.join(names)}"
        )
    if len(names) == 1 and classifier.reader.rules.is_of_pairs:
        raise ConfigError(
            f"{classifier.name} was trained on pairs of texts; name their two columns: "
            "--text_column_names A B"
        )
    return names[0], names[1] if len(names) > 1 else None


def _writer(
    stream: BinaryIO, table: "Table", classifier: "Classifier", given: argparse.Namespace
) -> "tuple[LabelsCsvWriter | LabelsJsonWriter, Sequence[str] | None]":
    """Return what writes the rows, and the names of its columns; None for JSON lines."""
    from mlm.inference.classified_writing import Columns, LabelsCsvWriter, LabelsJsonWriter

    if given.json:
        return LabelsJsonWriter(TextEncoder(stream), table.others), None
    text = TextEncoder(stream, is_csv_file=given.output is not None)
    task, of_pairs = classifier.task, table.second_column is not None
    writer = LabelsCsvWriter(text, task, table.others, table.separator, of_pairs=of_pairs)
    return writer, Columns.of(task, of_pairs=of_pairs).names
