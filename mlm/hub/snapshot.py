"""One commit of a repository: its list of files, the files, and ranges of their bytes.

`look_up` resolves a revision once. Every later request names the commit, so a repository that
changes meanwhile is read as it was.
"""

import errno
import hashlib
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mlm.errors import HubError
from mlm.hub.connection import OWN_ACCESS, Access, call_hub, endpoint, hub_api

if TYPE_CHECKING:
    from huggingface_hub.hf_api import RepoFile, RepoSibling

logger = logging.getLogger(__name__)

COMMIT_ID = re.compile(r"[0-9a-f]{40}")
TIMEOUT = 10.0  # seconds for the Hub to begin an answer, and between two pieces of it
NOT_WRITABLE = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT}
CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")


class CacheNotWritableError(HubError):
    """The cache takes no files: it is read-only, another user's, or full."""


@dataclass(frozen=True)
class Snapshot:
    """One commit of a repository.

    files: name -> size, blob_id and lfs, as the Hub lists them.
    attempts: how often a request is tried while the Hub is busy or out of reach.
    access: the token and the cache to read it with.
    """

    repo_id: str
    commit: str
    files: Mapping[str, "RepoSibling"]
    attempts: int
    access: Access = OWN_ACCESS

    def __str__(self) -> str:
        return f"{self.repo_id}@{self.commit[:8]}"

    def sizes(self, names: Iterable[str]) -> dict[str, int | None]:
        """Return name -> bytes; None for a size that the Hub does not give."""
        return {name: self.files[name].size for name in names}

    def fetch(self, name: str) -> Path:
        """Return the file in the cache; a damaged copy is fetched again, once.

        Raises:
            HubError: the Hub refused, cannot be reached, or sends other bytes than it lists.
            CacheNotWritableError: the file is not in the cache, which takes no files.
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

        purpose, cache = f"download {name} of {self}", self.access.cache_folder

        def download() -> str:
            try:
                return hf_hub_download(
                    self.repo_id,
                    name,
                    revision=self.commit,
                    cache_dir=cache,
                    endpoint=endpoint(),
                    token=self.access.token,
                    force_download=again,
                )
            except OSError as error:
                if error.errno not in NOT_WRITABLE:
                    raise
                raise CacheNotWritableError(
                    f"could not {purpose}: the cache {str(cache)!r} cannot be written "
                    f"({error.strerror}); name another folder as HF_HUB_CACHE"
                ) from None

        path = Path(call_hub(purpose, download, self.attempts))
        if path.parent.name != self.commit:
            raise HubError(f"{endpoint()} sent {name} of {path.parent.name} for {self}")
        return path

    def reader(self, name: str) -> Callable[[int, int], bytes]:
        """Return a function (offset, count) -> that many bytes of a file; no more are fetched.

        The function raises HubError if the Hub refuses, cannot be reached, or serves a file of
        another size than it lists.
        """

        def read(offset: int, count: int) -> bytes:
            if not count:
                return b""
            return call_hub(
                f"read {count:,} bytes of {name} of {self}",
                lambda: self._read_range(name, offset, count),
                self.attempts,
            )

        return read

    # Our own range reads: an answer is bounded (a header of at most 1 MiB) and checked against
    # what the Hub lists; hf_hub_download fetches whole files only.
    def _read_range(self, name: str, offset: int, count: int) -> bytes:
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
            begin, size = _start_and_size(response.status_code, response.headers)
            if begin not in (0, offset) or size not in (None, self.files[name].size):
                raise HubError(
                    f"{endpoint()} serves {name} of {self} as {size:,} bytes from {begin:,}; "
                    f"{self.files[name].size:,} from {offset:,} were expected"
                )
            return _take(response.iter_raw(), offset - begin, count)


def _start_and_size(status: int, headers: Mapping[str, str]) -> tuple[int, int | None]:
    """Return the offset of an answer's first byte in its file, and the file's size if given.

    A server that does not support ranges answers 200 and sends the file from its beginning.
    """
    if status == 206 and (given := CONTENT_RANGE.fullmatch(headers.get("Content-Range", ""))):
        return int(given[1]), int(given[2])
    length = headers.get("Content-Length", "")
    return 0, int(length) if status == 200 and length.isdigit() else None


def _take(chunks: Iterator[bytes], skipped: int, count: int) -> bytes:
    """Return `count` bytes after the first `skipped` ones; the stream is read no further."""
    content = b""
    for chunk in chunks:
        content += chunk[skipped:][: count - len(content)]
        skipped -= min(skipped, len(chunk))
        if len(content) == count:
            break
    return content


def look_up(repo_id: str, revision: str, attempts: int, access: Access = OWN_ACCESS) -> Snapshot:
    """Resolve a revision to its commit now, and list the commit's files. Raises HubError."""
    info = call_hub(
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


def is_same(listed: "RepoSibling | RepoFile", path: Path) -> bool:
    """Return whether a local file has the size and the hash that the Hub lists.

    The hash is the sha256 of a large file, else git's own; if the Hub gives none, the size
    decides.
    """
    if listed.size != path.stat().st_size:
        return False
    if listed.lfs:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == listed.lfs.sha256
    if listed.blob_id is None:
        return True
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest() == listed.blob_id
