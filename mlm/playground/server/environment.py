"""Check Gradio's environment variables, before Gradio is imported and reads them."""

import os

from mlm.errors import ConfigError

MAX_PORT = 65_535


def check_environment() -> None:
    """Raise ConfigError if a port variable has a value that Gradio would crash on."""
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
