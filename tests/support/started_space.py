"""Start a folder with the files of a Space as a Space starts it, and record the hosts it contacts.

The environment is a new one: no token, a home of its own, the variables that a Space has. The
Python is that of the tests, or MLM_SPACE_PYTHON; `make test-space` sets that to one with only the
Space's requirements.
"""

import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

PYTHON = str(Path(os.environ.get("MLM_SPACE_PYTHON") or sys.executable).absolute())
CORES = 2
BOUND = 60.0  # seconds from the start to the first answer
# Refuses connections beyond this machine, and writes down the hosts.
GUARD = """
import sys
from pathlib import Path

def refuse(event, arguments):
    if event == "socket.connect":
        host = arguments[1][0] if isinstance(arguments[1], tuple) else "localhost"
    elif event == "socket.getaddrinfo":
        host = arguments[0]
    else:
        return
    host = host.decode() if isinstance(host, bytes) else str(host)
    if not host.startswith(("127.", "localhost", "::1", "0.0.0.0", "None")):
        with Path(__file__).with_name("hosts").open("a") as hosts:
            hosts.write(f"{event} {host}\\n")
        raise OSError(101, "Network is unreachable")

sys.addaudithook(refuse)
"""


@dataclass(frozen=True)
class StartedSpace:
    """A running Space: its address, its start time, its process, and the folder of its log."""

    url: str
    started: float
    beside: Path
    process: subprocess.Popen

    def seconds(self) -> float:
        """Return the seconds since the start."""
        return time.monotonic() - self.started

    def time_left(self) -> float:
        """Return the seconds until BOUND."""
        return BOUND - self.seconds()

    def hosts_tried(self) -> list[str]:
        """Return the hosts beyond this machine that it tried to reach."""
        hosts = self.beside / "guard" / "hosts"
        return hosts.read_text().splitlines() if hosts.exists() else []

    def log(self) -> str:
        """Return its output."""
        return (self.beside / "log").read_text()

    def wait_until_there(self) -> None:
        """Wait for its front page. Raises TimeoutError, and AssertionError if it ended."""
        while self.time_left() > 0:
            assert self.process.poll() is None, "it ended; its last lines are above"
            try:
                urlopen(self.url, timeout=5).close()
                return
            except (URLError, OSError):
                time.sleep(0.2)
        raise TimeoutError(f"no page after {BOUND:.0f} s")


@contextmanager
def started_space(
    folder: Path, beside: Path, variables: Mapping[str, str], arguments: Sequence[str] = ()
) -> Iterator[StartedSpace]:
    """Run `python app.py` in the folder, on a free port of this machine, until the block ends.

    beside: an empty folder for its home, its log and its guard.
    """
    guard, port = beside / "guard", free_port()
    guard.mkdir()
    (guard / "sitecustomize.py").write_text(GUARD)
    environment = {
        "PATH": os.defpath,
        "HOME": str(beside / "home"),
        "PYTHONPATH": str(guard),
        "PYTHONUNBUFFERED": "1",
        "SYSTEM": "spaces",
        "SPACE_ID": "me/playground",
        "SPACE_HOST": "me-playground.hf.space",
        "GRADIO_SERVER_NAME": "127.0.0.1",
        "GRADIO_SERVER_PORT": str(port),
        **variables,
    }
    started = time.monotonic()
    with (beside / "log").open("w") as log:
        process = subprocess.Popen(
            [PYTHON, "app.py", *arguments],
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    on_two_cores(process.pid)
    try:
        yield StartedSpace(f"http://127.0.0.1:{port}", started, beside, process)
    finally:
        process.kill()
        process.wait()
        print((beside / "log").read_text()[-3000:])


def on_two_cores(pid: int) -> None:
    """Restrict a process to as many cores as a free Space has, if the system can."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(pid, sorted(os.sched_getaffinity(pid))[:CORES])


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that is free, below those that Linux assigns by itself.

    A server takes it seconds later, after its imports, and by then a port of `bind(0)` may have
    been assigned to another socket.
    """
    for _ in range(1000):
        port = random.SystemRandom().randrange(20_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError("no free port of 127.0.0.1 from 20,000 to 31,999")
