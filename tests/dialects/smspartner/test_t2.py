"""SMS Partner's pages beside sending: that nothing makes them stumble, in either form, and how values are written."""

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree

import pytest
from dialect_asks import outcomes_of_contacts, outcomes_of_sub_accounts
from hypothesis import given, settings
from hypothesis import strategies as st
from smspartner_desk import account, ask

from chappe.core.contacts import Contact, Group, SendToGroup
from chappe.core.errors import Refusal
from chappe.core.http import Request, Response
from chappe.core.lifecycle import State
from chappe.core.model import (
    Accepted,
    AddOptOut,
    Balance,
    Cancel,
    Cancelled,
    Costs,
    MessagesFound,
    MessageStatus,
    MonthCost,
    OptOut,
    OptOutAdded,
    OptOuts,
    ReadBalance,
    ReadCosts,
    ReadMessages,
    ReadOptOuts,
    ReadTagged,
    Ready,
    Removed,
    RemoveOptOut,
    Send,
)
from chappe.dialects import Call, Credentials
from chappe.dialects.smspartner import dialect
from chappe.dialects.smspartner.endpoints import PAGES as PAGES_WITH_CODES
from chappe.dialects.smspartner.refusals import SmsPartnerRefusal, Violation, Violations
from chappe.dialects.smspartner.render import CData, Named, Number, json_body, money, xml_body
from chappe.dialects.smspartner.request_parser import items

PAGES = sorted(dialect.PAGES)
EVERY_PAGE = pytest.mark.parametrize("page", PAGES)
AT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
INTEGER_MAX = (1 << 63) - 1  # of the database


def message(number: str, submission_id: int) -> MessageStatus:
    state = list(State)[submission_id % len(State)].word
    return MessageStatus(submission_id, submission_id << 16, number or "+33600000001", state, AT, AT, 38_000, 1)


def act(command: Any) -> Any:
    """An action that knows an answer to everything, and takes for granted what the real ones do."""
    match command:
        case Send():
            assert command.recipients
            return Accepted(1, command, 0)
        case ReadBalance():
            return Balance(command.account, 1, 0)
        case Ready():
            return command
        case ReadMessages():
            for selector in command.selectors:
                assert 0 < selector.submission_id << 16 <= INTEGER_MAX
                assert not selector.number or selector.number[1:].isdecimal()
            return MessagesFound(
                tuple(
                    None if s.submission_id % 3 == 0 else (message(s.number, s.submission_id),)
                    for s in command.selectors
                )
            )
        case ReadTagged():
            assert command.tag
            assert "\0" not in command.tag
            command.tag.encode()
            assert 0 < command.page * command.page_size <= INTEGER_MAX
            return MessagesFound(((message("", 5),),), 1)
        case Cancel():
            assert 0 < command.submission_id << 16 <= INTEGER_MAX
            return Cancelled(
                command.submission_id, ("cancelled", "already", "too_late", "sent")[command.submission_id % 4]
            )
        case ReadOptOuts():
            return OptOuts((OptOut(1, "+33600000001", AT),))
        case AddOptOut():
            assert command.number[0] == "+"
            assert command.number[1:].isdecimal()
            return OptOutAdded(1)
        case RemoveOptOut():
            assert 0 <= command.id <= INTEGER_MAX
            return Removed(command.id % 2 == 0)
        case ReadCosts():
            assert command.since < command.until
            assert command.since.tzinfo is UTC
            return Costs((MonthCost(command.since, 38_000, 1),))
        case SendToGroup():
            assert 0 < command.group.id <= INTEGER_MAX
            return act(command.complete(Group(command.group.id, "x", AT), (Contact(1, 1, "+33612345678", AT, {}),)))
    return (outcomes_of_sub_accounts(command) or outcomes_of_contacts(command))[-1]


def check(response: Response) -> None:
    if response.content_type == "application/json":
        body = json.loads(response.body.decode("ascii"))
        assert body["success"] is (response.status == 200)
    else:
        root = ElementTree.fromstring(response.body)
        assert root[0].text == ("true" if response.status == 200 else "false")


