"""The shapes of SMS Partner's answers, and that nothing written by a customer breaks out of them."""

import json
from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree

import pytest

from chappe.core.errors import Refusal
from chappe.core.model import Accepted, Account, AccountSettings, Balance, Recipient, Send, Skipped
from chappe.dialects.smspartner import answers
from chappe.dialects.smspartner.refusals import SmsPartnerRefusal, Violation, Violations

SETTINGS = AccountSettings()
SKIPPED = (
    Skipped("0140000001", "number_not_mobile", "+33140000001"),
    Skipped("+33000000000", "number_invalid"),
    Skipped("+4915112345678", "price_missing", "+4915112345678"),
    Skipped("0612345678", "opted_out", "+33612345678"),
)
SKIPPED_CODES = ["9", "9", "13", "14"]
SKIPPED_TEXTS = [
    "Le téléphone (+33140000001) n'est pas être un numéro de mobile",
    "Le téléphone (+33000000000) n'est pas être un numéro de mobile",
    "Aucun prix par défaut n'a été trouvé pour les numéros suivant (+4915112345678)",
    "Le numéro est dans la liste des STOP SMS",
]


def refused(refusal: Refusal, *, xml: bool = False, verb: str = "send") -> bytes:
    return answers.refused(refusal, xml=xml, verb=verb, date_written="", settings=SETTINGS).body


def accepted(cost_micros: int, parts: int = 1, scheduled_at: datetime | None = None) -> Accepted:
    recipient = Recipient("+33612345678", parts, cost_micros)
    command = Send(Account(1, "a"), "smspartner", "x", (recipient,), scheduled_at=scheduled_at)
    return Accepted(307, command, 0)


@pytest.mark.parametrize(
    ("cost_micros", "number"),
    [(38_000, b"0.038"), (76_000, b"0.076"), (1_000_000, b"1"), (0, b"0"), (38_500, b"0.0385"), (100_000, b"0.1")],
)
def test_cost_is_an_exact_number(cost_micros: int, number: bytes) -> None:
    assert b',"cost":' + number + b"," in answers.sent(accepted(cost_micros), {}, SETTINGS, xml=False).body
    assert (
        b"<entry>" + number + b"</entry><entry><![CDATA[EUR]]>"
        in answers.sent(accepted(cost_micros), {}, SETTINGS, xml=True).body
    )


@pytest.mark.parametrize(
    ("at", "written"),
    [
        (datetime(2030, 10, 21, 7, 0, tzinfo=UTC), "2030-10-21 09:00:00"),
        (datetime(2030, 12, 31, 23, 0, tzinfo=UTC), "2031-01-01 00:00:00"),
    ],
)
def test_a_scheduled_send_tells_its_time_in_paris_as_last_value(at: datetime, written: str) -> None:
    body = json.loads(answers.sent(accepted(38_000, scheduled_at=at), {}, SETTINGS, xml=False).body)
    assert list(body.items())[-1] == ("scheduledDeliveryDate", written)
    root = ElementTree.fromstring(answers.sent(accepted(38_000, scheduled_at=at), {}, SETTINGS, xml=True).body)
    assert [entry.text for entry in root] == ["true", "200", "307", "1", "0.038", "EUR", written]


@pytest.mark.parametrize(("code", "number"), [("recipients_unusable", 55), ("price_missing", 13)])
def test_shape_c_says_why_each_number_gets_nothing(code: str, number: int) -> None:
    body = json.loads(refused(SmsPartnerRefusal(code, skipped=SKIPPED)))
    assert list(body) == ["success", "code", "message", "errors"]
    assert body["code"] == number
    assert body["errors"] == [
        {"success": False, "code": inner, "message": words}
        for inner, words in zip(SKIPPED_CODES, SKIPPED_TEXTS, strict=True)
    ]


def test_shape_c_in_xml() -> None:
    root = ElementTree.fromstring(refused(Refusal("recipients_unusable", skipped=SKIPPED), xml=True))
    assert [entry.text for entry in root][:3] == ["false", "55", "Aucun numéro à envoyer"]
    assert [[value.text for value in entry] for entry in root[3]] == [
        ["false", inner, words] for inner, words in zip(SKIPPED_CODES, SKIPPED_TEXTS, strict=True)
    ]


