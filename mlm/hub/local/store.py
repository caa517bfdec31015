"""The local Hub's repositories on disk: contents by hash, commits as JSON, branches and tags.

    FOLDER/blobs/<sha256>                               each content once, whoever has it
    FOLDER/models/<namespace>/<name>/repo.json          private, gated, branches and tags
    FOLDER/models/<namespace>/<name>/commits/<id>.json  parent, title, author, date, files
    FOLDER/datasets/..., FOLDER/spaces/...              likewise; a Space's settings in repo.json

Only the current commit is in memory. Every file is written to a temporary one and renamed, and a
branch moves last, so a commit is stored whole or not at all.
"""

import hashlib
import json
import os
import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import mkstemp
from typing import Literal, TypedDict, Unpack

from mlm.backend.atomic_files import rename, replace_file

REPO_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
DEFAULT_BRANCH = "main"
FIRST_COMMIT_FILES = {
    ".gitattributes": b"*.safetensors filter=lfs diff=lfs merge=lfs -text\n"
    b"*.gz filter=lfs diff=lfs merge=lfs -text\n"
}


RefGroup = Literal["branches", "tags"]


class RepoFacts(TypedDict, total=False):
    """The content of repo.json. Branch or tag -> commit; the rest of a Space only."""

    private: bool
    gated: bool | str
    created: str
    branches: dict[str, str]
    tags: dict[str, str]
    sdk: str
    hardware: str
    variables: dict[str, dict[str, str]]
    secrets: dict[str, str]  # name -> sha256 of the value
    stage: str
    started: str  # the commit that runs


class RepoNotFound(LookupError):
    """No such repository."""


class RevisionNotFound(LookupError):
    """The repository has no such branch, tag or commit."""


class ParentConflict(Exception):
    """The branch has moved since the author of the commit read it."""


@dataclass(frozen=True)
class FileEntry:
    """One file of a commit. `oid` is git's: of the content, or of the pointer for a large file."""

    sha256: str
    size: int
    oid: str
    lfs: bool


