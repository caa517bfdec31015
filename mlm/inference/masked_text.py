"""A person's text with masks in it, checked and read: what they wrote and what the model sees."""

import re
from dataclasses import dataclass
from typing import Any

from mlm.checkpoint.strict_json import has_lone_surrogate
from mlm.errors import CheckpointError, InputError
from mlm.inference.engines.keras_engine import Question
from mlm.inference.filling import find_masks, normalise_masks
from mlm.inference.predictor import Predictor

MAX_CHARACTERS = 20_000  # of a text; looked at before anything else, so that 30 MB cost nothing
MAX_MASKS = 32  # in a text


@dataclass(frozen=True)
class MaskedText:
    """A text that was found fit to be asked: what the user wrote and what the model reads."""

    text: str
    spans: list[tuple[int, int]]  # of the masks in `text`
    note: str | None  # what was read otherwise than it was written
    question: Question


def read_masked(predictor: Predictor, mask_token: str, text: Any) -> MaskedText:
    """Check a text and find its masks in it.

    Raises:
        InputError: not a text, too long, no mask or too many.
        CheckpointError: the tokenizer does not find the masks.
    """
    masks = [mask.span() for mask in _checked_masks(text, mask_token)]
    plain, note = normalise_masks(text, mask_token)
    input_ids = predictor.read(plain)
    positions = [i for i, t in enumerate(input_ids) if t == predictor.mask_id]
    if len(positions) != len(masks):
        raise CheckpointError(
            f"{predictor.name} cannot read this text: its tokenizer finds {len(positions)} of "
            f"{len(masks)} masks."
        )
    return MaskedText(text, masks, note, Question(input_ids, positions))


def check_text(text: Any) -> None:
    """InputError unless this is a text of a length that is read at all."""
    if not isinstance(text, str):
        raise InputError(f"The text is of type {type(text).__name__}; expected a string.")
    if len(text) > MAX_CHARACTERS:
        raise InputError(
            f"The text has {len(text):,} characters; at most {MAX_CHARACTERS:,} are read."
        )
    if has_lone_surrogate(text):
        raise InputError("The text holds half a character (a lone surrogate): type it again.")


def _checked_masks(text: Any, mask_token: str) -> list[re.Match[str]]:
    check_text(text)
    masks = find_masks(text, mask_token)
    if not masks:
        raise InputError(
            f"There is no mask in the text: write {mask_token} or ___ in place of a word."
        )
    if len(masks) > MAX_MASKS:
        raise InputError(f"The text has {len(masks)} masks; at most {MAX_MASKS} are filled.")
    return masks
