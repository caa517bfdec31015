"""The filling of many rows; a row that cannot be filled gets its error and stops no other."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from mlm.errors import UserError
from mlm.inference.fill_mask import FillMask
from mlm.inference.filling import Filling, find_masks
from mlm.inference.masked_text import MAX_CHARACTERS, MaskedText
from mlm.inference.row_reading import Row

MAX_ANSWER = 10_000_000  # characters of all filled sentences; 50 words for 32 masks add up
ROWS_AT_ONCE = 32  # in one call of the model
MASKS_AT_ONCE = 64  # in one call; each takes a row of the whole vocabulary in memory


@dataclass(frozen=True)
class RowResult:
    """The filling of a row, or in one line why there is none."""

    number: int
    text: str  # empty if the row's is not a string
    filling: Filling | None
    error: str | None = None
    others: tuple[str, ...] = ()  # the row's other cells


class _CountedRow(NamedTuple):
    row: Row
    num_masks: int  # 0 for a text that is refused unread


def fill_rows(
    model: FillMask,
    rows: Iterable[Row],
    top_k: int,
    *,
    merge: bool = False,
    limited: bool = True,
) -> Iterator[RowResult]:
    """Yield one result for each row, in order, as soon as it is known.

    Args:
        model: fills the rows.
        rows: of any number; read as they are filled.
        top_k: words for each mask, at least 1; at most those of the model are returned.
        merge: see FillMask.answer.
        limited: True answers at most MAX_ANSWER characters; the rows beyond have an error.
    """
    top_k = min(top_k, model.vocab_size)
    counted: Iterator[_CountedRow] = (
        _CountedRow(row, _count_masks(row, model.mask_token)) for row in rows
    )
    if limited:
        counted = _refuse_beyond_budget(counted, top_k)
    for chunk in _chunks(counted):
        texts = [row.text for row in chunk if row.error is None]
        answers = iter(_answer(model, texts, top_k, merge))
        for row in chunk:
            yield _make_result(row, next(answers) if row.error is None else row.error)


def _answer(
    model: FillMask, texts: Sequence[object], top_k: int, merge: bool
) -> Sequence[Filling | str]:
    """Return each text's filling or error. If any text is refused, each is answered on its own."""
    read = [_read(model, text) for text in texts]
    masked = [each for each in read if isinstance(each, MaskedText)]
    if len(masked) == len(read):
        try:
            return model.answer(masked, top_k, merge=merge)
        except UserError:  # about one of them: find out which
            pass
    return [
        each if isinstance(each, str) else _answer_one(model, each, top_k, merge) for each in read
    ]


def _answer_one(model: FillMask, text: MaskedText, top_k: int, merge: bool) -> Filling | str:
    try:
        return model.answer([text], top_k, merge=merge)[0]
    except UserError as error:
        return str(error)


def _read(model: FillMask, text: object) -> MaskedText | str:
    try:
        return model.read(text)
    except UserError as error:
        return str(error)


def _make_result(row: Row, answer: Filling | str) -> RowResult:
    text = row.text if isinstance(row.text, str) else ""
    if isinstance(answer, str):
        return RowResult(row.number, text, None, answer, row.others)
    return RowResult(row.number, text, answer, None, row.others)


def _refuse_beyond_budget(counted: Iterable[_CountedRow], top_k: int) -> Iterator[_CountedRow]:
    """Yield the rows; a row that would make the answer larger than MAX_ANSWER has an error."""
    left = MAX_ANSWER
    for row, num_masks in counted:
        length = len(row.text) if isinstance(row.text, str) else 0
        cost = num_masks * top_k * length
        if cost > left:
            much = f"The answer would hold more than {MAX_ANSWER:,} characters"
            yield _CountedRow(row._replace(error=f"{much}: ask for fewer words or fewer rows."), 0)
        else:
            left -= cost
            yield _CountedRow(row, num_masks)


def _chunks(counted: Iterable[_CountedRow]) -> Iterator[list[Row]]:
    """Yield chunks of at most ROWS_AT_ONCE rows, and of MASKS_AT_ONCE masks or one row."""
    chunk: list[Row] = []
    masks = 0
    for row, num_masks in counted:
        if chunk and (len(chunk) == ROWS_AT_ONCE or masks + num_masks > MASKS_AT_ONCE):
            yield chunk
            chunk, masks = [], 0
        chunk.append(row)
        masks += num_masks
    if chunk:
        yield chunk


def _count_masks(row: Row, mask_token: str) -> int:
    """Return the number of masks in a row, 0 for a text that is refused unread."""
    text = row.text
    if row.error is not None or not isinstance(text, str) or len(text) > MAX_CHARACTERS:
        return 0
    return len(find_masks(text, mask_token))
