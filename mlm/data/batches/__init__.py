"""Token sequences to masked batches, each a function of (seed, step).

chunking.py         cut a split into sequences of at most max_seq_length tokens
data_order.py       shuffle the sequences of each epoch
length_groups.py    batch sequences of similar length
mask_choice.py      choose the target positions: tokens, whole words or spans
masking.py          replace targets by the mask token or a random word (80/10/10 rule)
dynamic_padding.py  trim the padding that all rows of a batch share
masked_batches.py   the batches of training and of the evaluation protocol
"""

from mlm.errors import ConfigError

MIN_SEQ_LENGTH = 3  # [CLS], one token, [SEP]


def check_max_seq_length(max_seq_length: int) -> None:
    """Raise ConfigError if a sequence cannot hold [CLS], one token and [SEP]."""
    if max_seq_length < MIN_SEQ_LENGTH:
        raise ConfigError(
            f"max_seq_length is {max_seq_length}, but [CLS], one token and [SEP] need "
            f"{MIN_SEQ_LENGTH}: raise it."
        )
