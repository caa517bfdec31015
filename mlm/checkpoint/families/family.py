"""Family: all that a model family defines."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from mlm.checkpoint.families.naming import Names
from mlm.checkpoint.families.task_heads import TaskHeads
from mlm.model.encoder_config import EncoderConfig

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

WORD_EMBEDDINGS = "embeddings/word_embeddings"  # our variable
BERT_TOKENS = {"pad_token_id": "pad"}
ROBERTA_TOKENS = {"pad_token_id": "pad", "bos_token_id": "cls", "eos_token_id": "sep"}


@dataclass(frozen=True)
class Family:
    """A model family of transformers: how it configures our encoder and names its tensors.

    Attributes:
        model_type: as in config.json.
        architecture: as in config.json.
        prefix: of the encoder's tensors; older files leave it out.
        encoder_config: a transformers config -> EncoderConfig; CheckpointError for an unsupported
            setting.
        encoder_names: our variable -> the family's tensor, or tensors that are joined along the
            output axis (query, key and value are one product here).
        head_names: the same of the masked-LM head.
        task_heads: the heads for supervised tasks.
        ignored: patterns of tensors that a masked LM does not use.
        head_biases: the two names of the head's bias: the tied head's own, then its decoder's.
        token_id_fields: config field -> the special token whose id it holds.
        extra_settings: older config fields, which transformers translates.
    """

    model_type: str
    architecture: str
    prefix: str
    encoder_config: Callable[["PreTrainedConfig"], EncoderConfig]
    encoder_names: Callable[[EncoderConfig], Names]
    head_names: Callable[[EncoderConfig], Names]
    task_heads: TaskHeads
    ignored: tuple[str, ...]
    head_biases: tuple[str, str] | None = None
    token_id_fields: Mapping[str, str] = field(default_factory=lambda: BERT_TOKENS)
    extra_settings: frozenset[str] = frozenset()

    def tensor_names(self, config: EncoderConfig) -> Names:
        """Return the names of the encoder, then those of its head: of a masked LM or a task."""
        head = config.task_head
        if head is None:
            return self.encoder_names(config) | self.head_names(config)
        return self.encoder_names(config) | self.task_heads.names(head, norm_bias=config.norm_bias)

    def unused_prediction_tensors(self, config: EncoderConfig) -> frozenset[str]:
        """Return the names of the masked-LM head's tensors, tied or not, if the model has none."""
        if config.task_head is None:
            return frozenset()
        names = set(self.head_biases or ())
        for tied in (True, False):
            head = self.head_names(replace(config, tie_word_embeddings=tied))
            names |= {name for group in head.values() for name in group}
        return frozenset(names)

    def same_tensors(self, config: EncoderConfig) -> dict[str, str]:
        """Return second name -> first name of tensors that have two, with the same values.

        A tied decoder is a second name of the word embeddings. The bias of the head has two: an
        untied decoder has one of its own beside the head's. A task head has none.
        """
        names: dict[str, str] = {}
        if config.task_head is not None:
            return names
        if config.tie_word_embeddings:
            names[self.decoder_weight(config)] = self.tensor_names(config)[WORD_EMBEDDINGS][0]
        if self.head_biases is not None:
            tied, untied = self.head_biases
            names |= {untied: tied} if config.tie_word_embeddings else {tied: untied}
        return names

    def decoder_weight(self, config: EncoderConfig) -> str:
        """Return the name of the decoder's matrix, which a tied model need not store."""
        return self.head_names(replace(config, tie_word_embeddings=False))["head/decoder"][0]

    def counts_first(self, second_name: str) -> bool:
        """Return whether a second name counts where both are stored with other values.

        That is the decoder's bias: transformers 5 adds it, and not the head's.
        """
        return self.head_biases is not None and second_name == self.head_biases[1]

    def written_twice(self, config: EncoderConfig) -> bool:
        """Return whether transformers expects the second names in a file as well."""
        is_masked_lm = config.task_head is None
        return is_masked_lm and self.head_biases is not None and not config.tie_word_embeddings
