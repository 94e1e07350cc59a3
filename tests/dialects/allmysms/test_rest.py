"""The REST API of AllMySMS as its clients meet it: whole requests in, whole answers out."""

import base64
import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe.core.errors import Refusal
from chappe.core.http import Request, Response
from chappe.core.lifecycle import State
from chappe.core.model import (
    Accepted,
    Account,
    AccountSettings,
    AccountState,
    Balance,
    Command,
    MessagesFound,
    MessageStatus,
    Moment,
    OfSubAccount,
    ReadBalance,
    ReadMessages,
    Ready,
    Selector,
    Send,
    Simulate,
    Simulated,
    Skipped,
)
from chappe.dialects import Call
from chappe.dialects.allmysms import dialect
from chappe.dialects.allmysms.refusals import AllMySmsRefusal
from chappe.dialects.allmysms.rest_answers import ERRORS, NO_ID

NOW = Moment(datetime(2026, 3, 2, 9, 0, tzinfo=UTC), secret=b"secret")
ACCOUNT = Account(1, "yourlogin", balance_micros=1_065_000)
IDS = ("5f1c2a3e-0b1d-11f0-9c3a-0242ac120002", "5f1c2a3f-0b1d-11f0-9c3a-0242ac120002")
BASIC = "Basic eW91cmxvZ2luOnlvdXJhcGlrZXk="
ONE = {"from": "allmysms", "to": "+33612345678", "text": "Hello"}
STATUS = MessageStatus(
    submission_id=4587,
    message_id=4587 << 16,
    recipient="+33600000001",
    state="delivered",
    at=datetime(2030, 1, 31, 7, 30, 12, tzinfo=UTC),
    accepted_at=datetime(2030, 1, 31, 7, 30, tzinfo=UTC),
    cost_micros=45_000,
    parts=1,
)


class Exchange:
    """One request through the dialect as the listener and the actions drive it: the command and the answer."""

    def __init__(self, request: Request, account: Account = ACCOUNT, found: Any = None) -> None:
        self.command: Command | None = None
        call: Call | Response | None = None
        known: Account | None = None
        try:
            call = dialect.open(request)
            if isinstance(call, Response):
                self.response = call
                return
            if (call.credentials.login.casefold(), call.credentials.key) != (account.login.casefold(), "yourapikey"):
                raise Refusal("key_unknown")
            if account.state is not AccountState.ACTIVE:
                raise Refusal("account_disabled")
            known = account
            self.command = command = dialect.read(call, account, NOW)
            if isinstance(command, Send):
                if command.cost_micros > account.balance_micros:
                    code = "credit_short" if account.balance_micros > 0 else "credit_none"
                    raise AllMySmsRefusal(
                        code, needed_micros=command.cost_micros, balance_micros=account.balance_micros
                    )
                left_micros = account.balance_micros - command.cost_micros
                found = Accepted(4587, command, left_micros, IDS[: len(command.recipients)])
            elif isinstance(command, Simulate):
                found = Simulated(command.send, account.balance_micros)
            elif isinstance(command, Ready):
                found = command
            elif isinstance(command, ReadBalance):
                found = Balance(account, account.balance_micros, 0)
            self.response = dialect.write(found, call, account)
        except Refusal as refusal:
            assert not isinstance(call, Response)
            self.response = dialect.refuse(refusal, request, call, known)

    @property
    def status(self) -> int:
        return self.response.status

    @property
    def json(self) -> dict[str, Any]:
        assert self.response.content_type == "application/json"
        told: dict[str, Any] = json.loads(self.response.body.decode("ascii"))
        assert isinstance(told["code"], int)
        assert isinstance(told["description"], str)
        return told

    @property
    def answer(self) -> tuple[int, int]:
        return self.status, self.json["code"]

    @property
    def sent(self) -> Send:
        assert isinstance(self.command, Send), self.response.body
        return self.command


