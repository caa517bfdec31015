"""The weight files of a checkpoint: model.safetensors, or shards with an index; their headers."""

import re
from collections.abc import Mapping
from pathlib import Path

from mlm.checkpoint.safetensors_header import MAX_TENSORS, Header, header_of_file
from mlm.checkpoint.strict_json import parse_strictly, short_repr
from mlm.errors import CheckpointError

WEIGHTS = "model.safetensors"
WEIGHTS_INDEX = "model.safetensors.index.json"
MAX_INDEX_BYTES = 8 * 1024 * 1024
SHARD_NAME = re.compile(r"model-[0-9]{5}-of-[0-9]{5}\.safetensors")
MAX_SHARDS = 64


def read_headers(folder: Path) -> dict[str, Header]:
    """Return the checked header of each weight file of a folder, by the file's name."""
    if (folder / WEIGHTS).is_file():
        return {WEIGHTS: header_of_file(folder / WEIGHTS)}
    index = _read_index(folder)
    headers: dict[str, Header] = {}
    for file in sorted(set(index.values())):
        if not (folder / file).is_file():
            raise CheckpointError(f"{str(folder)!r} lacks {file}; fetch the checkpoint again")
        headers[file] = header_of_file(folder / file)
        # At once, so that the headers together hold no more tensors than one index may name.
        check_shard(file, headers[file], index, repr(str(folder)))
    return headers


def _read_index(folder: Path) -> dict[str, str]:
    path = folder / WEIGHTS_INDEX
    if not path.is_file():
        others = sorted(p.name for p in folder.glob("*") if p.suffix in {".bin", ".h5", ".ckpt"})
        found = f"it has {', '.join(others)}, which is not read" if others else "it has none"
        raise CheckpointError(f"{str(folder)!r} has no {WEIGHTS}; {found}")
    if path.stat().st_size > MAX_INDEX_BYTES:
        raise CheckpointError(
            f"{str(path)!r} has {path.stat().st_size:,} bytes; an index has {MAX_INDEX_BYTES:,} "
            "at most"
        )
    return parse_index(path.read_bytes(), repr(str(path)))


def parse_index(content: bytes, where: str) -> dict[str, str]:
    """Return the checked map of a shard index: tensor -> shard.

    Args:
        content: of model.safetensors.index.json; the caller bounds it by MAX_INDEX_BYTES.
        where: the file's name for the message.

    Raises:
        CheckpointError: it is not JSON, has no map, or names too many tensors, too many shards or
            a file that is not a shard.
    """
    try:
        index = parse_strictly(content)
    except ValueError as error:
        raise CheckpointError(f"{where} is not a shard index: {error}; fetch it again") from None
    shards = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(shards, dict) or not shards:
        raise CheckpointError(f"{where} is not a shard index: it has no weight_map; fetch it again")
    if len(shards) > MAX_TENSORS:
        raise CheckpointError(f"{where} names {len(shards):,} tensors, beyond {MAX_TENSORS:,}")
    for file in shards.values():
        if not isinstance(file, str) or not SHARD_NAME.fullmatch(file):
            raise CheckpointError(
                f"{where} names the file {short_repr(file)}; expected a name like "
                "model-00001-of-00002.safetensors, in the same folder"
            )
    if len(set(shards.values())) > MAX_SHARDS:
        raise CheckpointError(f"{where} names more than {MAX_SHARDS} files; join some of them")
    return shards


def check_shard(file: str, header: Header, index: Mapping[str, str], where: str) -> None:
    """Raise CheckpointError unless a shard holds exactly the tensors that the index maps to it.

    Args:
        file: the shard's name.
        header: the shard's header.
        index: tensor -> shard.
        where: the checkpoint's name for the message.
    """
    for name in header:
        if index.get(name) != file:
            said = f"places in {index[name]}" if name in index else "does not name"
            raise CheckpointError(
                f"{file} in {where} holds {short_repr(name)}, which {WEIGHTS_INDEX} {said}; fetch "
                "the checkpoint again"
            )
    missing = next(
        (name for name, shard in index.items() if shard == file and name not in header), ""
    )
    if missing:
        raise CheckpointError(
            f"{file} in {where} lacks {short_repr(missing)}, which {WEIGHTS_INDEX} places in it; "
            "fetch the checkpoint again"
        )
