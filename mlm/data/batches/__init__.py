"""Token sequences to masked batches, each a function of (seed, step).

chunking.py         cut a split into sequences of at most max_seq_length tokens
data_order.py       shuffle the sequences of each epoch
length_groups.py    batch sequences of similar length
mask_choice.py      choose the target positions: tokens, whole words or spans
masking.py          replace targets by the mask token or a random word (80/10/10 rule)
dynamic_padding.py  trim the padding that all rows of a batch share
masked_batches.py   the batches of training
evaluation_batches.py
                    the batches of the evaluation protocol
"""

from mlm.errors import ConfigError, CorpusError

MIN_SEQ_LENGTH = 3  # [CLS], one token, [SEP]


def check_max_seq_length(max_seq_length: int) -> None:
    """Raise ConfigError if a sequence cannot hold [CLS], one token and [SEP]."""
    if max_seq_length < MIN_SEQ_LENGTH:
        raise ConfigError(
            f"max_seq_length is {max_seq_length}, but [CLS], one token and [SEP] need "
            f"{MIN_SEQ_LENGTH}: raise it."
        )


def check_batching(name: str, batch_size: int, seed: int) -> None:
    """Raise ConfigError if batches of this size, called `name`, cannot be drawn with this seed."""
    check_positive(name, batch_size)
    if seed < 0:
        raise ConfigError(f"seed is {seed}: give a whole number of at least 0.")


def check_positive(name: str, value: int) -> None:
    """Raise ConfigError if a count is below 1."""
    if value < 1:
        raise ConfigError(f"{name} is {value}: give a whole number of at least 1.")


def check_not_empty(num_sequences: int) -> None:
    """Raise CorpusError if a split has no sequence."""
    if num_sequences == 0:
        raise CorpusError(
            "The split holds no token: give more texts, or change the share of validation texts."
        )
