"""SMS Partner's status calls and cancelling: the keys and types of each page, and every code."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree

import pytest
from smspartner_desk import PROLOG, account, ask, code_of, get, never, post, read

from chappe.core.errors import Refusal
from chappe.core.http import Request, Response
from chappe.core.lifecycle import State
from chappe.core.model import (
    Cancel,
    Cancelled,
    MessagesFound,
    MessageStatus,
    ReadMessages,
    ReadTagged,
    Report,
    Selector,
)
from chappe.dialects.smspartner import dialect

ONE, TWO = "+33600000001", "+33600000002"


def status(
    recipient: str = ONE, submission_id: int = 1111, state: str = "delivered", at: int = 1534615206, **more: Any
) -> MessageStatus:
    return MessageStatus(
        submission_id=submission_id,
        message_id=submission_id << 16,
        recipient=recipient,
        state=state,
        at=datetime.fromtimestamp(at, UTC),
        accepted_at=datetime.fromtimestamp(at - 60, UTC),
        **{"cost_micros": 45_000, "parts": 1, **more},
    )


def found(*groups: Sequence[MessageStatus] | None, total: int = 0) -> Any:
    return lambda command: MessagesFound(tuple(None if g is None else tuple(g) for g in groups), total)


def unknown(command: Any) -> Any:
    raise Refusal("not_found")


class TestCancel:
    ASK = get("message-cancel", messageId="307")

    def test_the_command_has_the_five_minutes(self) -> None:
        command = read(self.ASK)
        assert isinstance(command, Cancel)
        assert (command.submission_id, command.lead_s) == (307, 300.0)

    @pytest.mark.parametrize(
        ("language", "body"),
        [
            ("fr", b'{"success":true,"code":200,"message":"L\'envoi du SMS a \\u00e9t\\u00e9 annul\\u00e9."}'),
            ("en", b'{"success":true,"code":200,"message":"The SMS sending has been canceled."}'),
        ],
    )
    def test_5_5_the_golden_example(self, language: str, body: bytes) -> None:
        response = ask(
            self.ASK, lambda command: Cancelled(307, "cancelled", 1, 38_000), account(message_language=language)
        )
        assert response == Response(200, "application/json", body)

    def test_in_xml(self) -> None:
        response = ask(get("message-cancel", messageId="307", _format="xml"), lambda c: Cancelled(307, "cancelled"))
        assert response.body.decode() == (
            f"{PROLOG}<result><entry>true</entry><entry>200</entry>"
            "<entry><![CDATA[L'envoi du SMS a été annulé.]]></entry></result>"
        )

    @pytest.mark.parametrize(
        ("result", "code", "message"),
        [
            ("already", 5, "L'envoi du SMS a déjà été annulé"),
            ("too_late", 6, "L'envoi du SMS ne peut être annulé moins de 5 minutes avant son départ"),
            ("sent", 7, "Le SMS a déjà été envoyé"),
        ],
    )
    @pytest.mark.parametrize("form", ["json", "xml"])
    def test_what_cannot_be_cancelled_says_why(self, result: str, code: int, message: str, form: str) -> None:
        request = get("message-cancel", messageId="307", _format=form)
        response = ask(request, lambda command: Cancelled(307, result))
        if form == "json":
            assert code_of(response) == code
            assert json.loads(response.body)["message"] == message
        else:
            entries = [entry.text for entry in ElementTree.fromstring(response.body)]
            assert entries == ["false", str(code), message]
        lenient = ask(request, lambda command: Cancelled(307, result), account(errors_as_http_200=True))
        assert (response.status, lenient.status) == (400, 200)

    def test_an_unknown_submission_is_code_4(self) -> None:
        response = ask(self.ASK, unknown)
        assert (response.status, json.loads(response.body)["code"]) == (400, 4)
        assert json.loads(response.body)["message"] == "Message introuvable"


class TestIds:
    PAGES = ("message-cancel", "message-status", "bulk-status")

    @pytest.mark.parametrize("page", PAGES)
    @pytest.mark.parametrize("written", ["abc", "0", "-1", "1.5", "9" * 30, str(1 << 47), "٣", "[]"])
    def test_what_no_message_has_as_its_id_is_code_4(self, page: str, written: str) -> None:
        assert code_of(ask(get(page, messageId=written, phoneNumber=ONE), never)) == 4

    @pytest.mark.parametrize("page", PAGES)
    @pytest.mark.parametrize("written", [None, "", " "])
    def test_a_missing_id_is_code_3(self, page: str, written: str | None) -> None:
        response = ask(post(page, {"messageId": written, "phoneNumber": ONE}), never)
        assert code_of(response) == 3
        assert json.loads(response.body)["message"] == "L'ID du message est requis"

    @pytest.mark.parametrize("written", [307, "307", 307.0, " 307 "])
    def test_an_id_may_be_a_number_or_text(self, written: Any) -> None:
        assert read(post("message-cancel", {"messageId": written})).submission_id == 307

    @pytest.mark.parametrize(
        "page",
        [
            *PAGES,
            "multi-status",
            "bulk-status-by-tag",
            "statistics/cost-resume",
            "stop-sms/list",
            "stop-sms/add",
            "lookup",
        ],
    )
    def test_the_key_comes_first(self, page: str) -> None:
        assert code_of(ask(Request("GET", f"/v1/{page}"), never)) == 1

    @pytest.mark.parametrize("page", PAGES)
    @pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
    def test_any_method_is_answered_with_a_trailing_slash_or_not(self, page: str, method: str) -> None:
        for path in (f"/v1/{page}", f"/v1/{page}/"):
            request = Request(method, path, b"apiKey=KEY&messageId=307&phoneNumber=0600000001")
            assert isinstance(read(request), Cancel | ReadMessages)


# The table of states of the contract's chapter 6.
WORDS = {
    "scheduled": "Waiting",
    "held": "Waiting",
    "queued": "Waiting",
    "submitting": "Waiting",
    "submitted": "Waiting",
    "uncertain": "Waiting",
    "delivered": "Delivered",
    "undelivered": "Not delivered",
    "expired": "Not delivered",
    "rejected": "Not delivered",
    "no_receipt": "Not delivered",
    "suppressed": "ko",
    "failed": "ko",
    "cancelled": "ko",
}


class TestOne:
    ASK = get("message-status", messageId="1111", phoneNumber="0600000001")

    def test_5_6_the_golden_example(self) -> None:
        assert ask(self.ASK, found([status()])) == Response(
            200,
            "application/json",
            b'{"success":true,"code":200,"number":"+33600000001","messageId":"1111","stopSms":false,'
            b'"date":"1534615206","statut":"Delivered","cost":0.045,"countryCode":"FR","currency":"EUR"}',
        )

    def test_in_xml_the_values_keep_their_order(self) -> None:
        request = get("message-status", messageId="1111", phoneNumber=ONE, _format="XML")
        entries = [entry.text for entry in ElementTree.fromstring(ask(request, found([status()])).body)]
        assert entries == ["true", "200", ONE, "1111", "false", "1534615206", "Delivered", "0.045", "FR", "EUR"]

    @pytest.mark.parametrize(
        "written", ["0600000001", "+33600000001", "0033600000001", "33600000001", "06 00 00 00 01"]
    )
    def test_a_number_is_read_in_every_form(self, written: str) -> None:
        command = read(get("message-status", messageId=1111, phoneNumber=written))
        assert command == ReadMessages(command.account, (Selector(1111, ONE),))

    def test_a_plus_that_came_as_a_blank_is_a_plus(self) -> None:
        request = Request("GET", "/v1/message-status", b"apiKey=KEY&messageId=1111&phoneNumber=+33600000001")
        assert read(request).selectors == (Selector(1111, ONE),)

    @pytest.mark.parametrize("state", [state.word for state in State])
    def test_every_state_has_its_word(self, state: str) -> None:
        assert json.loads(ask(self.ASK, found([status(state=state)])).body)["statut"] == WORDS[state]

    def test_whether_the_number_is_opted_out_is_a_boolean(self) -> None:
        assert json.loads(ask(self.ASK, found([status(opted_out=True)])).body)["stopSms"] is True

    def test_dates_are_text_where_the_account_wants_that(self) -> None:
        body = json.loads(ask(self.ASK, found([status()]), account(status_date_as_text=True)).body)
        assert body["date"] == "2018-08-18 20:00:06"

    @pytest.mark.parametrize(
        ("number", "country"), [("+262692123456", "RE"), ("+4915112345678", "DE"), ("+883510000000094", "")]
    )
    def test_the_country_is_the_number_s(self, number: str, country: str) -> None:
        body = json.loads(ask(self.ASK, found([status(number)])).body)
        assert (body["number"], body["countryCode"]) == (number, country)

    def test_what_was_sent_goes_before_what_was_skipped(self) -> None:
        group = [status(), status(state="failed", cost_micros=0)]
        assert json.loads(ask(self.ASK, found(group)).body)["statut"] == "Delivered"

    @pytest.mark.parametrize("group", [None, ()])
    def test_no_such_message_is_code_4(self, group: Any) -> None:
        response = ask(self.ASK, found(group))
        assert code_of(response) == 4
        assert json.loads(response.body)["message"] == "Ce message est introuvable"

    @pytest.mark.parametrize(("written", "code"), [(None, 2), ("", 2), ("abc", 9), ("12", 9)])
    def test_a_number_is_required_and_must_be_one(self, written: str | None, code: int) -> None:
        assert code_of(ask(post("message-status", {"messageId": 1111, "phoneNumber": written}), never)) == code


PAIR = [{"phoneNumber": ONE, "messageId": 111111}, {"phoneNumber": TWO, "messageId": 1000}]


class TestMany:
    def test_5_6_the_golden_example(self) -> None:
        action = found([status(submission_id=111111, at=1517934416)], None)
        assert ask(post("multi-status", {"SMSStatut_List": PAIR}), action) == Response(
            200,
            "application/json",
            b'{"success":true,"code":200,"StatutResponse_List":['
            b'{"success":true,"code":200,"phoneNumber":"+33600000001","messageId":111111,"status":"Delivered",'
            b'"date":"1517934416","stopSms":"0","isSpam":"0"},'
            rb'{"success":false,"code":4,"phoneNumber":"+33600000002","messageId":1000,'
            rb'"status":"Num\u00e9ro introuvable"}]}',
        )

    def test_in_xml_each_item_is_an_entry_of_entries(self) -> None:
        action = found([status(submission_id=111111, opted_out=True)], ())
        root = ElementTree.fromstring(
            ask(post("multi-status", {"SMSStatut_List": PAIR, "_format": "xml"}), action).body
        )
        assert [entry.text for entry in root[:2]] == ["true", "200"]
        assert [[entry.text for entry in item] for item in root[2]] == [
            ["true", "200", ONE, "111111", "Delivered", "1534615206", "1", "0"],
            ["false", "4", TWO, "1000", "Numéro introuvable"],
        ]

    @pytest.mark.parametrize("name", ["SMSStatut_List", "SMSStatus_List", "smsstatut_list"])
    @pytest.mark.parametrize("as_text", [False, True])
    def test_the_list_has_two_names_and_may_be_text(self, name: str, as_text: bool) -> None:
        value = json.dumps(PAIR) if as_text else PAIR
        assert read(post("multi-status", {name: value})).selectors == (Selector(111111, ONE), Selector(1000, TWO))

    def test_items_that_name_no_message_are_not_asked_for_and_not_found(self) -> None:
        listed = [
            {"phoneNumber": "abc", "messageId": 5},
            {"phoneNumber": ONE},
            {"messageId": 5},
            {"phoneNumber": "0600000001", "messageId": "7"},
            {"phoneNumber": ONE, "messageId": "x"},
            {},
        ]
        request = post("multi-status", {"SMSStatut_List": listed})
        assert read(request).selectors == (Selector(7, ONE),)
        answers = json.loads(ask(request, found([status(submission_id=7)])).body)["StatutResponse_List"]
        assert [(a["code"], a["phoneNumber"], a["messageId"]) for a in answers] == [
            (4, "abc", 5),
            (4, ONE, 0),
            (4, "", 5),
            (200, ONE, 7),
            (4, ONE, 0),
            (4, "", 0),
        ]

    @pytest.mark.parametrize(
        ("value", "code"),
        [(None, 5), ([], 5), ("", 5), ("[]", 5), ("x", 6), ([1], 6), ({"a": 1}, 6), (7, 6), ("[1]", 6)],
    )
    def test_a_list_that_is_none_is_refused(self, value: Any, code: int) -> None:
        assert code_of(ask(post("multi-status", {"SMSStatut_List": value}), never)) == code

    def test_five_hundred_items_are_the_most(self) -> None:
        item = {"phoneNumber": ONE, "messageId": 5}
        assert len(read(post("multi-status", {"SMSStatut_List": [item] * 500})).selectors) == 500
        response = ask(
            post("multi-status", {"SMSStatut_List": [item] * 501}), never, account(numbers_per_request_max=20)
        )
        assert code_of(response) == 50
        assert "500" in json.loads(response.body)["message"]


class TestSubmission:
    ASK = get("bulk-status", messageId="111")

    def test_5_6_the_golden_example(self) -> None:
        action = found([status(submission_id=111, at=1517989111, cost_micros=38_000)])
        assert ask(self.ASK, action) == Response(
            200,
            "application/json",
            b'{"success":true,"code":200,"message_id":"111","StatutResponse_List":['
            b'{"phoneNumber":"+33600000001","status":"Delivered","stopSMS":false,"date":"1517989111","cost":0.038}]}',
        )

    def test_xml_has_only_the_documented_entries(self) -> None:
        root = ElementTree.fromstring(
            ask(get("bulk-status", messageId="111", _format="xml"), found([status(TWO)])).body
        )
        assert [entry.text for entry in root[:3]] == ["true", "200", "111"]
        assert [[entry.text for entry in row] for row in root[3]] == [[TWO, "Delivered", "false", "1534615206"]]

    def test_all_messages_are_asked_for(self) -> None:
        assert read(self.ASK).selectors == (Selector(111),)

    def test_an_unknown_submission_is_code_4_and_an_empty_one_is_not(self) -> None:
        assert code_of(ask(self.ASK, found(None))) == 4
        assert json.loads(ask(self.ASK, found(())).body)["StatutResponse_List"] == []


class TestTagged:
    ASK = get("bulk-status-by-tag", tag="promo")

    def test_5_6_the_golden_example(self) -> None:
        action = found([status(at=1517989111, cost_micros=38_000)], total=1)
        assert ask(self.ASK, action) == Response(
            200,
            "application/json",
            b'{"success":true,"code":200,"currentPage":1,"total":1,"StatutResponse_List":['
            b'{"phoneNumber":"+33600000001","status":"Delivered","stopSMS":false,"date":"1517989111","cost":0.038}]}',
        )

    def test_in_xml(self) -> None:
        request = get("bulk-status-by-tag", tag="promo", page="2", _format="xml")
        root = ElementTree.fromstring(ask(request, found([status()], total=501)).body)
        assert [entry.text for entry in root[:4]] == ["true", "200", "2", "501"]
        assert [[entry.text for entry in row] for row in root[4]] == [[ONE, "Delivered", "false", "1534615206"]]

    @pytest.mark.parametrize(("written", "page"), [(None, 1), ("", 1), ("3", 3), (3, 3)])
    def test_pages_have_500_rows(self, written: Any, page: int) -> None:
        command = read(post("bulk-status-by-tag", {"tag": "c#12", "page": written}))
        assert command == ReadTagged(command.account, "c#12", page, 500)

    def test_a_page_behind_the_last_is_empty(self) -> None:
        body = json.loads(ask(get("bulk-status-by-tag", tag="promo", page=9), found((), total=2)).body)
        assert (body["currentPage"], body["total"], body["StatutResponse_List"]) == (9, 2, [])

    @pytest.mark.parametrize("groups", [(), ((),), (None,)])
    def test_an_unknown_tag_is_code_4(self, groups: Any) -> None:
        assert code_of(ask(self.ASK, found(*groups))) == 4

    @pytest.mark.parametrize(("tag", "code"), [(None, 3), (" ", 3), ("t" * 21, 4)])
    def test_a_tag_is_required_and_has_20_characters(self, tag: str | None, code: int) -> None:
        assert code_of(ask(post("bulk-status-by-tag", {"tag": tag}), never)) == code

    @pytest.mark.parametrize("page", ["0", "-1", "x", "1.5", "9" * 12])
    def test_a_page_that_is_none_is_code_6(self, page: str) -> None:
        assert code_of(ask(get("bulk-status-by-tag", tag="promo", page=page), never)) == 6


@pytest.mark.parametrize(
    ("own", "delivered", "cancelled"),
    [("capital", "Delivered", "ko"), ("lower", "delivered", "ko"), ("upper", "DELIVERED", "KO")],
)
def test_the_letters_of_states_are_the_account_s(own: str, delivered: str, cancelled: str) -> None:
    owner = account(status_words=own)
    rows = [status(), status(state="cancelled")]
    bulk = json.loads(ask(get("bulk-status", messageId="1111"), found(rows), owner).body)
    assert [row["status"] for row in bulk["StatutResponse_List"]] == [delivered, cancelled]
    tag = json.loads(ask(get("bulk-status-by-tag", tag="t"), found(rows, total=2), owner).body)
    assert [row["status"] for row in tag["StatutResponse_List"]] == [delivered, cancelled]
    one = json.loads(ask(get("message-status", messageId="1111", phoneNumber=ONE), found(rows), owner).body)
    assert one["statut"] == delivered
    wanted = [{"phoneNumber": ONE, "messageId": "1111"}]
    many = json.loads(ask(post("multi-status", {"SMSStatut_List": wanted}), found(rows), owner).body)
    assert many["StatutResponse_List"][0]["status"] == delivered


LONG_TAG = "missive_0b9c1b0e-2f53-11f0-9d6b-0242ac120002"


@pytest.mark.parametrize("page", ["send", "bulk-send", "vn/send"])
def test_a_tag_that_is_too_long_is_refused_or_cut_as_the_account_wants(page: str) -> None:
    numbers = {
        "send": {"phoneNumbers": ONE, "message": "x"},
        "bulk-send": {"SMSList": [{"phoneNumber": ONE, "message": "x"}]},
        "vn/send": {"to": ONE, "from": "33700000001", "message": "x"},
    }[page]
    wish = post(page, {**numbers, "tag": LONG_TAG})
    assert json.loads(ask(wish, never).body)["code"] == 9
    command = read(wish, account(tag_cut=True))
    assert (command.tag, command.client_reference) == (LONG_TAG[:20], LONG_TAG)
    short = read(post(page, {**numbers, "tag": "short"}), account(tag_cut=True))
    assert (short.tag, short.client_reference) == ("short", "")
    beyond = post(page, {**numbers, "tag": "x" * 256})
    assert json.loads(ask(beyond, never, account(tag_cut=True)).body)["code"] == 9


def test_a_tag_that_was_cut_is_found_by_the_whole_and_comes_back_whole() -> None:
    ask_for = get("bulk-status-by-tag", tag=LONG_TAG)
    assert code_of(ask(ask_for, never)) == 4
    assert read(ask_for, account(tag_cut=True)).tag == LONG_TAG[:20]
    report = Report("smspartner", 1, 65536, "", ONE, "delivered", datetime(2026, 3, 2, tzinfo=UTC), 45_000,
                    "https://a.example/", tag=LONG_TAG[:20], client_reference=LONG_TAG)  # fmt: skip
    assert json.loads(dialect.tell(report).body)["tag"] == LONG_TAG
