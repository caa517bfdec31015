"""--config_overrides: the shape of a new model, as "hidden_size=256,num_hidden_layers=4"."""

import re

from mlm.errors import ConfigError


def parse_config_overrides(text: str | None) -> dict[str, object]:
    """Parse `a=1,b=0.5,c=relu,d=true` into names and typed values. Raises ConfigError."""
    overrides: dict[str, object] = {}
    for item in filter(None, (part.strip() for part in (text or "").split(","))):
        name, equals, value = item.partition("=")
        if not equals or not name.strip() or not value.strip():
            raise ConfigError(
                f"--config_overrides has {item!r}; write name=value,name=value without spaces"
            )
        overrides[name.strip()] = _parse_value(value.strip())
    return overrides


def _parse_value(text: str) -> object:
    import yaml

    if re.fullmatch(r"[\d.]+e[+-]?\d+", text):
        return float(text)  # YAML reads 1e-5 as text
    try:
        value: object = yaml.safe_load(text)
        return value
    except (ValueError, yaml.YAMLError):
        return text
