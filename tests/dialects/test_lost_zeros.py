"""A French mobile whose zero a spreadsheet ate is French in every request of every API; never a stranger abroad."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
import smspartner_desk as desk

from chappe.core import numbers
from chappe.core.model import Account, AccountSettings, AddOptOut, Moment, ReadMessages, Ready, Send
from chappe.dialects.allmysms import rest as allmysms_rest
from chappe.dialects.allmysms import send as allmysms_send
from chappe.dialects.allmysms.flow import Block
from chappe.dialects.allmysms.send import Wish
from chappe.dialects.smspartner import send_options

LOST = [
    ("687751234", "+33687751234"),
    ("681821234", "+33681821234"),
    ("688901234", "+33688901234"),
    ("672381234", "+33672381234"),
    ("690723456", "+590690723456"),
    (687751234, "+33687751234"),
    ("6 87 75 12 34", "+33687751234"),
]
PRICES: dict[str, int | None] = {"6": 50_000, "7": 50_000}
NOW = Moment(datetime(2026, 3, 2, 9, 0, tzinfo=UTC))


def account(home: str) -> Account:
    return Account(1, "shop", settings=AccountSettings(prices=PRICES, home=home))


def smspartner(page: str, values: dict[str, Any], home: str) -> Any:
    return desk.read(desk.post(page, values), account(home))


def send(written: object, home: str) -> tuple[list[str], tuple[str, ...]]:
    found = smspartner("send", {"phoneNumbers": written, "message": "x"}, home)
    assert isinstance(found, Send)
    return [one.number for one in found.recipients], found.warnings


def send_list(written: object, home: str) -> tuple[list[str], tuple[str, ...]]:
    found = smspartner("send", {"phoneNumbers": [written], "message": "x"}, home)
    return [one.number for one in found.recipients], found.warnings


def virtual(written: object, home: str) -> tuple[list[str], tuple[str, ...]]:
    found = smspartner("vn/send", {"to": written, "from": "33700000001", "message": "x"}, home)
    return [one.number for one in found.recipients], found.warnings


def bulk(written: object, home: str) -> tuple[list[str], tuple[str, ...]]:
    found = smspartner("bulk-send", {"SMSList": [{"phoneNumber": written, "message": "x"}]}, home)
    return [one.number for one in found.recipients], found.warnings


def allmysms(written: object, home: str) -> tuple[list[str], tuple[str, ...]]:
    found = allmysms_send.send(Wish("x", (Block((str(written),), {}),)), account(home))
    return [one.number for one in found.recipients], found.warnings


def rest(written: object, home: str) -> tuple[list[str], tuple[str, ...]]:
    found = allmysms_rest._read_send({"text": "x", "to": written}, allmysms_rest._one, account(home), NOW)
    return [one.number for one in found.recipients], found.warnings


Send_ = Callable[[object, str], tuple[list[str], tuple[str, ...]]]
SENDS: list[Send_] = [send, send_list, virtual, bulk, allmysms, rest]


@pytest.mark.parametrize(("written", "e164"), LOST)
@pytest.mark.parametrize("way", SENDS)
def test_a_send_reads_it_as_french_and_says_so(way: Send_, written: object, e164: str) -> None:
    assert way(written, "FR") == ([e164], ("numbers_completed",))


@pytest.mark.parametrize("way", SENDS)
def test_an_account_elsewhere_means_the_other_country(way: Send_) -> None:
    assert way("687751234", "none") == (["+687751234"], ())


@pytest.mark.parametrize("way", SENDS)
def test_a_written_country_is_meant(way: Send_) -> None:
    assert way("+687751234", "FR") == (["+687751234"], ())


@pytest.mark.parametrize(("written", "e164"), LOST)
def test_the_other_calls_read_it_alike(written: object, e164: str) -> None:
    added = smspartner("stop-sms/add", {"phoneNumber": written}, "FR")
    assert isinstance(added, AddOptOut)
    assert added.number == e164
    one = smspartner("message-status", {"phoneNumber": written, "messageId": 7}, "FR")
    assert isinstance(one, ReadMessages)
    assert [selector.number for selector in one.selectors] == [e164]
    many = smspartner("multi-status", {"SMSStatut_List": [{"phoneNumber": written, "messageId": 7}]}, "FR")
    assert [selector.number for selector in many.selectors] == [e164]


def test_a_look_up_says_what_a_number_is() -> None:
    asked = smspartner("lookup", {"phoneNumbers": "687751234"}, "FR")
    assert isinstance(asked, Ready)
    answer = desk.ask(desk.post("lookup", {"phoneNumbers": "687751234"}), lambda command: command, account("FR"))
    (found,) = msgspec.json.decode(answer.body)["lookup"]
    assert (found["phoneNumber"], found["countryCode"]) == ("+33687751234", "France")


def test_a_bulk_answer_names_the_number_and_finds_repetitions() -> None:
    listed = [{"phoneNumber": written, "message": "x"} for written in ("687751234", "0687751234")]
    assert len(smspartner("bulk-send", {"SMSList": listed}, "FR").recipients) == 1


def test_one_that_is_in_no_plan_is_told_as_french() -> None:
    assert send_options.e164("700123456", numbers.HOME) == "+33700123456"
    assert send_options.e164("700123456", "none") == "+700123456"
