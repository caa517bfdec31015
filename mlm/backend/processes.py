r"""The processes of a cluster that train one model together, one for each machine. JAX only.

All run the same command. Each computes its own rows of every batch; only the first reads texts,
writes files and talks to the Hub. All see the same storage at --output_dir.

    on machine i of 2    KERAS_DISTRIBUTION_JOB_ADDRESSES=10.0.0.1:1234 \
                         KERAS_DISTRIBUTION_NUM_PROCESSES=2 KERAS_DISTRIBUTION_PROCESS_ID=i \
                         mlm train --distributed ...

On TPU pods, GKE and SLURM, and under Open MPI, JAX finds all of that by itself.
"""

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar, cast

from mlm.errors import ConfigError, TrainingError, one_line

if TYPE_CHECKING:
    import numpy as np
    from keras import KerasTensor  # for the backend's own tensors

T = TypeVar("T")

TIMEOUT_MS = 7 * 24 * 3600 * 1000  # JAX itself reports a process that has died
FAILED = "failed"
_rounds = itertools.count()


def join_cluster() -> None:
    """Connect to the other processes; to be called before anything is computed.

    Raises ConfigError if the backend is not JAX, or if the other processes are not known.
    """
    import keras

    if keras.backend.backend() != "jax":
        raise ConfigError("--distributed needs JAX: leave KERAS_BACKEND out, or set it to jax")
    import jax

    if jax.distributed.is_initialized():
        return
    try:
        keras.distribution.initialize()
    except (RuntimeError, ValueError) as error:
        reason = one_line(error)
        raise ConfigError(
            f"--distributed, but the other processes cannot be reached ({reason}): set "
            "KERAS_DISTRIBUTION_JOB_ADDRESSES, KERAS_DISTRIBUTION_NUM_PROCESSES and "
            "KERAS_DISTRIBUTION_PROCESS_ID, or start it under SLURM, MPI or on a TPU pod"
        ) from None


def leave_cluster() -> None:
    """Let this process compute by itself from here on, on its own devices."""
    if count() > 1:
        import keras

        keras.distribution.set_distribution(None)


def count() -> int:
    """Return the number of processes that train together; 1 outside a cluster."""
    if not _in_cluster():
        return 1
    import jax

    return int(jax.process_count())


def index() -> int:
    """Return the index of this process, from 0."""
    if not _in_cluster():
        return 0
    import jax

    return jax.process_index()


def is_first() -> bool:
    """Return whether this process reads the texts, writes the files and talks to the Hub."""
    return index() == 0


def _in_cluster() -> bool:
    import keras

    if keras.backend.backend() != "jax":
        return False
    import jax

    return jax.distributed.is_initialized()


def own_rows(batch: T) -> T:
    """Return the rows of a global batch that this process computes.

    batch: an array (B, ...), or arrays in nested tuples or dicts.
    """
    if count() == 1:
        return batch
    if isinstance(batch, dict):
        return cast(T, {name: own_rows(value) for name, value in batch.items()})
    if isinstance(batch, tuple):
        return cast(T, tuple(own_rows(value) for value in batch))
    array = cast("np.ndarray", batch)
    rows = len(array) // count()
    return cast(T, array[index() * rows : (index() + 1) * rows])


def replicate(tensor: "KerasTensor") -> "KerasTensor":
    """Return the tensor with all its rows on every process. Inside a compiled function."""
    if count() == 1:
        return tensor
    import keras

    mesh = keras.distribution.distribution().device_mesh
    layout = keras.distribution.TensorLayout((None,) * len(tensor.shape), mesh)
    return keras.distribution.distribute_tensor(tensor, layout)


def gather_from_all(value: str) -> list[str]:
    """Return the value of each process, in the order of the processes; waits for the slowest.

    All processes have to call it, at the same point of the program. It uses JAX's coordination
    service, not the devices: on some kinds of device a collective times out after seconds.
    """
    if count() == 1:
        return [value]
    from jax._src.distributed import global_state  # as Orbax does: JAX has no public name for it

    client = global_state.client
    assert client is not None  # the process has joined
    number = next(_rounds)
    client.key_value_set(f"mlm/{number}/{index()}", value)
    return [client.blocking_key_value_get(f"mlm/{number}/{i}", TIMEOUT_MS) for i in range(count())]


def any_of(flag: bool) -> bool:
    """Return whether `flag` is true in any process."""
    return "True" in gather_from_all(str(bool(flag)))


def check_same(what: str, value: str, remedy: str) -> None:
    """Raise ConfigError if the processes have different values: they would train apart.

    what, remedy: for the message, the name of the value and what to do.
    """
    values = gather_from_all(value)
    other = next((i for i, each in enumerate(values) if each != values[0]), None)
    if other is not None:
        raise ConfigError(
            f"process 0 has {what} {values[0][:100]}, process {other} has {values[other][:100]}: "
            f"{remedy}"
        )


@contextmanager
def first_before_others() -> Iterator[None]:
    """Run the block in the first process, then in the others, which find what it wrote.

    Raises TrainingError in the others if the first failed.
    """
    if not is_first():
        _wait_for_first()
    try:
        yield
    except BaseException:
        if is_first():
            gather_from_all(FAILED)
        raise
    if is_first():
        gather_from_all("done")


def only_first(call: Callable[[], T]) -> T | None:
    """Call in the first process only, and return the result there; the others wait, for None.

    Raises TrainingError in the others if the first failed.
    """
    result = None
    with first_before_others():
        if is_first():
            result = call()
    return result


def _wait_for_first() -> None:
    if gather_from_all("waiting")[0] == FAILED:
        raise TrainingError("the first process failed; see its own error message")
