"""The texts of a pass that were already seen, as digests in a temporary SQLite file."""

from __future__ import annotations

import hashlib
import sqlite3
from types import TracebackType

from mlm.errors import CorpusError


def text_digest(text: str) -> bytes:
    """Return a 16-byte digest of a clean text; 128 bits make a chance collision negligible."""
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


class SeenTexts:
    """Set of text digests in a temporary SQLite file. A context manager that closes it.

    Uses SQLite's page cache, at most 8 MiB, whatever the number of texts. The file takes about 35
    bytes a text in SQLite's temporary folder, has no name and is removed with the process.
    """

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None)
        for setting in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-8192"):
            self._database.execute(f"PRAGMA {setting}")
        self._database.execute("CREATE TABLE seen (digest BLOB PRIMARY KEY) WITHOUT ROWID")
        self._database.execute("BEGIN")

    def add(self, digest: bytes) -> bool:
        """Add a digest; return whether it is new."""
        try:
            insert = "INSERT OR IGNORE INTO seen VALUES (?)"
            return self._database.execute(insert, (digest,)).rowcount == 1
        except sqlite3.OperationalError as error:
            raise CorpusError(
                f"the temporary file of text digests cannot be written ({error}): free space in "
                "the temporary folder, or set SQLITE_TMPDIR to a folder with more"
            ) from None

    def __contains__(self, digest: bytes) -> bool:
        found = self._database.execute("SELECT 1 FROM seen WHERE digest = ?", (digest,))
        return found.fetchone() is not None

    def __enter__(self) -> SeenTexts:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._database.close()
