"""AllMySMS replies as bytes: the same object in both forms, whatever text it holds."""

import json
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe.dialects.allmysms.render import Fields, Number, money, respond

FIELDS: Fields = {
    "a": "é",
    "n": 3,
    "none": None,
    "m": Number("0.10"),
    "rows": [{"x": "1", "y": None}, {"x": 2}],
    "e": [],
}


def test_an_object_is_ascii_json_with_numbers_as_they_are_written() -> None:
    response = respond(FIELDS, "json")
    assert (response.status, response.content_type) == (200, "text/html; charset=utf-8")
    assert response.body == b'{"a":"\\u00e9","n":3,"none":null,"m":0.10,"rows":[{"x":"1","y":null},{"x":2}],"e":[]}'


def test_an_object_is_xml_with_an_item_for_each_entry() -> None:
    response = respond(FIELDS, "xml", 404, (("A", "b"),))
    assert (response.status, response.content_type) == (404, "text/xml; charset=utf-8")
    assert response.headers == (("A", "b"),)
    assert response.body.decode() == (
        '<?xml version="1.0" encoding="UTF-8"?>\n<response><a>é</a><n>3</n><none></none><m>0.10</m>'
        "<rows><item><x>1</x><y></y></item><item><x>2</x></item></rows><e></e></response>"
    )


@pytest.mark.parametrize(
    ("amount_micros", "text"), [(0, "0"), (45_000, "0.045"), (2_810_000, "2.81"), (-1, "-0.000001")]
)
def test_money_is_exact(amount_micros: int, text: str) -> None:
    assert respond({"m": money(amount_micros)}, "json").body.decode() == f'{{"m":{text}}}'


@given(st.text(max_size=40), st.lists(st.text(max_size=20), max_size=3))
def test_any_text_can_be_read_back(text: str, items: list[str]) -> None:
    fields: Fields = {"t": text, "rows": [{"x": item} for item in items]}
    assert json.loads(respond(fields, "json").body) == fields
    root = ET.fromstring(respond(fields, "xml").body)
    assert len(root.findtext("t") or "") == len(text)
    assert [len(item.text or "") for item in root.findall("rows/item/x")] == [len(item) for item in items]


def test_json_that_is_labelled_as_a_page_holds_no_markup() -> None:
    hostile = "<script>alert(1)</script><!--"
    response = respond({"invalidNumbers": hostile, "rows": [{"a": hostile}]}, "json")
    assert response.content_type == "text/html; charset=utf-8"
    assert b"<" not in response.body
    assert b">" not in response.body
    assert json.loads(response.body) == {"invalidNumbers": hostile, "rows": [{"a": hostile}]}
    assert respond({"a": hostile}, "rest").content_type == "application/json"
