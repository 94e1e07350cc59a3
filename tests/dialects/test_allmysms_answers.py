"""AllMySMS answers: every refusal has its row, replies survive any text, receipts carry the provider's names."""

import json
import xml.etree.ElementTree as ET
from datetime import UTC, datetime
from urllib.parse import parse_qs, parse_qsl, urlsplit

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe.core.errors import REFUSALS, Refusal, Violation, Violations
from chappe.core.lifecycle import State
from chappe.core.model import Accepted, Account, AccountSettings, Recipient, Report, Send, Skipped
from chappe.dialects import allmysms_answers as answers
from chappe.dialects import allmysms_texts as texts
from chappe.dialects import allmysms_webhooks as webhooks

ACCOUNT = Account(1, "login")
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


def _accepted(
    written: str = "", reference: str = "", balance_micros: int = 1_020_000, price_micros: int = 45_000
) -> Accepted:
    command = Send(
        ACCOUNT,
        "allmysms",
        "x",
        (Recipient("+33612345678", 1, price_micros),),
        (Skipped(written, "number_invalid"),) if written else (),
        client_reference=reference,
    )
    return Accepted(4587, command, balance_micros, ("id",))


def test_every_refusal_has_a_row_and_every_row_a_refusal() -> None:
    assert texts.REFUSED.keys() == REFUSALS.keys()


def test_every_text_exists_in_both_languages_with_the_same_places() -> None:
    french, english = texts.TEXTS["fr"], texts.TEXTS["en"]
    assert french.keys() == english.keys()
    for key in french:
        assert [p in french[key] for p in ("{tag}", "{limit}", "{needed}", "{left}")] == [
            p in english[key] for p in ("{tag}", "{limit}", "{needed}", "{left}")
        ]


@pytest.mark.parametrize("form", ["json", "xml"])
@pytest.mark.parametrize("language", ["fr", "en", "??"])
@pytest.mark.parametrize("code", REFUSALS)
def test_any_refusal_is_answered_without_its_values(code: str, language: str, form: str) -> None:
    response = answers.refused(Refusal(code), form, AccountSettings(message_language=language))
    if form == "json":
        told = json.loads(response.body.decode("ascii"))
    else:
        told = {child.tag: child.text for child in ET.fromstring(response.body)}
    assert list(told) == ["status", "statusText"]
    assert int(told["status"]) == texts.REFUSED[code].number
    assert told["statusText"]
    assert "{" not in told["statusText"]


@pytest.mark.parametrize(
    ("items", "status"),
    [
        ((), 106),
        ((Violation("message", "required"),), 110),
        ((Violation("message", "too_long"), Violation("date", "invalid")), 111),
        ((Violation("recipients", "required"),), 112),
        ((Violation("sender", "invalid"),), 116),
        ((Violation("date", "past"),), 115),
        ((Violation("time", "invalid"),), 115),
        ((Violation("minute", "invalid"),), 115),
        ((Violation("tag", "too_long"),), 106),
    ],
)
def test_of_several_violations_the_first_is_told(items: tuple[Violation, ...], status: int) -> None:
    assert json.loads(answers.refused(Violations(items), "json", AccountSettings()).body)["status"] == status


@pytest.mark.parametrize(
    ("needed_micros", "balance_micros", "text"),
    [
        (90_000, 60_000, "A utiliser: 30 Crédits, Disponibles: 20 Crédits"),
        (45_001, 45_000, "A utiliser: 16 Crédits, Disponibles: 15 Crédits"),  # never "needed 15, available 15"
        (45_000, 44_999, "A utiliser: 15 Crédits, Disponibles: 14 Crédits"),
        (45_000, -5, "A utiliser: 15 Crédits, Disponibles: 0 Crédits"),
    ],
)
def test_missing_credits_are_rounded_so_that_they_are_missing(
    needed_micros: int, balance_micros: int, text: str
) -> None:
    refusal = Refusal("credit_short", needed_micros=needed_micros, balance_micros=balance_micros)
    assert text in json.loads(answers.refused(refusal, "json", AccountSettings()).body)["statusText"]


@pytest.mark.parametrize(
    ("balance_micros", "credits", "balance"),
    [
        (1_065_000, "355", "1.065"),
        (0, "0", "0"),
        (2_999, "0", "0.002999"),
        (3_000, "1", "0.003"),
        (-1, "0", "-0.000001"),
        (100_000_000, "33333", "100"),
    ],
)
def test_what_is_left_is_told_in_whole_credits_and_exact_euros(balance_micros: int, credits: str, balance: str) -> None:
    body = answers.accepted(_accepted(balance_micros=balance_micros), "json").body.decode()
    assert json.loads(body)["credits"] == credits
    assert f'"balance":{balance}}}' in body


def test_used_credits_of_a_price_between_two_are_rounded_up() -> None:
    assert json.loads(answers.accepted(_accepted(price_micros=70_000), "json").body)["creditsUsed"] == "24"


@given(st.text(min_size=1, max_size=60), st.text(max_size=60))
def test_any_text_of_the_caller_s_survives_in_both_forms(written: str, reference: str) -> None:
    outcome = _accepted(written, reference)
    told = json.loads(answers.accepted(outcome, "json").body.decode("ascii"))
    assert (told["invalidNumbers"], told.get("cliMsgId", "")) == (written, reference)
    root = ET.fromstring(answers.accepted(outcome, "xml").body)
    assert len(root.findtext("invalidNumbers") or "") == len(written)
    assert [child.tag for child in root] == list(told)


def test_the_language_of_a_reply_is_the_account_s() -> None:
    settings = AccountSettings(message_language="en")
    command = msgspec.structs.replace(_accepted().command, account=msgspec.structs.replace(ACCOUNT, settings=settings))
    outcome = msgspec.structs.replace(_accepted(), command=command)
    assert json.loads(answers.accepted(outcome, "json").body)["statusText"] == "Your messages have been sent"


# --- receipts --------------------------------------------------------------------------------------------------------


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
    ],
)
def test_states_have_the_provider_s_numbers(state: str, reason: str, status: tuple[str, str]) -> None:
    fields = dict(
        parse_qsl(urlsplit(webhooks.receipt(msgspec.structs.replace(REPORT, state=state, reason=reason)).url).query)
    )
    assert (fields["status"], fields["statusText"]) == status


def test_every_state_of_the_lifecycle_can_be_told() -> None:
    assert webhooks.DELIVERY.keys() == {state.word for state in State}
