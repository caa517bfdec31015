"""The fast engine: an encoder as a LiteRT model, in float32 or with weights in 8 bits.

LiteRT is TensorFlow's runtime for devices; its kernels (XNNPACK) and its graphs of open lengths
suit single sentences, and it starts without TensorFlow. A checkpoint is turned into its format
straight from the safetensors, once, and kept.
"""

from mlm.inference.engines.litert.conversion import DTYPES, DType
from mlm.inference.engines.litert.engine import LiteRTEngine, is_installed, open_engine

__all__ = ["DTYPES", "DType", "LiteRTEngine", "is_installed", "open_engine"]
