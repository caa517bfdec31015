"""A small corpus with structure to learn, and tiny random checkpoints."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

NOUNS = ("film", "movie", "story", "actor", "ending", "music", "scene", "plot")
VERBS = ("watched", "liked", "hated", "remembered", "enjoyed", "followed")
WORDS = ("great", "boring", "funny", "moving", "strange", "awful", "short", "clever")


def every_family() -> list[object]:
    """Return the families as pytest parameters; CamemBERT is skipped if its head is not tied.

    transformers 5.0 does not tie it.
    """
    from transformers import CamembertConfig

    from mlm.checkpoint.families import FAMILIES

    is_tied = hasattr(CamembertConfig(), "tie_word_embeddings")
    skipped = pytest.mark.skipif(not is_tied, reason="this transformers does not tie its head")
    return [pytest.param(name, marks=skipped if name == "camembert" else ()) for name in FAMILIES]


def small_texts() -> list[str]:
    """Return 384 distinct sentences whose words depend on each other."""
    return [
        f"I {verb} this {word} {noun}. The {noun} was {word}!"
        for verb in VERBS
        for word in WORDS
        for noun in NOUNS
    ]


def save_random_checkpoint(
    folder: Path, tokenizer: "PreTrainedTokenizerFast", model_type: str, **overrides: object
) -> Path:
    """Save a checkpoint of random weights, large enough that its answers are not uniform."""
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
