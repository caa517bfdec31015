"""Serve the playground; a Space's app.py and the project's own call `main`.

MLM_MODEL            a checkpoint folder, a Hub id, one at a revision (me/model@v1), or absent for
                     the bundled model; several, separated by commas, answer side by side, the
                     first being the main one
MLM_ENGINE           as --engine
GRADIO_SERVER_PORT   and Gradio's other variables mean what they mean to Gradio
"""

import argparse
import os
import sys
from functools import partial

from mlm.backend.startup import keep_pytorch_out, load_backend
from mlm.errors import UserError
from mlm.inference.engines.choice import ENGINES, check_engine
from mlm.inference.fill_mask import FillMask
from mlm.playground.server.environment import check_environment


def main(arguments: list[str] | None = None) -> int:
    """Serve the page until it is stopped; return the exit code."""
    parser = argparse.ArgumentParser(
        description="Open the playground on the checkpoints that MLM_MODEL names, "
        "separated by commas; without it, on the bundled one."
    )
    parser.add_argument("--share", action="store_true", help="make a public link as well")
    parser.add_argument("--root_path", help="where a reverse proxy serves the page, as /fill")
    parser.add_argument(
        "--engine",
        default=os.environ.get("MLM_ENGINE") or "auto",
        help=f"what answers, {', '.join(ENGINES)}: LiteRT with weights in 8 bits, which is fast; "
        "Keras, whose numbers are exact; auto is Keras where LiteRT cannot",
    )
    args = parser.parse_args(arguments)
    try:
        serve(args.engine, share=args.share or None, root_path=args.root_path)
    except (UserError, OSError, OverflowError) as error:  # the last two: no port is free
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def serve(engine: str, *, share: bool | None, root_path: str | None) -> None:
    """Open the page and stay; None leaves a setting to Gradio's environment variables."""
    check_environment()
    check_engine(engine)
    if engine == "keras":
        load_backend()
    keep_pytorch_out()
    # Not above: it brings Gradio, which breaks on a bad environment.
    from mlm.playground.choice import allowed_owners
    from mlm.playground.models import Models
    from mlm.playground.page import build_playground, launch_options

    names = [name.strip() for name in os.environ.get("MLM_MODEL", "").split(",") if name.strip()]
    own = partial(FillMask.from_pretrained, engine=engine, dtype="int8")
    of_visitors = partial(FillMask.from_hub, engine=engine, dtype="int8")
    models = Models(names or ["demo"], own)
    page = build_playground(models, allowed_owners(), of_visitors)
    page.launch(share=share, root_path=root_path, prevent_thread_lock=True, **launch_options())
    _ = models.all  # the page is there meanwhile; what cannot be loaded ends it
    page.block_thread()
