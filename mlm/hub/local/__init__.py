"""A Hugging Face Hub on a loopback port, for demos without an account and for tests.

It speaks the Hub's protocol to the real `huggingface_hub` client: repositories of models,
datasets and Spaces, plain and large-file (LFS) uploads, commits, downloads with ranges, branches
and tags.

    with LocalHub(folder, token="hf_local") as hub:
        os.environ.update(HF_ENDPOINT=hub.url, HF_TOKEN="hf_local", HF_HUB_DISABLE_XET="1")

By hand: `python -m mlm.hub.local --port 8808 FOLDER`. It serves 127.0.0.1 only.

    store.py     repositories on disk
    exchange.py  one HTTP request and its answer, whatever it is about
    routes.py    what each address of the Hub does
    transfers.py the addresses that move files
    card_rules.py what is asked of a card's metadata
    spaces.py    the addresses that only Spaces have
    server.py    LocalHub: all of it, started and stopped
"""

from mlm.hub.local.exchange import Fault
from mlm.hub.local.server import LocalHub

__all__ = ["Fault", "LocalHub"]
