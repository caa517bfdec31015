"""Signs of life of a command: its first words, and what takes long before and after the work."""

import sys
from contextlib import AbstractContextManager, nullcontext

from mlm.backend.startup import load_backend
from mlm.terminal.progress import Bar, progress


def say(line: str) -> None:
    """Print a line for whoever waits, on stderr, at once."""
    print(line, file=sys.stderr, flush=True)


def load_keras() -> None:
    """Import Keras and its backend, which takes seconds. Checks of arguments come before."""
    say("loading Keras")  # a bar could not be drawn: the import mutes the stream
    load_backend()


def upload_progress(what: str) -> AbstractContextManager[Bar | None]:
    """Show that an upload takes place: on a terminal, huggingface_hub draws bars of its bytes."""
    return nullcontext() if sys.stderr.isatty() else progress(what)
