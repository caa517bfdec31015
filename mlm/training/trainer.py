"""The story of a training: a TrainingConfig to a published checkpoint, from top to bottom.

    check what can be checked at once -> prepare -> start or resume -> train -> write -> publish

The steps themselves are in run.py, what is written at the end in result.py.
"""

import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from mlm import hub
from mlm.backend import devices, processes
from mlm.checkpoint.folder import read_training
from mlm.checkpoint.run_state import TrainingState, newest_state, remove_states
from mlm.errors import ConfigError, TrainingError, UserError
from mlm.terminal.progress import hidden_progress, progress
from mlm.training.card.training_json import Example
from mlm.training.config import TrainingConfig
from mlm.training.dry_run import dry_run
from mlm.training.first_checks import check_first
from mlm.training.outcome import outcome_lines
from mlm.training.preparation import Preparation, prepare
from mlm.training.result import TrainingResult, publish, result_of, try_before, write_checkpoint
from mlm.training.run import TrainingRun, TrainingStopped
from mlm.training.run_lock import run_lock
from mlm.training.stopping import StopRequest, interrupted_by_signals, stop_on_signals
from mlm.training.summary import settings_table

__all__ = ["TrainingResult", "TrainingStopped", "rehearse", "train"]


def train(
    config: TrainingConfig, *, report: Callable[[str], None] = print, checked: bool = False
) -> TrainingResult:
    """Run a training from texts to a published checkpoint, or resume one that was stopped.

    Args:
        config: if `dry_run` is set, call `rehearse` instead.
        report: gets the lines meant for people.
        checked: whether `check_first` was called, as the command does before Keras is loaded.

    Raises:
        UserError: an error that the user can correct; before the first step if it is known then.
        TrainingStopped: after a signal, or when `max_train_minutes` are over.
    """
    if config.dry_run:
        raise ConfigError("dry_run is set; call rehearse, which trains nothing")
    if config.suggest_words is not None:
        raise ConfigError("suggest_words is set; call suggested_words.suggest_words instead")
    stop = StopRequest(config.max_train_minutes)
    report = report if processes.is_first() else lambda line: None
    _check(config, checked, report)
    if not processes.is_first():
        with hidden_progress():
            return _train(config, report, stop)
    with run_lock(Path(config.output_dir)):
        return _train(config, report, stop)


def rehearse(
    config: TrainingConfig, *, report: Callable[[str], None] = print, checked: bool = False
) -> None:
    """Read everything that `train` would, time a few steps, report what a run would take.

    Writes nothing. Raises UserError for what would stop the run before its first step.
    """
    _check(config, checked, report)
    dry_run(config, report)


def _check(config: TrainingConfig, checked: bool, report: Callable[[str], None]) -> None:
    if not checked:
        check_first(config, report)
    devices.check_required_device(config.require_device)


def _train(
    config: TrainingConfig, report: Callable[[str], None], stop: StopRequest
) -> TrainingResult:
    output = Path(config.output_dir)
    states = output / "state"
    try:
        prepared, run, examples = _start_or_resume(config, states, report, stop)
    except KeyboardInterrupt:
        raise _stopped_in_preparation(config, states) from None
    if config.starts_again:  # only after everything that can be refused was checked
        if states.exists():
            report(f"starting again: the states in {states} are deleted")
        processes.only_first(lambda: _remove_states(config, states))
    try:
        with run.open_curves():
            with stop_on_signals(stop, report):
                run.train_to_end()
            with interrupted_by_signals():
                result = result_of(prepared, run.progress, run.final_figures())
                processes.leave_cluster()
                finish = partial(_finish, prepared, states, result, examples, report)
                return processes.only_first(finish) or result
    except UserError as error:
        raise TrainingError(str(error)) from None
    except KeyboardInterrupt:
        raise TrainingStopped(run.progress.step, prepared.total_steps, output) from None


def _start_or_resume(
    config: TrainingConfig, states: Path, report: Callable[[str], None], stop: StopRequest
) -> tuple[Preparation, TrainingRun, list[Example]]:
    """Return a run at its beginning, or at the newest whole state here or on the Hub.

    With it come the best words of the initial checkpoint for the card's examples.
    """
    state, was_fetched = _find_state(config, states, report)
    batch_size = state.run.get("global_batch_size") if state else None
    try:
        tokens = Path(config.output_dir) / "tokens"
        prepared = prepare(config, tokens, report, global_batch_size=batch_size)
        _check_same_everywhere(prepared, state)
        examples = try_before(prepared, report)
        run = TrainingRun(prepared, report, stop)
        if state:
            run.resume(state)
        report(settings_table(prepared, run.progress.step))
    except ConfigError:
        if state and was_fetched:  # another run's: it must not block a run that starts here
            shutil.rmtree(state.folder, ignore_errors=True)
        raise
    return prepared, run, examples


def _find_state(
    config: TrainingConfig, states: Path, report: Callable[[str], None]
) -> tuple[TrainingState | None, bool]:
    """Return the state to resume from, if there is one, and whether it was fetched just now."""
    if config.starts_again:
        return None, False
    was_fetched = False
    if config.resume_from_hub:
        repo_id = str(config.hub_model_id)
        with progress(f"looking for a state of the run on {repo_id}"):
            fetched = processes.only_first(lambda: hub.fetch_newest_state(repo_id, states))
        was_fetched = bool(fetched)
    with progress("checking the saved state"):
        state = newest_state(states)
    has_traces = states.exists() or (states.parent / "tokens").exists()
    if state is None and (has_traces or config.resume_from_hub):
        report(f"no state to resume in {states.parent}: starting at step 0")
    return state, was_fetched


def _check_same_everywhere(prepared: Preparation, state: TrainingState | None) -> None:
    """Raise ConfigError if the processes of a cluster have other texts or another state."""
    mend = "give --output_dir on storage that all of them see, and the same settings"
    processes.check_same("texts of fingerprint", prepared.store.fingerprint, mend)
    processes.check_same("a state of step", str(state.step if state else 0), mend)


def _stopped_in_preparation(config: TrainingConfig, states: Path) -> BaseException:
    """Return what to raise for a signal before the first step of this process."""
    state = None if config.starts_again else newest_state(states)
    if state is None:
        return KeyboardInterrupt()
    return TrainingStopped(
        state.step, state.run.get("total_steps", state.step), Path(config.output_dir)
    )


def _finish(
    prepared: Preparation,
    states: Path,
    result: TrainingResult,
    examples_before: Sequence[Example],
    report: Callable[[str], None],
) -> TrainingResult:
    """Write the result, publish it if that is wanted, then remove the states."""
    config = prepared.config
    with progress("writing the checkpoint"):
        write_checkpoint(prepared, result, report)
    if config.push_to_hub:
        with progress(f"uploading to {config.hub_model_id}"):
            result = publish(result, config, report)
    _remove_states(config, states)
    record = read_training(result.folder) or result.training
    report("\n".join(outcome_lines(config, record, examples_before)))
    return result


def _remove_states(config: TrainingConfig, states: Path) -> None:
    remove_states(states)
    if config.resume_from_hub:
        hub.delete_states(str(config.hub_model_id))
