"""One HTTP request and its answer: bodies read in pieces, replies, refusals, planned faults."""

import hmac
import io
import json
import logging
import re
import socket
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from mlm.hub.local.store import (
    Commit,
    ParentConflict,
    RepoFacts,
    RepoNotFound,
    RepoStore,
    RevisionNotFound,
)

logger = logging.getLogger(__name__)

CHUNK = 1024 * 1024  # bytes read or written at a time

JsonObject = dict[str, Any]  # as a client sends it, not checked


@dataclass(frozen=True)
class Fault:
    """A failure that a test plans in place of an answer.

    status: the HTTP status to answer with; None drops the connection.
    after: carry the request out first, so that only the answer is lost.
    sent: the share of that answer that is sent before the connection drops.
    """

    status: int | None
    headers: Mapping[str, str] = field(default_factory=dict)
    after: bool = False
    sent: float = 0.0


Connection = socket.socket | tuple[bytes, socket.socket]  # as socketserver types it
Faults = Callable[[str, str], Fault | None]  # (method, path) -> the failure, if any


class Refusal(Exception):
    """An error answer; the client chooses its exception by `code`."""

    def __init__(self, status: int, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.code = status, message, code


class HubServer(ThreadingHTTPServer):
    """The HTTP server and the state that its exchanges share.

    store, user, faults, ranges, served: as in LocalHub. roles: token -> "write" or "read".
    tickets: secret of a permitted upload -> (sha256, size). routes: see routes.py.
    """

    daemon_threads = False

    def __init__(
        self,
        port: int,
        routes: Sequence["Route"],
        *,
        store: RepoStore,
        user: str,
        roles: Mapping[str, str],
        faults: Faults | None,
        ranges: bool,
    ) -> None:
        self.routes, self.store, self.user = routes, store, user
        self.roles, self.faults, self.ranges = roles, faults, ranges
        self.tickets: dict[str, tuple[str, int]] = {}
        self.served: Counter[str] = Counter()
        self._served_lock = threading.Lock()
        self._connections: set[Connection] = set()
        self._connections_lock = threading.Lock()
        super().__init__(("127.0.0.1", port), Exchange)
        self.url = f"http://127.0.0.1:{self.server_port}"

    def server_bind(self) -> None:
        """Bind without looking up the name of 127.0.0.1."""
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = "localhost", self.server_address[1]

    def process_request(self, request: Connection, client_address: object) -> None:
        """Remember the connection, then serve it in a thread."""
        with self._connections_lock:
            self._connections.add(request)
        super().process_request(request, client_address)

    def note_served(self, file: str, count: int) -> None:
        """Add to the bytes of a file's content that were sent."""
        with self._served_lock:
            self.served[file] += count

    def shutdown_request(self, request: Connection) -> None:
        """Forget the connection and close it."""
        with self._connections_lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Connection, client_address: object) -> None:
        """Log the error; one of the connection, such as a client that left, as debug only."""
        of_connection = isinstance(sys.exception(), OSError)
        level = logging.DEBUG if of_connection else logging.ERROR
        logger.log(level, "a request failed", exc_info=True)

    def server_close(self) -> None:
        """Stop, and close the connections that clients keep open."""
        with self._connections_lock:
            for connection in self._connections:
                if isinstance(connection, socket.socket):
                    hang_up(connection)
        super().server_close()


