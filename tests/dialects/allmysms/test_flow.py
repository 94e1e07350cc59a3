"""AllMySMS flows: the same values from XML and JSON, however they are written."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe.core.errors import Refusal
from chappe.core.model import RECIPIENTS_MAX
from chappe.dialects.allmysms import flow as allmysms_flow
from chappe.dialects.allmysms import xmlflow
from chappe.dialects.allmysms.flow import Block, Flow

SEED_XML = """<DATA>
   <MESSAGE><![CDATA[Votre message]]></MESSAGE>
   <DYNAMIC>2 (contiendra le nombre de paramètres variables du message)</DYNAMIC> (obligatoire si ...)
   <CAMPAIGN_NAME>nom de campagne </CAMPAIGN_NAME> (option facultative)
   <DATE>date différée facultative ex.: 2011-11-05 15:10:00 </DATE> (option facultative)
   <TPOA>nom de l’émetteur (option facultative)</TPOA>
   <SMS>
      <MOBILEPHONE>33611111111</MOBILEPHONE>
      <PARAM_1>Parametre 1</PARAM_1>
      <PARAM_2>Parametre 2</PARAM_2>
   </SMS>
   <SMS>
      <MOBILEPHONE> 33622222222 </MOBILEPHONE>
      <PARAM_1>Parametre 1</PARAM_1>
      <PARAM_2>Parametre 2</PARAM_2>
   </SMS>
