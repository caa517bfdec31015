"""What only Spaces have on the local Hub: variables, secrets, hardware.

Nothing is ever started: a Space is BUILDING for good, unless a test says otherwise.
"""

import hashlib
from typing import Any

from mlm.hub.local.exchange import Exchange, Refusal
from mlm.hub.local.store import DEFAULT_BRANCH

SDKS = ("gradio", "docker", "static")


def settings_of_new(wanted: dict[str, Any]) -> dict[str, Any]:
    """What a new Space is kept with, by the request that makes it."""
    if wanted.get("sdk") not in SDKS:
        raise Refusal(400, f"a Space needs an sdk, one of {', '.join(SDKS)}")
    hardware = wanted.get("hardware") or "cpu-basic"
    empty: dict[str, Any] = {"variables": {}, "secrets": {}, "stage": "BUILDING"}
    return {"sdk": wanted["sdk"], "hardware": hardware, **empty}


def list_variables(request: Exchange, repo: str) -> None:
    request.check_may_write(repo)
    request.reply(request.facts("spaces", repo)["variables"])


def list_secrets(request: Exchange, repo: str) -> None:
    """Names alone: a secret is never given out."""
    request.check_may_write(repo)
    request.reply({name: {"key": name} for name in request.facts("spaces", repo)["secrets"]})


def set_variable(request: Exchange, repo: str) -> None:
    wanted = _to_write(request, repo)
    value = {"key": wanted["key"], "value": wanted["value"]}
    variables = request.facts("spaces", repo)["variables"] | {wanted["key"]: value}
    request.store.update_facts("spaces", repo, variables=variables)
    request.reply(variables)


def set_secret(request: Exchange, repo: str) -> None:
    """Keep a secret's hash: what a stand-in has on its disk is to be of no use to anybody."""
    wanted = _to_write(request, repo)
    digest = hashlib.sha256(wanted["value"].encode()).hexdigest()
    secrets = request.facts("spaces", repo)["secrets"] | {wanted["key"]: digest}
    request.store.update_facts("spaces", repo, secrets=secrets)
    request.reply({})


def show_runtime(request: Exchange, repo: str) -> None:
    facts = request.facts("spaces", repo)
    hardware = {"current": None, "requested": facts["hardware"]}
    started = facts.get("started", facts["branches"][DEFAULT_BRANCH])  # a commit
    request.reply({"stage": facts["stage"], "hardware": hardware, "sha": started})


def set_hardware(request: Exchange, repo: str) -> None:
    request.store.update_facts("spaces", repo, hardware=_to_write(request, repo)["flavor"])
    show_runtime(request, repo)


def _to_write(request: Exchange, repo: str) -> dict[str, Any]:
    request.check_may_write(repo)
    request.facts("spaces", repo)
    return request.body()


ADDRESSES = [
    ("GET", "/api/{space}/variables", list_variables),
    ("POST", "/api/{space}/variables", set_variable),
    ("GET", "/api/{space}/secrets", list_secrets),
    ("POST", "/api/{space}/secrets", set_secret),
    ("GET", "/api/{space}/runtime", show_runtime),
    ("POST", "/api/{space}/hardware", set_hardware),
]
