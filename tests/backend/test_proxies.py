"""Tests of mlm/backend/proxies.py, with the clients that read the variables."""

import os

import httpx
import pytest

from mlm.backend import proxies

NAMES = [f"{each}_proxy" for each in ("http", "https", "all", "no")]


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch):
    for name in NAMES:
        for spelling in (name, name.upper()):
            monkeypatch.setenv(spelling, "")  # so that it is put back afterwards
            monkeypatch.delenv(spelling)


def direct_hosts(client: httpx.Client) -> list[str]:
    """Return the hosts that a client asks without a proxy."""
    return [pattern.host for pattern, transport in client._mounts.items() if transport is None]


@pytest.mark.parametrize("given", [{}, {"NO_PROXY": "example.org"}, {"no_proxy": "example.org"}])
def test_loopback_is_never_asked_through_a_proxy(monkeypatch, given):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    proxies.keep_direct("192.168.0.7", "")
    proxies.keep_direct()
    with httpx.Client() as client:
        hosts = direct_hosts(client)
    assert set(hosts) >= {"localhost", "127.0.0.1", "::1", "192.168.0.7"}
    assert hosts.count("localhost") == 1
    assert ("*example.org" in hosts) == bool(given)
    for host in ("localhost", "127.0.0.1", "192.168.0.7", "[::1]"):
        assert proxies.proxy_variable(f"http://{host}:7860/") is None
    assert proxies.proxy_variable("http://example.com/") == "HTTP_PROXY"


def test_no_proxy_for_any_host_stays_so(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    proxies.keep_direct()
    assert os.environ["NO_PROXY"] == "*"
    assert proxies.proxy_variable("https://huggingface.co") is None


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({}, None),
        ({"HTTP_PROXY": "http://p:1"}, None),
        ({"HTTPS_PROXY": "http://p:1", "ALL_PROXY": "http://q:1"}, "HTTPS_PROXY"),
        ({"https_proxy": "http://p:1", "HTTPS_PROXY": "http://q:1"}, "https_proxy"),
        ({"all_proxy": "http://q:1"}, "all_proxy"),
        ({"ALL_PROXY": "http://q:1", "NO_PROXY": "huggingface.co"}, None),
    ],
)
def test_the_variable_that_sends_a_request_through_a_proxy(monkeypatch, variables, named):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert proxies.proxy_variable("https://huggingface.co/api") == named


@pytest.mark.parametrize("kind", ["socks5", "socks5h", "SOCKS5"])
def test_a_socks_proxy_without_its_package_is_one_line(monkeypatch, kind):
    monkeypatch.setattr(proxies, "find_spec", lambda name: None)
    monkeypatch.setenv("ALL_PROXY", f"{kind}://user:secret@127.0.0.1:9")
    assert proxies.unusable_proxy() == (
        "ALL_PROXY names a SOCKS proxy, which needs the package socksio: "
        "`pip install socksio`, or unset ALL_PROXY"
    )
    monkeypatch.setattr(proxies, "find_spec", lambda name: "there")
    assert proxies.unusable_proxy() is None


def test_a_kind_of_proxy_that_no_client_knows_is_one_line(monkeypatch):
    monkeypatch.setenv("https_proxy", "socks4://user:secret@127.0.0.1:9")
    with pytest.raises(ValueError, match="Unknown scheme"):
        httpx.Client()
    problem = proxies.unusable_proxy()
    assert problem is not None
    assert problem.startswith("https_proxy names a proxy of the kind 'socks4'; expected http, ")
    assert "secret" not in problem


@pytest.mark.parametrize("proxy", ["http://p:1", "https://p:1", "p:1"])
def test_a_usable_proxy_is_let_be(monkeypatch, proxy):
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    httpx.Client().close()
    assert proxies.unusable_proxy() is None
