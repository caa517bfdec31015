"""The steps of one training run: in order, exact, and with an end at any of them."""

import dataclasses
import math
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

from mlm.backend import processes
from mlm.backend.input_pipeline import make_input_pipeline
from mlm.checkpoint.run_state import (
    TrainingState,
    newest_state,
    restore_state,
    snapshot,
    state_of_step,
)
from mlm.checkpoint.weights import round_weights
from mlm.errors import TrainingError
from mlm.evaluation.evaluator import Evaluator, Figures
from mlm.training.event_log import EventLog
from mlm.training.preparation import Preparation
from mlm.training.progress import StepCounter, progress_bar, write_line
from mlm.training.record import Progress
from mlm.training.state.pusher import StatePusher
from mlm.training.state.resuming import check_same_run
from mlm.training.state.writer import StateWriter
from mlm.training.step import Learner
from mlm.training.step.dataset import TrainingDataset
from mlm.training.step.optimizer import make_optimizer
from mlm.training.stopping import StopRequest

PUSH_TIMEOUT = 600.0  # seconds that a run which ends waits for its last state to reach the Hub
# Settings that a resumed run may change: they move no weight.
FREE_ON_RESUME = {
    "output_dir",
    "overwrite_output_dir",
    "logging_steps",
    "save_steps",
    "save_total_limit",
    "per_device_eval_batch_size",
    "skip_bad_steps",
    "max_train_minutes",
    "require_device",
    "distributed",
    "report_to",
    "push_to_hub",
    "hub_model_id",
    "hub_private_repo",
    "hub_tag",
    "resume_from_hub",
    "hub_state_minutes",
    "language",
    "license",
    "dataset_tags",
    "dataset_license",
    "hub_space",
    "example_texts",
    "save_dtype",
    "load_best_model_at_end",  # of the weights that were trained it chooses some
    "train_file",  # the fingerprint says whether these hold what they held
    "token_store",
    "validation_file",
    "add_words_file",
}


class TrainingStopped(Exception):
    """A signal or the clock ended the run in order; `folder` holds a state to go on from."""

    def __init__(self, step: int, total_steps: int, folder: Path):
        super().__init__(f"stopped at step {step} of {total_steps}; the state is in {folder}")
        self.step, self.total_steps, self.folder = step, total_steps, folder


