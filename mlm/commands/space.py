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
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from mlm.backend.startup import keep_pytorch_out
from mlm.commands.invocation import exit_code, program
from mlm.commands.space_report import SpacePlan, plan_json, plan_text
from mlm.commands.waits import upload_progress
from mlm.errors import ConfigError
from mlm.hub.space.settings import (
    HARDWARE,
    SpaceSettings,
    checked_hardware,
    space_secrets,
    space_variables,
)
from mlm.terminal.lines import say
from mlm.terminal.progress import progress


def parse(arguments: list[str]) -> argparse.Namespace:
    """Parse the command line."""
    about = (__doc__ or "").split("\n\n")[0]
    parser = argparse.ArgumentParser(prog=program("space"), description=about)
    add = parser.add_argument
    add("space", help="owner/name; created if it does not exist")
    add("--model", default="demo", help="ids on the Hub, separated by commas, as in MLM_MODEL")
    add("--private", action="store_true", help="make a new Space private")
    add("--hardware", help=f"{' or '.join(HARDWARE)}; default: what the Space has")
    variable = "environment variable of the Space, which anybody can read"
    add("--variable", action="append", default=[], metavar="NAME=VALUE", help=variable)
    secret = (
        "secret of the Space; its value is that of SPACE_NAME, or else NAME, in your environment"
    )
    add("--secret", action="append", default=[], metavar="NAME", help=secret)
    add("--wait", action="store_true", help="wait until the Space runs, or fails")
    add("--dry_run", action="store_true", help="show the settings and files, and send nothing")
    add("--json", action="store_true", help="with --dry_run: print JSON with each file's hash")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Run the command and return its exit code."""
    given = parse(arguments)
    logging.basicConfig(format="%(message)s")
    return exit_code(lambda: _deploy(given))


def _deploy(given: argparse.Namespace) -> None:
    settings = _check(given)
    say(f"{'planning' if given.dry_run else 'deploying'} the Space {given.space}")
    keep_pytorch_out()
    from mlm.hub.space.deploy import check_settings, space_models
    from mlm.hub.space.files import lay_out

    with progress("looking for the models on the Hub"):
        models = space_models(given.model)
    variables = space_variables([model.name for model in models], given.variable)
    settings = replace(settings, variables=variables)
    check_settings(settings, models)
    with TemporaryDirectory() as folder:
        hardware = settings.hardware or HARDWARE[0]
        files = lay_out(Path(folder), models, hardware, sign_in=settings.sign_in)
        plan = SpacePlan(given.space, models, settings, files)
        if given.dry_run:
            print(plan_json(plan) if given.json else plan_text(plan))
        else:
            _publish(plan, wait=given.wait)


def _check(given: argparse.Namespace) -> SpaceSettings:
    """Return the settings, checked before the Hub is asked.

    Raises:
        UserError: a setting that cannot work.
    """
    if given.json and not given.dry_run:
        raise ConfigError("--json goes with --dry_run: leave it out to deploy")
    if given.wait and given.dry_run:
        raise ConfigError("--wait waits for a Space that was deployed: leave it or --dry_run out")
    return SpaceSettings(
        space_variables([], given.variable),
        space_secrets(given.secret, os.environ),
        checked_hardware(given.hardware),
        given.private,
    )


def _publish(plan: SpacePlan, *, wait: bool) -> None:
    from mlm.hub.space.deploy import deploy_space, wait_until_running

    with upload_progress(f"uploading {len(plan.files)} files to {plan.name}"):
        published = deploy_space(plan.name, plan.files, plan.settings)
    print(f"{published.url} is at commit {published.commit}; the build takes some minutes")
    if wait:
        with progress(f"waiting until {plan.name} runs"):
            wait_until_running(published)
        print("It runs.")
