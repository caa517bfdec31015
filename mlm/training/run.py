"""The steps of one training run: in order, exact, stoppable between any two of them."""

import dataclasses
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NoReturn

from mlm.backend import processes
from mlm.backend.input_pipeline import make_input_pipeline
from mlm.checkpoint.run_state import (
    TrainingState,
    newest_state,
    restore_state,
    snapshot,
    state_of_step,
)
from mlm.checkpoint.strict_json import JsonObject
from mlm.checkpoint.weights import round_weights
from mlm.errors import TrainingError
from mlm.evaluation.evaluator import EvaluationStopped
from mlm.terminal.progress import Bar
from mlm.terminal.progress import progress as sign_of_life
from mlm.training.compiled_learner import compile_learner
from mlm.training.event_log import EventLog
from mlm.training.progress import StepBar, StepCounter, step_bar
from mlm.training.run_parts import RunFigures, RunParts
from mlm.training.run_progress import Progress
from mlm.training.state.resuming import check_same_run
from mlm.training.state.saver import StateSaver
from mlm.training.step.dataset import TrainingDataset
from mlm.training.stopping import StopRequest


def evaluations_after(step: int, total_steps: int, every: int) -> int:
    """Return how many evaluations follow this step: every so many steps, and at the end."""
    return (total_steps - 1) // every - step // every + 1


class TrainingStopped(Exception):
    """A signal or the clock ended the run in order; `folder` holds a state to resume from."""

    def __init__(self, step: int, total_steps: int, folder: Path):
        """Keep where the run stopped."""
        super().__init__(f"stopped at step {step} of {total_steps}; the state is in {folder}")
        self.step, self.total_steps, self.folder = step, total_steps, folder


