"""CamemBERT (Martin et al. 2020): RoBERTa in French, with a Unigram tokenizer."""

from mlm.families.roberta import (
    EXTRA_SETTINGS,
    IGNORED,
    PREFIX,
    TOKEN_ID_FIELDS,
    encoder_config,
    same_tensors,
    tensor_names,
    written_twice,
)

__all__ = [
    "ARCHITECTURE",
    "EXTRA_SETTINGS",
    "IGNORED",
    "MODEL_TYPE",
    "PREFIX",
    "TOKEN_ID_FIELDS",
    "encoder_config",
    "same_tensors",
    "tensor_names",
    "written_twice",
]

MODEL_TYPE = "camembert"
ARCHITECTURE = "CamembertForMaskedLM"