def _post(
    body: object, path: str = "/sms/send", authorization: str | None = BASIC, kind: str = "application/json"
) -> Request:
    headers = {"content-type": kind} | ({"authorization": authorization} if authorization is not None else {})
    return Request("POST", path, b"", headers, body if isinstance(body, bytes) else json.dumps(body).encode())


def _get(path: str, query: bytes = b"", authorization: str | None = BASIC) -> Request:
    return Request("GET", path, query, {"authorization": authorization} if authorization is not None else {})


def _bulk(**values: object) -> Request:
    return _post({"from": "allmysms", "to": ["+33611111111", "0622222222"], "text": "Hello"} | values, "/sms/send/bulk")


def _with(**settings: Any) -> Account:
    return msgspec.structs.replace(ACCOUNT, settings=AccountSettings(**settings))


# --- golden examples -------------------------------------------------------------------------------------------------


def test_the_contract_s_send_is_answered_byte_for_byte() -> None:
    exchange = Exchange(_post(b'{"from":"allmysms","to":"+33612345678","text":"Hello"}', "/sms/send/"))
    assert exchange.status == 201
    assert exchange.response.body == (
        b'{"code":100,"description":"Your messages have been sent","smsId":"5f1c2a3e-0b1d-11f0-9c3a-0242ac120002",'
        b'"invalidNumbers":"","nbContacts":1,"nbSms":1,"balance":1.02,"cost":0.045}'
    )
    assert (exchange.sent.text, exchange.sent.sender, exchange.sent.public_ids) == ("Hello", "allmysms", True)


def test_a_bulk_send_is_answered_with_an_id_for_each_number() -> None:
    exchange = Exchange(_bulk())
    assert exchange.status == 201
    assert exchange.response.body == (
        b'{"code":100,"description":"Your messages have been sent","invalidNumbers":"","campaignId":"4587","smsIds":['
        b'{"smsId":"5f1c2a3e-0b1d-11f0-9c3a-0242ac120002","phoneNumber":"33611111111"},'
        b'{"smsId":"5f1c2a3f-0b1d-11f0-9c3a-0242ac120002","phoneNumber":"33622222222"}],'
        b'"nbContacts":2,"nbSms":2,"cost":0.09,"balance":0.975}'
    )


def test_a_report_is_answered_with_numbers_and_codes() -> None:
    no_number = msgspec.structs.replace(STATUS, recipient="12", state="failed", reason="number_invalid")
    exchange = Exchange(_get("/report/campaign/4587"), found=MessagesFound(((STATUS, no_number),)))
    assert exchange.command == ReadMessages(ACCOUNT, (Selector(4587),))
    assert exchange.status == 200
    assert exchange.response.body == (
        b'{"code":100,"description":"Success","reports":[{"phoneNumber":"33600000001","code":1,'
        b'"description":"Delivered","receptionDate":"2030-01-31 08:30:12"}]}'
    )


def test_the_account_is_answered_with_what_it_can_still_send() -> None:
    account = _with(lastname="Doe", firstname="Jo", company="Dupont", email="jo@a.example")
    exchange = Exchange(_get("/account"), account)
    assert exchange.status == 200
    assert exchange.response.body == (
        b'{"code":100,"description":"Success","balance":1.065,"nbSms":23,"referenceCountryIso":"FR",'
        b'"apiKey":"yourapikey","lastName":"Doe","firstName":"Jo","company":"Dupont","email":"jo@a.example",'
        b'"alerting":0}'
    )


@pytest.mark.parametrize(
    ("balance_micros", "settings", "count"),
    [
        (0, {}, 0),
        (-5, {}, 0),
        (44_999, {}, 0),
        (45_000, {}, 1),
        (1, {"price_allmysms_micros": 0}, 2_147_483_647),
        (1 << 60, {"price_allmysms_micros": 1}, 2_147_483_647),
        (1_000_000, {"prices": {"33": None}}, 0),
    ],
)
def test_what_can_still_be_sent_fits_clients_integers(
    balance_micros: int, settings: dict[str, Any], count: int
) -> None:
    account = msgspec.structs.replace(_with(**settings), balance_micros=balance_micros)
    assert Exchange(_get("/account/"), account).json["nbSms"] == count


