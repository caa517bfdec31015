"""Calls of a served page by plain HTTP, with values that no client would send."""

import json

import httpx


def call_endpoint(url: str, data: object, endpoint: str = "fill_mask") -> tuple[int, str]:
    """Call an endpoint once.

    Returns:
        (200, the event stream of the answer), or (another status, the text of the refusal).
    """
    call = f"{url}/gradio_api/call/{endpoint}"
    body = json.dumps({"data": data})  # not httpx's own, which refuses infinity
    headers = {"content-type": "application/json"}
    response = httpx.post(call, content=body, headers=headers, timeout=60)
    if response.status_code != 200:
        return response.status_code, response.text
    return 200, httpx.get(f"{call}/{response.json()['event_id']}", timeout=60).text
