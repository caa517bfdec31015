"""config -> trained checkpoint: the order of things, and nothing else's detail."""

import dataclasses
import math
import shlex
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlm import devices, hub, model_card
from mlm.batches import MaskedBatches, evaluation_batches
from mlm.checkpoint import save_checkpoint
from mlm.config import TrainingConfig
from mlm.corpus import TokenStore, build_token_store
from mlm.errors import ConfigError, HubError, TrainingError, UserError
from mlm.evaluation import Evaluator, Figures
from mlm.starting_point import start_checkpoint
from mlm.tokenizer import TokenFacts
from mlm.training_state import (
    check_same_run,
    newest_state,
    remove_states,
    restore_state,
    save_state,
)
from mlm.watching import StepCounter, progress_bar, stop_on_signals, write_line

# Settings that a resumed run may change: they move no weight.
FREE_ON_RESUME = {
    "output_dir",
    "overwrite_output_dir",
    "logging_steps",
    "save_steps",
    "save_total_limit",
    "per_device_eval_batch_size",
    "push_to_hub",
    "hub_model_id",
    "hub_private_repo",
    "save_dtype",
}


class TrainingStopped(Exception):
    """A signal ended the run in order; `folder` holds a state to go on from."""

    def __init__(self, step: int, total_steps: int, folder: Path):
        super().__init__(f"stopped at step {step} of {total_steps}; the state is in {folder}")
        self.step, self.total_steps, self.folder = step, total_steps, folder


@dataclass(frozen=True)
class TrainingResult:
    """What a finished run leaves: the checkpoint folder, figures at both ends, where it went."""

    folder: Path
    before: Figures
    after: Figures
    training: dict[str, Any]
    published: Any = None


@dataclass
class _Progress:
    """Where a run stands; plain values, saved with every state."""

    step: int = 0
    seconds: float = 0.0
    before: dict[str, float] | None = None
    loss_curve: list[list[float]] = field(default_factory=list)
    validation_curve: list[list[float]] = field(default_factory=list)


def train(config: TrainingConfig, *, report: Callable[[str], None] = print) -> TrainingResult:
    """Run a training from texts to a published checkpoint, or go on with one that was stopped.

    `report` gets the lines meant for people. Raises UserError for what a user can mend (before
    the first step wherever it can be known then) and TrainingStopped after a signal.
    """
    output = Path(config.output_dir)
    _check_output(output, config)
    if config.push_to_hub and config.hub_model_id:
        hub.check_push(config.hub_model_id)
    run = _Run(config, output, report)
    try:
        with stop_on_signals(run.stop_requested):
            run.go()
        result = run.finish()
        return _publish(result, config, report) if config.push_to_hub else result
    except UserError as error:
        raise TrainingError(str(error)) from None


