"""Connection to the Hub: its settings, calls with retries, and its errors in one line each.

Retried: 408, 429, every 5xx, timeouts and dropped connections, after 1, 2, 4, ... seconds or as
long as the answer's Retry-After or RateLimit header asks.
"""

import json
import logging
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from mlm.backend import proxies
from mlm.errors import HubError, one_line

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

logger = logging.getLogger(__name__)
T = TypeVar("T")

REVISION = re.compile(r"(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._/-]{0,250}")
LONGEST_PAUSE = 300.0  # seconds; the Hub counts requests in windows of five minutes
TOKEN_LIKE = re.compile(r"\bhf_\w{4}[\w.~+/=-]*|(?<=Bearer )\S+")  # a sign-in's token has dots


class HubUnreachableError(HubError):
    """The Hub did not answer, or answered with a server error; a later call may succeed."""


@dataclass(frozen=True)
class Access:
    """The token to read the Hub with, and the cache for what is fetched.

    token: None is this machine's own; False sends none.
    cache: a folder; None is the usual one, which every user of this machine can read.
    """

    token: str | bool | None = field(default=None, repr=False)
    cache: Path | None = None

    @property
    def cache_folder(self) -> Path:
        """The cache to use: `cache`, or the usual one."""
        return self.cache or cache_folder()


OWN_ACCESS = Access()


# settings


def endpoint() -> str:
    """Return the Hub's address: HF_ENDPOINT now, not when huggingface_hub was imported."""
    from huggingface_hub import constants

    return (os.environ.get("HF_ENDPOINT") or constants.ENDPOINT).rstrip("/")


def is_offline() -> bool:
    """Return whether HF_HUB_OFFLINE is set, now or when huggingface_hub was imported."""
    from huggingface_hub import constants

    set_now = os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}
    return set_now or constants.HF_HUB_OFFLINE


def cache_folder() -> Path:
    """Return the folder of fetched files: HF_HUB_CACHE now, or huggingface_hub's default."""
    from huggingface_hub import constants

    return Path(os.environ.get("HF_HUB_CACHE") or constants.HF_HUB_CACHE).expanduser()


def assets_folder() -> Path:
    """Return the folder of files made from fetched ones: below HF_ASSETS_CACHE, or its default."""
    from huggingface_hub import constants

    folder = Path(os.environ.get("HF_ASSETS_CACHE") or constants.HF_ASSETS_CACHE).expanduser()
    return folder / "mlm"


def hub_api(access: Access = OWN_ACCESS) -> "HfApi":
    """Return a client; for None as token, it takes HF_TOKEN or the one of `hf auth login`."""
    from huggingface_hub import HfApi, constants

    proxies.keep_direct()
    if "HF_HUB_DISABLE_XET" not in os.environ:  # plain transfers: the local Hub has no others
        constants.HF_HUB_DISABLE_XET = True
    return HfApi(endpoint=endpoint(), token=access.token, library_name="mlm")


@contextmanager
def without_progress_bars() -> Iterator[None]:
    """Hide the client's progress bars inside the block; the training draws its own."""
    from huggingface_hub import utils

    were_enabled = not utils.are_progress_bars_disabled()
    utils.disable_progress_bars()
    try:
        yield
    finally:
        if were_enabled:
            utils.enable_progress_bars()


