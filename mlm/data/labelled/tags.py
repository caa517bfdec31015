"""Tags of words in BIO form: B- begins an entity, I- continues it, O is outside. Or plain tags.

Tags of BIOES, BILOU and BMES become those of BIO. A tag I- that does not continue an entity becomes
B-, as in IOB1 and as conlleval and seqeval count it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from mlm.data.labelled.labelled_report import LabelledReport
from mlm.errors import CorpusError

OUTSIDE = "O"
_TAG = re.compile(r"O|[BIESLUM](-.+)?")
_OF_ENTITY = re.compile(r"[BIESLUM]-.")
_IN_BIO = {"B": "B", "I": "I", "E": "I", "L": "I", "M": "I", "S": "B", "U": "B"}


def is_tag(text: str) -> bool:
    """Return whether a text is a tag of BIO or of a form that can become BIO."""
    return bool(_TAG.fullmatch(text))


def to_bio(sentences: Sequence[Sequence[object]], report: LabelledReport) -> list[list[str]]:
    """Return the tags of sentences in BIO form; the report says how many were changed.

    Tags none of which names an entity, such as parts of speech, stay as they are.

    Raises:
        CorpusError: a tag is not of a known form.
    """
    if names := _plain_tags(sentences):
        report.say(
            f"tags of single words, not of entities ({len(names):,} of them, such as "
            f"{min(names)}): each word is counted by itself{_if_lower(names)}"
        )
        return [[str(tag) for tag in tags] for tags in sentences]
    counts: Counter[str] = Counter()
    found = [_sentence_to_bio(tags, number, counts) for number, tags in enumerate(sentences, 1)]
    if count := counts["letters"]:
        report.say(
            f"{count:,} tags of BIOES or BILOU (such as {_an_odd_tag(sentences)}) read as BIO"
        )
    if count := counts["begins"]:
        report.say(f"{count:,} tags I- that begin an entity read as B-, as in IOB1")
    return found


def _plain_tags(sentences: Sequence[Sequence[object]]) -> set[str]:
    """Return the tags if they are plain words, and none is of an entity; else nothing."""
    names = {tag for tags in sentences for tag in tags if tag != OUTSIDE}
    if any(not isinstance(name, str) or not name or _OF_ENTITY.match(name) for name in names):
        return set()
    plain = {str(name) for name in names}
    return plain if any(not is_tag(name) for name in plain) else set()


def _if_lower(names: set[str]) -> str:
    """Return what to do about tags that are those of BIO but for capitals."""
    if all(is_tag(name[:1].upper() + name[1:]) for name in names):
        return "; if they are of entities, write B-, I- and O in capitals"
    return ""


def _sentence_to_bio(tags: Sequence[object], number: int, counts: Counter[str]) -> list[str]:
    found: list[str] = []
    before = OUTSIDE
    for tag in tags:
        if not isinstance(tag, str) or not is_tag(tag):
            raise _tag_error(tag, number)
        if tag != OUTSIDE:
            letter, kind = tag[0], tag[1:]
            counts["letters"] += letter not in "BI"
            begins = letter == "I" and (before == OUTSIDE or before[1:] != kind)
            counts["begins"] += begins
            tag = ("B" if begins else _IN_BIO[letter]) + kind
        found.append(tag)
        before = tag
    return found


def _tag_error(tag: object, number: int) -> CorpusError:
    if isinstance(tag, int):
        return CorpusError(
            f"text {number:,} has the tag {tag}, a number; expected names such as B-PER, I-PER and "
            "O: replace the numbers by the names of the tags"
        )
    return CorpusError(
        f"text {number:,} has the tag {tag!r}, expected BIO: O, or B- or I- and the kind of "
        "entity, such as B-PER: correct it, or name the column of tags with --label_column_name"
    )


def _an_odd_tag(sentences: Sequence[Sequence[object]]) -> object:
    return next(tag for tags in sentences for tag in tags if str(tag)[0] in "ESLUM")
