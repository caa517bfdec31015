"""The main job as a story: adapt the bundled model, publish it, pull it back, ask, classify.

    make demo                                  # a stand-in for the Hub, then the page
    python scripts/demo.py --no_serve          # without the page
    HF_TOKEN=... python scripts/demo.py --hub_model_id me/my_model      # the Hugging Face Hub

Exit codes are those of scripts/train.py; 1 also for a failure after the training.
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

from mlm.backend.startup import load_backend
from mlm.errors import TrainingError, UserError
from mlm.hub.local import LocalHub
from mlm.playground.server.environment import prepare_environment
from mlm.training.card.figures import TOP_K
from mlm.training.config import TrainingConfig
from mlm.training.recipe_file import read_recipe

if TYPE_CHECKING:
    from mlm import FillMask
    from mlm.training.trainer import TrainingResult

ROOT = Path(__file__).resolve().parent.parent
RECIPE = ROOT / "scripts" / "recipes" / "demo.yaml"
LABELS = 24  # of the last act: 8 for each kind of text
UNSEEN = (  # in no text of the corpus
    "The soup was too salty for my aunt.",
    "Her brother tuned the strings before the show.",
    "They missed the last train home.",
)
STAND_IN_TOKEN = "hf_stand_in"
STAND_IN_ID = "me/demo_adapted"
SENTENCES = (
    "I have watched this [MASK] and it was awesome.",  # from the texts of the bundled model
    "I ordered the [MASK] and it was delicious.",
    "We took the [MASK] to the coast.",
)


def main(arguments: list[str]) -> int:
    """Run the demo and return its exit code."""
    args = parse(arguments)
    try:
        with tempfile.TemporaryDirectory(prefix="mlm_demo_") as workspace:
            return run_demo(args, Path(workspace))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1 if isinstance(error, TrainingError) else 2
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 1


def run_demo(args: argparse.Namespace, workspace: Path) -> int:
    """Run all steps and return the exit code.

    workspace: an existing folder for the cache and for the stand-in's repositories.
    """
    if args.serve:
        prepare_environment()
    use_fresh_cache(workspace / "cache")
    with open_hub(args.hub_model_id, workspace / "hub") as hub_model_id:
        load_backend()
        from mlm.training.trainer import TrainingStopped

        try:
            models = train_and_compare(args, hub_model_id)
        except TrainingStopped as stopped:
            print(f"{stopped}\nmake demo starts again from the beginning", file=sys.stderr)
            return 3
    if args.serve:
        open_playground(models)
    return 0


def parse(arguments: list[str]) -> argparse.Namespace:
    """Return the command line's values; an argument that cannot be read exits with 2."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--no_serve", dest="serve", action="store_false", help="do not open the page at the end")
    add("--hub_model_id", help="publish to the real Hub as owner/name")
    for name in ("model_name_or_path", "output_dir"):
        add(f"--{name}", help=f"instead of the recipe's {name}")
    add("--max_steps", type=int, help="instead of the recipe's max_steps")
    return parser.parse_args(arguments)


def train_and_compare(args: argparse.Namespace, hub_model_id: str) -> list["FillMask"]:
    """Train, publish, pull back and compare; return the adapted and the base model."""
    from mlm import train

    started = time.monotonic()
    config = demo_config(args, hub_model_id)
    base_model = str(config.model_name_or_path)
    files = ", ".join(Path(file).name for file in config.train_file)
    print_heading(f"1. Adapt {base_model!r} to {files}, and publish it")
    result = train(config)
    assert result.published is not None, "demo_config pushes to the Hub"
    try:
        models = compare(base_model, hub_model_id, result.published.commit)
        classify(config, hub_model_id, result.published.commit)
    except UserError as error:  # after the training: exit code 1, not 2
        raise TrainingError(f"{error}; the adapted model is in {result.folder}") from None
    print(f"\n{summary(result, time.monotonic() - started)}")
    return models


