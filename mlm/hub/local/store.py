"""The local Hub's repositories on disk: contents by hash, commits as JSON, branches and tags.

    FOLDER/blobs/<sha256>                               each content once, whoever has it
    FOLDER/models/<namespace>/<name>/repo.json          private, gated, branches and tags
    FOLDER/models/<namespace>/<name>/commits/<id>.json  parent, title, author, date, files
    FOLDER/datasets/..., FOLDER/spaces/...              likewise; a Space's settings in repo.json

Nothing but the commit at hand is ever in memory. Every file is written beside and renamed, and a
branch moves last, so a commit is there as a whole or not at all.
"""

import hashlib
import json
import os
import re
import threading
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

REPO_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
DEFAULT_BRANCH = "main"
FIRST_COMMIT_FILES = {
    ".gitattributes": b"*.safetensors filter=lfs diff=lfs merge=lfs -text\n"
    b"*.gz filter=lfs diff=lfs merge=lfs -text\n"
}


class RepoNotFound(LookupError):
    """No such repository."""


class RevisionNotFound(LookupError):
    """The repository has no such branch, tag or commit."""


class ParentConflict(Exception):
    """The branch has moved since the commit's author looked."""


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
        """40 hex digits that name this content and its history, as git's do."""
        return hashlib.sha1(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Change:
    """What one commit does: files to add or replace, files and folders to delete."""

    title: str
    message: str
    author: str
    added: Mapping[str, FileEntry]
    deleted_files: Iterable[str] = ()
    deleted_folders: Iterable[str] = ()

    def apply(self, files: Mapping[str, FileEntry]) -> dict[str, FileEntry]:
        folders = tuple(folder.rstrip("/") + "/" for folder in self.deleted_folders)
        gone = set(self.deleted_files)
        kept = {p: e for p, e in files.items() if p not in gone and not p.startswith(folders)}
        return dict(sorted({**kept, **self.added}.items()))


def git_oid(content: bytes) -> str:
    """The id git gives to this content as a blob."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def lfs_pointer(sha256: str, size: int) -> bytes:
    """What git itself stores in the place of a large file."""
    text = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n"
    return text.encode()


def large_file(sha256: str, size: int) -> FileEntry:
    """The entry of a large file whose content is stored already."""
    return FileEntry(sha256, size, git_oid(lfs_pointer(sha256, size)), lfs=True)


class RepoStore:
    """Repositories under one folder; safe to share between threads of one process."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._lock = threading.RLock()
        (self.folder / "blobs").mkdir(parents=True, exist_ok=True)

    # contents

    def blob_path(self, sha256: str) -> Path:
        return self.folder / "blobs" / sha256

    def has_blob(self, sha256: str, size: int) -> bool:
        path = self.blob_path(sha256)
        return path.is_file() and path.stat().st_size == size

    def put_blob(self, chunks: Iterable[bytes], expected: tuple[str, int] | None = None) -> str:
        """Store a content as it streams in; its sha256.

        Raises:
            ValueError: it is not the `expected` (sha256, size); nothing is kept.
        """
        digest, size = hashlib.sha256(), 0
        with NamedTemporaryFile(dir=self.folder / "blobs", delete=False) as file:
            beside = Path(file.name)
            try:
                for chunk in chunks:
                    digest.update(chunk)
                    size += file.write(chunk)
                if expected not in (None, (digest.hexdigest(), size)):
                    raise ValueError(f"expected {expected}, got {digest.hexdigest()}, {size} bytes")
                file.flush()
                beside.replace(self.blob_path(digest.hexdigest()))
            finally:
                beside.unlink(missing_ok=True)
        return digest.hexdigest()

    def small_file(self, content: bytes) -> FileEntry:
        """Store a content that came inside a commit; its entry."""
        return FileEntry(self.put_blob([content]), len(content), git_oid(content), lfs=False)

    # repositories

    def create(self, kind: str, repo_id: str, author: str, *, private: bool = False) -> bool:
        """Make a repository with a first commit; False where it exists already."""
        with self._lock:
            if self._repo_json(kind, repo_id).is_file():
                return False
            (self._repo_folder(kind, repo_id) / "commits").mkdir(parents=True, exist_ok=True)
            files = {path: self.small_file(text) for path, text in FIRST_COMMIT_FILES.items()}
            first = Commit(None, "initial commit", "", author, _now(), files)
            self._write_commit(kind, repo_id, first)
            branches = {DEFAULT_BRANCH: first.id}
            facts = {"private": private, "gated": False, "branches": branches, "tags": {}}
            _write_json(self._repo_json(kind, repo_id), {**facts, "created": first.date})
            return True

    def facts(self, kind: str, repo_id: str) -> dict[str, Any]:
        """private, gated, created, branches, tags. Raises RepoNotFound."""
        path = self._repo_json(kind, repo_id)
        if not path.is_file():
            raise RepoNotFound(repo_id)
        return json.loads(path.read_text())

    def update_facts(self, kind: str, repo_id: str, **changes: Any) -> None:
        with self._lock:
            facts = {**self.facts(kind, repo_id), **changes}
            _write_json(self._repo_json(kind, repo_id), facts)

    def add_ref(self, kind: str, repo_id: str, group: str, name: str, revision: str) -> bool:
        """Name a commit; `group` is "branches" or "tags". False where the name is taken."""
        with self._lock:
            refs = self.facts(kind, repo_id)[group]
            if name in refs:
                return False
            target = self.commit_at(kind, repo_id, revision).id
            self.update_facts(kind, repo_id, **{group: {**refs, name: target}})
            return True

    def remove_branch(self, kind: str, repo_id: str, name: str) -> None:
        """Forget a branch; its commits stay. Raises RevisionNotFound."""
        with self._lock:
            branches = self.facts(kind, repo_id)["branches"]
            if branches.pop(name, None) is None:
                raise RevisionNotFound(name)
            self.update_facts(kind, repo_id, branches=branches)

    # commits

    def commit_at(self, kind: str, repo_id: str, revision: str) -> Commit:
        """The commit that a branch, a tag or an id names. Raises RepoNotFound, RevisionNotFound."""
        facts = self.facts(kind, repo_id)
        commit_id = facts["branches"].get(revision) or facts["tags"].get(revision) or revision
        path = self._repo_folder(kind, repo_id) / "commits" / f"{commit_id}.json"
        if not re.fullmatch(r"[0-9a-f]{40}", commit_id) or not path.is_file():
            raise RevisionNotFound(revision)
        saved = json.loads(path.read_text())
        files = {name: FileEntry(**entry) for name, entry in saved.pop("files").items()}
        return Commit(**saved, files=files)

    def history(self, kind: str, repo_id: str, revision: str) -> Iterable[Commit]:
        """The commits from a revision back to the first."""
        commit: Commit | None = self.commit_at(kind, repo_id, revision)
        while commit is not None:
            yield commit
            commit = self.commit_at(kind, repo_id, commit.parent) if commit.parent else None

    def commit(
        self, kind: str, repo_id: str, branch: str, change: Change, parent: str | None = None
    ) -> Commit:
        """Move a branch on by one commit, all of it or nothing.

        Raises:
            ParentConflict: `parent` is given and is not the branch's head.
            RevisionNotFound: there is no such branch.
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


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    beside = path.with_suffix(f".{os.getpid()}.{threading.get_ident()}")
    beside.write_text(json.dumps(content, indent=1))
    beside.replace(path)
