"""Check and set the variables that Gradio reads, before Gradio is imported."""

import os
import tempfile
from pathlib import Path

from mlm.backend import proxies
from mlm.errors import ConfigError

MAX_PORT = 65_535


def prepare_environment() -> None:
    """Check the variables of ports and proxies, and set those of folders and paths.

    Raises:
        ConfigError: a variable has a value that Gradio would crash on.
    """
    _check_ports()
    if problem := proxies.unusable_proxy():
        raise ConfigError(problem)
    if root_path := os.environ.get("GRADIO_ROOT_PATH"):
        os.environ["GRADIO_ROOT_PATH"] = with_slash(root_path)
    # Gradio asks its own page whether it is there, and no proxy can answer that.
    proxies.keep_direct(os.environ.get("GRADIO_SERVER_NAME", ""))
    _use_own_folder()


def with_slash(root_path: str) -> str:
    """Return a path with a slash in front, without which Gradio does not start; a URL as it is."""
    return root_path if root_path.startswith("/") or "://" in root_path else f"/{root_path}"


def _use_own_folder() -> None:
    """Give Gradio a folder of this user's, if the usual one belongs to another user.

    All users of a machine share the usual one, `gradio` in the folder for temporary files.
    """
    if os.environ.get("GRADIO_TEMP_DIR"):
        return
    usual = Path(tempfile.gettempdir()) / "gradio"
    shared = (usual, usual / "vibe_edit_history")
    if any(path.exists() and not os.access(path, os.W_OK | os.X_OK) for path in shared):
        os.environ["GRADIO_TEMP_DIR"] = tempfile.mkdtemp(prefix="gradio_")


def _check_ports() -> None:
    for name in ("GRADIO_SERVER_PORT", "GRADIO_NUM_PORTS"):
        value = os.environ.get(name)
        if value is not None and not 1 <= _parse_int(value) <= MAX_PORT:
            raise ConfigError(
                f"{name} is {value[:40]!r}; expected a whole number from 1 to {MAX_PORT}, "
                "or leave it unset"
            )


def _parse_int(value: str) -> int:
    """Return the number as Gradio parses it, -1 if it cannot."""
    try:
        return int(value)
    except ValueError:
        return -1