</DATA>"""


def test_the_provider_s_xml_example_is_read_with_its_remarks() -> None:
    parameters = {1: "Parametre 1", 2: "Parametre 2"}
    assert allmysms_flow.read(SEED_XML) == Flow(
        {
            "MESSAGE": "Votre message",
            "DYNAMIC": "2 (contiendra le nombre de paramètres variables du message)",
            "CAMPAIGN_NAME": "nom de campagne",
            "DATE": "date différée facultative ex.: 2011-11-05 15:10:00",
            "TPOA": "nom de l’émetteur (option facultative)",
        },
        (Block(("33611111111",), parameters), Block(("33622222222",), parameters)),
    )


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"PARAM_1": "a", "PARAM_2": "b"}, {1: "a", 2: "b"}),
        ({"param_1": "a"}, {1: "a"}),
        ({"PARAM1": "a"}, {1: "a"}),
        ({"PARAMS_0": "a", "PARAMS_1": "b"}, {1: "a", 2: "b"}),
        ({"PARAM_01": " a "}, {1: "a"}),
        ({"PARAM_x": "a", "PARAM_": "b", "PARAM_12345": "c"}, {}),
        ({"PARAM_1": ""}, {1: ""}),
    ],
)
def test_parameters_are_numbered_from_one(parameters: dict[str, str], expected: dict[int, str]) -> None:
    inner = "".join(f"<{name}>{value}</{name}>" for name, value in parameters.items())
    xml = allmysms_flow.read(f"<DATA><SMS><MOBILEPHONE>1</MOBILEPHONE>{inner}</SMS></DATA>")
    from_json = allmysms_flow.read(json.dumps({"DATA": {"SMS": {"MOBILEPHONE": "1"} | parameters}}))
    assert xml == from_json == Flow({}, (Block(("1",), expected),))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("text", "text"),
        ("", ""),
        (None, None),
        (True, "1"),
        (False, "0"),
        (0, "0"),
        (33612345678, "33612345678"),
        (10**30, "1" + "0" * 30),
        (2.0, "2"),
        (1.5, "1.5"),
        ({}, ""),
        ({"#cdata-section": "x"}, "x"),
        ({"#CDATA-section": 1}, "1"),
        ({"#cdata-section": "x", "b": 1}, None),
        ({"b": "x"}, None),
        ([], None),
        (["x"], None),
    ],
)
def test_json_values_are_text_or_nothing(value: object, expected: str | None) -> None:
    assert allmysms_flow.scalar(value) == expected


def test_of_a_repeated_tag_the_first_counts() -> None:
    assert allmysms_flow.read("<DATA><TPOA>a</TPOA><tpoa>b</tpoa></DATA>").fields == {"TPOA": "a"}
    assert allmysms_flow.read('{"DATA":{"TPOA":"a","tpoa":"b"}}').fields == {"TPOA": "a"}


def test_the_message_keeps_its_white_space_and_nothing_else_does() -> None:
    xml = "<DATA><MESSAGE><![CDATA[ a \n]]></MESSAGE><TPOA> b </TPOA></DATA>"
    from_json = '{"DATA":{"MESSAGE":" a \\n","TPOA":" b "}}'
    assert allmysms_flow.read(xml).fields == allmysms_flow.read(from_json).fields == {"MESSAGE": " a \n", "TPOA": "b"}


@pytest.mark.parametrize(
    ("flow", "code"),
    [
        ("", "flow_empty"),
        (" \r\n\t", "flow_empty"),
        ("\ufeff", "flow_empty"),
        ("x", "flow_invalid"),
        ("[]", "flow_invalid"),
        ('"<DATA/>"', "flow_invalid"),
        ("<DATAS/>", "flow_invalid"),
        ("<a><DATA/></a>", "flow_invalid"),
        ("{}", "flow_invalid"),
        ('{"DATA":null}', "flow_invalid"),
        ('{"DATA":"<DATA/>"}', "flow_invalid"),
        ('{"DATA":{}} x', "flow_invalid"),
        ('{"DATA":{"MESSAGE":NaN}}', "flow_invalid"),
        ('{"DATA":{"MESSAGE":"\\ud800"}}', "flow_invalid"),
        ('{"DATA":{"MESSAGE":' + "9" * 5000 + "}}", "flow_invalid"),
        ('{"DATA":' * 5000, "flow_invalid"),
        ("{'DATA':{}}", "flow_invalid"),
    ],
    ids=lambda text: repr(text[:24]),
)
def test_what_is_no_flow_is_refused(flow: str, code: str) -> None:
    with pytest.raises(Refusal) as caught:
        allmysms_flow.read(flow)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("flow", "code"),
    [
        ('{"DATA":{"MESSAGE":"x","DATE":["2030-01-31 08:30:00"]}}', "date_invalid"),
        ('{"DATA":{"MESSAGE":"x","date":{"day":1}}}', "date_invalid"),
        ("<DATA><DATE><DAY>1</DAY></DATE></DATA>", "date_invalid"),
        ('{"DATA":{"MESSAGE":"x","TPOA":["me"]}}', "flow_invalid"),
        ("<DATA><FLASH><B>1</B></FLASH></DATA>", "flow_invalid"),
        ('{"DATA":{"MESSAGE":"#param_1#","DYNAMIC":1,"SMS":[{"MOBILEPHONE":"1","PARAM_1":{"a":1}}]}}', "flow_invalid"),
        ('{"DATA":{"MESSAGE":"#param_1#","DYNAMIC":1,"SMS":[{"MOBILEPHONE":"1","PARAM_1":["a"]}]}}', "flow_invalid"),
        ("<DATA><SMS><MOBILEPHONE>1</MOBILEPHONE><PARAM_1><b>Ana</b></PARAM_1></SMS></DATA>", "flow_invalid"),
    ],
)
def test_a_wish_that_cannot_be_read_is_not_dropped(flow: str, code: str) -> None:
    with pytest.raises(Refusal) as refused:
        allmysms_flow.read(flow)
    assert refused.value.code == code


def test_more_blocks_than_a_send_has_places_are_not_even_read() -> None:
    with pytest.raises(Refusal) as refused:
        allmysms_flow.read('{"DATA":{"SMS":[' + "{}," * RECIPIENTS_MAX + "{}]}}")
    assert refused.value.code == "recipients_too_many"


@pytest.mark.parametrize("value", ["null", "[]", "{}", '""'])
def test_what_programs_write_for_nothing_is_nothing(value: str) -> None:
    (block,) = allmysms_flow.read(f'{{"DATA":{{"SMS":{{"MOBILEPHONE":"1","PARAM_1":{value}}}}}}}').blocks
    assert not block.parameters.get(1)
    assert not allmysms_flow.read(f'{{"DATA":{{"MESSAGE":"x","DATE":{value}}}}}').fields.get("DATE")


# XML knows no other control characters, and makes a line feed of a carriage return.
TEXTS = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff") | st.just("\n")
)
BLOCKS = st.lists(
    st.dictionaries(st.sampled_from(["MOBILEPHONE", "PARAM_1", "param_2", "PARAMS_0", "OTHER"]), TEXTS, max_size=4),
    max_size=4,
)
FIELDS = st.dictionaries(st.sampled_from(["MESSAGE", "TPOA", "DYNAMIC", "campaign_name", "DATE"]), TEXTS, max_size=5)


def _element(name: str, text: str, *, cdata: bool) -> str:
    inner = "<![CDATA[" + text.replace("]]>", "]]]]><![CDATA[>") + "]]>" if cdata else xmlflow.escape(text)
    return f"<{name}>{inner}</{name}>"


@given(FIELDS, BLOCKS, st.booleans(), st.sampled_from(["", "\ufeff", " \r\n"]))
def test_a_flow_says_the_same_in_both_forms(
    fields: dict[str, str], blocks: list[dict[str, str]], cdata: bool, before: str
) -> None:
    inner = "".join(_element(name, text, cdata=cdata) for name, text in fields.items())
    for block in blocks:
        inner += "<SMS>" + "".join(_element(name, text, cdata=cdata) for name, text in block.items()) + "</SMS>"
    in_json = allmysms_flow.read(before + json.dumps({"DATA": fields | {"SMS": blocks}}))
    assert allmysms_flow.read(f"{before}<DATA>{inner}</DATA>") == in_json
    assert in_json.fields.get("MESSAGE") == fields.get("MESSAGE"), "of which nothing is trimmed"
    assert [block.numbers for block in in_json.blocks] == [
        (text,) if (text := block.get("MOBILEPHONE", "").strip()) else () for block in blocks
    ]