def _publish(
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


def _check_output(output: Path, config: TrainingConfig) -> None:
    if config.overwrite_output_dir:
        remove_states(output / "state")
    elif (output / "model.safetensors").exists() and newest_state(output / "state") is None:
        raise ConfigError(
            f"{str(output)!r} holds a finished checkpoint; give another --output_dir, or "
            "--overwrite_output_dir to replace it when the new run ends"
        )


class _Run:
    """One training run: built when made, then `go`, then `finish`."""

    def __init__(self, config: TrainingConfig, output: Path, report: Callable[[str], None]):
        self.config, self.output, self.report = config, output, report
        self.stop_requested = threading.Event()
        self.device = devices.choose_device(config.precision)
        report(f"device: {self.device}")
        with self.device.scope():
            self.start, self.base_model = start_checkpoint(config, self.device.policy)
            self.model = self.start.model
        self._check_length()
        self.store = self._token_store()
        self._batches = self._training_batches()
        self.total_steps = self._count_steps()
        self._compile()
        with self.device.scope():
            self.evaluator = Evaluator(
                self.model, self._evaluation_batches(), jit_compile=self.device.jit_compile
            )
        self.progress = self._resume()

    def go(self) -> None:
        """Train from where the run stands to its end; TrainingStopped if a signal comes."""
        progress = self.progress
        if progress.before is None:
            progress.before = self._evaluate("before").to_dict()
        with progress_bar(self.total_steps, progress.step) as bar:
            for stop in self._boundaries():
                self._train_until(stop, bar)
                if self.stop_requested.is_set():
                    self._save()
                    raise TrainingStopped(progress.step, self.total_steps, self.output)
                if progress.step % self.config.eval_steps == 0 < self.total_steps - progress.step:
                    self._evaluate(f"step {progress.step}")
                if progress.step % self.config.save_steps == 0 < self.total_steps - progress.step:
                    self._save()

    def finish(self) -> TrainingResult:
        """Evaluate once more and write the checkpoint folder with its record and card."""
        after = self._evaluate("after")
        training = self._record(after)
        save_checkpoint(
            self.model,
            self.start.tokenizer,
            self.output,
            hf_config=self.start.hf_config,
            training=training,
            dtype=self.config.save_dtype,
        )
        model_card.write_model_card(self.output, self.config.hub_model_id)
        remove_states(self.output / "state")
        self.report(f"checkpoint: {self.output}")
        before = Figures.from_dict(training["metrics"]["before"])
        return TrainingResult(self.output, before, after, training)

    # Preparing

    def _check_length(self) -> None:
        longest = self.model.config.max_position_embeddings
        if self.config.max_seq_length > longest:
            raise ConfigError(
                f"--max_seq_length is {self.config.max_seq_length}; this model has positions for "
                f"{longest}; give that or less"
            )

    def _token_store(self) -> TokenStore:
        config = self.config
        store = build_token_store(
            self.output / "tokens",
            self.start.tokenizer,
            train_files=config.train_file,
            validation_files=config.validation_file,
            text_column=config.text_column,
            encoding=config.encoding,
            validation_split_percentage=config.validation_split_percentage,
            max_train_samples=config.max_train_samples,
        )
        self.report(store.report_line)
        return store

    def _training_batches(self) -> MaskedBatches:
        config = self.config
        return MaskedBatches(
            self.store.train,
            TokenFacts.of(self.start.tokenizer),
            max_seq_length=config.max_seq_length,
            global_batch_size=config.per_device_train_batch_size * self.device.num_replicas,
            seed=config.seed,
            mlm_probability=config.mlm_probability,
            mask_share=config.mask_replace_prob,
            random_share=config.random_replace_prob,
            whole_word_mask=config.whole_word_mask,
            line_by_line=config.line_by_line,
        )

    def _evaluation_batches(self):
        return evaluation_batches(
            self.store.validation,
            TokenFacts.of(self.start.tokenizer),
            max_seq_length=self.config.max_seq_length,
            batch_size=self.config.per_device_eval_batch_size * self.device.num_replicas,
            line_by_line=self.config.line_by_line,
            max_sequences=self.config.max_eval_samples,
        )

    def _count_steps(self) -> int:
        if self.config.max_steps > 0:
            return self.config.max_steps
        sequences = self.config.num_train_epochs * self._batches.num_sequences
        return max(1, math.ceil(sequences / self._batches.global_batch_size))

    def _compile(self) -> None:
        import keras

        from mlm.optimizer import make_optimizer

        with self.device.scope():
            optimizer = make_optimizer(self.config, self.total_steps)
            # The weights of a batch sum to 1, so the sum is the mean over all its masked tokens,
            # however they fall on the replicas.
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="sum")
            mean = keras.metrics.SparseCategoricalCrossentropy(from_logits=True, name="nats")
            self.model.compile(
                optimizer,
                loss=loss,
                weighted_metrics=[mean],
                jit_compile=self.device.jit_compile,
            )
            self.model.optimizer.build(self.model.trainable_variables)

    def _resume(self) -> _Progress:
        state = newest_state(self.output / "state")
        if state is None:
            return _Progress()
        check_same_run(
            state, self.config.to_dict(), self.store.fingerprint, may_differ=FREE_ON_RESUME
        )
        restore_state(state, self.model, self.model.optimizer)
        self.report(f"going on from step {state.step} ({state.folder})")
        return _Progress(**state.run["progress"])

    # Running

    def _boundaries(self) -> Iterator[int]:
        """The steps at which training pauses to log, evaluate or save."""
        config = self.config
        while self.progress.step < self.total_steps:
            step = self.progress.step
            ends = [
                step - step % every + every
                for every in (config.logging_steps, config.eval_steps, config.save_steps)
            ]
            yield min(*ends, self.total_steps)

    def _train_until(self, stop: int, bar) -> None:
        from mlm.training_dataset import TrainingDataset

        progress, started = self.progress, time.monotonic()
        steps = TrainingDataset(self._batches, progress.step, stop)
        counter = StepCounter(bar, self.stop_requested)
        history = self.model.fit(steps, verbose=0, shuffle=False, callbacks=[counter])
        progress.step += counter.steps
        progress.seconds += time.monotonic() - started
        loss = float(history.history["nats"][-1])
        if not math.isfinite(loss):
            raise TrainingError(
                f"the loss is {loss} at step {progress.step}; lower --learning_rate or raise "
                f"--warmup_steps; the last good state, if any, is in {self.output / 'state'}"
            )
        progress.loss_curve.append([progress.step, round(loss, 5)])
        bar.set_postfix_str(f"loss {loss:.3f}, {self._tokens_per_second():,.0f} tokens/s")

    def _tokens_per_second(self) -> float:
        tokens = self._batches.global_batch_size * self.config.max_seq_length
        return self.progress.step * tokens / max(1e-9, self.progress.seconds)

    def _evaluate(self, when: str) -> Figures:
        figures = self.evaluator.figures()
        self.progress.validation_curve.append([self.progress.step, round(figures.loss, 5)])
        write_line(
            self.report,
            f"{when}: masked-token perplexity {figures.perplexity:.2f} (loss {figures.loss:.4f} "
            f"nats), top-1 {figures.top1:.1%}, top-5 {figures.top5:.1%} of "
            f"{figures.num_tokens:,} masked tokens in held-out documents",
        )
        return figures

    def _save(self) -> None:
        run = {
            "step": self.progress.step,
            "config": self.config.to_dict(),
            "fingerprint": self.store.fingerprint,
            "progress": vars(self.progress),
        }
        keep = self.config.save_total_limit
        save_state(self.output / "state", self.model, self.model.optimizer, run, keep=keep)

    def _record(self, after: Figures) -> dict[str, Any]:
        progress = self.progress
        return {
            "config": self.config.to_public_dict(),
            "base_model": self.base_model,
            "corpus": {"fingerprint": self.store.fingerprint, **self.store.manifest},
            "metrics": {"before": progress.before, "after": after.to_dict()},
            "loss_curve": progress.loss_curve,
            "validation_curve": progress.validation_curve,
            "tokens_per_second": round(self._tokens_per_second(), 1),
            "seconds": round(progress.seconds, 1),
            "steps": progress.step,
            "seed": self.config.seed,
            "hardware": {
                "device": self.device.name,
                "replicas": self.device.num_replicas,
                "policy": self.device.policy,
            },
            "versions": devices.versions(),
        }
