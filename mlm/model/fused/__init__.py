"""The encoder's operations other than matmuls, kept apart so that a backend can fuse them.

They are activation, dropout, residual + norm, and loss. Matmuls are most of a step's arithmetic;
these are most of its memory traffic.

    pointwise.py   Keras' own operations, one by one
    tensorflow.py  one compiled loop for each, on a CPU
"""

import keras

from mlm.model.fused.pointwise import PointwiseOps

__all__ = ["PointwiseOps", "make_fused_ops"]


def make_fused_ops() -> PointwiseOps:
    """Return the implementation with the fewest passes over memory that the backend has.

    TensorFlow's takes about a second to compile for each new shape.
    """
    if keras.backend.backend() == "tensorflow":
        from mlm.model.fused.tensorflow import FusedOps

        return FusedOps()
    return PointwiseOps()
