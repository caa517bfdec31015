"""Check that a run which is resumed is the run whose state was saved."""

from pathlib import Path

from mlm.checkpoint.run_state import TrainingState
from mlm.errors import ConfigError
from mlm.training.config import TrainingConfig
from mlm.training.setting import settings_of


def check_same_run(state: TrainingState, config: TrainingConfig, fingerprint: str) -> None:
    """Raise ConfigError, naming the settings, if a resumed run would not be the run of the state.

    A setting that moves no weights may differ.
    """
    before = TrainingConfig().to_dict() | state.run["config"]  # a state may be older than a setting
    now = config.to_dict()
    changed = [
        f"--{name} was {before.get(name)!r} when this run was saved and is {now[name]!r} now"
        for name, about in sorted(settings_of(config).items())
        if about.moves_weights and _last_part(before.get(name)) != _last_part(now[name])
    ]
    if state.run["fingerprint"] != fingerprint:
        changed.append(
            "the texts or the tokenizer have changed since this run was saved "
            f"({state.run['fingerprint'][:12]} then, {fingerprint[:12]} now)"
        )
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
