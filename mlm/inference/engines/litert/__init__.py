"""The fast engine: an encoder as LiteRT model files, in float32 or with int8 weights.

LiteRT is TensorFlow's runtime for devices. Its kernels (XNNPACK) and its graphs of variable length
suit single sentences, and it starts without TensorFlow. A checkpoint is converted once, straight
from the safetensors, and the result is cached.

    conversion.py     a checkpoint folder to model files and tables, cached
    graph.py          writes one model file, operator by operator
    encoder_graph.py  the encoder and its head as such files
    inputs.py         the graphs' inputs for given questions: NumPy's part of the encoder
    model_file.py     ModelFile: one model file, opened and run
    engine.py         LiteRTEngine: all of them together
"""

from mlm.inference.engines.litert.conversion import DTYPES, DType
from mlm.inference.engines.litert.engine import LiteRTEngine, is_installed, open_engine

__all__ = ["DTYPES", "DType", "LiteRTEngine", "is_installed", "open_engine"]
