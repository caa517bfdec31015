"""Publish a checkpoint folder on the Hugging Face Hub as one commit.

    mlm push runs/imdb me/imdb_bert_uncased
    mlm push runs/imdb me/imdb_bert_uncased --private --commit_message "2,000 steps"
    mlm push runs/imdb me/imdb_bert_uncased --tag v1
    mlm push runs/imdb me/imdb_bert_uncased --revision longer-run

The token comes from HF_TOKEN or `hf auth login`. Exit codes: 0 done; 2 the folder cannot be
published or the Hub refused, in one line.
"""

import argparse
import logging
from pathlib import Path

from mlm.backend.startup import keep_pytorch_out
from mlm.commands.invocation import exit_code, program
from mlm.commands.waits import upload_progress
from mlm.hub.pull import check_folder
from mlm.terminal.lines import say
from mlm.terminal.progress import progress


def parse(arguments: list[str]) -> argparse.Namespace:
    """Parse the command line."""
    about = (__doc__ or "").split("\n\n")[0]
    parser = argparse.ArgumentParser(prog=program("push"), description=about)
    parser.add_argument("folder", type=Path, help="the checkpoint, e.g. a run's --output_dir")
    parser.add_argument("repo", help="repository: owner/name; created if it does not exist")
    parser.add_argument("--private", action="store_true", help="make a new repository private")
    parser.add_argument("--commit_message", help="one line that describes the commit")
    parser.add_argument(
        "--revision", help="branch to push to, created if it does not exist; default: main"
    )
    parser.add_argument("--tag", help="name of this version, e.g. v1; a tag is never moved")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Run the command and return its exit code."""
    given = parse(arguments)
    logging.basicConfig(format="%(message)s")
    return exit_code(lambda: _push(given))


def _push(given: argparse.Namespace) -> None:
    check_folder(given.folder.expanduser())
    say(f"publishing {given.folder} as {given.repo}")
    keep_pytorch_out()
    from mlm.checkpoint.folder import verify_folder
    from mlm.hub import check_push, push_checkpoint
    from mlm.hub.connection import checked_id
    from mlm.hub.push import check_can_push
    from mlm.training.card import name_model_card

    checked_id(given.repo)
    check_can_push()
    with progress(f"checking {given.folder}"):
        verify_folder(given.folder)
    with progress(f"asking the Hub for {given.repo}"):
        target = check_push(given.repo, private=given.private, branch=given.revision)
    say(f"pushing to {target}")
    name_model_card(given.folder, target.repo_id, target.branch)
    with upload_progress(f"uploading {given.folder}"):
        published = push_checkpoint(
            given.folder,
            target.repo_id,
            private=given.private,
            commit_message=given.commit_message,
            tag=given.tag,
            branch=given.revision,
        )
    tag = f", tag {given.tag}" if given.tag else ""
    print(f"{published.url} is at commit {published.commit}{tag}")
