"""`python app.py --share`, with a local program in place of the tunnel, and without a tunnel.

The real tunnel is a program that Gradio downloads, and connects to one of Gradio's servers.
"""

import re
import sys
import time

import pytest
from gradio.tunneling import BINARY_FILENAME
from gradio_client import Client

from tests.support.places import ROOT
from tests.support.started_space import StartedSpace, started_space

AT_HOME = {"SYSTEM": "", "SPACE_ID": ""}  # on a Space, --share does nothing
SENTENCE = "I have watched this [MASK] and it was awesome."
# Called as frpc is, with the page's port after -l; prints the public address.
TUNNEL = """#!{python}
import os, socket, socketserver, sys, threading, time

PARENT = os.getppid()
PAGE = int(sys.argv[sys.argv.index("-l") + 1])

class Through(socketserver.BaseRequestHandler):
    def handle(self):
        with socket.create_connection(("127.0.0.1", PAGE)) as page:
            back = threading.Thread(target=pour, args=(page, self.request), daemon=True)
            back.start()
            pour(self.request, page)
            back.join()

def pour(source, target):
    while piece := source.recv(65536):
        target.sendall(piece)
    target.shutdown(socket.SHUT_WR)

def end_with_the_page():
    while os.getppid() == PARENT:
        time.sleep(0.2)
    os._exit(0)

threading.Thread(target=end_with_the_page, daemon=True).start()
socketserver.ThreadingTCPServer.daemon_threads = True
with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Through) as server:
    print(f"start proxy success: http://127.0.0.1:{{server.server_address[1]}}", flush=True)
    server.serve_forever()
"""


def wait_for_line(page: StartedSpace, pattern: str) -> re.Match:
    """Wait until the page has printed a pattern; return the match."""
    while page.time_left() > 0:
        if found := re.search(pattern, page.log()):
            return found
        assert page.process.poll() is None, page.log()
        time.sleep(0.1)
    raise TimeoutError(page.log())


@pytest.mark.skipif(sys.platform == "win32", reason="the program needs its #! line")
def test_the_public_link_leads_to_the_page(tmp_path):
    tunnel = tmp_path / "home" / ".cache" / "huggingface" / "gradio" / "frpc" / BINARY_FILENAME
    tunnel.parent.mkdir(parents=True)
    tunnel.write_text(TUNNEL.format(python=sys.executable))
    tunnel.chmod(0o755)
    variables = {**AT_HOME, "GRADIO_SHARE_SERVER_ADDRESS": "127.0.0.1:7000"}
    with started_space(ROOT, tmp_path, variables, ["--share"]) as page:
        port = wait_for_line(page, r"Running on public URL: https?://127\.0\.0\.1:(\d+)")[1]
        assert f":{port}" not in page.url
        client = Client(f"http://127.0.0.1:{port}", verbose=False)
        words = client.submit(SENTENCE, 5, api_name="/fill_mask").result(timeout=page.time_left())
        assert words[0]["token_str"].strip() == "movie"


@pytest.mark.slow
def test_without_a_tunnel_the_page_says_so_and_is_served_locally(tmp_path):
    (tmp_path / "home").mkdir()
    with started_space(ROOT, tmp_path, AT_HOME, ["--share"]) as page:
        wait_for_line(page, "Could not create share link")
        client = Client(page.url, verbose=False)
        assert client.submit(SENTENCE, 5, api_name="/fill_mask").result(timeout=page.time_left())
        assert page.hosts_tried()  # it has tried
