"""Confirming: the one SMS that tells a subscriber that his STOP was understood, where the account wants that.

Transactional, from the sender that was replied to, priced like any other message of the account, and at most one a
number and day, whoever wrote to it: a machine that answers our confirmation gets silence.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from msgspec.structs import replace

from chappe.actions.accept import place
from chappe.core import compose, numbers
from chappe.core.model import Account, AccountState, Recipient, Send, message_id
from chappe.core.numbers import Number
from chappe.core.routing import Router
from chappe.dialects.registry import BY_NAME
from chappe.observability.logs import get_logger
from chappe.store import messages, optouts
from chappe.store.database import Connection
from chappe.store.flags import Flag

CONFIRMED: Final = "confirmed by submission"

log = get_logger("chappe.receive")


async def confirm(
    tx: Connection, account: Account, number: str, sender: str, dialect: str, now: datetime, router: Router
) -> str:
    """Sends the account's confirmation to a number that has just opted out, in the transaction of the opt-out.

    Gives what there is to say of it; empty where none is wanted or allowed.
    """
    text = account.settings.stop_confirmation
    if not text or account.state is not AccountState.ACTIVE or not isinstance(numbers.read_mobile(number), Number):
        return ""
    made = compose.compose(text)
    price_micros = BY_NAME[dialect].prices(account.settings).price(number)
    if not made.parts or price_micros is None:
        return ""
    if not await optouts.may_confirm(tx, account.id, number, now.date()):
        return "not confirmed, since a confirmation went to this number today"
    send = Send(
        account=account,
        dialect=dialect,
        text=made.text,
        recipients=(Recipient(number, made.parts, price_micros * made.parts),),
        sender=sender,
        transactional=True,
    )
    placed = place(send, now, router)
    # It leaves although, and because, the number has opted out.
    confirmation = replace(placed, flags=placed.flags | Flag.STOP_IGNORED)
    (stored,) = await messages.accept_by(tx, [confirmation], now, b"")  # nobody is reported to
    if stored.submission_id is None:
        log.warning("stop_not_confirmed", account=account.login, reason="credit")
        return "not confirmed, since the credit did not suffice"
    await optouts.confirmed(tx, number, now.date(), message_id(stored.submission_id, 0))
    return f"{CONFIRMED} {stored.submission_id}"
