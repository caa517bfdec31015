"""The story of a training: a TrainingConfig to a published checkpoint, from top to bottom.

    check what can be checked at once -> prepare -> start or resume -> train -> write -> publish

The steps themselves are in run.py, what is written at the end in result.py.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

from mlm import hub
from mlm.backend import devices, processes
from mlm.checkpoint.run_state import TrainingState, newest_state, remove_states
from mlm.errors import ConfigError, TrainingError, UserError
from mlm.training.config import TrainingConfig
from mlm.training.dry_run import dry_run
from mlm.training.preparation import Preparation, prepare
from mlm.training.result import TrainingResult, publish, result_of, write_checkpoint
from mlm.training.run import TrainingRun, TrainingStopped
from mlm.training.stopping import StopRequest, interrupted_by_signals, run_lock, stop_on_signals

__all__ = ["TrainingResult", "TrainingStopped", "rehearse", "train"]


def train(config: TrainingConfig, *, report: Callable[[str], None] = print) -> TrainingResult:
    """Run a training from texts to a published checkpoint, or resume one that was stopped.

    Args:
        config: if `dry_run` is set, call `rehearse` instead.
        report: gets the lines meant for people.

    Raises:
        UserError: what the user can mend, before the first step wherever it can be known then.
        TrainingStopped: after a signal, or when `max_train_minutes` are over.
    """
    if config.dry_run:
        raise ConfigError("dry_run is set; call rehearse, which trains nothing")
    if config.suggest_words is not None:
        raise ConfigError("suggest_words is set; call suggested_words.suggest_words instead")
    stop = StopRequest(config.max_train_minutes)
    _check_destinations(config)
    if not processes.is_first():
        return _train(config, lambda line: None, stop)
    with run_lock(Path(config.output_dir)):
        return _train(config, report, stop)


def rehearse(config: TrainingConfig, *, report: Callable[[str], None] = print) -> None:
    """Read everything that `train` would, time a few steps, report what a run would take.

    Writes nothing. Raises UserError for what would stop the run before its first step.
    """
    _check_destinations(config)
    dry_run(config, report)


def _train(
    config: TrainingConfig, report: Callable[[str], None], stop: StopRequest
) -> TrainingResult:
    output = Path(config.output_dir)
    states = output / "state"
    try:
        prepared, run = _start_or_resume(config, states, report, stop)
    except KeyboardInterrupt:
        raise _stopped_in_preparation(config, states) from None
    if config.overwrite_output_dir:  # only after everything that can be refused was checked
        processes.only_first(lambda: _remove_states(config, states))
    try:
        with run.open_curves():
            with stop_on_signals(stop):
                run.train_to_end()
            with interrupted_by_signals():
                result = result_of(prepared, run.progress, run.final_figures())
                processes.leave_cluster()
                finished = processes.only_first(lambda: _finish(prepared, states, result, report))
                return finished or result
    except UserError as error:
        raise TrainingError(str(error)) from None
    except KeyboardInterrupt:
        raise TrainingStopped(run.progress.step, prepared.total_steps, output) from None


def _check_destinations(config: TrainingConfig) -> None:
    """Raise UserError, before anything is read, if the result could not be written or pushed."""
    devices.check_required_device(config.require_device)
    output = Path(config.output_dir)
    is_finished = (output / "model.safetensors").exists() and newest_state(output / "state") is None
    if is_finished and not config.overwrite_output_dir:
        raise ConfigError(
            f"{str(output)!r} holds a finished checkpoint; give another --output_dir, or "
            "--overwrite_output_dir to replace it when the new run ends"
        )
    if config.hub_model_id and (config.push_to_hub or config.resume_from_hub):
        tag = config.hub_tag if config.push_to_hub else None
        hub.check_push(config.hub_model_id, private=config.hub_private_repo, tag=tag)


def _start_or_resume(
    config: TrainingConfig, states: Path, report: Callable[[str], None], stop: StopRequest
) -> tuple[Preparation, TrainingRun]:
    """Return a run at its beginning, or at the newest whole state here or on the Hub."""
    state, was_fetched = _find_state(config, states)
    batch_size = state.run.get("global_batch_size") if state else None
    try:
        tokens = Path(config.output_dir) / "tokens"
        prepared = prepare(config, tokens, report, global_batch_size=batch_size)
        _check_same_everywhere(prepared, state)
        run = TrainingRun(prepared, report, stop)
        if state:
            run.resume(state)
    except ConfigError:
        if state and was_fetched:  # another run's: it must not block a run that starts here
            shutil.rmtree(state.folder, ignore_errors=True)
        raise
    return prepared, run


def _find_state(config: TrainingConfig, states: Path) -> tuple[TrainingState | None, bool]:
    """Return the state to resume from, if there is one, and whether it was fetched just now."""
    if config.overwrite_output_dir:
        return None, False
    was_fetched = False
    if config.resume_from_hub:
        repo_id = str(config.hub_model_id)
        was_fetched = bool(processes.only_first(lambda: hub.fetch_newest_state(repo_id, states)))
    return newest_state(states), was_fetched


def _check_same_everywhere(prepared: Preparation, state: TrainingState | None) -> None:
    """Raise ConfigError if the processes of a cluster have other texts or another state."""
    mend = "give --output_dir on storage that all of them see, and the same settings"
    processes.check_same("texts of fingerprint", prepared.store.fingerprint, mend)
    processes.check_same("a state of step", str(state.step if state else 0), mend)


def _stopped_in_preparation(config: TrainingConfig, states: Path) -> BaseException:
    """Return what to raise for a signal before the first step of this process."""
    state = None if config.overwrite_output_dir else newest_state(states)
    if state is None:
        return KeyboardInterrupt()
    return TrainingStopped(
        state.step, state.run.get("total_steps", state.step), Path(config.output_dir)
    )


def _finish(
    prepared: Preparation, states: Path, result: TrainingResult, report: Callable[[str], None]
) -> TrainingResult:
    """Write the result, publish it if that is wanted, then remove the states."""
    write_checkpoint(prepared, result, report)
    if prepared.config.push_to_hub:
        result = publish(result, prepared.config, report)
    _remove_states(prepared.config, states)
    return result


def _remove_states(config: TrainingConfig, states: Path) -> None:
    remove_states(states)
    if config.resume_from_hub:
        hub.delete_states(str(config.hub_model_id))
