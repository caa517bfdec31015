"""config -> trained and published checkpoint: the order of things, and nothing else's detail."""

import dataclasses
import shlex
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlm import devices, hub, model_card
from mlm.checkpoint import save_checkpoint
from mlm.config import TrainingConfig
from mlm.dry_run import dry_run
from mlm.errors import ConfigError, HubError, TrainingError, UserError
from mlm.evaluation import Figures
from mlm.preparation import prepare
from mlm.training_record import training_record
from mlm.training_run import TrainingRun, TrainingStopped
from mlm.training_state import newest_state, remove_states
from mlm.watching import StopRequest, alone_in, ended_by_signals, stop_on_signals

__all__ = ["TrainingResult", "TrainingStopped", "rehearse", "train"]


@dataclass(frozen=True)
class TrainingResult:
    """What a finished run leaves: the checkpoint folder, figures at both ends, where it went."""

    folder: Path
    before: Figures
    after: Figures
    training: dict[str, Any]
    published: Any = None


def rehearse(config: TrainingConfig, *, report: Callable[[str], None] = print) -> None:
    """Read everything that `train` would, time a few steps, report what a run would take.

    Writes nothing. Raises UserError for what would stop the run before its first step.
    """
    _check_ends(config)
    dry_run(config, report)


def train(config: TrainingConfig, *, report: Callable[[str], None] = print) -> TrainingResult:
    """Run a training from texts to a published checkpoint, or go on with one that was stopped.

    `report` gets the lines meant for people. Raises UserError for what a user can mend (before
    the first step wherever it can be known then) and TrainingStopped after a signal, or when
    `max_train_minutes` are over.
    """
    if config.dry_run:
        raise ConfigError("dry_run is set; call rehearse, which trains nothing")
    stop = StopRequest(config.max_train_minutes)
    output = Path(config.output_dir)
    _check_ends(config)
    with alone_in(output):
        return _train_alone(config, output, report, stop)


def _train_alone(
    config: TrainingConfig, output: Path, report: Callable[[str], None], stop: StopRequest
) -> TrainingResult:
    try:
        run = _made_ready(config, report, stop)
    except KeyboardInterrupt:
        state = None if config.overwrite_output_dir else newest_state(output / "state")
        if state is None:
            raise
        total = state.run.get("total_steps", state.step)
        raise TrainingStopped(state.step, total, output) from None
    if config.overwrite_output_dir:
        # Not before all that can be refused has been looked at.
        remove_states(output / "state")
        if config.resume_from_hub:
            hub.delete_states(str(config.hub_model_id))
    try:
        with stop_on_signals(stop):
            run.go()
        with ended_by_signals():
            return _ended(run)
    except UserError as error:
        raise TrainingError(str(error)) from None
    except KeyboardInterrupt:
        raise TrainingStopped(run.progress.step, run.total_steps, output) from None


def _ended(run: TrainingRun) -> TrainingResult:
    """The finished run, published if it is to be; what it could go on from goes last."""
    config = run.config
    result = _finished(run)
    if config.push_to_hub:
        result = _published(result, config, run.report)
    remove_states(run.states)
    if config.resume_from_hub:
        hub.delete_states(str(config.hub_model_id))
    return result


def _check_ends(config: TrainingConfig) -> None:
    """Refuse, before anything is read, what could not be written, pushed or soon computed."""
    devices.check_required_device(config.require_device)
    _check_output(Path(config.output_dir), config)
    if config.hub_model_id and (config.push_to_hub or config.resume_from_hub):
        hub.check_push(config.hub_model_id, private=config.hub_private_repo)


def _check_output(output: Path, config: TrainingConfig) -> None:
    if config.overwrite_output_dir:
        return
    if (output / "model.safetensors").exists() and newest_state(output / "state") is None:
        raise ConfigError(
            f"{str(output)!r} holds a finished checkpoint; give another --output_dir, or "
            "--overwrite_output_dir to replace it when the new run ends"
        )


def _made_ready(
    config: TrainingConfig, report: Callable[[str], None], stop: StopRequest
) -> TrainingRun:
    """A run at its beginning, or where the newest whole state here or on the Hub stands."""
    root, tokens = Path(config.output_dir) / "state", Path(config.output_dir) / "tokens"
    state, fetched = None, False
    if not config.overwrite_output_dir:
        fetched = config.resume_from_hub and hub.fetch_newest_state(str(config.hub_model_id), root)
        state = newest_state(root)
    whole = state.run.get("global_batch_size") if state else None
    try:
        run = TrainingRun(prepare(config, tokens, report, global_batch_size=whole), report, stop)
        if state:
            run.go_on_from(state)
    except ConfigError:
        if state and fetched:  # another run's: it is not to stand in the way of the one here
            shutil.rmtree(state.folder, ignore_errors=True)
        raise
    return run


def _finished(run: TrainingRun) -> TrainingResult:
    """Evaluate once more and write the checkpoint folder with its record and card."""
    after = run.end()
    config, start, output = run.config, run.ready.start, Path(run.config.output_dir)
    record = training_record(run.ready, run.progress, after)
    save_checkpoint(
        start.model,
        start.tokenizer,
        output,
        hf_config=start.hf_config,
        training=record,
        dtype=config.save_dtype,
    )
    model_card.write_model_card(output, config.hub_model_id)
    run.report(f"checkpoint: {output}")
    before = Figures.from_dict(record["metrics"]["before"])
    return TrainingResult(output, before, after, record)


def _published(
    result: TrainingResult, config: TrainingConfig, report: Callable[[str], None]
) -> TrainingResult:
    repo_id = str(config.hub_model_id)
    try:
        published = hub.push_checkpoint(result.folder, repo_id, private=config.hub_private_repo)
    except HubError as error:
        folder = shlex.quote(str(result.folder))
        raise TrainingError(
            f"{error}; the checkpoint is whole in {folder}: publish it with "
            f"`python scripts/push.py {folder} {repo_id}`"
        ) from None
    report(f"published {published.repo_id} at commit {published.commit[:12]}: {published.url}")
    return dataclasses.replace(result, published=published)
