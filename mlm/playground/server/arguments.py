"""ASGI middleware that completes the arguments of a call of an endpoint, or says what is wrong.

    {"data": ["It was [MASK]."]}  to /gradio_api/call/fill_mask     becomes  {"data": [..., 5]}
    {"txt": "It was [MASK]."}     to /gradio_api/call/v2/fill_mask  422: 'txt' is not an argument

Gradio's own client fills in the documented defaults; over plain HTTP Gradio fails without them.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from mlm.playground.server.limits import (
    CALL_PATH,
    CLASSIFY,
    ENDPOINTS,
    App,
    Message,
    Receive,
    Scope,
    Send,
    api_path,
    refuse,
)

Parameter = Mapping[str, Any]  # as Gradio's list of endpoints describes it


class CallArguments:
    """Middleware that adds the documented defaults to a call, and answers 422 to wrong arguments.

    It takes the parameters from the Gradio app in the request's scope.
    """

    def __init__(self, app: App):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, completed, or refuse it with status 422."""
        name = _called_endpoint(scope)
        if name is None:
            await self.app(scope, receive, send)
            return
        body = await _read_body(receive)
        try:
            body = complete(body, _parameters_of(scope, name))
        except ValueError as error:
            await refuse(send, 422, f"/{name}: {error}")
            return
        await self.app(_with_length(scope, len(body)), _replay(body, receive), send)


def complete(body: bytes, parameters: Sequence[Parameter]) -> bytes:
    """Return the body of a call with the defaults added.

    A body that is not of the form of a call is returned as it is: Gradio refuses it.

    Args:
        body: JSON, {"data": [value, ...]} or {name: value, ...}.
        parameters: of the endpoint, in their order.

    Raises:
        ValueError: a name that is unknown, a value without a parameter, a missing value without a
            default.
    """
    try:
        call = json.loads(body)
    except ValueError:
        return body
    if not isinstance(call, dict):
        return body
    names = [parameter["parameter_name"] for parameter in parameters]
    if isinstance(values := call.get("data"), list) and "data" not in names:
        if len(values) > len(names):
            raise ValueError(f"{len(values)} arguments are given; it takes {', '.join(names)}.")
        call["data"] = [*values, *map(_default, parameters[len(values) :])]
    elif unknown := [name for name in call if name not in names and name not in RESERVED]:
        raise ValueError(f"{unknown[0][:40]!r} is not an argument; it takes {', '.join(names)}.")
    else:
        missing = [each for each in parameters if each["parameter_name"] not in call]
        call |= {each["parameter_name"]: _default(each) for each in missing}
    return json.dumps(call).encode()


# What Gradio's clients send beside the values.
RESERVED = ("data", "session_hash", "event_data", "fn_index", "trigger_id", "oauth_token")


def _default(parameter: Parameter) -> object:
    if not parameter["parameter_has_default"]:
        raise ValueError(f"the argument {parameter['parameter_name']!r} is missing.")
    return parameter["parameter_default"]


def _called_endpoint(scope: Scope) -> str | None:
    """Return the name of the endpoint that a request calls, None for any other request."""
    if scope["type"] != "http" or scope["method"] != "POST":
        return None
    call = CALL_PATH.fullmatch(api_path(scope) or "")
    return call["name"] if call and call["name"] in (*ENDPOINTS, CLASSIFY) else None


def _parameters_of(scope: Scope, name: str) -> Sequence[Parameter]:
    blocks = scope["app"].get_blocks()
    parameters: Sequence[Parameter] = blocks.get_api_info()["named_endpoints"][f"/{name}"][
        "parameters"
    ]
    return parameters


async def _read_body(receive: Receive) -> bytes:
    """Read a whole body, which BodyLimit keeps small."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives the body first, then what the connection has."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return messages.pop() if messages else await receive()

    return replay


def _with_length(scope: Scope, length: int) -> Scope:
    headers = [(name, value) for name, value in scope["headers"] if name != b"content-length"]
    return {**scope, "headers": [*headers, (b"content-length", str(length).encode())]}
