"""The story of a training: settings to a published checkpoint, from top to bottom.

    check what can be checked at once -> prepare -> start or resume -> train -> write -> publish

The steps themselves are in run.py, what is read and written in masked_lm.py.
"""

import shutil
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from mlm import hub
from mlm.backend import devices, processes
from mlm.checkpoint.run_state import TrainingState, newest_state, remove_states
from mlm.errors import ConfigError, TrainingError, UserError
from mlm.terminal.progress import hidden_progress, progress
from mlm.training.config import TrainingConfig
from mlm.training.dry_run import dry_run
from mlm.training.first_checks import check_first
from mlm.training.job import Job, Parts, Result
from mlm.training.masked_lm import MaskedLMTraining, TrainingResult
from mlm.training.preparation import prepare
from mlm.training.publishing import publish
from mlm.training.run import TrainingRun, TrainingStopped
from mlm.training.run_lock import run_lock
from mlm.training.run_settings import RunSettings
from mlm.training.stopping import StopRequest, interrupted_by_signals, stop_on_signals
from mlm.training.summary import settings_table

__all__ = ["TrainingResult", "TrainingStopped", "rehearse", "run_job", "train"]


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
    return run_job(MaskedLMTraining(config), report, checked=checked)


def run_job(
    job: Job[Parts, Result], report: Callable[[str], None], *, checked: bool = False
) -> Result:
    """Run a job from its texts to a published checkpoint, or resume it; see `train`."""
    config = job.config
    stop = StopRequest(config.max_train_minutes)
    report = report if processes.is_first() else lambda line: None
    if not checked:
        job.check(report)
    devices.check_required_device(config.require_device)
    if not processes.is_first():
        with hidden_progress():
            return _train(job, report, stop)
    with run_lock(Path(config.output_dir)):
        return _train(job, report, stop)


def rehearse(
    config: TrainingConfig, *, report: Callable[[str], None] = print, checked: bool = False
) -> None:
    """Read everything that `train` would, time a few steps, report what a run would take.

    Writes nothing. Raises UserError for what would stop the run before its first step.
    """
    if not checked:
        check_first(config, report)
    devices.check_required_device(config.require_device)
    # Windows deletes no file that is mapped.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        prepared = prepare(config, Path(folder) / "tokens", report)
        report(settings_table(prepared))
        dry_run(prepared, report)


def _train(job: Job[Parts, Result], report: Callable[[str], None], stop: StopRequest) -> Result:
    config, output = job.config, Path(job.config.output_dir)
    states = output / "state"
    try:
        prepared, run = _start_or_resume(job, states, report, stop)
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
                result = job.result(prepared, run.progress, run.final_figures())
                processes.leave_cluster()
                end = partial(finish, job, prepared, result, report)
                return processes.only_first(end) or result
    except UserError as error:
        raise TrainingError(str(error)) from None
    except KeyboardInterrupt:
        raise TrainingStopped(run.progress.step, prepared.total_steps, output) from None


def _start_or_resume(
    job: Job[Parts, Result],
    states: Path,
    report: Callable[[str], None],
    stop: StopRequest,
) -> tuple[Parts, TrainingRun]:
    """Return a run at its beginning, or at the newest whole state here or on the Hub."""
    config = job.config
    state, was_fetched = _find_state(config, states, report)
    batch_size = state.run.get("global_batch_size") if state else None
    try:
        prepared = job.prepare(report, global_batch_size=batch_size)
        _check_same_everywhere(prepared.fingerprint, state)
        run = TrainingRun(prepared, report, stop)
        if state:
            run.resume(state)
        else:
            job.begin(prepared)
        report(job.summary(prepared, run.progress.step))
    except ConfigError:
        if state and was_fetched:  # another run's: it must not block a run that starts here
            shutil.rmtree(state.folder, ignore_errors=True)
        raise
    return prepared, run


def _find_state(
    config: RunSettings, states: Path, report: Callable[[str], None]
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


def _check_same_everywhere(fingerprint: str, state: TrainingState | None) -> None:
    """Raise ConfigError if the processes of a cluster have other texts or another state."""
    mend = "give --output_dir on storage that all of them see, and the same settings"
    processes.check_same("texts of fingerprint", fingerprint, mend)
    processes.check_same("a state of step", str(state.step if state else 0), mend)


def _stopped_in_preparation(config: RunSettings, states: Path) -> BaseException:
    """Return what to raise for a signal before the first step of this process."""
    state = None if config.starts_again else newest_state(states)
    if state is None:
        return KeyboardInterrupt()
    return TrainingStopped(
        state.step, state.run.get("total_steps", state.step), Path(config.output_dir)
    )


def finish(
    job: Job[Parts, Result], prepared: Parts, result: Result, report: Callable[[str], None]
) -> Result:
    """Write the result, publish it if that is wanted, then remove the states."""
    config = job.config
    with progress("writing the checkpoint"):
        job.write(prepared, result, report)
    if config.push_to_hub:
        with progress(f"uploading to {config.hub_model_id}"):
            result = publish(result, config, report)
    _remove_states(config, Path(config.output_dir) / "state")
    report("\n".join(job.outcome(prepared, result)))
    return result


def _remove_states(config: RunSettings, states: Path) -> None:
    remove_states(states)
    if config.resume_from_hub:
        hub.delete_states(str(config.hub_model_id))
