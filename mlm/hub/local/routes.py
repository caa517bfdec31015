"""The local Hub's addresses and their handlers; those that move files are in transfers.py."""

import re
from collections.abc import Callable
from pathlib import PurePosixPath

import yaml

from mlm.hub.local import spaces, transfers
from mlm.hub.local.card_rules import errors_in
from mlm.hub.local.exchange import Exchange, Refusal, Route
from mlm.hub.local.store import DEFAULT_BRANCH, FileEntry, RefGroup, lfs_pointer

# accounts and repositories


def whoami(request: Exchange) -> None:
    """Answer with the account and the token's permission."""
    role = request.role()
    if role is None:
        raise Refusal(401, "Invalid username or password.")
    access = {"type": "access_token", "accessToken": {"displayName": "local", "role": role}}
    request.reply({"type": "user", "name": request.server.user, "orgs": [], "auth": access})


def create_repo(request: Exchange) -> None:
    """Create a repository; 409 if it exists."""
    wanted = request.body()
    repo = f"{wanted.get('organization') or request.server.user}/{wanted['name']}"
    request.check_may_write(repo)
    kind = wanted.get("type", "model") + "s"
    if kind not in ("models", "datasets", "spaces"):
        raise Refusal(400, f"the local Hub keeps models, datasets and Spaces, not {kind}")
    settings = spaces.settings_of_new(wanted) if kind == "spaces" else {}
    private = wanted.get("visibility") == "private" or bool(wanted.get("private"))
    made = request.store.create(kind, repo, request.server.user, private=private)
    if made and settings:
        request.store.update_facts(kind, repo, **settings)
    url = f"{request.server.url}/{'' if kind == 'models' else kind + '/'}{repo}"
    error = {} if made else {"error": f"You already created this {kind[:-1]} repo"}
    request.reply({"url": url, "name": repo, **error}, 200 if made else 409)


def update_settings(request: Exchange, kind: str, repo: str) -> None:
    """Set whether a repository is gated, and its visibility."""
    request.check_may_write(repo)
    wanted = request.body()
    changes = {"gated": wanted["gated"]} if "gated" in wanted else {}
    if "visibility" in wanted:
        changes["private"] = wanted["visibility"] == "private"
    request.store.update_facts(kind, repo, **changes)
    request.reply(changes)


def validate_yaml(request: Exchange) -> None:
    """Answer with the errors in a card's metadata; 400 if there are any."""
    front = re.match(r"---[ \t]*\n(.*?)\n---[ \t]*(\n|$)", request.body()["content"], re.DOTALL)
    try:
        errors = errors_in(yaml.safe_load(front[1])) if front else []
    except yaml.YAMLError as error:
        errors = [str(error)]
    listed = [{"message": error} for error in errors]
    request.reply({"errors": listed, "warnings": []}, 400 if errors else 200)


def repo_info(request: Exchange, kind: str, repo: str, rev: str = DEFAULT_BRANCH) -> None:
    """Answer with a repository's facts and the files of a commit."""
    facts, commit = request.facts(kind, repo), request.commit(kind, repo, rev)
    request.reply(
        {
            "id": repo,
            "author": repo.split("/")[0],
            "sha": commit.id,
            "private": facts["private"],
            "gated": facts["gated"],
            "disabled": False,
            "createdAt": facts["created"],
            "lastModified": commit.date,
            "tags": [],
            "siblings": [_sibling(path, entry) for path, entry in commit.files.items()],
        }
    )


def _sibling(path: str, entry: FileEntry) -> dict[str, object]:
    lfs = {"lfs": {**_lfs_facts(entry), "sha256": entry.sha256}} if entry.lfs else {}
    return {"rfilename": path, "size": entry.size, "blobId": entry.oid, **lfs}


def _lfs_facts(entry: FileEntry) -> dict[str, object]:
    return {"size": entry.size, "pointerSize": len(lfs_pointer(entry.sha256, entry.size))}


# branches, tags, history, files


def list_refs(request: Exchange, kind: str, repo: str) -> None:
    """Answer with the branches and the tags."""
    facts = request.facts(kind, repo)

    def refs(group: RefGroup, prefix: str) -> list[dict[str, str]]:
        return [
            {"name": name, "ref": prefix + name, "targetCommit": commit}
            for name, commit in facts[group].items()
        ]

    branches, tags = refs("branches", "refs/heads/"), refs("tags", "refs/tags/")
    request.reply({"branches": branches, "tags": tags, "converts": [], "pullRequests": []})


def add_branch(request: Exchange, kind: str, repo: str, rev: str) -> None:
    """Create a branch; 409 if it exists."""
    _add_ref(
        request, kind, repo, "branches", rev, request.body().get("startingPoint", DEFAULT_BRANCH)
    )


def delete_branch(request: Exchange, kind: str, repo: str, rev: str) -> None:
    """Delete a branch other than the main one; its commits stay."""
    request.check_may_write(repo)
    if rev == DEFAULT_BRANCH:
        raise Refusal(400, f"{rev} cannot be deleted")
    request.store.remove_branch(kind, repo, rev)
    request.reply({})