class Exchange(BaseHTTPRequestHandler):
    """One connection; a handler reads with `body*`, and answers with `reply` or raises Refusal."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: HubServer

    @property
    def store(self) -> RepoStore:
        """The server's repositories."""
        return self.server.store

    def answer(self) -> None:
        """Carry out one request, or the fault planned for it."""
        url = urlsplit(self.path)
        self.query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        self._unread = int(self.headers.get("Content-Length") or 0)
        fault = self.server.faults(self.command, url.path) if self.server.faults else None
        if fault is None:
            self._route(url.path)
        else:
            self._fail(fault, url.path)
        for _ in self.body_chunks():
            pass  # the rest would be read as the next request

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = answer

    def _route(self, path: str) -> None:
        try:
            for methods, pattern, handle in self.server.routes:
                match = pattern.fullmatch(path)
                if match and self.command in methods:
                    found = match.groupdict().items()
                    handle(self, **{name: unquote(part) for name, part in found if part})
                    return
            raise RepoNotFound(path)
        except Exception as error:
            self._refuse(self._as_refusal(error))

    def _as_refusal(self, error: Exception) -> Refusal:
        match error:
            case Refusal():
                return error
            case RepoNotFound():  # as for a private one: strangers must not learn what exists
                status = 404 if self.headers.get("Authorization") else 401
                return Refusal(status, "Repository not found", "RepoNotFound")
            case RevisionNotFound():
                return Refusal(404, f"Invalid rev id: {error}", "RevisionNotFound")
            case ParentConflict():
                return Refusal(412, "A commit has happened since. Please refresh and try again.")
            case KeyError() | TypeError() | ValueError():
                return Refusal(400, f"Bad request: {error}")
            case _:
                raise error

    def _refuse(self, refusal: Refusal) -> None:
        headers = {"X-Error-Message": refusal.message}
        if refusal.code:
            headers["X-Error-Code"] = refusal.code
        self.reply({"error": refusal.message}, refusal.status, headers)

    def _fail(self, fault: Fault, path: str) -> None:
        if fault.after:
            connection, self.wfile = self.wfile, io.BytesIO()
            self._route(path)
            answer, self.wfile = self.wfile.getvalue(), connection
            self.wfile.write(answer[: int(fault.sent * len(answer))])
        if fault.status is None:
            self.close_connection = True
            hang_up(self.connection)
        else:
            self.reply({"error": "injected fault"}, fault.status, fault.headers)

    def body_chunks(self) -> Iterator[bytes]:
        """Yield the rest of the request's body. Raises ConnectionError if it is cut short."""
        while self._unread:
            yield self._read(self.rfile.read(min(CHUNK, self._unread)))

    def body_lines(self) -> Iterator[JsonObject]:
        """Yield the body's JSON lines, one line in memory at a time."""
        while self._unread:
            line = self._read(self.rfile.readline(self._unread))
            if line.strip():
                yield json.loads(line)

    def _read(self, piece: bytes) -> bytes:
        if not piece:
            self._unread, self.close_connection = 0, True
            raise ConnectionError("the client went away in the middle of a request")
        self._unread -= len(piece)
        return piece

    def body(self) -> JsonObject:
        """Return the body as one JSON object; {} for an empty one."""
        content: JsonObject = json.loads(b"".join(self.body_chunks()) or b"{}")
        return content

    def form(self) -> dict[str, list[str]]:
        """Return the body of an HTML form or a JSON object; clients send lists of paths as both."""
        body = b"".join(self.body_chunks()).decode()
        if self.headers.get("Content-Type", "").startswith("application/json"):
            content: dict[str, list[str]] = json.loads(body)
            return content
        return parse_qs(body)

    def reply(
        self, content: object, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        """Answer with JSON."""
        body = json.dumps(content).encode()
        headers = {"Content-Type": "application/json", **(headers or {})}
        self.start_reply(status, headers, len(body))
        if self.command != "HEAD":
            self.wfile.write(body)

    def start_reply(self, status: int, headers: Mapping[str, str], length: int) -> None:
        """Send the status and the headers; the caller writes the body of `length` bytes."""
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(length)}.items():
            self.send_header(name, re.sub(r"[^\x20-\x7e]+", " ", value))
        self.end_headers()

    def role(self) -> str | None:
        """Return "write", "read", or None without a token. Raises Refusal for an unknown token."""
        given = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if not given:
            return None
        for token, role in self.server.roles.items():
            if hmac.compare_digest(token.encode(), given.encode()):
                return role
        raise Refusal(401, "Invalid credentials in Authorization header")

    def check_may_write(self, repo: str) -> None:
        """Raise Refusal unless the token may write to the repository."""
        role = self.role()
        if role is None:
            raise Refusal(401, "Invalid username or password.")
        if role != "write" or repo.split("/")[0] != self.server.user:
            raise Refusal(403, f"You don't have the rights to write to {repo}")

    def facts(self, kind: str, repo: str) -> RepoFacts:
        """Return a repository's facts. Raises RepoNotFound for a private one without a token."""
        role, facts = self.role(), self.store.facts(kind, repo)
        if facts["private"] and role is None:
            raise RepoNotFound(repo)
        return facts

    def commit(self, kind: str, repo: str, rev: str) -> Commit:
        """Return a commit of a repository. Raises as `facts`, and RevisionNotFound."""
        self.facts(kind, repo)
        return self.store.commit_at(kind, repo, rev)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Log at debug level."""
        logger.debug("%s %s -> %s", self.command, urlsplit(self.path).path, code)

    def log_message(self, format: str, *args: object) -> None:
        """Log at debug level."""
        logger.debug(format, *args)


Route = tuple[tuple[str, ...], re.Pattern[str], Callable[..., None]]  # methods, path, handler


def hang_up(connection: socket.socket) -> None:
    """Close a connection at once, even if the other side waits for an answer."""
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        logger.debug("the connection was closed already")
