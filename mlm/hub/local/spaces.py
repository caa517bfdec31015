"""The handlers that only Spaces have on the local Hub: variables, secrets, hardware.

Nothing is ever started: a Space stays BUILDING, unless a test changes that.
"""

import hashlib

from mlm.hub.local.exchange import Exchange, JsonObject, Refusal
from mlm.hub.local.store import DEFAULT_BRANCH, RepoFacts

SDKS = ("gradio", "docker", "static")


def settings_of_new(wanted: JsonObject) -> RepoFacts:
    """Return the facts of a new Space by the request that creates it. Raises Refusal."""
    if wanted.get("sdk") not in SDKS:
        raise Refusal(400, f"a Space needs an sdk, one of {', '.join(SDKS)}")
    return {
        "sdk": wanted["sdk"],
        "hardware": wanted.get("hardware") or "cpu-basic",
        "variables": {},
        "secrets": {},
        "stage": "BUILDING",
    }


def list_variables(request: Exchange, repo: str) -> None:
    """Answer with the variables."""
    request.check_may_write(repo)
    request.reply(request.facts("spaces", repo)["variables"])


def list_secrets(request: Exchange, repo: str) -> None:
    """Answer with the names only."""
    request.check_may_write(repo)
    request.reply({name: {"key": name} for name in request.facts("spaces", repo)["secrets"]})


def set_variable(request: Exchange, repo: str) -> None:
    """Set a variable."""
    wanted = _checked_body(request, repo)
    value = {"key": wanted["key"], "value": wanted["value"]}
    variables = request.facts("spaces", repo)["variables"] | {wanted["key"]: value}
    request.store.update_facts("spaces", repo, variables=variables)
    request.reply(variables)


def set_secret(request: Exchange, repo: str) -> None:
    """Set a secret; only its hash is kept, so that nobody can read it from the stand-in's disk."""
    wanted = _checked_body(request, repo)
    digest = hashlib.sha256(wanted["value"].encode()).hexdigest()
    secrets = request.facts("spaces", repo)["secrets"] | {wanted["key"]: digest}
    request.store.update_facts("spaces", repo, secrets=secrets)
    request.reply({})


def show_runtime(request: Exchange, repo: str) -> None:
    """Answer with the stage, the hardware and the commit that runs."""
    facts = request.facts("spaces", repo)
    hardware = {"current": None, "requested": facts["hardware"]}
    started = facts.get("started", facts["branches"][DEFAULT_BRANCH])  # a commit
    request.reply({"stage": facts["stage"], "hardware": hardware, "sha": started})


def set_hardware(request: Exchange, repo: str) -> None:
    """Set the hardware, and answer as `show_runtime`."""
    request.store.update_facts("spaces", repo, hardware=_checked_body(request, repo)["flavor"])
    show_runtime(request, repo)


def _checked_body(request: Exchange, repo: str) -> JsonObject:
    """Return the body of a request that may write to an existing Space. Raises Refusal."""
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
