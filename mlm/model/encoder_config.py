"""EncoderConfig: the shape of an encoder, whatever its family. Plain numbers, no library.

Differences between the families:

    BERT, RoBERTa, XLM-R, CamemBERT   learned positions, norm after each sub-layer, plain MLP
    DistilBERT                        the same without segments
    ELECTRA, ALBERT                   embeddings narrower than the layers; ALBERT's layers shared
    MPNet                             learned positions, and a score bias by relative position
    DeBERTa-v2, DeBERTa-v3            embeddings of relative positions, projected in each layer
    ModernBERT                        rotary positions, norm before, gated MLP, local attention
"""

import math
from dataclasses import dataclass
from typing import Literal

Shape = tuple[int, ...]

# Added to the attention scores of hidden tokens, at most twice. Finite in every number format, so
# that no row is NaN: float16 ends at 65504.
MASKED_OUT = -3e4

# The keys of blocks.ACTIVATIONS; here, because importing blocks.py imports Keras.
ACTIVATION_NAMES = frozenset(
    {
        "gelu",
        "gelu_10",
        "gelu_accurate",
        "gelu_fast",
        "gelu_new",
        "gelu_python",
        "gelu_python_tanh",
        "gelu_pytorch_tanh",
        "hardswish",
        "laplace",
        "leaky_relu",
        "linear",
        "mish",
        "quick_gelu",
        "relu",
        "relu2",
        "relu6",
        "sigmoid",
        "silu",
        "swish",
        "tanh",
    }
)


@dataclass(frozen=True)
class TaskHeadConfig:
    """The shape of a head for a supervised task, in the order of the data flow.

    kind: "sequence" gives logits for each text, "token" for each of its tokens.
    pooling: of a "sequence" head: the first token's state, or the mean over all tokens.
    dense_size: width of the dense layer before the classifier; None if there is none.
    norm: whether a layer norm follows that dense layer.
    dense_dropout, dropout: rates before the dense layer, and before the classifier.
    dense_std, classifier_std: standard deviation of the initial values of each; None for the same.
    truncated_init: whether those values are cut at two standard deviations.
    """

    kind: Literal["sequence", "token"]
    num_labels: int
    pooling: Literal["first", "mean"] = "first"
    dense_size: int | None = None
    dense_act: str = "tanh"
    dense_bias: bool = True
    norm: bool = False
    dense_dropout: float = 0.0
    dropout: float = 0.0
    dense_std: float = 0.02
    classifier_std: float | None = None
    truncated_init: bool = False


@dataclass(frozen=True)
class EncoderConfig:
    """The shape of an encoder with its head; lengths in tokens, rates in [0, 1].

    task_head: the head of a supervised task; None for the masked-LM head.

    embedding_size: width of the token embeddings and of the head, None for hidden_size.
    project_embeddings: whether a dense layer projects the embeddings to hidden_size.
    max_position_embeddings: the longest sequence; `position_offset` more rows precede its rows.
    layer_order: the layer to run at each depth; None for each layer once.
    attention_windows: half window of each layer (tokens seen to each side), None for all tokens.
    rotary_thetas: rotary base of each layer; used with `positions="rotary"` only.
    relative_attention_num_buckets: rows of the table of biases by relative position; 0 for none.
    position_buckets, max_relative_positions: with `positions="disentangled"`, the number of
        relative positions to each side that have an embedding (0: one for each up to the second),
        and the largest relative position.
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
    positions: Literal["learned", "rotary", "disentangled"]
    attention_windows: tuple[int | None, ...]
    rotary_thetas: tuple[float, ...] = ()
    embedding_size: int | None = None
    project_embeddings: bool = False
    position_offset: int = 0
    type_vocab_size: int = 0
    layer_order: tuple[int, ...] | None = None
    relative_attention_num_buckets: int = 0
    position_buckets: int = 0
    max_relative_positions: int = 0
    gated_mlp: bool = False
    attention_bias: bool = True
    mlp_bias: bool = True
    norm_bias: bool = True
    head_bias: bool = True
    head_act: str = "gelu"
    decoder_bias: bool = True
    tie_word_embeddings: bool = True
    embedding_dropout: float = 0.0
    attention_dropout: float = 0.0
    attention_output_dropout: float = 0.0
    mlp_dropout: float = 0.0
    initializer_range: float = 0.02
    residual_initializer_range: float = 0.02
    pad_token_id: int | None = 0
    task_head: TaskHeadConfig | None = None

    @property
    def head_dim(self) -> int:
        """Width of one attention head."""
        return self.hidden_size // self.num_attention_heads

    @property
    def embedding_width(self) -> int:
        """Width of the token embeddings and of the head."""
        return self.embedding_size or self.hidden_size

    @property
    def relative_span(self) -> int:
        """Number of relative positions to each side that have an embedding."""
        return self.position_buckets or self.max_relative_positions

    @property
    def num_outputs(self) -> int:
        """Logits at each position: of the tokens or, of a task's head, of its labels."""
        return self.vocab_size if self.task_head is None else self.task_head.num_labels

    @property
    def has_segments(self) -> bool:
        """Return whether the second text of a pair has embeddings of its own."""
        return self.type_vocab_size > 1

    @property
    def pools_mean(self) -> bool:
        """Return whether the head gets the mean over the tokens of a text."""
        head = self.task_head
        return head is not None and (head.kind, head.pooling) == ("sequence", "mean")

    @property
    def depths(self) -> tuple[int, ...]:
        """Index of the layer at each depth."""
        return self.layer_order or tuple(range(self.num_hidden_layers))


