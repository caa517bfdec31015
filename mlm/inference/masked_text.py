"""A user's text with masks in it: checked, encoded, its masks found."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from mlm.checkpoint.strict_json import has_lone_surrogate
from mlm.errors import CheckpointError, InputError, UserError
from mlm.inference.engines.engine import Question
from mlm.inference.filling import find_masks, normalize_masks
from mlm.inference.predictor import Predictor
from mlm.inference.reading_losses import find_losses
from mlm.inference.vocabulary import Vocabulary

Text = TypeVar("Text")
MAX_CHARACTERS = 20_000  # of a text; checked first, so that one of 30 MB costs nothing
MAX_MASKS = 32  # of a text


@dataclass(frozen=True)
class MaskedText:
    """A checked text: what the user wrote and what the model reads."""

    text: str
    spans: list[tuple[int, int]]  # characters [start, end) of each mask in `text`
    note: str | None  # how the text was read, if not as it is written
    question: Question
    warning: str | None = None  # the part of the note that says that the model knows no word


def read_masked(predictor: Predictor, vocabulary: Vocabulary, text: object) -> MaskedText:
    """Check a text, encode it and find its masks.

    Raises:
        InputError: not a string, too long, no mask or too many.
        CheckpointError: the tokenizer does not find the masks.
    """
    mask_token = predictor.mask_token
    plain, spans = _check_masked(text, mask_token)
    normalized, note = normalize_masks(plain, mask_token)
    input_ids, offsets = predictor.encode_with_offsets(normalized)
    positions = [i for i, token_id in enumerate(input_ids) if token_id == predictor.mask_id]
    if len(positions) != len(spans):
        raise CheckpointError(
            f"{predictor.name} cannot read this text: its tokenizer finds {len(positions)} of "
            f"{len(spans)} masks."
        )
    losses = find_losses(vocabulary, normalized, input_ids, offsets)
    notes = " ".join(filter(None, [note, losses.note()]))
    question = Question(input_ids, positions)
    return MaskedText(plain, spans, notes or None, question, losses.warning())


def check_text(text: object, most: int = MAX_CHARACTERS) -> str:
    """Return `text`; raise InputError unless it is a string of at most that many characters."""
    if not isinstance(text, str):
        raise InputError(f"The text is of type {type(text).__name__}; expected a string.")
    if len(text) > most:
        raise InputError(f"The text has {len(text):,} characters; at most {most:,} are read.")
    if has_lone_surrogate(text):
        raise InputError("The text holds half a character (a lone surrogate): type it again.")
    return text


def _check_masked(text: object, mask_token: str) -> tuple[str, list[tuple[int, int]]]:
    """Return the text and its masks' characters [start, end); raise InputError."""
    text = check_text(text)
    masks = find_masks(text, mask_token)
    if not masks:
        raise InputError(f"The text has no mask: write {mask_token} or ___ in place of a word.")
    if len(masks) > MAX_MASKS:
        raise InputError(f"The text has {len(masks)} masks; at most {MAX_MASKS} are filled.")
    return text, [mask.span() for mask in masks]


def read_each(texts: Sequence[object], read: Callable[[object], Text]) -> list[Text]:
    """Read texts. Raises as `read`; of several texts, the error names the one at fault."""
    found = []
    for number, text in enumerate(texts, 1):
        try:
            found.append(read(text))
        except UserError as error:
            if len(texts) == 1:
                raise
            raise type(error)(f"Text {number} of {len(texts)}: {error}") from None
    return found
