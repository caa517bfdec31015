"""The known families by `model_type`."""

from mlm.checkpoint.families import (
    albert,
    bert,
    camembert,
    deberta_v2,
    distilbert,
    electra,
    modernbert,
    mpnet,
    roberta,
    xlm_roberta,
)
from mlm.checkpoint.families.family import Family
from mlm.errors import CheckpointError

FAMILIES: dict[str, Family] = {
    module.FAMILY.model_type: module.FAMILY
    for module in (
        albert,
        bert,
        camembert,
        deberta_v2,
        distilbert,
        electra,
        modernbert,
        mpnet,
        roberta,
        xlm_roberta,
    )
}
# Masked-LM families of transformers that are not supported, and why.
UNSUPPORTED = {"deberta": "its first version joins query, key and value in another way"}


def family_of(model_type: str | None) -> Family:
    """Return the family of a config's `model_type`; CheckpointError if it is not known."""
    if isinstance(model_type, str) and model_type in UNSUPPORTED:
        raise CheckpointError(
            f"model_type is {model_type!r}, which this encoder does not support: "
            f"{UNSUPPORTED[model_type]}; choose a checkpoint of another family"
        )
    if not isinstance(model_type, str) or model_type not in FAMILIES:
        known = ", ".join(sorted(FAMILIES))
        raise CheckpointError(f"model_type is {model_type!r}; the known families are {known}")
    return FAMILIES[model_type]