WORDS = st.sampled_from(
    ["0612345678", "+336123", "307", "0", "-1", "", " ", "é€😀", "\x00]]>", "1", "999999999999999999", "01-01-2026",
     "custom", "last_month", "last_twelve_months", "promo", "abc", "[", '[{"phoneNumber":"0612345678","messageId":5}]']
)  # fmt: skip
NAMES = st.sampled_from(
    ["SMSList", "phoneNumber", "phoneNumbers", "messageId", "SMSStatut_List", "SMSStatus_List", "tag", "page",
     "interval", "from", "to", "id", "message", "sender", "gamme", "_format", "PHONENUMBER", "name", "groupId",
     "contactId", "contact", "contactsList",
     "type", "parameters", "token", "credit", "tokenSubaccount"]
)  # fmt: skip
ITEMS = st.lists(
    st.dictionaries(st.sampled_from(["phoneNumber", "messageId", "message", "x"]), WORDS | st.integers() | st.none()),
    max_size=3,
)
VALUES = st.recursive(
    WORDS | ITEMS | st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=2),
    max_leaves=4,
)


@EVERY_PAGE
@settings(max_examples=50)
@given(
    values=st.dictionaries(NAMES, VALUES, max_size=5),
    query=st.dictionaries(NAMES, WORDS, max_size=3),
    octets=st.binary(max_size=40),
    form=st.sampled_from(["json", "xml"]),
)
def test_nothing_that_is_asked_makes_a_page_stumble(
    page: str, values: dict[str, Any], query: dict[str, str], octets: bytes, form: str
) -> None:
    known = urlencode({"apiKey": "KEY", "_format": form, **query}).encode()
    body = json.dumps({"apiKey": "KEY", **values}).encode()
    for request in (
        Request("POST", f"/v1/{page}", known, body=body),
        Request("GET", f"/v1/{page}", known + b"&" + octets),
        Request("POST", f"/v1/{page}", known, body=octets),
        Request("POST", f"/v1/{page}", known, body=b'{"messageId":' + octets),
    ):
        check(ask(request, act))


@EVERY_PAGE
@pytest.mark.parametrize("form", ["json", "xml"])
@pytest.mark.parametrize("code", SmsPartnerRefusal.CODES)
def test_every_page_has_an_answer_to_every_refusal(page: str, form: str, code: str) -> None:
    call = Call(Credentials("KEY"), page, form, {})
    for owner in (None, account(message_language="en")):
        response = dialect.refuse(SmsPartnerRefusal(code), Request("GET", f"/v1/{page}"), call, owner)
        check(response)
        assert response.content_type == f"application/{form}"
        assert b"{" not in response.body.removeprefix(b"{").replace(b":{", b"").replace(b"[{", b"").replace(b",{", b"")


@EVERY_PAGE
@pytest.mark.parametrize("form", ["json", "xml"])
@pytest.mark.parametrize("field", ["message", "recipients", "sender", "date", "minute", "time", "tag", "new"])
@pytest.mark.parametrize("rule", ["required", "invalid", "too_long", "past", "new"])
def test_any_violation_is_answered(page: str, form: str, field: str, rule: str) -> None:
    call = Call(Credentials("KEY"), page, form, {})
    items = (Violation(field, rule, 'é"<&>\0'), Violation("date", "past", "01/01/2000"))
    response = dialect.refuse(Violations(items), Request("GET", f"/v1/{page}"), call, account())
    check(response)
    assert response.content_type == f"application/{form}"


def test_page_codes_are_reachable_and_of_pages_that_exist() -> None:
    assert set(PAGES_WITH_CODES) <= set(dialect.PAGES)
    for page, answers in PAGES_WITH_CODES.items():
        for key, answer in answers.items():
            field, _, rule = key.partition(" ")
            refusal = Violations((Violation(field, rule, "VALUE"),)) if rule else None
            if refusal is None and key in SmsPartnerRefusal.CODES:
                refusal = SmsPartnerRefusal(key)
            if refusal is None:
                continue  # an outcome; its page's tests ask for it
            for language in ("fr", "en"):
                owner = account(message_language=language)
                call = Call(Credentials("KEY"), page, "json", {})
                body = json.loads(dialect.refuse(refusal, Request("GET", f"/v1/{page}"), call, owner).body)
                assert body == {
                    "success": False,
                    "code": answer.code,
                    "message": answer.text(language).replace("{value}", "VALUE"),
                }


