"""The encoder of encoder.py as LiteRT graphs, for texts of any length without padding.

Several texts follow each other as one; a bias on the attention scores separates them.

Each model file holds some layers; one holds the last layer and the head, which are computed at the
target positions only. LiteRT copies a file's weights into the order that its kernels want: with
less in a file, less is in memory twice (model_file.py).

What NumPy computes just as fast stays outside (inputs.py): the rows of the embeddings, the rotary
tables, the biases that depend on distance, and the rows at the target positions.
"""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from mlm.checkpoint.weights import StoredWeights
from mlm.errors import UnsupportedError
from mlm.inference.engines.litert.graph import OPEN, Graph, Shape, Tensor
from mlm.inference.engines.litert.inputs import TARGET, bias_name, finite_values, rotary_names
from mlm.inference.engines.litert.model_file import HEAD, LAYERS, STATES
from mlm.model.encoder_config import EncoderConfig, TaskHeadConfig, variable_shapes

# Upper bounds for the flatbuffer: a layer's operators; an output's scale, zero point and bias.
BYTES_PER_LAYER, BYTES_PER_OUTPUT = 2**17, 32
WEIGHTS_PER_FILE = 2**25  # at most; or one layer, or the last layer and the head


def write_encoder(
    folder: Path, config: EncoderConfig, weights: StoredWeights, *, int8: bool
) -> None:
    """Write the model files of an encoder: LAYERS for each of `layer_groups`, and HEAD.

    All inputs and outputs are float32. The first file takes embeddings (T, W), the others states
    (T, H), and the `Inputs.tables` that they name; they return states (T, H). HEAD, the last layer
    and the head, takes states, those at the target positions (P, H) as TARGET, and the
    `Inputs.tables_with_targets` that it names; it returns logits (P, V). If a task's head gets
    means, HEAD is that head only, and takes the means as TARGET.

    Raises:
        UnsupportedError: no graph for this encoder, or weights that are not finite.
    """
    check_supported(config)
    outputs = sum(shape[-1] for shape in variable_shapes(config).values())
    groups = layer_groups(config)
    for number, depths in enumerate(groups):
        share = len(depths) / len(config.depths)
        room = BYTES_PER_LAYER * (1 + len(depths)) + int(BYTES_PER_OUTPUT * outputs * share)
        with Graph(folder / LAYERS.format(number), room) as graph:
            layers = _Layers(graph, config, weights, int8)
            x = layers.states(depths, embedded=number == 0)
            if config.pools_mean and number == len(groups) - 1:
                x = layers.final_norm(x)
            graph.write([x])
    room = 2 * BYTES_PER_LAYER + BYTES_PER_OUTPUT * outputs
    with Graph(folder / HEAD, room) as graph:
        graph.write([_Head(graph, config, weights, int8).logits()])


