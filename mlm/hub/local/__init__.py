"""A Hugging Face Hub on a loopback port, for demos without an account and for tests.

The real `huggingface_hub` client talks to it: repositories of models, datasets and Spaces, plain
and large-file (LFS) uploads, commits, downloads with ranges, branches and tags.

    with LocalHub(folder, token="hf_local") as hub:
        os.environ.update(HF_ENDPOINT=hub.url, HF_TOKEN="hf_local", HF_HUB_DISABLE_XET="1")

By hand: `python -m mlm.hub.local --port 8808 FOLDER`. It serves 127.0.0.1 only.

    exchange.py    one HTTP request and its answer, whatever its address
    routes.py      the addresses of the Hub and their handlers
    transfers.py   the handlers that move files
    spaces.py      the handlers that only Spaces have
    card_rules.py  the Hub's rules for a card's metadata
    store.py       repositories on disk
    server.py      LocalHub: the whole stand-in, started and stopped
"""

from mlm.hub.local.exchange import Fault
from mlm.hub.local.server import LocalHub

__all__ = ["Fault", "LocalHub"]
