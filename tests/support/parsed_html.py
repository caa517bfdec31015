"""Parse a piece of HTML from the page; each parser asserts that its tags are balanced."""

from html.parser import HTMLParser
from typing import NamedTuple


class Tags(HTMLParser):
    """The names of the tags, in order, and the text without them."""

    def __init__(self, html: str):
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.text = ""
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.seen.append(tag)
        assert not any(name.startswith("on") for name, _ in attrs)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


class Element(NamedTuple):
    """An element: its tag, its attributes, and the pieces of the text inside it."""

    tag: str
    attrs: dict[str, str]
    pieces: list[str]

    @property
    def text(self) -> str:
        """The whole text inside the element."""
        return "".join(self.pieces)


class Elements(HTMLParser):
    """All elements, in the order of their start tags."""

    def __init__(self, html: str):
        super().__init__()
        self.found: list[Element] = []
        self._open: list[Element] = []
        self.feed(html)
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        assert not any(name.startswith("on") for name, _ in attrs)
        self._open.append(Element(tag, dict(attrs), []))
        self.found.append(self._open[-1])

    def handle_endtag(self, tag):
        assert self._open.pop().tag == tag

    def handle_data(self, data):
        for element in self._open:
            element.pieces.append(data)

    def texts(self, tag: str = "", **attrs: str) -> list[str]:
        """Return the texts of elements with a tag and attributes; class_ is one of the classes."""
        return [
            element.text
            for element in self.found
            if tag in ("", element.tag)
            and all(_has_attribute(element, key, value) for key, value in attrs.items())
        ]


def _has_attribute(element: Element, key: str, value: str) -> bool:
    if key == "class_":
        return value in element.attrs.get("class", "").split()
    return element.attrs.get(key) == value
