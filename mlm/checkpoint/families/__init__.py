"""Model families: configs and tensor names of transformers <-> our encoder.

To add a family, write its file, which ends with its Family, name it in lookup.py, and add its
settings to tests/whole/test_parity.py.

    naming.py       names of a dense layer, a norm, the embeddings
    task_heads.py   TaskHeads: the heads for supervised tasks of a family
    family.py       Family: all that a family defines
    bert.py, albert.py, electra.py, deberta_v2.py, distilbert.py, modernbert.py, mpnet.py,
    roberta.py, camembert.py, xlm_roberta.py    one family each
    lookup.py       the family of a model_type
    configs.py      a new transformers config; the EncoderConfig of one
    tensors.py      shapes of the tensors that a config implies; tensors that are ignored
"""

from mlm.checkpoint.families.configs import encoder_config_of, new_config, special_token_ids
from mlm.checkpoint.families.lookup import FAMILIES, family_of
from mlm.checkpoint.families.tensors import tensor_shapes

__all__ = [
    "FAMILIES",
    "encoder_config_of",
    "family_of",
    "new_config",
    "special_token_ids",
    "tensor_shapes",
]
