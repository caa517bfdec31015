"""A folder in which the commands of the documentation run: small files and a stand-in for the Hub.

The files and repositories have the names that the pages use; a repository of a real model holds a
tiny one of the same family, with random weights.
"""

import gzip
import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mlm.hub.local import LocalHub
from mlm.hub.local.store import Change, RepoStore, large_file
from tests.support.places import ROOT
from tests.support.small_models import save_random_checkpoint, small_texts

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

TOKEN = "hf_0123456789documentation"
FROM_CLONE = ("app.py", "mlm", "scripts", "docs", "requirements.txt")
REVIEWS = "hf://datasets/stanfordnlp/imdb/plain_text/train-00000-of-00001.parquet"


@contextmanager
def documentation_folder(
    folder: Path, tokenizer: "PreTrainedTokenizerFast"
) -> Iterator[dict[str, str]]:
    """Fill an empty folder; yield the environment for programs that run in it."""
    for name in FROM_CLONE:
        (folder / name).symlink_to(ROOT / name)
    _write_programs(folder / ".bin")
    _write_texts(folder)
    store = RepoStore(folder / ".hub")
    bert = save_random_checkpoint(folder / ".bert", tokenizer, "bert", max_position_embeddings=512)
    _commit(store, "models", "google-bert/bert-base-uncased", _contents(bert))
    _add(store, "datasets", REVIEWS.removeprefix("hf://datasets/"), _as_parquet(small_texts()))
    with LocalHub(folder / ".hub", token=TOKEN) as hub:
        yield {
            **{name: value for name, value in os.environ.items() if not name.startswith("HF_")},
            "PATH": f"{folder / '.bin'}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "HF_ENDPOINT": hub.url,
            "HF_TOKEN": TOKEN,
            "HF_HOME": str(folder / ".cache"),
            "HF_HUB_DISABLE_XET": "1",
            "NO_PROXY": "127.0.0.1",
        }


def _write_programs(folder: Path) -> None:
    """Write `mlm` and `python`, which start this interpreter and this clone."""
    folder.mkdir()
    for name, words in {"mlm": f"{sys.executable} -m mlm", "python": sys.executable}.items():
        program = folder / name
        program.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
        program.chmod(0o755)


def _write_texts(folder: Path) -> None:
    texts = small_texts()
    rows = "".join(f'{number},"{text}"\n' for number, text in enumerate(texts))
    (folder / "reviews.csv").write_text(f"id,text\n{rows}", encoding="utf-8")
    (folder / "test.csv").write_text(
        "text\n" + "".join(f'"{text} Yes."\n' for text in texts[:64]), encoding="utf-8"
    )
    for name, part in {"a.txt": texts[:200], "b.txt": texts[200:]}.items():
        (folder / "notes").mkdir(exist_ok=True)
        (folder / "notes" / name).write_text("\n".join(part), encoding="utf-8")
    (folder / "words.txt").write_text("plotline\nblockbuster\n", encoding="utf-8")
    sentences = "\n".join(f"{text.split()[0]} watched this [MASK]." for text in texts[:8])
    (folder / "sentences.txt").write_text(sentences, encoding="utf-8")
    (folder / "texts").mkdir()
    with gzip.open(folder / "texts" / "000.jsonl.gz", "wt", encoding="utf-8") as file:
        file.writelines(json.dumps({"text": text}) + "\n" for text in texts)


def _as_parquet(texts: list[str]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"text": texts, "label": [0] * len(texts)}), sink)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _add(store: RepoStore, kind: str, path: str, content: bytes) -> None:
    owner, name, file = path.split("/", 2)
    _commit(store, kind, f"{owner}/{name}", {file: content})


def _commit(store: RepoStore, kind: str, repo: str, files: Mapping[str, bytes]) -> None:
    author = repo.split("/")[0]
    store.create(kind, repo, author)
    added = {
        name: large_file(store.put_blob([content]), len(content))
        if name.endswith((".safetensors", ".parquet"))
        else store.small_file(content)
        for name, content in files.items()
    }
    store.commit(kind, repo, "main", Change("files", "", author, added))
