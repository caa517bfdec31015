"""The processes that train one model together, one for each machine of a cluster. JAX alone has it.

All run the same command. Each computes its own rows of every batch; the first alone reads texts,
writes files and talks to the Hub. They see the same storage where --output_dir lies.

    on machine i of 2    KERAS_DISTRIBUTION_JOB_ADDRESSES=10.0.0.1:1234 \\
                         KERAS_DISTRIBUTION_NUM_PROCESSES=2 KERAS_DISTRIBUTION_PROCESS_ID=i \\
                         python scripts/train.py --distributed ...

On TPU pods, GKE and SLURM, and under Open MPI, JAX knows all of that by itself.
"""

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from mlm.errors import ConfigError, TrainingError, one_line

T = TypeVar("T")

PATIENCE = 7 * 24 * 3600 * 1000  # milliseconds; of a process that is gone JAX itself tells
FAILED = "failed"
_rounds = itertools.count()


def join() -> None:
    """Meet the other processes; to be called before anything is computed.

    ConfigError if the backend is not JAX, or if nothing says who the others are.
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
            f"--distributed, but the other processes cannot be met ({reason}): set "
            "KERAS_DISTRIBUTION_JOB_ADDRESSES, KERAS_DISTRIBUTION_NUM_PROCESSES and "
            "KERAS_DISTRIBUTION_PROCESS_ID, or start it under SLURM, MPI or on a TPU pod"
        ) from None


def count() -> int:
    """How many processes train together; 1 for a run that is alone."""
    return _distributed().process_count() if _distributed() else 1


def index() -> int:
    """Which of them this is, from 0."""
    return _distributed().process_index() if _distributed() else 0


def is_first() -> bool:
    return index() == 0


def _distributed() -> Any:
    """JAX, once the processes have joined; None for a run that is alone."""
    import keras

    if keras.backend.backend() != "jax":
        return None
    import jax

    return jax if jax.distributed.is_initialized() else None


def own_rows(batch: Any) -> Any:
    """Of arrays (B, ...) of a global batch, in tuples or dicts, the rows that are computed here."""
    if count() == 1:
        return batch
    if isinstance(batch, dict):
        return {name: own_rows(part) for name, part in batch.items()}
    if isinstance(batch, tuple):
        return tuple(own_rows(part) for part in batch)
    rows = len(batch) // count()
    return batch[index() * rows : (index() + 1) * rows]


def whole(tensor: Any) -> Any:
    """Inside a program: a tensor (B, ...) of which every process can read all rows."""
    if count() == 1:
        return tensor
    import keras

    mesh = keras.distribution.distribution().device_mesh
    layout = keras.distribution.TensorLayout((None,) * len(tensor.shape), mesh)
    return keras.distribution.distribute_tensor(tensor, layout)


def told_by_all(value: str) -> list[str]:
    """What each process says here, in their order; waits for the slowest.

    To be called by all of them, at the same place of the program. It goes by JAX's coordination
    service and not by the devices: those give up waiting after seconds on some kinds of them.
    """
    if count() == 1:
        return [value]
    from jax._src.distributed import global_state  # as Orbax does: JAX shows it nowhere else

    client: Any = global_state.client
    number = next(_rounds)
    client.key_value_set(f"mlm/{number}/{index()}", value)
    return [client.blocking_key_value_get(f"mlm/{number}/{i}", PATIENCE) for i in range(count())]


def any_of(flag: bool) -> bool:
    """Whether it holds in any process."""
    return "True" in told_by_all(str(bool(flag)))


def check_same(what: str, value: str, mend: str) -> None:
    """ConfigError where the processes do not agree in something: they would train apart."""
    told = told_by_all(value)
    other = next((i for i, each in enumerate(told) if each != told[0]), None)
    if other is not None:
        raise ConfigError(
            f"process 0 has {what} {told[0][:100]}, process {other} has {told[other][:100]}: {mend}"
        )


@contextmanager
def first_before_others() -> Iterator[None]:
    """What the first process writes here, the others find; TrainingError if it failed."""
    if not is_first():
        _check_first()
    try:
        yield
    except BaseException:
        if is_first():
            told_by_all(FAILED)
        raise
    if is_first():
        told_by_all("done")


def only_first(call: Callable[[], T]) -> T | None:
    """The call's result in the first process, which the others wait for; TrainingError there."""
    result = None
    with first_before_others():
        if is_first():
            result = call()
    return result


def _check_first() -> None:
    if told_by_all("waiting")[0] == FAILED:
        raise TrainingError("the first process failed; its own line says why")


def part() -> None:
    """From here on this process computes for itself alone."""
    if count() > 1:
        import keras

        keras.distribution.set_distribution(None)
