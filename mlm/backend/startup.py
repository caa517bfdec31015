"""Start a process: choose and import the Keras backend, quietly; keep out what is not needed."""

import gc
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from mlm.backend import processes
from mlm.backend.hardware import available_cpus, has_signs_of_a_tpu, is_installed


def load_backend(*, distributed: bool = False) -> None:
    """Import Keras and its backend without TensorFlow's greetings or transformers' advice.

    Entry points call this first. The backend is KERAS_BACKEND's; where that says nothing, JAX if it
    alone sees a TPU. What Python raises is raised; only the file descriptor is muted.

    distributed: with the other processes of a cluster, which takes JAX, and are met here.
    """
    if "KERAS_BACKEND" not in os.environ and (distributed or only_jax_sees_a_tpu()):
        os.environ["KERAS_BACKEND"] = "jax"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # TensorFlow uses its fast products by itself only where the processor has 8 or 16 bit ones.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    # By itself it counts the machine's, also where a container may use fewer.
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(available_cpus()))
    keep_pytorch_out()
    with muted_stderr(), no_garbage():
        import keras

        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            tf.config.list_physical_devices()
    if distributed:
        processes.join()


@contextmanager
def no_garbage() -> Iterator[None]:
    """Around imports: nothing that they make is looked at for being garbage, then or later.

    Python would look through all of TensorFlow's modules a dozen times while they are imported, and
    again whenever a graph is traced.
    """
    looked = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if looked:
            gc.enable()


def keep_pytorch_out() -> None:
    """Have PyTorch look absent in this process, unless it is there already.

    transformers imports it wherever it is installed. That takes seconds, and Triton, which comes
    with its builds for GPUs, crashes beside TensorFlow 2.20.
    """
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")  # "PyTorch was not found"
    sys.modules.setdefault("torch", None)  # type: ignore[arg-type]


def only_jax_sees_a_tpu() -> bool:
    """Whether this is a machine like Kaggle's with a TPU: JAX's is there, TensorFlow's is not.

    JAX is asked only where something speaks of a TPU: elsewhere it would take hold of a GPU.
    """
    if not has_signs_of_a_tpu() or is_installed("tensorflow-tpu") or find_spec("jax") is None:
        return False
    import jax

    try:
        with muted_stderr():
            return jax.devices()[0].platform == "tpu"
    except RuntimeError:  # the sign of a TPU that is not ours
        return False


_stderr_lock = threading.RLock()  # two at once might each keep what the other one has muted


@contextmanager
def muted_stderr() -> Iterator[None]:
    """Nothing that libraries in C++ say on the error stream gets out of this block."""
    with _stderr_lock:
        sys.stderr.flush()
        kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            os.close(nowhere)
