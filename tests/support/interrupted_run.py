"""Trainings that are killed at given moments, and started again after each, until they end.

    python tests/support/interrupted_run.py RUNS_JSON

RUNS_JSON is a list of [settings, moments], and a list of [moment, exit code] for each is printed.
Settings with a `label_column_name` are those of a fine-tuning.
A moment is [target, call, when, delay]: SIGKILL before or after the call-th call of a function,
or `delay` seconds after it began. One process imports everything once; each attempt is a fork of
it that has not yet run an operation, so it starts in the time that tracing takes.
"""

import importlib
import json
import os
import random
import signal
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
os.environ |= {"CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}


def kill_myself() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


def arm(target: str, call: int, when: str, delay: float) -> None:
    """Wrap a function or method so that its call-th call is this process' last."""
    *path, name = target.split(".")
    owner = _owner(path)
    original = getattr(owner, name)
    calls = iter(range(1, 1_000_000))

    def wrapped(*arguments, **options):
        is_last = next(calls) == call
        if is_last and when == "before":
            kill_myself()
        if is_last and when == "during":
            threading.Timer(delay, kill_myself).start()
        result = original(*arguments, **options)
        if is_last and when == "after":
            kill_myself()
        return result

    setattr(owner, name, wrapped)


def _owner(path: list[str]):
    for length in range(len(path), 0, -1):
        try:
            owner = importlib.import_module(".".join(path[:length]))
        except ModuleNotFoundError:
            continue
        for name in path[length:]:
            owner = getattr(owner, name)
        return owner
    raise ValueError(f"no module in {path}")


def attempt(settings: dict, moment: list | None) -> int:
    """One process of the run; its exit code, if it lives to have one."""
    from mlm.training import trainer
    from mlm.training.config import TrainingConfig

    trainer.remove_states = lambda root: None  # so that the last state can be compared too
    if moment:
        arm(*moment)
    lines: list[str] = []
    if "label_column_name" in settings:
        from mlm.finetuning.config import FinetuningConfig
        from mlm.finetuning.finetune import finetune

        finetune(FinetuningConfig.from_dict(settings), report=lines.append)
    else:
        trainer.train(TrainingConfig.from_dict(settings), report=lines.append)
    return 0


def attempts(settings: dict, moments: list) -> list:
    """[target, exit code] of each process of one training; -9 is SIGKILL."""
    signals = []
    for moment in [*moments, None]:
        child = os.fork()
        if child == 0:
            try:
                code = attempt(settings, moment)
            except BaseException as error:
                print(f"{type(error).__name__}: {error}", file=sys.stderr)
                code = 1
            os._exit(code)
        _, status = os.waitpid(child, 0)
        signals.append([moment and moment[0], os.waitstatus_to_exitcode(status)])
    return signals


def main(runs: list) -> None:
    import mlm.evaluation.evaluator
    import mlm.training.step
    import mlm.training.step.optimizer
    import mlm.training.trainer  # noqa: F401

    random.seed(0)
    json.dump([attempts(settings, moments) for settings, moments in runs], sys.stdout)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
