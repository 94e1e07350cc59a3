"""Mailboxes: order, what comes back, and growing delays."""

from __future__ import annotations

import pytest

from chappe.handset.mailbox import Delivery, Mailbox, retry_delay_s
from chappe.smpp.pdu import DeliverSm


def test_what_comes_back_is_first_again_in_its_order_without_what_is_done() -> None:
    mailbox = Mailbox()
    one, two, three, four = (Delivery("client", DeliverSm()) for _ in range(4))
    mailbox.put(four)
    two.done = True
    mailbox.give_back([one, two, three])
    assert list(mailbox.ready) == [one, three, four]


@pytest.mark.parametrize(("attempts", "delay_s"), [(1, 1.0), (2, 2.0), (4, 8.0), (7, 60.0), (1_000_000, 60.0)])
def test_delays_double_up_to_their_maximum(attempts: int, delay_s: float) -> None:
    assert retry_delay_s(attempts, 1.0, 60.0) == delay_s
