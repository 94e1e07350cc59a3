"""AllMySMS 9.0's methods that ask: requests to commands, outcomes to replies, byte for byte where bytes are known."""

import json
import xml.etree.ElementTree as ET
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest

from chappe.core.errors import Refusal
from chappe.core.http import Request, Response
from chappe.core.lifecycle import State
from chappe.core.model import (
    Account,
    AccountSettings,
    Balance,
    Cancel,
    Cancelled,
    Command,
    MessagesFound,
    MessageStatus,
    Moment,
    OfSubAccount,
    OptOut,
    OptOuts,
    Outcome,
    ReadBalance,
    ReadMessage,
    ReadMessages,
    ReadOptOuts,
    ReadReplies,
    Ready,
    Replies,
    Reply,
    Selector,
    Send,
    Simulate,
    Simulated,
)
from chappe.core.publicid import public_id
from chappe.dialects import Call
from chappe.dialects.allmysms import dialect
from chappe.dialects.allmysms.methods import METHODS
from chappe.dialects.allmysms.refusals import AllMySmsRefusal

NOW = Moment(datetime(2030, 1, 31, 9, 0, tzinfo=UTC), secret=b"secret")
ACCOUNT = Account(
    1,
    "yourlogin",
    settings=AccountSettings(lastname="Doe", firstname="Jo", company="Dupont & Fils", email="jo@a.example"),
)
FIRST = 4587 << 16
SMS_ID = public_id(b"secret", FIRST)
STATUS = MessageStatus(
    submission_id=4587,
    message_id=FIRST,
    recipient="+33600000001",
    state="delivered",
    at=datetime(2030, 1, 31, 7, 30, 12, 999_999, tzinfo=UTC),
    accepted_at=datetime(2030, 1, 31, 7, 30, tzinfo=UTC),
    cost_micros=45_000,
    parts=1,
)
NO_NUMBER = msgspec.structs.replace(STATUS, recipient="12", state="failed", reason="number_invalid")
NOT_MOBILE = msgspec.structs.replace(NO_NUMBER, recipient="0145678901", reason="number_not_mobile")
ENDS = ("held", "submitted", "undelivered", "cancelled", "rejected")
REPLY = Reply(
    id=32154,
    number="+33600000001",
    to="36180",
    text="Oui",
    at=datetime(2030, 1, 31, 8, 2, tzinfo=UTC),
    submission_id=4587,
    message_id=FIRST,
)
ACK = (
    '{"phoneNumber":"33600000001","statut":"1","status":"1","comment":"Delivered",'
    '"receptionDate":"2030-01-31 08:30:12"%s}'
)


def _request(method: str, **fields: str) -> Request:
    return Request("GET", f"/http/9.0/{method}", urlencode({"login": "yourlogin", "apiKey": "KEY"} | fields).encode())


def _opened(request: Request) -> Call:
    call = dialect.open(request)
    assert isinstance(call, Call)
    return call


def _asked(method: str, account: Account = ACCOUNT, **fields: str) -> Command:
    return dialect.read(_opened(_request(method, **fields)), account, NOW)


def _told(method: str, outcome: Outcome, form: str = "json", account: Account = ACCOUNT) -> Response:
    response = dialect.write(outcome, _opened(_request(method, returnformat=form)), account)
    assert response.status == 200
    return response


def _refused(method: str, code: str = "", account: Account = ACCOUNT, **fields: str) -> Any:
    """The reply to what read() or write() refuses, or to the refusal of that code elsewhere."""
    request = _request(method, **fields)
    call = _opened(request)
    try:
        if code:
            raise AllMySmsRefusal(code)
        command = dialect.read(call, account, NOW)
    except Refusal as refusal:
        response = dialect.refuse(refusal, request, call, account)
    else:
        assert isinstance(command, Ready)
        response = dialect.write(command, call, account)
    assert response.status == 200
    return json.loads(response.body.decode("ascii"))


