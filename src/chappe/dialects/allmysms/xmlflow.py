"""XML flows: the few elements of a request as a tree, with everything dangerous in XML refused; and text for answers.

pyexpat with our own handlers is the safe choice and the fast one: a DOCTYPE ends the reading before any entity exists,
and depth and size have limits.
"""

from __future__ import annotations

import re
from typing import Final
from xml.parsers import expat

from chappe.dialects.allmysms.refusals import AllMySmsRefusal

DEPTH_MAX: Final = 16
ELEMENTS_MAX: Final = 200_000  # twice as many as the longest flow of two million octets needs
CHARACTERS_MAX: Final = 16 << 20

# XML 1.0, 2.2 (Char): what a document cannot carry even escaped; an SMS may hold it.
_UNSPEAKABLE: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


class Element:
    """One element: its name in upper case without prefix, the elements in it in their order, and its text."""

    __slots__ = ("children", "name", "pieces")

    def __init__(self, name: str) -> None:
        self.name = name
        self.pieces: list[tuple[str, bool]] = []  # text, and whether it stood in a CDATA section
        self.children: list[Element] = []

    @property
    def text(self) -> str:
        """All text directly in the element; white space around a CDATA section is layout, within it is text."""
        pieces = self.pieces
        if len(pieces) == 1:
            return pieces[0][0]
        if any(cdata for _, cdata in pieces):
            first, last = 0, len(pieces)
            while not pieces[first][1] and not pieces[first][0].strip():
                first += 1
            while not pieces[last - 1][1] and not pieces[last - 1][0].strip():
                last -= 1
            pieces = pieces[first:last]
        return "".join([text for text, _ in pieces])


def read(flow: str) -> Element:
    """The root element of an XML document.

    An encoding named in the prolog is ignored: the text is decoded already. Attributes, comments and processing
    instructions are dropped. Raises Refusal flow_invalid: not well formed, a DOCTYPE, an entity that XML does not
    predefine, beyond DEPTH_MAX, ELEMENTS_MAX or CHARACTERS_MAX.
    """
    # expat takes text with a NUL behind its first `<` for UTF-16, whatever it is told, and would read other words.
    if len(flow) > CHARACTERS_MAX or "\x00" in flow:
        raise AllMySmsRefusal("flow_invalid")
    reader = _Reader()
    try:
        # White space before the prolog is an error in XML (2.8), and common in flows pasted into programs.
        reader.parser.Parse(flow.strip().removeprefix("\ufeff").encode(), True)
    except (expat.ExpatError, UnicodeEncodeError) as error:
        raise AllMySmsRefusal("flow_invalid") from error
    return reader.top.children[0]


def escape(text: str) -> str:
    """Text as it stands in an element; characters that XML cannot carry become U+FFFD."""
    if "&" in text or "<" in text or ">" in text or "\r" in text:
        # A reader would turn a bare CR into LF (XML 1.0, 2.11).
        text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\r", "&#13;")
    return _UNSPEAKABLE.sub("\ufffd", text)


class _Reader:
    """The handlers of one parse; `top` holds the root when it is over."""

    def __init__(self) -> None:
        self.top = Element("")
        self.path = [self.top]
        self.elements = 0
        self.names: dict[str, str] = {}
        self.in_cdata = False
        # The second argument stays out: namespace processing would put the URI before each name.
        self.parser = parser = expat.ParserCreate("utf-8")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.StartCdataSectionHandler = self._start_cdata
        parser.EndCdataSectionHandler = self._end_cdata
        parser.StartDoctypeDeclHandler = self._refuse
        parser.EntityDeclHandler = self._refuse
        parser.ExternalEntityRefHandler = self._refuse
        parser.SkippedEntityHandler = self._refuse

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self.elements += 1
        if len(self.path) > DEPTH_MAX or self.elements > ELEMENTS_MAX:
            raise AllMySmsRefusal("flow_invalid")
        element = Element(self.names.get(name) or self._name(name))
        self.path[-1].children.append(element)
        self.path.append(element)

    def _name(self, written: str) -> str:
        """The name of an element, remembered: a flow has thousands of the same few."""
        name = self.names[written] = written.rpartition(":")[2].upper()
        return name

    def _end(self, name: str) -> None:
        self.path.pop()

    def _characters(self, text: str) -> None:
        self.path[-1].pieces.append((text, self.in_cdata))

    def _start_cdata(self) -> None:
        self.in_cdata = True
        self.path[-1].pieces.append(("", True))  # an empty section, too, makes the white space around it layout

    def _end_cdata(self) -> None:
        self.in_cdata = False

    def _refuse(self, *what: object) -> int:
        raise AllMySmsRefusal("flow_invalid")
