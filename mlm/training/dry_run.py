"""Report what a run would take, after reading all of it and timing a few steps; keep nothing."""

import time
from collections.abc import Callable
from typing import NamedTuple

from mlm.backend.hardware import peak_memory
from mlm.backend.input_pipeline import make_input_pipeline
from mlm.terminal.progress import progress
from mlm.training.compiled_learner import compile_learner
from mlm.training.run import evaluations_after
from mlm.training.run_parts import RunParts
from mlm.training.run_settings import RunSettings
from mlm.training.step.dataset import TrainingDataset
from mlm.training.step.learner import Learner

TIMED_BATCHES = 6  # of an evaluation
TIMED_STEPS = 3  # after the first, which is traced and compiled
TIMED_STEPS_IF_LENGTHS_VARY = 8


class Timing(NamedTuple):
    """Seconds of the parts of a run, measured on a few batches.

    compiling: of the first step and the first evaluation; step: each; evaluation: of all held-out
    batches; tokens_per_second: of the steps.
    """

    compiling: float
    step: float
    evaluation: float
    tokens_per_second: float


def dry_run(prepared: RunParts, report: Callable[[str], None]) -> None:
    """Report steps, time, memory and what would be pushed where, of a run that is prepared."""
    config, batches, steps = prepared.config, prepared.batches, prepared.total_steps
    timing = _time_run(prepared)
    most = "at most " if len(batches.sizes) > 1 else ""
    epochs = steps * batches.global_batch_size / batches.num_sequences
    report(
        f"{steps:,} steps of {batches.global_batch_size} x {most}{config.max_seq_length} tokens: "
        f"{epochs:.1f} epochs of {batches.num_sequences:,} sequences, "
        f"{timing.tokens_per_second:,.0f} tokens/s"
    )
    evaluations = evaluations_after(0, steps, config.eval_steps) + 1
    report(_duration_line(timing, steps, evaluations))
    peak = peak_memory()
    memory = f"memory so far: {peak / 2**30:.1f} GiB on the host; " if peak else ""
    report(f"{memory}disk: {_disk_space(prepared)}")
    report(_destination(config))
    report("nothing was written")


def _duration_line(timing: Timing, steps: int, evaluations: int) -> str:
    seconds = timing.compiling + steps * timing.step + evaluations * timing.evaluation
    counted = "1 evaluation" if evaluations == 1 else f"{evaluations:,} evaluations"
    return (
        f"about {_duration(seconds)}: {steps:,} steps of {timing.step:.2g} s, {counted} of "
        f"{timing.evaluation:.2g} s, {timing.compiling:.0f} s of compiling"
    )


def _time_run(prepared: RunParts) -> Timing:
    """Time one step and some more, and some batches of an evaluation."""
    with progress("compiling the first step"):
        learner = compile_learner(prepared).learner
        first = _seconds_of_steps(prepared, learner, 1)
    steps = TIMED_STEPS
    with progress("timing some steps"):
        if len(prepared.batches.sizes) > 1:
            steps = TIMED_STEPS_IF_LENGTHS_VARY
            _seconds_of_steps(prepared, learner, steps)  # each new length may be compiled
        seconds = _seconds_of_steps(prepared, learner, steps)
    masks = [prepared.batches.batch_at(step)[0]["attention_mask"] for step in range(steps)]
    speed = sum(int(mask.sum()) for mask in masks) / seconds
    step = prepared.batches.tokens_per_step / speed
    compiling, evaluation = _time_evaluation(prepared)
    return Timing(max(0.0, first - step) + compiling, step, evaluation, speed)


def _seconds_of_steps(prepared: RunParts, learner: Learner, steps: int) -> float:
    dataset = TrainingDataset(prepared.batches, 0, steps)
    started = time.monotonic()
    learner.fit(make_input_pipeline(dataset), verbose=0, shuffle=False)
    return time.monotonic() - started


def _time_evaluation(prepared: RunParts) -> tuple[float, float]:
    """Return the seconds of compiling an evaluation and of each one, by some of its batches."""
    with prepared.device.scope():
        evaluator = prepared.make_evaluator(at_most=TIMED_BATCHES)
    count = len(prepared.evaluation_batches)
    timed = min(count, TIMED_BATCHES)
    started = time.monotonic()
    evaluator.figures()
    both, each = time.monotonic() - started, evaluator.seconds
    if timed == 1:  # then the compilation is in it
        evaluator.figures()
        each = evaluator.seconds
    return max(0.0, both - each), each * count / timed


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"


def _disk_space(prepared: RunParts) -> str:
    """Describe the space for the checkpoint, and three times its size (AdamW) for each state."""
    weights = 4 * prepared.model.count_params()
    states = prepared.config.save_total_limit + 1  # one more while it is written
    return f"{(1 + 3 * states) * weights / 2**30:.1f} GiB in {prepared.config.output_dir}"


def _destination(config: RunSettings) -> str:
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
