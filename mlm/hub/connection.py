"""How the Hub is reached: settings, repeated calls, and its errors told in one line.

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

from mlm.errors import HubError

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

logger = logging.getLogger(__name__)
T = TypeVar("T")

REVISION = re.compile(r"(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._/-]{0,250}")
LONGEST_PAUSE = 300.0  # seconds; the Hub counts requests in windows of five minutes
TOKEN_LIKE = re.compile(r"\bhf_\w{4}[\w.~+/=-]*|(?<=Bearer )\S+")  # one of a sign-in has dots


class HubUnreachableError(HubError):
    """The Hub did not answer, or only with errors of its own; later it may."""


@dataclass(frozen=True)
class Access:
    """As whom the Hub is read, and where what it gives is kept.

    token: None is this machine's own, False is nobody's.
    cache: a folder; None is the usual one, which whoever uses this machine can read.
    """

    token: str | bool | None = field(default=None, repr=False)
    cache: Path | None = None

    @property
    def cache_folder(self) -> Path:
        return self.cache or cache_folder()


OWN = Access()


# settings


def endpoint() -> str:
    """The Hub's address: HF_ENDPOINT as it is now, not as it was when the library was imported."""
    from huggingface_hub import constants

    return (os.environ.get("HF_ENDPOINT") or constants.ENDPOINT).rstrip("/")


def is_offline() -> bool:
    from huggingface_hub import constants

    set_now = os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}
    return set_now or constants.HF_HUB_OFFLINE


def cache_folder() -> Path:
    from huggingface_hub import constants

    return Path(os.environ.get("HF_HUB_CACHE") or constants.HF_HUB_CACHE).expanduser()


def assets_folder() -> Path:
    """Where what was made from fetched files is kept: HF_ASSETS_CACHE, or beside the cache."""
    from huggingface_hub import constants

    folder = Path(os.environ.get("HF_ASSETS_CACHE") or constants.HF_ASSETS_CACHE).expanduser()
    return folder / "mlm"


def hub_api(access: Access = OWN) -> "HfApi":
    """The client. It finds the own token by itself, in HF_TOKEN or where `hf auth login` put it."""
    from huggingface_hub import HfApi, constants

    if "HF_HUB_DISABLE_XET" not in os.environ:  # plain transfers: any Hub has them, ours too
        constants.HF_HUB_DISABLE_XET = True
    return HfApi(endpoint=endpoint(), token=access.token, library_name="mlm")


@contextmanager
def without_progress_bars() -> Iterator[None]:
    """Uploads draw none meanwhile: the training has its own."""
    from huggingface_hub import utils

    were_drawn = not utils.are_progress_bars_disabled()
    utils.disable_progress_bars()
    try:
        yield
    finally:
        if were_drawn:
            utils.enable_progress_bars()


def checked_id(name: str | Path) -> str:
    """`name` if it may be a repository's id by the Hub's own rule, else HubError."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    repo_id = str(name)
    try:
        validate_repo_id(repo_id)
    except HFValidationError:
        raise HubError(
            f"{_one_line(repo_id)!r} is neither a folder here nor a Hub id: "
            "check the path, or give a repository as owner/name"
        ) from None
    return repo_id


def checked_revision(revision: str | None) -> str:
    """The revision if it can be the name of a branch, a tag or a commit; "main" for None."""
    if revision is not None and not REVISION.fullmatch(revision):
        raise HubError(f"{_one_line(revision)!r} is no revision: give a branch, a tag or a commit")
    return revision or "main"


# calls


def retrying(what: str, call: Callable[[], T], attempts: int) -> T:
    """The call's result, tried up to `attempts` times while the Hub is busy or out of reach.

    Args:
        what: what the call is for, as it completes "could not ...": "look up me/model at 'main'".

    Raises:
        HubUnreachableError: it was still busy or out of reach at the last attempt.
        HubError: the Hub said no.
    """
    for attempt in range(1, attempts + 1):
        try:
            return call()
        except Exception as error:
            told = _told(_root(error), what)
            if told is None:
                raise
            if not isinstance(told, HubUnreachableError) or attempt == attempts:
                raise told from None  # the client's own error may quote a header
            pause = _pause(_root(error), attempt)
        logger.warning("%s; attempt %d of %d in %.0f s", told, attempt + 1, attempts, pause)
        time.sleep(pause)
    raise ValueError(f"attempts must be at least 1, not {attempts}")


def _root(error: BaseException) -> BaseException:
    """The error below those that the client wraps around a failed upload or listing."""
    from huggingface_hub.errors import LocalEntryNotFoundError

    while isinstance(error, RuntimeError | LocalEntryNotFoundError) and error.__cause__:
        error = error.__cause__
    return error


def _pause(error: BaseException, attempt: int) -> float:
    """Seconds to wait before the next attempt: what the answer asks for, else 1, 2, 4, ..."""
    response = getattr(error, "response", None)
    asked = None if response is None else _asked_pause(response.headers)
    return min(LONGEST_PAUSE, 2.0 ** (attempt - 1) if asked is None else asked)


def _asked_pause(headers: Mapping[str, str]) -> float | None:
    """Seconds by Retry-After (a number or a date) or by the Hub's RateLimit header."""
    after = headers.get("Retry-After", "")
    if after.strip().isdigit():
        return float(after)
    limit = re.search(r";\s*r=0\s*;\s*t=(\d+)", headers.get("RateLimit", ""))
    if limit:
        return float(limit[1])
    try:
        at = parsedate_to_datetime(after)
    except ValueError:
        return None
    return max(0.0, (at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


# errors


def _told(error: BaseException, what: str) -> HubError | None:
    """What went wrong, in one line; None for an error that is not the Hub's or the network's."""
    from huggingface_hub import errors

    match error:
        case HubError():
            return error
        case errors.HfHubHTTPError():
            return _refused(error, what)
        case errors.OfflineModeIsEnabled():
            return HubError(f"could not {what}: HF_HUB_OFFLINE is set; unset it")
        case errors.HTTPError() | json.JSONDecodeError() | ConnectionError() | TimeoutError():
            return HubUnreachableError(
                f"could not {what}: {endpoint()} cannot be reached ({type(error).__name__}); "
                "check the connection and HF_ENDPOINT"
            )
        case OSError() | ValueError():
            return HubError(f"could not {what}: {_one_line(str(error))}")
        case _:
            return None


def _refused(error: "HfHubHTTPError", what: str) -> HubError:
    """What the Hub's answer means, by its error code and its status."""
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
            return HubUnreachableError(f"could not {what}: {endpoint()} answered {status}")
        case _:
            reason = f"{endpoint()} answered {status}, {_one_line(error.server_message or '')}"
    return HubError(f"could not {what}: {reason}")


def _one_line(text: str) -> str:
    """At most 200 characters without line breaks, and without anything like a token."""
    from huggingface_hub import get_token

    token = get_token()
    if token:
        text = text.replace(token, "***")
    return TOKEN_LIKE.sub("***", " ".join(text.split()))[:200]
