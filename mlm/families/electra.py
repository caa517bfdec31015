"""ELECTRA (Clark et al. 2020), the generator: BERT with embeddings narrower than its layers.

A discriminator's checkpoint loads as an encoder alone: what it was trained for is no word guessing.
"""

from dataclasses import replace

from mlm.encoder_config import EncoderConfig
from mlm.families import bert
from mlm.families.naming import Names, dense, norm

MODEL_TYPE = "electra"
ARCHITECTURE = "ElectraForMaskedLM"
PREFIX = "electra."
IGNORED = (
    r"electra\.embeddings\.(position_ids|token_type_ids)",
    r"discriminator_predictions\..*",
    r"generator_lm_head\.weight",  # tied to the word embeddings, where not expected
)
TOKEN_ID_FIELDS = {"pad_token_id": "pad"}
EXTRA_SETTINGS = frozenset[str]()


def encoder_config(hf_config) -> EncoderConfig:
    """An ElectraConfig as our EncoderConfig; the head's activation is fixed."""
    return replace(
        bert.encoder_config(hf_config),
        embedding_size=hf_config.embedding_size,
        project_embeddings=hf_config.embedding_size != hf_config.hidden_size,
        head_act="gelu",
    )


def tensor_names(config: EncoderConfig) -> Names:
    """Our variable -> ElectraForMaskedLM's tensor names."""
    names = bert.encoder_names(config, "electra")
    if config.project_embeddings:
        names |= dense("embeddings/projection", "electra.embeddings_project")
    names |= dense("head/dense", "generator_predictions.dense")
    names |= norm("head/norm", "generator_predictions.LayerNorm")
    names["head/bias"] = ("generator_lm_head.bias",)
    if not config.tie_word_embeddings:
        names["head/decoder"] = ("generator_lm_head.weight",)
    return names


def same_tensors(config: EncoderConfig) -> dict[str, str]:
    """ELECTRA has no tensor with a second name."""
    return {}


def written_twice(config: EncoderConfig) -> bool:
    """No second name, nothing to write twice."""
    return False
