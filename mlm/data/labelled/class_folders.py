"""Read a folder that has a folder of texts for each class, as aclImdb is laid out.

data/train/neg/0_3.txt      data/train/pos/0_9.txt      data/train/unsup/0_0.txt
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from mlm.data.labelled.labelled_report import LabelledReport
from mlm.data.labelled.labelled_settings import LabelledSettings
from mlm.data.texts.csv_rows import Note
from mlm.data.texts.text_column import Chosen, ColumnChooser, Columns, Row
from mlm.data.texts.text_files import expand_paths, read_columns
from mlm.errors import CorpusError

UNLABELLED = ("unsup", "unlabelled", "unlabeled")
_SUFFIXES = (".txt", ".txt.gz")


def is_folder(path: str | Path) -> bool:
    """Return whether a path is that of a local folder."""
    return Path(path).is_dir()


def class_folder_rows(
    folder: str | Path, settings: LabelledSettings, report: LabelledReport
) -> Iterator[Row]:
    """Yield the text of each file and the name of its class, by class and file name.

    Raises:
        CorpusError: no folder in it holds texts, or a file cannot be read.
    """
    classes = _files_of_classes(Path(folder), report)
    names = ", ".join(classes)
    report.read = f"a folder for each class: {names}"
    for name, files in classes.items():
        report.files += len(files)
        for url in expand_paths(files):
            yield _whole_text(url, settings, report), name


def _files_of_classes(folder: Path, report: LabelledReport) -> dict[str, list[Path]]:
    """Return the files of texts of each class."""
    classes: dict[str, list[Path]] = {}
    for inner in sorted(folder.iterdir()):
        if not inner.is_dir() or inner.name.startswith("."):
            continue
        files = [path for path in sorted(inner.iterdir()) if path.name.endswith(_SUFFIXES)]
        if inner.name.lower() in UNLABELLED:
            count = "1 text" if len(files) == 1 else f"{len(files):,} texts"
            report.say(f"{inner.name}/ has no labels and is left out ({count})")
        elif files:
            classes[inner.name] = files
        else:
            report.say(f"{inner.name}/ holds no .txt files and is left out")
    if not classes:
        raise _no_classes_error(folder)
    return classes


def _no_classes_error(folder: Path) -> CorpusError:
    deeper = sorted(path.parent.parent for path in folder.glob("*/*/*.txt"))
    hint = f"; did you mean {deeper[0]}?" if deeper else ""
    return CorpusError(
        f"{folder} is a folder without folders of .txt files: give a folder for each class, "
        f"such as {folder}/pos/ and {folder}/neg/, or name the files{hint}"
    )


def _whole_text(url: str, settings: LabelledSettings, report: LabelledReport) -> str:
    rows = read_columns(
        url,
        _choose_none,
        encoding=settings.encoding,
        encoding_errors=settings.encoding_errors,
        note=lambda text: report.note(url, text),
        readers={".txt": _read_lines},
    )
    return "".join(line for (line,) in rows)


def _choose_none(columns: Columns, name: str, note: Note) -> Chosen:
    return Chosen(())


def _read_lines(stream: Sequence[str], choose: ColumnChooser, note: Note) -> Iterator[Row]:
    return ((line,) for line in stream)
