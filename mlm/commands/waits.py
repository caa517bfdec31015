"""Signs of life of a command while Keras is loaded, and while something is uploaded."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from mlm.backend.startup import load_backend
from mlm.commands.invocation import INTERRUPTED, STOPPED
from mlm.terminal.lines import say
from mlm.terminal.progress import Bar, own_stderr, progress


def load_keras() -> None:
    """Import Keras and its backend, which takes seconds. Checks of arguments come before."""
    say("loading Keras")
    with leaving_at_once():
        load_backend()


@contextmanager
def leaving_at_once() -> Iterator[None]:
    """End the process on Ctrl-C in the block, which has nothing to clean up.

    Modules that are being imported may swallow a KeyboardInterrupt.
    """
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield  # ignored, as in the background, or another program's
        return
    with own_stderr() as stream:

        def leave(signum: int, frame: object) -> None:
            print(STOPPED, file=stream, flush=True)
            os._exit(INTERRUPTED)

        signal.signal(signal.SIGINT, leave)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def upload_progress(what: str) -> AbstractContextManager[Bar | None]:
    """Show that an upload takes place: on a terminal, huggingface_hub draws bars of its bytes."""
    return nullcontext() if sys.stderr.isatty() else progress(what)
