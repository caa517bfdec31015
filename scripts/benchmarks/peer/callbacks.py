"""Callbacks of a Trainer: the times and losses of its steps, and a stop at a value to reach."""

import time
from collections.abc import Callable, Collection

import torch
from timing import seconds_since_process_start
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments


class StepLog(TrainerCallback):
    """Keeps the ends of steps and the logged losses.

    wait_at: steps whose end includes the work that the GPU still has to do; ends: seconds from the
    start of the process by step, from 1; losses: means since the log before.
    """

    def __init__(self, wait_at: Collection[int] = ()) -> None:
        self.wait_at = wait_at
        self.ends: dict[int, float] = {}
        self.losses: list[float] = []

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: object,
    ) -> None:
        """Keep the time."""
        if state.global_step in self.wait_at:
            torch.cuda.synchronize()
        self.ends[state.global_step] = seconds_since_process_start()

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: object,
    ) -> None:
        """Keep the loss; the figures of an evaluation or of the whole training have none."""
        if logs and "loss" in logs:
            self.losses.append(logs["loss"])

    def seconds_of_a_step(self) -> float:
        """Return the mean time of the steps after the second."""
        last = max(self.ends)
        return (self.ends[last] - self.ends[2]) / (last - 2)


class StopAtValue(TrainerCallback):
    """Evaluates a model after each `every` steps, and stops the training when a value is reached.

    values: of the evaluations so far; evaluating: their seconds.
    """

    def __init__(
        self,
        evaluate: Callable[[torch.nn.Module], float],
        is_reached: Callable[[float], bool],
        every: int,
    ) -> None:
        self.evaluate = evaluate
        self.is_reached = is_reached
        self.every = every
        self.values: list[float] = []
        self.evaluating = 0.0

    @property
    def step(self) -> int:
        """The step of the last evaluation."""
        return len(self.values) * self.every

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: torch.nn.Module | None = None,
        **kwargs: object,
    ) -> None:
        """Evaluate if it is time to."""
        assert model is not None, "the Trainer passes its model"
        if state.global_step % self.every == 0:
            started = time.perf_counter()
            self.values.append(self.evaluate(model))
            self.evaluating += time.perf_counter() - started
            control.should_training_stop = self.is_reached(self.values[-1])
