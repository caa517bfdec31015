"""XLM-RoBERTa (Conneau et al. 2020): RoBERTa on a hundred languages, with a Unigram tokenizer."""

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

MODEL_TYPE = "xlm-roberta"
ARCHITECTURE = "XLMRobertaForMaskedLM"
