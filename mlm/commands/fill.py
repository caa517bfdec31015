"""Fill the masks of sentences, or of a file of sentences, with the words that fit best.

    mlm fill "I have watched this [MASK] and it was awesome."
    mlm fill "The [MASK] was great." --model_name_or_path runs/imdb --top_k 10
    mlm fill reviews.csv --output filled.csv
    mlm fill reviews.csv --json --output filled.jsonl

A mask is the model's own token, or else [MASK] or <mask>, or else ___, or else _ between blanks. A
file is .csv, .tsv or .txt in UTF-8, of any length. The CSV that is written has the separator that
came in and a line for each word: row, the file's other columns, text, mask, rank, word, score,
sequence, error, note. A row that cannot be filled has its error and does not stop the others. Exit
codes: 0 done; 2 a text, a file or a model that cannot be used, in one line; 130 after Ctrl-C.
"""

import argparse
import json
import sys
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
    from mlm.inference.fill_mask import FillMask
    from mlm.inference.filling import Filling
    from mlm.inference.row_reading import Table
    from mlm.inference.row_writing import CsvWriter, JsonWriter


def parse(arguments: list[str]) -> argparse.Namespace:
    """Parse the command line; a file among the sentences becomes `input_file`."""
    about = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(prog=program("fill"), description=about, allow_abbrev=False)
    add = parser.add_argument
    add("texts", nargs="*", metavar="TEXT|FILE", help="sentences with masks, or a file of them: "
        "one a line in a .txt, a column of a .csv or .tsv, in UTF-8")  # fmt: skip
    add("--output", "--output_file", type=Path, help="file to write; default: standard output")
    add("--json", action="store_true", help="write JSON lines: one object a sentence or row")
    add("--text_column", help="column with the sentences; default: the one that holds masks")
    add("--model_name_or_path", default="demo", help="a checkpoint folder, a Hub id, or `demo`")
    add("--model_revision", help="branch, tag or commit of a Hub checkpoint")
    add("--top_k", type=int, default=5, help="number of words for each mask; default: 5")
    add("--targets", nargs="+", help="score only these words; give the sentences before this")
    add("--engine", default="auto", help="auto, litert (fast) or keras (the reference)")
    add("--input_file", type=Path, help=argparse.SUPPRESS)  # the name until version 0.2
    given = parser.parse_args(arguments)
    if not given.input_file and any(map(is_row_file, given.texts)):
        given.input_file, *given.texts = map(Path, given.texts)
    return given


def main(arguments: list[str]) -> int:
    """Run the command and return its exit code."""
    given = parse(arguments)
    return exit_code(lambda: _fill(given))


def _fill(given: argparse.Namespace) -> None:
    _check(given)
    with progress("loading the model"):
        model = _load(given)
    if given.input_file:
        _fill_file(model, given)
        return
    fillings = model.answer(given.texts, given.top_k, given.targets)
    show = _json_line if given.json else _shown
    with open_output(given.output) as stream:
        stream.write("".join(f"{show(filling)}\n" for filling in fillings).encode())


def _load(given: argparse.Namespace) -> "FillMask":
    if given.engine == "keras":
        check_installed("train", "keras")
        load_backend()
    keep_pytorch_out()
    from mlm.inference.fill_mask import FillMask

    return FillMask.from_pretrained(
        given.model_name_or_path, given.model_revision, engine=given.engine
    )


def _check(given: argparse.Namespace) -> None:
    """Raise ConfigError for arguments that do not go together, before anything is loaded."""
    if not given.texts and not given.input_file:
        raise ConfigError("give a sentence with a [MASK], or a file: mlm fill reviews.csv")
    if given.texts and given.input_file:
        raise ConfigError(
            "give either sentences or one file; here are "
            f"{str(given.input_file)!r} and {str(given.texts[0])!r}"
        )
    if given.input_file and given.targets:
        raise ConfigError("--targets goes with sentences: leave it out for a file")
    if given.text_column and not given.input_file:
        raise ConfigError("--text_column goes with a file: leave it out for sentences")
    if given.top_k < 1:
        raise ConfigError(f"--top_k is {given.top_k}; expected a whole number from 1")
    check_files(given.output, given.input_file)


def _shown(filling: "Filling") -> str:
    """Return the text, then for each mask a line for each word with its probability."""
    lines = [filling.text]
    for number, candidates in enumerate(filling.masks, 1):
        if len(filling.masks) > 1:
            lines.append(f"mask {number}")
        lines += [f"{candidate.score:7.1%}  {candidate.word}" for candidate in candidates]
    return "\n".join([*lines, *([filling.note] if filling.note else [])])


def _json_line(filling: "Filling") -> str:
    """Return {text, masks, note}; see JsonWriter."""
    line = {"text": filling.text, "masks": filling.as_lists(), "note": filling.note}
    return json.dumps(line, ensure_ascii=False)


def _fill_file(model: "FillMask", given: argparse.Namespace) -> None:
    """Write each row as it is filled, then say on standard error what was read and left out."""
    from mlm.inference.row_filling import fill_rows
    from mlm.inference.row_reading import open_rows
    from mlm.inference.row_writing import COLUMNS

    with open_rows(given.input_file, given.text_column, model.mask_token) as table:
        with open_output(given.output) as stream, row_progress("filling", given.output) as bar:
            filled = fill_rows(model, table.rows, given.top_k, limited=False)
            rows, bad = write_rows(filled, _writer(stream, table, given), bar, "words")
        column = f" of column {table.column!r}" if table.column else ""
        print(f"{rows}{column}{bad}", file=sys.stderr)
        if not table.has_header:
            said = "no header was found: the first row holds a mask, and is filled too"
            print(said, file=sys.stderr)
        named = None if given.json else COLUMNS
        for note in file_notes(table, given.input_file, named, given.output):
            print(note, file=sys.stderr)


def _writer(
    stream: BinaryIO, table: "Table", given: argparse.Namespace
) -> "CsvWriter | JsonWriter":
    from mlm.inference.row_writing import CsvWriter, JsonWriter

    if given.json:
        return JsonWriter(TextEncoder(stream), table.others)
    text = TextEncoder(stream, is_csv_file=given.output is not None)
    return CsvWriter(text, table.others, table.separator)
