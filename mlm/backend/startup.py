"""Start a process: choose the Keras backend and import it quietly, without PyTorch."""

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
    """Import Keras and its backend without TensorFlow's log lines or transformers' advice.

    Entry points call this first. KERAS_BACKEND chooses the backend; if it is not set, JAX is chosen
    if only JAX sees a TPU. Exceptions propagate: only the file descriptor of stderr is muted.

    distributed: join the other processes of a cluster; needs JAX.
    """
    if "KERAS_BACKEND" not in os.environ and (distributed or only_jax_sees_a_tpu()):
        os.environ["KERAS_BACKEND"] = "jax"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # By default TensorFlow uses oneDNN only on processors with 8-bit or 16-bit products.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    # By default it counts the machine's CPUs, even if a container may use fewer.
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(available_cpus()))
    keep_pytorch_out()
    with muted_stderr(), garbage_collection_off(), without_scikit_learn():
        import keras

        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            tf.config.list_physical_devices()
            tf.get_logger().setLevel("ERROR")  # it advises programmers, as on retracing
    if distributed:
        processes.join_cluster()


def backend_to_load(*, distributed: bool = False) -> str:
    """Return the name of the library that `load_backend` will import, for people."""
    if os.environ.get("KERAS_BACKEND") == "jax" or distributed:
        return "JAX"
    return "Keras" if has_signs_of_a_tpu() else "TensorFlow"  # a TPU may be JAX's only


@contextmanager
def garbage_collection_off() -> Iterator[None]:
    """Disable the garbage collector during heavy imports and freeze what they allocate.

    Otherwise it would scan all of TensorFlow's modules a dozen times during the import, and again
    whenever a graph is traced.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()


def keep_pytorch_out() -> None:
    """Make PyTorch appear absent in this process, unless it is already imported.

    transformers imports it if it is installed. That takes seconds, and Triton, which PyTorch's
    builds for GPUs bring, crashes beside TensorFlow 2.20.
    """
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")  # "PyTorch was not found"
    sys.modules.setdefault("torch", None)  # type: ignore[arg-type]


def prepare_scipy() -> None:
    """Undo `keep_pytorch_out` once transformers has noted it; call before scikit-learn or scipy.

    scipy looks PyTorch up among the modules and fails at the mark that is left there.
    """
    if "torch" in sys.modules and sys.modules["torch"] is None:
        from transformers.utils.import_utils import is_torch_available

        is_torch_available()  # it remembers the answer
        del sys.modules["torch"]


@contextmanager
def without_scikit_learn() -> Iterator[None]:
    """Make scikit-learn appear absent: Keras imports it if it is installed, which takes a second.

    Keras wants it for wrappers that nothing here uses.
    """
    if "sklearn" in sys.modules:
        yield
        return
    sys.modules["sklearn"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules["sklearn"]


def only_jax_sees_a_tpu() -> bool:
    """Return whether JAX sees a TPU and tensorflow-tpu is not installed, as on Kaggle.

    JAX is imported only if there are signs of a TPU: elsewhere it would claim a GPU.
    """
    if not has_signs_of_a_tpu() or is_installed("tensorflow-tpu") or find_spec("jax") is None:
        return False
    import jax

    try:
        with muted_stderr():
            return bool(jax.devices()[0].platform == "tpu")
    except RuntimeError:  # there are signs of a TPU, but this process may not use it
        return False


_stderr_lock = threading.RLock()  # else two threads could restore each other's muted descriptor


@contextmanager
def muted_stderr() -> Iterator[None]:
    """Discard what C++ libraries write to stderr inside the block."""
    with _stderr_lock:
        sys.stderr.flush()
        stderr, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            os.close(null)
