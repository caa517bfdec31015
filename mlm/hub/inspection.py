"""Checks of a repository before its weights are fetched, the cheapest first.

list of files     it has safetensors and a config; sizes are known and within bounds
config.json       a known family, every number in bounds, no code
weight headers    of each weight file, by range: the tensors that the config implies
tokenizer files   of known types, every id below the vocabulary's size
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from mlm.checkpoint.file_limits import LARGEST_SMALL_FILE, OTHER_WEIGHTS, check_sizes, matches
from mlm.errors import CheckpointError, HubError
from mlm.hub.snapshot import Snapshot

CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
CONVERSION = (
    '; convert it elsewhere: pip install {packages}; python -c "from transformers '
    "import AutoModelForMaskedLM as M, AutoTokenizer as T; "
    "M.from_pretrained('{repo_id}'{option}).save_pretrained('converted'); "
    "T.from_pretrained('{repo_id}').save_pretrained('converted')\""
)
# File formats -> packages and option to read them; transformers 4 is the last version that reads
# formats other than PyTorch's.
READERS: dict[tuple[str, ...], tuple[str, str]] = {
    ("*.bin", "*.pt", "*.pth", "*.pkl", "*.pickle"): ("transformers torch", ""),
    ("*.h5", "*.ckpt", "*.ckpt.*"): (
        '"transformers<5" torch tensorflow tf-keras',
        ", from_tf=True",
    ),
    ("*.msgpack",): ('"transformers<5" torch flax', ", from_flax=True"),
}


def fetch_all_but_weights(snapshot: Snapshot) -> list[str]:
    """Fetch and check all files of a checkpoint but its weights; return the weight files' names.

    Raises:
        HubError: the repository has no safetensors; the Hub refused or cannot be reached.
        CheckpointError: a file is too large, refused, or does not fit the others.
    """
    from mlm.checkpoint.tokenizer_files import check_tokenizer_files

    _check_names(snapshot)
    small = [name for name in snapshot.files if name in LARGEST_SMALL_FILE]
    index: dict[str, str] = {}
    if WEIGHTS in snapshot.files:
        small = [name for name in small if name != INDEX]  # a repository may have both
    else:
        index = _fetch_index(snapshot)
    weights = sorted(set(index.values())) or [WEIGHTS]
    check_sizes(snapshot.sizes([*small, *weights]), str(snapshot))
    folder = snapshot.fetch(CONFIG).parent
    with naming_repository(snapshot, folder):
        vocab_size = _check_headers(snapshot, folder, weights, index)
        for name in small:
            snapshot.fetch(name)
        check_tokenizer_files(folder, vocab_size)
    return weights


@contextmanager
def naming_repository(snapshot: Snapshot, folder: Path) -> Iterator[None]:
    """Make a CheckpointError name the repository instead of its folder in the cache."""
    try:
        yield
    except CheckpointError as error:
        message = str(error).replace(str(folder), str(snapshot))
        if str(snapshot) not in message:
            message = f"{snapshot}: {message}"
        raise CheckpointError(message) from None


# the list of files


def _check_names(snapshot: Snapshot) -> None:
    """Raise HubError unless safetensors and a config are among the files."""
    names, repo_id = snapshot.files, snapshot.repo_id
    if WEIGHTS not in names and INDEX not in names:
        raise HubError(_message_without_safetensors(repo_id, names))
    if CONFIG not in names:
        raise HubError(f"{repo_id} has no config.json, so it is not a transformers checkpoint")


def _message_without_safetensors(repo_id: str, names: Iterable[str]) -> str:
    """Return the message for a repository with no weights, or only ones in other formats."""
    paths = {name: name.rpartition("/")[2] for name in names}
    other = sorted(name for name, base in paths.items() if matches(base, OTHER_WEIGHTS))
    if not other:
        return f"{repo_id} has no weights at all; expected model.safetensors"
    message = (
        f"{repo_id} has only {', '.join(other[:3])}; weights are read from model.safetensors "
        "alone, because other formats can run code"
    )
    for formats, (packages, option) in READERS.items():
        if any(matches(name, formats) for name in other):
            return message + CONVERSION.format(packages=packages, option=option, repo_id=repo_id)
    return f"{message}; ask its authors for that"


def _fetch_index(snapshot: Snapshot) -> dict[str, str]:
    """Fetch and check the index of a sharded checkpoint: tensor -> file, each of them listed."""
    from mlm.checkpoint.weight_files import parse_index

    check_sizes(snapshot.sizes([INDEX]), str(snapshot))
    index = parse_index(snapshot.fetch(INDEX).read_bytes(), f"{INDEX} of {snapshot}")
    absent = sorted(set(index.values()) - snapshot.files.keys())
    if absent:
        raise CheckpointError(f"{snapshot} lacks {absent[0]}, which its {INDEX} names")
    return index


# weight headers


def _check_headers(
    snapshot: Snapshot, folder: Path, weights: list[str], index: Mapping[str, str]
) -> int:
    """Check the weights' headers against the config in `folder`; return the vocabulary's size.

    Each weight file costs two requests: its first 8 bytes, and the header whose length they give.
    """
    from mlm.checkpoint.config_json import read_config
    from mlm.checkpoint.config_task import stated_task
    from mlm.checkpoint.families import encoder_config_of, family_of
    from mlm.checkpoint.safetensors_header import Header, read_header
    from mlm.checkpoint.tensor_locations import check_tensors
    from mlm.checkpoint.weight_files import check_shard

    hf_config = read_config(folder)
    config = encoder_config_of(hf_config, stated_task(hf_config))
    headers: dict[str, Header] = {}
    for name in weights:
        size = snapshot.files[name].size or 0  # check_sizes has refused an unknown size
        headers[name] = read_header(snapshot.reader(name), size, f"{name} of {snapshot}")
        if index:  # before the next header, so that all together name no more than the index
            check_shard(name, headers[name], index, str(snapshot))
    check_tensors(headers, family_of(hf_config.model_type), config, str(snapshot))
    return config.vocab_size