# --- what is asked ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "fields", "command"),
    [
        ("getAcks", {"campId": "4587"}, ReadMessages(ACCOUNT, (Selector(4587),))),
        ("getAcks", {"campaignId": "4587"}, ReadMessages(ACCOUNT, (Selector(4587),))),
        ("getAcks", {"CAMPID": " 04587 "}, ReadMessages(ACCOUNT, (Selector(4587),))),
        ("getAcks", {"campId": "", "campaignId": "4587"}, ReadMessages(ACCOUNT, (Selector(4587),))),
        ("getAcks", {"campId": "4587", "subAccount": "YourLogin"}, ReadMessages(ACCOUNT, (Selector(4587),))),
        ("getCampaignStats", {"campaignId": "4587", "type": "sms"}, ReadMessages(ACCOUNT, (Selector(4587),))),
        ("getAckBySmsId", {"smsId": SMS_ID}, ReadMessage(ACCOUNT, FIRST)),
        ("getAckBySmsId", {"smsid": SMS_ID.upper()}, ReadMessage(ACCOUNT, FIRST)),
        ("getPulls", {}, ReadReplies(ACCOUNT, new=True, limit=1000)),
        ("getPulls", {"limit": "20"}, ReadReplies(ACCOUNT, new=True, limit=20)),
        ("getPulls", {"limit": ""}, ReadReplies(ACCOUNT, new=True, limit=1000)),
        ("getPulls", {"limit": "0"}, ReadReplies(ACCOUNT, new=True, limit=1000)),
        ("getPulls", {"limit": "-5"}, ReadReplies(ACCOUNT, new=True, limit=1000)),
        ("getPulls", {"limit": "99999999"}, ReadReplies(ACCOUNT, new=True, limit=10_000)),
        ("getPull", {"campId": "4587"}, ReadReplies(ACCOUNT, submission_id=4587, limit=10_000)),
        ("getPullBySmsId", {"smsId": SMS_ID}, ReadReplies(ACCOUNT, message_id=FIRST, limit=10_000)),
        ("getBlacklist", {}, ReadOptOuts(ACCOUNT)),
        ("getInfo", {}, ReadBalance(ACCOUNT, waiting=False)),
        ("getInfo", {"subAccount": ""}, ReadBalance(ACCOUNT, waiting=False)),
        ("getInfo", {"subAccount": "other"}, OfSubAccount(ACCOUNT, "other", ReadBalance(ACCOUNT, waiting=False))),
        (
            "getAcks",
            {"campId": "4587", "subaccount": " Other "},
            OfSubAccount(ACCOUNT, "Other", ReadMessages(ACCOUNT, (Selector(4587),))),
        ),
        ("getPrices", {"subAccount": "other"}, OfSubAccount(ACCOUNT, "other", Ready(ACCOUNT))),
        ("deleteCampaign", {"campId": "4587"}, Cancel(ACCOUNT, 4587, lead_s=0)),
        ("getCreditsByCountryIsoCode", {"countryIsoCode": "fr"}, Ready(ACCOUNT)),
    ],
)
def test_every_method_asks_for_what_it_says(method: str, fields: dict[str, str], command: Command) -> None:
    assert _asked(method, **fields) == command


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("path", ["/http/9.0/{}", "/http/[version]/{}/", "/http/{}", "//http//9.1//{}//"])
def test_every_method_is_found_in_any_case_by_get_and_post(method: str, path: str) -> None:
    body = urlencode({"clientcode": "yourlogin", "passcode": "KEY", "campId": "1", "smsId": SMS_ID}).encode()
    for name in (method, method.upper(), method.lower()):
        for request in (
            Request("POST", path.format(name), b"", {}, body),
            Request("GET", path.format(name), body),
        ):
            call = _opened(request)
            assert (call.verb, call.credentials.login, call.credentials.key) == (method, "yourlogin", "KEY")


