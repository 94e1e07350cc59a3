"""AllMySMS answers: every refusal has its row, and replies survive any text."""

import json
import xml.etree.ElementTree as ET
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe.core.errors import Refusal
from chappe.core.model import Accepted, Account, AccountSettings, Recipient, Send, Skipped
from chappe.dialects.allmysms import answers
from chappe.dialects.allmysms import error_catalogue as texts
from chappe.dialects.allmysms.refusals import AllMySmsRefusal

ACCOUNT = Account(1, "login")


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
    assert texts.REFUSED.keys() == AllMySmsRefusal.CODES.keys()


def test_every_text_exists_in_both_languages_with_the_same_places() -> None:
    french, english = texts.TEXTS["fr"], texts.TEXTS["en"]
    assert french.keys() == english.keys()
    for key in french:
        assert [p in french[key] for p in ("{tag}", "{limit}", "{needed}", "{left}")] == [
            p in english[key] for p in ("{tag}", "{limit}", "{needed}", "{left}")
        ]


@pytest.mark.parametrize("form", ["json", "xml"])
@pytest.mark.parametrize("language", ["fr", "en", "??"])
@pytest.mark.parametrize("code", AllMySmsRefusal.CODES)
def test_any_refusal_is_answered_without_its_values(code: str, language: str, form: str) -> None:
    response = answers.refused(AllMySmsRefusal(code), form, AccountSettings(message_language=language))
    if form == "json":
        told = json.loads(response.body.decode("ascii"))
    else:
        told = {child.tag: child.text for child in ET.fromstring(response.body)}
    assert list(told) == ["status", "statusText"]
    assert int(told["status"]) == texts.REFUSED[code].number
    assert told["statusText"]
    assert "{" not in told["statusText"]


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


@pytest.mark.parametrize(
    ("reasons", "held", "settings", "status"),
    [
        ((), False, {}, 100),
        (("opted_out",), False, {}, 100),  # the others were sent: 113 would have some clients send to them again
        (("opted_out", "number_invalid"), False, {}, 113),
        (("number_invalid",), False, {}, 113),
        (("number_not_mobile",), False, {}, 113),
        (("price_missing",), False, {}, 113),
        (("number_invalid",), False, {"invalid_numbers_as_sent": True}, 100),
        (("number_invalid",), True, {"invalid_numbers_as_sent": True}, 101),
        ((), True, {}, 101),  # it waits for its sending window
        (("opted_out",), True, {}, 101),
        (("number_invalid",), True, {}, 113),
    ],
)
def test_what_is_left_out_and_what_waits_decide_the_status(
    reasons: tuple[str, ...], held: bool, settings: dict[str, Any], status: int
) -> None:
    outcome = _accepted()
    account = Account(1, "demo", settings=AccountSettings(**settings))
    skipped = tuple(Skipped(str(place), reason) for place, reason in enumerate(reasons))
    command = msgspec.structs.replace(outcome.command, account=account, skipped=skipped)
    told = json.loads(answers.accepted(msgspec.structs.replace(outcome, command=command, held=held), "json").body)
    assert told["status"] == status
    assert told["invalidNumbers"] == "|".join(str(place) for place in range(len(reasons)))


@pytest.mark.parametrize(
    ("reasons", "text"),
    [
        (("opted_out", "opted_out"), "Le destinataire s’est désabonné (STOP)"),
        (("price_missing",), "Le numéro est valide, mais ce compte n’a pas de tarif pour sa destination"),
        (("price_missing", "opted_out"), texts.TEXTS["fr"]["none_valid"]),
        (("number_invalid",), texts.TEXTS["fr"]["none_valid"]),
        ((), texts.TEXTS["fr"]["none_valid"]),
    ],
)
def test_114_says_the_one_reason_for_which_good_numbers_get_nothing(reasons: tuple[str, ...], text: str) -> None:
    refusal = Refusal("recipients_unusable", skipped=tuple(Skipped("1", reason) for reason in reasons))
    told = json.loads(answers.refused(refusal, "json", AccountSettings()).body)
    assert (told["status"], told["statusText"]) == (114, text)