@pytest.mark.parametrize(
    ("field", "rule", "verb", "element", "json_text", "xml_text"),
    [
        ("message", "required", "send", "message", "Le message est requis", "Le message est requis"),
        (
            "recipients",
            "invalid",
            "send",
            "phoneNumbers",
            "Ce numero de telephone n'est pas valide (V)",
            "Ce numéro de téléphone n'est pas valide (V)",
        ),
        (
            "recipients",
            "invalid",
            "vn/send",
            "to",
            "Ce numero de telephone n'est pas valide (V)",
            "Ce numéro de téléphone n'est pas valide (V)",
        ),
        (
            "sender",
            "too_long",
            "send",
            "sender",
            "L'emetteur ne peut pas etre plus long que 11 caracteres",
            "L'émetteur ne peut pas être plus long que 11 caractères",
        ),
        (
            "sender",
            "invalid",
            "vn/send",
            "from",
            "Ce numero de telephone n'est pas valide (V)",
            "Ce numéro de téléphone n'est pas valide (V)",
        ),
        (
            "date",
            "past",
            "send",
            "scheduledDeliveryDate",
            "La date (V) est anterieure a la date actuelle.",
            "La date (V) est anterieure à la date actuelle. "
            "Si vous souhaitez l'envoyer maintenant vous devez sélectionner [Envoi immédiat]",
        ),
        ("minute", "required", "send", "minute", "La minute est requise", "La minute est requise"),
        ("time", "required", "send", "time", "L'heure est requise", "L'heure est requise"),
        (
            "tag",
            "too_long",
            "send",
            "tag",
            "Le tag ne peut pas etre plus long que 20 caracteres",
            "Le tag ne peut pas être plus long que 20 caractères",
        ),
        ("report_url", "invalid", "send", "urlDlr", "L'url n'est pas valide", "L'url n'est pas valide"),
        ("reply_url", "invalid", "send", "urlResponse", "L'url n'est pas valide", "L'url n'est pas valide"),
        ("other", "strange", "send", "other", "La valeur n'est pas valide", "La valeur n'est pas valide"),
    ],
)
def test_shape_b_words_each_violation(
    field: str, rule: str, verb: str, element: str, json_text: str, xml_text: str
) -> None:
    violations = Violations((Violation(field, rule, "V"),))
    body = json.loads(refused(violations, verb=verb))
    assert list(body) == ["success", "code", "error", "errors"]
    assert body["error"] == body["errors"] == [{"elementId": f"children[{element}].data", "message": json_text}]
    root = ElementTree.fromstring(refused(violations, verb=verb, xml=True))
    assert len(root) == 3, "XML has the list once"
    assert [[value.text for value in entry] for entry in root[2]] == [[f"children[{element}].data", xml_text]]


@pytest.mark.parametrize(
    "evil", ["<b>&]]>", "\x00\x1b", "\ud83d", "\ufffe", "</entry><entry>", '"\\', "{number}{value}"]
)
@pytest.mark.parametrize("xml", [False, True])
def test_nothing_quoted_breaks_out_of_the_answer(evil: str, xml: bool) -> None:
    for refusal in (
        Violations((Violation("recipients", "invalid", evil),)),
        Refusal("recipients_unusable", skipped=(Skipped(evil, "number_invalid"),)),
    ):
        body = refused(refusal, xml=xml)
        if xml:
            assert "(" in ElementTree.fromstring(body)[-1][0][-1].text  # type: ignore[operator]
        else:
            assert f"({evil})" in json.loads(body)["errors"][0]["message"]


def test_what_is_quoted_has_a_limit() -> None:
    body = json.loads(refused(Violations((Violation("recipients", "invalid", "9" * 10_000),))))
    assert body["error"][0]["message"] == f"Ce numero de telephone n'est pas valide ({'9' * answers.WRITTEN_MAX})"


def me(balance_micros: int, **own: Any) -> dict[str, Any]:
    account = Account(1, "login", balance_micros=0, settings=AccountSettings(**own))
    found: dict[str, Any] = json.loads(
        answers.balance(Balance(account, balance_micros, 12), {}, SETTINGS, xml=False).body
    )
    return found


def test_credits_of_a_debt_are_none() -> None:
    found = me(-500_000)["credits"]
    assert (found["creditSms"], found["creditSmsLowCost"], found["creditHlr"]) == (0, 0, 0)
    assert found["balance"] == "-0.500"


def test_what_costs_nothing_is_affordable_as_often_as_clients_can_count() -> None:
    assert me(0, price_premium_micros=0)["credits"]["creditSms"] == answers.CREDITS_MAX


def test_the_balance_is_never_rounded_up() -> None:
    assert me(1_999)["credits"]["solde"] == "0.001"


def test_waiting_parts_are_told() -> None:
    assert me(0)["credits"]["toSend"] == 12


def test_an_account_without_an_address_is_named_by_its_login() -> None:
    assert me(0)["user"] == {"username": "login", "firstname": "", "lastname": ""}


def test_names_are_ascii_in_json_and_escaped_in_xml() -> None:
    account = Account(1, "login", settings=AccountSettings(firstname="Zoë & <Co>"))
    assert answers.balance(Balance(account, 0, 0), {}, SETTINGS, xml=False).body.isascii()
    root = ElementTree.fromstring(answers.balance(Balance(account, 0, 0), {}, SETTINGS, xml=True).body)
    assert root[2][1].text == "Zoë & <Co>"
    assert [field.tag for field in root[2]] == ["username", "firstname", "lastname"]
    assert len(root[3]) == 7