@pytest.mark.parametrize("request_", [_get("/ping/", authorization=None), _get("/PING"), _post(b"x", "/ping", None)])
def test_a_ping_needs_no_account(request_: Request) -> None:
    exchange = Exchange(request_)
    assert (exchange.status, exchange.response.body) == (200, b'{"code":100,"description":"pong"}')


# --- who asks --------------------------------------------------------------------------------------------------------


def _basic(text: str, charset: str = "utf-8") -> str:
    return "Basic " + base64.b64encode(text.encode(charset)).decode()


@pytest.mark.parametrize(
    "authorization",
    [BASIC, BASIC.replace("Basic", "basic"), BASIC.replace(" ", "   "), _basic("YOURLOGIN:yourapikey")],
)
def test_basic_authentication_lets_in(authorization: str) -> None:
    assert Exchange(_post(ONE, authorization=authorization)).status == 201
    assert Exchange(_get("/account", authorization=authorization)).status == 200


@pytest.mark.parametrize("authorization", [None, "", "Bearer yourapikey"])
def test_credentials_may_stand_in_the_body(authorization: str | None) -> None:
    body = {"LOGIN": "yourlogin", "apiKey": "yourapikey"} | ONE
    assert Exchange(_post(body, authorization=authorization)).status == 201
    assert Exchange(_post(body, "/account", authorization=authorization)).status == 200


def test_the_header_rules_over_the_body() -> None:
    exchange = Exchange(_post({"login": "yourlogin", "apiKey": "yourapikey"} | ONE, authorization=_basic("a:b")))
    assert exchange.answer == (401, 102)


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Basic",
        "Basic ",
        "Basic !!!",
        "Basic é",
        "Basic eW91cmxvZ2lu",
        _basic("yourlogin:"),
        _basic(":yourapikey"),
        _basic("yourlogin:wrong"),
        _basic("yourlogin:yourapikey:"),
        _basic("yourlogin:" + "x" * 300),
        _basic("yourlogin:\0"),
        _basic("é:ü", "latin-1"),
        "Digest x",
    ],
)
@pytest.mark.parametrize("path", ["/sms/send", "/sms/send/bulk", "/account", "/report/campaign/1"])
def test_without_the_right_credentials_it_is_401_with_a_challenge(authorization: str | None, path: str) -> None:
    exchange = Exchange(_post(ONE, path, authorization))
    assert exchange.answer == (401, 102)
    assert ("WWW-Authenticate", 'Basic realm="sms", charset="UTF-8"') in exchange.response.headers


def test_a_disabled_account_is_403() -> None:
    account = msgspec.structs.replace(ACCOUNT, state=AccountState.DISABLED)
    exchange = Exchange(_post(ONE), account)
    assert exchange.answer == (403, 102)
    assert not exchange.response.headers


# --- paths -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/sms/send", "/sms/send/", "//SMS//Send//", "/Sms/SEND"])
def test_every_writing_of_the_path_sends(path: str) -> None:
    assert Exchange(_post(ONE, path)).status == 201


@pytest.mark.parametrize(
    "path",
    [
        "/sms",
        "/sms/",
        "/sms/send/bulk/x",
        "/sms/sendx",
        "/report",
        "/report/campaign",
        "/report/campaign/",
        "/report/campaign/x",
        "/report/campaign/0",
        "/report/campaign/-1",
        "/report/campaign/" + "9" * 300,
        "/report/campaign/1/2",
        "/account/x",
        "/ping/x",
        "/voice/send",
    ],
)
def test_what_does_not_exist_is_404_with_both_keys(path: str) -> None:
    assert dialect.matches(path) is (path.startswith("/report/campaign/") and path.count("/") == 3 and path[-1] != "/")
    exchange = Exchange(_get(path))
    assert (exchange.status, exchange.json) == (404, {"code": 404, "description": "Not found"})


