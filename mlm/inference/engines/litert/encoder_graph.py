"""The encoder of encoder.py as LiteRT graphs, for texts of any length without padding.

Several texts follow each other as one; a bias on the scores keeps them from seeing each other.

Some layers to a graph, and one for the last layer and the head, which are computed for the masks
alone: LiteRT copies a file's weights into the order that its kernels want, and the fewer a file
has, the less there is twice (model_file.py).

What NumPy does as well in no time stays outside (inputs.py): the rows of the embeddings, the tables
of the rotary positions, the biases that hide far tokens or tell distances; so do the masks' rows.
"""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from mlm.checkpoint.weights import StoredWeights
from mlm.errors import UnsupportedError
from mlm.inference.engines.litert.graph import OPEN, Graph, Shape, Tensor
from mlm.inference.engines.litert.inputs import ASKED, bias_name, finite_values, rotary_names
from mlm.inference.engines.litert.model_file import HEAD, LAYERS, STATES
from mlm.model.encoder_config import EncoderConfig, variable_shapes

# Of the flatbuffer, generously: a layer's operators; an output's scale, zero point and bias.
BYTES_A_LAYER, BYTES_AN_OUTPUT = 2**17, 32
WEIGHTS_A_FILE = 2**25  # so many, or one layer, or the last layer and the head


def write_encoder(
    folder: Path, config: EncoderConfig, weights: StoredWeights, *, in_8_bits: bool
) -> None:
    """Write the model files of an encoder: LAYERS for each of `layer_groups`, and HEAD.

    The first layers are given embedded (T, W), all others states (T, H), and what of `tables` of
    Inputs they name; they give states. HEAD, the last layer and the head, is given states, those of
    the masks (P, H) as ASKED, and what it names of `asked_tables`; it gives logits (P, V). All
    float32. Raises UnsupportedError.
    """
    check_supported(config)
    outputs = sum(shape[-1] for shape in variable_shapes(config).values())
    for number, depths in enumerate(layer_groups(config)):
        share = len(depths) / len(config.depths)
        room = BYTES_A_LAYER * (1 + len(depths)) + int(BYTES_AN_OUTPUT * outputs * share)
        with Graph(folder / LAYERS.format(number), room) as graph:
            layers = _Layers(graph, config, weights, in_8_bits)
            graph.write([layers.states(depths, embedded=number == 0)])
    room = 2 * BYTES_A_LAYER + BYTES_AN_OUTPUT * outputs
    with Graph(folder / HEAD, room) as graph:
        graph.write([_Head(graph, config, weights, in_8_bits).logits()])


