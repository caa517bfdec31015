"""Fixtures of the fine-tuning tests: a labelled CSV, tiny checkpoints that know its words."""

from pathlib import Path

import pytest

from tests.support.labelled_texts import labelled_texts, write_csv
from tests.support.small_models import save_random_checkpoint

ONE_LAYER = {"num_hidden_layers": 1, "initializer_range": 0.2}


@pytest.fixture(scope="session")
def labelled_csv(tmp_path_factory) -> Path:
    """128 texts of two classes; a word decides."""
    path = tmp_path_factory.mktemp("labelled") / "labelled.csv"
    return write_csv(path, ("text", "label"), labelled_texts())


@pytest.fixture(scope="session")
def words_tokenizer():
    """A WordPiece that has each word of the labelled texts as a token."""
    from mlm.data.tokens.tokenizer_training import train_tokenizer

    return train_tokenizer([text for text, _ in labelled_texts()], 120)


@pytest.fixture(scope="session")
def bert_folder(tmp_path_factory, words_tokenizer) -> Path:
    """BERT with dropout, one layer of 32, random weights."""
    folder = tmp_path_factory.mktemp("bert")
    return save_random_checkpoint(folder, words_tokenizer, "bert", **ONE_LAYER)


@pytest.fixture(scope="session")
def modernbert_folder(tmp_path_factory, words_tokenizer) -> Path:
    """ModernBERT, one layer of 32, random weights."""
    folder = tmp_path_factory.mktemp("modernbert")
    return save_random_checkpoint(folder, words_tokenizer, "modernbert", **ONE_LAYER)
