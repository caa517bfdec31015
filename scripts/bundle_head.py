"""Bundle the head of a probe on the bundled model: the tensors that the model does not have.

    mlm finetune --model_name_or_path demo --train_file train.csv.gz --freeze_encoder
    python scripts/bundle_head.py runs/finetuned    # writes mlm/bundled/imdb_sentiment

The encoder has to be the bundled one, unchanged: it is not bundled twice.
"""

import shutil
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save

from mlm.errors import CheckpointError
from mlm.hub.bundled import BUNDLED_HEAD, OF_ENCODER
from mlm.hub.pull import BUNDLED_FOLDER
from mlm.training.card import write_model_card

FILES = ("config.json", "training.json")


def main(folder: Path) -> None:
    """Write the head."""
    encoder = load_file(BUNDLED_FOLDER / "model.safetensors")
    tensors = load_file(folder / "model.safetensors")
    head = {name: tensor for name, tensor in tensors.items() if differs(tensor, encoder.get(name))}
    if moved := [name for name in head if name.startswith(OF_ENCODER)]:
        raise CheckpointError(f"{moved[0]} was trained too; give the folder of a --freeze_encoder")
    BUNDLED_HEAD.mkdir(exist_ok=True)
    (BUNDLED_HEAD / "model.safetensors").write_bytes(save(head, {"format": "pt"}))
    for name in FILES:
        shutil.copy(folder / name, BUNDLED_HEAD / name)
    write_model_card(BUNDLED_HEAD)
    size = sum(path.stat().st_size for path in BUNDLED_HEAD.iterdir())
    print(f"{BUNDLED_HEAD}: {', '.join(head)}; {size:,} bytes")


def differs(tensor: np.ndarray, other: np.ndarray | None) -> bool:
    """Return whether a tensor is another one than the encoder's, in the encoder's precision."""
    return other is None or not np.array_equal(tensor.astype(other.dtype), other)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
