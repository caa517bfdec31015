"""What can be told of a repository before its weights are fetched, cheapest first.

the list of files   safetensors and a config are there; sizes are known and within bounds
config.json         a known family, every number in bounds, no code
headers             of each weight file, by range: the tensors that the config implies
tokenizer files     of known types, every id below the vocabulary's size
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
# Formats -> how transformers reads them; 4 is the last version that reads other than PyTorch's.
READERS: dict[tuple[str, ...], tuple[str, str]] = {
    ("*.bin", "*.pt", "*.pth", "*.pkl", "*.pickle"): ("transformers torch", ""),
    ("*.h5", "*.ckpt", "*.ckpt.*"): (
        '"transformers<5" torch tensorflow tf-keras',
        ", from_tf=True",
    ),
    ("*.msgpack",): ('"transformers<5" torch flax', ", from_flax=True"),
}


def fetch_all_but_weights(snapshot: Snapshot) -> list[str]:
    """Check a checkpoint as far as its weights are not needed; the names of its weight files.

    Its other files are in the cache afterwards.

    Raises:
        HubError: this is no repository of safetensors; the Hub said no or cannot be reached.
        CheckpointError: a file is too large, refused, or does not fit the others.
    """
    from mlm.checkpoint.tokenizer_files import check_tokenizer_files

    _check_names(snapshot)
    small = [name for name in snapshot.files if name in LARGEST_SMALL_FILE]
    index: dict[str, str] = {}
    if WEIGHTS in snapshot.files:
        small = [name for name in small if name != INDEX]  # some have the shards as well
    else:
        index = _fetch_index(snapshot)
    weights = sorted(set(index.values())) or [WEIGHTS]
    check_sizes(snapshot.sizes([*small, *weights]), str(snapshot))
    folder = snapshot.fetch(CONFIG).parent
    with told_of(snapshot, folder):
        vocab_size = _check_headers(snapshot, folder, weights, index)
        for name in small:
            snapshot.fetch(name)
        check_tokenizer_files(folder, vocab_size)
    return weights


@contextmanager
def told_of(snapshot: Snapshot, folder: Path) -> Iterator[None]:
    """Let an error name the repository instead of the folder that the cache has for it."""
    try:
        yield
    except CheckpointError as error:
        told = str(error).replace(str(folder), str(snapshot))
        if str(snapshot) not in told:
            told = f"{snapshot}: {told}"
        raise CheckpointError(told) from None


# the list of files


def _check_names(snapshot: Snapshot) -> None:
    """HubError unless there are safetensors and a config among the files."""
    names, repo_id = snapshot.files, snapshot.repo_id
    if WEIGHTS not in names and INDEX not in names:
        raise HubError(_without_safetensors(repo_id, names))
    if CONFIG not in names:
        raise HubError(f"{repo_id} has no config.json, so it is not a transformers checkpoint")


def _without_safetensors(repo_id: str, names: Iterable[str]) -> str:
    """What to say of a repository that has no weights, or only such as are not read."""
    paths = {name: name.rpartition("/")[2] for name in names}
    other = sorted(name for name, base in paths.items() if matches(base, OTHER_WEIGHTS))
    if not other:
        return f"{repo_id} has no weights at all; expected model.safetensors"
    said = (
        f"{repo_id} has only {', '.join(other[:3])}; weights are read from model.safetensors "
        "alone, because other formats can run code"
    )
    for formats, (packages, option) in READERS.items():
        if any(matches(name, formats) for name in other):
            return said + CONVERSION.format(packages=packages, option=option, repo_id=repo_id)
    return f"{said}; ask its authors for that"


def _fetch_index(snapshot: Snapshot) -> dict[str, str]:
    """The checked index of a sharded checkpoint, tensor -> file; every file is listed."""
    from mlm.checkpoint.weight_files import parse_index

    check_sizes(snapshot.sizes([INDEX]), str(snapshot))
    index = parse_index(snapshot.fetch(INDEX).read_bytes(), f"{INDEX} of {snapshot}")
    absent = sorted(set(index.values()) - snapshot.files.keys())
    if absent:
        raise CheckpointError(f"{snapshot} lacks {absent[0]}, which its {INDEX} names")
    return index


# headers


def _check_headers(
    snapshot: Snapshot, folder: Path, weights: list[str], index: Mapping[str, str]
) -> int:
    """Hold the weights' headers against the config in `folder`; the size of the vocabulary.

    Of each weight file the first 8 bytes are asked for, and the header whose length they give.
    """
    from mlm.checkpoint.config_json import read_config
    from mlm.checkpoint.families import encoder_config_of, family_of
    from mlm.checkpoint.safetensors_header import Header, read_header
    from mlm.checkpoint.tensor_locations import check_tensors
    from mlm.checkpoint.weight_files import check_shard

    hf_config = read_config(folder)
    config = encoder_config_of(hf_config)
    headers: dict[str, Header] = {}
    for name in weights:
        size = snapshot.files[name].size
        headers[name] = read_header(snapshot.reader(name), size, f"{name} of {snapshot}")
        if index:  # at once, so that the headers together name no more tensors than the index
            check_shard(name, headers[name], index, str(snapshot))
    check_tensors(headers, family_of(hf_config.model_type), config, str(snapshot))
    return config.vocab_size