class TrainingRun:
    """One training run: made, perhaps put where it stood, then `go`, then `end`."""

    def __init__(self, ready: Preparation, report: Callable[[str], None], stop: StopRequest):
        self.ready, self.config = ready, ready.config
        self.report, self.stop = report, stop
        self.total_steps = ready.total_steps
        self.progress = Progress()
        self._saved = time.monotonic()
        self.states = Path(self.config.output_dir) / "state"
        logs = Path(self.config.output_dir) / "logs"
        self.events = EventLog(logs if self.config.report_to == "tensorboard" else None)
        self._compile()

    def _compile(self) -> None:
        ready, device = self.ready, self.ready.device
        with device.scope():
            self.learner = Learner(ready.start.model, ready.micro_batches)
            self.optimizer = make_optimizer(
                self.config, self.total_steps, scales_loss=device.policy == "mixed_float16"
            )
            self.mean_loss = self.learner.compile_for_training(
                self.optimizer, jit_compile=device.jit_compile
            )
            self.evaluator = Evaluator(
                ready.start.model, ready.evaluation_batches, jit_compile=device.jit_compile
            )

    def go_on_from(self, state: TrainingState) -> None:
        """Stand where a saved run stood; ConfigError if this is another run."""
        check_same_run(
            state,
            self.config.to_dict(),
            self.ready.store.fingerprint,
            may_differ=FREE_ON_RESUME,
        )
        restore_state(state, self.ready.start.model, self.optimizer)
        self.progress = Progress(**state.run["progress"])
        self.report(f"going on from step {state.step} ({state.folder})")
        policy = self.ready.device.policy
        if state.run.get("policy", policy) != policy:
            self.optimizer.reset_loss_scale()
            self.report(
                f"until here it was computed in {state.run['policy']}, from here on in {policy}: "
                "the same run, but not to the last digit"
            )
        self._look_for_best()

    def _look_for_best(self) -> None:
        """Say so if the best state so far is not here, and keep the best of what comes."""
        best = self.progress.best_step
        if not self.config.load_best_model_at_end or best == self.progress.step:
            return
        if state_of_step(self.states, best) is None:
            self.progress.best_loss = None
            self.report(
                f"the state of the best step so far, {best}, is not in {self.states}: the best of "
                "the steps that come is kept"
            )

    def go(self) -> None:
        """Train from where the run stands to its end; TrainingStopped if it has to end before."""
        with ExitStack() as stack:
            self._open(stack)
            bar = stack.enter_context(progress_bar(self.total_steps, self.progress.step))
            if self.progress.before is None:
                self._begin()
            self._evaluate_if_due()  # where the run was stopped, that was not done any more
            for step in self._boundaries():
                self._train_until(step, bar)
                self._pause()
            self._save()  # what is killed or fails after this need not train again
            self._wait_for_states()
        if processes.any_of(self.stop.is_asked()):
            raise TrainingStopped(self.progress.step, self.total_steps, self.states.parent)

    def end(self) -> Figures:
        """The figures of the weights that the run leaves: the last ones, or the best."""
        round_weights(self.ready.start.model, self.config.save_dtype)  # what is published
        figures = self._evaluate("after")
        if self.progress.validation_loss() is None:
            self._note(figures)
        if not self.config.load_best_model_at_end or self.progress.best_step == self.progress.step:
            return figures
        best = state_of_step(self.states, self.progress.best_step)
        if best is None:
            self.report(
                f"the state of the best step, {self.progress.best_step}, is no longer in "
                f"{self.states}: the last weights are kept instead"
            )
            self.progress.best_step = self.progress.step
            return figures
        restore_state(best, self.ready.start.model, self.optimizer)
        round_weights(self.ready.start.model, self.config.save_dtype)
        return self._evaluate(f"best, step {best.step}")

    def _open(self, stack: ExitStack) -> None:
        """What is closed however the run ends: the curves, the states being sent and written."""
        config, send = self.config, None
        if not processes.is_first():
            return
        self.events.open(self.progress.step)
        stack.callback(self.events.close)
        if config.resume_from_hub:
            pusher = StatePusher(
                str(config.hub_model_id),
                minutes=config.hub_state_minutes,
                private=config.hub_private_repo,
                report=lambda line: write_line(self.report, line),
                took=self.stop.note_push,
            )
            # A run that has ended well needs no state; one that stopped is gone on with elsewhere.
            stack.callback(
                lambda: pusher.finish(
                    PUSH_TIMEOUT, push_last=self.stop.is_asked() or not self._is_over()
                )
            )
            send = pusher.offer
        self.writer = stack.enter_context(
            StateWriter(self.states, keep=config.save_total_limit, on_written=send)
        )

    def _begin(self) -> None:
        figures = self._evaluate("before")
        self.progress.before = figures.to_dict()
        self._note(figures)
        if self.config.load_best_model_at_end:
            self._save()

    def _boundaries(self) -> Iterator[int]:
        """The steps at which training pauses to log, evaluate or save."""
        config = self.config
        while not self._is_over():
            step = self.progress.step
            ends = [
                step - step % every + every
                for every in (config.logging_steps, config.eval_steps, config.save_steps)
            ]
            yield min(*ends, self.total_steps)

    def _is_over(self) -> bool:
        """At its last step, or after so many evaluations that gained nothing."""
        patience, waited = (
            self.config.early_stopping_patience,
            self.progress.evaluations_without_gain,
        )
        has_stalled = patience is not None and waited >= patience
        return has_stalled or self.progress.step >= self.total_steps

    def _train_until(self, end: int, bar) -> None:
        progress, started = self.progress, time.monotonic()
        self.mean_loss.carry(progress.unfinished_mean)
        counter = StepCounter(bar, self.stop)
        steps = make_input_pipeline(TrainingDataset(self.ready.batches, progress.step, end))
        self.learner.fit(steps, verbose=0, shuffle=False, callbacks=[counter])
        progress.step += counter.steps
        progress.seconds += time.monotonic() - started
        self._look_for_skipped()
        progress.unfinished_mean = self.mean_loss.sums()
        if progress.step == end:
            self._log(bar)

    def _look_for_skipped(self) -> None:
        """Say which step was passed over; TrainingError if that was one too many."""
        count, last = self.optimizer.read_skipped()
        if count == self.progress.skipped_steps:
            return
        self.progress.skipped_steps = count
        said = f"the loss or its gradient was not finite at step {last + 1}"
        if count > self.config.skip_bad_steps:  # then `last` is the first of those too many
            state = newest_state(self.states)
            where = f"the newest state is {state.folder}" if state else "no state was saved yet"
            raise TrainingError(
                f"{said}; lower --learning_rate, raise --warmup_steps, or pass over such steps "
                f"with --skip_bad_steps; {where}"
            )
        write_line(self.report, f"{said}: passed over, {count} in all")

    def _log(self, bar) -> None:
        progress = self.progress
        loss, progress.unfinished_mean = float(self.mean_loss.result()), None
        if not self.mean_loss.sums()[1]:
            return  # every step since the last point was passed over
        progress.loss_curve.append([progress.step, round(loss, 5)])
        speed = progress.tokens_per_second(self.ready.batches.tokens_per_step)
        bar.set_postfix_str(f"loss {loss:.3f}, {speed:,.0f} tokens/s")
        self.events.scalar("train/loss", loss, progress.step)
        self.events.scalar("train/tokens_per_second", speed, progress.step)

    def _pause(self) -> None:
        """What falls due at this step; TrainingStopped where the run has to end."""
        progress, config = self.progress, self.config
        if processes.any_of(self.stop.is_set()):
            self._save()
            self._wait_for_states()
            raise TrainingStopped(progress.step, self.total_steps, Path(config.output_dir))
        if processes.is_first():
            self.writer.check()
        if progress.step == self.total_steps:
            return  # the rest is the end's
        saved = self._evaluate_if_due()
        if not saved and (progress.step % config.save_steps == 0 or self._hub_waits()):
            self._save()

    def _wait_for_states(self) -> None:
        """Until what was saved is whole on disk, and every process may read it."""
        processes.only_first(lambda: self.writer.close())

    def _hub_waits(self) -> bool:
        """Whether a state is to be sent before the next one would be saved."""
        config, waited = self.config, time.monotonic() - self._saved
        return config.resume_from_hub and 0 < 60 * config.hub_state_minutes <= waited

    def _evaluate_if_due(self) -> bool:
        """Evaluate where this step asks for it; whether its weights, being the best, were saved."""
        progress, config = self.progress, self.config
        is_due = 0 < progress.step < self.total_steps and progress.step % config.eval_steps == 0
        if not is_due or progress.validation_loss() is not None:
            return False
        is_best = self._note(self._evaluate(f"step {progress.step}"))
        if is_best and config.load_best_model_at_end:
            self._save()
            return True
        return False

    def _note(self, figures: Figures) -> bool:
        """Enter figures into the curve; whether they are the best so far."""
        self.events.scalar("validation/loss", figures.loss, self.progress.step)
        return self.progress.note_evaluation(figures.loss)

    def _evaluate(self, when: str) -> Figures:
        with self.stop.keeping_back():
            figures = self.evaluator.figures()
        if not math.isfinite(figures.loss):
            raise TrainingError(f"the validation loss is no number {when}; lower --learning_rate")
        write_line(
            self.report,
            f"{when}: masked-token perplexity {figures.perplexity:.2f} (loss {figures.loss:.4f} "
            f"nats), top-1 {figures.top1:.1%}, top-5 {figures.top5:.1%} of "
            f"{figures.num_tokens:,} masked tokens in held-out documents",
        )
        return figures

    def _save(self) -> None:
        if not processes.is_first():
            return
        run = {
            "step": self.progress.step,
            "total_steps": self.total_steps,
            "config": self.config.to_dict(),
            "fingerprint": self.ready.store.fingerprint,
            "global_batch_size": self.ready.batches.global_batch_size,
            "policy": self.ready.device.policy,
            "validation_loss": self.progress.validation_loss(),
            "best_step": self.progress.best_step,
            "progress": dataclasses.asdict(self.progress),
        }
        self._saved = time.monotonic()
        with self.stop.keeping_back():
            self.writer.save(snapshot(self.ready.start.model, self.optimizer), run)
