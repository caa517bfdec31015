"""What a family has to say of itself, whatever its name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mlm.checkpoint.families.naming import Names
from mlm.model.encoder_config import EncoderConfig

BERT_TOKENS = {"pad_token_id": "pad"}
ROBERTA_TOKENS = {"pad_token_id": "pad", "bos_token_id": "cls", "eos_token_id": "sep"}


@dataclass(frozen=True)
class Family:
    """How a model family of transformers spells what our encoder has.

    model_type, architecture: as config.json has them.
    prefix: what older files leave out before the encoder's names.
    encoder_config: a transformers config -> EncoderConfig; CheckpointError for what is not known.
    tensor_names: our variable -> the family's tensor, or tensors that are joined along the output
        axis (one product for query, key and value).
    ignored: patterns of tensors that a masked LM has no use for.
    head_biases: the two names of the head's bias, first the tied head's own, then its decoder's.
    token_id_fields: config field -> the special token that it numbers.
    extra_settings: older config fields that transformers translates.
    """

    model_type: str
    architecture: str
    prefix: str
    encoder_config: Callable[[Any], EncoderConfig]
    tensor_names: Callable[[EncoderConfig], Names]
    ignored: tuple[str, ...]
    head_biases: tuple[str, str] | None = None
    token_id_fields: Mapping[str, str] = field(default_factory=lambda: BERT_TOKENS)
    extra_settings: frozenset[str] = frozenset()

    def same_tensors(self, config: EncoderConfig) -> dict[str, str]:
        """Second name -> first: an untied decoder has a bias of its own beside the head's."""
        if self.head_biases is None:
            return {}
        tied, untied = self.head_biases
        return {untied: tied} if config.tie_word_embeddings else {tied: untied}

    def written_twice(self, config: EncoderConfig) -> bool:
        """True if transformers expects the second name in a file as well."""
        return self.head_biases is not None and not config.tie_word_embeddings
