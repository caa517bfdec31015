"""A recipe: a YAML file of settings, as `--config` reads it."""

from pathlib import Path

from mlm.checkpoint.strict_json import JsonObject
from mlm.errors import ConfigError, one_line


def read_recipe(path: str | Path) -> JsonObject:
    """Return the settings of a recipe, field names and values. Raises ConfigError."""
    import yaml

    try:
        settings = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"no recipe at {str(path)!r}; --config takes a YAML file") from None
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise ConfigError(f"{str(path)!r} cannot be read as YAML: {one_line(error)}") from None
    if not isinstance(settings, dict):
        raise ConfigError(f"{str(path)!r} holds no settings; write one `field: value` a line")
    return settings
