"""Fill the masks of sentences, or of a file of sentences, with the words that fit best.

    mlm fill "I have watched this [MASK] and it was awesome."
    mlm fill "The [MASK] was great." --model_name_or_path runs/imdb --top_k 10
    mlm fill --input_file sentences.csv --output_file filled.csv

A mask is [MASK], <mask>, _, ___ or the model's own. A file is .csv, .tsv or .txt in UTF-8; the CSV
that is written has a line for each word: row, text, mask, rank, word, score, sequence, error. Exit
codes: 0 done; 2 a text, a file or a model that cannot be used, in one line.
"""

import argparse
import codecs
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from mlm.backend.atomic_files import replace_file
from mlm.backend.startup import keep_pytorch_out, load_backend
from mlm.commands.invocation import check_installed, exit_code, program
from mlm.errors import ConfigError

if TYPE_CHECKING:
    from mlm.inference.fill_mask import FillMask
    from mlm.inference.filling import Filling


def parse(arguments: list[str]) -> argparse.Namespace:
    """Parse the command line."""
    about = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(prog=program("fill"), description=about)
    add = parser.add_argument
    add("texts", nargs="*", metavar="TEXT", help="a sentence with one or more masks")
    add("--input_file", type=Path, help="sentences: .csv, .tsv or .txt, in UTF-8")
    add("--output_file", type=Path, help="CSV to write; default: standard output")
    add("--text_column", help="column with the sentences; default: the one that holds masks")
    add("--model_name_or_path", default="demo", help="a checkpoint folder, a Hub id, or `demo`")
    add("--model_revision", help="branch, tag or commit of a Hub checkpoint")
    add("--top_k", type=int, default=5, help="number of words for each mask; default: 5")
    add("--targets", nargs="+", help="score only these words; give the sentences before this")
    add("--engine", default="auto", help="auto, litert (fast) or keras (the reference)")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Run the command and return its exit code."""
    given = parse(arguments)
    return exit_code(lambda: _fill(given))


def _fill(given: argparse.Namespace) -> None:
    _check(given)
    if given.engine == "keras":
        check_installed("train", "keras")
        load_backend()
    keep_pytorch_out()
    from mlm.inference.fill_mask import FillMask

    model = FillMask.from_pretrained(
        given.model_name_or_path, given.model_revision, engine=given.engine
    )
    if given.input_file:
        _fill_file(model, given)
        return
    for filling in model.answer(given.texts, given.top_k, given.targets):
        print(_shown(filling))


def _write(path: Path, content: bytes) -> None:
    try:
        replace_file(path, content)
    except OSError as error:
        raise ConfigError(
            f"cannot write {str(path)!r}: {error.strerror}; choose another --output_file"
        ) from None


def _check(given: argparse.Namespace) -> None:
    if bool(given.texts) == bool(given.input_file):
        raise ConfigError("give either sentences, or a file of them as --input_file")
    if given.input_file and given.targets:
        raise ConfigError("--targets goes with sentences: leave it out for --input_file")
    if given.output_file and not given.output_file.absolute().parent.is_dir():
        raise ConfigError(
            f"--output_file is {str(given.output_file)!r}, whose folder does not exist; make it, "
            "or choose another"
        )
    for name in ("output_file", "text_column"):
        if getattr(given, name) and not given.input_file:
            raise ConfigError(f"--{name} goes with --input_file: leave it out for sentences")


def _shown(filling: "Filling") -> str:
    """Return the text, then for each mask a line for each word with its probability."""
    lines = [filling.text]
    for number, candidates in enumerate(filling.masks, 1):
        if len(filling.masks) > 1:
            lines.append(f"mask {number}")
        lines += [f"{candidate.score:7.1%}  {candidate.word}" for candidate in candidates]
    return "\n".join([*lines, *([filling.note] if filling.note else [])])


def _fill_file(model: "FillMask", given: argparse.Namespace) -> None:
    """Write the CSV, then say on standard error what was read and which rows have no words."""
    from mlm.inference.row_filling import fill_rows
    from mlm.inference.row_reading import read_rows
    from mlm.inference.row_writing import to_csv

    table = read_rows(given.input_file, given.text_column, model.mask_token, limited=False)
    results = list(fill_rows(model, table.rows, given.top_k, limited=False))
    content = to_csv(results)
    if given.output_file:
        _write(given.output_file, content)
    else:  # programs read it, which take a byte order mark for a part of the first column's name
        sys.stdout.buffer.write(content.removeprefix(codecs.BOM_UTF8))
    column = f" of column {table.column!r}" if table.column else ""
    errors = [result for result in results if result.error]
    refused = (
        f"; {len(errors)} without words, the first in row {errors[0].number}: " if errors else ""
    )
    reason = errors[0].error if errors else ""
    print(f"{len(results):,} rows{column}{refused}{reason}", file=sys.stderr)
