"""The files and folders of labelled texts that are given: what they are, and what identifies them.

urls, folders = labelled_sources(["train.conll", "aclImdb/train"])
source_identities(["aclImdb/train"])   # [{"name": "train", "files": 25000, "sha256": ...}]
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from mlm.checkpoint.strict_json import JsonObject
from mlm.data.labelled.class_folders import is_folder
from mlm.data.labelled.conll import READERS
from mlm.data.labelled.labelled_settings import LabelledSettings
from mlm.data.texts.text_files import expand_files, file_identity
from mlm.data.texts.text_formats import suffix_of


def labelled_sources(files: Sequence[str | Path]) -> tuple[list[str], list[str | Path]]:
    """Return the files among `files`, with globs expanded, and the folders.

    Raises:
        CorpusError: a file is missing or of no known format, or nothing is given.
    """
    folders = [path for path in files if is_folder(path)]
    others = [path for path in files if path not in folders]
    urls = expand_files(others, READERS) if others or not folders else []
    return urls, folders


def check_sources(files: Sequence[str | Path], settings: LabelledSettings) -> None:
    """Raise CorpusError if a file does not exist, or a setting applies to none of them."""
    urls, _ = labelled_sources(files)
    known = [url for url in urls if suffix_of(url) not in READERS]
    settings.check(known or ["text.csv"])


def source_identities(files: Sequence[str | Path]) -> list[JsonObject]:
    """Return what distinguishes versions of files, as `file_identity`, and of folders as a whole.

    A folder has the number of its files, and a hash over their names and sizes.
    """
    urls, folders = labelled_sources(files)
    return [*map(file_identity, urls), *map(_folder_identity, folders)]


def _folder_identity(folder: str | Path) -> JsonObject:
    paths = sorted(path for path in Path(folder).glob("*/*") if path.is_file())
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{path.relative_to(folder).as_posix()}\n{path.stat().st_size}\n".encode())
    name = Path(folder).resolve().name
    return {"name": name, "files": len(paths), "sha256": digest.hexdigest()}
