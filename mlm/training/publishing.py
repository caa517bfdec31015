"""The result of a finished run, and its publication on the Hub."""

import dataclasses
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from mlm import hub
from mlm.checkpoint.strict_json import JsonObject
from mlm.errors import HubError, TrainingError
from mlm.training import card
from mlm.training.run_settings import RunSettings


@dataclass(frozen=True)
class RunResult:
    """The checkpoint folder of a run, its record, where it was published.

    training: the content of training.json; published: None unless it was pushed.
    """

    folder: Path
    training: JsonObject
    published: hub.Published | None = None


Result = TypeVar("Result", bound=RunResult)


def publish(result: Result, config: RunSettings, report: Callable[[str], None]) -> Result:
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
