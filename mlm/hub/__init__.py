"""Pull a checkpoint from the Hugging Face Hub, checked before a weight is fetched, and push one.

The token is found by the client itself, or is that of a visitor who signed in (Access); none is
written to a log, an argument list or an error. HF_ENDPOINT, HF_TOKEN (or
`hf auth login`), HF_HOME, HF_HUB_CACHE and HF_HUB_OFFLINE mean what they mean to
`huggingface_hub`, which is imported in this room only, and only when it is needed.

    connection.py  the settings, and every call: tried again, its errors told in one line
    snapshot.py    one commit of a repository: its list of files, the files, ranges of their bytes
    inspection.py  what can be told of a repository before its weights are fetched
    pull.py        fetch_checkpoint, load_checkpoint
    push.py        check_push, push_checkpoint
    space.py       a Space of the page; not imported here, for the page itself has no use for it
    training_branch.py  the state of a run on a branch, for the next machine to go on from
"""

from mlm.hub.connection import Access, HubUnreachableError, assets_folder
from mlm.hub.pull import DEMO, Fetched, fetch_checkpoint, fetch_from_hub, load_checkpoint
from mlm.hub.push import Published, check_push, push_checkpoint
from mlm.hub.training_branch import delete_states, fetch_newest_state, push_state

__all__ = [
    "DEMO",
    "Access",
    "Fetched",
    "HubUnreachableError",
    "Published",
    "assets_folder",
    "check_push",
    "delete_states",
    "fetch_checkpoint",
    "fetch_from_hub",
    "fetch_newest_state",
    "load_checkpoint",
    "push_checkpoint",
    "push_state",
]
