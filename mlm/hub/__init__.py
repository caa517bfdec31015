"""Pull a checkpoint from the Hugging Face Hub, checked before its weights are fetched; push one.

The client finds the token by itself, or Access has that of a visitor who signed in; no token is
written to a log, an argument list or an error. HF_ENDPOINT, HF_TOKEN (or `hf auth login`), HF_HOME,
HF_HUB_CACHE and HF_HUB_OFFLINE mean what they mean to `huggingface_hub`, which only this package
imports, and only when it is needed.

    base_models.py      a list of base models to start from
    names.py            the names that the Hub accepts
    card_metadata.py    the metadata of a model card
    connection.py       settings; calls with retries, and their errors in one line
    snapshot.py         one commit of a repository: its list of files, the files, ranges of bytes
    inspection.py       checks of a repository before its weights are fetched
    pull.py             fetch_checkpoint, load_checkpoint
    commit.py           one commit: sent, recognized if its answer was lost, checked
    repository.py       a repository to push to: looked up, created, its branches and tags
    push.py             check_push, push_checkpoint
    training_branch.py  a run's training state on a branch, so that another machine can resume
    source_files.py     the source files that a module needs, by its imports
    space/              a Space of the page; not imported here: the page needs only its title
    local/              a stand-in for the Hub, for demos without an account and for tests
"""

from mlm.hub.connection import Access, HubUnreachableError, assets_folder
from mlm.hub.pull import DEMO, Fetched, fetch_checkpoint, fetch_from_hub, load_checkpoint
from mlm.hub.push import Published, PushTarget, check_push, other_than_main, push_checkpoint
from mlm.hub.training_branch import delete_states, fetch_newest_state, newest_step, push_state

__all__ = [
    "DEMO",
    "Access",
    "Fetched",
    "HubUnreachableError",
    "Published",
    "PushTarget",
    "assets_folder",
    "check_push",
    "delete_states",
    "fetch_checkpoint",
    "fetch_from_hub",
    "fetch_newest_state",
    "load_checkpoint",
    "newest_step",
    "other_than_main",
    "push_checkpoint",
    "push_state",
]
