"""Tests of the local Hub with the real huggingface_hub client, and of its files on disk."""

import gzip
import hashlib
import json
import os
import signal
import subprocess
import sys
import tracemalloc
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import fsspec
import pytest
from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationDelete,
    HfApi,
    constants,
    hf_hub_download,
    snapshot_download,
)
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import close_session

from mlm.hub.local import LocalHub
from mlm.hub.local.store import Change, RepoStore

# huggingface_hub itself uploads large files in a way that its HTTP client calls deprecated
pytestmark = [
    pytest.mark.kaggle,
    pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload:DeprecationWarning"),
]

TOKEN = "hf_local"
REPO = "me/x"
LARGE = bytes(range(256)) * 1000
FILES = {"model.safetensors": LARGE, "README.md": b"# x\n", "sub/notes.txt": b"hello"}


@pytest.fixture(autouse=True)
def hub(tmp_path, monkeypatch):
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    with LocalHub(tmp_path / "hub", token=TOKEN) as local:
        yield local
        close_session()


@pytest.fixture
def api(hub) -> HfApi:
    return HfApi(endpoint=hub.url, token=TOKEN)


@pytest.fixture
def stranger(hub) -> HfApi:
    return HfApi(endpoint=hub.url, token=False)


@pytest.fixture
def commit(api) -> str:
    """Create a repository with FILES; its head."""
    api.create_repo(REPO)
    return add(api, FILES)


def add(api: HfApi, files: dict[str, bytes], **options) -> str:
    operations = [CommitOperationAdd(path, content) for path, content in files.items()]
    return api.create_commit(REPO, operations, commit_message="add", **options).oid


def ask(url: str, method: str = "GET", body: bytes | None = None, **headers: str):
    """Send one plain HTTP request; return status, headers, body."""
    request = urllib.request.Request(url, body, headers, method=method)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read()


def test_a_new_repository_has_one_commit(api, hub):
    assert api.create_repo(REPO).repo_id == REPO
    assert api.create_repo(REPO, exist_ok=True) == f"{hub.url}/{REPO}"
    with pytest.raises(HfHubHTTPError, match="already created"):
        api.create_repo(REPO)
    assert [each.title for each in api.list_repo_commits(REPO)] == ["initial commit"]


def test_model_info_lists_files_with_sizes_and_hashes(api, commit):
    info = api.model_info(REPO, files_metadata=True)
    files = {file.rfilename: file for file in info.siblings}
    assert info.sha == commit
    assert set(files) == {".gitattributes", *FILES}
    assert files["model.safetensors"].lfs.sha256 == hashlib.sha256(LARGE).hexdigest()
    assert files["model.safetensors"].size == len(LARGE)
    # what `git hash-object` says of "hello"
    assert files["sub/notes.txt"].blob_id == "b6fc4c620b67d95f953a5c1c1230aaab5db5a1b0"
    assert files["sub/notes.txt"].lfs is None


def test_tree_and_paths(api, commit):
    top = {entry.path for entry in api.list_repo_tree(REPO)}
    assert top == {".gitattributes", "README.md", "model.safetensors", "sub"}
    assert [entry.path for entry in api.list_repo_tree(REPO, "sub")] == ["sub/notes.txt"]
    assert len(list(api.list_repo_tree(REPO, recursive=True))) == len(FILES) + 2
    found = api.get_paths_info(REPO, ["sub", "README.md", "nothing"])
    assert [entry.path for entry in found] == ["sub", "README.md"]
    with pytest.raises(EntryNotFoundError):
        list(api.list_repo_tree(REPO, "nothing"))


def test_a_snapshot_is_what_was_uploaded(api, hub, commit):
    folder = Path(snapshot_download(REPO, endpoint=hub.url, token=False))
    assert folder.name == commit
    assert {path: (folder / path).read_bytes() for path in FILES} == FILES


def test_unchanged_files_make_no_commit(api, commit):
    assert add(api, FILES) == commit


def test_deleting_files_and_folders(api, commit):
    operations = [CommitOperationDelete("sub/"), CommitOperationDelete("README.md")]
    api.create_commit(REPO, operations, commit_message="less")
    assert set(api.list_repo_files(REPO)) == {".gitattributes", "model.safetensors"}
    assert set(api.list_repo_files(REPO, revision=commit)) == {".gitattributes", *FILES}


def test_branches_tags_and_history(api, commit):
    api.create_branch(REPO, branch="dev/two")
    api.create_tag(REPO, tag="v1", revision=commit)
    with pytest.raises(HfHubHTTPError, match="v1 exists already"):
        api.create_tag(REPO, tag="v1")
    later = add(api, {"new.txt": b"new"}, revision="dev/two")
    refs = api.list_repo_refs(REPO)
    heads = {ref.name: ref.target_commit for ref in refs.branches}
    assert heads == {"main": commit, "dev/two": later}
    assert [(tag.name, tag.target_commit) for tag in refs.tags] == [("v1", commit)]
    ids = [each.commit_id for each in api.list_repo_commits(REPO, revision="dev/two")]
    assert ids[:2] == [later, commit]