class TrainingRun:
    """One run: `resume` if there is a state, then, inside `open_curves`, train and measure.

    progress: where the run is, and its curves.
    """

    def __init__(self, prepared: RunParts, report: Callable[[str], None], stop: StopRequest):
        """Compile for the device; raises ConfigError if the curves cannot be written."""
        self.config, self.progress = prepared.config, Progress()
        self._prepared, self._report, self._stop = prepared, report, stop
        output = Path(self.config.output_dir)
        self._saver = StateSaver(self.config, output / "state", stop, report)
        self._events = EventLog(output / "logs" if self.config.report_to == "tensorboard" else None)
        self._learner, self._optimizer, self._loss = compile_learner(prepared)
        with prepared.device.scope():
            self._evaluator = prepared.make_evaluator()

    # Resume

    def resume(self, state: TrainingState) -> None:
        """Continue from a saved state. Raises ConfigError if it is another run's."""
        check_same_run(state, self.config, self._prepared.fingerprint)
        restore_state(state, self._prepared.model, self._optimizer)
        self.progress = Progress(**state.run["progress"])
        self._report(f"resuming from step {state.step} ({state.folder})")
        policy = self._prepared.device.policy
        if state.run.get("policy", policy) != policy:
            self._optimizer.reset_loss_scale()
            self._report(
                f"computed in {state.run['policy']} until here, in {policy} from here on: "
                "the same run, but not to the last digit"
            )
        self._check_best_state()

    def _check_best_state(self) -> None:
        """If the best state so far is not here, say so and keep the best from now on."""
        best = self.progress.best_step
        if not self.config.load_best_model_at_end or best == self.progress.step:
            return
        if state_of_step(self._saver.folder, best) is None:
            self.progress.best_loss = None
            self._report(
                f"the state of the best step so far, {best}, is not in {self._saver.folder}: the "
                "best of the following steps will be kept"
            )

    # Train

    @contextmanager
    def open_curves(self) -> Iterator[None]:
        """Write curves in the block, around `train_to_end` and `final_figures`."""
        if processes.is_first():
            self._events.open(self.progress.step)
        try:
            yield
        finally:
            self._events.close()

    def train_to_end(self) -> None:
        """Train to the last step. Raises TrainingStopped if the run has to end before."""
        # A run that ended well needs no state; one that was stopped is resumed elsewhere.
        with self._saver.open(lambda: self._stop.is_asked() or not self._is_over()):
            if self.progress.before is None:
                self._evaluate_before()
            self._evaluate_if_due()  # if the run was stopped before it evaluated
            self._train_with_pauses()
            self._report_early_stop()
            self._save()  # what is killed or fails after this need not train again
            with sign_of_life("writing the last state"):
                self._saver.wait()
        if processes.any_of(self._stop.is_asked()):
            raise self._make_stopped()

    def _train_with_pauses(self) -> None:
        if processes.any_of(self._stop.is_asked()):  # before the first step is compiled
            self._save_and_stop()
        with step_bar(self._prepared.total_steps, self.progress.step) as steps:
            for step in self._pauses():
                steps.bar.seconds_later = self._seconds_of_evaluations()
                self._train_until(step, steps)
                self._pause()

    def _seconds_of_evaluations(self) -> float:
        """Return the seconds of the evaluations to come, those between the steps and the last."""
        step, every = self.progress.step, self.config.eval_steps
        count = evaluations_after(step, self._prepared.total_steps, every)
        return count * self.progress.evaluation_seconds

    def _pauses(self) -> Iterator[int]:
        """Yield the steps at which training pauses to log, evaluate or save."""
        config = self.config
        while not self._is_over():
            step = self.progress.step
            ends = [
                step - step % every + every
                for every in (config.logging_steps, config.eval_steps, config.save_steps)
            ]
            yield min(*ends, self._prepared.total_steps)

    def _is_over(self) -> bool:
        """Return whether this is the last step, or early stopping ends the run."""
        return self._has_stalled() or self.progress.step >= self._prepared.total_steps

    def _has_stalled(self) -> bool:
        patience = self.config.early_stopping_patience
        return patience is not None and self.progress.evaluations_without_gain >= patience

    def _report_early_stop(self) -> None:
        step, total = self.progress.step, self._prepared.total_steps
        if self._has_stalled() and step < total:
            self._report(
                f"ended at step {step:,} of {total:,}: no gain on held-out texts in "
                f"{self.progress.evaluations_without_gain} evaluations (--early_stopping_patience)"
            )

    def _train_until(self, end: int, steps: StepBar) -> None:
        """Train to step `end`, or to a step before it after which to stop or to save."""
        progress, started = self.progress, time.monotonic()
        self._loss.carry(progress.unfinished_mean)
        dataset = TrainingDataset(self._prepared.batches, progress.step, end)
        counter = StepCounter(steps, self._ends_early, dataset.length_of)
        batches = make_input_pipeline(dataset)
        self._learner.fit(batches, verbose=0, shuffle=False, callbacks=[counter])
        progress.step += counter.steps
        progress.seconds += time.monotonic() - started
        self._check_skipped_steps()
        progress.unfinished_mean = self._loss.sums()
        steps.end()
        if progress.step == end:
            self._log(steps.bar)

    def _ends_early(self) -> bool:
        return self._stop.is_set() or self._saver.is_due()

    def _check_skipped_steps(self) -> None:
        """Report a non-finite step that was skipped; TrainingError if it is one too many."""
        count, last = self._optimizer.read_skipped()
        if count == self.progress.skipped_steps:
            return
        self.progress.skipped_steps = count
        said = f"the loss or its gradient was not finite at step {last + 1}"
        if count > self.config.skip_bad_steps:  # then `last` is the first of those too many
            state = newest_state(self._saver.folder)
            where = f"the newest state is {state.folder}" if state else "no state was saved yet"
            raise TrainingError(
                f"{said}; lower --learning_rate, raise --warmup_steps, or skip such steps with "
                f"--skip_bad_steps; {where}"
            )
        self._report(f"{said}: skipped, {count} in all")

    def _log(self, bar: Bar) -> None:
        progress = self.progress
        loss, progress.unfinished_mean = float(self._loss.result()), None
        if not self._loss.sums()[1]:
            return  # every step since the last point was skipped
        progress.loss_curve.append([progress.step, round(loss, 5)])
        speed = progress.tokens_per_second(self._prepared.batches.tokens_per_step)
        bar.note = f"loss {loss:.3f}, {speed:,.0f} tokens/s"
        self._events.scalar("train/loss", loss, progress.step)
        self._events.scalar("train/tokens_per_second", speed, progress.step)

    def _pause(self) -> None:
        """Evaluate and save if due. Raises TrainingStopped if the run has to stop here."""
        progress, config = self.progress, self.config
        if processes.any_of(self._stop.is_set()):
            self._save_and_stop()
        self._saver.check()
        if progress.step == self._prepared.total_steps:
            return  # `final_figures` does the rest
        saved = self._evaluate_if_due()
        if not saved and (progress.step % config.save_steps == 0 or self._saver.is_due()):
            self._save()

    def _save_and_stop(self) -> NoReturn:
        self._save()
        self._saver.wait()
        raise self._make_stopped()

    def _make_stopped(self) -> TrainingStopped:
        output = Path(self.config.output_dir)
        return TrainingStopped(self.progress.step, self._prepared.total_steps, output)

    # Evaluate

    def final_figures(self) -> RunFigures:
        """Return the figures of the weights that the run ends with, the last ones or the best."""
        self._round_weights()
        figures = self._evaluate("after")
        if self.progress.validation_loss() is None:
            self._note(figures)
        if not self.config.load_best_model_at_end or self.progress.best_step == self.progress.step:
            return figures
        best = state_of_step(self._saver.folder, self.progress.best_step)
        if best is None:
            self._report(
                f"the state of the best step, {self.progress.best_step}, is missing from "
                f"{self._saver.folder}: the last weights are kept instead"
            )
            self.progress.best_step = self.progress.step
            return figures
        restore_state(best, self._prepared.model, self._optimizer)
        self._round_weights()
        return self._evaluate(f"best, step {best.step}")

    def _round_weights(self) -> None:
        """Round to the number format of the checkpoint: what is published is what is measured."""
        round_weights(self._prepared.model, self.config.save_dtype)

    def _evaluate_before(self) -> None:
        figures = self._evaluate("before")
        self.progress.before = figures.to_dict()
        self._note(figures)
        if self.config.load_best_model_at_end:
            self._save()

    def _evaluate_if_due(self) -> bool:
        """Evaluate if this step is due; return whether its weights, as the best, were saved."""
        progress, config = self.progress, self.config
        is_between = 0 < progress.step < self._prepared.total_steps
        is_due = is_between and progress.step % config.eval_steps == 0
        if not is_due or progress.validation_loss() is not None:
            return False
        is_best = self._note(self._evaluate(f"step {progress.step}"))
        if is_best and config.load_best_model_at_end:
            self._save()
            return True
        return False

    def _note(self, figures: RunFigures) -> bool:
        """Enter figures into the curve; return whether they are the best so far."""
        self._events.scalar("validation/loss", figures.loss, self.progress.step)
        return self.progress.note_evaluation(figures.loss, figures.criterion)

    def _evaluate(self, when: str) -> RunFigures:
        try:
            with self._stop.keeping_back():
                figures = self._evaluator.figures(self._stops_in_evaluations)
        except EvaluationStopped:  # the run that resumes here repeats it
            self._save_and_stop()
        self.progress.evaluation_seconds = self._evaluator.seconds
        if not math.isfinite(figures.loss):
            raise TrainingError(
                f"the validation loss is not finite ({when}); lower --learning_rate"
            )
        self._report(f"{when}: {figures.line()}")
        return figures

    def _stops_in_evaluations(self) -> bool:
        """Return whether a signal came; processes of a cluster evaluate to the end, together."""
        return processes.count() == 1 and self._stop.is_asked()

    # Save

    def _save(self) -> None:
        self._saver.save(
            partial(snapshot, self._prepared.model, self._optimizer), self._run_facts()
        )

    def _run_facts(self) -> JsonObject:
        """Return what a state holds besides its arrays."""
        return {
            "step": self.progress.step,
            "total_steps": self._prepared.total_steps,
            "config": self.config.to_dict(),
            "fingerprint": self._prepared.fingerprint,
            "global_batch_size": self._prepared.batches.global_batch_size,
            "policy": self._prepared.device.policy,
            "validation_loss": self.progress.validation_loss(),
            "best_step": self.progress.best_step,
            "progress": dataclasses.asdict(self.progress),
        }
