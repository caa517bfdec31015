"""Write the result of a finished run: the checkpoint folder, its record and card; publish it."""

import dataclasses
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mlm import hub
from mlm.backend import processes
from mlm.checkpoint.folder import OpenCheckpoint, save_checkpoint
from mlm.checkpoint.strict_json import JsonObject
from mlm.errors import HubError, TrainingError, one_line
from mlm.evaluation.evaluator import Figures
from mlm.terminal.progress import progress
from mlm.training import card
from mlm.training.card.examples import try_examples, try_examples_of
from mlm.training.card.training_json import Example
from mlm.training.config import TrainingConfig
from mlm.training.preparation import Preparation
from mlm.training.record import Progress, training_record


@dataclass(frozen=True)
class TrainingResult:
    """The checkpoint folder of a run, figures before and after, its record, where it was published.

    training: the content of training.json; published: None unless it was pushed.
    """

    folder: Path
    before: Figures
    after: Figures
    training: JsonObject
    published: hub.Published | None = None


def result_of(prepared: Preparation, progress: Progress, after: Figures) -> TrainingResult:
    """Return the result of a run that has ended, nothing of which is written yet."""
    record = training_record(prepared, progress, after)
    before = Figures.from_dict(record["metrics"]["before"])
    return TrainingResult(Path(prepared.config.output_dir), before, after, record)


def try_before(prepared: Preparation, report: Callable[[str], None]) -> list[Example]:
    """Return the best words of the initial checkpoint for the card's examples; [] of a new model.

    In a cluster there are none either: one process cannot compute by itself yet.
    """
    config = prepared.config
    if not (config.model_name_or_path and config.example_texts) or processes.count() > 1:
        return []
    opened = OpenCheckpoint(
        prepared.tokenizer,
        prepared.hf_config,
        prepared.model.config,
        None,
        Path(config.model_name_or_path),
    )
    try:
        with progress("trying the example sentences"):
            return try_examples_of(opened, prepared.model, config.example_texts)
    except Exception as error:  # they are an extra: nothing in them is worth a run
        report(f"the examples cannot be tried: {type(error).__name__}: {one_line(error)}")
        return []


def write_checkpoint(
    prepared: Preparation, result: TrainingResult, report: Callable[[str], None]
) -> None:
    """Write the checkpoint folder with its record and card. Raises CheckpointError."""
    config = prepared.config
    save_checkpoint(
        prepared.model,
        prepared.tokenizer,
        result.folder,
        hf_config=prepared.hf_config,
        training=result.training,
        dtype=config.save_dtype,
    )
    add_examples(result.folder, config, report)
    branch = hub.other_than_main(config.hub_revision)
    card.write_model_card(result.folder, config.hub_model_id, branch)
    report(f"checkpoint: {result.folder}")


def add_examples(folder: Path, config: TrainingConfig, report: Callable[[str], None]) -> None:
    """Record the best words of the checkpoint, as it was saved, for the card's examples."""
    try:
        with progress("trying the example sentences"):
            examples = try_examples(folder, config.example_texts)
        card.add_measurements(folder, examples=examples)
    except Exception as error:  # nothing in a card is worth hours of training
        report(f"the card has no examples: {type(error).__name__}: {one_line(error)}")


def publish(
    result: TrainingResult, config: TrainingConfig, report: Callable[[str], None]
) -> TrainingResult:
    """Push the checkpoint folder; TrainingError, with the command to push it later, if it fails."""
    repo_id, private, tag = str(config.hub_model_id), config.hub_private_repo, config.hub_tag
    branch = config.hub_revision
    try:
        if "/" not in repo_id:  # the card names the repository in full
            full_id = hub.check_push(repo_id).repo_id
            card.name_model_card(result.folder, full_id, hub.other_than_main(branch))
        published = hub.push_checkpoint(
            result.folder, repo_id, private=private, tag=tag, branch=branch
        )
    except HubError as error:
        command = ["mlm", "push", str(result.folder), repo_id]
        command += ["--private"] * private + (["--tag", tag] if tag else [])
        command += ["--revision", branch] if branch else []
        raise TrainingError(
            f"{error}; the checkpoint is whole in {shlex.quote(str(result.folder))}: publish it "
            f"with `{shlex.join(command)}`"
        ) from None
    named = f", tag {tag}" if tag else ""
    report(
        f"published {published.repo_id} at commit {published.commit[:12]}{named}: {published.url}"
    )
    return dataclasses.replace(result, published=published)