@pytest.mark.parametrize(("path", "verb"), [("/http/getInfo_v8.php", "getInfo"), ("/http/getPull_v8.php", "getPull")])
def test_the_older_names_are_the_same_methods(path: str, verb: str) -> None:
    assert _opened(Request("GET", path, b"clientcode=yourlogin&passcode=KEY&campId=4587")).verb == verb


@pytest.mark.parametrize(
    ("method", "fields", "text"),
    [
        ("getAcks", {}, "Cette campagne n’existe pas"),
        ("getAcks", {"campId": "x"}, "Cette campagne n’existe pas"),
        ("getAcks", {"campId": "-1"}, "Cette campagne n’existe pas"),
        ("getAcks", {"campId": "0"}, "Cette campagne n’existe pas"),
        ("getAcks", {"campId": "٣"}, "Cette campagne n’existe pas"),
        ("getAcks", {"campId": str(1 << 44)}, "Cette campagne n’existe pas"),
        ("getAcks", {"campId": "9" * 400}, "Cette campagne n’existe pas"),
        ("getCampaignStats", {"campaignId": "x", "type": "sms"}, "Cette campagne n’existe pas"),
        ("sendMms", {"mmsData": "{}"}, "Ce service n’est pas disponible sur ce serveur"),
        ("sendEmail", {}, "Ce service n’est pas disponible sur ce serveur"),
        ("shortenUrl", {"url": "https://a.example/"}, "Ce service n’est pas disponible sur ce serveur"),
        ("getAcks", {"campId": "4587", "subAccount": "a\x00b"}, "Ce sous-compte n’existe pas"),
        ("getPulls", {"subaccount": "x" * 201}, "Ce sous-compte n’existe pas"),
        ("deleteCampaign", {"campId": "4587", "subAccount": "other"}, "Ce sous-compte n’existe pas"),  # it only reads
        ("getAckBySmsId", {}, "Ce SMS n’existe pas"),
        ("getAckBySmsId", {"smsId": "5f1c2a3e-0b1d-11f0-9c3a-0242ac120002"}, "Ce SMS n’existe pas"),
        ("getAckBySmsId", {"smsId": public_id(b"other", FIRST)}, "Ce SMS n’existe pas"),
        ("getPull", {"campId": ""}, "Cette campagne n’existe pas"),
        ("getPullBySmsId", {"smsId": "1"}, "Aucune réponse à ce SMS"),
        ("deleteCampaign", {"campId": "x"}, "Cette campagne n’existe pas"),
        ("getCreditsByCountryIsoCode", {}, "Ce pays n’existe pas ou n’est pas desservi"),
        ("getCreditsByCountryIsoCode", {"countryIsoCode": "XX"}, "Ce pays n’existe pas ou n’est pas desservi"),
        ("getCreditsByCountryIsoCode", {"countryIsoCode": "AQ"}, "Ce pays n’existe pas ou n’est pas desservi"),
        ("getPrices", {"countryIsoCode": "FRA"}, "Ce pays n’existe pas ou n’est pas desservi"),
    ],
)
def test_what_does_not_exist_is_the_string_0_with_its_text(method: str, fields: dict[str, str], text: str) -> None:
    assert _refused(method, **fields) == {"status": "0", "statusText": text}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("code", ["key_unknown", "account_disabled", "address_refused"])
def test_bad_credentials_are_the_number_102_on_every_method(method: str, code: str) -> None:
    fields = {"campId": "1", "smsId": SMS_ID, "countryIsoCode": "FR"}
    assert _refused(method, code, **fields)["status"] == 102


def test_account_data_of_a_sub_account_that_is_none_is_102() -> None:
    assert _refused("getInfo", subAccount="a\x00b")["status"] == 102
    request = _request("getInfo", subAccount="other")
    response = dialect.refuse(Refusal("not_found", text="account_unknown"), request, _opened(request), ACCOUNT)
    assert json.loads(response.body)["status"] == 102


