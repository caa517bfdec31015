"""Proxies of the environment: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY, or in small letters."""

import os
from collections.abc import Iterator
from importlib.util import find_spec
from urllib.parse import urlsplit
from urllib.request import proxy_bypass

LOOPBACK = ("localhost", "127.0.0.1", "::1")
SCHEMES = ("http", "https", "all")
SOCKS = ("socks5", "socks5h")


def keep_direct(*hosts: str) -> None:
    """Let no proxy of the environment be asked for loopback addresses or these hosts.

    It changes NO_PROXY of this process, which is read when a client is made.
    """
    # urllib, and so httpx, prefers the name in small letters.
    given = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    present = [host.strip() for host in given.split(",") if host.strip()]
    if "*" in present:
        return
    wanted = ",".join(dict.fromkeys([*present, *LOOPBACK, *filter(None, hosts)]))
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = wanted


def proxy_variable(url: str) -> str | None:
    """Return the variable whose proxy requests to a URL go through; None if they go directly."""
    address = urlsplit(url)
    if proxy_bypass(address.hostname or ""):
        return None
    return next(_set_variables((address.scheme, "all")), None)


def unusable_proxy() -> str | None:
    """Return in one line why no client can be made with these variables; None if one can.

    The value of a variable is not quoted: it may hold a password.
    """
    for name in _set_variables(SCHEMES):
        scheme = _scheme(os.environ[name])
        if scheme in SOCKS and find_spec("socksio") is None:
            return (
                f"{name} names a SOCKS proxy, which needs the package socksio: "
                f"`pip install socksio`, or unset {name}"
            )
        if scheme not in (*SOCKS, "http", "https"):
            return (
                f"{name} names a proxy of the kind {scheme[:20]!r}; expected http, https or "
                f"socks5: change it, or unset {name}"
            )
    return None


def _scheme(proxy: str) -> str:
    before, mark, _ = proxy.partition("://")
    return before.lower() if mark else "http"


def _set_variables(schemes: tuple[str, ...]) -> Iterator[str]:
    """Yield the names of the variables that are set for these schemes, the preferred one first."""
    for scheme in schemes:
        for name in (f"{scheme}_proxy", f"{scheme}_proxy".upper()):
            if os.environ.get(name):
                yield name
                break