def test_a_stale_parent_is_refused(api, commit):
    add(api, {"a.txt": b"a"}, parent_commit=commit)
    with pytest.raises(HfHubHTTPError, match="A commit has happened since") as caught:
        add(api, {"b.txt": b"b"}, parent_commit=commit)
    assert caught.value.response.status_code == 412
    assert "b.txt" not in api.list_repo_files(REPO)


def test_one_of_two_racing_commits_wins(api, commit):
    def race(name: str) -> bool:
        try:
            add(api, {name: b"x"}, parent_commit=commit)
        except HfHubHTTPError:
            return False
        return True

    names = [f"{number}.txt" for number in range(4)]
    with ThreadPoolExecutor(len(names)) as pool:
        won = list(pool.map(race, names))
    assert sum(won) == 1
    assert len(api.list_repo_commits(REPO)) == 3


def test_a_broken_commit_leaves_nothing(api, hub, commit):
    lines = [
        {"key": "header", "value": {"summary": "half"}},
        {"key": "file", "value": {"path": "a.txt", "content": "YQ==", "encoding": "base64"}},
        {"key": "lfsFile", "value": {"path": "b.bin", "oid": "0" * 64, "size": 1}},
    ]
    body = "\n".join(json.dumps(line) for line in lines).encode()
    url = f"{hub.url}/api/models/{REPO}/commit/main"
    status, _, said = ask(url, "POST", body, Authorization=f"Bearer {TOKEN}")
    assert (status, b"was not uploaded" in said) == (400, True)
    assert api.model_info(REPO).sha == commit


@pytest.mark.parametrize("path", ["../x", "/x", "a//b", "a/../b", ".git/config", ""])
def test_paths_that_leave_the_repository_are_refused(api, hub, commit, path):
    value = {"path": path, "content": "YQ==", "encoding": "base64"}
    lines = [{"key": "header", "value": {"summary": "bad"}}, {"key": "file", "value": value}]
    body = "\n".join(json.dumps(line) for line in lines).encode()
    url = f"{hub.url}/api/models/{REPO}/commit/main"
    assert ask(url, "POST", body, Authorization=f"Bearer {TOKEN}")[0] == 400


def test_an_upload_has_to_match_its_hash_and_its_ticket(hub, commit, tmp_path):
    oid = hashlib.sha256(b"right").hexdigest()
    wanted = {"objects": [{"oid": oid, "size": 5}], "operation": "upload"}
    batch = f"{hub.url}/{REPO}.git/info/lfs/objects/batch"
    body = json.dumps(wanted).encode()
    answer = json.loads(ask(batch, "POST", body, Authorization=f"Bearer {TOKEN}")[2])
    href = answer["objects"][0]["actions"]["upload"]["href"]
    blobs = tmp_path / "hub" / "blobs"
    before = sorted(blobs.iterdir())
    assert ask(href, "PUT", b"wrong")[0] == 400
    assert ask(href.split("?")[0], "PUT", b"right")[0] == 403
    assert sorted(blobs.iterdir()) == before
    assert ask(href, "PUT", b"right")[0] == 200
    assert (blobs / oid).read_bytes() == b"right"


def test_resolve_sends_what_downloads_need(hub, commit):
    url = f"{hub.url}/{REPO}/resolve/main/model.safetensors"
    status, headers, body = ask(url, "HEAD")
    etag = f'"{hashlib.sha256(LARGE).hexdigest()}"'
    assert (status, body) == (200, b"")
    assert (headers["ETag"], headers["X-Linked-Etag"]) == (etag, etag)
    assert headers["X-Linked-Size"] == headers["Content-Length"] == str(len(LARGE))
    assert headers["X-Repo-Commit"] == commit


@pytest.mark.parametrize(
    ("asked", "status", "expected"),
    [
        ("bytes=10-19", 206, LARGE[10:20]),
        ("bytes=255990-", 206, LARGE[255990:]),
        ("bytes=-5", 206, LARGE[-5:]),
        ("bytes=255999-300000", 206, LARGE[-1:]),
        ("bytes=256000-", 416, b""),
        ("lines=1-2", 200, LARGE),
    ],
)
def test_ranges(hub, commit, asked, status, expected):
    answer = ask(f"{hub.url}/{REPO}/resolve/{commit}/model.safetensors", Range=asked)
    assert (answer[0], answer[2]) == (status, expected)


def test_it_counts_what_it_serves(hub, commit):
    for asked in ("bytes=0-7", "bytes=8-107"):
        ask(f"{hub.url}/{REPO}/resolve/main/model.safetensors", Range=asked)
    ask(f"{hub.url}/{REPO}/resolve/main/model.safetensors", "HEAD")
    ask(f"{hub.url}/{REPO}/resolve/{commit}/sub/notes.txt")
    assert hub.served == {f"{REPO}/model.safetensors": 108, f"{REPO}/sub/notes.txt": 5}


