"""The tensors of a family's checkpoints: the shapes that a config implies, and those not needed."""

import re

from mlm.checkpoint.families.family import Family
from mlm.checkpoint.families.lookup import family_of
from mlm.model.encoder_config import EncoderConfig, Shape, variable_shapes

# Heads of other tasks, which a masked LM does not use.
OTHER_HEADS = (r"(pre_)?classifier\..*", r"qa_outputs\..*")


def tensor_shapes(model_type: str, config: EncoderConfig) -> dict[str, Shape]:
    """Return the tensors that a checkpoint of the config holds: name -> shape as in PyTorch."""
    shapes = variable_shapes(config)
    tensors: dict[str, Shape] = {}
    for key, group in family_of(model_type).tensor_names(config).items():
        shape = shapes[key]
        rows, *columns = reversed(shape) if key.endswith("/kernel") else shape
        tensors |= dict.fromkeys(group, (rows // len(group), *columns))
    return tensors


def is_ignored(family: Family, name: str) -> bool:
    """Return whether a tensor of the family is one that a masked LM does not use, as a pooler."""
    return is_other_head(name) or any(re.fullmatch(pattern, name) for pattern in family.ignored)


def is_other_head(name: str) -> bool:
    """Return whether a tensor belongs to the head of another task, as a classifier."""
    return any(re.fullmatch(pattern, name) for pattern in OTHER_HEADS)
