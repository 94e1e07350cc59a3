"""XML flows: trees from what clients write, refusals for what attackers write."""

import contextlib
import time
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe.core.errors import Refusal
from chappe.dialects.allmysms import xmlflow
from chappe.dialects.allmysms.xmlflow import Element

BILLION_LAUGHS = (
    '<!DOCTYPE a [<!ENTITY a0 "ha">'
    + "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
    + "]><a>&a9;</a>"
)


def _shape(element: Element) -> object:
    return (element.name, [_shape(child) for child in element.children] or element.text)


@pytest.mark.parametrize(
    ("flow", "expected"),
    [
        ("<DATA/>", ("DATA", "")),
        ("<data><Message>x</Message></data>", ("DATA", [("MESSAGE", "x")])),
        ("\r\n \ufeff<DATA>x</DATA>\n", ("DATA", "x")),
        ('<?xml version="1.0" encoding="ISO-8859-1"?><DATA>é€</DATA>', ("DATA", "é€")),
        ('<?xml version="1.0" encoding="utf-16" standalone="yes"?>\n<DATA>é</DATA>', ("DATA", "é")),
        ("<A>a&lt;b&amp;&#233;&#x20AC;</A>", ("A", "a<b&é€")),
        ("<A><![CDATA[<b> & ]]></A>", ("A", "<b> & ")),
        ("<A>\n  <![CDATA[ x ]]>\n</A>", ("A", " x ")),
        ("<A>x <![CDATA[y]]> z</A>", ("A", "x y z")),
        ("<A><![CDATA[a]]> <![CDATA[b]]></A>", ("A", "a b")),
        ("<A><![CDATA[]]></A>", ("A", "")),
        ("<A>\n <![CDATA[]]>\n</A>", ("A", "")),
        ("<A><![CDATA[[x]]></A>", ("A", "[x")),
        ("<A> x </A>", ("A", " x ")),
        ("<A>1<!-- c -->2<?p i?>3</A>", ("A", "123")),
        ('<n:A xmlns:n="u" b="c"><n:B>x</n:B></n:A>', ("A", [("B", "x")])),
        ("<A><B/> stray <C>x</C> (remark) </A>", ("A", [("B", ""), ("C", "x")])),
        ("<A>x\r\ny</A>", ("A", "x\ny")),
    ],
)
def test_a_document_becomes_a_tree(flow: str, expected: object) -> None:
    assert _shape(xmlflow.read(flow)) == expected


@pytest.mark.parametrize(
    "flow",
    [
        "",
        "   ",
        "text",
        "<DATA>",
        "<DATA></data>",
        "<A/><B/>",
        "<A>&eacute;</A>",
        "<A>a & b</A>",
        "<A>\x01</A>",
        "<A>\ud83d</A>",
        "<A>&#0;</A>",
        "<n:A:b/>\x00",
        "<A>é</A>".encode("utf-16-le").decode("latin-1"),  # expat would guess UTF-16, and read other words
        "<!DOCTYPE A><A/>",
        '<!DOCTYPE A SYSTEM "file:///etc/passwd"><A/>',
        '<!DOCTYPE A [<!ENTITY x SYSTEM "file:///etc/passwd">]><A>&x;</A>',
        '<!DOCTYPE A [<!ENTITY % x SYSTEM "http://127.0.0.1/"> %x;]><A/>',
        BILLION_LAUGHS,
        "<A>" * 17 + "</A>" * 17,
        "<A>" * 100_000,
        "<A>" + "<B/>" * xmlflow.ELEMENTS_MAX + "</A>",
        "<A>" + "x" * xmlflow.CHARACTERS_MAX + "</A>",
    ],
    ids=lambda flow: flow[:24] or "empty",
)
def test_what_is_malformed_dangerous_or_too_large_is_refused_at_once(flow: str) -> None:
    begin = time.process_time()
    with pytest.raises(Refusal) as caught:
        xmlflow.read(flow)
    assert caught.value.code == "flow_invalid"
    assert time.process_time() - begin < 10


def test_the_greatest_depth_is_read() -> None:
    assert xmlflow.read("<A>" * xmlflow.DEPTH_MAX + "</A>" * xmlflow.DEPTH_MAX).name == "A"


def test_text_longer_than_a_buffer_stays_whole() -> None:
    text = "é" * 50_000
    assert xmlflow.read(f"<A>{text}</A>").text == text
    assert xmlflow.read(f"<A>{' ' * 20_000}<![CDATA[{text}]]>{' ' * 20_000}</A>").text == text


@given(st.text(max_size=200))
def test_any_text_stands_in_an_element_and_comes_back(text: str) -> None:
    again = ET.fromstring(f"<A>{xmlflow.escape(text)}</A>").text or ""
    speakable = [
        c if c in "\t\n\r" or (c >= " " and not "\ud800" <= c <= "\udfff" and c not in "\ufffe\uffff") else "\ufffd"
        for c in text
    ]
    assert again == "".join(speakable)


@given(st.text(max_size=200) | st.text("<>/&;![]CDAT ax-?", max_size=60))
def test_no_text_raises_anything_but_a_refusal(text: str) -> None:
    with contextlib.suppress(Refusal):
        assert isinstance(xmlflow.read(text), Element)
