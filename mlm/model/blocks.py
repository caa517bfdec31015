"""Building blocks of the layers: activations by their transformers names, dense layers, norms."""

import keras
from keras import ops

from mlm.model.encoder_config import EncoderConfig


def exact_gelu(x):
    """Return GELU(x) by the error function, as BERT has it."""
    return ops.gelu(x, approximate=False)


def _tanh_gelu(x):
    return ops.gelu(x, approximate=True)


ACTIVATIONS = {  # transformers' names; several of them name one function
    "gelu": exact_gelu,
    "gelu_python": exact_gelu,
    "gelu_10": lambda x: ops.clip(exact_gelu(x), -10.0, 10.0),
    "gelu_accurate": _tanh_gelu,
    "gelu_fast": _tanh_gelu,
    "gelu_new": _tanh_gelu,
    "gelu_python_tanh": _tanh_gelu,
    "gelu_pytorch_tanh": _tanh_gelu,
    "hardswish": ops.hard_silu,
    "laplace": lambda x: 0.5 * (1.0 + ops.erf((x - 0.707107) / (0.282095 * 2.0**0.5))),
    "leaky_relu": lambda x: ops.leaky_relu(x, negative_slope=0.01),
    "linear": lambda x: x,
    "mish": lambda x: x * ops.tanh(ops.softplus(x)),
    "quick_gelu": lambda x: x * ops.sigmoid(1.702 * x),
    "relu": ops.relu,
    "relu2": lambda x: ops.square(ops.relu(x)),
    "relu6": ops.relu6,
    "sigmoid": ops.sigmoid,
    "silu": ops.silu,
    "swish": ops.silu,
    "tanh": ops.tanh,
}


def normal(std: float) -> keras.initializers.Initializer:
    """Return an initializer for one layer: shared by several, it gives all the same weights."""
    return keras.initializers.TruncatedNormal(stddev=std) if std else keras.initializers.Zeros()


def dense(units: int, std: float, *, bias: bool, dtype, name: str) -> keras.layers.Dense:
    """Return a Dense layer with weights of this standard deviation."""
    return keras.layers.Dense(
        units,
        use_bias=bias,
        kernel_initializer=normal(std),
        dtype=dtype,
        name=name,
    )


def layer_norm(config: EncoderConfig, dtype, name: str) -> keras.layers.LayerNormalization:
    """Return a LayerNormalization with the family's epsilon, and its bias if it has one."""
    return keras.layers.LayerNormalization(
        epsilon=config.layer_norm_eps, center=config.norm_bias, dtype=dtype, name=name
    )
