"""What several test files share: a small corpus and tiny checkpoints, made here once a session."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("HF_HUB_DISABLE_XET", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")

with suppress(ImportError):
    import triton  # noqa: F401  of PyTorch's builds for GPUs; it crashes if TensorFlow is there first

import pytest

# What the tests' models are turned into goes with the session, not to the user's own cache.
_assets = tempfile.TemporaryDirectory(prefix="mlm_tests_")
os.environ["HF_ASSETS_CACHE"] = _assets.name
# What one process on JAX has compiled, the next has not to compile again.
os.environ["JAX_COMPILATION_CACHE_DIR"] = f"{_assets.name}/jax"
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"

ROOT = Path(__file__).resolve().parent.parent
NOUNS = ("film", "movie", "story", "actor", "ending", "music", "scene", "plot")
VERBS = ("watched", "liked", "hated", "remembered", "enjoyed", "followed")
WORDS = ("great", "boring", "funny", "moving", "strange", "awful", "short", "clever")


def every_family() -> list:
    """The families, for pytest; transformers 5.0 does not tie CamemBERT's head."""
    from transformers import CamembertConfig

    from mlm.checkpoint.families import FAMILIES

    is_tied = hasattr(CamembertConfig(), "tie_word_embeddings")
    skipped = pytest.mark.skipif(not is_tied, reason="this transformers does not tie it")
    return [pytest.param(name, marks=skipped if name == "camembert" else ()) for name in FAMILIES]


def small_texts() -> list[str]:
    """384 distinct sentences whose words depend on each other, so that there is much to learn."""
    return [
        f"I {verb} this {word} {noun}. The {noun} was {word}!"
        for verb in VERBS
        for word in WORDS
        for noun in NOUNS
    ]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real texts and vocabularies; tests that need them are skipped where they are absent."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("needs ../shared/data, which is absent here")
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
    from mlm.data.tokens.wordpiece import train_tokenizer

    return train_tokenizer(small_texts(), 64)


def save_random_checkpoint(folder: Path, tokenizer, model_type: str, **overrides) -> Path:
    """A checkpoint of random weights, large enough that its answers differ from uniform."""
    import keras

    from mlm.checkpoint.families import encoder_config_of, new_config, special_token_ids
    from mlm.checkpoint.folder import save_checkpoint
    from mlm.model.encoder import MaskedLM

    shape = {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 48,
        "max_position_embeddings": 64,
        "initializer_range": 0.5,
        **special_token_ids(model_type, tokenizer),
    }
    hf_config = new_config(model_type, **(shape | overrides))
    keras.utils.set_random_seed(7)
    model = MaskedLM(encoder_config_of(hf_config))
    model.build()
    save_checkpoint(model, tokenizer, folder, hf_config=hf_config)
    return folder


@pytest.fixture(scope="session")
def tiny_checkpoint_folder(tmp_path_factory, small_tokenizer) -> Path:
    """ModernBERT, two layers of 32, random weights."""
    folder = tmp_path_factory.mktemp("tiny-modernbert")
    return save_random_checkpoint(folder, small_tokenizer, "modernbert")


@pytest.fixture(scope="session")
def tiny_bert_folder(tmp_path_factory, small_tokenizer) -> Path:
    """BERT, two layers of 32, random weights."""
    return save_random_checkpoint(tmp_path_factory.mktemp("tiny-bert"), small_tokenizer, "bert")