def layer_groups(config: EncoderConfig) -> list[tuple[int, ...]]:
    """The depths of the layers that stand in one file, for each of the files; not the last one."""
    depths = config.depths[:-1]
    # ALBERT's: a layer at several depths stands in one file, and in the head's once more.
    # One file is there in any case, for the embeddings.
    if len(set(depths)) < max(len(depths), 1):
        return [depths]
    layers = (math.prod(s) for key, s in variable_shapes(config).items() if "layer_" in key)
    each = max(WEIGHTS_A_FILE * config.num_hidden_layers // sum(layers), 1)
    return [depths[start : start + each] for start in range(0, len(depths), each)]


def check_supported(config: EncoderConfig) -> None:
    """UnsupportedError for an encoder that has no graph here."""
    if config.positions == "disentangled":
        raise UnsupportedError("embeddings of distances (DeBERTa)")
    for name in (config.hidden_act, config.head_act):
        if name not in ACTIVATIONS:
            raise UnsupportedError(f"the activation {name}")


Outputs = tuple[int, int | None]


class _Part:
    """Puts operators of an encoder into a graph, with the encoder's weights."""

    def __init__(
        self, graph: Graph, config: EncoderConfig, weights: StoredWeights, in_8_bits: bool
    ):
        self.graph, self.config, self.weights = graph, config, weights
        self.in_8_bits = in_8_bits
        self.made: dict[str, Tensor] = {}  # ALBERT's layers run at several depths

    def norm(self, x: Tensor, name: str) -> Tensor:
        graph = self.graph
        x = graph.subtract(x, graph.mean(x))
        variance = graph.mean(graph.multiply(x, x))
        variance = graph.add(variance, graph.constant([[self.config.layer_norm_eps]]))
        x = graph.multiply(x, graph.operator("RSQRT", [variance], variance.shape))
        x = graph.multiply(x, self.vector(f"{name}/gamma"))
        return graph.add(x, self.vector(f"{name}/beta")) if self.config.norm_bias else x

    def dense(self, x: Tensor, name: str, outputs: Outputs = (0, None)) -> Tensor:
        """A product, or some of its outputs: from the first to before the second."""
        key = f"{name}/kernel {outputs}"
        if key not in self.made:
            kernel = self.value(f"{name}/kernel").T
            if name.endswith("/qkv"):
                kernel = self.scaled(kernel)
            kernel = kernel[slice(*outputs)]
            self.made[key] = self.graph.weights(kernel, in_8_bits=self.in_8_bits)
        return self.graph.dense(x, self.made[key], self.bias(name, outputs))

    def bias(self, name: str, outputs: Outputs) -> Tensor | None:
        if f"{name}/bias" not in variable_shapes(self.config):
            return None
        key = f"{name}/bias {outputs}"
        if key not in self.made:
            values = self.value(f"{name}/bias")
            values = self.scaled(values) if name.endswith("/qkv") else values
            self.made[key] = self.graph.constant(values[slice(*outputs)])
        return self.made[key]

    def scaled(self, qkv: np.ndarray) -> np.ndarray:
        """With the queries, the first third, multiplied by what the scores are to be."""
        scaled = np.array(qkv)
        scaled[: self.config.hidden_size] *= self.config.head_dim**-0.5
        return scaled

    def vector(self, key: str) -> Tensor:
        if key not in self.made:
            self.made[key] = self.graph.constant(self.value(key))
        return self.made[key]

    def value(self, key: str) -> np.ndarray:
        return finite_values(self.weights, key)

    def activation(self, x: Tensor, name: str) -> Tensor:
        return ACTIVATIONS[name](self.graph, x)


class _Layers(_Part):
    """Layers that follow each other."""

    def states(self, depths: tuple[int, ...], *, embedded: bool) -> Tensor:
        """embedded: before them comes what belongs to the embeddings."""
        if embedded:
            x = self.graph.input(STATES, (OPEN, self.config.embedding_width))
            x = self.norm(x, "embeddings/norm")
            if self.config.project_embeddings:
                x = self.dense(x, "embeddings/projection")
        else:
            x = self.graph.input(STATES, (OPEN, self.config.hidden_size))
        for index in depths:
            x = self.layer(x, index)
        return x

    def table(self, name: str, shape: Shape) -> Tensor:
        """An input of that name: see Inputs."""
        if name not in self.made:
            self.made[name] = self.graph.input(name, shape)
        return self.made[name]

    def layer(self, x: Tensor, index: int, asked: Tensor | None = None) -> Tensor:
        """Of all tokens, or of those asked for alone, whose states are given besides."""
        graph, name = self.graph, f"layer_{index}"
        rows = x if asked is None else asked
        if self.config.norm == "post":
            mixed = self.attention(x, asked, index)
            rows = self.norm(graph.add(rows, mixed), f"{name}/attention_norm")
            return self.norm(graph.add(rows, self.mlp(rows, name)), f"{name}/mlp_norm")
        normed, normed_asked = x, asked
        if index:  # ModernBERT's first layer has no norm of its own
            normed = self.norm(x, f"{name}/attention_norm")
            normed_asked = asked and self.norm(asked, f"{name}/attention_norm")
        rows = graph.add(rows, self.attention(normed, normed_asked, index))
        return graph.add(rows, self.mlp(self.norm(rows, f"{name}/mlp_norm"), name))

    def attention(self, x: Tensor, asked: Tensor | None, index: int) -> Tensor:
        graph, config, name = self.graph, self.config, f"layer_{index}/attention"
        of_query = "" if asked is None else ASKED
        heads = (1, OPEN, config.num_attention_heads, config.head_dim)
        query, key, value = (
            graph.reshape(part, heads) for part in self.projected(x, asked, f"{name}/qkv")
        )
        if config.positions == "rotary":
            names = rotary_names(config.rotary_thetas[index])
            query, key = self.rotate(query, names, of_query), self.rotate(key, names)
        query, key, value = (graph.transpose(part, (0, 2, 1, 3)) for part in (query, key, value))
        scores = graph.matmul(query, key, transpose_b=True)
        bias = of_query + bias_name(config.attention_windows[index])
        bias_heads = config.num_attention_heads if config.relative_attention_num_buckets else 1
        scores = graph.add(scores, self.table(bias, (1, bias_heads, OPEN, OPEN)))
        mixed = graph.transpose(graph.matmul(graph.softmax(scores), value), (0, 2, 1, 3))
        return self.dense(graph.reshape(mixed, (OPEN, config.hidden_size)), f"{name}/output")

    def projected(self, x: Tensor, asked: Tensor | None, name: str) -> list[Tensor]:
        """Queries, keys and values, (T, H) each; queries (P, H) of what is asked for."""
        if asked is None:
            return self.graph.split(self.dense(x, name), 3)
        hidden = self.config.hidden_size
        others = self.graph.split(self.dense(x, name, (hidden, None)), 2)
        return [self.dense(asked, name, (0, hidden)), *others]

    def rotate(self, x: Tensor, names: tuple[str, str], of: str = "") -> Tensor:
        graph, shape = self.graph, (1, OPEN, 1, self.config.head_dim // 2)
        cos, sin = (self.table(of + name, shape) for name in names)
        first, second = graph.split(x, 2)
        return graph.concatenate(
            [
                graph.subtract(graph.multiply(first, cos), graph.multiply(second, sin)),
                graph.add(graph.multiply(second, cos), graph.multiply(first, sin)),
            ]
        )

    def mlp(self, x: Tensor, name: str) -> Tensor:
        x = self.dense(x, f"{name}/mlp/input")
        if not self.config.gated_mlp:
            return self.dense(self.activation(x, self.config.hidden_act), f"{name}/mlp/output")
        x, gate = self.graph.split(x, 2)
        x = self.graph.multiply(self.activation(x, self.config.hidden_act), gate)
        return self.dense(x, f"{name}/mlp/output")


class _Head(_Layers):
    """The last layer, and from its states to logits."""

    def logits(self) -> Tensor:
        x, asked = (self.table(name, (OPEN, self.config.hidden_size)) for name in (STATES, ASKED))
        x = self.layer(x, self.config.depths[-1], asked)
        if self.config.norm == "pre":
            x = self.norm(x, "final_norm")
        x = self.activation(self.dense(x, "head/dense"), self.config.head_act)
        return self.decoder(self.norm(x, "head/norm"))

    def decoder(self, x: Tensor) -> Tensor:
        tied = self.config.tie_word_embeddings
        table = self.value("embeddings/word_embeddings" if tied else "head/decoder")
        weights = self.graph.weights(table, in_8_bits=self.in_8_bits)
        bias = self.vector("head/bias") if self.config.decoder_bias else None
        return self.graph.dense(x, weights, bias)


Activation = Callable[[Graph, Tensor], Tensor]


def _plain(operator: str) -> Activation:
    return lambda graph, x: graph.operator(operator, [x], x.shape)


def _gelu(*, approximate: bool) -> Activation:
    def gelu(graph: Graph, x: Tensor) -> Tensor:
        options = schema.GeluOptionsT()
        options.approximate = approximate
        return graph.operator("GELU", [x], x.shape, options)

    return gelu


def _clipped_gelu(graph: Graph, x: Tensor) -> Tensor:
    y, options = _gelu(approximate=False)(graph, x), schema.MaximumMinimumOptionsT()
    y = graph.operator("MINIMUM", [y, graph.constant([10.0])], x.shape, options)
    return graph.operator("MAXIMUM", [y, graph.constant([-10.0])], x.shape, options)


def _leaky_relu(graph: Graph, x: Tensor) -> Tensor:
    options = schema.LeakyReluOptionsT()
    options.alpha = 0.01
    return graph.operator("LEAKY_RELU", [x], x.shape, options)


def _times_sigmoid(steepness: float) -> Activation:
    def times_sigmoid(graph: Graph, x: Tensor) -> Tensor:
        steep = x if steepness == 1 else graph.multiply(x, graph.constant([steepness]))
        return graph.multiply(x, graph.operator("LOGISTIC", [steep], x.shape))

    return times_sigmoid


def _squared_relu(graph: Graph, x: Tensor) -> Tensor:
    y = graph.operator("RELU", [x], x.shape)
    return graph.multiply(y, y)


ACTIVATIONS: dict[str, Activation] = {  # as blocks.py; the others have no operator here
    "gelu": _gelu(approximate=False),
    "gelu_python": _gelu(approximate=False),
    "gelu_10": _clipped_gelu,
    **dict.fromkeys(
        ("gelu_accurate", "gelu_fast", "gelu_new", "gelu_python_tanh", "gelu_pytorch_tanh"),
        _gelu(approximate=True),
    ),
    "hardswish": lambda graph, x: graph.operator(
        "HARD_SWISH", [x], x.shape, schema.HardSwishOptionsT()
    ),
    "leaky_relu": _leaky_relu,
    "linear": lambda graph, x: x,
    "quick_gelu": _times_sigmoid(1.702),
    "relu": _plain("RELU"),
    "relu2": _squared_relu,
    "relu6": _plain("RELU6"),
    "sigmoid": _plain("LOGISTIC"),
    "silu": _times_sigmoid(1.0),
    "swish": _times_sigmoid(1.0),
    "tanh": _plain("TANH"),
}
