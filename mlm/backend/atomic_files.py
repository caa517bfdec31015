"""Atomic replacement of files and folders: write beside the target, then rename.

A reader sees the old file or folder, or the complete new one, and nothing in between.
"""

import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

# Windows renames no file that is open, and a virus scanner opens each new one for a moment.
PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8) if os.name == "nt" else ()  # seconds


def rename(source: Path, target: Path) -> None:
    """Rename a file or a folder; a file that is called `target` is replaced. Raises OSError."""
    for pause in PAUSES:
        try:
            source.replace(target)
        except PermissionError:
            time.sleep(pause)
        else:
            return
    source.replace(target)


def replace_file(path: Path, content: str | bytes) -> None:
    """Write a file; its old content stays until the new content is complete. Raises OSError."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}")
    try:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)
        rename(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replacing_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file to write in the block; the old content stays until the block has ended well.

    What is not a regular file, such as a pipe or /dev/null, is written to directly. Raises OSError.
    """
    if path.exists() and not path.is_file():
        with path.open("wb") as stream:
            yield stream
        return
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}")
    try:
        with temporary.open("wb") as stream:
            yield stream
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def staging_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """Make a temporary folder inside `parent`, and remove it at the end of the block.

    Makes `parent` too if it does not exist. A killed process leaves its folder behind: see
    `remove_leftovers`. Raises OSError.
    """
    parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def replace_folder(new: Path, folder: Path, prefix: str) -> None:
    """Rename `new` to `folder`; an existing folder is moved aside first, then removed.

    prefix: of the temporary folder, beside `folder`, that takes the old one. Raises OSError.
    """
    if not folder.exists():
        rename(new, folder)
        return
    with staging_folder(folder.parent, prefix) as aside:
        rename(folder, aside / "old")
        try:
            rename(new, folder)
        except OSError:
            rename(aside / "old", folder)
            raise


def remove_leftovers(parent: Path, prefix: str) -> None:
    """Delete the staging folders that killed processes left in `parent`."""
    for leftover in parent.glob(f"{prefix}*"):
        shutil.rmtree(leftover, ignore_errors=True)


def sync_to_disk(path: Path) -> None:
    """Wait until a file, or a folder's list of files, is on the disk. Raises OSError.

    Windows opens no folder, and writes the list of its files by itself.
    """
    is_folder = path.is_dir()
    try:
        # Windows syncs only files that are open for writing.
        descriptor = os.open(path, os.O_RDONLY if is_folder else os.O_RDWR)
    except PermissionError:
        if is_folder:
            return
        raise
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