def test_voice_is_known_but_not_available() -> None:
    drop = {"to": ["33612345678"], "from": "0145678901", "type": "directdeposit", "url": "https://a.example/a.mp3"}
    exchange = Exchange(_post(drop, "/voice/send/bulk/"))
    assert (exchange.status, exchange.json) == (
        501,
        {"code": 501, "description": "Voice is not available on this server"},
    )
    assert Exchange(_post(drop, "/voice/send/bulk", "Basic eDp5")).answer == (401, 102)
    assert Exchange(_post(b"to=1", "/voice/send/bulk")).answer == (400, 1005)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/smsx",
        "/sms/json",
        "/sms/2/text/advanced",
        "/accounts",
        "/account/get-balance",
        "/voice/call",
        "/v1/sms/send",
        "/pingx",
        "/reports",
        "/handset",
        "sms/send",
    ],
)
def test_other_paths_are_not_ours(path: str) -> None:
    assert not dialect.matches(path)


@pytest.mark.parametrize("found", [MessagesFound((None,)), MessagesFound(())])
def test_an_unknown_campaign_is_404(found: MessagesFound) -> None:
    assert Exchange(_get("/report/campaign/4587/"), found=found).answer == (404, 404)


@pytest.mark.parametrize("state", State)
def test_every_state_is_reported_with_a_number(state: State) -> None:
    found = MessagesFound(((msgspec.structs.replace(STATUS, state=state.word),),))
    (report,) = Exchange(_get("/report/campaign/4587"), found=found).json["reports"]
    assert report["code"] in {1, 2, 3, 4}


@pytest.mark.parametrize(
    ("query", "status"), [(b"subAccount=", 200), (b"subaccount=YOURLOGIN", 200), (b"subAccount=a%00b", 404)]
)
def test_the_account_of_a_sub_account_is_not_answered_with_one_s_own(query: bytes, status: int) -> None:
    assert Exchange(_get("/account", query)).status == status


def test_the_account_of_a_sub_account_is_asked_for_and_told_without_the_caller_s_key() -> None:
    shop = Account(2, "shop", settings=AccountSettings(lastname="Roe"))
    exchange = Exchange(_get("/account", b"subAccount=shop"), found=Balance(shop, 90_000, 0))
    assert exchange.command == OfSubAccount(ACCOUNT, "shop", ReadBalance(ACCOUNT, waiting=False))
    assert (exchange.json["lastName"], exchange.json["nbSms"], exchange.json["apiKey"]) == ("Roe", 2, "")


# --- sends -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("to", ["+33612345678", "33612345678", "06 12 34 56 78", 33612345678, ["0612345678"]])
def test_every_writing_of_the_number_is_read(to: object) -> None:
    exchange = Exchange(_post(ONE | {"to": to}))
    assert [recipient.number for recipient in exchange.sent.recipients] == ["+33612345678"]


@pytest.mark.parametrize(
    "kind", ["", "application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x"]
)
def test_a_json_body_is_read_whatever_its_label(kind: str) -> None:
    assert Exchange(_post(ONE, kind=kind)).status == 201
    assert Exchange(_post(b"\xef\xbb\xbf \n" + json.dumps(ONE).encode(), kind=kind)).status == 201


def test_names_are_read_in_any_case_and_null_is_not_given() -> None:
    body = {
        "FROM": None,
        "To": "0612345678",
        "TEXT": "é€",
        "date": None,
        "campaignName": " C ",
        "cliMsgId": "réf",
        "verbose": 1,
    }
    exchange = Exchange(_post(body))
    assert (exchange.sent.text, exchange.sent.sender, exchange.sent.campaign) == ("é€", "", "C")
    assert exchange.sent.client_reference == exchange.json["cliMsgId"] == "réf"


