"""Create or update a Hugging Face Space of the page, in one commit.

    mlm space me/my-playground --model me/imdb_bert_uncased
    mlm space me/my-playground --model me/imdb_bert_uncased --dry_run

The models are pinned to the commits that they have now; deploy again for later ones. The token with
write permission is HF_TOKEN or the one of `hf auth login`. mlm/hub/space/settings.py says which
hardware runs the page, and for which accounts. Exit codes: 0 done; 2 the Hub refused, or the
settings cannot work, explained in one line.
"""

import argparse
import logging
import os
from pathlib import Path
from tempfile import TemporaryDirectory

from mlm.commands.invocation import exit_code, program
from mlm.hub.space.settings import HARDWARE


def parse(arguments: list[str]) -> argparse.Namespace:
    """Parse the command line."""
    about = (__doc__ or "").split("\n\n")[0]
    parser = argparse.ArgumentParser(prog=program("space"), description=about)
    add = parser.add_argument
    add("space", help="owner/name; created if it does not exist")
    add("--model", default="demo", help="ids on the Hub, separated by commas, as in MLM_MODEL")
    add("--private", action="store_true", help="make a new Space private")
    add("--hardware", help=f"{' or '.join(HARDWARE)}; default: what the Space has")
    add("--variable", action="append", default=[], metavar="NAME=VALUE", help="anybody can read it")
    add("--secret", action="append", default=[], metavar="NAME", help="value of SPACE_NAME or NAME")
    add("--wait", action="store_true", help="wait until the Space runs, or fails")
    add("--dry_run", action="store_true", help="list the files and settings, and send nothing")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Run the command and return its exit code."""
    given = parse(arguments)
    logging.basicConfig(format="%(message)s")
    return exit_code(lambda: _deploy(given))


def _deploy(given: argparse.Namespace) -> None:
    from mlm.hub.space.deploy import check_settings, deploy_space, space_models, wait_until_running
    from mlm.hub.space.files import lay_out, listing
    from mlm.hub.space.settings import (
        SpaceSettings,
        checked_hardware,
        space_secrets,
        space_variables,
    )

    hardware = checked_hardware(given.hardware)
    secrets = space_secrets(given.secret, os.environ)
    models = space_models(given.model)
    variables = space_variables([model.name for model in models], given.variable)
    settings = SpaceSettings(variables, secrets, hardware, given.private)
    check_settings(settings, models)
    with TemporaryDirectory() as folder:
        files = lay_out(Path(folder), models, hardware or HARDWARE[0], sign_in=settings.sign_in)
        if given.dry_run:
            print(listing(files), settings.listing(), sep="\n")
            return
        published = deploy_space(given.space, files, settings)
    print(f"{published.url} is at commit {published.commit}; the build takes some minutes")
    if given.wait:
        wait_until_running(published)
        print("It runs.")