def test_what_is_told_of_a_sub_account_is_its_own_and_its_key_is_nobody_else_s() -> None:
    shop = Account(2, "shop", settings=AccountSettings(lastname="Roe", price_allmysms_micros=60_000))
    call = _opened(_request("getInfo", subAccount="shop"))
    told = json.loads(dialect.write(Balance(shop, 60_000, 0), call, ACCOUNT).body)
    assert (told["lastName"], told["credits"], told["apiKey"]) == ("Roe", "20", "")
    call = _opened(_request("getCreditsByCountryIsoCode", countryIsoCode="FR", subAccount="shop"))
    assert json.loads(dialect.write(Ready(shop), call, ACCOUNT).body) == {"isoCode": "FR", "nbCredits": "20"}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("code", "http"), [("too_many_requests", 429), ("queue_failed", 500)])
def test_our_own_troubles_keep_their_http_status(method: str, code: str, http: int) -> None:
    request = _request(method)
    response = dialect.refuse(AllMySmsRefusal(code, retry_after_s=7), request, _opened(request), ACCOUNT)
    assert (response.status, json.loads(response.body)["status"]) == (http, http)
    assert response.headers == (("Retry-After", "7"),)


# --- what is answered ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "outcome", "body"),
    [
        ("getAcks", MessagesFound(((STATUS,),)), f'{{"acks":[{ACK % ""}],"cliMsgId":""}}'),
        (
            "getAcks",
            MessagesFound(((msgspec.structs.replace(STATUS, client_reference="réf"),),)),
            f'{{"acks":[{ACK % ""}],"cliMsgId":"r\\u00e9f"}}',
        ),
        ("getAcks", MessagesFound(((),)), '{"acks":[],"cliMsgId":""}'),
        # What is no number was told with the answer to the send: it has no smsId and cannot be acknowledged.
        ("getAcks", MessagesFound(((STATUS, NO_NUMBER, NOT_MOBILE),)), f'{{"acks":[{ACK % ""}],"cliMsgId":""}}'),
        ("getAckBySmsId", MessagesFound(((STATUS,),)), ACK % ',"cliMsgId":""'),
        (
            "getCampaignStats",
            MessagesFound(
                ((STATUS, STATUS, NO_NUMBER, *(msgspec.structs.replace(STATUS, state=word) for word in ENDS)),)
            ),
            '{"campaign":{"sent":7,"delivered":2,"pending":2,"errors":3,"clicks":0}}',
        ),
        (
            "getPulls",
            Replies((REPLY,)),
            '{"mos":[{"phoneNumber":"33600000001","id":"32154","campaignId":"4587","message":"Oui",'
            '"receptionDate":"2030-01-31 09:02:00"}]}',
        ),
        ("getPulls", Replies(()), '{"mos":[]}'),
        (
            "getPull",
            Replies((msgspec.structs.replace(REPLY, submission_id=None, text='"é😀"\n'),), "ref"),
            '{"mos":[{"phoneNumber":"33600000001","id":"32154","campaignId":"",'
            '"message":"\\"\\u00e9\\ud83d\\ude00\\"\\n","receptionDate":"2030-01-31 09:02:00"}],"cliMsgId":"ref"}',
        ),
        (
            "getPullBySmsId",
            Replies((msgspec.structs.replace(REPLY, id=1, text="Non"), REPLY)),
            '{"phoneNumber":"33600000001","campaignId":"4587","message":"Oui","receptionDate":"2030-01-31 09:02:00"}',
        ),
        (
            "getBlacklist",
            OptOuts(
                (
                    OptOut(1, "+33600000001", REPLY.at),
                    OptOut(2, "+33600000002", REPLY.at, "refused"),
                    OptOut(3, "+33600000003", datetime(2030, 7, 1, 22, 0, tzinfo=UTC), "manual"),
                )
            ),
            '{"blacklist":[{"phoneNumber":"33600000001","comment":"stop","receptionDate":"2030-01-31 09:02:00"},'
            '{"phoneNumber":"33600000002","comment":"refused","receptionDate":"2030-01-31 09:02:00"},'
            '{"phoneNumber":"33600000003","comment":"manual unsubscribe","receptionDate":"2030-07-02 00:00:00"}]}',
        ),
        (
            "getInfo",
            Balance(ACCOUNT, 1_020_000, 0),
            '{"status":"Active Account","credits":"340","apiKey":"KEY","lastName":"Doe","firstName":"Jo",'
            '"society":"Dupont & Fils","email":"jo@a.example","balance":1.02}',
        ),
        ("deleteCampaign", Cancelled(4587, "cancelled", 2, 90_000), '{"status":"OK"}'),
        ("deleteCampaign", Cancelled(4587, "already"), '{"status":"OK"}'),
    ],
)
def test_answers_are_the_contract_s(method: str, outcome: Outcome, body: str) -> None:
    response = _told(method, outcome)
    assert (response.content_type, response.body) == ("text/html; charset=utf-8", body.encode())


