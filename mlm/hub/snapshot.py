"""One commit of a repository: what the Hub lists of it, its files, and ranges of their bytes.

A revision is resolved once, by `look_up`. Whatever is asked for afterwards names the commit, so
that a repository which changes meanwhile is read as it was.
"""

import hashlib
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlm.errors import HubError
from mlm.hub.connection import OWN, Access, endpoint, hub_api, retrying

logger = logging.getLogger(__name__)

COMMIT_ID = re.compile(r"[0-9a-f]{40}")
TIMEOUT = 10.0  # seconds for the Hub to begin an answer, or to go on with one
CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")


@dataclass(frozen=True)
class Snapshot:
    """One commit of a repository.

    files: name -> what the Hub lists of it: size, blob_id, lfs.
    attempts: how often a request is tried while the Hub is busy or out of reach.
    access: as whom it was looked up, and is read.
    """

    repo_id: str
    commit: str
    files: Mapping[str, Any]
    attempts: int
    access: Access = OWN

    def __str__(self) -> str:
        return f"{self.repo_id}@{self.commit[:8]}"

    def sizes(self, names: Iterable[str]) -> dict[str, int | None]:
        """Name -> bytes, None where the Hub does not say."""
        return {name: self.files[name].size for name in names}

    def fetch(self, name: str) -> Path:
        """The file in the cache; one that is damaged there is fetched again, once.

        Raises:
            HubError: the Hub said no, cannot be reached, or sends something else than it lists.
        """
        path = self._download(name, again=False)
        if is_same(self.files[name], path):
            return path
        logger.warning("%s of %s is damaged in the cache; fetching it again", name, self)
        path = self._download(name, again=True)
        if not is_same(self.files[name], path):
            raise HubError(
                f"{name} of {self} came twice with other bytes than the Hub lists; try again later"
            )
        return path

    def _download(self, name: str, *, again: bool) -> Path:
        from huggingface_hub import hf_hub_download

        path = Path(
            retrying(
                f"download {name} of {self}",
                lambda: hf_hub_download(
                    self.repo_id,
                    name,
                    revision=self.commit,
                    cache_dir=self.access.cache_folder,
                    endpoint=endpoint(),
                    token=self.access.token,
                    force_download=again,
                ),
                self.attempts,
            )
        )
        if path.parent.name != self.commit:
            raise HubError(f"{endpoint()} sent {name} of {path.parent.name} for {self}")
        return path

    def reader(self, name: str) -> Callable[[int, int], bytes]:
        """A function (offset, count) -> that many bytes of a file, of which no more is fetched.

        It raises HubError where the Hub says no, cannot be reached, or serves a file of another
        size than it lists.
        """

        def read(offset: int, count: int) -> bytes:
            if not count:
                return b""
            return retrying(
                f"read {count:,} bytes of {name} of {self}",
                lambda: self._range(name, offset, count),
                self.attempts,
            )

        return read

    def _range(self, name: str, offset: int, count: int) -> bytes:
        from huggingface_hub import hf_hub_url
        from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

        url = hf_hub_url(self.repo_id, name, revision=self.commit, endpoint=endpoint())
        headers = build_hf_headers(token=self.access.token, library_name="mlm") | {
            "Range": f"bytes={offset}-{offset + count - 1}",
            "Accept-Encoding": "identity",
        }
        # A redirect to another host is followed by the session without the token.
        with get_session().stream("GET", url, headers=headers, timeout=TIMEOUT) as response:
            hf_raise_for_status(response)
            begin, size = _place(response.status_code, response.headers)
            if begin not in (0, offset) or size not in (None, self.files[name].size):
                raise HubError(
                    f"{endpoint()} serves {name} of {self} as {size:,} bytes from {begin:,}; "
                    f"{self.files[name].size:,} from {offset:,} were expected"
                )
            return _piece(response.iter_raw(), offset - begin, count)


def _place(status: int, headers: Mapping[str, str]) -> tuple[int, int | None]:
    """Where an answer's first byte lies in its file, and the file's size if that is told.

    A server that does not know ranges answers 200 and sends the file from its beginning.
    """
    if status == 206 and (told := CONTENT_RANGE.fullmatch(headers.get("Content-Range", ""))):
        return int(told[1]), int(told[2])
    length = headers.get("Content-Length", "")
    return 0, int(length) if status == 200 and length.isdigit() else None


def _piece(chunks: Iterator[bytes], skipped: int, count: int) -> bytes:
    """`count` bytes after the first `skipped` ones; the stream is read no further."""
    content = b""
    for chunk in chunks:
        content += chunk[skipped:][: count - len(content)]
        skipped -= min(skipped, len(chunk))
        if len(content) == count:
            break
    return content


def look_up(repo_id: str, revision: str, attempts: int, access: Access = OWN) -> Snapshot:
    """The commit that a revision stands for now, and its files. Raises HubError."""
    info = retrying(
        f"look up {repo_id} at {revision!r} (no folder here has that name)",
        lambda: hub_api(access).model_info(
            repo_id, revision=revision, files_metadata=True, timeout=TIMEOUT
        ),
        attempts,
    )
    commit = str(info.sha)
    if not COMMIT_ID.fullmatch(commit):
        raise HubError(f"{endpoint()} names no commit for {repo_id} at {revision!r}")
    if COMMIT_ID.fullmatch(revision) and revision != commit:
        raise HubError(f"{repo_id} has a branch or tag called like the commit {revision}")
    files = {file.rfilename: file for file in info.siblings or []}
    return Snapshot(repo_id, commit, files, attempts, access)


def is_same(listed: Any, path: Path) -> bool:
    """Whether a local file has the size and hash that the Hub lists: sha256, or git's own.

    What the Hub does not say is not compared.
    """
    if getattr(listed, "size", None) != path.stat().st_size:  # a folder has none
        return False
    if listed.lfs:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == listed.lfs.sha256
    if listed.blob_id is None:
        return True
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest() == listed.blob_id
