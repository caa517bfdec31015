"""Bounds of the numbers in a config.json, and the words that some fields may hold; all families."""

from typing import NamedTuple

from mlm.checkpoint.task import TEXT_PROBLEM_TYPES

MAX_LABELS = 10_000


class Bounds(NamedTuple):
    """A range of numbers, with both ends unless `exclude_low` or `exclude_high` is set.

    integer: whether only integers are in it. null: whether null is allowed as well.
    """

    low: float
    high: float
    integer: bool = True
    exclude_low: bool = False
    exclude_high: bool = False
    null: bool = False

    def allow(self, value: object) -> bool:
        """Return whether a JSON value is in the range; true and false are not numbers."""
        if value is None:
            return self.null
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        if self.integer and not isinstance(value, int):
            return False
        low_fits = value > self.low if self.exclude_low else value >= self.low
        high_fits = value < self.high if self.exclude_high else value <= self.high
        return low_fits and high_fits

    def __str__(self) -> str:
        kind = "an integer" if self.integer else "a number"
        low = f"{'above' if self.exclude_low else 'from'} {self.low:,}"
        high = f"{'below' if self.exclude_high else 'to'} {self.high:,}"
        return f"{kind} {low} {high}{' or null' if self.null else ''}"


WIDTH, DEPTH, HEADS = Bounds(1, 16_384), Bounds(1, 128), Bounds(1, 256)
INNER_WIDTH, LENGTH = Bounds(1, 65_536), Bounds(1, 131_072)
EPSILON = Bounds(0, 0.1, integer=False, exclude_low=True)
ROTARY_BASE = Bounds(0, 1_000_000_000, integer=False, exclude_low=True)
DROPOUT = Bounds(0, 1, integer=False, exclude_high=True, null=True)
NUMBERS = {  # field of any family, at any depth of the file -> its bounds
    "vocab_size": Bounds(1, 2**21),
    "hidden_size": WIDTH,
    "pooler_hidden_size": WIDTH,
    "dim": WIDTH,
    "embedding_size": WIDTH,
    "num_hidden_layers": DEPTH,
    "n_layers": DEPTH,
    "num_hidden_groups": DEPTH,
    "inner_group_num": DEPTH,
    "global_attn_every_n_layers": DEPTH,
    "num_attention_heads": HEADS,
    "n_heads": HEADS,
    "intermediate_size": INNER_WIDTH,
    "hidden_dim": INNER_WIDTH,
    "max_position_embeddings": LENGTH,
    "local_attention": LENGTH,
    "type_vocab_size": Bounds(0, 64),
    "relative_attention_num_buckets": Bounds(1, 1024),
    "max_relative_positions": LENGTH._replace(low=-1),
    "position_buckets": LENGTH._replace(low=-1),
    "conv_kernel_size": Bounds(0, 64),
    "num_labels": Bounds(0, MAX_LABELS),  # transformers makes a dict with that many entries
    "_num_labels": Bounds(0, MAX_LABELS),
    "chunk_size_feed_forward": LENGTH._replace(low=0),
    "layer_norm_eps": EPSILON,
    "norm_eps": EPSILON,
    "rope_theta": ROTARY_BASE,
    "global_rope_theta": ROTARY_BASE,
    "local_rope_theta": ROTARY_BASE,
    "initializer_range": Bounds(0, 10, integer=False, exclude_low=True),
    "initializer_cutoff_factor": Bounds(0, 100, integer=False, exclude_low=True),
}
FLOATS = ("float32", "float16", "bfloat16", "float64")
WORDS: dict[str, tuple[str | None, ...]] = {  # transformers looks up the dtype in torch by name
    "dtype": (*FLOATS, None),
    "torch_dtype": (*FLOATS, None),
    "problem_type": (*TEXT_PROBLEM_TYPES, None),
    "classifier_pooling": ("cls", "mean"),
}
