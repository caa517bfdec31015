"""The example sentences of a card, answered by the saved checkpoint as a visitor will load it."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from mlm.checkpoint.folder import OpenCheckpoint
from mlm.errors import InputError
from mlm.inference.engines.keras_engine import KerasEngine
from mlm.inference.fill_mask import FillMask
from mlm.inference.filling import normalize_masks
from mlm.training.card.figures import TOP_K
from mlm.training.card.training_json import Example

if TYPE_CHECKING:
    from mlm.model.encoder import MaskedLM


def try_examples(folder: str | Path, texts: Iterable[str]) -> list[Example]:
    """Return each text, in the checkpoint's own spelling of the mask, and its best words.

    Returns:
        Dicts of `text` and `output`, the latter as FillMask returns it.

    Raises:
        CheckpointError: The folder is incomplete.
        InputError: A text has no mask, or several, or is too long.
    """
    texts = list(texts)
    if not texts:
        return []
    fill = FillMask.from_pretrained(folder, engine="keras")  # the engine that trained it
    return _try_all(fill, texts)


def try_examples_of(
    checkpoint: OpenCheckpoint, model: "MaskedLM", texts: list[str]
) -> list[Example]:
    """Return what `try_examples` does, of a model in memory, in the fastest way for few texts."""
    import keras

    # JAX compiles each operation that is not part of a graph; TensorFlow takes longer to trace one.
    engine = KerasEngine(model, trace=keras.backend.backend() == "jax")
    return _try_all(FillMask(checkpoint, str(checkpoint.folder), engine=engine), texts)


def _try_all(fill: FillMask, texts: list[str]) -> list[Example]:
    normalized = [normalize_masks(text, fill.mask_token)[0] for text in texts]
    return [_try_example(fill, text) for text in normalized]


def _try_example(fill: FillMask, text: str) -> Example:
    masked = fill.read(text)
    count = len(masked.spans)
    if count != 1:
        raise InputError(f"the example {text!r} has {count} masks; give sentences with one mask")
    return {"text": text, "output": fill(masked, top_k=min(TOP_K, fill.vocab_size))}