@pytest.mark.parametrize("path", ["/sms/send", "/sms/send/bulk"])
@pytest.mark.parametrize(
    ("date", "code", "at"),
    [
        ("", 100, None),
        ("2014-01-01 12:00:00", 100, None),
        ("2030-01-31 08:30:00", 101, datetime(2030, 1, 31, 7, 30, tzinfo=UTC)),
    ],
)
def test_a_date_to_come_is_101(path: str, date: str, code: int, at: datetime | None) -> None:
    exchange = Exchange(_post(ONE | {"date": date}, path))
    assert exchange.answer == (201, code)
    assert exchange.sent.scheduled_at == at


def test_variables_are_each_recipient_s_own() -> None:
    to = [
        {"mobilePhone": "0611111111", "param1": "Ana", "param2": 9},
        {"MOBILEPHONE": "0622222222", "param_1": "Paul"},
        "0633333333",
    ]
    exchange = Exchange(_bulk(to=to[:2], text="Bonjour #param1#, #PARAM2#h"))
    assert [recipient.text for recipient in exchange.sent.recipients] == ["Bonjour Ana, 9h", "Bonjour Paul, h"]
    command = dialect.read(_called(_bulk(to=to, text="#param1#!")), ACCOUNT, NOW)
    assert isinstance(command, Send)
    assert [recipient.text for recipient in command.recipients] == ["Ana!", "Paul!", "!"]


def _called(request: Request) -> Call:
    call = dialect.open(request)
    assert isinstance(call, Call)
    return call


@pytest.mark.parametrize("request_", [_post(ONE | {"text": "#param1#"}), _bulk(text="#param1#")])
def test_a_marker_stays_where_no_recipient_has_parameters(request_: Request) -> None:
    assert Exchange(request_).sent.text == "#param1#"


def test_bad_numbers_of_a_bulk_send_are_told_and_the_others_sent() -> None:
    exchange = Exchange(_bulk(to=["0611111111", "12", "0140506070"]))
    assert exchange.answer == (201, 100)
    assert (exchange.json["invalidNumbers"], exchange.json["nbContacts"]) == ("12|0140506070", 1)


def test_a_bulk_send_may_be_to_one_number_alone() -> None:
    for to in ("0611111111", {"mobilePhone": "0611111111"}):
        assert Exchange(_bulk(to=to)).json["nbContacts"] == 1


@pytest.mark.parametrize("simulate", [1, "1", True, "true"])
def test_a_simulated_send_is_answered_like_one_but_is_none(simulate: object) -> None:
    exchange = Exchange(_post(ONE | {"simulate": simulate, "uniqueIdentifier": "once"}))
    assert isinstance(exchange.command, Simulate)
    assert exchange.status == 201
    assert exchange.json == {
        "code": 100,
        "description": "Simulation done, no message has been sent",
        "smsId": NO_ID,
        "invalidNumbers": "",
        "nbContacts": 1,
        "nbSms": 1,
        "balance": 1.065,
        "cost": 0.045,
        "simulate": 1,
    }


def test_a_simulated_bulk_send_has_no_campaign() -> None:
    told = Exchange(_bulk(simulate=1)).json
    assert (told["campaignId"], [i["smsId"] for i in told["smsIds"]], told["cost"]) == ("", [NO_ID, NO_ID], 0.09)


@pytest.mark.parametrize("simulate", [0, "0", False, None, ""])
def test_a_send_that_says_it_is_no_simulation_is_sent(simulate: object) -> None:
    assert Exchange(_post(ONE | {"simulate": simulate})).sent.cost_micros == 45_000


def test_the_caller_s_identifier_goes_with_the_send() -> None:
    assert Exchange(_post(ONE | {"uniqueIdentifier": " order 7 "})).sent.unique_identifier == "order 7"
    assert Exchange(_post(ONE)).sent.unique_identifier == ""


