"""Serve a local Hub by hand: `python -m mlm.hub.local [--port 8808] FOLDER`, Ctrl-C to stop.

The token with write permission is HF_TOKEN; if that is not set, one is made up and printed.
"""

import argparse
import contextlib
import os
import secrets
import signal

from mlm.hub.local.server import LocalHub


def main() -> None:
    """Serve until Ctrl-C; print the settings that a client needs."""
    parser = argparse.ArgumentParser(prog="python -m mlm.hub.local", description=__doc__)
    parser.add_argument("folder", help="where the repositories are kept")
    parser.add_argument("--port", type=int, default=8808)
    parser.add_argument("--user", default="me", help="the namespace that can be written to")
    given = parser.parse_args()
    # A shell starts background processes with Ctrl-C ignored; here it has to work.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    token = os.environ.get("HF_TOKEN")
    made_up = None if token else "hf_" + secrets.token_hex(8)
    with LocalHub(
        given.folder, token=token or made_up or "", user=given.user, port=given.port
    ) as hub:
        settings = f"HF_ENDPOINT={hub.url} HF_HUB_DISABLE_XET=1"
        print(f"export {settings}" + (f" HF_TOKEN={made_up}" if made_up else ""), flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            hub.wait()


if __name__ == "__main__":
    main()
