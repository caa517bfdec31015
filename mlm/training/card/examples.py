"""The example sentences of a card, answered by the saved checkpoint as a visitor will load it."""

from collections.abc import Iterable
from pathlib import Path

from mlm.errors import InputError
from mlm.inference.fill_mask import FillMask
from mlm.inference.filling import normalise_masks
from mlm.training.card.figures import TOP_K
from mlm.training.card.training_json import Example


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
    normalised = [normalise_masks(text, fill.mask_token)[0] for text in texts]
    return [_try_example(fill, text) for text in normalised]


def _try_example(fill: FillMask, text: str) -> Example:
    masked = fill.read(text)
    count = len(masked.spans)
    if count != 1:
        raise InputError(f"the example {text!r} has {count} masks; give sentences with one mask")
    return {"text": text, "output": fill(masked, top_k=min(TOP_K, fill.vocab_size))}
