"""Gradio's own environment variables, looked at before Gradio is imported: it reads them then."""

import os

from mlm.errors import ConfigError

LARGEST_PORT = 65_535


def check_environment() -> None:
    """ConfigError where Gradio would break on what its variables hold."""
    for name in ("GRADIO_SERVER_PORT", "GRADIO_NUM_PORTS"):
        given = os.environ.get(name)
        if given is not None and not 1 <= _whole_number(given) <= LARGEST_PORT:
            raise ConfigError(
                f"{name} is {given[:40]!r}; expected a whole number from 1 to {LARGEST_PORT}, "
                "or no such variable"
            )


def _whole_number(given: str) -> int:
    """What Gradio makes of it, -1 where it would break."""
    try:
        return int(given)
    except ValueError:
        return -1
