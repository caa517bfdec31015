"""What the numbers and some words of a config.json may be, whatever the family."""

from typing import Any, NamedTuple

MOST_LABELS = 10_000


class Bounds(NamedTuple):
    """What a number may be: `low` to `high`, with them unless `above` or `below` is set."""

    low: float
    high: float
    whole: bool = True
    above: bool = False
    below: bool = False
    null: bool = False

    def allow(self, value: Any) -> bool:
        """Whether a value is such a number; true and false are none."""
        if value is None:
            return self.null
        if type(value) is not int and (self.whole or type(value) is not float):
            return False
        low_fits = value > self.low if self.above else value >= self.low
        high_fits = value < self.high if self.below else value <= self.high
        return low_fits and high_fits

    def __str__(self) -> str:
        kind = "an integer" if self.whole else "a number"
        low = f"{'above' if self.above else 'from'} {self.low:,}"
        high = f"{'below' if self.below else 'to'} {self.high:,}"
        return f"{kind} {low} {high}{' or null' if self.null else ''}"


WIDTH, DEPTH, HEADS = Bounds(1, 16_384), Bounds(1, 128), Bounds(1, 256)
INNER_WIDTH, LENGTH = Bounds(1, 65_536), Bounds(1, 131_072)
EPSILON = Bounds(0, 0.1, whole=False, above=True)
ROTARY_BASE = Bounds(0, 1_000_000_000, whole=False, above=True)
DROPOUT = Bounds(0, 1, whole=False, below=True, null=True)
NUMBERS = {  # fields of any of the families, at any depth
    "vocab_size": Bounds(1, 2**21),
    "hidden_size": WIDTH,
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
    "num_labels": Bounds(0, MOST_LABELS),  # transformers makes a dict of that many
    "_num_labels": Bounds(0, MOST_LABELS),
    "chunk_size_feed_forward": LENGTH._replace(low=0),
    "layer_norm_eps": EPSILON,
    "norm_eps": EPSILON,
    "rope_theta": ROTARY_BASE,
    "global_rope_theta": ROTARY_BASE,
    "local_rope_theta": ROTARY_BASE,
    "initializer_range": Bounds(0, 10, whole=False, above=True),
    "initializer_cutoff_factor": Bounds(0, 100, whole=False, above=True),
}
FLOATS = ("float32", "float16", "bfloat16", "float64")
WORDS: dict[str, tuple[str | None, ...]] = {  # transformers looks a dtype up in torch by its name
    "dtype": (*FLOATS, None),
    "torch_dtype": (*FLOATS, None),
}
