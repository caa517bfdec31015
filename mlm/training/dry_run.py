"""What a run would take, from everything that it reads and a few steps of it; nothing is kept."""

import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from mlm.backend.input_pipeline import make_input_pipeline
from mlm.training.config import TrainingConfig
from mlm.training.preparation import Preparation, prepare
from mlm.training.step import Learner
from mlm.training.step.dataset import TrainingDataset
from mlm.training.step.optimizer import make_optimizer

TIMED_STEPS = 3  # after the first, which is traced and compiled
TIMED_IF_LENGTHS_VARY = 8


def dry_run(config: TrainingConfig, report: Callable[[str], None]) -> None:
    """Report tokens, steps, time, memory and what would be pushed where; write nothing."""
    with tempfile.TemporaryDirectory() as folder:
        ready = prepare(config, Path(folder) / "tokens", report)
        first, speed = _time_steps(ready)
    batches, steps = ready.batches, ready.total_steps
    each = batches.tokens_per_step / speed
    most = "at most " if len(batches.sizes) > 1 else ""
    epochs = steps * batches.global_batch_size / batches.num_sequences
    report(
        f"{steps:,} steps of {batches.global_batch_size} x {most}{config.max_seq_length} tokens: "
        f"{epochs:.1f} epochs of {batches.num_sequences:,} sequences"
    )
    report(
        f"first step {first:.1f} s, then {each:.2f} s each ({speed:,.0f} tokens/s): "
        f"about {_spelled(first + (steps - 1) * each)}, and evaluations "
        f"every {config.eval_steps} steps"
    )
    report(f"memory so far: {_peak_gib():.1f} GiB on the host; disk: {_disk(ready, config)}")
    report(_destination(config))
    report("nothing was written")


def _time_steps(ready: Preparation) -> tuple[float, float]:
    """Seconds of the first step, and tokens a second of those after it."""
    config, device = ready.config, ready.device
    with device.scope():
        learner = Learner(ready.start.model, ready.micro_batches)
        optimizer = make_optimizer(
            config, ready.total_steps, scales_loss=device.policy == "mixed_float16"
        )
        learner.compile_for_training(optimizer, jit_compile=device.jit_compile)

    def seconds_of(steps: int) -> float:
        started = time.monotonic()
        learner.fit(
            make_input_pipeline(TrainingDataset(ready.batches, 0, steps)), verbose=0, shuffle=False
        )
        return time.monotonic() - started

    first, steps = seconds_of(1), TIMED_STEPS
    if len(ready.batches.sizes) > 1:
        steps = TIMED_IF_LENGTHS_VARY
        seconds_of(steps)  # each new length may be compiled
    masks = [ready.batches.batch_at(step)[0]["attention_mask"] for step in range(steps)]
    return first, sum(int(mask.sum()) for mask in masks) / seconds_of(steps)


def _spelled(seconds: float) -> str:
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{max(1, minutes)} min"


def _peak_gib() -> float:
    """The most memory this process has had, in GiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 30 if sys.platform == "darwin" else 1 << 20)


def _disk(ready: Preparation, config: TrainingConfig) -> str:
    """Weights once for the checkpoint, three times for each state (AdamW's moments)."""
    weights = 4 * ready.start.model.count_params()
    states = config.save_total_limit + 1  # one more while it is written
    return f"{(1 + 3 * states) * weights / 2**30:.1f} GiB in {config.output_dir}"


def _destination(config: TrainingConfig) -> str:
    """What would go where."""
    kind = "a private repository, if it is new" if config.hub_private_repo else "public if new"
    told = (
        f"the checkpoint would be pushed to {config.hub_model_id} ({kind})"
        if config.push_to_hub
        else f"the checkpoint would stay in {config.output_dir}: --push_to_hub is not set"
    )
    if config.resume_from_hub:
        told += (
            f"; the state of the run would be pushed to a branch of {config.hub_model_id} "
            f"({kind}) every {config.hub_state_minutes:g} minutes"
        )
    return told
