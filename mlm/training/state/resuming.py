"""Whether a run that is started is the run whose state was saved."""

import os
from pathlib import Path
from typing import Any

from mlm.checkpoint.run_state import TrainingState
from mlm.errors import ConfigError
from mlm.training.config import TrainingConfig


def check_same_run(
    state: TrainingState, config: dict[str, Any], fingerprint: str, *, may_differ: set[str]
) -> None:
    """ConfigError naming the settings in which a resumed run would not be the same run."""
    # A state may be older than a setting.
    before = TrainingConfig().to_dict() | state.run["config"]
    changed = [
        f"--{name} was {before.get(name)!r} when this run was saved and is {config[name]!r} now"
        for name in sorted(config.keys() - may_differ)
        if _without_folder(before.get(name)) != _without_folder(config[name])
    ]
    if state.run["fingerprint"] != fingerprint:
        changed.append(
            "the texts or the tokenizer have changed since this run was saved "
            f"({state.run['fingerprint'][:12]} then, {fingerprint[:12]} now)"
        )
    if changed:
        raise ConfigError(
            f"{'; '.join(changed)}; give the old ones, another --output_dir, or "
            "--overwrite_output_dir to start anew"
        )


def _without_folder(value: Any) -> Any:
    """A local path's last part: another machine has the same files elsewhere."""
    if isinstance(value, str) and value.startswith((os.sep, ".", "~")):
        return Path(value).name
    return value
