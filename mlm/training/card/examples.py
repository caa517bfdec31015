"""The sentences of a card, put to the checkpoint as it was saved: what a visitor will get."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mlm.errors import InputError
from mlm.inference.fill_mask import FillMask
from mlm.inference.filling import normalise_masks

TOP_K = 5  # words a sentence


def try_examples(folder: str | Path, texts: Iterable[str]) -> list[dict[str, Any]]:
    """For each text `text`, with the checkpoint's own mask token, and `output` as FillMask has it.

    Raises:
        CheckpointError: the folder is not whole.
        InputError: a text has no mask, or more than one, or is too long.
    """
    texts = list(texts)
    if not texts:
        return []
    fill = FillMask.from_pretrained(folder, engine="keras")  # which has trained it
    spelled = [normalise_masks(text, fill.mask_token)[0] for text in texts]
    return [{"text": text, "output": _best(fill, text)} for text in spelled]


def _best(fill: FillMask, text: str) -> list[dict[str, Any]]:
    masked = fill.read(text)
    count = len(masked.spans)
    if count != 1:
        raise InputError(f"The example {text!r} has {count} masks; a card shows those with one.")
    return fill(masked, top_k=min(TOP_K, fill.vocab_size))
