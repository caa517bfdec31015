"""The classifier that comes with the project: a head, joined to the bundled encoder.

The head is bundled alone, because the encoder is that of the bundled masked LM. Both are joined to
an ordinary checkpoint folder in a cache, once.
"""

import hashlib
import shutil
from pathlib import Path

from mlm.backend.atomic_files import rename, staging_folder
from mlm.checkpoint.weight_files import WEIGHTS
from mlm.hub.pull import BUNDLED_FOLDER

BUNDLED_HEAD = BUNDLED_FOLDER.with_name("imdb_sentiment")
OF_ENCODER, OF_HEAD = "model.", "head."  # beginnings of the tensors that a classifier needs
FROM_ENCODER = ("tokenizer.json", "tokenizer_config.json")


def bundled_classifier(cache: Path) -> Path:
    """Return the folder of the bundled classifier inside `cache`; it is made if it is not there.

    Raises OSError if it cannot be written.
    """
    folder = cache / f"imdb_sentiment-{_key()}"
    if folder.is_dir():
        return folder
    with staging_folder(cache, "joining-") as staging:
        joined = staging / "joined"
        shutil.copytree(BUNDLED_HEAD, joined)
        for name in FROM_ENCODER:
            shutil.copy(BUNDLED_FOLDER / name, joined / name)
        _join_weights(joined / WEIGHTS)
        try:
            rename(joined, folder)
        except OSError:
            if not folder.is_dir():  # no other process has joined them in the meantime
                raise
    return folder


def _join_weights(path: Path) -> None:
    """Write the encoder's tensors, and those of the head, which count where both have one."""
    from safetensors.numpy import load_file, save

    encoder = {
        name: tensor
        for name, tensor in load_file(BUNDLED_FOLDER / WEIGHTS).items()
        if name.startswith((OF_ENCODER, OF_HEAD))
    }
    path.write_bytes(save(encoder | load_file(BUNDLED_HEAD / WEIGHTS), metadata={"format": "pt"}))


def _key() -> str:
    digest = hashlib.sha256()
    for folder in (BUNDLED_FOLDER, BUNDLED_HEAD):
        for path in sorted(folder.iterdir()):
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]
