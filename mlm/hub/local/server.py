"""LocalHub: the local Hub as one object that is started and stopped."""

import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from mlm.hub.local.exchange import Faults, HubServer
from mlm.hub.local.routes import ROUTES
from mlm.hub.local.store import RepoStore


class LocalHub:
    """Serve the repositories of a folder on 127.0.0.1 while the `with` block lasts.

    Args:
        folder: of the repositories; a later LocalHub on the same folder has them again.
        token: the write token of `user`; without a token, only public repositories are readable.
        user: the only account; its name is the only namespace that can be written to.
        read_token: a token of `user` without write permission.
        port: 0 takes any free one.
        faults: called before each request for the failure to answer with; for tests.
        ranges: False answers a range request with the whole file, as some proxies do.

    Attributes:
        served: "owner/name/path" of a file -> bytes of its content that were sent, over all
            commits; if the client hangs up, the last chunk counts as a whole.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        token: str,
        user: str = "me",
        read_token: str | None = None,
        port: int = 0,
        faults: Faults | None = None,
        ranges: bool = True,
    ) -> None:
        roles = {token: "write"} | ({read_token: "read"} if read_token else {})
        store = RepoStore(folder)
        self._server = HubServer(
            port, ROUTES, store=store, user=user, roles=roles, faults=faults, ranges=ranges
        )
        self.url, self.served = self._server.url, self._server.served
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def wait(self) -> None:
        """Wait until the server stops."""
        self._thread.join()
