"""Publish a checkpoint folder on the Hugging Face Hub as one commit.

    python scripts/push.py runs/imdb me/imdb_bert_uncased
    python scripts/push.py runs/imdb me/imdb_bert_uncased --private --commit_message "2,000 steps"
    python scripts/push.py runs/imdb me/imdb_bert_uncased --tag v1

The token comes from HF_TOKEN or `hf auth login`. Exit codes: 0 done; 2 the folder cannot be
published or the Hub said no, in one line.
"""

import argparse
import logging
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from mlm.errors import UserError


def parse(arguments: list[str]) -> argparse.Namespace:
    about = (__doc__ or "").split("\n\n")[0]
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("folder", type=Path, help="the checkpoint, e.g. a run's --output_dir")
    parser.add_argument("repo", help="where to: owner/name; made if it does not exist")
    parser.add_argument("--private", action="store_true", help="make a new repository private")
    parser.add_argument("--commit_message", help="one line that says what was pushed")
    parser.add_argument("--tag", help="name this version, e.g. v1; a tag is never moved")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    from mlm.checkpoint.folder import verify_folder
    from mlm.hub import check_push, push_checkpoint
    from mlm.training.card import name_model_card

    given = parse(arguments)
    logging.basicConfig(format="%(message)s")
    try:
        repo = check_push(given.repo, private=given.private)
        verify_folder(given.folder)
        name_model_card(given.folder, repo)
        published = push_checkpoint(
            given.folder,
            repo,
            private=given.private,
            commit_message=given.commit_message,
            tag=given.tag,
        )
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(
        f"{published.url} is at commit {published.commit}{f', tag {given.tag}' * bool(given.tag)}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
