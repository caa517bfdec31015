"""Entities in a sentence of tags, as seqeval counts them in its default mode.

seqeval is the library of run_ner.py; it follows conlleval, the script of the CoNLL-2000 task. Its
package cannot be installed by a plain `pip install` today, so its rule is here; the tests compare
the two. It forgives what IOB2 does not allow: an I-X behind O or behind another type begins an
entity. Tags of IOBES (E-X, S-X) work too.

Source: Ramshaw & Marcus 1995; Tjong Kim Sang & Buchholz 2000; seqeval 1.2.2, get_entities.
"""

from collections.abc import Sequence
from typing import NamedTuple


class Tag(NamedTuple):
    """The two halves of a tag: B and PER of B-PER. A tag without a type has the type "_"."""

    prefix: str
    type: str


class Entity(NamedTuple):
    """An entity: its type, and the positions of its first and last token."""

    type: str
    first: int
    last: int


OUTSIDE = Tag("O", "_")
PREFIXES = {"B", "I", "E", "S"}  # of IOBES
NO_ENTITY = {"O", ".", ""}  # prefixes; the full stop is conlleval's


def are_plain(names: Sequence[str]) -> bool:
    """Return whether labels are tags of single words, such as parts of speech, not of entities.

    A letter, such as I, is a tag of entities only if all labels are: it may be a part of speech.
    """
    others = [name for name in names if name != OUTSIDE.prefix]
    has_types = any(name[:1] in PREFIXES and name[1:2] == "-" for name in others)
    return not has_types and not PREFIXES.issuperset(others)


def parse_tag(name: str) -> Tag:
    """Return the halves of a label's name."""
    return Tag(name[:1], name[1:].split("-", maxsplit=1)[-1] or "_")


def entities_in(tags: Sequence[Tag]) -> set[Entity]:
    """Return the entities of a sentence."""
    found, first, previous = set(), 0, OUTSIDE
    for position, tag in enumerate([*tags, OUTSIDE]):
        if _ends(previous, tag):
            found.add(Entity(previous.type, first, position - 1))
        if _begins(previous, tag):
            first = position
        previous = tag
    return found


def _ends(previous: Tag, tag: Tag) -> bool:
    """Return whether an entity ends between two tags."""
    if previous.prefix in NO_ENTITY:
        return False
    return (
        previous.prefix in {"E", "S"}
        or (previous.prefix in {"B", "I"} and tag.prefix in {"B", "S", "O"})
        or previous.type != tag.type
    )


def _begins(previous: Tag, tag: Tag) -> bool:
    """Return whether an entity begins at the second of two tags."""
    if tag.prefix in NO_ENTITY:
        return False
    return (
        tag.prefix in {"B", "S"}
        or (previous.prefix in {"E", "S", "O"} and tag.prefix in {"E", "I"})
        or previous.type != tag.type
    )
