"""The labels of many rows; a row that has none gets its error and stops no other."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from mlm.errors import UserError
from mlm.inference.classification import Classification
from mlm.inference.classifier import Classifier
from mlm.inference.entities import Strategy
from mlm.inference.row_reading import Row

ROWS_AT_ONCE = 64  # in one call of the model


@dataclass(frozen=True)
class ClassifiedRow:
    """The labels of a row, or in one line why there are none."""

    number: int
    texts: tuple[str, ...]  # one, or two of a pair; empty if they are not strings
    answer: Classification | None
    error: str | None = None
    others: tuple[str, ...] = ()  # the row's other cells


def classify_rows(
    classifier: Classifier,
    rows: Iterable[Row],
    top_k: int | None = None,
    aggregation_strategy: Strategy | None = None,
) -> Iterator[ClassifiedRow]:
    """Yield one result for each row, in order, as soon as it is known.

    Args:
        classifier: labels the rows.
        rows: of any number; read as they are classified.
        top_k: see Classifier.classify.
        aggregation_strategy: see Classifier.classify.
    """
    remaining = iter(rows)
    while chunk := list(islice(remaining, ROWS_AT_ONCE)):
        texts = [row.text for row in chunk if row.error is None]
        answers = iter(_answer(classifier, texts, top_k, aggregation_strategy))
        for row in chunk:
            answer = next(answers) if row.error is None else row.error
            yield _make_result(row, answer)


def _answer(
    classifier: Classifier, texts: list[object], top_k: int | None, strategy: Strategy | None
) -> list[Classification | str]:
    """Return each text's answer or error. If any text is refused, each is answered on its own."""
    try:
        return [*classifier.answer(texts, top_k, strategy)]
    except UserError as error:
        if len(texts) == 1:
            return [str(error)]
    return [_answer(classifier, [text], top_k, strategy)[0] for text in texts]


def _make_result(row: Row, answer: Classification | str) -> ClassifiedRow:
    given = row.text.values() if isinstance(row.text, dict) else (row.text,)
    texts = tuple(text if isinstance(text, str) else "" for text in given)
    if isinstance(answer, str):
        return ClassifiedRow(row.number, texts, None, answer, row.others)
    return ClassifiedRow(row.number, texts, answer, None, row.others)
