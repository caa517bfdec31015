"""Report what a run would take, after reading all of it and timing a few steps; keep nothing."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from mlm.backend.hardware import peak_memory
from mlm.backend.input_pipeline import make_input_pipeline
from mlm.training.compiled_learner import compile_learner
from mlm.training.config import TrainingConfig
from mlm.training.preparation import Preparation, prepare
from mlm.training.step.dataset import TrainingDataset

TIMED_STEPS = 3  # after the first, which is traced and compiled
TIMED_STEPS_IF_LENGTHS_VARY = 8


def dry_run(config: TrainingConfig, report: Callable[[str], None]) -> None:
    """Report tokens, steps, time, memory and what would be pushed where. Raises UserError."""
    # Windows deletes no file that is mapped.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        prepared = prepare(config, Path(folder) / "tokens", report)
        first, speed = _time_steps(prepared)
    batches, steps = prepared.batches, prepared.total_steps
    each = batches.tokens_per_step / speed
    most = "at most " if len(batches.sizes) > 1 else ""
    epochs = steps * batches.global_batch_size / batches.num_sequences
    report(
        f"{steps:,} steps of {batches.global_batch_size} x {most}{config.max_seq_length} tokens: "
        f"{epochs:.1f} epochs of {batches.num_sequences:,} sequences"
    )
    report(
        f"first step {first:.1f} s, then {each:.2f} s each ({speed:,.0f} tokens/s): "
        f"about {_duration(first + (steps - 1) * each)}, and evaluations "
        f"every {config.eval_steps} steps"
    )
    peak = peak_memory()
    memory = f"memory so far: {peak / 2**30:.1f} GiB on the host; " if peak else ""
    report(f"{memory}disk: {_disk_space(prepared)}")
    report(_destination(config))
    report("nothing was written")


def _time_steps(prepared: Preparation) -> tuple[float, float]:
    """Return the seconds of the first step, and the tokens per second of the steps after it."""
    learner = compile_learner(prepared).learner

    def seconds_of(steps: int) -> float:
        started = time.monotonic()
        learner.fit(
            make_input_pipeline(TrainingDataset(prepared.batches, 0, steps)),
            verbose=0,
            shuffle=False,
        )
        return time.monotonic() - started

    first, steps = seconds_of(1), TIMED_STEPS
    if len(prepared.batches.sizes) > 1:
        steps = TIMED_STEPS_IF_LENGTHS_VARY
        seconds_of(steps)  # each new length may be compiled
    masks = [prepared.batches.batch_at(step)[0]["attention_mask"] for step in range(steps)]
    return first, sum(int(mask.sum()) for mask in masks) / seconds_of(steps)


def _duration(seconds: float) -> str:
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{max(1, minutes)} min"


def _disk_space(prepared: Preparation) -> str:
    """Describe the space for the checkpoint, and three times its size (AdamW) for each state."""
    weights = 4 * prepared.model.count_params()
    states = prepared.config.save_total_limit + 1  # one more while it is written
    return f"{(1 + 3 * states) * weights / 2**30:.1f} GiB in {prepared.config.output_dir}"


def _destination(config: TrainingConfig) -> str:
    """Describe what would be pushed where."""
    kind = "a private repository, if it is new" if config.hub_private_repo else "public if new"
    said = (
        f"the checkpoint would be pushed to {config.hub_model_id} ({kind})"
        if config.push_to_hub
        else f"the checkpoint would stay in {config.output_dir}: --push_to_hub is not set"
    )
    if config.resume_from_hub:
        said += (
            f"; the state of the run would be pushed to a branch of {config.hub_model_id} "
            f"({kind}) every {config.hub_state_minutes:g} minutes"
        )
    return said
