"""The lock of a run on its output folder, against other runs."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mlm.errors import ConfigError

LOCK = ".run.lock"


@contextmanager
def run_lock(folder: Path) -> Iterator[None]:
    """Lock a folder against other runs; ConfigError if another one holds the lock.

    The system frees the lock when the process ends, however that ends.
    """
    from filelock import FileLock, Timeout

    is_new, path = not folder.exists(), folder / LOCK
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path, timeout=0)
        lock.acquire()
    except Timeout:
        raise _is_locked(folder) from None
    except OSError as error:
        raise ConfigError(
            f"cannot write to {str(folder)!r}: {error.strerror}; choose another --output_dir"
        ) from None
    try:
        yield
    finally:
        with suppress(PermissionError):  # Windows: the file is open, and removed when it is closed
            path.unlink(missing_ok=True)
        lock.release()
        if is_new and not any(folder.iterdir()):
            folder.rmdir()  # a run that was refused leaves nothing


def check_not_locked(folder: Path) -> None:
    """Raise ConfigError if another run holds the lock; `run_lock` decides, but later."""
    from filelock import FileLock, Timeout

    path = folder / LOCK
    if not path.exists():
        return
    try:
        with FileLock(path, timeout=0):
            pass  # a killed run has left the file
    except Timeout:
        raise _is_locked(folder) from None
    except OSError:
        return  # `run_lock` says what is wrong


def _is_locked(folder: Path) -> ConfigError:
    return ConfigError(
        f"another run is training in {str(folder)!r}; wait for it, or give another --output_dir"
    )
