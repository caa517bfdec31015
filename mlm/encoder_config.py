"""EncoderConfig: the shape of an encoder, whatever its family. Plain numbers, no library.

The two axes on which families differ most:

    BERT        learned positions, norm after each sub-layer, plain MLP, biases everywhere
    ModernBERT  rotary positions, norm before each sub-layer, gated MLP, global and local attention
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class EncoderConfig:
    """The shape of an encoder with its masked-LM head; lengths in tokens, rates in [0, 1].

    attention_windows: a layer's half window (a token sees that many to each side), None for all.
    rotary_thetas: a layer's rotary base; used with `positions="rotary"` only.
    """

    vocab_size: int
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    max_position_embeddings: int
    hidden_act: str
    layer_norm_eps: float
    norm: Literal["pre", "post"]
    positions: Literal["learned", "rotary"]
    attention_windows: tuple[int | None, ...]
    rotary_thetas: tuple[float, ...] = ()
    type_vocab_size: int = 0
    gated_mlp: bool = False
    attention_bias: bool = True
    mlp_bias: bool = True
    norm_bias: bool = True
    head_bias: bool = True
    head_act: str = "gelu"
    decoder_bias: bool = True
    tie_word_embeddings: bool = True
    embedding_dropout: float = 0.0
    hidden_dropout: float = 0.0
    attention_dropout: float = 0.0
    initializer_range: float = 0.02
    residual_initializer_range: float = 0.02
    pad_token_id: int | None = 0

    @property
    def head_dim(self) -> int:
        return self.hidden_size // self.num_attention_heads
