"""The main job as a story: adapt the bundled model, publish it, pull it back, try it.

    make demo                                  # a stand-in for the Hub, then the page
    python scripts/demo.py --no_serve          # without the page
    HF_TOKEN=... python scripts/demo.py --hub_model_id me/my_model      # the Hugging Face Hub

Exit codes are those of scripts/train.py; a failure of what follows the training is a 1, too.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from mlm.backend.startup import load_backend
from mlm.errors import TrainingError, UserError
from mlm.hub.local import LocalHub
from mlm.playground.server.environment import check_environment
from mlm.training.card.figures import TOP_K
from mlm.training.config import TrainingConfig
from mlm.training.recipe_file import read_recipe

if TYPE_CHECKING:
    from mlm import FillMask
    from mlm.training.trainer import TrainingResult

ROOT = Path(__file__).resolve().parent.parent
RECIPE = ROOT / "scripts" / "recipes" / "demo.yaml"
STAND_IN_TOKEN = "hf_stand_in"
STAND_IN_ID = "me/demo_adapted"
SENTENCES = (
    "I have watched this [MASK] and it was awesome.",  # the film reviews' own
    "I ordered the [MASK] and it was delicious.",
    "We took the [MASK] to the coast.",
)


def main(arguments: list[str]) -> int:
    args = parse(arguments)
    try:
        with tempfile.TemporaryDirectory(prefix="mlm_demo_") as workspace:
            return perform(args, Path(workspace))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1 if isinstance(error, TrainingError) else 2
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 1


def perform(args: argparse.Namespace, workspace: Path) -> int:
    """The exit code, once all is told; `workspace` is there as long as this runs."""
    if args.serve:
        check_environment()
    use_fresh_cache(workspace / "cache")
    with the_hub(args.hub_model_id, workspace / "hub") as hub_model_id:
        load_backend()
        from mlm.training.trainer import TrainingStopped

        try:
            models = tell(args, hub_model_id)
        except TrainingStopped as stopped:
            print(f"{stopped}\nmake demo starts anew", file=sys.stderr)
            return 3
    if args.serve:
        open_playground(models)
    return 0


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--no_serve", dest="serve", action="store_false", help="no page at the end")
    parser.add_argument("--hub_model_id", help="publish to the real Hub as owner/name")
    for name in ("model_name_or_path", "output_dir"):
        parser.add_argument(f"--{name}", help=f"instead of the recipe's {name}")
    parser.add_argument("--max_steps", type=int, help="instead of the recipe's max_steps")
    return parser.parse_args(arguments)


def tell(args: argparse.Namespace, hub_model_id: str) -> list["FillMask"]:
    """Train, publish, pull back, compare. Returns the models for the page: after, before."""
    from mlm import train

    started = time.monotonic()
    config = demo_config(args, hub_model_id)
    start = str(config.model_name_or_path)
    files = ", ".join(Path(file).name for file in config.train_file)
    headline(f"1. Adapt {start!r} to {files}, and publish it")
    result = train(config)
    assert result.published is not None, "demo_config pushes to the Hub"
    try:
        models = compare(start, hub_model_id, result.published.commit)
    except UserError as error:  # not of the arguments any more
        raise TrainingError(f"{error}; the adapted model is in {result.folder}") from None
    print(f"\n{summary(result, time.monotonic() - started)}")
    return models


def compare(start: str, hub_model_id: str, commit: str) -> list["FillMask"]:
    """Pull what was published, and show both models' words. Returns them: after, before."""
    from mlm import FillMask

    headline(f"2. Pull {hub_model_id} back at commit {commit[:12]}")
    after = FillMask.from_pretrained(hub_model_id, commit)
    print(f"fetched into an empty cache and verified: {after.num_parameters:,} parameters")
    headline(f"3. The {TOP_K} best words, before and after")
    before = FillMask.from_pretrained(start)
    print("\n\n".join(comparison(sentence, before, after) for sentence in SENTENCES))
    return [after, before]


def demo_config(args: argparse.Namespace, hub_model_id: str) -> TrainingConfig:
    """The recipe, its files found wherever the command runs, with what the command line says."""
    settings = read_recipe(RECIPE)
    settings["train_file"] = [str(ROOT / file) for file in settings["train_file"]]
    names = ("model_name_or_path", "output_dir", "max_steps")
    said = {name: value for name in names if (value := getattr(args, name)) is not None}
    publishing = {"push_to_hub": True, "hub_model_id": hub_model_id}
    return TrainingConfig.from_dict(settings | said | publishing)


def use_fresh_cache(folder: Path) -> None:
    """What is pulled back really comes from the Hub. To be called before huggingface_hub loads."""
    os.environ["HF_HUB_CACHE"] = str(folder)
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"


@contextmanager
def the_hub(hub_model_id: str | None, folder: Path) -> Iterator[str]:
    """The id to publish under: the user's on the real Hub, else ours on a stand-in."""
    if hub_model_id:
        yield hub_model_id
        return
    with LocalHub(folder, token=STAND_IN_TOKEN) as hub:
        os.environ |= {
            "HF_ENDPOINT": hub.url,
            "HF_TOKEN": STAND_IN_TOKEN,
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_OFFLINE": "0",
            "NO_PROXY": ",".join(filter(None, [os.environ.get("NO_PROXY"), "127.0.0.1"])),
        }
        print(f"The Hub is a local stand-in at {hub.url}; for the real one, set HF_TOKEN and")
        print("run: make demo HUB_MODEL_ID=me/my_model")
        yield STAND_IN_ID


def comparison(sentence: str, before: "FillMask", after: "FillMask") -> str:
    """The sentence, and below it the best words of both models side by side."""
    columns = [model.fill(sentence, top_k=TOP_K) for model in (before, after)]
    lines = [f"  {sentence}", f"    {'before':<24}after"]
    for ranked in zip(*columns, strict=True):
        cells = [f"{best['token_str']:<14}{best['score']:>6.1%}" for best in ranked]
        lines.append(f"    {cells[0]:<24}{cells[1]}")
    return "\n".join(lines)


def summary(result: "TrainingResult", seconds: float) -> str:
    before, after = result.before.perplexity, result.after.perplexity
    figures = f"{before:.1f} before, {after:.1f} after"
    return f"Masked-token perplexity on held-out documents: {figures}. {seconds:.0f} s in all."


def headline(text: str) -> None:
    print(f"\n{text}", flush=True)


def open_playground(models: list["FillMask"]) -> None:
    """Serve both models until Ctrl-C; TrainingError where no port is free."""
    from mlm.playground.page import build_playground, launch_options

    headline("4. The page: both models side by side. Ctrl-C ends it.")
    desktop = sys.platform in ("darwin", "win32") or bool(
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )
    try:
        build_playground(models).launch(inbrowser=desktop, **launch_options())
    except (OSError, OverflowError) as error:
        raise TrainingError(f"the page cannot be served: {error}") from None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