@pytest.mark.parametrize(
    ("method", "outcome", "inner"),
    [
        (
            "getAcks",
            MessagesFound(((STATUS,),)),
            "<acks><item><phoneNumber>33600000001</phoneNumber><statut>1</statut><status>1</status>"
            "<comment>Delivered</comment><receptionDate>2030-01-31 08:30:12</receptionDate></item></acks>"
            "<cliMsgId></cliMsgId>",
        ),
        (
            "getPullBySmsId",
            Replies((msgspec.structs.replace(REPLY, text="<é> & \x00"),)),
            "<phoneNumber>33600000001</phoneNumber><campaignId>4587</campaignId><message>&lt;é&gt; &amp; \ufffd"
            "</message><receptionDate>2030-01-31 09:02:00</receptionDate>",
        ),
        ("getPulls", Replies(()), "<mos></mos>"),
        (
            "getCampaignStats",
            MessagesFound(((STATUS,),)),
            "<campaign><sent>1</sent><delivered>1</delivered><pending>0</pending><errors>0</errors><clicks>0</clicks></campaign>",
        ),
        ("deleteCampaign", Cancelled(4587, "cancelled"), "<status>OK</status>"),
    ],
)
def test_xml_has_the_same_names_in_the_same_order(method: str, outcome: Outcome, inner: str) -> None:
    response = _told(method, outcome, "xml")
    assert response.content_type == "text/xml; charset=utf-8"
    assert response.body.decode() == f'<?xml version="1.0" encoding="UTF-8"?>\n<response>{inner}</response>'


@pytest.mark.parametrize(
    ("method", "outcome", "french", "english"),
    [
        ("getAcks", MessagesFound((None,)), "Cette campagne n’existe pas", "This campaign does not exist"),
        ("getAcks", MessagesFound(()), "Cette campagne n’existe pas", "This campaign does not exist"),
        ("getAckBySmsId", MessagesFound((None,)), "Ce SMS n’existe pas", "This SMS does not exist"),
        ("getAckBySmsId", MessagesFound(((),)), "Ce SMS n’existe pas", "This SMS does not exist"),
        ("getPullBySmsId", Replies(()), "Aucune réponse à ce SMS", "No reply to this SMS"),
        (
            "deleteCampaign",
            Cancelled(1, "sent"),
            "Cette campagne ne peut plus être supprimée : ses messages sont partis",
            "This campaign can no longer be deleted: its messages have left",
        ),
        (
            "deleteCampaign",
            Cancelled(1, "too_late"),
            "Cette campagne ne peut plus être supprimée : ses messages sont partis",
            "This campaign can no longer be deleted: its messages have left",
        ),
    ],
)
def test_an_outcome_of_nothing_is_worded_in_the_account_s_language(
    method: str, outcome: Outcome, french: str, english: str
) -> None:
    in_english = msgspec.structs.replace(ACCOUNT, settings=AccountSettings(message_language="en"))
    for account, text in ((ACCOUNT, french), (in_english, english)):
        told = _told(method, outcome, account=account)
        assert json.loads(told.body) == {"status": "0", "statusText": text}
    root = ET.fromstring(_told(method, outcome, "xml").body)
    assert [(child.tag, child.text) for child in root] == [("status", "0"), ("statusText", french)]