def layer_groups(config: EncoderConfig) -> list[tuple[int, ...]]:
    """Return, for each file of layers, the index of the layer at each of its depths.

    The last depth is in HEAD, unless all its states are needed for means. There is at least one
    file, for the embeddings.
    """
    depths = config.depths if config.pools_mean else config.depths[:-1]
    # ALBERT runs a layer at several depths: its weights are in one file, and once more in HEAD.
    if len(set(depths)) < max(len(depths), 1):
        return [depths]
    layers = (math.prod(s) for key, s in variable_shapes(config).items() if "layer_" in key)
    each = max(WEIGHTS_PER_FILE * config.num_hidden_layers // sum(layers), 1)
    return [depths[start : start + each] for start in range(0, len(depths), each)]


def check_supported(config: EncoderConfig) -> None:
    """Raise UnsupportedError for an encoder that has no graph here."""
    if config.positions == "disentangled":
        raise UnsupportedError("relative position embeddings (DeBERTa)")
    head = config.task_head
    for name in (config.hidden_act, config.head_act if head is None else head.dense_act):
        if name not in ACTIVATIONS:
            raise UnsupportedError(f"the activation {name}")


OutputRange = tuple[int, int | None]  # of a dense layer: from the first to before the second


class _Operators:
    """Adds operators of an encoder to a graph, with the encoder's weights."""

    def __init__(self, graph: Graph, config: EncoderConfig, weights: StoredWeights, int8: bool):
        self.graph, self.config, self.weights, self.int8 = graph, config, weights, int8
        self.tensors: dict[str, Tensor] = {}  # each weight once: ALBERT runs a layer repeatedly

    def norm(self, x: Tensor, name: str) -> Tensor:
        graph = self.graph
        x = graph.subtract(x, graph.mean(x))
        variance = graph.mean(graph.multiply(x, x))
        variance = graph.add(variance, graph.constant([[self.config.layer_norm_eps]]))
        x = graph.multiply(x, graph.operator("RSQRT", [variance], variance.shape))
        x = graph.multiply(x, self.vector(f"{name}/gamma"))
        return graph.add(x, self.vector(f"{name}/beta")) if self.config.norm_bias else x

    def dense(self, x: Tensor, name: str, outputs: OutputRange = (0, None)) -> Tensor:
        """Add a dense layer, or some of its outputs."""
        key = f"{name}/kernel {outputs}"
        if key not in self.tensors:
            kernel = self.value(f"{name}/kernel").T
            if name.endswith("/qkv"):
                kernel = self.scale_queries(kernel)
            kernel = kernel[slice(*outputs)]
            self.tensors[key] = self.graph.weights(kernel, int8=self.int8)
        return self.graph.dense(x, self.tensors[key], self.bias(name, outputs))

    def bias(self, name: str, outputs: OutputRange) -> Tensor | None:
        if f"{name}/bias" not in variable_shapes(self.config):
            return None
        key = f"{name}/bias {outputs}"
        if key not in self.tensors:
            values = self.value(f"{name}/bias")
            values = self.scale_queries(values) if name.endswith("/qkv") else values
            self.tensors[key] = self.graph.constant(values[slice(*outputs)])
        return self.tensors[key]

    def scale_queries(self, qkv: np.ndarray) -> np.ndarray:
        """Multiply the queries, the first third, by the scale of the attention scores."""
        scaled = np.array(qkv)
        scaled[: self.config.hidden_size] *= self.config.head_dim**-0.5
        return scaled

    def vector(self, key: str) -> Tensor:
        if key not in self.tensors:
            self.tensors[key] = self.graph.constant(self.value(key))
        return self.tensors[key]

    def value(self, key: str) -> np.ndarray:
        return finite_values(self.weights, key)

    def activation(self, x: Tensor, name: str) -> Tensor:
        return ACTIVATIONS[name](self.graph, x)


class _Layers(_Operators):
    """Layers that follow each other."""

    def states(self, depths: tuple[int, ...], *, embedded: bool) -> Tensor:
        """Add the layers; embedded: the input is embeddings, whose norm comes first."""
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

    def final_norm(self, x: Tensor) -> Tensor:
        return self.norm(x, "final_norm") if self.config.norm == "pre" else x

    def table(self, name: str, shape: Shape) -> Tensor:
        """Add an input of that name; see Inputs."""
        if name not in self.tensors:
            self.tensors[name] = self.graph.input(name, shape)
        return self.tensors[name]

    def layer(self, x: Tensor, index: int, targets: Tensor | None = None) -> Tensor:
        """Add a layer for all tokens.

        With `targets`, the states at the target positions, only those are computed; keys and values
        still cover all tokens.
        """
        graph, name = self.graph, f"layer_{index}"
        rows = x if targets is None else targets
        if self.config.norm == "post":
            mixed = self.attention(x, targets, index)
            rows = self.norm(graph.add(rows, mixed), f"{name}/attention_norm")
            return self.norm(graph.add(rows, self.mlp(rows, name)), f"{name}/mlp_norm")
        normed, normed_targets = x, targets
        if index:  # ModernBERT's first layer has no attention norm
            normed = self.norm(x, f"{name}/attention_norm")
            normed_targets = targets and self.norm(targets, f"{name}/attention_norm")
        rows = graph.add(rows, self.attention(normed, normed_targets, index))
        return graph.add(rows, self.mlp(self.norm(rows, f"{name}/mlp_norm"), name))

    def attention(self, x: Tensor, targets: Tensor | None, index: int) -> Tensor:
        graph, config, name = self.graph, self.config, f"layer_{index}/attention"
        of_query = "" if targets is None else TARGET
        heads = (1, OPEN, config.num_attention_heads, config.head_dim)
        query, key, value = (
            graph.reshape(part, heads) for part in self.project_qkv(x, targets, f"{name}/qkv")
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

    def project_qkv(self, x: Tensor, targets: Tensor | None, name: str) -> list[Tensor]:
        """Add queries, keys and values, (T, H) each; with `targets`, queries (P, H)."""
        if targets is None:
            return self.graph.split(self.dense(x, name), 3)
        hidden = self.config.hidden_size
        keys_and_values = self.graph.split(self.dense(x, name, (hidden, None)), 2)
        return [self.dense(targets, name, (0, hidden)), *keys_and_values]

    def rotate(self, x: Tensor, names: tuple[str, str], prefix: str = "") -> Tensor:
        graph, shape = self.graph, (1, OPEN, 1, self.config.head_dim // 2)
        cos, sin = (self.table(prefix + name, shape) for name in names)
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
    """The last layer, and the head from its states to logits."""

    def logits(self) -> Tensor:
        x, head = self.targets(), self.config.task_head
        if head is not None:
            return self.classifier(x, head)
        x = self.activation(self.dense(x, "head/dense"), self.config.head_act)
        return self.decoder(self.norm(x, "head/norm"))

    def targets(self) -> Tensor:
        """Add the last layer at the target positions; means are ready."""
        shape = (OPEN, self.config.hidden_size)
        if self.config.pools_mean:
            return self.table(TARGET, shape)
        x, targets = (self.table(name, shape) for name in (STATES, TARGET))
        return self.final_norm(self.layer(x, self.config.depths[-1], targets))

    def classifier(self, x: Tensor, head: TaskHeadConfig) -> Tensor:
        self.int8 = False  # from here on: few numbers, whose last digits decide between labels
        if head.dense_size is not None:
            x = self.activation(self.dense(x, "head/dense"), head.dense_act)
        if head.norm:
            x = self.norm(x, "head/norm")
        return self.dense(x, "head/classifier")

    def decoder(self, x: Tensor) -> Tensor:
        tied = self.config.tie_word_embeddings
        table = self.value("embeddings/word_embeddings" if tied else "head/decoder")
        weights = self.graph.weights(table, int8=self.int8)
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


ACTIVATIONS: dict[str, Activation] = {  # those of blocks.py that have operators here
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