def checked_id(name: str | Path) -> str:
    """Return `name` if the Hub's own rule accepts it as a repository's id. Raises HubError."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    repo_id = str(name)
    try:
        validate_repo_id(repo_id)
    except HFValidationError:
        raise HubError(
            f"{_without_tokens(repo_id)!r} is neither a folder here nor a Hub id: "
            "check the path, or give a repository as owner/name"
        ) from None
    return repo_id


def checked_revision(revision: str | None) -> str:
    """Return the revision, "main" for None. Raises HubError if it cannot name a commit."""
    if revision is not None and not REVISION.fullmatch(revision):
        raise HubError(
            f"{_without_tokens(revision)!r} is not a revision: give a branch, a tag or a commit"
        )
    return revision or "main"


# calls


def call_hub(purpose: str, call: Callable[[], T], attempts: int) -> T:
    """Return the call's result; try up to `attempts` times while the Hub is busy or out of reach.

    Args:
        purpose: completes "could not ..." in messages: "look up me/model at 'main'".
        call: one or more requests through huggingface_hub.
        attempts: at least 1.

    Raises:
        HubUnreachableError: it was still busy or out of reach at the last attempt.
        HubError: the Hub refused the request.
    """
    if problem := proxies.unusable_proxy():
        raise HubUnreachableError(f"could not {purpose}: {problem}")
    # Our own loop: the client does not retry its POSTs, and no dependency brings tenacity.
    for attempt in range(1, attempts + 1):
        try:
            return call()
        except Exception as error:
            hub_error = _as_hub_error(_root_cause(error), purpose)
            if hub_error is None:
                raise
            if not isinstance(hub_error, HubUnreachableError) or attempt == attempts:
                raise hub_error from None  # the client's own error may quote a header
            pause = _seconds_to_wait(_root_cause(error), attempt)
        logger.warning("%s; attempt %d of %d in %.0f s", hub_error, attempt + 1, attempts, pause)
        time.sleep(pause)
    raise ValueError(f"attempts must be at least 1, not {attempts}")


def _root_cause(error: BaseException) -> BaseException:
    """Return the error below those that the client wraps around a failed upload or listing."""
    from huggingface_hub.errors import LocalEntryNotFoundError

    while isinstance(error, RuntimeError | LocalEntryNotFoundError) and error.__cause__:
        error = error.__cause__
    return error


def _seconds_to_wait(error: BaseException, attempt: int) -> float:
    """Return the pause before the next attempt: the one the answer asks for, else 1, 2, 4, ..."""
    response = getattr(error, "response", None)
    requested = None if response is None else _requested_pause(response.headers)
    return min(LONGEST_PAUSE, 2.0 ** (attempt - 1) if requested is None else requested)


def _requested_pause(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of Retry-After (a number or a date) or of an exhausted RateLimit."""
    from huggingface_hub.utils import parse_ratelimit_headers

    after = headers.get("Retry-After", "").strip()
    if after.isdecimal():
        return float(after)
    limit = parse_ratelimit_headers(headers)
    if limit and limit.remaining == 0:
        return float(limit.reset_in_seconds)
    try:
        date = parsedate_to_datetime(after)
    except ValueError:
        return None
    return max(0.0, (date.replace(tzinfo=date.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


# errors


def _as_hub_error(error: BaseException, purpose: str) -> HubError | None:
    """Return an error of the Hub, the network or a file as HubError; None for any other."""
    from huggingface_hub import errors

    match error:
        case HubError():
            return error
        case errors.HfHubHTTPError():
            return _error_of_answer(error, purpose)
        case errors.OfflineModeIsEnabled():
            return HubError(f"could not {purpose}: HF_HUB_OFFLINE is set; unset it")
        case errors.HTTPError() | json.JSONDecodeError() | ConnectionError() | TimeoutError():
            return HubUnreachableError(
                f"could not {purpose}: {endpoint()} cannot be reached ({type(error).__name__}); "
                f"check {_way_to_the_hub()}"
            )
        case OSError() | ValueError():
            return HubError(f"could not {purpose}: {_without_tokens(str(error))}")
        case _:
            return None


def _way_to_the_hub() -> str:
    """Return what a request to the Hub depends on here, and a variable that names a proxy."""
    variable = proxies.proxy_variable(endpoint())
    if variable:
        return f"the connection, HF_ENDPOINT and the proxy that {variable} names"
    return "the connection and HF_ENDPOINT"


def _error_of_answer(error: "HfHubHTTPError", purpose: str) -> HubError:
    """Explain the Hub's answer by its error code and its status."""
    from huggingface_hub import errors

    status = error.response.status_code
    login = "run `hf auth login` or set HF_TOKEN"
    match error:
        case errors.GatedRepoError():
            reason = f"it is gated: accept its terms on its page, then {login}"
        case errors.RepositoryNotFoundError():
            reason = f"{endpoint()} has no such repository, or it is private: check the id, {login}"
        case errors.RevisionNotFoundError():
            reason = "the repository has no such branch, tag or commit"
        case _ if status == 401:
            reason = f"the Hub does not know the token: {login}"
        case _ if status == 403:
            reason = "the token does not permit it: make one that does in the Hub's settings"
        case _ if status in (408, 429) or status >= 500:
            return HubUnreachableError(f"could not {purpose}: {endpoint()} answered {status}")
        case _:
            reason = (
                f"{endpoint()} answered {status}, {_without_tokens(error.server_message or '')}"
            )
    return HubError(f"could not {purpose}: {reason}")


def _without_tokens(text: str) -> str:
    """Return the text as one line of at most 200 characters, anything like a token replaced."""
    from huggingface_hub import get_token

    token = get_token()
    if token:
        text = text.replace(token, "***")
    return one_line(TOKEN_LIKE.sub("***", " ".join(text.split())))