@pytest.mark.parametrize("state", State)
def test_a_message_of_any_state_is_acknowledged(state: State) -> None:
    status = msgspec.structs.replace(STATUS, state=state.word)
    fields = json.loads(_told("getAckBySmsId", MessagesFound(((status,),))).body)
    assert fields["statut"] == fields["status"] in {"1", "2", "3", "4"}


# --- simulating ------------------------------------------------------------------------------------------------------

FLOW = (
    "<DATA><MESSAGE><![CDATA[Bonjour]]></MESSAGE>{}<SMS><MOBILEPHONE>0612345678</MOBILEPHONE></SMS>"
    "<SMS><MOBILEPHONE>{}</MOBILEPHONE></SMS></DATA>"
)


def _simulated(second: str, date: str = "", form: str = "json") -> Response:
    request = _request("simulateCampaign", smsData=FLOW.format(date, second), returnformat=form)
    call = _opened(request)
    command = dialect.read(call, ACCOUNT, NOW)
    assert isinstance(command, Simulate)
    return dialect.write(Simulated(command.send, 0), call, ACCOUNT)


def test_a_simulation_tells_what_it_would_cost_in_numbers() -> None:
    assert _simulated("0687654321").body == (
        b'{"status":100,'
        b'"statusText":"Simulation effectu\\u00e9e, aucun message n\\u2019a \\u00e9t\\u00e9 envoy\\u00e9",'
        b'"invalidNumbers":"","nbCredits":30,"nbContacts":2,"nbSms":2}'
    )


@pytest.mark.parametrize(
    ("second", "date", "status", "credits"),
    [("12", "", 113, 15), ("0687654321", "<DATE>2030-02-01 08:30:00</DATE>", 101, 30), ("0687654321", "", 100, 30)],
)
def test_a_simulation_has_the_status_of_the_send(second: str, date: str, status: int, credits: int) -> None:
    told = json.loads(_simulated(second, date).body)
    assert (told["status"], told["nbCredits"]) == (status, credits)
    assert told["invalidNumbers"] == (second if status == 113 else "")


def test_a_simulation_of_an_xml_flow_is_answered_in_xml() -> None:
    root = ET.fromstring(_simulated("12", form="").body)
    names = ["status", "statusText", "invalidNumbers", "nbCredits", "nbContacts", "nbSms"]
    assert [child.tag for child in root] == names


@pytest.mark.parametrize(
    ("flow", "status"),
    [
        ("", 105),
        ("<DATA>", 106),
        (FLOW.format("", "").replace("0612345678", "12").replace("<SMS><MOBILEPHONE></MOBILEPHONE></SMS>", ""), 114),
    ],
)
def test_a_simulation_is_refused_like_the_send_with_a_number(flow: str, status: int) -> None:
    assert _refused("simulateCampaign", smsData=flow, returnformat="json")["status"] == status


def test_no_way_of_asking_for_a_simulation_sends() -> None:
    for path in ("/http/9.0/simulateCampaign", "/http/9.0/SIMULATECAMPAIGN/", "/http/simulateCampaign"):
        query = urlencode({"login": "yourlogin", "apiKey": "KEY", "smsData": FLOW.format("", "0687654321")}).encode()
        assert not isinstance(dialect.read(_opened(Request("GET", path, query)), ACCOUNT, NOW), Send)