@EVERY_PAGE
def test_a_code_of_the_general_table_is_the_same_on_every_page(page: str) -> None:
    call = Call(Credentials("KEY"), page, "json", {})
    for code, number in (
        ("key_unknown", 10),
        ("account_blocked", 30),
        ("too_many_requests", 429),
        ("queue_failed", 500),
    ):
        response = dialect.refuse(SmsPartnerRefusal(code), Request("GET", f"/v1/{page}"), call, account())
        assert json.loads(response.body)["code"] == number


def test_errors_as_200_is_for_page_codes_too() -> None:
    call = Call(Credentials("KEY"), "bulk-status", "json", {})
    request = Request("GET", "/v1/bulk-status")
    assert dialect.refuse(Refusal("not_found"), request, call, account()).status == 400
    assert dialect.refuse(Refusal("not_found"), request, call, account(errors_as_http_200=True)).status == 200


@pytest.mark.parametrize(
    "page",
    [
        *("group/none", "contact/none", "location/optin", "hlr/notify"),
        *("subaccount/none", "vn/callforward", "sondage/to/send", "cancel", "(unserved)", "x/y/z", ""),
    ],
)
def test_what_is_not_offered_is_denied_since_404_is_a_deletion_here(page: str) -> None:
    response = ask(Request("POST", f"/v1/{page}", b"apiKey=KEY"), act)
    assert (response.status, json.loads(response.body)["code"]) == (400, 40)
    assert json.loads(ask(Request("POST", f"/v1/{page}", b""), act).body)["code"] == 1


class TestWriting:
    @pytest.mark.parametrize(
        ("value", "written"),
        [
            (
                {"a": True, "b": None, "c": 1, "d": 'é"\\\n😀'},
                '{"a":true,"b":null,"c":1,"d":"\\u00e9\\"\\\\\\n\\ud83d\\ude00"}',
            ),
            ([money(38_000), money(2_000_000), money(1)], "[0.038,2,0.000001]"),
            ({"a": [], "b": {}, "c": ({"d": CData("e")},)}, '{"a":[],"b":{},"c":[{"d":"e"}]}'),
            ("\ud800", '"\\ud800"'),
        ],
    )
    def test_json_is_ascii_and_numbers_are_exact(self, value: object, written: str) -> None:
        assert json_body(value) == written.encode()

    @pytest.mark.parametrize(
        ("entries", "written"),
        [
            ([True, False, 5, Number("0.038"), None], "true|false|5|0.038|"),
            (["<é&>", CData("<é&>")], "&lt;é&amp;&gt;|<![CDATA[<é&>]]>"),
            ([CData("a]]>b"), CData("\x00")], "<![CDATA[a]]]]><![CDATA[>b]]>|<![CDATA[\ufffd]]>"),
            ([Named(username="<a>")], "<username>&lt;a&gt;</username>"),
            ([[1, [2]], {"name": 3}], "<entry>1</entry><entry><entry>2</entry></entry>|<entry>3</entry>"),
        ],
    )
    def test_xml_loses_names_and_nothing_breaks_out(self, entries: list[object], written: str) -> None:
        inner = "".join(f"<entry>{entry}</entry>" for entry in written.split("|"))
        assert xml_body(entries).decode().endswith(f"<result>{inner}</result>")

    @given(st.text(max_size=20))
    def test_any_text_comes_out_as_it_went_in(self, text: str) -> None:
        assert json.loads(json_body(text)) == text
        root = ElementTree.fromstring(xml_body([CData(text), text]))
        assert (root[0].text or "") == (root[1].text or "")


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ([{"PhoneNumber": "1", "messageId": None, "x": False, "y": ""}], [{"phonenumber": "1"}]),
        (' [{"a": 1}]', [{"a": 1}]),
        ([], []),
        ("", None),
        ("[1", None),
        ("[NaN]", None),
        ("[" * 100_000, None),
        ({"a": 1}, None),
        ([{"a": 1}, 2], None),
        (None, None),
    ],
)
def test_lists_of_objects_are_read_or_refused(value: object, found: object) -> None:
    assert items(value) == found