def add_tag(request: Exchange, kind: str, repo: str, rev: str) -> None:
    """Create a tag; 409 if it exists."""
    _add_ref(request, kind, repo, "tags", request.body()["tag"], rev)


def _add_ref(
    request: Exchange, kind: str, repo: str, group: RefGroup, name: str, target: str
) -> None:
    request.check_may_write(repo)
    if not request.store.add_ref(kind, repo, group, name, target):
        raise Refusal(409, f"{name} exists already")
    request.reply({})


def list_commits(request: Exchange, kind: str, repo: str, rev: str) -> None:
    """Answer with the commits from a revision back to the first."""
    request.facts(kind, repo)
    request.reply(
        [
            {
                "id": commit.id,
                "title": commit.title,
                "message": commit.message,
                "date": commit.date,
                "authors": [{"user": commit.author}],
            }
            for commit in request.store.history(kind, repo, rev)
        ]
    )


def list_tree(request: Exchange, kind: str, repo: str, rev: str, path: str = "") -> None:
    """Answer with the files and folders below a path."""
    files = request.commit(kind, repo, rev).files
    prefix = f"{path}/" if path else ""
    if prefix and not any(name.startswith(prefix) for name in files):
        raise Refusal(404, f"{path} does not exist on {rev}", "EntryNotFound")
    recursive = request.query.get("recursive", "").lower() in ("true", "1")
    listed = {
        name: facts
        for name, facts in _entries(files).items()
        if name.startswith(prefix) and (recursive or "/" not in name[len(prefix) :])
    }
    request.reply(list(listed.values()))


def paths_info(request: Exchange, kind: str, repo: str, rev: str) -> None:
    """Answer with the files and folders of the given paths that exist."""
    entries = _entries(request.commit(kind, repo, rev).files)
    request.reply([entries[path] for path in request.form().get("paths", []) if path in entries])


def _entries(files: dict[str, FileEntry]) -> dict[str, dict[str, object]]:
    """Return the Hub's description of files and their folders, by path."""
    entries: dict[str, dict[str, object]] = {}
    for path, entry in files.items():
        for folder in PurePosixPath(path).parents:
            if str(folder) != ".":
                facts: dict[str, object] = {
                    "type": "directory",
                    "path": str(folder),
                    "oid": "0" * 40,
                    "size": 0,
                }
                entries.setdefault(str(folder), facts)
        lfs = {"lfs": {**_lfs_facts(entry), "oid": entry.sha256}} if entry.lfs else {}
        facts = {"type": "file", "path": path, "oid": entry.oid, "size": entry.size, **lfs}
        entries[path] = facts
    return entries


def _routes() -> list[Route]:
    """Compile the table of methods, address, handler; {rev} is quoted, so it has no slash."""
    parts = {
        "{repo}": r"(?P<kind>models|datasets|spaces)/(?P<repo>[^/]+/[^/]+)",
        "{space}": r"spaces/(?P<repo>[^/]+/[^/]+)",
        "{web}": r"(?:(?P<kind>datasets|spaces)/)?(?P<repo>[^/]+/[^/]+)",
        "{rev}": r"(?P<rev>[^/]+)",
        "{oid}": r"(?P<oid>[0-9a-f]{64})",
        "{path}": r"(?P<path>.+)",
    }
    table: list[tuple[str, str, Callable[..., None]]] = [
        ("GET", "/api/whoami-v2", whoami),
        ("POST", "/api/repos/create", create_repo),
        ("POST", "/api/validate-yaml", validate_yaml),
        ("GET", "/api/{repo}", repo_info),
        ("GET", "/api/{repo}/revision/{rev}", repo_info),
        ("PUT", "/api/{repo}/settings", update_settings),
        ("GET", "/api/{repo}/refs", list_refs),
        ("POST", "/api/{repo}/branch/{rev}", add_branch),
        ("DELETE", "/api/{repo}/branch/{rev}", delete_branch),
        ("POST", "/api/{repo}/tag/{rev}", add_tag),
        ("GET", "/api/{repo}/commits/{rev}", list_commits),
        ("GET", "/api/{repo}/tree/{rev}", list_tree),
        ("GET", "/api/{repo}/tree/{rev}/{path}", list_tree),
        ("POST", "/api/{repo}/paths-info/{rev}", paths_info),
        ("POST", "/api/{repo}/preupload/{rev}", transfers.preupload),
        ("POST", "/api/{repo}/commit/{rev}", transfers.commit),
        ("POST", r"/{web}\.git/info/lfs/objects/batch", transfers.lfs_batch),
        ("PUT", "/lfs/{oid}", transfers.lfs_put),
        ("POST", "/lfs/{oid}/verify", transfers.lfs_verify),
        ("GET HEAD", "/{web}/resolve/{rev}/{path}", transfers.resolve),
        *spaces.ADDRESSES,
    ]
    routes: list[Route] = []
    for methods, address, handle in table:
        for name, pattern in parts.items():
            address = address.replace(name, pattern)
        routes.append((tuple(methods.split()), re.compile(address), handle))
    return routes


ROUTES = _routes()
