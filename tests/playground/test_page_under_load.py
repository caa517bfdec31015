"""app.py with the bundled model keeps answering under many visitors at once and under nonsense."""

import asyncio
import json
import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import httpx
import pytest

from mlm.playground.server.limits import MAX_BODY
from tests.support.places import ROOT
from tests.support.started_space import free_port
from tests.support.sweeps import slow

SENTENCE = "I have watched this [MASK] and it was awesome."
VISITORS = 200
TRACE = ("Traceback", "site-packages", 'File "')


@pytest.fixture(scope="module")
def app():
    """(address, process) of app.py, which serves the bundled model."""
    port = free_port()
    own = {"GRADIO_SERVER_PORT": str(port), "GRADIO_SERVER_NAME": "127.0.0.1", "MLM_MODEL": "demo"}
    environment = {**os.environ, **own, "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, str(ROOT / "app.py")]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as process:
        try:
            assert any(str(port).encode() in line for line in process.stdout)
            address = f"http://127.0.0.1:{port}"
            assert asyncio.run(answer(address, "fill_mask", [SENTENCE, 5]))[0] == "complete"
            yield address, process
        finally:
            process.terminate()


async def answer(address: str, endpoint: str, data: list, visitor: int = 0) -> tuple[str, str]:
    """Ask as one visitor; return "complete", "error" or a status, and the rest of the answer."""
    source = f"127.0.{1 + visitor // 250}.{1 + visitor % 250}"  # an address for each visitor
    transport = httpx.AsyncHTTPTransport(local_address=source, verify=False)
    async with httpx.AsyncClient(transport=transport, timeout=60) as client:
        call = f"{address}/gradio_api/call/{endpoint}"
        body = json.dumps({"data": data})  # with NaN and lone surrogates, which httpx would refuse
        try:
            response = await client.post(
                call, content=body, headers={"Content-Type": "application/json"}
            )
        except httpx.TransportError:
            assert len(body) > MAX_BODY  # refused before all of it was sent
            return "413", ""
        if response.status_code != 200:
            return str(response.status_code), response.text
        events = (await client.get(f"{call}/{response.json()['event_id']}")).text
    first, _, rest = events.partition("\n")
    return first.removeprefix("event: "), rest


def peak_memory(process: subprocess.Popen) -> int:
    """Return the most bytes that a process has had in memory."""
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc and has many loopback addresses")
@pytest.mark.parametrize("crowds", [1, slow(3)])
def test_two_hundred_visitors_at_once_all_get_a_response(app, crowds):
    address, process = app

    async def crowd() -> list[tuple[str, str]]:
        asks = (
            answer(address, "fill_mask", [f"Visitor {i} watched this [MASK].", 5], i)
            for i in range(VISITORS)
        )
        return await asyncio.wait_for(asyncio.gather(*asks), 120)

    asyncio.run(crowd())
    before = peak_memory(process)
    for _ in range(crowds):
        answers = asyncio.run(crowd())
        counts = Counter(kind for kind, _ in answers)
        assert counts["complete"] >= 40
        assert set(counts) <= {"complete", "503"}
        assert all("Queue is full" in text for kind, text in answers if kind == "503")
    assert peak_memory(process) - before < 64 * 2**20
    kind, text = asyncio.run(answer(address, "fill_mask", [SENTENCE, 1]))
    assert kind == "complete" and "movie" in text


ODD_TEXTS = [
    "",
    "[MASK]" * 600,
    "\x00[MASK]\x00",
    "\u202e[MASK]\u2066 \u200f___",
    "\ud800 [MASK]",
    "<script>alert(1)</script> [MASK]",
    "a" * 200_000,
    "[MASK]" + "\u0301" * 5000,
    "電影 [MASK] فيلم 🎬",
    "[MASK] [mask] <mask> ___ _",
]
ODD = [
    *ODD_TEXTS,
    *(None, True, 0, -1, 5, 50, 51, 2.5, 1e308, float("nan"), float("inf"), 10**30),
    *([], {}, [SENTENCE], [[[]]], {"text": SENTENCE}, ["[MASK]"] * 300),
]


def valid_value(parameter: int) -> object:
    """Return a valid value for a parameter: a text for the first one, else a number."""
    return SENTENCE if parameter == 0 else 5


@pytest.mark.parametrize("count", [80, slow(400)])
def test_nonsense_gets_an_answer_and_no_trace(app, count):
    address, process = app
    info = httpx.get(f"{address}/gradio_api/info").json()["named_endpoints"]
    draw = random.Random(0)
    before, counts = peak_memory(process), Counter()
    for _ in range(count):
        endpoint = draw.choice(sorted(info)).removeprefix("/")
        wanted = len(info[f"/{endpoint}"]["parameters"])
        number = draw.choice([wanted] * 6 + [0, wanted + 1, 40])
        data = [draw.choice(ODD) if draw.random() < 0.5 else valid_value(p) for p in range(number)]
        kind, text = asyncio.run(answer(address, endpoint, data, draw.randrange(250)))
        counts[kind] += 1
        assert kind in ("complete", "error") or kind.startswith("4"), (data, kind, text)
        assert not any(trace in text for trace in TRACE), (data, text)
    assert min(counts["complete"], counts["error"]) > count / 40
    assert peak_memory(process) - before < 256 * 2**20
    assert process.poll() is None
    assert asyncio.run(answer(address, "fill_mask", [SENTENCE, 1]))[0] == "complete"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b'{"data": null}',
        b'{"data": {}}',
        b'{"data": 7}',
        b'{"data": ' + b"[" * 10_000 + b"]" * 10_000 + b"}",
        b"\xff\xfe\x00",
        b'{"data": ["[MASK]", 5], "fn_index": 0, "session_hash": "x", "trigger_id": -1}',
        b'{"fn_index": 1000000, "data": []}',
    ],
)
@pytest.mark.parametrize("path", ["call/fill_mask", "queue/join", "call/no_such_endpoint"])
def test_bodies_that_are_not_a_call_are_refused(app, path, body):
    address, process = app
    headers = {"Content-Type": "application/json"}
    response = httpx.post(f"{address}/gradio_api/{path}", content=body, headers=headers, timeout=60)
    assert response.status_code < 500 or response.text in ("Internal Server Error",), response.text
    assert not any(trace in response.text for trace in TRACE)
    assert process.poll() is None
