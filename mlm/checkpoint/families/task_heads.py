"""TaskHeads: the heads for supervised tasks of a family, as transformers builds them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from mlm.checkpoint.families.naming import Names, dense, norm
from mlm.model.encoder_config import TaskHeadConfig

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

Kind = Literal["sequence", "token"]


@dataclass(frozen=True)
class TaskHeads:
    """The heads `ForSequenceClassification` and `ForTokenClassification` of a family.

    Attributes:
        config: a transformers config, the kind and the number of labels -> TaskHeadConfig.
        dense: the tensor of the dense layer, without its suffix.
        classifier: that of a sequence head's classifier; a token head's is always `classifier`.
        norm: that of the norm behind the dense layer.
    """

    config: Callable[["PreTrainedConfig", Kind, int], TaskHeadConfig]
    dense: str
    classifier: str = "classifier"
    norm: str = ""

    def names(self, head: TaskHeadConfig, *, norm_bias: bool) -> Names:
        """Return our variables -> the tensor names of a head."""
        names: Names = {}
        if head.dense_size is not None:
            names |= dense("head/dense", self.dense, bias=head.dense_bias)
        if head.norm:
            names |= norm("head/norm", self.norm, bias=norm_bias)
        is_of_tokens = head.kind == "token"
        return names | dense("head/classifier", "classifier" if is_of_tokens else self.classifier)


def dense_tanh_head(
    hf_config: "PreTrainedConfig", kind: Kind, num_labels: int, act: str = "tanh"
) -> TaskHeadConfig:
    """Return the head of RoBERTa and its kin: dropout, dense, activation, dropout, classifier."""
    dropout = classifier_dropout(hf_config)
    if kind == "token":
        return TaskHeadConfig(kind, num_labels, dropout=dropout)
    return TaskHeadConfig(
        kind,
        num_labels,
        dense_size=hf_config.hidden_size,
        dense_act=act,
        dense_dropout=dropout,
        dropout=dropout,
    )


def classifier_dropout(hf_config: "PreTrainedConfig", field: str = "classifier_dropout") -> float:
    """Return the dropout rate of a head: the config's own field, or that of its layers."""
    rate: float | None = getattr(hf_config, field, None)
    return hf_config.hidden_dropout_prob if rate is None else rate
