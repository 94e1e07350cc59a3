"""AllMySMS webhooks: receipts and replies carry the provider's names, in a query or a form added to the target."""

from datetime import UTC, datetime
from urllib.parse import parse_qs, parse_qsl, urlsplit

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe.core.lifecycle import State
from chappe.core.model import Reply, Report
from chappe.dialects.allmysms import dialect, webhooks

REPORT = Report(
    dialect="allmysms",
    submission_id=4587,
    message_id=4587 << 16,
    public_id="5f1c2a3e-0b1d-11f0-9c3a-0242ac120002",
    recipient="+33612345678",
    state="delivered",
    at=datetime(2030, 1, 31, 7, 30, 12, 999_999, tzinfo=UTC),
    cost_micros=45_000,
    target="https://client.example/hook?token=t",
)
QUERY = (
    "smsId=5f1c2a3e-0b1d-11f0-9c3a-0242ac120002&receptionDate=2030-01-31%2008%3A30%3A12&phoneNumber=33612345678"
    "&campaignId=4587&status=1&statusText=Delivered"
)


def test_a_receipt_is_a_get_with_the_fields_added_to_the_target_s_query() -> None:
    call = webhooks.receipt(REPORT)
    assert (call.method, call.url, call.content_type, call.body) == ("GET", f"{REPORT.target}&{QUERY}", "", b"")


@pytest.mark.parametrize(
    ("target", "url"),
    [
        ("https://a.example/hook", f"https://a.example/hook?{QUERY}"),
        ("https://a.example/hook?", f"https://a.example/hook?{QUERY}"),
        ("https://a.example/hook?a=1&", f"https://a.example/hook?a=1&{QUERY}"),
        ("https://a.example/hook?a=%41#part", f"https://a.example/hook?a=%41&{QUERY}#part"),
    ],
)
def test_the_target_is_kept_as_it_is(target: str, url: str) -> None:
    assert webhooks.receipt(msgspec.structs.replace(REPORT, target=target)).url == url


@pytest.mark.parametrize("method", ["POST", "post"])
def test_a_receipt_may_be_a_posted_form(method: str) -> None:
    call = webhooks.receipt(msgspec.structs.replace(REPORT, method=method))
    assert (call.method, call.url) == ("POST", REPORT.target)
    assert call.content_type == "application/x-www-form-urlencoded"
    assert call.body == QUERY.encode()


def test_the_reference_goes_with_the_receipt_when_there_is_one() -> None:
    url = webhooks.receipt(msgspec.structs.replace(REPORT, client_reference="réf & 1")).url
    assert url.endswith("&statusText=Delivered&cliMsgId=r%C3%A9f%20%26%201")
    assert parse_qs(urlsplit(url).query)["cliMsgId"] == ["réf & 1"]


@pytest.mark.parametrize(
    ("state", "reason", "status"),
    [
        ("delivered", "", ("1", "Delivered")),
        ("undelivered", "", ("2", "Not delivered")),
        ("expired", "absent_subscriber", ("2", "Not delivered")),
        ("no_receipt", "", ("2", "Not delivered")),
        ("submitted", "", ("3", "Waiting")),
        ("uncertain", "", ("3", "Waiting")),
        ("held", "hold.night", ("3", "Waiting")),
        ("failed", "", ("4", "Refused")),
        ("suppressed", "suppress.stop", ("4", "Refused")),
        ("cancelled", "", ("4", "Refused")),
        ("rejected", "", ("4", "Refused")),
        ("rejected", "unknown_subscriber", ("5", "Rejected")),
        ("rejected", "absent_subscriber", ("5", "Rejected")),
        ("rejected", "rinvdstadr", ("5", "Rejected")),
        # A bare code is the carrier's own: 006 is spam on one of them.
        ("rejected", "006", ("4", "Refused")),
        ("rejected", "001", ("4", "Refused")),
        ("rejected", "27", ("4", "Refused")),
        ("rejected", "000", ("4", "Refused")),
        ("rejected", "rinvsrcadr", ("4", "Refused")),
        ("undelivered", "001", ("2", "Not delivered")),
    ],
)
def test_states_have_the_provider_s_numbers(state: str, reason: str, status: tuple[str, str]) -> None:
    fields = dict(
        parse_qsl(urlsplit(webhooks.receipt(msgspec.structs.replace(REPORT, state=state, reason=reason)).url).query)
    )
    assert (fields["status"], fields["statusText"]) == status


def test_every_state_of_the_lifecycle_can_be_told() -> None:
    assert webhooks.DELIVERY.keys() == {state.word for state in State}


# --- replies ---------------------------------------------------------------------------------------------------------

REPLY = Reply(
    id=32154,
    number="+33612345678",
    to="36180",
    text="Oui, à 9h & merci",
    at=datetime(2030, 1, 31, 8, 2, tzinfo=UTC),
    submission_id=4587,
    message_id=4587 << 16,
    public_id="5f1c2a3e-0b1d-11f0-9c3a-0242ac120002",
    parts=("Oui, à 9h", " & merci"),
    dialect="allmysms",
    target="https://client.example/hook?token=t",
)
REPLY_QUERY = (
    "smsMoId=32154&smsId=5f1c2a3e-0b1d-11f0-9c3a-0242ac120002&receptionDate=2030-01-31%2009%3A02%3A00"
    "&phoneNumber=33612345678&campaignId=4587&message=Oui%2C%20%C3%A0%209h%20%26%20merci"
)


def test_a_reply_is_one_get_with_the_whole_text() -> None:
    (call,) = dialect.tell_reply(REPLY)
    assert (call.method, call.url, call.content_type, call.body) == ("GET", f"{REPLY.target}&{REPLY_QUERY}", "", b"")


def test_a_reply_may_be_a_posted_form() -> None:
    (call,) = dialect.tell_reply(msgspec.structs.replace(REPLY, method="POST"))
    assert (call.method, call.url, call.content_type) == ("POST", REPLY.target, "application/x-www-form-urlencoded")
    assert call.body == REPLY_QUERY.encode()


def test_the_reference_goes_with_the_reply_when_the_send_had_one() -> None:
    url = webhooks.reply(msgspec.structs.replace(REPLY, client_reference="réf & 1")).url
    assert url == f"{REPLY.target}&{REPLY_QUERY}&cliMsgId=r%C3%A9f%20%26%201"


def test_a_stop_is_a_reply_like_others() -> None:
    stop = msgspec.structs.replace(REPLY, kind="stop", text="STOP")
    assert webhooks.reply(stop).url.endswith("&campaignId=4587&message=STOP")


def test_what_a_reply_answers_is_empty_where_it_is_unknown() -> None:
    stray = msgspec.structs.replace(REPLY, submission_id=None, message_id=None, public_id="")
    fields = parse_qs(urlsplit(webhooks.reply(stray).url).query, keep_blank_values=True)
    assert (fields["smsId"], fields["campaignId"]) == ([""], [""])


@given(st.text(max_size=80))
def test_any_text_arrives(text: str) -> None:
    url = webhooks.reply(msgspec.structs.replace(REPLY, text=text)).url
    assert url.isascii()
    assert parse_qs(urlsplit(url).query, keep_blank_values=True)["message"] == [text]
