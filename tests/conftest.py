"""Fixtures of several test files: a small corpus and tiny checkpoints, made once a session."""

import gc
import os
import tempfile
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("HF_HUB_DISABLE_XET", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")

with suppress(ImportError):
    import triton  # noqa: F401  of PyTorch's builds for GPUs; it crashes if TensorFlow is there first

import pytest

from tests.support.places import SHARED
from tests.support.small_models import save_random_checkpoint, small_texts

# The rooms that run on Kaggle's images as well; elsewhere a module says `pytestmark`.
KAGGLE_ROOMS = {"backend", "model", "checkpoint", "data", "evaluation", "training"}
NOT_ON_KAGGLE = {"test_sharded_tokens.py"}  # the Hub's file system of its huggingface_hub is older
if find_spec("gradio") is None:  # as there: what imports it cannot even be collected
    collect_ignore_glob = ["playground/*", "hub/test_space_*", "whole/test_space_start.py"]

# What the tests' models are turned into goes with the session, not to the user's own cache.
_assets = tempfile.TemporaryDirectory(prefix="mlm_tests_")
os.environ["HF_ASSETS_CACHE"] = _assets.name
# What one process on JAX has compiled, the next has not to compile again.
os.environ["JAX_COMPILATION_CACHE_DIR"] = f"{_assets.name}/jax"
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"


def pytest_collection_modifyitems(items) -> None:
    for item in items:
        if item.path.parent.name in KAGGLE_ROOMS and item.path.name not in NOT_ON_KAGGLE:
            item.add_marker(pytest.mark.kaggle)


def pytest_collection_finish() -> None:
    """Spare the garbage collector what the imports made: it took a twentieth of the time."""
    gc.freeze()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real texts and vocabularies; tests that need them are skipped where they are absent."""
    folder = SHARED / "data"
    if not folder.is_dir():
        pytest.skip("needs ../shared/data, which is absent here: see docs/data.md")
    return folder


@pytest.fixture(scope="session")
def small_corpus(tmp_path_factory) -> Path:
    """A CSV with a `text` column."""
    path = tmp_path_factory.mktemp("corpus") / "small.csv"
    rows = "\n".join(f'{index},"{text}"' for index, text in enumerate(small_texts()))
    path.write_text(f"id,text\n{rows}\n", encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def small_tokenizer():
    """A WordPiece of about 60 entries."""
    from mlm.data.tokens.tokenizer_training import train_tokenizer

    return train_tokenizer(small_texts(), 64)


@pytest.fixture(scope="session")
def tiny_checkpoint_folder(tmp_path_factory, small_tokenizer) -> Path:
    """ModernBERT, two layers of 32, random weights."""
    folder = tmp_path_factory.mktemp("tiny-modernbert")
    return save_random_checkpoint(folder, small_tokenizer, "modernbert")


@pytest.fixture(scope="session")
def tiny_bert_folder(tmp_path_factory, small_tokenizer) -> Path:
    """BERT, two layers of 32, random weights."""
    return save_random_checkpoint(tmp_path_factory.mktemp("tiny-bert"), small_tokenizer, "bert")
