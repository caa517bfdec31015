"""The playground: `python app.py`, or as a Hugging Face Space.

MLM_MODEL            a checkpoint folder, a Hub id, one at a revision (me/model@v1), or absent for
                     the bundled model; several, separated by commas, answer side by side, the
                     first being the main one
GRADIO_SERVER_PORT   and Gradio's other variables mean what they mean to Gradio
"""

import argparse
import os
import sys

from mlm.devices import load_backend
from mlm.errors import UserError
from mlm.fill_mask import FillMask
from mlm.playground.environment import check_environment


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Open the playground on the checkpoints that MLM_MODEL names, "
        "separated by commas; without it, on the bundled one."
    )
    parser.add_argument("--share", action="store_true", help="make a public link as well")
    parser.add_argument("--root_path", help="where a reverse proxy serves the page, as /fill")
    args = parser.parse_args()
    try:
        serve(share=args.share or None, root_path=args.root_path)
    except (UserError, OSError, OverflowError) as error:  # the last two: no port is free
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def serve(*, share: bool | None, root_path: str | None) -> None:
    """Open the page and stay; None leaves a setting to Gradio's environment variables."""
    check_environment()
    load_backend()
    # Not above: it brings Gradio, which breaks on a bad environment.
    from mlm.playground.choice import allowed_owners
    from mlm.playground.models import Models
    from mlm.playground.page import build_playground, launch_options

    names = [name.strip() for name in os.environ.get("MLM_MODEL", "").split(",") if name.strip()]
    models = Models(names or ["demo"], FillMask.from_pretrained)
    page = build_playground(models, allowed_owners())
    page.launch(share=share, root_path=root_path, prevent_thread_lock=True, **launch_options())
    _ = models.all  # the page is there meanwhile; what cannot be loaded ends it
    page.block_thread()


if __name__ == "__main__":
    raise SystemExit(main())
