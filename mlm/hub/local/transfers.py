"""The local Hub's uploads and downloads: preupload, large files, commits, resolve."""

import base64
import re
import secrets
from collections.abc import Iterator

from mlm.hub.local.exchange import CHUNK, Exchange, JsonObject, Refusal
from mlm.hub.local.store import Change, FileEntry, large_file

LARGE_SUFFIXES = (".safetensors", ".bin", ".gz", ".h5", ".npz", ".parquet", ".png", ".zip")
LARGE_SIZE = 10 * 1024 * 1024  # bytes; a larger file is a large file whatever its name
SHA256 = re.compile(r"[0-9a-f]{64}")
LFS_TYPE = {"Content-Type": "application/vnd.git-lfs+json"}


def preupload(request: Exchange, kind: str, repo: str, rev: str) -> None:
    """Answer for each file whether it is uploaded as a large one."""
    request.check_may_write(repo)
    present = request.store.commit_at(kind, repo, rev).files

    def upload_mode(path: str, size: int) -> dict[str, object]:
        large = size > 0 and (path.endswith(LARGE_SUFFIXES) or size > LARGE_SIZE)
        entry = present.get(path)
        oid = entry and (entry.sha256 if entry.lfs else entry.oid)
        mode = "lfs" if large else "regular"
        return {"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": oid}

    request.reply(
        {"files": [upload_mode(file["path"], file["size"]) for file in request.body()["files"]]}
    )


def lfs_batch(request: Exchange, repo: str, kind: str = "models") -> None:
    """Answer with the addresses to upload large files to."""
    request.check_may_write(repo)
    request.store.facts(kind, repo)
    wanted = request.body()["objects"]
    objects = [_lfs_object(request, each["oid"], each["size"]) for each in wanted]
    request.reply({"transfer": "basic", "objects": objects}, headers=LFS_TYPE)


def _lfs_object(request: Exchange, oid: str, size: int) -> dict[str, object]:
    """Describe the upload of one large file; without `actions` if it is stored already."""
    if not SHA256.fullmatch(oid):
        raise ValueError(f"not a sha256: {oid}")
    if request.store.has_blob(oid, size):
        return {"oid": oid, "size": size}
    ticket = secrets.token_urlsafe(16)
    request.server.tickets[ticket] = (oid, size)
    upload = {"href": f"{request.server.url}/lfs/{oid}?ticket={ticket}"}
    verify = {"href": f"{request.server.url}/lfs/{oid}/verify"}
    return {"oid": oid, "size": size, "actions": {"upload": upload, "verify": verify}}


def lfs_put(request: Exchange, oid: str) -> None:
    """Store a large file; the address has a ticket instead of a token, as at a storage provider."""
    ticket = request.query.get("ticket", "")
    expected = request.server.tickets.get(ticket)
    if expected is None or expected[0] != oid:
        raise Refusal(403, "this upload was not permitted")
    request.store.put_blob(request.body_chunks(), expected)
    request.reply({})


def lfs_verify(request: Exchange, oid: str) -> None:
    """Confirm that a large file is stored; 404 if not."""
    if request.role() != "write":
        raise Refusal(401, "Invalid username or password.")
    if not request.store.has_blob(oid, request.body()["size"]):
        raise Refusal(404, "the file was not uploaded")
    request.reply({})


def commit(request: Exchange, kind: str, repo: str, rev: str) -> None:
    """Commit the files of the request's body to a branch."""
    request.check_may_write(repo)
    request.store.facts(kind, repo)
    lines = request.body_lines()
    header = next(lines)
    if header["key"] != "header":
        raise ValueError("a commit begins with its header")
    value = header["value"]
    change = _read_change(request, value, lines)
    made = request.store.commit(kind, repo, rev, change, value.get("parentCommit"))
    url = f"{request.server.url}/{'' if kind == 'models' else kind + '/'}{repo}/commit/{made.id}"
    request.reply({"success": True, "commitOid": made.id, "commitUrl": url, "hookOutput": ""})