def compare(base_model: str, hub_model_id: str, commit: str) -> list["FillMask"]:
    """Pull the published model and print the words of both; return it and the base model."""
    from mlm import FillMask

    print_heading(f"2. Pull {hub_model_id} back at commit {commit[:12]}")
    after = FillMask.from_pretrained(hub_model_id, commit)
    print(f"fetched into an empty cache and verified: {after.num_parameters:,} parameters")
    print_heading(f"3. The {TOP_K} best words, before and after")
    before = FillMask.from_pretrained(base_model)
    print("\n\n".join(comparison(sentence, before, after) for sentence in SENTENCES))
    return [after, before]


def classify(config: TrainingConfig, hub_model_id: str, commit: str) -> None:
    """Train classifiers of few labels on the adapted model and on the base; try the first."""
    from mlm import Classifier, FinetuningConfig, finetune

    print_heading(f"4. Classify with {LABELS} labels: adapted against not adapted")
    settings = FinetuningConfig(
        train_file=config.train_file,
        label_column_name="kind",
        model_name_or_path=hub_model_id,
        model_revision=commit,
        max_seq_length=config.max_seq_length,
        max_train_samples=LABELS,
        freeze_encoder=True,
        labels_per_class=["all"],
        compare=["base"],
        base_model_name_or_path=config.model_name_or_path,
        output_dir=f"{config.output_dir}_kinds",
        overwrite_output_dir=True,
        seed=config.seed,
    )
    result = finetune(settings)
    classifier = Classifier.from_pretrained(result.folder)
    print()
    for text, best in zip(UNSEEN, classifier(list(UNSEEN), top_k=1), strict=True):
        print(f"  {text}  ->  {best[0]['label']} {best[0]['score']:.0%}")


def demo_config(args: argparse.Namespace, hub_model_id: str) -> TrainingConfig:
    """Return the recipe's settings, overridden by the command line, with absolute file names."""
    settings = read_recipe(RECIPE)
    settings["train_file"] = [str(ROOT / file) for file in settings["train_file"]]
    names = ("model_name_or_path", "output_dir", "max_steps")
    given = {name: value for name in names if (value := getattr(args, name)) is not None}
    publishing = {"push_to_hub": True, "hub_model_id": hub_model_id}
    return TrainingConfig.from_dict(settings | given | publishing)


def use_fresh_cache(folder: Path) -> None:
    """Set an empty cache, so that the model really is pulled from the Hub.

    Must be called before huggingface_hub is imported.
    """
    os.environ["HF_HUB_CACHE"] = str(folder)
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"


@contextmanager
def open_hub(hub_model_id: str | None, folder: Path) -> Iterator[str]:
    """Yield the id to publish under.

    Without a hub_model_id, run a stand-in for the Hub in `folder`, which this process then uses.
    """
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
    """Return the sentence, and below it the best words of both models side by side."""
    columns = [model.fill(sentence, top_k=TOP_K) for model in (before, after)]
    lines = [f"  {sentence}", f"    {'before':<24}after"]
    for words in zip(*columns, strict=True):
        cells = [f"{word['token_str']:<14}{word['score']:>6.1%}" for word in words]
        lines.append(f"    {cells[0]:<24}{cells[1]}")
    return "\n".join(lines)


def summary(result: "TrainingResult", seconds: float) -> str:
    """Return the perplexities before and after the training, and the time of the demo."""
    before, after = result.before.perplexity, result.after.perplexity
    figures = f"{before:.1f} before, {after:.1f} after"
    return f"Masked-token perplexity on held-out documents: {figures}. {seconds:.0f} s in all."


def print_heading(text: str) -> None:
    """Print the heading of a step."""
    print(f"\n{text}", flush=True)


def open_playground(models: list["FillMask"]) -> None:
    """Serve both models until Ctrl-C. Raises TrainingError if no port is free."""
    from mlm.playground.page import build_playground, launch_options

    print_heading("5. The page: both models side by side. Ctrl-C ends it.")
    has_desktop = sys.platform in ("darwin", "win32") or bool(
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )
    try:
        build_playground(models).launch(inbrowser=has_desktop, **launch_options())
    except (OSError, OverflowError) as error:
        raise TrainingError(f"the page cannot be served: {error}") from None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