def variable_shapes(config: EncoderConfig) -> dict[str, Shape]:
    """Return the name and shape of every variable of a MaskedLM or TaskModel of this shape.

    Computed without a model, so that a checkpoint that does not fit is refused before it is built.
    """
    hidden = config.hidden_size
    shapes = _embedding_shapes(config)
    if config.relative_attention_num_buckets:
        buckets = config.relative_attention_num_buckets
        shapes["relative_positions/relative_attention_bias"] = (buckets, config.num_attention_heads)
    if config.positions == "disentangled":
        shapes["relative_positions/embeddings"] = (2 * config.relative_span, hidden)
        shapes |= _norm("relative_positions/norm", hidden, config)
    for index in range(config.num_hidden_layers):
        shapes |= _layer_shapes(f"layer_{index}", config, first=index == 0)
    if config.norm == "pre":
        shapes |= _norm("final_norm", hidden, config)
    if config.task_head is None:
        return shapes | _prediction_head_shapes(config)
    return shapes | _task_head_shapes(config, config.task_head)


def num_parameters(config: EncoderConfig) -> int:
    """Return the number of parameters of a MaskedLM or TaskModel of this shape."""
    return sum(math.prod(shape) for shape in variable_shapes(config).values())


def _prediction_head_shapes(config: EncoderConfig) -> dict[str, Shape]:
    width = config.embedding_width
    shapes = _dense("head/dense", config.hidden_size, width, config.head_bias)
    shapes |= _norm("head/norm", width, config)
    if not config.tie_word_embeddings:
        shapes["head/decoder"] = (config.vocab_size, width)
    if config.decoder_bias:
        shapes["head/bias"] = (config.vocab_size,)
    return shapes


def _task_head_shapes(config: EncoderConfig, head: TaskHeadConfig) -> dict[str, Shape]:
    width = config.hidden_size
    shapes: dict[str, Shape] = {}
    if head.dense_size is not None:
        shapes |= _dense("head/dense", width, head.dense_size, head.dense_bias)
        width = head.dense_size
    if head.norm:
        shapes |= _norm("head/norm", width, config)
    return shapes | _dense("head/classifier", width, head.num_labels, bias=True)


def _embedding_shapes(config: EncoderConfig) -> dict[str, Shape]:
    width = config.embedding_width
    shapes: dict[str, Shape] = {"embeddings/word_embeddings": (config.vocab_size, width)}
    if config.positions == "learned":
        rows = config.max_position_embeddings + config.position_offset
        shapes["embeddings/position_embeddings"] = (rows, width)
    if config.type_vocab_size:
        shapes["embeddings/token_type_embeddings"] = (config.type_vocab_size, width)
    shapes |= _norm("embeddings/norm", width, config)
    if config.project_embeddings:
        shapes |= _dense("embeddings/projection", width, config.hidden_size, bias=True)
    return shapes


def _layer_shapes(name: str, config: EncoderConfig, *, first: bool) -> dict[str, Shape]:
    hidden, intermediate = config.hidden_size, config.intermediate_size
    inputs = intermediate * (2 if config.gated_mlp else 1)
    shapes = _dense(f"{name}/attention/qkv", hidden, 3 * hidden, config.attention_bias)
    shapes |= _dense(f"{name}/attention/output", hidden, hidden, config.attention_bias)
    shapes |= _dense(f"{name}/mlp/input", hidden, inputs, config.mlp_bias)
    shapes |= _dense(f"{name}/mlp/output", intermediate, hidden, config.mlp_bias)
    if not (first and config.norm == "pre"):
        shapes |= _norm(f"{name}/attention_norm", hidden, config)
    return shapes | _norm(f"{name}/mlp_norm", hidden, config)


def _dense(name: str, inputs: int, outputs: int, bias: bool) -> dict[str, Shape]:
    shapes: dict[str, Shape] = {f"{name}/kernel": (inputs, outputs)}
    return shapes | {f"{name}/bias": (outputs,)} if bias else shapes


def _norm(name: str, size: int, config: EncoderConfig) -> dict[str, Shape]:
    shapes: dict[str, Shape] = {f"{name}/gamma": (size,)}
    return shapes | {f"{name}/beta": (size,)} if config.norm_bias else shapes
