"""Check the environment variables that Gradio reads, before it is imported."""

import os

from mlm.backend import proxies
from mlm.errors import ConfigError

MAX_PORT = 65_535


def check_environment() -> None:
    """Raise ConfigError if a variable has a value that Gradio would crash on.

    Gradio asks its own page whether it is there, and no proxy can answer that.
    """
    if problem := proxies.unusable_proxy():
        raise ConfigError(problem)
    proxies.keep_direct(os.environ.get("GRADIO_SERVER_NAME", ""))
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
