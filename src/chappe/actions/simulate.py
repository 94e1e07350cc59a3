"""Simulate: what would become of a send, without storing, sending or charging anything."""

from __future__ import annotations

from msgspec.structs import replace

from chappe.core.errors import Refusal
from chappe.core.model import Moment, Recipient, Simulate, Simulated, Skipped
from chappe.store import accounts, optouts
from chappe.store.database import Database


async def simulate(database: Database, command: Simulate, moment: Moment) -> Simulated:
    """The send less the recipients that have opted out, and the balance. Raises Refusal recipients_unusable.

    Credit and sending window are not asked: who simulates wants to know what it would cost, and perhaps not now.
    """
    send = command.send
    gone: set[str] = set()
    if not send.transactional or send.account.settings.stop_blocks_transactional:
        gone = await optouts.among(database, send.account.id, [recipient.number for recipient in send.recipients])
    if gone:
        left = tuple(recipient for recipient in send.recipients if recipient.number not in gone)
        skipped = send.skipped + tuple(_skipped(r) for r in send.recipients if r.number in gone)
        if not left:
            raise Refusal("recipients_unusable", skipped=skipped)
        send = replace(send, recipients=left, skipped=skipped)
    return Simulated(send, await accounts.balance_micros(database, send.account.id))


def _skipped(recipient: Recipient) -> Skipped:
    return Skipped(recipient.written or recipient.number, "opted_out", recipient.number)