# --- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        (_post(b""), 400, 1005),
        (_post(b"from=allmysms&to=0612345678&text=Hello"), 400, 1005),
        (_post(b"from=allmysms&to=0612345678&text=Hello", authorization=None), 400, 1005),
        (_post(b'{"to":'), 400, 1005),
        (_post(b"[]"), 400, 1005),
        (_post(b'"x"'), 400, 1005),
        (_post(b"[" * 100_000), 400, 1005),
        (_get("/sms/send"), 400, 1005),
        (_post(ONE | {"campaignName": "x" * 256}), 400, 1005),
        (_post(ONE | {"uniqueIdentifier": "x" * 256}), 400, 1005),
        (_post({"to": "0612345678"}), 400, 110),
        (_post(ONE | {"text": " \n"}), 400, 110),
        (_post(ONE | {"text": ["x"]}), 400, 1005),
        (_post(ONE | {"date": ["2030-01-31 08:30:00"]}), 400, 1005),
        (_post(ONE | {"simulate": {"x": 1}}), 400, 1005),
        (_post(ONE | {"text": "x" * 641}), 400, 111),
        (_post({"text": "Hello"}), 400, 112),
        (_post(ONE | {"to": ""}), 400, 112),
        (_post(ONE | {"to": []}), 400, 112),
        (_post(ONE | {"to": {"mobilePhone": "0612345678"}}), 400, 112),
        (_post(ONE | {"to": ["0612345678", "0687654321"]}), 400, 112),
        (_bulk(to=None), 400, 112),
        (_bulk(to=[]), 400, 112),
        (_bulk(to=["0612345678", {"param1": "x"}]), 400, 112),
        (_bulk(to=["0612345678", ""]), 400, 112),
        (_bulk(to=["0612345678", None]), 400, 112),
        (_post(ONE | {"to": "12"}), 400, 114),
        (_post(ONE | {"to": "0612345678;0687654321"}), 400, 114),
        (_post(ONE | {"to": "0140506070"}), 400, 114),
        (_bulk(to=["12", "13"]), 400, 114),
        (_post(ONE | {"date": "31/01/2030"}), 400, 115),
        (_post(ONE | {"date": "2030-02-31 08:00:00"}), 400, 115),
    ],
)
def test_every_refusal_has_its_status_and_code(request_: Request, status: int, code: int) -> None:
    assert Exchange(request_).answer == (status, code)


@pytest.mark.parametrize(("balance_micros", "code"), [(0, 103), (44_999, 104)])
def test_missing_credit_is_told(balance_micros: int, code: int) -> None:
    exchange = Exchange(_post(ONE), msgspec.structs.replace(ACCOUNT, balance_micros=balance_micros))
    assert exchange.answer == (400, code)
    if code == 104:
        assert exchange.json["description"] == "Not enough credit: 0.045 EUR needed, 0.044999 EUR available"


@pytest.mark.parametrize("wanted", ["12345", "Nom de l’émetteur", "x" * 12, "Dr. Dupont"])
def test_one_rule_for_a_sender_that_is_none_in_both_apis(wanted: str) -> None:
    exchange = Exchange(_post(ONE | {"from": wanted}), _with(sender="36180"))
    assert (exchange.status, exchange.sent.sender, exchange.sent.warnings) == (201, "36180", ("sender_malformed",))
    assert Exchange(_post(ONE | {"from": wanted}), _with(sender_strict=True)).answer == (400, 116)


def test_a_valid_number_without_a_price_is_told_so() -> None:
    exchange = Exchange(_post(ONE | {"to": "+237673564186"}), _with(prices={"": None}))
    assert exchange.answer == (400, 114)
    assert (
        exchange.json["description"] == "The phone number is valid, but this account has no price for its destination"
    )