def _read_change(request: Exchange, header: JsonObject, lines: Iterator[JsonObject]) -> Change:
    """Read a commit's lines; store the contents among them. Raises Refusal and ValueError."""
    added: dict[str, FileEntry] = {}
    deleted: dict[str, list[str]] = {"deletedFile": [], "deletedFolder": []}
    for line in lines:
        key, value = line["key"], line["value"]
        _check_path(value["path"].removesuffix("/" if key == "deletedFolder" else ""))
        if key == "file":
            added[value["path"]] = request.store.small_file(base64.b64decode(value["content"]))
        elif key == "lfsFile":
            added[value["path"]] = _uploaded_file(request, value["oid"], value.get("size"))
        else:
            deleted[key].append(value["path"])
    files, folders = deleted["deletedFile"], deleted["deletedFolder"]
    summary, about = header["summary"], header.get("description", "")
    return Change(summary, about, request.server.user, added, files, folders)


def _uploaded_file(request: Exchange, oid: str, size: int | None) -> FileEntry:
    """Return the entry of a large file that was uploaded before. Raises Refusal."""
    blob = request.store.blob_path(oid)
    if not SHA256.fullmatch(oid) or not blob.is_file():
        raise Refusal(400, f"the large file {oid} was not uploaded")
    actual = blob.stat().st_size
    if size not in (None, actual):
        raise Refusal(400, f"the large file {oid} has {actual} bytes, not {size}")
    return large_file(oid, actual)


def _check_path(path: str) -> None:
    if not path or path.startswith("/") or {"", ".", "..", ".git"} & set(path.split("/")):
        raise ValueError(f"not a path in a repository: {path}")


# downloads


def resolve(request: Exchange, repo: str, rev: str, path: str, kind: str = "models") -> None:
    """Answer with the content of a file, or with a range of it."""
    facts, found = request.facts(kind, repo), request.commit(kind, repo, rev)
    if facts["gated"] and request.role() != "write":
        raise Refusal(
            403 if request.role() else 401, f"Access to {repo} is restricted", "GatedRepo"
        )
    entry = found.files.get(path)
    if entry is None:
        raise Refusal(404, "Entry not found", "EntryNotFound")
    etag = entry.sha256 if entry.lfs else entry.oid
    headers = {"ETag": f'"{etag}"', "X-Repo-Commit": found.id}
    headers["Content-Type"] = "application/octet-stream"
    if request.server.ranges:
        headers["Accept-Ranges"] = "bytes"
    if entry.lfs:
        headers |= {"X-Linked-Etag": f'"{etag}"', "X-Linked-Size": str(entry.size)}
    _send_file(request, f"{repo}/{path}", entry, headers)


def _send_file(request: Exchange, name: str, entry: FileEntry, headers: dict[str, str]) -> None:
    wanted = request.headers.get("Range") if request.server.ranges else None
    first, last = _parse_range(wanted, entry.size)
    if first > last and wanted:
        request.start_reply(416, {"Content-Range": f"bytes */{entry.size}"}, 0)
        return
    partial = (first, last) != (0, entry.size - 1)
    if partial:
        headers["Content-Range"] = f"bytes {first}-{last}/{entry.size}"
    length = last - first + 1
    request.start_reply(206 if partial else 200, headers, length)
    if request.command == "HEAD":
        return
    with request.store.blob_path(entry.sha256).open("rb") as file:
        file.seek(first)
        while length > 0:
            chunk = file.read(min(CHUNK, length))
            if not chunk:
                raise ConnectionError(f"{name} is shorter in the store than its entry says")
            request.server.note_served(name, len(chunk))  # before the client can have it
            length -= request.wfile.write(chunk)


def _parse_range(header: str | None, size: int) -> tuple[int, int]:
    """Return the first and the last byte of a Range header; of the whole file for any other."""
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", header or "")
    if match is None or match[0] == "bytes=-":
        return 0, size - 1
    if not match[1]:
        return max(0, size - int(match[2])), size - 1
    return int(match[1]), min(int(match[2] or size), size - 1)
