"""The record of a finished training: training.json."""

from mlm.backend.hardware import versions
from mlm.checkpoint.strict_json import JsonObject
from mlm.data.tokens.token_store import TokenStore
from mlm.evaluation.evaluator import Figures
from mlm.training.preparation import Preparation
from mlm.training.run_parts import RunParts
from mlm.training.run_progress import Progress


def published_corpus(store: TokenStore) -> JsonObject:
    """Return what is published of a store's manifest; notes, which may quote a text, are not."""
    summary = store.report_line.split("\n")[0]
    return {"fingerprint": store.fingerprint, **store.manifest, "report_line": summary}


def training_record(prepared: Preparation, progress: Progress, after: Figures) -> JsonObject:
    """Return what training.json holds: settings, corpus, figures, and the facts of the run."""
    config = prepared.config
    return {
        "config": config.to_public_dict(),
        "base_model": prepared.base_model,
        "corpus": published_corpus(prepared.store),
        "metrics": {"before": progress.before, "after": after.to_dict()},
    } | run_record(prepared, progress)


def run_record(prepared: RunParts, progress: Progress) -> JsonObject:
    """Return the facts of any run: curves, speed, steps, hardware, versions."""
    config = prepared.config
    record = {
        "loss_curve": progress.loss_curve,
        "validation_curve": [[step, round(loss, 5)] for step, loss in progress.validation_curve],
        "tokens_per_second": round(progress.tokens_per_second(prepared.batches.tokens_per_step), 1),
        "seconds": round(progress.seconds, 1),
        "steps": progress.step,
        "skipped_steps": progress.skipped_steps,
        "seed": config.seed,
        "hardware": {
            "device": prepared.device.name,
            "replicas": prepared.device.num_replicas,
            "policy": prepared.device.policy,
        },
        "versions": versions(),
    }
    if config.load_best_model_at_end:
        record["best_step"] = progress.best_step
    return record
