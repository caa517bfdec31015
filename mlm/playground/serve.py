"""Serve the page on the models that MLM_MODEL names: what `python app.py` runs.

Nothing heavy is imported at the top, because the order matters: first the environment is checked,
which Gradio reads while it is imported; then the backend is set up and PyTorch is kept out, before
anything imports Keras or transformers.
"""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from mlm.backend.startup import keep_pytorch_out, load_backend
from mlm.errors import UserError
from mlm.hub.pull import DEMO, check_available, check_name, is_classifier
from mlm.playground.server.environment import prepare_environment, with_slash
from mlm.terminal.lines import say
from mlm.terminal.progress import progress

if TYPE_CHECKING:
    from gradio import Blocks

    from mlm.playground.served_classifier import ServedClassifier

INTERRUPTED = 130  # exit code after Ctrl-C, as shells have it
PAUSE = 0.1  # seconds


def main(arguments: list[str] | None = None, prog: str | None = None) -> int:
    """Serve the page until the process is stopped.

    Args:
        arguments: the command line after the program's name; None for `sys.argv[1:]`.
        prog: what usage lines call the program; None for its file name.

    Returns:
        The exit code: 0, 2 after one line on stderr that says what to change, 130 after Ctrl-C.
    """
    args = _parse(arguments, prog)
    try:
        serve(
            args.models or _models_of_environment(),
            args.engine,
            share=args.share or None,
            root_path=args.root_path and with_slash(args.root_path),
        )
    except (UserError, OSError, OverflowError) as error:  # the last two: no port is available
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped by Ctrl-C", file=sys.stderr)
        return INTERRUPTED
    return 0


def serve(names: Sequence[str], engine: str, *, share: bool | None, root_path: str | None) -> None:
    """Serve the page until the process is stopped.

    Args:
        names: checkpoint folders and Hub ids; none for the bundled model. One may be a classifier,
            which answers at `/classify`.
        engine: `auto`, `litert` or `keras`.
        share: True makes a public link as well; None leaves it to GRADIO_SHARE.
        root_path: path at which a reverse proxy serves the page; None leaves it to
            GRADIO_ROOT_PATH.

    Raises:
        UserError: a variable, the engine or a model is not usable.
        OSError, OverflowError: no port is available.
    """
    prepare_environment()
    for name in names:
        check_name(name.partition("@")[0])
    say(f"opening the page on {', '.join(names) or DEMO}")
    keep_pytorch_out()
    with progress("looking for the models"):
        for name in names:
            check_available(name)
    from mlm.inference.engines.choice import check_engine

    check_engine(engine)
    if engine == "keras":
        load_backend()
    from mlm.inference.fill_mask import FillMask
    from mlm.playground.choice import allowed_owners
    from mlm.playground.models import Models
    from mlm.playground.page import build_playground, launch_options

    load_own = partial(FillMask.from_pretrained, engine=engine, dtype="int8")
    load_other = partial(FillMask.from_hub, engine=engine, dtype="int8")
    names, classifier = _start_classifier(names, engine)
    models = Models([*names] or [DEMO], load_own)
    page = build_playground(models, allowed_owners(), load_other, classifier)
    options = launch_options(classifies=classifier is not None)
    page.launch(share=share, root_path=root_path, prevent_thread_lock=True, **options)
    with progress("loading the models"):
        _ = models.all  # wait while the page is served; a model that cannot be loaded ends it
        _ = classifier and classifier.model
    _block(page)


def _start_classifier(
    names: Sequence[str], engine: str
) -> "tuple[list[str], ServedClassifier | None]":
    """Return the names of the other models, and the classifier among them, which is being loaded.

    Raises UserError for two classifiers, or a model whose config cannot be read.
    """
    from mlm.playground.served_classifier import ServedClassifier, split_names

    others, name = split_names([*names], is_classifier)
    if name is None:
        return others, None
    shown = "" if others else f"; the page shows {DEMO}, because it needs a masked language model"
    say(f"{name} is a classifier: it answers programs at /classify{shown}")
    from mlm.inference.classifier import Classifier

    load = partial(Classifier.from_pretrained, engine=engine, dtype="int8")
    return others, ServedClassifier(name, load)


def _block(page: "Blocks") -> None:
    """Wait until the page is closed. Gradio's own wait would swallow Ctrl-C."""
    try:
        while page.is_running:
            time.sleep(PAUSE)
    except KeyboardInterrupt:
        page.close(verbose=False)
        raise


def _models_of_environment() -> list[str]:
    """Return the names in MLM_MODEL, which commas separate."""
    names = os.environ.get("MLM_MODEL", "").split(",")
    return [name.strip() for name in names if name.strip()]


def _parse(arguments: list[str] | None, prog: str | None) -> argparse.Namespace:
    from mlm.inference.engines.choice import ENGINES

    parser = argparse.ArgumentParser(
        prog=prog,
        description="Serve the page on one checkpoint, or on several side by side; a classifier "
        "among them answers programs at /classify.",
    )
    parser.add_argument(
        "models",
        nargs="*",
        metavar="MODEL",
        help="a checkpoint folder, a Hub id, or a Hub id at a revision (me/model@v1); default: "
        "those that MLM_MODEL names, separated by commas, else the bundled model",
    )
    parser.add_argument("--share", action="store_true", help="make a public link as well")
    parser.add_argument(
        "--root_path", help="the path at which a reverse proxy serves the page, such as /fill"
    )
    parser.add_argument(
        "--engine",
        default=os.environ.get("MLM_ENGINE") or "auto",
        help=f"inference engine, one of {', '.join(ENGINES)}: litert is fast, with 8-bit weights; "
        "keras gives exact numbers; auto is litert, or keras where litert cannot run "
        "(default: MLM_ENGINE, else auto)",
    )
    return parser.parse_args(arguments)