@dataclass(frozen=True)
class Commit:
    """One state of a repository; `files` maps each path to its entry."""

    parent: str | None
    title: str
    message: str
    author: str
    date: str
    files: dict[str, FileEntry] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """40 hex digits for this content and its history, as git has them."""
        return hashlib.sha1(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Change:
    """The change of one commit: files to add or replace, files and folders to delete."""

    title: str
    message: str
    author: str
    added: Mapping[str, FileEntry]
    deleted_files: Iterable[str] = ()
    deleted_folders: Iterable[str] = ()

    def apply(self, files: Mapping[str, FileEntry]) -> dict[str, FileEntry]:
        """Return the files after the change, sorted by path."""
        folders = tuple(folder.rstrip("/") + "/" for folder in self.deleted_folders)
        deleted = set(self.deleted_files)
        kept = {p: e for p, e in files.items() if p not in deleted and not p.startswith(folders)}
        return dict(sorted({**kept, **self.added}.items()))


def git_oid(content: bytes) -> str:
    """Return git's id of this content as a blob."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def lfs_pointer(sha256: str, size: int) -> bytes:
    """Return the text that git stores instead of a large file."""
    text = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n"
    return text.encode()


def large_file(sha256: str, size: int) -> FileEntry:
    """Return the entry of a large file whose content is stored already."""
    return FileEntry(sha256, size, git_oid(lfs_pointer(sha256, size)), lfs=True)


class RepoStore:
    """Repositories below one folder; the threads of one process can share it."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._lock = threading.RLock()
        (self.folder / "blobs").mkdir(parents=True, exist_ok=True)

    # contents

    def blob_path(self, sha256: str) -> Path:
        """Return the file of a content."""
        return self.folder / "blobs" / sha256

    def has_blob(self, sha256: str, size: int) -> bool:
        """Return whether a content is stored in full size."""
        path = self.blob_path(sha256)
        return path.is_file() and path.stat().st_size == size

    def put_blob(self, chunks: Iterable[bytes], expected: tuple[str, int] | None = None) -> str:
        """Store a content in pieces; return its sha256.

        Raises:
            ValueError: it is not the `expected` (sha256, size); nothing is kept.
        """
        digest, size = hashlib.sha256(), 0
        descriptor, name = mkstemp(dir=self.folder / "blobs")
        beside = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:  # Windows renames no open file
                for chunk in chunks:
                    digest.update(chunk)
                    size += file.write(chunk)
            if expected not in (None, (digest.hexdigest(), size)):
                raise ValueError(f"expected {expected}, got {digest.hexdigest()}, {size} bytes")
            rename(beside, self.blob_path(digest.hexdigest()))
        finally:
            beside.unlink(missing_ok=True)
        return digest.hexdigest()

    def small_file(self, content: bytes) -> FileEntry:
        """Store a content that a commit includes; return its entry."""
        return FileEntry(self.put_blob([content]), len(content), git_oid(content), lfs=False)

    # repositories

    def create(self, kind: str, repo_id: str, author: str, *, private: bool = False) -> bool:
        """Create a repository with a first commit; return False if it exists already."""
        with self._lock:
            if self._repo_json(kind, repo_id).is_file():
                return False
            (self._repo_folder(kind, repo_id) / "commits").mkdir(parents=True, exist_ok=True)
            files = {path: self.small_file(text) for path, text in FIRST_COMMIT_FILES.items()}
            first = Commit(None, "initial commit", "", author, _now(), files)
            self._write_commit(kind, repo_id, first)
            facts: RepoFacts = {
                "private": private,
                "gated": False,
                "branches": {DEFAULT_BRANCH: first.id},
                "tags": {},
                "created": first.date,
            }
            _write_json(self._repo_json(kind, repo_id), facts)
            return True

    def facts(self, kind: str, repo_id: str) -> RepoFacts:
        """Return a repository's facts, read from the disk. Raises RepoNotFound."""
        path = self._repo_json(kind, repo_id)
        if not path.is_file():
            raise RepoNotFound(repo_id)
        facts: RepoFacts = json.loads(path.read_text(encoding="utf-8"))
        return facts

    def update_facts(self, kind: str, repo_id: str, **changes: Unpack[RepoFacts]) -> None:
        """Change some facts of a repository. Raises RepoNotFound."""
        with self._lock:
            facts = {**self.facts(kind, repo_id), **changes}
            _write_json(self._repo_json(kind, repo_id), facts)

    def add_ref(self, kind: str, repo_id: str, group: RefGroup, name: str, revision: str) -> bool:
        """Add a branch or a tag for a commit; return False if the name is taken."""
        with self._lock:
            facts = self.facts(kind, repo_id)
            if name in facts[group]:
                return False
            facts[group][name] = self.commit_at(kind, repo_id, revision).id
            _write_json(self._repo_json(kind, repo_id), facts)
            return True

    def remove_branch(self, kind: str, repo_id: str, name: str) -> None:
        """Remove a branch; its commits stay. Raises RevisionNotFound."""
        with self._lock:
            branches = self.facts(kind, repo_id)["branches"]
            if branches.pop(name, None) is None:
                raise RevisionNotFound(name)
            self.update_facts(kind, repo_id, branches=branches)

    # commits

    def commit_at(self, kind: str, repo_id: str, revision: str) -> Commit:
        """Return the commit of a branch, a tag or an id. Raises RepoNotFound, RevisionNotFound."""
        facts = self.facts(kind, repo_id)
        commit_id = facts["branches"].get(revision) or facts["tags"].get(revision) or revision
        path = self._repo_folder(kind, repo_id) / "commits" / f"{commit_id}.json"
        if not re.fullmatch(r"[0-9a-f]{40}", commit_id) or not path.is_file():
            raise RevisionNotFound(revision)
        saved = json.loads(path.read_text(encoding="utf-8"))
        files = {name: FileEntry(**entry) for name, entry in saved.pop("files").items()}
        return Commit(**saved, files=files)

    def history(self, kind: str, repo_id: str, revision: str) -> Iterator[Commit]:
        """Yield the commits from a revision back to the first."""
        commit: Commit | None = self.commit_at(kind, repo_id, revision)
        while commit is not None:
            yield commit
            commit = self.commit_at(kind, repo_id, commit.parent) if commit.parent else None

    def commit(
        self, kind: str, repo_id: str, branch: str, change: Change, parent: str | None = None
    ) -> Commit:
        """Add one commit to a branch, all of it or nothing; return the commit.

        Raises:
            ParentConflict: `parent` is given and is not the branch's head.
            RevisionNotFound: the branch does not exist.
        """
        with self._lock:
            branches = self.facts(kind, repo_id)["branches"]
            if branch not in branches:
                raise RevisionNotFound(branch)
            head = self.commit_at(kind, repo_id, branch)
            if parent is not None and parent != head.id:
                raise ParentConflict(f"{branch} is at {head.id}, not at {parent}")
            files = change.apply(head.files)
            made = Commit(head.id, change.title, change.message, change.author, _now(), files)
            self._write_commit(kind, repo_id, made)
            self.update_facts(kind, repo_id, branches={**branches, branch: made.id})
            return made

    def _write_commit(self, kind: str, repo_id: str, commit: Commit) -> None:
        folder = self._repo_folder(kind, repo_id) / "commits"
        _write_json(folder / f"{commit.id}.json", asdict(commit))

    def _repo_folder(self, kind: str, repo_id: str) -> Path:
        parts = repo_id.split("/")
        if len(parts) != 2 or not all(REPO_NAME.fullmatch(part) for part in parts):
            raise RepoNotFound(repo_id)
        return self.folder / kind / parts[0] / parts[1]

    def _repo_json(self, kind: str, repo_id: str) -> Path:
        return self._repo_folder(kind, repo_id) / "repo.json"


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _write_json(path: Path, content: Mapping[str, object]) -> None:
    replace_file(path, json.dumps(content, indent=1))
