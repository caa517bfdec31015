"""config -> trained and published checkpoint: the order of things, and nothing else's detail."""

import dataclasses
import shlex
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlm import hub
from mlm.backend import devices, processes
from mlm.checkpoint.folder import save_checkpoint
from mlm.checkpoint.run_state import TrainingState, newest_state, remove_states
from mlm.errors import ConfigError, HubError, TrainingError, UserError, one_line
from mlm.evaluation.evaluator import Figures
from mlm.training import card as model_card
from mlm.training.card.examples import try_examples
from mlm.training.config import TrainingConfig
from mlm.training.dry_run import dry_run
from mlm.training.preparation import prepare
from mlm.training.record import training_record
from mlm.training.run import TrainingRun, TrainingStopped
from mlm.training.stopping import StopRequest, alone_in, ended_by_signals, stop_on_signals

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
    if not processes.is_first():
        return _train_alone(config, output, lambda line: None, stop)
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
    if config.overwrite_output_dir:  # not before all that can be refused has been looked at
        processes.only_first(lambda: _forget_states(config, output / "state"))
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
    """The finished run, written, and published if it is to be, by the first process."""
    after = run.end()
    record = training_record(run.ready, run.progress, after)
    before = Figures.from_dict(record["metrics"]["before"])
    result = TrainingResult(Path(run.config.output_dir), before, after, record)
    processes.leave_cluster()
    return processes.only_first(lambda: _left(run, result)) or result


def _left(run: TrainingRun, result: TrainingResult) -> TrainingResult:
    """The result on disk and, if it is to be, on the Hub; what it could go on from goes last."""
    config = run.config
    _write(run, result)
    if config.push_to_hub:
        result = _published(result, config, run.report)
    _forget_states(config, run.states)
    return result


def _forget_states(config: TrainingConfig, states: Path) -> None:
    remove_states(states)
    if config.resume_from_hub:
        hub.delete_states(str(config.hub_model_id))


def _check_ends(config: TrainingConfig) -> None:
    """Refuse, before anything is read, what could not be written, pushed or soon computed."""
    devices.check_required_device(config.require_device)
    _check_output(Path(config.output_dir), config)
    if config.hub_model_id and (config.push_to_hub or config.resume_from_hub):
        tag = config.hub_tag if config.push_to_hub else None
        hub.check_push(config.hub_model_id, private=config.hub_private_repo, tag=tag)


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
        if config.resume_from_hub:
            repo_id = str(config.hub_model_id)
            fetched = bool(processes.only_first(lambda: hub.fetch_newest_state(repo_id, root)))
        state = newest_state(root)
    whole = state.run.get("global_batch_size") if state else None
    try:
        run = TrainingRun(prepare(config, tokens, report, global_batch_size=whole), report, stop)
        _check_together(run, state)
        if state:
            run.go_on_from(state)
    except ConfigError:
        if state and fetched:  # another run's: it is not to stand in the way of the one here
            shutil.rmtree(state.folder, ignore_errors=True)
        raise
    return run


def _check_together(run: TrainingRun, state: TrainingState | None) -> None:
    """ConfigError where one process has other texts or another state than the first."""
    mend = "give --output_dir on storage that all of them see, and the same settings"
    fingerprint, step = run.ready.store.fingerprint, state.step if state else 0
    processes.check_same("texts of fingerprint", fingerprint, mend)
    processes.check_same("a state of step", str(step), mend)


def _write(run: TrainingRun, result: TrainingResult) -> None:
    """The checkpoint folder with its record and card."""
    config, start, output = run.config, run.ready.start, Path(run.config.output_dir)
    save_checkpoint(
        start.model,
        start.tokenizer,
        output,
        hf_config=start.hf_config,
        training=result.training,
        dtype=config.save_dtype,
    )
    _try_examples(output, config, run.report)
    model_card.write_model_card(output, config.hub_model_id)
    run.report(f"checkpoint: {output}")


def _try_examples(folder: Path, config: TrainingConfig, report: Callable[[str], None]) -> None:
    """Ask the checkpoint as it was saved for the best words that its card shows."""
    try:
        examples = try_examples(folder, config.example_texts)
        model_card.add_measurements(folder, examples=examples)
    except Exception as error:  # nothing of a card is worth hours of training
        told = one_line(error)
        report(f"the card goes without its examples: {type(error).__name__}: {told}")


def _published(
    result: TrainingResult, config: TrainingConfig, report: Callable[[str], None]
) -> TrainingResult:
    repo_id, private, tag = str(config.hub_model_id), config.hub_private_repo, config.hub_tag
    try:
        if "/" not in repo_id:  # the card is to name it in full
            model_card.name_model_card(result.folder, hub.check_push(repo_id))
        published = hub.push_checkpoint(result.folder, repo_id, private=private, tag=tag)
    except HubError as error:
        command = ["python", "scripts/push.py", str(result.folder), repo_id]
        command += ["--private"] * private + (["--tag", tag] if tag else [])
        raise TrainingError(
            f"{error}; the checkpoint is whole in {shlex.quote(str(result.folder))}: publish it "
            f"with `{shlex.join(command)}`"
        ) from None
    named = f", tag {tag}" if tag else ""
    report(
        f"published {published.repo_id} at commit {published.commit[:12]}{named}: {published.url}"
    )
    return dataclasses.replace(result, published=published)
