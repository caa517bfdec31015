"""--config_overrides: shapes of a new model, as "hidden_size=256,num_hidden_layers=4"."""

import re
from typing import Any

from mlm.errors import ConfigError


def parse_config_overrides(text: str | None) -> dict[str, Any]:
    """`a=1,b=0.5,c=relu,d=true` -> the same as a dict with typed values."""
    overrides = {}
    for item in filter(None, (part.strip() for part in (text or "").split(","))):
        name, equals, value = item.partition("=")
        if not equals or not name.strip() or not value.strip():
            raise ConfigError(
                f"--config_overrides has {item!r}; write name=value,name=value without spaces"
            )
        overrides[name.strip()] = _typed(value.strip())
    return overrides


def _typed(text: str) -> Any:
    import yaml

    if re.fullmatch(r"[\d.]+e[+-]?\d+", text):
        return float(text)  # YAML takes 1e-5 for text
    try:
        return yaml.safe_load(text)
    except (ValueError, yaml.YAMLError):
        return text