def test_a_hub_that_knows_no_ranges(commit, tmp_path):
    with LocalHub(tmp_path / "hub", token=TOKEN, ranges=False) as other:
        url = f"{other.url}/{REPO}/resolve/main/model.safetensors"
        status, headers, body = ask(url, Range="bytes=10-19")
    assert (status, headers["Accept-Ranges"], body) == (200, None, LARGE)


def test_what_is_not_there_is_told_apart(api, hub, stranger, commit):
    for client in (api, stranger):
        with pytest.raises(RepositoryNotFoundError):
            client.model_info("me/nothing")
    with pytest.raises(RevisionNotFoundError):
        api.model_info(REPO, revision="nothing")
    with pytest.raises(EntryNotFoundError):
        hf_hub_download(REPO, "nothing.txt", endpoint=hub.url, token=False)


def test_who_may_write_and_read(api, hub, stranger, commit):
    with pytest.raises(HfHubHTTPError, match="401"):
        stranger.create_repo("me/y", token="hf_wrong")
    with pytest.raises(HfHubHTTPError, match="rights to write to you/y"):
        api.create_repo("you/y")
    with pytest.raises(HfHubHTTPError):
        add(stranger, {"a.txt": b"a"})
    api.update_repo_settings(REPO, gated="auto")
    assert stranger.model_info(REPO).gated == "auto"
    with pytest.raises(GatedRepoError):
        hf_hub_download(REPO, "README.md", endpoint=hub.url, token=False)
    api.update_repo_settings(REPO, private=True)
    with pytest.raises(RepositoryNotFoundError):
        stranger.model_info(REPO)
    assert api.whoami()["name"] == "me"


def test_datasets_are_read_through_fsspec(api, hub):
    api.create_repo("me/data", repo_type="dataset")
    content = gzip.compress(b"text\ngood\nbad\n")
    for path in ("data.csv.gz", "more/part.csv.gz"):
        api.upload_file(
            path_or_fileobj=content, path_in_repo=path, repo_id="me/data", repo_type="dataset"
        )
    options = {"endpoint": hub.url, "skip_instance_cache": True}
    url = "hf://datasets/me/data/data.csv.gz"
    with fsspec.open(url, "rt", compression="infer", **options) as file:
        assert file.read() == "text\ngood\nbad\n"
    filesystem = fsspec.filesystem("hf", **options)
    assert len(filesystem.glob("datasets/me/data/**/*.csv.gz")) == 2
    with pytest.raises(FileNotFoundError):
        fsspec.open("hf://datasets/me/data/none.csv", **options).open()


def test_repositories_outlive_the_server(api, commit, tmp_path):
    with LocalHub(tmp_path / "hub", token=TOKEN) as again:
        other = HfApi(endpoint=again.url, token=False)
        assert other.model_info(REPO).sha == commit


def test_large_contents_pass_through_flat_memory(tmp_path):
    store = RepoStore(tmp_path / "store")
    tracemalloc.start()
    sha256 = store.put_blob(bytes(1024 * 1024) for _ in range(100))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert store.has_blob(sha256, 100 * 1024 * 1024)
    assert peak < 4 * 1024 * 1024


def test_an_upload_cut_short_is_not_kept(tmp_path):
    store = RepoStore(tmp_path / "store")

    def chunks():
        yield b"half"
        raise ConnectionError

    with pytest.raises(ConnectionError):
        store.put_blob(chunks())
    assert list((tmp_path / "store" / "blobs").iterdir()) == []


def test_a_commit_that_cannot_be_written_moves_nothing(tmp_path, monkeypatch):
    store = RepoStore(tmp_path / "store")
    store.create("models", REPO, "me")
    head = store.commit_at("models", REPO, "main").id
    change = Change("full disk", "", "me", {"a.txt": store.small_file(b"a")})

    def fail(*args, **options):
        raise OSError("No space left on device")

    with monkeypatch.context() as full_disk:
        full_disk.setattr(Path, "replace", fail)
        with pytest.raises(OSError, match="No space"):
            store.commit("models", REPO, "main", change)
    assert store.commit_at("models", REPO, "main").id == head


def test_by_hand(tmp_path):
    command = [sys.executable, "-m", "mlm.hub.local", "--port", "0", str(tmp_path / "by-hand")]
    environment = {name: value for name, value in os.environ.items() if name != "HF_TOKEN"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as server:
        assert server.stdout is not None
        said = dict(word.split("=") for word in server.stdout.readline().split()[1:])
        api = HfApi(endpoint=said["HF_ENDPOINT"], token=said["HF_TOKEN"])
        assert api.create_repo("me/by-hand").repo_id == "me/by-hand"
        close_session()
        server.send_signal(signal.SIGINT)
        assert server.wait(10) == 0
