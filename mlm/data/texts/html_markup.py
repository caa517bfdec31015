"""Remove the HTML of scraped texts: line breaks, tags in pairs, entities.

`auto` removes only what is surely markup. `vector<i>`, and the escaped `&lt;br&gt;` of a text
about HTML, stay as they are.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable

# Block tags become a space, inline tags are removed. Unknown tags (`<grin>`) are kept as text.
_BLOCK = "br|p|div|hr|ul|ol|li|table|tr|td|th|h[1-6]|blockquote"
_INLINE = "i|b|u|s|em|strong|small|big|sub|sup|span|font|a|tt"
_ATTRIBUTES = r"(?:\s+[\w-]+\s*=[^<>]*)?\s*/?>"
_BLOCK_TAG = re.compile(rf"</?(?:{_BLOCK}){_ATTRIBUTES}", re.IGNORECASE)
_INLINE_TAG = re.compile(rf"</?(?:{_INLINE}){_ATTRIBUTES}", re.IGNORECASE)
_TAG = re.compile(
    rf"<(?P<closes>/?)(?P<name>{_BLOCK}|{_INLINE})(?P<attributes>\s+[\w-]+\s*=[^<>]*?)?\s*"
    r"(?P<ends>/?)>",
    re.IGNORECASE,
)
_LINE_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
_NEVER_CLOSED = {"br", "hr", "p"}  # markup without a closing tag too
# The semicolon is required: `AT&T` and `R&Ds` are names, not entities.
_NAME = r"#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,31}"
_ENTITY = re.compile(rf"&(?:{_NAME});")
_LESS, _GREATER = r"&(?:lt|#0*60|#[xX]0*3[cC]);", r"&(?:gt|#0*62|#[xX]0*3[eE]);"
_ESCAPED_TAG = rf"{_LESS}/?[a-zA-Z][^<>&]{{0,80}}{_GREATER}"
_ENTITY_OR_TAG = re.compile(rf"({_ESCAPED_TAG})|&(?:{_NAME});")


def remove_html(text: str, clean_html: str) -> str:
    """Return the text without HTML.

    Args:
        text: as it was read.
        clean_html: "auto" removes line breaks, tags with attributes and tags that are closed, and
            resolves entities, but for escaped tags; "yes" resolves all entities, then removes
            every known tag, because scraped text often contains `&lt;br /&gt;`; "no" does nothing.
    """
    if clean_html == "no":
        return text
    if clean_html == "yes":
        plain = _ENTITY.sub(_resolve, text) if "&" in text else text
        return _INLINE_TAG.sub("", _BLOCK_TAG.sub(" ", plain)) if "<" in plain else plain
    # Tags first: an entity may stand for the < of a text.
    plain = _LINE_BREAK.sub(" ", text) if "<" in text else text
    if "<" in plain:
        plain = _TAG.sub(_remover(plain), plain)
    return _ENTITY_OR_TAG.sub(_resolve, plain) if "&" in plain else plain


def has_escaped_tag(text: str) -> bool:
    """Return whether a text holds a known tag as `&lt;br&gt;`, which `auto` keeps."""
    if "&" not in text:
        return False
    escaped = (html.unescape(match[1] or "") for match in _ENTITY_OR_TAG.finditer(text))
    return any(_TAG.fullmatch(tag) for tag in escaped)


def _remover(text: str) -> Callable[[re.Match[str]], str]:
    """Return a function that replaces the tags of `text` that are surely markup."""
    tags = list(_TAG.finditer(text))
    opened = {tag["name"].lower() for tag in tags if not tag["closes"]}
    # `<b/>` is a frequent misspelling of `</b>`.
    closed = {tag["name"].lower() for tag in tags if tag["closes"] or tag["ends"]}
    markup = _NEVER_CLOSED | opened & closed

    def remove(tag: re.Match[str]) -> str:
        name = tag["name"].lower()
        if name not in markup and not tag["attributes"]:
            return tag[0]
        return " " if _BLOCK_TAG.fullmatch(tag[0]) else ""

    return remove


def _resolve(match: re.Match[str]) -> str:
    """Return the character of an entity; an escaped tag as it is."""
    return match[0] if match.re is _ENTITY_OR_TAG and match[1] else html.unescape(match[0])