def test_a_sender_that_the_account_may_not_use_is_replaced_or_refused() -> None:
    assert Exchange(_post(ONE), _with(senders_allowed=("MYSHOP",), sender_strict=True)).answer == (400, 116)
    assert Exchange(_post(ONE), _with(senders_allowed=("MYSHOP",))).sent.warnings == ("sender_not_allowed",)
    assert Exchange(_post(ONE | {"from": "MYSHOP"}), _with(senders_allowed=("MYSHOP",))).status == 201


def test_a_sender_without_the_stop_it_needs_gives_way_as_in_9_0() -> None:
    exchange = Exchange(_post(ONE), _with(sender_needs_stop=True))
    assert (exchange.status, exchange.sent.sender, exchange.sent.warnings) == (201, "", ("sender_without_stop",))


def test_the_limit_of_characters_is_told() -> None:
    assert Exchange(_post(ONE | {"text": "x" * 641})).json["description"] == "The text is longer than 640 characters"


@pytest.mark.parametrize(
    ("reasons", "description"),
    [
        (("opted_out",), "No valid phone number: the recipient has opted out"),
        (("opted_out", "opted_out"), "No valid phone number: the recipient has opted out"),
        (("opted_out", "number_invalid"), "No valid phone number"),
        ((), "No valid phone number"),
    ],
)
def test_who_has_opted_out_is_told_from_what_is_no_number(reasons: tuple[str, ...], description: str) -> None:
    refusal = Refusal("recipients_unusable", skipped=tuple(Skipped("0612345678", reason) for reason in reasons))
    response = dialect.refuse(refusal, _post(ONE))
    assert (response.status, json.loads(response.body)) == (400, {"code": 114, "description": description})


def test_every_refusal_has_a_row_and_every_row_a_refusal() -> None:
    assert ERRORS.keys() == AllMySmsRefusal.CODES.keys()


@pytest.mark.parametrize("code", AllMySmsRefusal.CODES)
def test_any_refusal_has_exactly_both_keys_and_no_2xx(code: str) -> None:
    response = dialect.refuse(AllMySmsRefusal(code), _post(ONE), None, None)
    told = json.loads(response.body.decode("ascii"))
    assert list(told) == ["code", "description"]
    assert response.status >= 400
    assert told["description"]
    assert "{" not in told["description"]


@pytest.mark.parametrize(("code", "status", "number"), [("repeated", 400, 121), ("body_too_large", 413, 413)])
def test_what_only_the_store_and_the_listener_refuse_is_worded(code: str, status: int, number: int) -> None:
    response = dialect.refuse(AllMySmsRefusal(code), _post(ONE))
    assert (response.status, json.loads(response.body)["code"]) == (status, number)


# --- anything --------------------------------------------------------------------------------------------------------

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["0612345678", "1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["mobilePhone", "param1", "x"]), inner),
    max_leaves=6,
)
NAMES = st.sampled_from(
    ["to", "text", "from", "date", "simulate", "campaignName", "cliMsgId", "uniqueIdentifier", "login"]
)


@given(
    st.dictionaries(NAMES, VALUES).map(lambda values: json.dumps({"text": "x", "to": "0612345678"} | values).encode())
    | st.binary(max_size=60),
    st.sampled_from(["/sms/send", "/sms/send/bulk", "/account", "/report/campaign/7"]),
    st.sampled_from([BASIC, "", "Basic x"]),
)
def test_no_body_raises_anything_but_a_refusal_in_both_keys(body: bytes, path: str, authorization: str) -> None:
    request = _post(body, path, authorization)
    call: Call | None = None
    try:
        call = _called(request)
        command = dialect.read(call, ACCOUNT, NOW)
    except Refusal as refusal:
        told = json.loads(dialect.refuse(refusal, request, call, ACCOUNT).body.decode("ascii"))
        assert list(told) == ["code", "description"]
    else:
        send = command.send if isinstance(command, Simulate) else command
        if isinstance(send, Send):
            assert send.recipients
            for text in (send.text, send.campaign, send.client_reference, send.unique_identifier, send.sender):
                assert "\0" not in text
                text.encode()
