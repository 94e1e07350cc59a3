"""What came from a carrier and is not stored yet: kept until the worker takes it, answered when it says so."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from chappe.carriers import MessageIn, ReceiptIn
from chappe.carriers.smpp.deliver_parser import Reader
from chappe.carriers.smpp.transport import Wire
from chappe.smpp.commands import CommandId, Status
from chappe.smpp.events import Received
from chappe.smpp.pdu import DataSm, DeliverSm, Request
from chappe.smpp.profile import Profile

UNSTORED_MAX = 1000
"""Received and not yet stored: beyond this we stop reading, and the carrier waits."""


class Inbox:
    """Receipts and messages of subscribers of one bind."""

    def __init__(self, profile: Profile) -> None:
        self._reader = Reader(profile)
        self._receipts: list[ReceiptIn] = []
        self._messages: list[MessageIn] = []
        self._unstored: dict[int, tuple[Wire, int]] = {}
        self._token = 0
        self.receipts = 0  # that ever came
        self.messages = 0

    def read_by(self, reader: Reader) -> None:
        """Reads what comes from now on so."""
        self._reader = reader

    def receive(self, wire: Wire, event: Received) -> None:
        pdu = event.pdu
        if not isinstance(pdu, DeliverSm | DataSm):
            _answer_other(wire, pdu)
            return
        self._token += 1
        self._unstored[self._token] = (wire, pdu.sequence)
        found = self._reader.read(self._token, pdu, event.frame)
        if type(found) is ReceiptIn:
            self.receipts += 1
            self._receipts.append(found)
        else:
            assert isinstance(found, MessageIn)
            self.messages += 1
            self._messages.append(msgspec.structs.replace(found, arrived_s=wire.now()))
        if len(self._unstored) >= UNSTORED_MAX:
            wire.hold(True)

    def pending(self) -> int:
        """How many receipts wait to be taken."""
        return len(self._receipts)

    def take_receipts(self) -> list[ReceiptIn]:
        taken, self._receipts = self._receipts, []
        return taken

    def take_messages(self) -> list[MessageIn]:
        taken, self._messages = self._messages, []
        return taken

    def acknowledge(self, tokens: Sequence[int], *, stored: bool, wires: Sequence[Wire]) -> list[int]:
        """Answers; gives the tokens of those whose connection was still there."""
        status = 0 if stored else int(Status.RX_T_APPN)
        written = []
        for token in tokens:
            wire, sequence = self._unstored.pop(token, (None, 0))
            if wire is not None and not wire.gone.is_set():
                wire.session.answer(sequence, status)
                written.append(token)
        for wire in wires:
            wire.flush()
        if len(self._unstored) < UNSTORED_MAX // 2:
            for wire in wires:
                wire.hold(False)
        return written

    def forget(self, wire: Wire) -> None:
        """The connection is gone: what it brought cannot be answered any more."""
        for token in [token for token, (of, _) in self._unstored.items() if of is wire]:
            del self._unstored[token]


def _answer_other(wire: Wire, pdu: Request) -> None:
    """A request that no ESME serves."""
    if pdu.command_id not in (CommandId.ALERT_NOTIFICATION, CommandId.OUTBIND):
        wire.session.answer(pdu.sequence, int(Status.RINVCMDID))
        wire.flush()
