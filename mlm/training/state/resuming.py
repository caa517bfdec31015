"""Check that a run which is resumed is the run whose state was saved."""

from collections.abc import Sequence
from pathlib import Path

from mlm.checkpoint.run_state import TrainingState
from mlm.checkpoint.strict_json import JsonObject
from mlm.errors import ConfigError
from mlm.training.run_settings import RunSettings
from mlm.training.setting import settings_of


def check_same_run(state: TrainingState, config: RunSettings, fingerprint: str) -> None:
    """Raise ConfigError, naming the settings, if a resumed run would not be the run of the state.

    A setting that moves no weights may differ.
    """
    changed = _changed_settings(state.run, config)
    if state.run["fingerprint"] != fingerprint:
        changed.append(
            "the texts or the tokenizer have changed since this run was saved "
            f"({state.run['fingerprint'][:12]} then, {fingerprint[:12]} now)"
        )
    _refuse(changed)


def check_same_settings(run: JsonObject, config: RunSettings) -> None:
    """Check as `check_same_run` does what can be checked before texts are read.

    run: the content of a state's run.json.
    """
    _refuse(_changed_settings(run, config))


def _changed_settings(run: JsonObject, config: RunSettings) -> list[str]:
    before = type(config)().to_dict() | run["config"]  # a state may be older than a setting
    now = config.to_dict()
    return [
        f"--{name} was {before.get(name)!r} when this run was saved and is {now[name]!r} now"
        for name, about in sorted(settings_of(config).items())
        if about.moves_weights and _last_part(before.get(name)) != _last_part(now[name])
    ]


def _refuse(changed: Sequence[str]) -> None:
    if changed:
        raise ConfigError(
            f"{'; '.join(changed)}; give the old ones, another --output_dir, or "
            "--discard_state to start again"
        )


def _last_part(value: object) -> object:
    """Return the last part of a local path: another machine has the same files elsewhere."""
    if isinstance(value, str) and (value.startswith((".", "~")) or Path(value).is_absolute()):
        return Path(value).name
    return value
