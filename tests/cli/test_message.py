"""Sending from the terminal: numbers are read and priced as the APIs do it."""

from __future__ import annotations

import pytest

from chappe.cli import message
from chappe.cli.output import Failure
from chappe.core.model import Account, AccountSettings, Range, Recipient, Send, Skipped

ACCOUNT = Account(1, "shop", settings=AccountSettings(prices={"49": 70_000, "44": None}))


def _send(*to: str) -> Send:
    return message._send(ACCOUNT, list(to), "hello", "", Range.PREMIUM, False, "36111")


def test_each_number_has_its_price_and_those_without_are_skipped() -> None:
    sent = _send("0612345678,+4915112345678", "+447911123456", "0140000001", "abc")
    assert sent.recipients == (
        Recipient("+33612345678", 1, 38_000, "0612345678"),
        Recipient("+4915112345678", 1, 70_000, "+4915112345678"),
    )
    assert sent.skipped == (
        Skipped("+447911123456", "price_missing", "+447911123456"),
        Skipped("0140000001", "number_not_mobile", "+33140000001"),
        Skipped("abc", "number_malformed"),
    )


def test_a_number_that_lost_its_zero_is_completed_and_said_so() -> None:
    sent = _send("612345678")
    assert [one.number for one in sent.recipients] == ["+33612345678"]
    assert sent.warnings == ("numbers_completed",)


@pytest.mark.parametrize(
    ("to", "said"),
    [
        ("+447911123456", "account set LOGIN price.44="),
        ("+9991234567", "no recipient is left"),
        ("abc", "no recipient is left that can be sent to: abc (number_malformed)"),
        ("", "--to names no recipient"),
    ],
)
def test_why_nobody_is_left(to: str, said: str) -> None:
    with pytest.raises(Failure, match=said.replace("(", "[(]").replace(")", "[)]")):
        _send(to)
